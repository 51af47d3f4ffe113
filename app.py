"""The page: a tab for each task, its handlers as plain generators, its messages.  `python app.py` starts it.

Every handler calls the same functions as the command line; nothing here touches a pixel.
"""

import html
import logging
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

import restoration
from restoration import catalog, gallery, metrics
from restoration.card import verdict
from restoration.denoising import MAX_SIGMA_255, NOISES, Restored, Trial, denoise, measured_sigma, noise_trial
from restoration.image import FORMATS, Image, ImageError, encode, output_name, read, to_8_bit, write

UPLOAD_LIMIT = "64mb"
KEEP_SECONDS = 1800  # files and results of a visitor are deleted after this time
CLEAN_BELOW_255 = 4  # a measured noise level under which denoising can only lose detail
NOISY_ABOVE_255 = 12  # a measured noise level above which a picture cannot pass for clean

CSS = """
footer { margin-top: 1rem; }
#guide p, #facts p, #status p { margin: 0.2rem 0; }
.gradio-container { max-width: 1280px !important; }
#noisy-examples .gallery-item, #clean-examples .gallery-item { width: 60px; height: 60px; }
"""
INTRO = """# Image restoration
Removes noise from photos, scans, X-rays and CT slices. Nothing is resized; bit depth, transparency and colours stay.
Your files are deleted within 30 minutes.
"""
HINT = "Drag the handle to compare: before on the left, after on the right."


class UploadedImage(gr.Image):
    """An image input that hands over the uploaded file as it is: `restoration.image` alone decodes."""

    is_template = True

    def preprocess(self, payload):
        return None if payload is None else payload.path


@dataclass(frozen=True)
class Result:
    """What a visitor's last run left on the server, so that strength and format move without the model."""

    restored: Restored
    before: bytes  # the input as PNG, for the slider


# Handlers -----------------------------------------------------------------------------------------------------------


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


def guide(name: str) -> str:
    """One line on a model, with its measured score where there is one."""
    method = catalog.method("denoise", name)
    parts = [method.summary]
    if not method.takes_sigma:
        parts.append("It always finds the noise level itself.")
    scores = method.load().run.get("scores") if method.learned else None
    if scores:
        score = scores[len(scores) // 2]
        parts.append(f"Measured: {score['psnr']:.2f} dB on {score['set']}, {verdict(score)}.")
    return " ".join(parts)


def displayable(path: str | None) -> Generator:
    """Replace an uploaded TIFF, which no browser draws, by a PNG with the same pixels and metadata."""
    image = None
    if path and Path(path).suffix.lower() in (".tif", ".tiff"):
        with suppress(ImageError):  # `facts` says what is wrong with it
            image = read(path)
    if image is None:
        yield gr.skip()
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{image.name}.png"
        write(image, file, metadata="all")
        yield str(file)


def facts(path: str | None) -> str:
    """What is known of an uploaded file before anything is run."""
    if not path:
        return ""
    try:
        image = read(path)
    except ImageError as error:
        return f"⚠️ {html.escape(str(error))}"
    kind = "grey" if image.channels == 1 else "colour"
    parts = [f"{image.width} × {image.height} px, {image.bits}-bit {kind}"]
    if image.alpha is not None:
        parts.append("transparency kept")
    level = 255 * measured_sigma(image)
    parts.append(f"measured noise level {level:.1f}")
    notes = list(image.notes)
    if level < CLEAN_BELOW_255:
        notes.append("This picture is nearly free of noise: denoising may only cost detail.")
    return " · ".join(parts) + "  \n" + " ".join(notes)


def run(
    path: str | None,
    model: str,
    auto: bool,
    sigma_255: float,
    strength: float,
    format: str,
    quality: float,
    progress=gr.Progress(),
) -> Generator:
    """Denoise the upload; yields after every tile, so that Cancel stops it there."""
    with sentences():
        image = opened(path)
        job = denoise(image, model, None if auto else sigma_255 / 255)
        restored = yield from stepped(job, progress, outputs=4)
        progress(1, desc="Writing the file")
        result = Result(restored, encode(to_8_bit(image), "png", metadata="none"))
        yield from shown(result, strength, format, quality)


def stepped(job: Generator, progress: gr.Progress, outputs: int) -> Generator:
    """Run a job, yielding "no change" to the page's outputs at every step; gives what the job returns."""
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            return end.value
        progress(step.share, desc="Restoring")
        yield unchanged(outputs)


def unchanged(outputs: int) -> object:
    return gr.skip() if outputs == 1 else tuple(gr.skip() for _ in range(outputs))


def shown(result: Result | None, strength: float, format: str, quality: float) -> Generator:
    """The comparison, the file, a line of facts and the state, blended at `strength` percent; runs no model."""
    if result is None:
        yield unchanged(4)
        return
    restored = result.restored
    with sentences(), tempfile.TemporaryDirectory() as folder:
        image = restored.image(strength / 100)
        file = Path(folder) / output_name(image, "denoised", format)
        file.write_bytes(encode(image, format, round(quality)))
        before = Path(folder) / f"{image.name}_before.png"
        before.write_bytes(result.before)
        after = file
        if format != "png" or image.bits == 16:
            after = Path(folder) / f"{image.name}_after.png"
            after.write_bytes(encode(to_8_bit(image), "png", metadata="none"))
        level = f"{'measured noise level' if restored.measured else 'noise level'} {255 * restored.sigma:.1f}"
        status = (
            f"**{restored.method.title}** · {restored.seconds:.1f} s · {image.width} × {image.height} px · {level} · "
            f"strength {strength:g} %"
        )
        yield (str(before), str(after)), gr.update(value=str(file), interactive=True), status, result


def nothing_yet() -> tuple:
    """The outputs as they are before the first run, so that no result stands beside another picture."""
    return None, gr.update(value=None, interactive=False), HINT, None


def try_noise(
    path: str | None, model: str, auto: bool, kind: str, level: float, seed: float, progress=gr.Progress()
) -> Generator:
    """Add noise to a clean picture, denoise it and score both against the original."""
    with sentences():
        clean = opened(path)
        if 255 * measured_sigma(clean) > NOISY_ABOVE_255:
            gr.Warning("This picture has noise of its own, so the scores mislead; choose a clean one.")
        trial = noise_trial(clean, kind, level, int(seed or 0), model, auto)
        outcome: Trial = yield from stepped(trial, progress, outputs=2)
        with tempfile.TemporaryDirectory() as folder:
            noisy, after = Path(folder) / "noisy.png", Path(folder) / "denoised.png"
            noisy.write_bytes(encode(to_8_bit(outcome.noisy), "png", metadata="none"))
            after.write_bytes(encode(to_8_bit(outcome.restored), "png", metadata="none"))
            rows = [
                [title, metrics.text(score.psnr), "" if score.ssim is None else f"{score.ssim:.4f}"]
                for title, score in (("With noise", outcome.before), ("Denoised", outcome.after))
            ]
            yield (str(noisy), str(after)), rows


def denoise_file(
    image: str,
    model: str = "drunet-fast",
    sigma: str = "auto",
    strength: float = 1.0,
    format: str = "png",
    quality: float = 95,
    progress=gr.Progress(),
) -> Generator:
    """Denoise an image file.

    model: a name from /models; sigma: "auto" or the noise level from 0 to 100 in 8-bit units; strength: 0 to 1;
    format: png, jpeg, webp or tiff; quality: of a JPEG.  The bytes equal those of the command line.
    """
    with sentences():
        try:
            level = None if str(sigma).strip() == "auto" else float(sigma) / 255
            strength, quality = float(strength), round(quality)
        except (TypeError, ValueError):
            raise ValueError('sigma is "auto" or a number from 0 to 100; strength and quality are numbers.') from None
        if format not in FORMATS:
            raise ValueError(f"format is one of {', '.join(FORMATS)}.")
        restored = yield from stepped(denoise(opened(image), model, level), progress, outputs=1)
        result = restored.image(strength)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / output_name(result, "denoised", format)
            file.write_bytes(encode(result, format, quality))
            yield str(file)


def list_models() -> list[dict]:
    """Every method: name, task, title, summary, whether it is learned, and whether it is its task's default."""
    return [
        {
            "name": method.name,
            "task": method.task,
            "title": method.title,
            "summary": method.summary,
            "learned": method.learned,
            "default": method.flagship,
        }
        for method in restoration.methods()
    ]


# Layout -------------------------------------------------------------------------------------------------------------


def build() -> gr.Blocks:
    """The whole page."""
    with gr.Blocks(title="Image restoration", analytics_enabled=False, delete_cache=(300, KEEP_SECONDS)) as page:
        gr.Markdown(INTRO)
        with gr.Tabs(), gr.Tab("Denoise", id="denoise"):
            denoise_tab()
        gr.api(list_models, api_name="models")
    return page


def denoise_tab() -> None:
    offered = restoration.methods("denoise")
    first = offered[0].name
    clean, noisy = gallery.examples()
    one_at_a_time = {"concurrency_limit": 1, "concurrency_id": "model"}
    state = gr.State(None, time_to_live=KEEP_SECONDS)
    with gr.Row():
        with gr.Column(min_width=320):
            source = UploadedImage(
                label="Your picture",
                sources=["upload", "clipboard"],
                type="filepath",
                image_mode=None,
                height=280,
                elem_id="input",
            )
            gr.Examples(noisy, source, label="Or try one of these", examples_per_page=20, elem_id="noisy-examples")
            known = gr.Markdown(elem_id="facts")
            model = gr.Dropdown(
                [(method.title, method.name) for method in offered], value=first, label="Model", elem_id="model"
            )
            advice = gr.Markdown(guide(first), elem_id="guide")
            auto = gr.Checkbox(True, label="Find the noise level automatically", elem_id="auto")
            sigma = gr.Slider(0, MAX_SIGMA_255, 25, step=1, label="Noise level σ", visible=False, elem_id="sigma")
            with gr.Row():
                start = gr.Button("Denoise", variant="primary", elem_id="run")
                cancel = gr.Button("Cancel", elem_id="cancel")
        with gr.Column(min_width=320):
            compare = comparison("Before and after", "compare")
            status = gr.Markdown(HINT, elem_id="status")
            strength = gr.Slider(
                0, 100, 100, step=1, label="Strength in % (0 is your picture, bit for bit)", elem_id="strength"
            )
            with gr.Row():
                format = gr.Dropdown(
                    [("PNG", "png"), ("JPEG", "jpeg"), ("WebP, lossless", "webp"), ("TIFF", "tiff")],
                    value="png",
                    label="File format",
                    min_width=140,
                    elem_id="format",
                )
                quality = gr.Slider(50, 100, 95, step=1, label="JPEG quality", visible=False, min_width=140)
            download = gr.DownloadButton("Download", interactive=False, variant="primary", elem_id="download")
    with gr.Accordion("Test a model: add noise to a clean picture and score the result", open=False, elem_id="trial"):
        gr.Markdown(
            "Takes your picture as clean, adds noise to its middle (at most 1024 × 1024 px), removes it with the model "
            "chosen above and compares both with the original. Your own download is not touched."
        )
        gr.Examples(clean, source, label="Clean pictures", examples_per_page=20, elem_id="clean-examples")
        with gr.Row():
            kind = gr.Dropdown(list(NOISES), value=next(iter(NOISES)), label="Noise", min_width=140)
            level = gr.Slider(1, MAX_SIGMA_255, 25, step=1, label="Level", min_width=140)
            seed = gr.Number(0, label="Seed", precision=0, min_width=100)
        with gr.Row():
            test = gr.Button("Add noise and denoise", elem_id="try")
            stop = gr.Button("Cancel")
        pair = comparison("With noise and denoised", "pair")
        table = gr.Dataframe(
            headers=["", "PSNR", "SSIM"],
            datatype="str",
            interactive=False,
            label="Against the original",
            elem_id="scores",
        )
    with gr.Row(visible=False):  # the API's own inputs; nothing of this is drawn
        api_image = gr.File(type="filepath", label="image")
        api_model = gr.Textbox(first, label="model")
        api_sigma = gr.Textbox("auto", label="sigma")
        api_strength = gr.Number(1.0, label="strength")
        api_format = gr.Textbox("png", label="format")
        api_quality = gr.Number(95, label="quality")
        api_result = gr.File(label="result")
        api_button = gr.Button()

    private = {"api_visibility": "private"}
    outputs = [compare, download, status, state]
    source.upload(displayable, source, source, show_progress="hidden", **private)
    source.change(facts, source, known, show_progress="hidden", **private)
    source.change(nothing_yet, None, outputs, show_progress="hidden", **private)
    model.change(guide, model, advice, show_progress="hidden", **private)
    auto.change(lambda on: gr.Slider(visible=not on), auto, sigma, show_progress="hidden", **private)
    format.change(lambda name: gr.Slider(visible=name == "jpeg"), format, quality, show_progress="hidden", **private)
    running = start.click(
        run,
        [source, model, auto, sigma, strength, format, quality],
        outputs,
        show_progress_on=[compare],
        **one_at_a_time,
        **private,
    )
    look = [state, strength, format, quality]
    for event in (strength.change, format.change, quality.change):
        event(shown, look, outputs, show_progress="hidden", trigger_mode="always_last", **private)
    cancel.click(lambda: "Cancelled.", None, status, cancels=[running], queue=False, **private)
    trial = test.click(
        try_noise,
        [source, model, auto, kind, level, seed],
        [pair, table],
        show_progress_on=[pair],
        **one_at_a_time,
        **private,
    )
    stop.click(None, cancels=[trial], **private)
    api_button.click(
        denoise_file,
        [api_image, api_model, api_sigma, api_strength, api_format, api_quality],
        api_result,
        api_name="denoise",
        **one_at_a_time,
    )


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


def main() -> None:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    logging.basicConfig(level=logging.WARNING)
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
