"""What only tasks with holes have: painting, masks, and going on from a result."""

import json
import tempfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from gradio.events import Dependency

from restoration import catalog, gallery
from restoration.files import write
from restoration.fill_choice import AMONG
from restoration.image import Image
from restoration.inpainting import Mask
from restoration.orders import Order
from restoration.page import shelf
from restoration.page.masks import canvas, chosen_hole, marked_canvas, own_mask, painter, show_mask
from restoration.page.parts import FOLLOWING, LOOKING, QUIET, UploadedImage, brought, once, sentences, tidy, unchanged
from restoration.page.runs import Runs, in_hand, kept_of
from restoration.page.task_tab import TaskTab
from restoration.page.turns import same_picture
from restoration.tasks._task import Setting


class Fill(NamedTuple):
    """What a canvas showed before something was filled in it.

    Args:
        file: its picture.
        run: what came of that.
        path: of the upload.
    """

    file: str
    run: str
    path: str


class HoleRuns(Runs):
    """Runs whose results are gone on from, and whose holes can be filled in another way.

    The last values of a handler are what the canvas shows, None at first, and the fills before it, see `shown_now`.
    """

    more = 2

    def run(self, progress=gr.Progress(), path=None, model="", *values) -> Generator:
        """See `Runs.run`."""
        *values, now, earlier = values
        with sentences():
            order = self.ordered(model, values[: self.controls])
            *output, painted, uploaded, transparent = values[self.controls :]

            def hole(image: Image) -> Mask:
                return chosen_hole(image, painted, uploaded, transparent)

            yield from self.restore(order, path, hole, tuple(output), progress, shown_now(path, now, earlier))

    def batch(self, progress=gr.Progress(), files=None, model="", *values) -> Generator:
        """See `Runs.batch`."""
        yield from super().batch(progress, files, model, *values[:-2])

    def bake(self, event: gr.SelectData, path=None, model="", *values) -> Generator:
        """See `Runs.bake`."""
        *values, now, earlier = values
        yield from super().bake(event, shown_now(path, now, earlier) or path, model, *values)

    def placed(self, pair, done) -> object:
        """The comparison, its line through the middle of what was filled: beside it, only one side would be seen."""
        return gr.update(value=pair, slider_position=gallery.halved_at((done.hole.opacity > 0).sum(0)))

    def besides(self, done, folder) -> tuple:
        """The buttons for that."""
        other = catalog.method(self.kind.name, other_fill(done.order.model)).title
        return (
            gr.update(interactive=True, value=f"Fill with {other}"),
            gr.update(interactive=self.kind.takes(self.variant, done.order.method)),
        )

    def describe(self, done) -> str:
        """See `Runs.describe`; which variant it is."""
        number = done.order.settings["variant"]
        return super().describe(done) + (f"  \nVariant {number} of {self.variant.limits[1]}." if number else "")

    @property
    def variant(self) -> Setting:
        return next(setting for setting in self.kind.settings if setting.name == "variant")

    def other(self, progress=gr.Progress(), path=None, run=None, *output) -> Generator:
        """The same holes by the method that was not taken."""

        def changed(order: Order) -> Order:
            return Order(self.kind.name, other_fill(order.model), {**order.settings, "texture": True})

        yield from self._again(changed, path, run, output, progress)

    def another(self, progress=gr.Progress(), path=None, run=None, *output) -> Generator:
        """The same holes, filled with other copies; after the last variant the first again."""

        def changed(order: Order) -> Order:
            return order.changed(variant=(order.settings["variant"] + 1) % (self.variant.limits[1] + 1))

        yield from self._again(changed, path, run, output, progress)

    def _again(
        self,
        changed: Callable[[Order], Order],
        path: str | None,
        run: str | None,
        output: tuple,
        progress: gr.Progress,
    ) -> Generator:
        with sentences():
            made = in_hand(run, path)
            if made is None:
                yield unchanged(self.outputs)
                return
            order = changed(made.done.order)
            yield from self.restore(order, path, lambda image: made.done.hole, output, progress, made.made_of)


def shown_now(path: str | None, now: str | None, earlier: list[Fill]) -> str | None:
    """What the canvas shows, if that was made of the upload: the browser may tell of another's for a moment."""
    return now if earlier and path and same_picture(earlier[-1].path, path) else None


def other_fill(name: str) -> str:
    """The method that `auto` might have taken instead."""
    return next(other for other in AMONG if other != name)


class HoleTab(TaskTab):
    """The tab of a task with holes."""

    runs_as = HoleRuns
    batch_hint = (
        "The mask that you gave or painted is brought to the size of each; without one transparent pixels are filled. "
    )

    def draw_marks(self):
        gr.Markdown(
            "Paint red over what should go. Blue, from the brush's colours, marks what is never copied into it.",
            elem_classes="line",
        )
        self.now = UploadedImage(type="filepath", image_mode=None, visible=False, elem_id=f"{self.name}-now")
        self.earlier = gr.State([])
        self.editor = painter(self.name)

    def draw_model(self):
        spot = super().draw_model()
        with gr.Accordion("Other masks, and their edges", open=False):
            self.uploaded = UploadedImage(
                label="A mask of any size: white is missing",
                sources=["upload", "clipboard"],
                type="filepath",
                image_mode=None,
                height=160,
                elem_id=f"{self.name}-mask",
            )
            self.transparent = gr.Checkbox(
                False, label="Transparent pixels are the hole", elem_id=f"{self.name}-transparent"
            )
            self.draw_controls("mask")
            self.look = gr.Button("Show the mask", elem_id=f"{self.name}-look")
            self.mask = gr.Image(
                label="White is filled; the download is the mask",
                type="filepath",
                format="png",
                interactive=False,
                height=200,
                buttons=["download", "fullscreen"],
                elem_id=f"{self.name}-shown-mask",
            )
        self.marks = [self.editor, self.uploaded, self.transparent, self.now, self.earlier]
        return spot

    def draw_controls(self, place):
        super().draw_controls(place)
        if place == "result":
            with gr.Row():
                self.undo = gr.Button(
                    "Undo the fill", interactive=False, elem_id=f"{self.name}-undo", elem_classes="brings"
                )
                self.other = gr.Button("Another method", interactive=False, elem_id=f"{self.name}-other")
                self.another = gr.Button("Another variant", interactive=False, elem_id=f"{self.name}-another")

    def draw_besides(self):
        return [self.other, self.another]

    def example(self):
        return [self.source, self.uploaded], lambda example: (example.picture, example.mask)

    @property
    def painting(self) -> list[gr.components.Component]:
        """What painting changes: what the canvas shows, what it showed, whether that can be gone back to, the canvas.

        Gradio's page changes one after the other, and takes its time for the canvas.
        """
        return [self.now, self.earlier, self.undo, self.editor]

    def follow_picture(self, picked, known):
        told = self.painted(self.source.change, begun, [self.source, self.earlier], **LOOKING | FOLLOWING)
        told.then(None, None, None, js=f"() => window.canvasCame({json.dumps(self.name)})", **QUIET)
        super().follow_picture(picked, known)

    def connect(self):
        super().connect()
        self.source.upload(own_mask, self.uploaded, self.uploaded, **QUIET)
        edges = [
            part for setting in self.kind.settings if setting.place == "mask" for part in self.controls[setting.name]
        ]
        looked_at = [self.source, *self.marks[:-2], *edges]
        self.look.click(show_mask, looked_at, self.mask, **LOOKING | {"show_progress": "full"})
        for button, handler in ((self.other, self.runs.other), (self.another, self.runs.another)):
            self.running.append(self.turns.start(button, handler, [self.shown.state, *self.shown.file]))
        went_on, others = [self.source, self.shown.state, self.earlier], [self.uploaded, self.transparent]
        for running in self.running:
            self.painted(running.success, went_on_from, went_on, others, **LOOKING)
        brought(self.painted(self.undo.click, undone, [self.source, self.earlier], **LOOKING))

    def painted(self, event: Callable, handler: Callable, inputs: list, more: Sequence = (), **queue) -> Dependency:
        """An event after which the canvas shows something else; `more` outputs come before those of `painting`."""
        outputs = [*more, *self.painting]
        return event(once(tidy(handler), len(outputs)), inputs, outputs, **queue)


def begun(path: str | None, earlier: list[Fill]) -> Generator:
    """The canvas of a new picture, unless something was filled in it meanwhile."""
    if earlier and kept_of(earlier[-1].run, path):
        yield unchanged(4)
        return
    for picture in canvas(path):
        yield None, [], gr.update(interactive=False), gr.update(value=picture, visible=picture is not None)


def went_on_from(path: str | None, run: str | None, earlier: list[Fill]) -> Generator:
    """The result of a run as the canvas for the next stroke, and what it was made of among what can be gone back to.

    Args:
        path: of the upload.
        earlier: the fills before.
    """
    result = kept_of(run, path)
    if result is None:
        yield unchanged(6)
        return
    files = [fill.file for fill in earlier]
    kept = files.index(result.made_of) if result.made_of in files else len(files)
    earlier = [*earlier[:kept], Fill(result.made_of, run, path)]
    with sentences(), tempfile.TemporaryDirectory() as folder:
        image = result.done.picture
        file = Path(folder) / f"{image.name}.png"
        write(image, file, metadata="all")
        for picture in canvas(str(file)):
            yield None, False, str(file), earlier, gr.update(interactive=True), gr.update(value=picture)


def undone(path: str | None, earlier: list[Fill]) -> Generator:
    """The canvas as it was before the last fill, with what was marked on it then.

    Args:
        path: of the upload.
        earlier: see `went_on_from`.
    """
    if not earlier:
        yield unchanged(4)
        return
    *earlier, (file, run, _) = earlier
    now = None if path and same_picture(file, path) else file
    result = shelf.results().get(run)
    with sentences(), tempfile.TemporaryDirectory() as folder:
        for picture in canvas(file):
            if picture and result is not None:
                picture = marked_canvas(picture, result.done.hole, folder)
            yield now, earlier, gr.update(interactive=bool(earlier)), gr.update(value=picture)
