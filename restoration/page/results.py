"""Where a tab shows what came of a run, of many files, and of a bake-off."""

import json
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr
from gradio.events import Dependency

from restoration import cleaning, gallery, tasks
from restoration.files import write
from restoration.page import shelf
from restoration.page.parts import (
    FOLLOWING,
    PRIVATE,
    QUIET,
    comparison,
    sentences,
    start_and_cancel,
)
from restoration.page.runs import Runs, in_hand, rate
from restoration.page.turns import NOW, Turn, clock, note, run_on_click, same_picture, start, stop
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
    status = gr.Markdown(kind.hint, elem_id=f"{kind.name}-status", elem_classes=["line", "status"])
    compare = comparison(kind.compared, f"{kind.name}-compare", gallery.pair(kind.name))
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
            other.name: gr.Button(
                other.title, size="sm", min_width=60, elem_id=f"{kind.name}-to-{other.name}", elem_classes="brings"
            )
            for other in others
        }
    format.change(lambda name: gr.Slider(visible=name == "jpeg"), format, quality, **FOLLOWING)
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


def hand_on(run: str | None, path: str | None, task: str) -> Generator:
    """The result of a run as the picture of another tab, and that tab."""
    with sentences(), tempfile.TemporaryDirectory() as folder:
        result = in_hand(run, path)
        if result is None:
            gr.Info("Run it first: its result is handed on.")
            yield gr.skip(), gr.skip()
            return
        image = result.done.picture
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
        gr.Markdown(f"All files get the settings above. {hint}A file that cannot be read gets a row that says why.")
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
    run_on_click(f"{task}-batch", buttons, function, [files, *inputs], [table, results, zipped])


@dataclass(frozen=True)
class Turns:
    """Starts a tab's runs so that each belongs to its click and its picture, see `restoration.page.turns`.

    Args:
        tab: name of its task.
        source: the picture, the first input of every run.
        shown: where a result is shown.
        more: outputs that a tab has besides.
        hint: what stands where nothing was done yet.
    """

    tab: str
    source: gr.Image
    shown: Results
    more: Sequence[gr.components.Component]
    hint: str
    when: gr.Textbox = field(default_factory=clock)  # of the last click on Start
    of: gr.Textbox = field(default_factory=clock)  # folder and name of the file whose result is in sight

    @property
    def files(self) -> list[gr.DownloadButton]:
        return [self.shown.download, self.shown.receipt]

    @property
    def seen(self) -> dict[gr.components.Component, object]:
        """What shows a result, with what it shows when there is none."""
        off = gr.update(value=None, interactive=False)
        values = [None, off, off, self.hint, off, *(self.emptied(part) for part in self.more), None]
        return dict(zip([*self.shown.outputs[:-1], *self.more, self.of], values, strict=True))

    def emptied(self, part: gr.components.Component) -> object:
        return gr.update(interactive=False) if isinstance(part, gr.Button) else gr.update(value=None)

    def start(
        self,
        button: gr.Button,
        function: Callable,
        settings: Sequence[gr.components.Component],
        marks: Sequence[gr.components.Component] = (),
    ) -> Dependency:
        """Start a run on a click; one has the model at a time, and its progress shows on the status line.

        Args:
            function: takes the picture, settings and marks; see `Runs.run`.
            settings: as they are at the click, also where that waits until its picture has come.
        """

        def told(progress=gr.Progress(), path=None, *values) -> Generator:
            with closing(function(progress, path, *values)) as work:
                for outputs in work:
                    yield *outputs, gr.skip() if outputs[0] == gr.skip() else "/".join(Path(path).parts[-2:])

        outputs, tab = [*self.shown.outputs, *self.more, self.of], json.dumps(self.tab)
        named = {"when": self.when, "files": self.files, "shown_on": self.shown.status}
        if button.elem_id == f"{self.tab}-run":  # which waits for the picture, see `assets/clicks.js`
            keep = gr.Button("Keep the settings", visible="hidden", elem_id=f"{self.tab}-keep")
            keep.click(None, settings, None, js=f"(...values) => window.turns.keep({tab}, values)", **QUIET)
            named["js"] = f"(...values) => window.turns.asClicked({tab}, values)"
        running = start(self.tab, button, told, [self.source, *settings, *marks], outputs, **named)
        running.success(None, self.of, list(self.seen), js=self.in_browser("kept"), **QUIET)
        ended = {"js": f"(...values) => (window.turns.over({tab}), values)", "queue": False}
        running.failure(self.over, [self.shown.state, self.source, self.when], self.files, **ended, **QUIET)
        return running

    def stop(self, button: gr.Button, running: list[Dependency]) -> None:
        """Cancel runs on a click; the file of what is in sight comes back."""
        shown = "['Cancelled.', ...[0, 0].map(() => ({ __type__: 'update', interactive: Boolean(values[0]) }))]"
        shown = f"window.turns.cancelled({json.dumps(self.tab)}, {shown})"
        stop(self.tab, button, running, [self.of], [self.shown.status, *self.files], shown)

    def over(self, run: str | None, path: str | None, when: str | None) -> list:
        """The files of what is in sight again, when a run has ended without a result, unless another goes on."""
        if Turn(self.tab, when).going:
            return [gr.skip()] * 2
        return [gr.update(interactive=run is not None and self.is_of(run, path))] * 2

    def in_browser(self, function: str) -> str:
        """What shows nothing there, without waiting for the line, where a result is not of the picture in hand."""
        return (
            f"(file) => window.turns.{function}({json.dumps(self.tab)}, file, {json.dumps(list(self.seen.values()))})"
        )

    def is_of(self, run: str, path: str | None) -> bool:
        """Whether a run's result is of a picture, as far as it is kept."""
        result = shelf.results().get(run)
        return result is None or same_picture(result.path, path or "")

    def follow_picture(self) -> None:
        """Clear what was shown when another picture comes, whose coming ends the runs on the last one."""
        self.source.change(None, self.source, list(self.seen), js=self.in_browser("cleared"), **FOLLOWING)

        def another(path: str | None, when: str | None) -> None:
            note(self.tab, when, path)

        self.source.change(another, [self.source, clock()], None, js=NOW, queue=False, **FOLLOWING)
