"""What is known before a run: of the picture, of the model, and of how long it will take."""

import json
import tempfile
from collections.abc import Generator
from contextlib import suppress
from functools import cache
from pathlib import Path

import gradio as gr

from restoration import catalog, deep_image_prior, recording, tasks, weights
from restoration.card import verdict
from restoration.files import file_size, read, write
from restoration.image import Image, ImageError
from restoration.memory import BASE_BYTES, BYTES_A_PIXEL
from restoration.page.parts import as_text, duration
from restoration.page.theme import ASSETS


def displayable(path: str | None) -> Generator:
    """Replace an uploaded TIFF, which no browser draws, by a PNG with the same pixels and metadata."""
    image = None
    if path and Path(path).suffix.lower() in (".tif", ".tiff"):
        with suppress(ImageError):  # the facts below the picture say what is wrong with it
            image = read(path)
    if image is None:
        yield gr.skip()
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{image.name}.png"
        write(image, file, metadata="all")
        yield str(file)


def described(image: Image) -> list[str]:
    """Size, depth, colour and transparency of an image."""
    kind = "grey" if image.channels == 1 else "colour"
    transparency = [] if image.alpha is None else ["transparency kept"]
    return [f"{image.width} × {image.height} px, {image.bits}-bit {kind}", *transparency]


def facts(task: str, path: str | None, model: str = "", scale: int | None = None) -> str:
    """What is known of an uploaded file, and whether a run is worth it, or what is wrong with it."""
    if not path:
        return ""
    try:
        image = read(path)
        more, notes = tasks.named(task).facts(image, catalog.method(task, model, scale))
    except (ImageError, ValueError) as error:
        return f"⚠️ {as_text(str(error))}"
    return " · ".join([*described(image), *more]) + "  \n" + " ".join([*image.notes, *notes])


def guide(task: str, name: str, scale: int | None = None) -> str:
    """One line on a model, with its measured score where there is one."""
    method = catalog.method(task, name, scale)
    parts = [method.summary]
    if guide := tasks.named(task).guide(method):
        parts.append(guide)
    scores = method.load().run.get("scores") if method.learned else None
    if method.learned and weights.namespace():
        parts.append(f"Weights {weights.place(method.name)}")
    if scores:
        parts.append(f"Measured: {measured(scores)}.")
    return " ".join(parts)


def typical_score(scores: list[dict]) -> dict:
    """The first of a model's scores, whose order the evaluation chose so."""
    return scores[0]


def measured(scores: list[dict]) -> str:
    """A typical one of a model's scores, in words."""
    score = typical_score(scores)
    return f"{score['psnr']:.2f} dB on {score['set']}, {verdict(score)}"


def expected(task: str, path: str | None, model: str, scale: int | None = None) -> str:
    """How long a run will take here, and how much memory, by the runs so far or else by the measured cost."""
    if not path:
        return ""
    with suppress(ImageError, ValueError):
        method = catalog.method(task, model, scale)
        width, height = file_size(path)
        pixels = width * height * method.scale**2
        if method.prior:
            steps = deep_image_prior.STEPS[task]
            return f"About {duration(deep_image_prior.expected_seconds(pixels, steps))} here; Cancel keeps the best."
        seconds = recording.kept().expected_seconds(task, method.name, pixels / 1e6, recording.device())
        source = "by the runs so far"
        if seconds is None:
            seconds, source = measured_costs().get(method.name, 1.0) * pixels / 1e6, "by the measured cost"
        memory = (BASE_BYTES + BYTES_A_PIXEL * pixels) / 1e9
        return f"About {duration(max(1, seconds))} and {memory:.1f} GB of memory here, {source}."
    return ""


@cache
def measured_costs() -> dict[str, float]:
    """Seconds for a megapixel, by method, where the models were scored."""
    scores = json.loads((ASSETS / "scores.json").read_text(encoding="utf-8"))
    return {name: cost["seconds_per_megapixel"] for name, cost in scores["methods"].items()}
