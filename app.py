"""The page: a tab for each task, its handlers as plain generators, its messages.  `python app.py` starts it.

Every handler calls the same functions as the command line; nothing here touches a pixel.
"""

import html
import json
import logging
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

# Threads that wait for each other by spinning are a hundred times slower than one when the machine has other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    import spaces  # on a ZeroGPU Space; it has to come before anything that might start CUDA
except ImportError:
    spaces = None

import gradio as gr

import restoration
from restoration import artifacts, card, catalog, denoising, gallery, inpainting, metrics, upscaling, weights
from restoration.artifacts import Cleaned, compression_trial, measured_quality, remove_artifacts
from restoration.card import verdict
from restoration.catalog import Task
from restoration.denoising import MAX_SIGMA_255, NOISES, Restored, denoise, measured_sigma, noise_trial
from restoration.image import (
    FORMATS,
    Image,
    ImageError,
    encode,
    enlarged,
    fitted,
    output_name,
    read,
    to_8_bit,
    visible_colours,
    write,
)
from restoration.inpainting import Inpainted, Mask, adjusted, inpaint, mask_from, mask_image, transparent_pixels, union
from restoration.job import Score, gpu_seconds, hand_over, pace
from restoration.upscaling import DEFAULT_ALPHA, Upscaled, corrected, output_size, reduction_trial, upscale

UPLOAD_LIMIT = "64mb"
KEEP_SECONDS = 1800  # files and results of a visitor are deleted after this time
PAINTED_SIDE = 1024  # the longer side of the picture that is painted on
CLEAN_BELOW_255 = 4  # a measured noise level under which denoising can only lose detail
NOISY_ABOVE_255 = 12  # a measured noise level above which a picture cannot pass for clean
BLOCKY_BELOW = 75  # a JPEG quality below which artifacts are likely to be seen
SOUND_FROM = 90  # a JPEG quality from which removing them can only lose detail

CSS = """
footer { margin-top: 1rem; }
.line p { margin: 0.2rem 0; }
.status { min-height: 5rem; }
.gradio-container { max-width: 1280px !important; }
#models-table td, #models-table th { font-family: inherit; font-size: 0.85rem; }
.examples .gallery-item { width: 60px; height: 60px; }
@media (max-width: 480px) { .tab-container button { padding: 0 0.25rem !important; font-size: 0.85rem !important; } }
"""
INTRO = """# Image restoration
Removes noise and JPEG artifacts from photos, scans, X-rays and CT slices, enlarges pictures and fills holes. Bit depth,
transparency and colours stay.
Your files are deleted within 30 minutes.
"""
HINT = "Drag the handle to compare: before on the left, after on the right."
UPSCALE_HINT = "Drag the handle to compare: plain bicubic enlargement on the left, the model's on the right."
PRIVATE = {"api_visibility": "private"}
QUIET = {"show_progress": "hidden", **PRIVATE}
ONE_AT_A_TIME = {"concurrency_limit": 1, "concurrency_id": "model"}


if spaces:
    hand_over(spaces.GPU(duration=gpu_seconds))


class UploadedImage(gr.Image):
    """An image input that hands over the uploaded file as it is: `restoration.image` alone decodes."""

    is_template = True

    def preprocess(self, payload):
        return None if payload is None else payload.path


# What every tab's handlers share -------------------------------------------------------------------------------------


@contextmanager
def sentences() -> Iterator[None]:
    """Turn every failure into one sentence on the page."""
    try:
        yield
    except (ImageError, ValueError, MemoryError) as error:
        raise gr.Error(html.escape(str(error)) or "There is not enough memory.", print_exception=False) from None
    except (gr.Error, GeneratorExit):
        raise
    except Exception:
        logging.exception("a handler failed")
        raise gr.Error("Something went wrong here; try another picture or model.", print_exception=False) from None


def opened(path: str | None) -> Image:
    if not path:
        raise gr.Error("Choose an image first.", print_exception=False)
    return read(path)


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


def guide(task: Task, name: str, scale: int | None = None) -> str:
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


def written(folder: str, image: Image, suffix: str, format: str, quality: float) -> Path:
    """The result's file, in `folder`."""
    file = Path(folder) / output_name(image, suffix, format)
    file.write_bytes(encode(image, format, round(quality)))
    return file


def compared(folder: str, before: bytes, image: Image, suffix: str, format: str, quality: float) -> tuple:
    """What the slider and the download button show of a result: files in `folder`."""
    file = written(folder, image, suffix, format, quality)
    first = Path(folder) / f"{image.name}_before.png"
    first.write_bytes(before)
    second = file
    if format != "png" or image.bits == 16:
        second = Path(folder) / f"{image.name}_after.png"
        second.write_bytes(preview(image))
    return (str(first), str(second)), gr.update(value=str(file), interactive=True)


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


def number(value: object, name: str) -> float:
    """A number from the API, or a sentence."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is a number.") from None


def checked_format(format: str) -> str:
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}.")
    return format


def as_file(image: Image, suffix: str, format: str, quality: float) -> Generator:
    """The API's answer: the image's file."""
    with tempfile.TemporaryDirectory() as folder:
        yield str(written(folder, image, suffix, format, quality))


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


# Denoise and artifacts ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blendable:
    """What a visitor's last run left on the server, so that strength and format move without the model.

    Args:
        told: the noise level or quality, in words.
        suffix: of the result's file name.
        before: the input as PNG, for the slider.
    """

    restored: Restored | Cleaned
    told: str
    suffix: str
    before: bytes


def show_blended(result: Blendable | None, strength: float, format: str, quality: float) -> Generator:
    """The comparison, the file, a line of facts and the state, blended at `strength` percent; runs no model."""
    if result is None:
        yield unchanged(4)
        return
    restored = result.restored
    with sentences(), tempfile.TemporaryDirectory() as folder:
        image = restored.image(strength / 100)
        status = (
            f"**{restored.method.title}** · {restored.seconds:.1f} s · {image.width} × {image.height} px · "
            f"{result.told} · strength {strength:g} %"
        )
        yield *compared(folder, result.before, image, result.suffix, format, quality), status, result


def run_blendable(
    image: Image,
    job: Generator,
    told: Callable[[object], str],
    suffix: str,
    output: tuple[float, str, float],
    progress: gr.Progress,
) -> Generator:
    """Run a job whose result is blended; yields after every tile, so that Cancel stops it there.

    Args:
        told: the noise level or quality of what the job returns, in words.
        output: strength in percent, format and JPEG quality.
    """
    before = preview(image)

    def show(restored: Restored | Cleaned) -> Generator:
        return show_blended(Blendable(restored, told(restored), suffix, before), *output)

    restored = yield from stepped(job, progress, 4, show)
    progress(1, desc="Writing the file")
    yield from show(restored)


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

    def told(restored: Restored) -> str:
        return f"{'measured noise level' if restored.measured else 'noise level'} {255 * restored.sigma:.1f}"

    with sentences():
        image = opened(path)
        job = denoise(image, model, None if auto else sigma_255 / 255)
        yield from run_blendable(image, job, told, denoising.SUFFIX, (strength, format, quality), progress)


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
        image = opened(path)
        job = remove_artifacts(image, model, None if auto else round(jpeg_quality))
        output = (strength, format, quality)
        yield from run_blendable(image, job, lambda c: str(c.quality), artifacts.SUFFIX, output, progress)


def try_noise(
    path: str | None, model: str, auto: bool, kind: str, level: float, seed: float, progress=gr.Progress()
) -> Generator:
    """Add noise to a clean picture, denoise it and score both against the original."""
    with sentences():
        clean = opened(path)
        if 255 * measured_sigma(clean) > NOISY_ABOVE_255:
            gr.Warning("This picture has noise of its own, so the scores mislead; choose a clean one.")
        trial = noise_trial(clean, kind, level, int(seed or 0), model, auto)
        outcome = yield from stepped(trial, progress, outputs=2)
        with tempfile.TemporaryDirectory() as folder:
            pair, _ = compared(folder, preview(outcome.noisy), outcome.restored, denoising.SUFFIX, "png", 95)
            yield pair, score_rows({"With noise": outcome.before, "Denoised": outcome.after})


def try_compression(path: str | None, model: str, auto: bool, jpeg_quality: float, progress=gr.Progress()) -> Generator:
    """Compress a clean picture, remove the artifacts and score both against the original."""
    with sentences():
        clean = opened(path)
        if measured_quality(clean).value is not None:
            gr.Warning("This picture has JPEG artifacts of its own, so the scores mislead; choose a clean one.")
        trial = compression_trial(clean, round(jpeg_quality), model, auto)
        outcome = yield from stepped(trial, progress, outputs=2)
        with tempfile.TemporaryDirectory() as folder:
            pair, _ = compared(folder, preview(outcome.compressed), outcome.restored, artifacts.SUFFIX, "png", 95)
            yield pair, score_rows({"JPEG": outcome.before, "Cleaned": outcome.after})


def denoise_file(
    image: str,
    model: str = "drunet-fast",
    sigma: str = "auto",
    strength: float = 1.0,
    format: str = "png",
    jpeg_quality: float = 95,
    progress=gr.Progress(),
) -> Generator:
    """Denoise an image file.

    model: a name from /models; sigma: "auto" or the noise level from 0 to 100 in 8-bit units; strength: 0 to 1;
    format: png, jpeg, webp or tiff; jpeg_quality: of the result if it is a JPEG.  The bytes equal those of the
    command line.
    """
    with sentences():
        level = None if str(sigma).strip() == "auto" else number(sigma, 'sigma is "auto" or') / 255
        strength, quality, format = (
            number(strength, "strength"),
            number(jpeg_quality, "jpeg_quality"),
            checked_format(format),
        )
        restored = yield from stepped(denoise(opened(image), model, level), progress, outputs=1)
        yield from as_file(restored.image(strength), denoising.SUFFIX, format, quality)


def artifacts_file(
    image: str,
    model: str = "drunet-jpeg",
    quality: str = "auto",
    strength: float = 1.0,
    format: str = "png",
    jpeg_quality: float = 95,
    progress=gr.Progress(),
) -> Generator:
    """Remove the JPEG artifacts of an image file.

    model: a name from /models; quality: "auto" or the quality from 5 to 95 that the image was saved with; strength:
    0 to 1; format: png, jpeg, webp or tiff; jpeg_quality: of the result if it is a JPEG.  The bytes equal those of the
    command line.
    """
    with sentences():
        known = None if str(quality).strip() == "auto" else round(number(quality, 'quality is "auto" or'))
        strength, format = number(strength, "strength"), checked_format(format)
        cleaned = yield from stepped(remove_artifacts(opened(image), model, known), progress, outputs=1)
        yield from as_file(cleaned.image(strength), artifacts.SUFFIX, format, number(jpeg_quality, "jpeg_quality"))


# Upscale ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Enlarged:
    """What a visitor's last run left on the server: the result as the model made it, and pulled back to the photo."""

    plain: Upscaled
    true: Upscaled | None
    before: bytes  # the input enlarged bicubically, as PNG, for the slider


def upscale_facts(path: str | None, model: str, scale: int | None) -> str:
    """What is known of an uploaded file before anything is run, the size of the result above all."""

    def about(image: Image) -> tuple[list[str], list[str]]:
        width, height = output_size(image, catalog.method("upscale", model, scale).scale)
        level = 255 * measured_sigma(image)
        noisy = [f"The picture is noisy (measured level {level:.0f}), and noise grows with it: denoise it first."]
        size = f"**becomes {width} × {height} px** ({width * height / 1e6:.1f} megapixels)"
        return [size], noisy if level > NOISY_ABOVE_255 else []

    return facts(path, about)


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
    """Enlarge the upload; yields after every tile, so that Cancel stops it there."""
    with sentences():
        image = opened(path)
        scale = catalog.method("upscale", model, scale).scale
        output_size(image, scale)
        before = preview(enlarged(visible_colours(image), scale))

        def show(plain: Upscaled, stay_true: bool = False) -> Generator:
            return show_upscaled(Enlarged(plain, None, before), stay_true, format, quality, progress)

        plain = yield from stepped(upscale(image, model, scale, alpha=alpha), progress, 5, show)
        yield from show(plain, stay_true)


def show_upscaled(
    result: Enlarged | None, stay_true: bool, format: str, quality: float, progress=gr.Progress()
) -> Generator:
    """The comparison, the file, a line of facts, the heat map and the state; runs no model."""
    if result is None:
        yield unchanged(5)
        return
    with sentences(), tempfile.TemporaryDirectory() as folder:
        if stay_true and result.true is None:
            result = replace(result, true=(yield from stepped(corrected(result.plain), progress, outputs=5)))
        progress(1, desc="Writing the file")
        shown = result.true if stay_true else result.plain
        image = shown.image()
        original = shown.canvas.original
        match = shown.faithfulness
        agreement = "reduced again, it is" if match.psnr == float("inf") else "matches your photo to"
        status = (
            f"**{shown.method.title} ×{shown.method.scale}** · {shown.seconds:.1f} s · "
            f"{original.width} × {original.height} → {image.width} × {image.height} px · "
            f"**{agreement} {metrics.text(match.psnr)}**"
        )
        heat = Path(folder) / "invented.png"
        heat.write_bytes(preview(match.heat_map()))
        pair, download = compared(folder, result.before, image, upscaling.suffix(shown.method), format, quality)
        yield pair, download, status, str(heat), result


def try_reduction(
    path: str | None, model: str, scale: int, alpha: float, stay_true: bool, progress=gr.Progress()
) -> Generator:
    """Reduce a sharp picture, enlarge it again and score that and bicubic against the original."""
    with sentences():
        trial = reduction_trial(opened(path), model, scale, alpha, stay_true)
        outcome = yield from stepped(trial, progress, outputs=2)
        with tempfile.TemporaryDirectory() as folder:
            pair, _ = compared(folder, preview(outcome.bicubic), outcome.restored, "restored", "png", 95)
            yield pair, score_rows({"Bicubic": outcome.before, "This model": outcome.after})


def upscale_file(
    image: str,
    model: str = "compact-x4",
    scale: float = 0,
    alpha: float = DEFAULT_ALPHA,
    stay_true: bool = False,
    format: str = "png",
    jpeg_quality: float = 95,
    progress=gr.Progress(),
) -> Generator:
    """Enlarge an image file.

    model: a name from /models, with or without its "-x4"; scale: 2, 3 or 4, and 0 for the model's own; alpha: 0 to 1,
    for esrgan, where 0 is rrdb; stay_true: pull the result back to the photo; format: png, jpeg, webp or tiff;
    jpeg_quality: of the result if it is a JPEG.  The bytes equal those of the command line.
    """
    with sentences():
        scale, alpha, quality = number(scale, "scale"), number(alpha, "alpha"), number(jpeg_quality, "jpeg_quality")
        format = checked_format(format)
        job = upscale(opened(image), model, round(scale) or None, alpha=alpha, stay_true=bool(stay_true))
        result = yield from stepped(job, progress, outputs=1)
        yield from as_file(result.image(), upscaling.suffix(result.method), format, quality)


# Inpaint ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filled:
    """What a visitor's last run left on the server, so that the format moves without the model."""

    filled: Inpainted
    before: bytes  # the input as PNG, for the slider


def inpaint_facts(path: str | None) -> str:
    """What is known of an uploaded file before anything is run."""
    hint = ["It has transparent pixels, which can be the hole."]
    return facts(path, lambda image: ([], hint if transparent_pixels(image).share else []))


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


def chosen_mask(
    image: Image,
    painted: dict | None,
    uploaded: str | None,
    transparent: bool,
    invert: bool,
    grow: float,
    feather: float,
) -> Mask:
    """The mask of all that was painted, uploaded and chosen, adjusted."""
    masks = [replace(mask_from(read(layer), image), notes=()) for layer in (painted or {}).get("layers") or [] if layer]
    if uploaded:
        masks.append(mask_from(read(uploaded), image))
    if transparent:
        masks.append(transparent_pixels(image))
    return adjusted(union(image, masks), invert=invert, grow=round(grow), feather=round(feather))


def show_mask(path: str | None, *choices) -> Generator:
    """The mask as a picture to look at and to download."""
    with sentences(), tempfile.TemporaryDirectory() as folder:
        image = opened(path)
        file = Path(folder) / f"{image.name}_mask.png"
        file.write_bytes(preview(mask_image(chosen_mask(image, *choices))))
        yield str(file)


def run_inpaint(
    path: str | None,
    model: str,
    painted: dict | None,
    uploaded: str | None,
    transparent: bool,
    invert: bool,
    grow: float,
    feather: float,
    format: str,
    quality: float,
    progress=gr.Progress(),
) -> Generator:
    """Fill the holes; yields after every piece, so that Cancel stops it there."""
    with sentences():
        image = opened(path)
        mask = chosen_mask(image, painted, uploaded, transparent, invert, grow, feather)
        before = preview(image)

        def show(filled: Inpainted) -> Generator:
            return show_filled(Filled(filled, before), format, quality)

        yield from show((yield from stepped(inpaint(image, mask, model), progress, 5, show)))


def show_filled(result: Filled | None, format: str, quality: float) -> Generator:
    """The comparison, the file, a line of facts, whether it can go on from here, and the state; runs no model."""
    if result is None:
        yield unchanged(5)
        return
    with sentences(), tempfile.TemporaryDirectory() as folder:
        filled = result.filled
        image = filled.image()
        status = " · ".join(
            [
                f"**{filled.method.title}**",
                f"{filled.seconds:.1f} s",
                f"{image.width} × {image.height} px",
                f"{100 * filled.mask.share:.1f} % filled, every other pixel untouched",
            ]
        )
        pair, download = compared(folder, result.before, image, inpainting.SUFFIX, format, quality)
        yield pair, download, "  \n".join([status, *filled.notes]), gr.update(interactive=True), result


def go_on(result: Filled | None) -> Generator:
    """The result as the new picture, for the next hole."""
    if result is None:
        yield gr.skip()
        return
    image = result.filled.image()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{image.name}.png"
        write(image, file, metadata="all")
        yield str(file)


def inpaint_file(
    image: str,
    mask: str | None = None,
    model: str = "fourier-fill",
    invert: bool = False,
    grow: float = 0,
    feather: float = 0,
    format: str = "png",
    jpeg_quality: float = 95,
    progress=gr.Progress(),
) -> Generator:
    """Fill holes in an image file.

    mask: a picture of any size, white where pixels are missing; without one the fully transparent pixels are filled;
    model: a name from /models; invert: black is missing instead; grow: pixels by which the holes are widened, negative
    shrinks them; feather: width of their soft edge; format: png, jpeg, webp or tiff; jpeg_quality: of the result if it
    is a JPEG.  The bytes equal those of the command line.
    """
    with sentences():
        grow, feather, quality = number(grow, "grow"), number(feather, "feather"), number(jpeg_quality, "jpeg_quality")
        format = checked_format(format)
        picture = opened(image)
        chosen = chosen_mask(picture, None, mask, not mask, bool(invert), grow, feather)
        filled = yield from stepped(inpaint(picture, chosen, model), progress, outputs=1)
        yield from as_file(filled.image(), inpainting.SUFFIX, format, quality)


# Models ------------------------------------------------------------------------------------------------------------


def model_rows(seconds: dict[tuple[Task, str], float] | None = None) -> list[list[str]]:
    """A row for every method: name, task, score, and how long it takes where that was measured."""
    rows = []
    for method in restoration.methods():
        scores = method.load().run.get("scores") if method.learned else None
        score = "{psnr:.2f} dB, {set}".format(**typical_score(scores)) if scores else ""
        pace = (seconds or {}).get((method.task, method.name))
        rows.append([method.name, method.task, score, "" if pace is None else f"{pace:.2f} s"])
    return rows


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
        "Trained on": "; ".join(card.SOURCES[source].title for source in sources),
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
    task, _, model = name.partition("/")
    owner = weights.namespace()
    source = f"{owner}/{model}" if owner else model
    hint = "or add @revision" if owner else f'or "user/{model}@revision" on the Hub'
    base = str(request.request.base_url).rstrip("/") if request else "http://127.0.0.1:7860"
    data = {"denoise": ["auto", 1, "png", 95], "artifacts": ["auto", 1, "png", 95]}
    data |= {"upscale": [0, DEFAULT_ALPHA, False, "png", 95], "inpaint": [False, 0, 0, "png", 95]}
    holes = task == "inpaint"
    file = '{"path":"\'$FILE\'","meta":{"_type":"gradio.FileData"}}'
    mask = '{"path":"\'$MASK\'","meta":{"_type":"gradio.FileData"}}'
    inputs = [file, *([mask] if holes else []), *(json.dumps(value) for value in (model, *data[task]))]
    upload = f"curl -s -F files=@{{}} {base}/gradio_api/upload | tr -d '[]\"'"
    call = f"{base}/gradio_api/call/{task}"
    given = "image, mask" if holes else "image"
    return (
        "from restoration import load, read\n\n"
        f'model = load("{source}")  # {hint}, or a folder\n'
        'image = read("photo.jpg").tensor()  # (1, C, H, W) float32 in [0, 1]\n'
        + ('mask = read("mask.png").tensor().round()  # (1, 1, H, W), 1 = missing\n' if holes else "")
        + f"restored = model.restore({given})\n",
        "from gradio_client import Client, handle_file\n\n"
        f'client = Client("{base}")\n'
        'path = client.predict(\n    image=handle_file("photo.jpg"),\n'
        + ('    mask=handle_file("mask.png"),\n' if holes else "")
        + f'    model="{model}",\n    api_name="/{task}",\n)\nprint(path)\n',
        f"FILE=$({upload.format('photo.jpg')})\n"
        + (f"MASK=$({upload.format('mask.png')})\n" if holes else "")
        + f"EVENT=$(curl -s {call} -H 'Content-Type: application/json' \\\n"
        f"  -d '{{\"data\":[{','.join(inputs)}]}}' | cut -d'\"' -f4)\n"
        f"curl -sN {call}/$EVENT\n",
        'import { Client, handle_file } from "@gradio/client";\n\n'
        f'const app = await Client.connect("{base}");\n'
        f'const result = await app.predict("/{task}", {{\n  image: handle_file("photo.jpg"),\n'
        + ('  mask: handle_file("mask.png"),\n' if holes else "")
        + f'  model: "{model}",\n}});\nconsole.log(result.data[0].url);\n',
    )


# Layout -------------------------------------------------------------------------------------------------------------


def build() -> gr.Blocks:
    """The whole page."""
    with gr.Blocks(title="Image restoration", analytics_enabled=False, delete_cache=(300, KEEP_SECONDS)) as page:
        gr.Markdown(INTRO)
        with gr.Tabs():
            with gr.Tab("Denoise", id="denoise"):
                denoise_tab()
            with gr.Tab("Artifacts", id="artifacts"):
                artifacts_tab()
            with gr.Tab("Upscale", id="upscale"):
                upscale_tab()
            with gr.Tab("Inpaint", id="inpaint"):
                inpaint_tab()
            with gr.Tab("Models", id="models"):
                chosen, blocks = models_tab()
        page.load(snippets, chosen, blocks, **QUIET)
        gr.api(list_models, api_name="models")
    return page


def picture(task: Task, examples: list[str]) -> UploadedImage:
    """The input of a tab with examples below it."""
    source = UploadedImage(
        label="Your picture",
        sources=["upload", "clipboard"],
        type="filepath",
        image_mode=None,
        height=280,
        elem_id=f"{task}-input",
    )
    pick(examples, source, "Or try one of these", f"{task}-examples")
    source.upload(displayable, source, source, **QUIET)
    return source


def pick(examples: list[str], source: gr.Image, label: str, elem_id: str) -> None:
    with gr.Column(elem_classes="examples", min_width=100):
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


def output_file(task: Task) -> tuple[gr.Dropdown, gr.Slider, gr.DownloadButton]:
    """Format, JPEG quality and the download button."""
    with gr.Row():
        format = gr.Dropdown(
            [("PNG", "png"), ("JPEG", "jpeg"), ("WebP, lossless", "webp"), ("TIFF", "tiff")],
            value="png",
            label="File format",
            min_width=140,
            elem_id=f"{task}-format",
        )
        quality = gr.Slider(50, 100, 95, step=1, label="JPEG quality", visible=False, min_width=140)
    download = gr.DownloadButton("Download", interactive=False, variant="primary", elem_id=f"{task}-download")
    format.change(lambda name: gr.Slider(visible=name == "jpeg"), format, quality, **QUIET)
    return format, quality, download


def start_and_cancel(name: str, label: str) -> tuple[gr.Button, gr.Button]:
    with gr.Row():
        start = gr.Button(label, variant="primary", elem_id=f"{name}-run")
        cancel = gr.Button("Cancel", elem_id=f"{name}-cancel")
    return start, cancel


def trial_results(task: Task, label: str, *more: str) -> tuple[gr.ImageSlider, gr.Dataframe]:
    """Where a trial shows its pictures and their scores, PSNR, SSIM and more."""
    pair = comparison(label, f"{task}-pair")
    table = gr.Dataframe(
        headers=["", "PSNR", "SSIM", *more],
        datatype="str",
        interactive=False,
        label="Against the original",
        elem_id=f"{task}-scores",
    )
    return pair, table


def api(function, inputs: list[gr.components.Component], api_name: str) -> None:
    """An endpoint with inputs of its own, of which nothing is drawn."""
    result = gr.File(label="result")
    gr.Button().click(function, inputs, result, api_name=api_name, **ONE_AT_A_TIME)


def run_on_click(
    buttons: tuple[gr.Button, gr.Button],
    function: Callable,
    inputs: list[gr.components.Component],
    outputs: list[gr.components.Component],
    status: gr.Markdown | None = None,
) -> None:
    """Start and Cancel of a job; one runs at a time.  Progress shows on the status line, or else the first output."""
    start, cancel = buttons
    on = [status or outputs[0]]
    running = start.click(function, inputs, outputs, show_progress_on=on, **ONE_AT_A_TIME, **PRIVATE)
    said = (lambda: "Cancelled.", None, status) if status else (None,)
    cancel.click(*said, cancels=[running], queue=False, **PRIVATE)


def follow(components: list[gr.components.Component], function: Callable, inputs: list, outputs: list) -> None:
    """Call a quick function whenever one of the components changes."""
    for component in components:
        component.change(function, inputs, outputs, trigger_mode="always_last", **QUIET)


@dataclass(frozen=True)
class BlendableTab:
    """What the test of a model below a tab needs of it."""

    source: gr.Image
    model: gr.Dropdown
    auto: gr.Checkbox


def blendable_tab(
    task: Task,
    examples: list[str],
    start: str,
    level: tuple[str, gr.Slider],
    handlers: tuple[Callable, Callable, Callable],
    endpoint_level: str,
) -> BlendableTab:
    """Picture, model, level and strength with their events and the endpoint.

    Args:
        start: what the button says.
        level: the label of "find it automatically", and the slider, not drawn yet, that shows without it.
        handlers: what is known of a file, the run on the page, and the endpoint.
        endpoint_level: what the endpoint calls the level.
    """
    about, run, file = handlers
    offered = restoration.methods(task)
    first = offered[0].name
    state = gr.State(None, time_to_live=KEEP_SECONDS)
    with gr.Row():
        with gr.Column(min_width=320):
            source = picture(task, examples)
            known = gr.Markdown(elem_id=f"{task}-facts", elem_classes="line")
            choices = [(method.title, method.name) for method in offered]
            model = gr.Dropdown(choices, value=first, label="Model", elem_id=f"{task}-model")
            advice = gr.Markdown(guide(task, first), elem_classes="line")
            auto = gr.Checkbox(True, label=level[0], elem_id=f"{task}-auto")
            slider = level[1].render()
            buttons = start_and_cancel(task, start)
        with gr.Column(min_width=320):
            compare = comparison("Before and after", f"{task}-compare")
            status = gr.Markdown(HINT, elem_id=f"{task}-status", elem_classes=["line", "status"])
            strength = gr.Slider(
                0, 100, 100, step=1, label="Strength in % (0 is your picture, bit for bit)", elem_id=f"{task}-strength"
            )
            format, quality, download = output_file(task)

    outputs = [compare, download, status, state]
    source.change(about, source, known, **QUIET)
    source.change(lambda: (None, gr.update(value=None, interactive=False), HINT, None), None, outputs, **QUIET)
    model.change(lambda name: guide(task, name), model, advice, **QUIET)
    auto.change(lambda on: gr.Slider(visible=not on), auto, slider, **QUIET)
    run_on_click(buttons, run, [source, model, auto, slider, strength, format, quality], outputs, status)
    follow([strength, format, quality], show_blended, [state, strength, format, quality], outputs)
    with gr.Row(visible=False):
        inputs = [
            gr.File(type="filepath", label="image"),
            gr.Textbox(first, label="model"),
            gr.Textbox("auto", label=endpoint_level),
            gr.Number(1.0, label="strength"),
            gr.Textbox("png", label="format"),
            gr.Number(95, label="jpeg_quality"),
        ]
        api(file, inputs, task)
    return BlendableTab(source, model, auto)


def denoise_tab() -> None:
    sigma = gr.Slider(
        0, MAX_SIGMA_255, 25, step=1, label="Noise level σ", visible=False, elem_id="denoise-sigma", render=False
    )
    tab = blendable_tab(
        "denoise",
        gallery.noisy(),
        "Denoise",
        ("Find the noise level automatically", sigma),
        (denoise_facts, run_denoise, denoise_file),
        "sigma",
    )
    with gr.Accordion("Test a model: add noise to a clean picture and score the result", open=False):
        gr.Markdown(
            "Takes your picture as clean, adds noise to its middle (at most 1024 × 1024 px), removes it with the model "
            "chosen above and compares both with the original. Your own download is not touched."
        )
        pick(gallery.clean(), tab.source, "Clean pictures", "denoise-clean-examples")
        with gr.Row():
            kind = gr.Dropdown(list(NOISES), value=next(iter(NOISES)), label="Noise", min_width=140)
            level = gr.Slider(1, MAX_SIGMA_255, 25, step=1, label="Level", min_width=140)
            seed = gr.Number(0, label="Seed", precision=0, min_width=100)
        trial = start_and_cancel("denoise-trial", "Add noise and denoise")
        pair, table = trial_results("denoise", "With noise and denoised")
    run_on_click(trial, try_noise, [tab.source, tab.model, tab.auto, kind, level, seed], [pair, table])


def artifacts_tab() -> None:
    quality = gr.Slider(
        artifacts.LOWEST,
        artifacts.HIGHEST,
        30,
        step=1,
        label="JPEG quality of your picture: lower cleans more",
        visible=False,
        elem_id="artifacts-quality",
        render=False,
    )
    tab = blendable_tab(
        "artifacts",
        gallery.compressed(),
        "Remove artifacts",
        ("Find the JPEG quality automatically", quality),
        (artifacts_facts, run_artifacts, artifacts_file),
        "quality",
    )
    with gr.Accordion("Test a model: compress a clean picture and score the result", open=False):
        gr.Markdown(
            "Takes your picture as clean, saves its middle (at most 1024 × 1024 px) as a JPEG, removes the artifacts "
            "with the model chosen above and compares both with the original. PSNR-B counts visible block edges as "
            "errors. Your own download is not touched."
        )
        pick(gallery.clean(), tab.source, "Clean pictures", "artifacts-clean-examples")
        chosen = gr.Slider(artifacts.LOWEST, artifacts.HIGHEST, 20, step=1, label="Quality to compress with")
        trial = start_and_cancel("artifacts-trial", "Compress and clean")
        pair, table = trial_results("artifacts", "Compressed and cleaned", "PSNR-B")
    run_on_click(trial, try_compression, [tab.source, tab.model, tab.auto, chosen], [pair, table])


def upscale_tab() -> None:
    families = catalog.families("upscale")
    first = next(iter(families))
    scales, blends, advised = chosen_family(first, 4)
    sharp, small = gallery.clean(), gallery.small()
    state = gr.State(None, time_to_live=KEEP_SECONDS)
    with gr.Row():
        with gr.Column(min_width=320):
            source = picture("upscale", small)
            known = gr.Markdown(elem_id="upscale-facts", elem_classes="line")
            model = gr.Dropdown(
                [(siblings[0].title, family) for family, siblings in families.items()],
                value=first,
                label="Model",
                elem_id="upscale-model",
            )
            advice = gr.Markdown(advised, elem_classes="line")
            scale = gr.Radio(scales["choices"], value=scales["value"], label="Enlarge", elem_id="upscale-scale")
            alpha = gr.Slider(
                0,
                1,
                DEFAULT_ALPHA,
                step=0.05,
                label="Texture: 0 is true (RRDB), 1 invents the most",
                visible=blends["visible"],
                elem_id="upscale-alpha",
            )
            stay_true = gr.Checkbox(
                False,
                label="Stay true",
                info="Pulls the result back to your photo, so that reduced again it gives your photo.",
                elem_id="upscale-true",
            )
            buttons = start_and_cancel("upscale", "Upscale")
        with gr.Column(min_width=320):
            compare = comparison("Bicubic and this model, at the new size", "upscale-compare")
            status = gr.Markdown(UPSCALE_HINT, elem_id="upscale-status", elem_classes=["line", "status"])
            format, quality, download = output_file("upscale")
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
    with gr.Accordion("Test a model: reduce a sharp picture, enlarge it again and score the result", open=False):
        gr.Markdown(
            "Takes the middle of your picture (at most 1024 × 1024 px), reduces it bicubically, enlarges it with the "
            "settings chosen above and compares luma with the original. Your own download is not touched."
        )
        pick(sharp, source, "Sharp pictures", "upscale-sharp-examples")
        trial = start_and_cancel("upscale-trial", "Reduce and enlarge")
        pair, table = trial_results("upscale", "Bicubic and this model")

    outputs = [compare, download, status, heat, state]
    nothing = (None, gr.update(value=None, interactive=False), UPSCALE_HINT, None, None)
    source.change(lambda: nothing, None, outputs, **QUIET)
    model.change(chosen_family, [model, scale], [scale, alpha, advice], **QUIET)
    scale.change(lambda *chosen: guide("upscale", *chosen), [model, scale], advice, **QUIET)
    follow([source, model, scale], upscale_facts, [source, model, scale], known)
    run_on_click(buttons, run_upscale, [source, model, scale, alpha, stay_true, format, quality], outputs, status)
    follow([stay_true, format, quality], show_upscaled, [state, stay_true, format, quality], outputs)
    run_on_click(trial, try_reduction, [source, model, scale, alpha, stay_true], [pair, table])
    with gr.Row(visible=False):
        inputs = [
            gr.File(type="filepath", label="image"),
            gr.Textbox(catalog.method("upscale", first).name, label="model"),
            gr.Number(0, label="scale"),
            gr.Number(DEFAULT_ALPHA, label="alpha"),
            gr.Checkbox(False, label="stay_true"),
            gr.Textbox("png", label="format"),
            gr.Number(95, label="jpeg_quality"),
        ]
        api(upscale_file, inputs, "upscale")


def inpaint_tab() -> None:
    offered = restoration.methods("inpaint")
    first = offered[0].name
    state = gr.State(None, time_to_live=KEEP_SECONDS)
    with gr.Row():
        with gr.Column(min_width=320):
            source = picture("inpaint", gallery.clean())
            known = gr.Markdown(elem_id="inpaint-facts", elem_classes="line")
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
                invert = gr.Checkbox(False, label="Invert: fill what is not marked", elem_id="inpaint-invert")
                grow = gr.Slider(-32, 32, 2, step=1, label="Grow in pixels (negative shrinks)", elem_id="inpaint-grow")
                feather = gr.Slider(0, 32, 2, step=1, label="Feather in pixels", elem_id="inpaint-feather")
                look = gr.Button("Show the mask", elem_id="inpaint-look")
                shown = gr.Image(
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
            buttons = start_and_cancel("inpaint", "Fill")
        with gr.Column(min_width=320):
            compare = comparison("Before and after", "inpaint-compare")
            status = gr.Markdown(HINT, elem_id="inpaint-status", elem_classes=["line", "status"])
            format, quality, download = output_file("inpaint")
            again = gr.Button("Go on from this result", interactive=False, elem_id="inpaint-again")

    outputs = [compare, download, status, again, state]
    nothing = (None, gr.update(value=None, interactive=False), HINT, gr.update(interactive=False), None)
    choices = [editor, uploaded, transparent, invert, grow, feather]
    source.change(inpaint_facts, source, known, **QUIET)
    source.change(canvas, source, editor, **QUIET)
    source.change(lambda: nothing, None, outputs, **QUIET)
    model.change(lambda name: guide("inpaint", name), model, advice, **QUIET)
    look.click(show_mask, [source, *choices], shown, **PRIVATE)
    run_on_click(buttons, run_inpaint, [source, model, *choices, format, quality], outputs, status)
    follow([format, quality], show_filled, [state, format, quality], outputs)
    again.click(go_on, state, source, **QUIET)
    with gr.Row(visible=False):
        inputs = [
            gr.File(type="filepath", label="image"),
            gr.File(type="filepath", label="mask"),
            gr.Textbox(first, label="model"),
            gr.Checkbox(False, label="invert"),
            gr.Number(0, label="grow"),
            gr.Number(0, label="feather"),
            gr.Textbox("png", label="format"),
            gr.Number(95, label="jpeg_quality"),
        ]
        api(inpaint_file, inputs, "inpaint")


def models_tab() -> tuple[gr.Dropdown, list[gr.Code]]:
    """Gives the picker and the code blocks, which are filled when the page is loaded."""
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
                model_rows,
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
    return chosen, blocks


def main() -> None:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    logging.basicConfig(level=logging.WARNING)
    catalog.prepare()
    page = build()
    page.queue(max_size=20)
    page.launch(
        max_file_size=UPLOAD_LIMIT,
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        ssr_mode=False,
        footer_links=["api"],
        css=CSS,
        theme=gr.themes.Default(primary_hue="indigo", font=["system-ui", "sans-serif"]),
    )


if __name__ == "__main__":
    main()
