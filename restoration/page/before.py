"""What is known before a run: of the picture, of the model, and of how long it will take."""

import json
import tempfile
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

import gradio as gr
from gradio.block_function import BlockFunction

from restoration import catalog, deep_image_prior, recording, tasks, weights
from restoration.card import verdict
from restoration.catalog import Method
from restoration.decoding import MAX_MEGAPIXELS, check_size
from restoration.files import file_size, write
from restoration.fill_choice import AMONG, Choice, at_first_sight
from restoration.image import Image, ImageError
from restoration.inpainting import Mask
from restoration.memory import BASE_BYTES, BYTES_A_PIXEL
from restoration.orders import Order
from restoration.paces import FEWEST, share_worked
from restoration.page.parts import as_text, duration, opened, tidy
from restoration.page.theme import ASSETS
from restoration.records import Record, seconds_worked
from restoration.running import gpu_is_lent, seconds_per_megapixel
from restoration.upscaling import output_size

ALIKE = 0.05  # dB that nobody sees
MEASURED = "by the measured cost"
MEASURED_ON = 512**2 / 1e6  # megapixels
USUAL = 0.3  # share of a picture that is worked on to fill what visitors mark
LEAST, HANDLING = 0.02, 0.085  # seconds of a run, and for a megapixel of the result, to read and write pictures
STARTING = 0.025  # seconds from there to a method's first result
BRIEF = 0.15  # seconds of a method, of which a shorter run says nothing
LATEST = 20  # runs that tell how fast this machine is at the moment
FINDING = 2.6  # seconds a megapixel to find what is to be filled


@tidy
def displayable(path: str | None) -> Generator:
    """Replace an uploaded TIFF, which no browser draws, by a PNG with the same pixels and metadata."""
    image = None
    if path and Path(path).suffix.lower() in (".tif", ".tiff"):
        with suppress(ImageError):  # the facts below the picture say what is wrong with it
            image = opened(path)
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


@tidy
def facts(task: str, path: str | None, model: str = "", scale: int | None = None) -> str:
    """What is known of an uploaded file, and whether a run is worth it, or what is wrong with it."""
    if not path:
        return ""
    try:
        image = opened(path)
        more, notes = tasks.named(task).facts(image, catalog.method(task, model, scale))
    except (ImageError, ValueError) as error:
        return f"⚠️ {as_text(str(error))}"
    return " · ".join([*described(image), *more]) + "  \n" + " ".join([*image.notes, *notes])


def guide(task: str, name: str, scale: int | None = None) -> str:
    """One line on a model, with its measured score where there is one."""
    method = catalog.method(task, name, scale)
    parts = [method.summary]
    if method.invents:
        parts.append("⚠️ **It invents detail**: not for what will be read, measured or recognised.")
    if guide := tasks.named(task).guide(method):
        parts.append(guide)
    scores = weights.record(method.name).get("scores") if method.learned else None
    if method.learned and weights.namespace():
        parts.append(f"Weights {weights.place(method.name)}")
    if scores:
        parts.append(f"Measured: {in_words(task, typical_score(scores))}.\n\n{in_figures(task, scores)}")
    return " ".join(parts)


def in_words(task: str, score: dict) -> str:
    """How a score compares with the best classical method on the same pictures, for those who know no decibels."""
    gain, best = score["psnr"] - score["best_classical_psnr"], catalog.method(task, score["best_classical"]).title
    on = f"on {score['images']} test pictures" if "images" in score else "on test pictures"
    if abs(gain) < ALIKE:
        return f"as near to the original as the best classical method ({best}) {on}"
    return (
        f"nearer to the original than every classical method {on}"
        if gain > 0
        else (f"further from the original than {best}, pixel by pixel, {on}")
    )


def in_figures(task: str, scores: list[dict]) -> str:
    """All of a model's scores as a table that opens on a click."""
    rows = [
        f"| {as_text(score['set'])} | {score['psnr']:.2f} | {score['best_classical_psnr']:.2f}, "
        f"{catalog.method(task, score['best_classical']).title} |"
        for score in scores
    ]
    table = "\n".join(["| Test set | PSNR in dB | Best classical |", "|---|---|---|", *rows])
    return f"<details><summary>All measurements</summary>\n\n{table}\n\n</details>"


def typical_score(scores: list[dict]) -> dict:
    """The first of a model's scores, whose order the evaluation chose so."""
    return scores[0]


def measured(scores: list[dict]) -> str:
    """A typical one of a model's scores, in words."""
    score = typical_score(scores)
    return f"{score['psnr']:.2f} dB on {score['set']}, {verdict(score)}"


def expected(task: str, path: str | None, model: str, scale: int | None = None) -> str:
    """How long a run will take here, and how much memory, by the runs so far or else by the measured cost."""
    with suppress(ValueError):
        return expected_of(Order(task, catalog.method(task, model, scale).name), path)
    return ""


def expected_of(order: Order, path: str | None, hole: Mask | None = None) -> str:
    """The same of an order, whose hole may be known."""
    if not path or not _steps(order):
        return ""
    with suppress(ImageError, ValueError):
        seconds, source, pixels = _cost(order, path, hole)
        if order.method.prior:
            return f"About {duration(seconds)} here; Cancel keeps the best."
        return told_cost(seconds, source, pixels)
    return ""


def seconds_expected_of(order: Order, path: str, hole: Mask | None = None) -> float | None:
    """The seconds of an order; None for what would be refused.

    Args:
        hole: what is missing, where that is known.
    """
    with suppress(ImageError, ValueError):
        return _cost(order, path, hole)[0]
    return None


def _steps(order: Order) -> list[Order]:
    """What an order comes to, of a chain whose steps are said."""
    said = order.method.chained and None not in order.settings.values()
    return tasks.named(order.task).orders(order.settings) if said else [order]


def _cost(order: Order, path: str, hole: Mask | None = None) -> tuple[float, str, int]:
    """Seconds of an order on a file, by what they are known, and pixels of the result.

    Raises:
        ImageError, ValueError: the file or a result on the way would be refused.
    """
    scale, pixels, total, known = 1, result_pixels(path, 1), 0.0, set()
    for step in _steps(order):
        scale *= step.method.scale
        pixels = result_pixels(path, scale)
        method, worked, texture = step.method, _worked(step, hole), step.settings.get("texture", True)
        if step is not order and tasks.named(step.task).holes and worked == 0:
            continue  # nothing was found
        if method.chooses:
            choice = at_first_sight(hole.opacity > 0) if hole else Choice(AMONG[0], True, "")
            method, texture = catalog.method(step.task, choice.name), texture and choice.texture
        seconds, source = seconds_expected(method, pixels, worked, texture)
        total, known = total + seconds, {*known, source}
        if tasks.named(step.task).holes and step is not order and hole is None:
            total += FINDING * pixels / 1e6 * usual_pace(shared=False)
    return total or handled_seconds(pixels) + STARTING, min(known, default=MEASURED), pixels


def _worked(order: Order, hole: Mask | None) -> float | None:
    """The share of a picture that an order works on, where that is known; see `Mask.worked`."""
    if hole is None:
        return None
    return replace(hole, opacity=1 - hole.opacity).worked if order.settings.get("invert") else hole.worked


def told_cost(seconds: float, source: str, pixels: int) -> str:
    """One line on what a run takes."""
    memory = (BASE_BYTES + BYTES_A_PIXEL * pixels) / 1e9
    return f"About {duration(max(1, seconds))} and {memory:.1f} GB of memory here, {source}."


def result_pixels(path: str, scale: int) -> int:
    """How many pixels a file has when it is enlarged.

    Raises:
        ImageError, ValueError: it would be refused.
    """
    width, height = file_size(path)
    check_size(width, height, MAX_MEGAPIXELS)
    output_size(Size(width, height), scale)
    return width * height * scale**2


class Size(NamedTuple):
    width: int
    height: int


def seconds_expected(
    method: Method, pixels: int, worked: float | None = None, texture: bool = True
) -> tuple[float, str]:
    """How long a method takes here for a result of so many pixels, and by what that is known.

    Args:
        worked: share of the pixels that is worked on, where something is missing; see `Mask.worked`.
        texture: whether a fill is given fine detail.
    """
    if method.prior:
        return deep_image_prior.expected_seconds(pixels, deep_image_prior.STEPS[method.task]), "by a measurement"
    share = (USUAL if worked is None else worked) if tasks.named(method.task).holes else 1

    def usual(megapixels: float) -> float:
        return usual_seconds(method, 1e6 * megapixels, 1, texture)

    kept, megapixels = recording.kept(), pixels / 1e6 * share
    seconds = kept.expected_seconds(method.task, method.name, megapixels, recording.device(), usual)
    if seconds is not None and texture:  # as nearly all of its runs had
        return seconds, "by the runs so far"
    return usual_seconds(method, pixels, share, texture), MEASURED


def usual_seconds(method: Method, pixels: float, share: float = 1, texture: bool = True) -> float:
    """How long a method takes as fast as this machine is at the moment, with reading and writing."""
    work = measured_seconds(method.name, pixels, share, texture)
    return handled_seconds(pixels) * handling_pace() + STARTING + work * usual_pace(by_all_processors(method))


def handled_seconds(pixels: float) -> float:
    """What a run takes besides where methods were scored, to read pictures and to write a result of so many pixels."""
    return LEAST + HANDLING * pixels / 1e6


def measured_seconds(name: str, pixels: float, share: float = 1, texture: bool = True) -> float:
    """How long a method itself took where it was scored; see `seconds_expected`."""
    costs = measured_costs()
    cost = costs.get(f"{name} textured" if texture else name) or costs.get(name, 1.0)
    worked = pixels * share / 1e6
    overhead = measured_overheads().get(name, 0.0)  # which is a part of what `MEASURED_ON` took
    return max(0.0, overhead * (1 - worked / MEASURED_ON) + cost * worked)


def by_all_processors(method: Method) -> bool:
    """Whether most of its work is a network's, which all processors share; the methods were scored on one."""
    return method.learned and not tasks.named(method.task).holes


def usual_pace(shared: bool = True) -> float:
    """How many times as long as where the methods were scored runs take here at the moment.

    Args:
        shared: of methods whose work all processors share, or of the others.
    """
    alike = [row for row in _last() if {by_all_processors(step.method) for step in _steps_of(row)} == {shared}]
    return pace(alike) or (1.0 if gpu_is_lent() or recording.device() != "cpu" else tried_pace(shared))


def handling_pace() -> float:
    """How many times as long as there it takes to read and to write pictures."""
    told = [row for row in _last() if "writing" in row.seconds]  # unlike those of a batch
    ratios = [_handling(row) / handled_seconds(row.out_width * row.out_height) for row in told]
    return _bounded(median(ratios)) if len(ratios) >= FEWEST else 1.0


def _last() -> list[Record]:
    """The last runs here that went well."""
    rows = recording.kept().rows(LATEST)
    return [row for row in rows if row.outcome == "done" and row.device == recording.device()]


def _handling(row: Record) -> float:
    """The seconds of a run that no method took."""
    return seconds_worked(row.seconds) - row.seconds.get("restoring", 0.0)


class Step(NamedTuple):
    """What a run did."""

    method: Method
    texture: bool  # where a hole was filled, with fine detail


def _steps_of(row: Record) -> tuple[Step, ...]:
    return _known_steps(row.task, row.model, json.dumps(row.settings, sort_keys=True))


@lru_cache(maxsize=10 * LATEST)  # as every estimate looks at the last runs
def _known_steps(task: str, model: str, settings: str) -> tuple[Step, ...]:
    """Nothing where one of the methods is no longer here."""
    try:
        orders = _steps(Order(task, model, json.loads(settings)))
        return tuple(Step(order.method, order.settings.get("texture", True)) for order in orders)
    except ValueError:
        return ()


def pace(rows: list[Record]) -> float | None:
    """The same by the last runs, of which every method's count alike; None if there are too few of them."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if (seconds := scored_seconds(row)) and seconds > BRIEF:
            taken = row.seconds.get("restoring", 0.0) - STARTING
            found.setdefault(row.model, []).append(max(0.0, taken) / seconds)
    if sum(map(len, found.values())) < FEWEST:
        return None
    return _bounded(median(median(ratios) for ratios in found.values()))


def _bounded(pace: float) -> float:
    return min(20.0, max(0.05, pace))


def scored_seconds(row: Record) -> float | None:
    """How long a run's methods would have taken where they were scored; None where that is not known."""
    pixels, seconds = row.width * row.height, 0.0
    for step in _steps_of(row):
        if step.method.name not in measured_costs() or step.method.prior or step.method.chooses:
            return None
        pixels *= step.method.scale**2
        filled = "worked_share" in (row.metrics or {})
        if step.method.task != row.task and tasks.named(step.method.task).holes and not filled:
            return None  # nothing was found that had to be
        seconds += measured_seconds(step.method.name, pixels, share_worked(row.metrics), step.texture)
    return seconds or None


@cache
def tried_pace(shared: bool = True) -> float:
    """The same by a small run of a network or of a filter, on a processor that has no other work."""
    method = catalog.method("denoise", "" if shared else "median")
    return seconds_per_megapixel(method) / measured_costs()[method.name]


def seconds_of(function: BlockFunction, values: list) -> float:
    """How long a call that runs a model takes here, by the names of its inputs; 0 if that cannot be told."""
    if function.collects_event_data:  # a tap on a spot runs every model, on little
        return 0.0
    named = {block.elem_id or block.label: value for block, value in zip(function.inputs, values, strict=False)}
    task = next((name for name in tasks.every() if name == function.api_name or f"{name}-model" in named), "")
    model, scale = (named.get(f"{task}-{name}", named.get(name)) for name in ("model", "scale"))
    first = values[0] if values else None
    files = [file.get("path") for file in (first if isinstance(first, list) else [first]) if isinstance(file, dict)]
    with suppress(ValueError, TypeError):
        method, kind = catalog.method(task, model or "", int(scale or 0) or None), tasks.named(task)
        settings = {setting.name: named.get(f"{task}-{setting.public}") for setting in kind.settings}
        said = method.chained and None not in settings.values()
        order = Order(task, method.name, settings if said else {})
        return sum(seconds_expected_of(order, path) or 0.0 for path in files)
    return 0.0


@cache
def _scored() -> dict[str, dict[str, float]]:
    return json.loads((ASSETS / "scores.json").read_text(encoding="utf-8"))["methods"]


def measured_costs() -> dict[str, float]:
    """Seconds for a megapixel, by method, where the models were scored."""
    return {name: cost["seconds_per_megapixel"] for name, cost in _scored().items()}


def measured_overheads() -> dict[str, float]:
    """Seconds that a picture takes whatever its size, by method, there."""
    return {name: cost.get("overhead_seconds", 0.0) for name, cost in _scored().items()}
