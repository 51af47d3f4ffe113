"""The page: a tab for each task, its handlers as plain generators, its messages.  `python app.py` starts it.

Every handler calls the same functions as the command line; nothing here touches a pixel.
"""

import argparse
import atexit
import html
import json
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.util import find_spec
from inspect import Parameter, Signature
from pathlib import Path

# Threads that wait for each other by spinning are a hundred times slower than one when the machine has other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    import spaces  # on a ZeroGPU Space; it has to come before anything that might start CUDA
except ImportError:
    spaces = None

import gradio as gr
from gradio.events import Dependency
from pandas import DataFrame
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import restoration
from restoration import artifacts, card, catalog, deep_image_prior, gallery, metrics, tasks, weights
from restoration.artifacts import measured_quality
from restoration.bakeoff import Entry, bake_off, bake_off_damaged
from restoration.batch import restore_all, store
from restoration.card import verdict
from restoration.denoising import MAX_SIGMA_255, NOISES, measured_sigma
from restoration.image import (
    FORMATS,
    Image,
    ImageError,
    check_holds,
    encode,
    file_size,
    fitted,
    output_name,
    read,
    to_8_bit,
    write,
)
from restoration.inpainting import Mask, adjusted, mask_from, mask_image, transparent_pixels, union
from restoration.job import Score, gpu_seconds, hand_over, pace
from restoration.orders import Done, Order
from restoration.recording import device, record_of, recorded
from restoration.records import Records, mirror
from restoration.tasks._task import AUTO, Setting, Task, number
from restoration.upscaling import corrected, output_size

UPLOAD_LIMIT = 64 * 2**20  # bytes of a file, and of whatever else is sent at once
SWEEP_SECONDS = 300  # how often what is too old is looked for
KEEP_SECONDS = 1500  # files and results of a visitor are deleted this long after, at the next look
PAINTED_SIDE = 1024  # the longer side of the picture that is painted on
CLEAN_BELOW_255 = 2.5  # a measured noise level under which denoising can only lose detail
NOISY_ABOVE_255 = 12  # a measured noise level above which a picture cannot pass for clean
BLOCKY_BELOW = 75  # a JPEG quality below which artifacts are likely to be seen
BASE_BYTES, BYTES_A_PIXEL = 7e8, 15  # memory of a run, measured from 12 to 40 megapixels
WAITING = 20  # runs that may wait for the model
SOUND_FROM = 90  # a JPEG quality from which removing them can only lose detail

THEME = gr.themes.Default(
    primary_hue="indigo", neutral_hue="slate", radius_size="lg", font=["system-ui", "sans-serif"]
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    block_background_fill="white",
    block_background_fill_dark="*neutral_900",
)
CSS = """
footer { margin-top: 1rem; }
.line p { margin: 0.2rem 0; }
.status { min-height: 5rem; }
.gradio-container { max-width: 1280px !important; }
#models-table td, #models-table th { font-family: inherit; font-size: 0.85rem; }
.clean .gallery-item { width: 60px; height: 60px; }
.examples .grid-wrap, .bakery .grid-wrap { height: auto !important; min-height: 0; max-height: none !important; }
.examples .gallery-container, .bakery .gallery-container { height: auto !important; min-height: 0; }
.examples .grid-container { gap: 0.5rem; grid-template-columns: repeat(auto-fill, minmax(5.2rem, 1fr)) !important; }
.bakery .grid-container { gap: 0.5rem; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)) !important; }
.bakery .caption-label { font-size: 0.7rem; padding: 0 0.3rem; left: 0; max-width: 100%; }
.examples .caption-label { font-size: 0.7rem; padding: 0 0.3rem; bottom: 0.2rem; left: 0.2rem; }
@media (max-width: 480px) { .tab-container button { padding: 0 0.25rem !important; font-size: 0.85rem !important; } }
"""
INTRO = """# Image restoration
Removes noise and JPEG artifacts from photos, scans, X-rays and CT slices, enlarges pictures and fills holes. Bit depth,
transparency and colours stay.
Your files are deleted within 30 minutes.
"""
HINT = "Compare: drag the handle or use the arrow keys. Before is on the left, after on the right."
UPSCALE_HINT = "Compare: drag the handle or use the arrow keys. Plain bicubic enlargement is on the left."
PRIVATE = {"api_visibility": "private"}
QUIET = {"show_progress": "hidden", **PRIVATE}
ONE_AT_A_TIME = {"concurrency_limit": 1, "concurrency_id": "model"}


ASSETS = Path(restoration.__file__).parent / "assets"
HEAD = "".join(
    f"<{tag}>{(ASSETS / name).read_text(encoding='utf-8')}</{tag}>"
    for tag, name in (("style", "compare.css"), ("script", "compare.js"))
)
RECORDS = Records(None)  # in memory until `main` opens the file

if spaces:
    hand_over(spaces.GPU(duration=gpu_seconds))


class UploadedImage(gr.Image):
    """An image input that hands over the uploaded file as it is: `restoration.image` alone decodes."""

    is_template = True

    def preprocess(self, payload):
        return None if payload is None else payload.path


# What every tab's handlers share -------------------------------------------------------------------------------------


@contextmanager
def sentences(escape: Callable[[str], str] = html.escape) -> Iterator[None]:
    """Turn every failure into one sentence.

    Args:
        escape: the page shows it as HTML; programs, which want it as it is, give `str`.
    """
    try:
        yield
    except (gr.Error, GeneratorExit):  # the first is a ValueError too
        raise
    except (ImageError, ValueError, MemoryError) as error:
        raise gr.Error(escape(str(error)) or "There is not enough memory.", print_exception=False) from None
    except Exception:
        logging.exception("a handler failed")
        raise gr.Error("Something went wrong here; try another picture or model.", print_exception=False) from None


def chosen(path: str | None) -> str:
    if not path:
        raise gr.Error("Choose an image first.", print_exception=False)
    return path


def opened(path: str | None) -> Image:
    return read(chosen(path))


def stepped(
    job: Generator, progress: gr.Progress, outputs: int, show: Callable[[object], Generator] | None = None
) -> Generator:
    """Run a job, yielding "no change" to the page's outputs at every step; gives what the job returns.

    Args:
        show: yields the outputs for what a job has so far, which then stays when the job is cancelled.
    """
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            return end.value
        left = "" if step.seconds_left is None else f", about {duration(step.seconds_left)} left"
        count = "" if step.so_far is None else f" {step.done} of {step.total}"
        progress(step.share, desc=f"Restoring{count}{left}")
        if step.so_far is None or show is None:
            yield unchanged(outputs)
        else:
            yield from show(step.so_far)


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def unchanged(outputs: int) -> object:
    return gr.skip() if outputs == 1 else tuple(gr.skip() for _ in range(outputs))


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


def facts(path: str | None, about: Callable[[Image], tuple[list[str], list[str]]]) -> str:
    """What is known of an uploaded file, or what is wrong with it; `about` gives a tab's own facts and notes."""
    if not path:
        return ""
    try:
        image = read(path)
        more, notes = about(image)
    except (ImageError, ValueError) as error:
        return f"⚠️ {html.escape(str(error))}"
    return " · ".join([*described(image), *more]) + "  \n" + " ".join([*image.notes, *notes])


def guide(task: str, name: str, scale: int | None = None) -> str:
    """One line on a model, with its measured score where there is one."""
    method = catalog.method(task, name, scale)
    parts = [method.summary]
    if task == "denoise" and not method.takes_sigma and not method.prior:
        parts.append("It always finds the noise level itself.")
    if task == "artifacts" and not method.takes_quality and not method.prior:
        parts.append("It always finds the quality itself.")
    scores = method.load().run.get("scores") if method.learned else None
    if method.learned and weights.namespace():
        parts.append(f"Weights {weights.place(method.name)}")
    if scores:
        parts.append(f"Measured: {measured(scores)}.")
    return " ".join(parts)


def preview(image: Image) -> bytes:
    """A PNG of exactly these pixels that every browser can draw."""
    return encode(to_8_bit(image), "png", metadata="none")


def compared(folder: str, before: bytes, after: bytes | Path, name: str) -> tuple[str, str]:
    """What the slider shows: PNG files in `folder`."""
    first, second = Path(folder) / f"{name}_before.png", Path(folder) / f"{name}_after.png"
    first.write_bytes(before)
    if isinstance(after, bytes):
        second.write_bytes(after)
    return str(first), str(after if isinstance(after, Path) else second)


def score_rows(rows: dict[str, Score]) -> list[list[str]]:
    """Rows of a trial's table: PSNR, SSIM, and PSNR-B where it was measured."""
    return [
        [
            title,
            metrics.text(score.psnr),
            "" if score.ssim is None else f"{score.ssim:.4f}",
            *([] if score.psnr_b is None else [metrics.text(score.psnr_b)]),
        ]
        for title, score in rows.items()
    ]


def checked_format(format: str) -> str:
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}.")
    return format


def keep_sweeping(folder: Path) -> None:
    """Sweep a folder again and again."""
    while True:
        sweep(folder, KEEP_SECONDS)
        time.sleep(SWEEP_SECONDS)


def sweep(folder: Path, seconds: float) -> None:
    """Delete what unfinished uploads left in a folder so long ago; the page itself deletes the finished ones."""
    for file in folder.glob("*"):
        with suppress(OSError):
            if file.is_file() and time.time() - file.stat().st_mtime > seconds:
                file.unlink()


def list_models() -> list[dict]:
    """Every method: name, task, title, scale, summary, whether it is learned, whether it is the default, weights."""
    return [
        {
            "name": method.name,
            "task": method.task,
            "title": method.title,
            "scale": method.scale,
            "summary": method.summary,
            "learned": method.learned,
            "default": method.flagship,
            "weights": str(weights.place(method.name)) if method.learned else "",
        }
        for method in restoration.methods()
    ]


# Orders on the page --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """What a visitor's last run left on the server, so that settings which need no model move without it.

    Args:
        done: as it is shown.
        before: the input as PNG, for the slider.
        run: the record's id, by which the visitor may rate it.
        true: an enlarged picture pulled back to the photo, once that was asked for.
        plain: the enlarged picture as the model made it.
    """

    done: Done
    before: bytes
    run: str
    plain: Done | None = None
    true: Done | None = None

    def light(self) -> "Shown":
        """The same without the pictures that were made of it, to be kept."""
        fresh = {name: replace(done) for name in ("done", "plain", "true") if (done := getattr(self, name))}
        return replace(self, **fresh)


OUTPUTS: dict[str, int] = {"denoise": 6, "artifacts": 6, "upscale": 7, "inpaint": 7}


def ordered(name: str, model: str, *values: float) -> Order:
    """The order of what is chosen in a tab: the model, and what its controls say."""
    said, settings = iter(values), {}
    for setting in tasks.named(name).settings:
        found = bool(setting.automatic) and next(said)
        value = next(said)
        settings[setting.name] = None if found else value if setting.kind is bool else value / setting.shown
    return Order(name, model, settings)


def run_order(
    path: str | None,
    order: Order,
    output: tuple[str, float],
    progress: gr.Progress,
    hole: Callable[[Image], Mask] | None = None,
) -> Generator:
    """Carry out an order on an upload; yields after every tile, so that Cancel stops it there.

    Args:
        output: format and JPEG quality of the result's file.
        hole: finds what is missing.
    """
    stay_true = order.settings.get("stay_true", False)
    with recorded(order, chosen(path), RECORDS) as log:
        with log.stage("reading"):
            image = log.read()
            check_holds(output[0], image)
            output_size(image, order.method.scale)
            before = preview(tasks.named(order.task).before(image, order.method))
            missing = hole(image) if hole else None

        def show(done: Done) -> Generator:
            return show_done(Shown(done, before, log.id, plain=done), *output)

        outputs = OUTPUTS[order.task]
        with log.stage("restoring"):
            first = order.changed(stay_true=False) if stay_true else order
            done = yield from stepped(first.carry_out(image, missing), progress, outputs, show)
            result = Shown(done, before, log.id, plain=done)
            if stay_true:
                result = yield from held_true(result, progress)
        log.finished(result.done)
        progress(1, desc="Writing the file")
        with log.stage("writing"):
            yield from show_done(result, *output)


def held_true(result: Shown, progress: gr.Progress) -> Generator:
    """The enlarged picture pulled back to the photo, which needs no model; at once if that was done before."""
    if result.true is None:
        plain = result.plain
        pulled = yield from stepped(corrected(plain.result), progress, OUTPUTS["upscale"])
        result = replace(result, true=replace(plain, order=plain.order.changed(stay_true=True), result=pulled))
    return replace(result, done=result.true)


def show_done(result: Shown | None, format: str, quality: float) -> Generator:
    """The comparison, both files, a line of facts, whether it can be rated, the state, and what a tab has besides."""
    if result is None:
        yield unchanged(OUTPUTS["inpaint"])
        return
    with sentences(), tempfile.TemporaryDirectory() as folder:
        done = result.done
        file = Path(folder) / output_name(done.picture, done.suffix, checked_format(format))
        beside = store(done, file, format, round(quality))
        after = file if format == "png" and done.picture.bits == 8 else preview(done.picture)
        downloads = (gr.update(value=str(path), interactive=True) for path in (file, beside))
        rating = gr.update(interactive=True, value=None)
        yield (
            compared(folder, result.before, after, done.picture.name),
            *downloads,
            told(done),
            rating,
            result.light(),
            *besides(done, folder),
        )


def besides(done: Done, folder: str) -> tuple:
    """What a tab shows besides: the map of invented detail, or that one can go on from the result."""
    if done.order.task == "upscale":
        heat = Path(folder) / "invented.png"
        heat.write_bytes(preview(done.result.found.heat_map()))
        return (str(heat),)
    return (gr.update(interactive=True),) if done.order.task == "inpaint" else ()


def told(done: Done) -> str:
    """A result in one line."""
    method, image, given = done.order.method, done.picture, done.given
    title, size = f"**{method.title}**", f"{image.width} × {image.height} px"
    if method.scale > 1:
        title, size = f"**{method.title} ×{method.scale}**", f"{given.width} × {given.height} → {size}"
    shares = [s for s in tasks.named(method.task).settings if s.shown == 100]
    strength = [f"{setting.name} {100 * done.order.settings[setting.name]:g} %" for setting in shares]
    facts = [title, f"{done.seconds:.1f} s", size, str(done.result.found), *strength]
    return "  \n".join([" · ".join(facts), *done.result.notes])


def show_blended(result: Shown | None, strength: float, format: str, quality: float) -> Generator:
    """The result at another strength, or in another file; runs no model."""
    if result is None:
        yield unchanged(OUTPUTS["denoise"])
        return
    with sentences():
        done = replace(result.done, order=result.done.order.changed(strength=strength / 100))
        yield from show_done(replace(result, done=done), format, quality)


def show_upscaled(
    result: Shown | None, stay_true: bool, format: str, quality: float, progress=gr.Progress()
) -> Generator:
    """The enlarged picture as the model made it or pulled back to the photo, or in another file; runs no model."""
    if result is None:
        yield unchanged(OUTPUTS["upscale"])
        return
    with sentences():
        if stay_true:
            result = yield from held_true(result, progress)
        else:
            result = replace(result, done=result.plain)
        yield from show_done(result, format, quality)


def rate(result: Shown | None, rating: str | None, comment: str) -> object:
    """Keep what a visitor thinks of the last run, once."""
    with sentences():
        if result is None or rating is None:
            raise ValueError("Run a model first, then choose what you think of the result.")
        if RECORDS.rate(result.run, rating, comment or ""):
            gr.Info("Thank you.")
        else:
            gr.Info("This run was rated before.")
    return gr.update(interactive=False)


def run_denoise(
    path: str | None,
    model: str,
    auto: bool,
    sigma_255: float,
    strength: float,
    format: str,
    quality: float,
    progress=gr.Progress(),
) -> Generator:
    """Denoise the upload."""
    with sentences():
        yield from run_order(path, ordered("denoise", model, auto, sigma_255, strength), (format, quality), progress)


def run_artifacts(
    path: str | None,
    model: str,
    auto: bool,
    jpeg_quality: float,
    strength: float,
    format: str,
    quality: float,
    progress=gr.Progress(),
) -> Generator:
    """Remove the upload's JPEG artifacts."""
    with sentences():
        order = ordered("artifacts", model, auto, jpeg_quality, strength)
        yield from run_order(path, order, (format, quality), progress)


def run_upscale(
    path: str | None,
    model: str,
    scale: int,
    alpha: float,
    stay_true: bool,
    format: str,
    quality: float,
    progress=gr.Progress(),
) -> Generator:
    """Enlarge the upload."""
    with sentences():
        yield from run_order(path, ordered("upscale", model, scale, alpha, stay_true), (format, quality), progress)


def run_inpaint(
    path: str | None,
    model: str,
    painted: dict | None,
    uploaded: str | None,
    transparent: bool,
    invert: bool,
    grow: float,
    feather: float,
    texture: bool,
    format: str,
    quality: float,
    progress=gr.Progress(),
) -> Generator:
    """Fill the holes of the upload."""
    with sentences():
        order = ordered("inpaint", model, invert, grow, feather, texture)

        def hole(image: Image) -> Mask:
            return chosen_hole(image, painted, uploaded, transparent)

        yield from run_order(path, order, (format, quality), progress, hole)


# The API --------------------------------------------------------------------------------------------------------------


def file_of(
    image: str | None, order: Order, format: str, jpeg_quality: float, progress: gr.Progress, mask: str | None = None
) -> Generator:
    """Carry out an order; the last thing that it yields is the result's file, which holds its receipt."""
    format, quality = checked_format(format), round(number(jpeg_quality, "jpeg_quality"))
    with recorded(order, chosen(image), RECORDS) as log:
        with log.stage("reading"):
            picture = log.read()
            check_holds(format, picture)
            hole = mask_from(read(mask, "The mask"), picture) if mask else None
        with log.stage("restoring"):
            done = yield from stepped(order.carry_out(picture, hole), progress, outputs=1)
        log.finished(done)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / output_name(done.picture, done.suffix, format)
            with log.stage("writing"):
                store(done, file, format, quality, receipt=False)
            yield str(file)


def endpoint(kind: Task) -> Callable[..., Generator]:
    """What the API does for a task, with a parameter for each of its settings."""
    model = catalog.method(kind.name, "").name
    defaults = {setting.public: AUTO if setting.default is None else setting.default for setting in kind.settings}
    mask = {"mask": None} if kind.holes else {}
    defaults = {**mask, "model": model, **defaults, "format": "png", "jpeg_quality": 95, "progress": gr.Progress()}
    parameters = [Parameter("image", Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=value) for name, value in defaults.items()]
    signature = Signature(parameters)

    def run(*values: object, **named: object) -> Generator:
        bound = signature.bind(*values, **named)
        bound.apply_defaults()
        given = bound.arguments
        with sentences(str):
            order = Order(kind.name, given["model"], {s.name: s.told(given[s.public]) for s in kind.settings})
            result = given["format"], given["jpeg_quality"]
            yield from file_of(given["image"], order, *result, given["progress"], given.get("mask"))

    lines = [f"mask: {kind.mask}"] if kind.holes else []
    lines += ["model: a name from /models", *(setting.line for setting in kind.settings)]
    lines += [f"format: {', '.join(FORMATS)}", "jpeg_quality: of the result if it is a JPEG"]
    run.__signature__ = signature
    run.__doc__ = "\n".join([kind.about, "", *lines, "The bytes equal those of the command line."])
    return run


# Before the run -------------------------------------------------------------------------------------------------------


def denoise_facts(path: str | None) -> str:
    """What is known of an uploaded file before anything is run, and whether a run is worth it."""

    def about(image: Image) -> tuple[list[str], list[str]]:
        level, quality = 255 * measured_sigma(image), measured_quality(image)
        advice = []
        if quality.value is not None and quality.value < BLOCKY_BELOW:
            advice.append(f"It was saved as a JPEG of quality {quality.value}: remove its artifacts first.")
        elif level < CLEAN_BELOW_255:
            advice.append("This picture is nearly free of noise: leave it alone, denoising may only cost detail.")
        return [f"measured noise level {level:.1f}", str(quality)], advice

    return facts(path, about)


def artifacts_facts(path: str | None) -> str:
    """What is known of an uploaded file before anything is run, and whether a run is worth it."""

    def about(image: Image) -> tuple[list[str], list[str]]:
        level, quality = 255 * measured_sigma(image), measured_quality(image)
        if quality.value is None:
            advice = "It shows no trace of JPEG: leave it alone, unless it was compressed and then made smaller."
        elif quality.value < BLOCKY_BELOW:
            advice = "Artifacts of this quality can be seen: removing them is worth a run."
        elif quality.value < SOUND_FROM:
            advice = "Artifacts of this quality are slight: compare closely before you keep the result."
        else:
            advice = "Hardly anything was lost at this quality: leave it alone."
        noisy = [f"It is also noisy (measured level {level:.0f}): denoise it afterwards."]
        return [str(quality)], [advice, *(noisy if level > NOISY_ABOVE_255 else [])]

    return facts(path, about)


def upscale_facts(path: str | None, model: str, scale: int | None) -> str:
    """What is known of an uploaded file before anything is run, the size of the result above all."""

    def about(image: Image) -> tuple[list[str], list[str]]:
        width, height = output_size(image, catalog.method("upscale", model, scale).scale)
        level = 255 * measured_sigma(image)
        noisy = [f"The picture is noisy (measured level {level:.0f}), and noise grows with it: denoise it first."]
        size = f"**becomes {width} × {height} px** ({width * height / 1e6:.1f} megapixels)"
        return [size], noisy if level > NOISY_ABOVE_255 else []

    return facts(path, about)


def inpaint_facts(path: str | None) -> str:
    """What is known of an uploaded file before anything is run."""
    hint = ["It has transparent pixels, which can be the hole."]
    return facts(path, lambda image: ([], hint if transparent_pixels(image).share else []))


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
        seconds = RECORDS.expected_seconds(task, method.name, pixels / 1e6, device())
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


def chosen_family(family: str, scale: int) -> tuple:
    """Scale picker, blend slider and guide for a family of models; the scale stays if the family has it."""
    scales = [method.scale for method in catalog.families("upscale")[family]]
    scale = scale if scale in scales else scales[-1]
    method = catalog.method("upscale", family, scale)
    return (
        gr.update(choices=[(f"×{s}", s) for s in scales], value=scale),
        gr.update(visible=method.blends),
        guide("upscale", family, scale),
    )


# Masks ----------------------------------------------------------------------------------------------------------------


def canvas(path: str | None) -> Generator:
    """The picture to paint on: the upload, reduced so that painting is quick."""
    image = None
    if path:
        with suppress(ImageError):  # the facts below the picture say what is wrong with it
            image = read(path)
    if image is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.png"
        file.write_bytes(preview(fitted(image, PAINTED_SIDE)))
        yield {"background": str(file), "layers": [], "composite": None}


def chosen_hole(image: Image, painted: dict | None, uploaded: str | None, transparent: bool) -> Mask:
    """All that was painted, uploaded and chosen, as it is before it is inverted, grown and feathered."""
    masks = [replace(mask_from(read(layer), image), notes=()) for layer in (painted or {}).get("layers") or [] if layer]
    if uploaded:
        masks.append(mask_from(read(uploaded, "The mask"), image))
    if transparent:
        masks.append(transparent_pixels(image))
    return union(image, masks)


def show_mask(
    path: str | None,
    painted: dict | None,
    uploaded: str | None,
    transparent: bool,
    invert: bool,
    grow: float,
    feather: float,
) -> Generator:
    """The mask as a picture to look at and to download."""
    with sentences(), tempfile.TemporaryDirectory() as folder:
        image = opened(path)
        hole = chosen_hole(image, painted, uploaded, transparent)
        file = Path(folder) / f"{image.name}_mask.png"
        mask = adjusted(hole, invert=invert, grow=round(grow), feather=round(feather))
        file.write_bytes(preview(mask_image(mask)))
        yield str(file)


def own_mask(uploaded: str | None) -> object:
    """The uploaded mask, which stays when another picture comes, unless it is that of an example."""
    names = {Path(example.mask).name for example in gallery.examples("inpaint") if example.mask}
    return None if uploaded and Path(uploaded).name in names else gr.skip()


def go_on(result: Shown | None) -> Generator:
    """The result as the new picture, for the next hole."""
    if result is None:
        yield gr.skip()
        return
    image = result.done.picture
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{image.name}.png"
        write(image, file, metadata="all")
        yield str(file)


# Trials on clean pictures ---------------------------------------------------------------------------------------------


def run_trial(
    path: str | None,
    order: Order,
    how: Sequence[object],
    titles: tuple[str, str],
    progress: gr.Progress,
    warn: Callable[[Image], str | None] = lambda _: None,
    blind: bool = False,
) -> Generator:
    """Damage a clean picture, restore it and score both against the original.

    Args:
        how: it is damaged.
        titles: of the damaged picture and of the restored one.
        warn: says why a picture's scores would mislead.
        blind: whether the method is to find out how.
    """
    with recorded(order, chosen(path), RECORDS) as log:
        with log.stage("reading"):
            clean = log.read()
        if warning := warn(clean):
            gr.Warning(warning)
        with log.stage("restoring"):
            work = tasks.named(order.task).trial(clean, order.method, order.settings, how, blind)
            outcome = yield from stepped(work, progress, outputs=2)
        log.metrics = {"psnr": outcome.after.psnr, "ssim": outcome.after.ssim}
        made, scale = outcome.restored, order.method.scale
        log.sizes = (made.width // scale, made.height // scale, made.width, made.height)
        with tempfile.TemporaryDirectory() as folder:
            pair = compared(folder, preview(outcome.damaged), preview(made), clean.name)
            yield pair, score_rows(dict(zip(titles, (outcome.before, outcome.after), strict=True)))


def try_noise(
    path: str | None, model: str, auto: bool, kind: str, level: float, seed: float, progress=gr.Progress()
) -> Generator:
    """Add noise to a clean picture, denoise it and score both against the original."""

    def warn(clean: Image) -> str | None:
        if 255 * measured_sigma(clean) > NOISY_ABOVE_255:
            return "This picture has noise of its own, so the scores mislead; choose a clean one."
        return None

    with sentences():
        titles = ("With noise", "Denoised")
        yield from run_trial(path, Order("denoise", model), (kind, level, seed), titles, progress, warn, auto)


def try_compression(path: str | None, model: str, auto: bool, jpeg_quality: float, progress=gr.Progress()) -> Generator:
    """Compress a clean picture, remove the artifacts and score both against the original."""

    def warn(clean: Image) -> str | None:
        if measured_quality(clean).value is not None:
            return "This picture has JPEG artifacts of its own, so the scores mislead; choose a clean one."
        return None

    with sentences():
        titles = ("JPEG", "Cleaned")
        yield from run_trial(path, Order("artifacts", model), (jpeg_quality,), titles, progress, warn, auto)


def try_reduction(
    path: str | None, model: str, scale: int, alpha: float, stay_true: bool, progress=gr.Progress()
) -> Generator:
    """Reduce a sharp picture, enlarge it again and score that and bicubic against the original."""
    with sentences():
        order = ordered("upscale", model, scale, alpha, stay_true)
        yield from run_trial(path, order, (), ("Bicubic", "This model"), progress)


# Bake-off -------------------------------------------------------------------------------------------------------------


def bake(entries: Callable[[], Iterator[Entry]]) -> Generator:
    """The patches with their captions as they come, and the names of the methods that made them."""
    shown, names = [], []
    with sentences(), tempfile.TemporaryDirectory() as folder:
        for entry in entries():
            file = Path(folder) / f"{len(shown)}.png"
            file.write_bytes(preview(entry.image))
            score = "" if entry.score is None else f" · {metrics.text(entry.score.psnr)}"
            seconds = f" · {entry.seconds:.2f} s" if entry.name else ""
            shown.append((str(file), f"{entry.title}{seconds}{score}"))
            names.append(entry.name)
            yield gr.update(value=list(shown), visible=True), names


def tapped(event: gr.SelectData) -> tuple[int, int]:
    """Column and row of the spot that was tapped."""
    return int(event.index[0]), int(event.index[1])


def bake_denoise(path: str | None, auto: bool, sigma_255: float, event: gr.SelectData) -> Generator:
    """The spot through every denoiser, at the noise level of the whole picture."""

    def entries() -> Iterator[Entry]:
        image = opened(path)
        level = 255 * measured_sigma(image) if auto else sigma_255
        return bake_off("denoise", image, tapped(event), settings={"sigma_255": level})

    yield from bake(entries)


def bake_artifacts(path: str | None, auto: bool, quality: float, event: gr.SelectData) -> Generator:
    """The spot through every artifact remover, at the quality of the whole picture."""

    def entries() -> Iterator[Entry]:
        image = opened(path)
        known = measured_quality(image).value if auto else quality
        known = known if known is None else min(max(known, artifacts.LOWEST), artifacts.HIGHEST)
        return bake_off("artifacts", image, tapped(event), settings={"quality": known})

    yield from bake(entries)


def bake_upscale(path: str | None, scale: int, event: gr.SelectData) -> Generator:
    """The spot through every upscaler of a scale."""
    yield from bake(lambda: bake_off("upscale", opened(path), tapped(event), scale=scale))


def bake_inpaint(
    path: str | None, painted: dict | None, uploaded: str | None, transparent: bool, event: gr.SelectData
) -> Generator:
    """The spot through every inpainter: its hole, or one that is made there."""

    def entries() -> Iterator[Entry]:
        image = opened(path)
        return bake_off("inpaint", image, tapped(event), hole=chosen_hole(image, painted, uploaded, transparent))

    yield from bake(entries)


def bake_noise(path: str | None, kind: str, level: float, seed: float) -> Generator:
    """The middle of a clean picture, with noise, through every denoiser, scored."""
    yield from bake(lambda: bake_off_damaged("denoise", opened(path), (kind, level, seed)))


def bake_jpeg(path: str | None, quality: float) -> Generator:
    """The middle of a clean picture, compressed, through every artifact remover, scored."""
    yield from bake(lambda: bake_off_damaged("artifacts", opened(path), (quality,)))


def bake_reduction(path: str | None, scale: int) -> Generator:
    """The middle of a sharp picture, reduced, through every upscaler of a scale, scored."""
    yield from bake(lambda: bake_off_damaged("upscale", opened(path), scale=scale))


def winner(task: str, names: list[str], index: int) -> object:
    """The model that made a patch."""
    name = names[index] if index < len(names) else ""
    if not name:
        gr.Info("That is the picture as it is.")
        return gr.skip()
    return catalog.method(task, name).family if task == "upscale" else name


# Many files -----------------------------------------------------------------------------------------------------------


def run_batch(
    files: list[str] | None, order: Order, output: tuple[str, float], progress: gr.Progress, mask: str | None = None
) -> Generator:
    """Carry out an order on many uploads: a row and a result for each, then a zip that has receipts and the table too.

    The results are given one by one, so that a batch that is cancelled has not worked for nothing.
    """
    if not files:
        raise ValueError("Choose some files first.")
    format, quality = output
    rows: list[list[object]] = []
    restored: list[str] = []
    yield rows, restored, gr.update(value=None, interactive=False)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "restored"
        work = restore_all(
            order,
            [Path(file) for file in files],
            results,
            mask=read(mask, "The mask") if mask else None,
            format=checked_format(format),
            quality=round(quality),
        )
        for step in work:
            progress((step.done + step.share) / step.total, desc=f"{step.done + 1} of {step.total}")
            if step.row is None:
                yield unchanged(3)
                continue
            row = step.row
            rows.append([row.file, row.result.name if row.result else "not restored", row.reason])
            if row.result:
                restored.append(str(row.result))
            RECORDS.add(record_of(row, order))
            yield rows, restored, gr.skip()
        zipped = shutil.make_archive(str(Path(folder) / "restored"), "zip", results)
        yield rows, restored, gr.update(value=zipped, interactive=True)


def batch_denoise(files, model, auto, sigma_255, strength, format, quality, progress=gr.Progress()) -> Generator:
    """Denoise many files."""
    with sentences():
        yield from run_batch(files, ordered("denoise", model, auto, sigma_255, strength), (format, quality), progress)


def batch_artifacts(files, model, auto, known, strength, format, quality, progress=gr.Progress()) -> Generator:
    """Remove the artifacts of many files."""
    with sentences():
        yield from run_batch(files, ordered("artifacts", model, auto, known, strength), (format, quality), progress)


def batch_upscale(files, model, scale, alpha, stay_true, format, quality, progress=gr.Progress()) -> Generator:
    """Enlarge many files."""
    with sentences():
        yield from run_batch(files, ordered("upscale", model, scale, alpha, stay_true), (format, quality), progress)


def batch_inpaint(
    files, model, painted, uploaded, invert, grow, feather, texture, format, quality, progress=gr.Progress()
) -> Generator:
    """Fill the same hole in many files: the mask that was uploaded, else what was painted, else transparency."""
    with sentences():
        layer = next((layer for layer in (painted or {}).get("layers") or [] if layer and mask_is_painted(layer)), None)
        order = ordered("inpaint", model, invert, grow, feather, texture)
        yield from run_batch(files, order, (format, quality), progress, uploaded or layer)


def mask_is_painted(layer: str) -> bool:
    """Whether anything was painted on a layer of the editor."""
    drawn = read(layer)
    return bool(mask_from(drawn, drawn).share)


# Performance ----------------------------------------------------------------------------------------------------------


def performance() -> Generator:
    """What ran here so far: a line, a table, two plots and a CSV."""
    rows = RECORDS.summary()
    runs = sum(row.runs for row in rows)
    failed, cancelled = sum(row.failed for row in rows), sum(row.cancelled for row in rows)
    line = f"**{runs} runs** · {failed} failed · {cancelled} cancelled"
    if RECORDS.lost:
        line += f" · {RECORDS.lost} not recorded"
    cells = [
        [
            row.model,
            row.task,
            row.size,
            row.runs,
            row.failed,
            row.cancelled,
            *("" if value is None else f"{value:.1f}" for value in (row.p50, row.p90, row.p99)),
            f"{row.better} / {row.same} / {row.worse}",
        ]
        for row in rows
    ]
    latency = [  # stacked: each percentile adds to the one below it
        {"model": f"{row.model}, {row.size}", "runs": share, "seconds": upper - lower}
        for row in rows
        if row.p50 is not None
        for share, lower, upper in (
            ("half within", 0, row.p50),
            ("90 % within", row.p50, row.p90),
            ("99 % within", row.p90, row.p99),
        )
    ]
    opinions = [
        {"model": row.model, "opinion": opinion, "ratings": getattr(row, opinion)}
        for row in rows
        for opinion in ("better", "same", "worse")
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.csv"
        file.write_text(RECORDS.csv(), encoding="utf-8", newline="")
        yield (
            line,
            cells,
            DataFrame(latency, columns=["model", "runs", "seconds"]),
            DataFrame(opinions, columns=["model", "opinion", "ratings"]),
            gr.update(value=str(file)),
        )


# Models ------------------------------------------------------------------------------------------------------------


def model_rows(seconds: dict[tuple[str, str], float] | None = None) -> list[list[str]]:
    """A row for every method: name, task, score, and how long it takes where that was measured."""
    rows = []
    for method in restoration.methods():
        scores = run_of(method.name).get("scores") if method.learned else None
        score = "{psnr:.2f} dB, {set}".format(**typical_score(scores)) if scores else ""
        pace = (seconds or {}).get((method.task, method.name))
        rows.append([method.name, method.task, score, "" if pace is None else f"{pace:.2f} s"])
    return rows


@cache
def run_of(name: str) -> dict:
    """What is recorded of a trained model's training and scores."""
    return restoration.load(name).run


def picked_model(event: gr.SelectData) -> object:
    """The model of the row that was tapped, if it is a trained one."""
    name, task = event.row_value[:2]
    return f"{task}/{name}" if catalog.method(task, name).learned else gr.skip()


def typical_score(scores: list[dict]) -> dict:
    """The one in the middle of a model's scores."""
    return scores[(len(scores) - 1) // 2]


def about_model(name: str) -> str:
    """What there is to know of a trained model."""
    method = catalog.method(*name.split("/"))
    model = method.load()
    sources = model.run.get("data", {}).get("sources", {})
    scores = model.run.get("scores")
    lines = {
        "Good at": method.summary,
        "Not for": method.limits,
        "Score": measured(scores) if scores else "not scored yet",
        "Size": f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f} million parameters",
        "Trained on": "; ".join(card.SOURCES[source].title if source in card.SOURCES else source for source in sources),
        "Licence": card.licence(model.run),
        "Weights": str(weights.place(method.name)),
    }
    if owner := weights.namespace():
        lines["On the Hub"] = f"[{owner}/{method.name}](https://huggingface.co/{owner}/{method.name})"
    return "\n".join(f"- **{label}:** {text}" for label, text in lines.items())


def measured(scores: list[dict]) -> str:
    """A typical one of a model's scores, in words."""
    score = typical_score(scores)
    return f"{score['psnr']:.2f} dB on {score['set']}, {verdict(score)}"


def paces(progress=gr.Progress()) -> Generator:
    """The rows with how long every method but the prior takes here for a megapixel of its result, one by one."""
    seconds = {}
    offered = [method for method in restoration.methods() if not method.prior]
    with sentences():
        for number, method in enumerate(offered):
            progress((number, len(offered)), desc=method.title)
            seconds[method.task, method.name] = pace(method)
            yield model_rows(seconds)


def snippets(name: str, request: gr.Request | None = None) -> tuple[str, str, str, str]:
    """How to use a method from Python with the weights, from gradio_client, curl and JavaScript."""
    model = name.partition("/")[2]
    owner = weights.namespace()
    source = f"{owner}/{model}" if owner else model
    hint = "or add @revision" if owner else f'or "user/{model}@revision" on the Hub'
    base = str(request.request.base_url).rstrip("/") if request else "http://127.0.0.1:7860"
    kind = tasks.named(name.partition("/")[0])
    data = [AUTO if setting.default is None else setting.default for setting in kind.settings]
    file = '{"path":"\'$FILE\'","meta":{"_type":"gradio.FileData"}}'
    mask = '{"path":"\'$MASK\'","meta":{"_type":"gradio.FileData"}}'
    inputs = [file, *([mask] if kind.holes else []), *(json.dumps(value) for value in (model, *data, "png", 95))]
    upload = f"curl -s -F files=@{{}} {base}/gradio_api/upload | tr -d '[]\"'"
    call = f"{base}/gradio_api/call/{kind.name}"
    given = "image, mask" if kind.holes else "image"
    return (
        "from restoration import load, read\n\n"
        f'model = load("{source}")  # {hint}, or a folder\n'
        'image = read("photo.jpg").bytes(model.channels)[None] / 255  # (1, C, H, W) float32 in [0, 1]\n'
        + ('mask = read("mask.png").tensor().round()  # (1, 1, H, W), 1 = missing\n' if kind.holes else "")
        + f"restored = model.restore({given})\n",
        "from gradio_client import Client, handle_file\n\n"
        f'client = Client("{base}")\n'
        'path = client.predict(\n    image=handle_file("photo.jpg"),\n'
        + ('    mask=handle_file("mask.png"),\n' if kind.holes else "")
        + f'    model="{model}",\n    api_name="/{kind.name}",\n)\nprint(path)\n',
        f"FILE=$({upload.format('photo.jpg')})\n"
        + (f"MASK=$({upload.format('mask.png')})\n" if kind.holes else "")
        + f"EVENT=$(curl -s {call} -H 'Content-Type: application/json' \\\n"
        f"  -d '{{\"data\":[{','.join(inputs)}]}}' | cut -d'\"' -f4)\n"
        f"curl -sN {call}/$EVENT\n",
        'import { Client, handle_file } from "@gradio/client";\n\n'
        f'const app = await Client.connect("{base}");\n'
        f'const result = await app.predict("/{kind.name}", {{\n  image: handle_file("photo.jpg"),\n'
        + ('  mask: handle_file("mask.png"),\n' if kind.holes else "")
        + f'  model: "{model}",\n}});\nconsole.log(result.data[0].url);\n',
    )


# Layout -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tab:
    """What the rest of the page needs of a task's tab.

    Args:
        settings: the inputs that an address may set, by their name in it.
    """

    task: str
    source: gr.Image
    settings: dict[str, gr.components.Component]


def build() -> gr.Blocks:
    """The whole page."""
    with gr.Blocks(
        title="Image restoration", analytics_enabled=False, delete_cache=(SWEEP_SECONDS, KEEP_SECONDS)
    ) as page:
        gr.Markdown(INTRO)
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            parts: list[Tab] = []
            for title, task, draw in (
                ("Denoise", "denoise", denoise_tab),
                ("Artifacts", "artifacts", artifacts_tab),
                ("Upscale", "upscale", upscale_tab),
                ("Inpaint", "inpaint", inpaint_tab),
            ):
                with gr.Tab(title, id=task) as tab:
                    parts.append(draw())
                    share(parts[-1], tab)
            with gr.Tab("Models", id="models") as tab:
                chosen, blocks, table = models_tab()
            tab.select(None, None, None, js=ADDRESS % ('"models"', '["tab"]', "[]"))
            with gr.Tab("Performance", id="performance") as tab:
                performance_tab(tab)
        page.load(snippets, chosen, blocks, **QUIET)
        page.load(model_rows, None, table, **QUIET)
        found = [component for part in parts for component in part.settings.values()]

        def open_address(request: gr.Request) -> list:
            return from_address(parts, dict(request.query_params))

        opened_at = page.load(open_address, None, [tabs, *found], **QUIET)
        opened_at.then(None, None, None, js="() => { window.addressRead = true; }")
        gr.api(list_models, api_name="models")
    return page


def from_address(parts: list[Tab], wanted: dict[str, str]) -> list:
    """Which tab to open and with what settings, as the page's address says; what it says wrongly is passed over."""
    tab = wanted.get("tab")
    known = {part.task for part in parts} | {"models", "performance"}
    updates: list = [gr.Tabs(selected=tab) if tab in known else gr.skip()]
    for part in parts:
        for name, component in part.settings.items():
            value = allowed(component, wanted[name]) if part.task == tab and name in wanted else None
            updates.append(gr.skip() if value is None else gr.update(value=value))
    return updates


def allowed(component: gr.components.Component, text: str) -> object:
    """The value that a text stands for, if the component can have it; else None."""
    if isinstance(component, gr.Checkbox):
        return {"true": True, "false": False}.get(text)
    if isinstance(component, gr.Slider):
        with suppress(ValueError):
            value = float(text)
            return value if component.minimum <= value <= component.maximum else None
        return None
    choices = {str(value): value for _, value in component.choices}
    if component.elem_id == "upscale-scale":
        choices = {"2": 2, "3": 3, "4": 4}  # those of the moment depend on the model
    return choices.get(text)


# In the browser: what the address says of a tab and its settings.
ADDRESS = """(...values) => {
  if (!window.addressRead) return;
  const url = new URL(window.location.href);
  for (const key of [...url.searchParams.keys()]) if (!key.startsWith("__")) url.searchParams.delete(key);
  [%s, ...values].forEach((value, index) => url.searchParams.set(%s[index], value));
  window.history.replaceState(null, "", url);
  return %s;
}"""
SHARED = """((link) => {
  navigator.clipboard?.writeText(link).catch(() => {});
  return [link, `<iframe src="${link}" width="100%%" height="900" style="border: 0"></iframe>`];
})(url.href)"""


def share(tab: Tab, opened: gr.Tab) -> None:
    """Keep the address at this tab and its settings, with a button that copies it and the lines to embed it."""
    inputs = list(tab.settings.values())
    words = json.dumps(tab.task), json.dumps(["tab", *tab.settings])
    for event in (opened.select, *(component.change for component in inputs)):
        event(None, inputs, None, js=ADDRESS % (*words, "[]"))
    with gr.Accordion("Share these settings, never your picture", open=False):
        button = gr.Button("Copy the link", elem_id=f"{tab.task}-share")
        link = gr.Textbox(label="Link", interactive=False, buttons=["copy"], elem_id=f"{tab.task}-link")
        embed = gr.Textbox(label="For another site", interactive=False, lines=3, buttons=["copy"])
    button.click(None, inputs, [link, embed], js=ADDRESS % (*words, SHARED % ()))


def picture(task: str) -> UploadedImage:
    """The input of a tab."""
    source = UploadedImage(
        label="Your picture",
        sources=["upload", "clipboard"],
        type="filepath",
        image_mode=None,
        height=280,
        elem_id=f"{task}-input",
    )
    gr.Markdown("Tap a spot in it, and every model shows what it makes of that.", elem_classes="line")
    source.upload(displayable, source, source, **QUIET)
    return source


def show_examples(task: str, found: list[gallery.Example], outputs: list, values: Callable) -> None:
    """Pictures before and after; a tap loads the picture with settings that suit it.

    Args:
        values: the outputs' values for an example.
    """
    gr.Markdown("Or tap one of these, before on the left and after on the right:", elem_classes="line")
    shown = gr.Gallery(
        [(example.thumbnail, example.title) for example in found],
        label="Examples",
        show_label=False,
        columns=len(found) // 2 + len(found) % 2,
        height="auto",
        object_fit="cover",
        format="png",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id=f"{task}-examples",
        elem_classes="examples",
    )

    def load(event: gr.SelectData) -> tuple:
        return values(found[event.index])

    shown.select(load, None, outputs, **QUIET)


def control(kind: Task, setting: Setting, **layout: object) -> gr.Checkbox | gr.Slider:
    """The check box or slider of a setting."""
    layout |= {"label": setting.label, "info": setting.info}
    layout["elem_id"] = f"{kind.name}-{setting.public.rpartition('_')[2]}"
    if setting.kind is bool:
        return gr.Checkbox(setting.default, **layout)
    value = setting.start if setting.default is None else setting.shown * setting.default
    return gr.Slider(*setting.bounds, value, step=setting.step, **layout)


def pick(examples: list[str], source: gr.Image, label: str, elem_id: str) -> None:
    with gr.Column(elem_classes="clean", min_width=100):
        gr.Examples(examples, source, label=label, examples_per_page=20, elem_id=elem_id)


def comparison(label: str, elem_id: str) -> gr.ImageSlider:
    """A before/after slider that shows PNG files untouched."""
    return gr.ImageSlider(
        label=label,
        type="filepath",
        format="png",
        interactive=False,
        max_height=560,
        buttons=["fullscreen"],
        elem_id=elem_id,
    )


@dataclass(frozen=True)
class Results:
    """Where a tab shows what came of a run."""

    compare: gr.ImageSlider
    download: gr.DownloadButton
    receipt: gr.DownloadButton
    status: gr.Markdown
    rating: gr.Radio
    state: gr.State
    format: gr.Dropdown
    quality: gr.Slider

    @property
    def outputs(self) -> list[gr.components.Component]:
        """In the order of `show_done`."""
        return [self.compare, self.download, self.receipt, self.status, self.rating, self.state]

    @property
    def file(self) -> list[gr.components.Component]:
        return [self.format, self.quality]


def results(task: str, label: str, hint: str, between: Callable[[], object]) -> tuple[Results, object]:
    """The comparison with its line of facts, the downloads and the rating.

    Args:
        between: draws what comes above the file format; given back.
    """
    state = gr.State(None, time_to_live=KEEP_SECONDS)
    compare = comparison(label, f"{task}-compare")
    status = gr.Markdown(hint, elem_id=f"{task}-status", elem_classes=["line", "status"])
    drawn = between()
    with gr.Row():
        format = gr.Dropdown(
            [("PNG", "png"), ("JPEG", "jpeg"), ("WebP, lossless", "webp"), ("TIFF", "tiff")],
            value="png",
            label="File format",
            min_width=140,
            elem_id=f"{task}-format",
        )
        quality = gr.Slider(50, 100, 95, step=1, label="JPEG quality", visible=False, min_width=140)
    with gr.Row():
        download = gr.DownloadButton(
            "Download", interactive=False, variant="primary", elem_id=f"{task}-download", min_width=140, scale=2
        )
        receipt = gr.DownloadButton("Receipt", interactive=False, elem_id=f"{task}-receipt", min_width=100)
    format.change(lambda name: gr.Slider(visible=name == "jpeg"), format, quality, **QUIET)
    with gr.Accordion("Rate this result", open=False):
        rating = gr.Radio(
            [("Better than my picture", "better"), ("The same", "same"), ("Worse", "worse")],
            label="What do you think of it?",
            interactive=False,
            elem_id=f"{task}-rating",
        )
        comment = gr.Textbox(label="Why, in a few words (optional)", max_length=200, elem_id=f"{task}-comment")
        send = gr.Button("Send", elem_id=f"{task}-rate")
    send.click(rate, [state, rating, comment], rating, **PRIVATE)
    return Results(compare, download, receipt, status, rating, state, format, quality), drawn


def start_and_cancel(name: str, label: str) -> tuple[gr.Button, gr.Button]:
    with gr.Row():
        start = gr.Button(label, variant="primary", elem_id=f"{name}-run")
        cancel = gr.Button("Cancel", elem_id=f"{name}-cancel")
    return start, cancel


def trial(
    task: str,
    start: str,
    label: str,
    run: tuple[Callable, list],
    every: tuple[Callable, list],
    spot: list,
    *more: str,
) -> None:
    """The buttons of a trial and where it shows its pictures and their scores, PSNR, SSIM and more.

    Args:
        start: what the button says.
        label: of the pictures.
        run: the handler with the chosen model, and its inputs.
        every: the handler with all models, and its inputs.
        spot: where that shows what they made.
    """
    buttons = start_and_cancel(f"{task}-trial", start)
    all_models = gr.Button("Try every model on its middle", elem_id=f"{task}-trial-all")
    pair = comparison(label, f"{task}-pair")
    table = gr.Dataframe(
        headers=["", "PSNR", "SSIM", *more],
        datatype="str",
        interactive=False,
        label="Against the original",
        elem_id=f"{task}-scores",
    )
    run_on_click(buttons, *run, [pair, table])
    all_models.click(*every, spot, **ONE_AT_A_TIME, **PRIVATE)


def bakery(task: str, model: gr.Dropdown) -> list:
    """Where the patches of a bake-off are shown, and the names of the methods that made them; a tap chooses."""
    shown = gr.Gallery(
        label="The spot by every model: tap the best to choose it",
        show_label=False,
        columns=3,
        height="auto",
        object_fit="contain",
        format="png",
        allow_preview=False,
        interactive=False,
        visible=False,
        buttons=[],
        elem_id=f"{task}-bakery",
        elem_classes="bakery",
    )
    names = gr.State([])

    def choose(made_by: list[str], event: gr.SelectData) -> object:
        return winner(task, made_by, event.index)

    shown.select(choose, names, model, **QUIET)
    return [shown, names]


def many_files(task: str, function: Callable, inputs: list[gr.components.Component], hint: str = "") -> None:
    """An accordion that does to many files what the tab does to one."""
    with gr.Accordion("Many files at once", open=False):
        gr.Markdown(f"All files get the settings above. {hint}A file that cannot be read is a row with its reason.")
        files = gr.File(label="Files", file_count="multiple", type="filepath", elem_id=f"{task}-files")
        buttons = start_and_cancel(f"{task}-batch", "Restore all")
        table = gr.Dataframe(
            headers=["File", "Result", "What was done"],
            datatype="str",
            interactive=False,
            wrap=True,
            elem_id=f"{task}-report",
        )
        results = gr.File(label="Results", file_count="multiple", interactive=False, elem_id=f"{task}-results")
        zipped = gr.DownloadButton("Download all", interactive=False, variant="primary", elem_id=f"{task}-zip")
    run_on_click(buttons, function, [files, *inputs], [table, results, zipped])


def api(kind: Task) -> None:
    """The endpoint of a task, with inputs of its own, of which nothing is drawn."""
    with gr.Row(visible=False):
        inputs = [gr.File(type="filepath", label=name) for name in ("image", "mask")[: 1 + kind.holes]]
        inputs.append(gr.Textbox(catalog.method(kind.name, "").name, label="model"))
        for setting in kind.settings:
            if setting.default is None:
                inputs.append(gr.Textbox(AUTO, label=setting.public))
            else:
                field = gr.Checkbox if setting.kind is bool else gr.Number
                inputs.append(field(setting.default, label=setting.public))
        inputs += [gr.Textbox("png", label="format"), gr.Number(95, label="jpeg_quality")]
        result = gr.File(label="result")
        gr.Button().click(endpoint(kind), inputs, result, api_name=kind.name, **ONE_AT_A_TIME)


def run_on_click(
    buttons: tuple[gr.Button, gr.Button],
    function: Callable,
    inputs: list[gr.components.Component],
    outputs: list[gr.components.Component],
    status: gr.Markdown | None = None,
) -> Dependency:
    """Start and Cancel of a job; one runs at a time.  Progress shows on the status line, or else the first output."""
    start, cancel = buttons
    on = [status or outputs[0]]
    running = start.click(function, inputs, outputs, show_progress_on=on, **ONE_AT_A_TIME, **PRIVATE)
    said = (lambda: "Cancelled.", None, status) if status else (None,)
    cancel.click(*said, cancels=[running], queue=False, **PRIVATE)
    return running


def follow(components: list[gr.components.Component], function: Callable, inputs: list, outputs: list) -> None:
    """Call a quick function whenever one of the components changes."""
    for component in components:
        component.change(function, inputs, outputs, trigger_mode="always_last", **QUIET)


def forget(source: gr.Image, hint: str, shown: Results, running: Dependency, *more: gr.components.Component) -> None:
    """Clear what was shown, and stop what is running, when another picture comes; `more` are what a tab has besides.

    To be called before anything else follows the picture: the browser sends one event after the other, and nobody
    should be able to start a run on the new picture before this one.
    """
    off = gr.update(value=None, interactive=False)
    nothing = (None, off, off, hint, off, None, *(off for _ in more))
    source.change(lambda: nothing, None, [*shown.outputs, *more], cancels=[running], queue=False, **QUIET)


def blendable_tab(
    name: str,
    start: str,
    handlers: tuple[Callable, Callable, Callable, Callable],
) -> tuple[Tab, list]:
    """Picture, model, level and strength with their events and the endpoint; gives also where bake-offs are shown.

    Args:
        start: what the button says.
        handlers: what is known of a file, the run on the page, the bake-off, and many files.
    """
    about, run, bake_spot, batch = handlers
    kind = tasks.named(name)
    level, blending = kind.settings
    offered = restoration.methods(name)
    first = offered[0].name
    with gr.Row():
        with gr.Column(min_width=320):
            source = picture(name)
            known = gr.Markdown(elem_id=f"{name}-facts", elem_classes="line")
            examples = gr.Column(min_width=100)
            choices = [(method.title, method.name) for method in offered]
            model = gr.Dropdown(choices, value=first, label="Model", elem_id=f"{name}-model")
            advice = gr.Markdown(guide(name, first), elem_classes="line")
            auto = gr.Checkbox(True, label=level.automatic, elem_id=f"{name}-auto")
            slider = control(kind, level, visible=False)
            takes = gr.Markdown(elem_id=f"{name}-takes", elem_classes="line")
            buttons = start_and_cancel(name, start)
            spot = bakery(name, model)
        with gr.Column(min_width=320):
            shown, strength = results(name, "Before and after", HINT, lambda: control(kind, blending))
    with examples:
        show_examples(
            name,
            gallery.examples(name),
            [source, model, auto],
            lambda example: (example.picture, example.order.model, True),
        )
    chosen = [model, auto, slider, strength]
    many_files(name, batch, [*chosen, *shown.file])
    running = run_on_click(buttons, run, [source, *chosen, *shown.file], shown.outputs, shown.status)
    forget(source, HINT, shown, running)
    source.change(about, source, known, **QUIET)
    source.select(bake_spot, [source, auto, slider], spot, **ONE_AT_A_TIME, **PRIVATE)
    model.change(lambda model: guide(name, model), model, advice, **QUIET)
    follow([source, model], partial(expected, name), [source, model], takes)
    auto.change(lambda on: gr.Slider(visible=not on), auto, slider, **QUIET)
    follow([strength, *shown.file], show_blended, [shown.state, strength, *shown.file], shown.outputs)
    api(kind)
    names = ("model", "auto", level.public, blending.public)
    return Tab(name, source, dict(zip(names, chosen, strict=True))), spot


def denoise_tab() -> Tab:
    handlers = (denoise_facts, run_denoise, bake_denoise, batch_denoise)
    tab, spot = blendable_tab("denoise", "Denoise", handlers)
    model, auto = tab.settings["model"], tab.settings["auto"]
    with gr.Accordion("Test a model: add noise to a clean picture and score the result", open=False):
        gr.Markdown(
            "Takes your picture as clean, adds noise to its middle (at most 1024 × 1024 px), removes it with the model "
            "chosen above and compares both with the original. PSNR and SSIM say how near a picture is to the "
            "original; higher is better. Your own download is not touched."
        )
        pick(gallery.clean(), tab.source, "Clean pictures", "denoise-clean-examples")
        with gr.Row():
            kind = gr.Dropdown(list(NOISES), value=next(iter(NOISES)), label="Noise", min_width=140)
            level = gr.Slider(1, MAX_SIGMA_255, 25, step=1, label="Level", min_width=140)
            seed = gr.Number(0, label="Seed", precision=0, min_width=100)
        noise = [kind, level, seed]
        run, every = (try_noise, [tab.source, model, auto, *noise]), (bake_noise, [tab.source, *noise])
        trial("denoise", "Add noise and denoise", "With noise and denoised", run, every, spot)
    return tab


def artifacts_tab() -> Tab:
    handlers = (artifacts_facts, run_artifacts, bake_artifacts, batch_artifacts)
    tab, spot = blendable_tab("artifacts", "Remove artifacts", handlers)
    model, auto = tab.settings["model"], tab.settings["auto"]
    with gr.Accordion("Test a model: compress a clean picture and score the result", open=False):
        gr.Markdown(
            "Takes your picture as clean, saves its middle (at most 1024 × 1024 px) as a JPEG, removes the artifacts "
            "with the model chosen above and compares both with the original. PSNR and SSIM say how near a picture is "
            "to the original, PSNR-B counts visible block edges as errors too; higher is better. Your own download is "
            "not touched."
        )
        pick(gallery.clean(), tab.source, "Clean pictures", "artifacts-clean-examples")
        chosen = gr.Slider(artifacts.LOWEST, artifacts.HIGHEST, 20, step=1, label="Quality to compress with")
        run, every = (try_compression, [tab.source, model, auto, chosen]), (bake_jpeg, [tab.source, chosen])
        trial("artifacts", "Compress and clean", "Compressed and cleaned", run, every, spot, "PSNR-B")
    return tab


def upscale_tab() -> Tab:
    kind, families = tasks.named("upscale"), catalog.families("upscale")
    first = next(iter(families))
    scales, blends, advised = chosen_family(first, 4)
    with gr.Row():
        with gr.Column(min_width=320):
            source = picture("upscale")
            known = gr.Markdown(elem_id="upscale-facts", elem_classes="line")
            examples = gr.Column(min_width=100)
            model = gr.Dropdown(
                [(siblings[0].title, family) for family, siblings in families.items()],
                value=first,
                label="Model",
                elem_id="upscale-model",
            )
            advice = gr.Markdown(advised, elem_classes="line")
            scale = gr.Radio(scales["choices"], value=scales["value"], label="Enlarge", elem_id="upscale-scale")
            alpha = control(kind, kind.settings[1], visible=blends["visible"])
            stay_true = control(kind, kind.settings[2])
            takes = gr.Markdown(elem_id="upscale-takes", elem_classes="line")
            buttons = start_and_cancel("upscale", "Upscale")
            spot = bakery("upscale", model)
        with gr.Column(min_width=320):
            shown, _ = results("upscale", "Bicubic and this model, at the new size", UPSCALE_HINT, lambda: None)
            with gr.Accordion("Where was detail invented?", open=False):
                gr.Markdown(
                    "The result is reduced to your photo's size again and compared with it. Above 45 dB nothing in it "
                    "contradicts your photo; under 35 dB parts of it do. Black: matches; through red to white: differs "
                    "by 16 of 255 levels or more.",
                    elem_classes="line",
                )
                heat = gr.Image(
                    label="Differences from your photo",
                    type="filepath",
                    format="png",
                    interactive=False,
                    height=280,
                    buttons=["fullscreen"],
                    elem_id="upscale-heat",
                )
    with examples:
        show_examples(
            "upscale",
            gallery.examples("upscale"),
            [source, model, scale],
            lambda example: (example.picture, example.order.method.family, example.order.method.scale),
        )
    chosen = [model, scale, alpha, stay_true]
    many_files("upscale", batch_upscale, [*chosen, *shown.file])
    with gr.Accordion("Test a model: reduce a sharp picture, enlarge it again and score the result", open=False):
        gr.Markdown(
            "Takes the middle of your picture (at most 1024 × 1024 px), reduces it bicubically, enlarges it with the "
            "settings chosen above and compares luma with the original. PSNR and SSIM say how near a picture is to "
            "the original; higher is better. Your own download is not touched."
        )
        pick(gallery.clean(), source, "Sharp pictures", "upscale-sharp-examples")
        run, every = (try_reduction, [source, *chosen]), (bake_reduction, [source, scale])
        trial("upscale", "Reduce and enlarge", "Bicubic and this model", run, every, spot)

    outputs = [*shown.outputs, heat]
    running = run_on_click(buttons, run_upscale, [source, *chosen, *shown.file], outputs, shown.status)
    forget(source, UPSCALE_HINT, shown, running, heat)
    source.select(bake_upscale, [source, scale], spot, **ONE_AT_A_TIME, **PRIVATE)
    model.change(chosen_family, [model, scale], [scale, alpha, advice], **QUIET)
    scale.change(lambda *chosen: guide("upscale", *chosen), [model, scale], advice, **QUIET)
    follow([source, model, scale], upscale_facts, [source, model, scale], known)
    follow([source, model, scale], partial(expected, "upscale"), [source, model, scale], takes)
    follow([stay_true, *shown.file], show_upscaled, [shown.state, stay_true, *shown.file], outputs)
    api(kind)
    return Tab("upscale", source, {"model": model, "scale": scale, "alpha": alpha, "stay_true": stay_true})


def inpaint_tab() -> Tab:
    kind, offered = tasks.named("inpaint"), restoration.methods("inpaint")
    first = offered[0].name
    with gr.Row():
        with gr.Column(min_width=320):
            source = picture("inpaint")
            known = gr.Markdown(elem_id="inpaint-facts", elem_classes="line")
            examples = gr.Column(min_width=100)
            editor = gr.ImageEditor(
                label="Paint over what should go",
                type="filepath",
                sources=(),
                transforms=(),
                layers=False,
                brush=gr.Brush(default_size=24, colors=["#ffffff"], default_color="#ffffff", color_mode="fixed"),
                eraser=gr.Eraser(default_size=24),
                format="png",
                buttons=["fullscreen"],
                elem_id="inpaint-editor",
            )
            with gr.Accordion("Other masks, and their edges", open=False):
                uploaded = UploadedImage(
                    label="A mask of any size: white is missing",
                    sources=["upload", "clipboard"],
                    type="filepath",
                    image_mode=None,
                    height=160,
                    elem_id="inpaint-mask",
                )
                transparent = gr.Checkbox(False, label="Transparent pixels are the hole", elem_id="inpaint-transparent")
                invert, grow, feather = (control(kind, setting) for setting in kind.settings[:3])
                look = gr.Button("Show the mask", elem_id="inpaint-look")
                mask = gr.Image(
                    label="White is filled; the download is the mask",
                    type="filepath",
                    format="png",
                    interactive=False,
                    height=200,
                    buttons=["download", "fullscreen"],
                    elem_id="inpaint-shown-mask",
                )
            model = gr.Dropdown(
                [(method.title, method.name) for method in offered], value=first, label="Model", elem_id="inpaint-model"
            )
            advice = gr.Markdown(guide("inpaint", first), elem_classes="line")
            texture = control(kind, kind.settings[3])
            takes = gr.Markdown(elem_id="inpaint-takes", elem_classes="line")
            buttons = start_and_cancel("inpaint", "Fill")
            spot = bakery("inpaint", model)
        with gr.Column(min_width=320):

            def go_on_button() -> gr.Button:
                return gr.Button("Go on from this result", interactive=False, elem_id="inpaint-again")

            shown, again = results("inpaint", "Before and after", HINT, go_on_button)
    with examples:
        show_examples(
            "inpaint",
            gallery.examples("inpaint"),
            [source, uploaded],
            lambda example: (example.picture, example.mask),
        )
    many_files(
        "inpaint",
        batch_inpaint,
        [model, editor, uploaded, invert, grow, feather, texture, *shown.file],
        "The mask that you gave or painted is brought to the size of each; without one transparent pixels are filled. ",
    )
    outputs = [*shown.outputs, again]
    marked = [editor, uploaded, transparent]
    choices = [*marked, invert, grow, feather]
    running = run_on_click(buttons, run_inpaint, [source, model, *choices, texture, *shown.file], outputs, shown.status)
    forget(source, HINT, shown, running)
    source.change(lambda: gr.update(interactive=False), None, again, **QUIET)
    source.upload(own_mask, uploaded, uploaded, **QUIET)
    source.change(inpaint_facts, source, known, **QUIET)
    source.change(canvas, source, editor, **QUIET)
    source.select(bake_inpaint, [source, *marked], spot, **ONE_AT_A_TIME, **PRIVATE)
    model.change(lambda name: guide("inpaint", name), model, advice, **QUIET)
    follow([source, model], partial(expected, "inpaint"), [source, model], takes)
    look.click(show_mask, [source, *choices], mask, **PRIVATE)
    follow(shown.file, show_done, [shown.state, *shown.file], outputs)
    again.click(go_on, shown.state, source, **QUIET)
    again.click(lambda: (None, False), None, [uploaded, transparent], **QUIET)
    api(kind)
    edges = {"invert": invert, "grow": grow, "feather": feather}
    return Tab("inpaint", source, {"model": model, **edges, "texture": texture})


def models_tab() -> tuple[gr.Dropdown, list[gr.Code], gr.Dataframe]:
    """Gives the picker, and the code blocks and the table, which are filled when the page is loaded."""
    names = [f"{method.task}/{method.name}" for method in restoration.methods() if method.learned]
    with gr.Row():
        with gr.Column(min_width=320):
            chosen = gr.Dropdown(names, value=names[0], label="A model, to use in your own programs too")
            about = gr.Markdown(about_model(names[0]), elem_id="models-about")
            blocks = []
            for label, language in (
                ("Python", "python"), ("gradio_client", "python"), ("curl", "shell"), ("JavaScript", "javascript"),
            ):  # fmt: skip
                with gr.Tab(label):
                    elem_id = f"models-{label.lower()}"
                    blocks.append(gr.Code(language=language, interactive=False, wrap_lines=True, elem_id=elem_id))
        with gr.Column(min_width=320):
            buttons = start_and_cancel("models", "Measure the speed here")
            table = gr.Dataframe(
                headers=["Model", "Task", "Score", "1 MP takes"],
                column_widths=["32%", "20%", "28%", "20%"],
                datatype="str",
                interactive=False,
                wrap=True,
                max_height=620,
                elem_id="models-table",
            )
    chosen.change(snippets, chosen, blocks, **QUIET)
    chosen.change(about_model, chosen, about, **QUIET)
    table.select(picked_model, None, chosen, **QUIET)
    run_on_click(buttons, paces, [], [table])
    return chosen, blocks, table


def performance_tab(tab: gr.Tab) -> None:
    """What ran here so far; read anew whenever the tab is opened."""
    gr.Markdown(
        "What ran here so far. Kept are task, model, sizes, settings, seconds, outcome and ratings; never a picture, "
        "its name or who sent it."
    )
    line = gr.Markdown(elem_id="performance-line")
    with gr.Row():
        latency = gr.BarPlot(
            x="model", y="seconds", color="runs", title="Seconds of a run", x_label_angle=-40, height=320
        )
        opinions = gr.BarPlot(x="model", y="ratings", color="opinion", title="Ratings", x_label_angle=-40, height=320)
    table = gr.Dataframe(
        headers=["Model", "Task", "Size", "Runs", "Failed", "Cancelled", "Median s", "90 % s", "99 % s", "+ / = / −"],
        interactive=False,
        elem_id="performance-table",
    )
    csv = gr.DownloadButton("Download as CSV", elem_id="performance-csv")
    tab.select(performance, None, [line, table, latency, opinions, csv], **QUIET)
    tab.select(None, None, None, js=ADDRESS % ('"performance"', '["tab"]', "[]"))


# Start ----------------------------------------------------------------------------------------------------------------


def bound_waiting(page: gr.Blocks) -> None:
    """Let at most `WAITING` runs wait for the model, and tell whoever comes then when to try again.

    Gradio's own limit counts what needs no model too, and does not say how long.
    """
    queue, push = page._queue, page._queue.push

    async def bounded(body, request, username):
        function = page.fns.get(body.fn_index)
        waiting = queue.event_queue_per_concurrency_id.get(ONE_AT_A_TIME["concurrency_id"])
        needs_model = function is not None and function.concurrency_id == ONE_AT_A_TIME["concurrency_id"]
        if not needs_model or waiting is None or len(waiting.queue) < WAITING:
            return await push(body, request, username)
        known = [queue.process_time_per_fn[event.fn].avg_time for event in waiting.queue]
        seconds = max(5, round(sum(known) / 2))  # half of the queue, so that whoever tries again finds a place
        sentence = f"{len(waiting.queue)} runs are waiting already; try again in about {duration(seconds)}."
        # A browser shows the sentence for any status but 503, for which it has one of its own.
        browser = "Mozilla" in (request.headers.get("user-agent") or "")
        return False, sentence, "error" if browser else "queue_full"

    queue.push = bounded


class BoundedBody:
    """Refuses requests over `UPLOAD_LIMIT`, but for uploads, whose files gradio itself bounds one by one."""

    def __init__(self, server: ASGIApp):
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith("/upload"):
            return await self.server(scope, receive, send)
        announced, taken = int(Headers(scope=scope).get("content-length", 0)), 0

        async def bounded() -> Message:
            nonlocal taken
            if max(announced, taken) > UPLOAD_LIMIT:
                raise HTTPException(413, f"At most {UPLOAD_LIMIT >> 20} MB can be sent at once.")
            message = await receive()
            taken += len(message.get("body", b""))
            return message

        await self.server(scope, bounded, send)


class QuietStreams:
    """Ends without a traceback the stream of a session that is no more; gradio tells the visitor in the stream."""

    def __init__(self, server: ASGIApp):
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.server(scope, receive, send)
        except RuntimeError as error:  # an answer had begun, and no other can be given
            if not isinstance(error.__cause__, HTTPException):
                raise
            await send({"type": "http.response.body"})


def gone(request: Request, error: Exception) -> Response:
    """The answer to a visitor who left in the middle of an upload: nobody hears it, and nothing is logged."""
    return Response(status_code=499)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python app.py", description="Start the page.")
    parser.add_argument("--share", action="store_true", help="also at a public gradio.live address for a while")
    parser.add_argument("--mcp", action="store_true", help="also as an MCP server; needs gradio[mcp]")
    arguments = parser.parse_args(argv)
    if arguments.mcp and find_spec("mcp") is None:
        parser.error("--mcp needs the package mcp: pip install 'gradio[mcp]'")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    logging.basicConfig(level=logging.WARNING)
    catalog.prepare()
    open_records()
    if "GRADIO_TEMP_DIR" not in os.environ:
        os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="restoration-")
        atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)
    threading.Thread(target=keep_sweeping, args=(Path(os.environ["GRADIO_TEMP_DIR"]),), daemon=True).start()
    page = build()
    page.queue(max_size=10 * WAITING)
    bound_waiting(page)
    page.launch(
        share=arguments.share,
        mcp_server=arguments.mcp,
        max_file_size=UPLOAD_LIMIT,
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        ssr_mode=False,
        footer_links=["api"],
        css=CSS,
        head=HEAD,
        theme=THEME,
        app_kwargs={
            "exception_handlers": {ClientDisconnect: gone},
            "middleware": [Middleware(BoundedBody), Middleware(QuietStreams)],
        },
    )
    RECORDS.close()


def open_records() -> None:
    """Keep records in the file that `RESTORATION_RECORDS` names, by default in the user's cache, and mirror them."""
    global RECORDS
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "restoration"
    file = Path(os.environ.get("RESTORATION_RECORDS") or folder / "records.sqlite")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
    RECORDS = Records(file)
    repo, token = os.environ.get("RESTORATION_RECORDS_REPO"), os.environ.get("HF_TOKEN")
    if repo and token:  # the Hub may take its time
        threading.Thread(target=mirror, args=(file, repo, token), daemon=True).start()


if __name__ == "__main__":
    main()
