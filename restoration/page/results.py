"""Where a tab shows what came of a run, of many files, and of a bake-off."""

import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.events import Dependency

from restoration import cleaning, gallery, tasks
from restoration.files import write
from restoration.page.parts import PRIVATE, QUIET, comparison, run_on_click, sentences, start_and_cancel
from restoration.page.runs import Runs, again, rate
from restoration.tasks._task import Task


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
    onward: dict[str, gr.Button]

    @property
    def outputs(self) -> list[gr.components.Component]:
        """In the order of `Runs.shown`."""
        return [self.compare, self.download, self.receipt, self.status, self.rating, self.state]

    @property
    def file(self) -> list[gr.components.Component]:
        return [self.format, self.quality]


def results(kind: Task, between: Callable[[], object]) -> tuple[Results, object]:
    """The comparison with its line of facts, the downloads and the rating.

    Args:
        between: draws what comes above the file format; given back.
    """
    state = gr.State(None, time_to_live=cleaning.limits()[1])
    compare = comparison(kind.compared, f"{kind.name}-compare", gallery.pair(kind.name))
    status = gr.Markdown(kind.hint, elem_id=f"{kind.name}-status", elem_classes=["line", "status"])
    drawn = between()
    with gr.Row():
        format = gr.Dropdown(
            [("PNG", "png"), ("JPEG", "jpeg"), ("WebP, lossless", "webp"), ("TIFF", "tiff")],
            value="png",
            label="File format",
            min_width=140,
            elem_id=f"{kind.name}-format",
        )
        quality = gr.Slider(50, 100, 95, step=1, label="JPEG quality", visible=False, min_width=140)
    with gr.Row():
        download = gr.DownloadButton(
            "Download", interactive=False, variant="primary", elem_id=f"{kind.name}-download", min_width=140, scale=2
        )
        receipt = gr.DownloadButton("Receipt", interactive=False, elem_id=f"{kind.name}-receipt", min_width=100)
    with gr.Row(elem_classes="onward"):
        gr.Markdown("Continue with", elem_classes="line")
        others = [other for other in tasks.every().values() if other.name != kind.name]
        onward = {
            other.name: gr.Button(other.title, size="sm", min_width=60, elem_id=f"{kind.name}-to-{other.name}")
            for other in others
        }
    format.change(lambda name: gr.Slider(visible=name == "jpeg"), format, quality, **QUIET)
    with gr.Accordion("Rate this result", open=False):
        rating = gr.Radio(
            [("Better than my picture", "better"), ("The same", "same"), ("Worse", "worse")],
            label="What do you think of it?",
            interactive=False,
            elem_id=f"{kind.name}-rating",
        )
        comment = gr.Textbox(label="Why, in a few words (optional)", max_length=200, elem_id=f"{kind.name}-comment")
        send = gr.Button("Send", elem_id=f"{kind.name}-rate")
    send.click(rate, [state, rating, comment], rating, **PRIVATE)
    return Results(compare, download, receipt, status, rating, state, format, quality, onward), drawn


def hand_on(run: str | None, task: str) -> Generator:
    """The result of a run as the picture of another tab, and that tab."""
    if run is None:
        gr.Info("Run it first: its result is handed on.")
        yield gr.skip(), gr.skip()
        return
    with sentences(), tempfile.TemporaryDirectory() as folder:
        image = again(run).done.picture
        file = Path(folder) / f"{image.name}.png"
        write(image, file, metadata="all")
        yield str(file), gr.Tabs(selected=task)


def bakery(runs: Runs, model: gr.Dropdown) -> list:
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
        elem_id=f"{runs.kind.name}-bakery",
        elem_classes="bakery",
    )
    names = gr.State([])

    shown.select(runs.winner, names, model, **QUIET)
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


def forget(source: gr.Image, hint: str, shown: Results, running: Dependency, *more: gr.components.Component) -> None:
    """Clear what was shown, and stop what is running, when another picture comes; `more` are what a tab has besides.

    To be called before anything else follows the picture: the browser sends one event after the other, and nobody
    should be able to start a run on the new picture before this one.
    """
    off = gr.update(value=None, interactive=False)
    nothing = (None, off, off, hint, off, None, *(off for _ in more))
    source.change(lambda: nothing, None, [*shown.outputs, *more], cancels=[running], queue=False, **QUIET)
