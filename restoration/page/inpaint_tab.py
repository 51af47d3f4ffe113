"""What only tasks with holes have: painting, masks, and going on from a result."""

from collections.abc import Generator

import gradio as gr

from restoration import catalog
from restoration.fill_choice import AMONG
from restoration.orders import Order
from restoration.page.masks import SEEN, canvas, own_mask, show_mask
from restoration.page.parts import CHANGING, FOLLOWING, LOOKING, QUIET, UploadedImage, sentences, tidy, unchanged
from restoration.page.results import hand_on
from restoration.page.runs import Runs, again
from restoration.page.task_tab import TaskTab
from restoration.receipts import OrderResult
from restoration.tasks._task import Setting


class HoleRuns(Runs):
    """Runs from whose results one can go on, or whose holes can be filled in another way."""

    more = 3

    def besides(self, done, folder) -> tuple:
        """The buttons for that."""
        other = catalog.method(self.kind.name, other_fill(done.order.model)).title
        return (
            gr.update(interactive=True),
            gr.update(interactive=True, value=f"Fill with {other}"),
            gr.update(interactive=self.kind.takes(self.variant, done.order.method)),
        )

    @property
    def variant(self) -> Setting:
        return next(setting for setting in self.kind.settings if setting.name == "variant")

    def other(self, progress=gr.Progress(), path=None, result=None, *output) -> Generator:
        """The same holes by the method that was not taken."""
        if result is None:
            yield unchanged(self.outputs)
            return
        with sentences():
            done = again(result).done
        order = Order(self.kind.name, other_fill(done.order.model), {**done.order.settings, "texture": True})
        yield from self._again(done, order, path, output, progress)

    def another(self, progress=gr.Progress(), path=None, result=None, *output) -> Generator:
        """The same holes, filled with other copies; after the last variant the first again."""
        if result is None:
            yield unchanged(self.outputs)
            return
        with sentences():
            done = again(result).done
        order = done.order
        number = (order.settings["variant"] + 1) % (self.variant.limits[1] + 1)
        yield from self._again(done, order.changed(variant=number), path, output, progress)

    def _again(
        self, done: OrderResult, order: Order, path: str | None, output: tuple, progress: gr.Progress
    ) -> Generator:
        with sentences():
            yield from self.restore(order, path, lambda image: done.hole, output, progress)


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
        self.editor = gr.ImageEditor(
            label="Paint red over what should go; blue is never copied from",
            type="filepath",
            sources=(),
            transforms=(),
            layers=False,
            brush=gr.Brush(default_size=24, colors=list(SEEN), default_color=SEEN[0], color_mode="fixed"),
            eraser=gr.Eraser(default_size=24),
            format="png",
            buttons=["fullscreen"],
            elem_id=f"{self.name}-editor",
        )

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
        self.marks = [self.editor, self.uploaded, self.transparent]
        return spot

    def draw_controls(self, place):
        super().draw_controls(place)
        if place == "result":
            with gr.Row():
                self.other = gr.Button("Another method", interactive=False, elem_id=f"{self.name}-other")
                self.another = gr.Button("Another variant", interactive=False, elem_id=f"{self.name}-another")
            self.again = gr.Button("Go on from this result", interactive=False, elem_id=f"{self.name}-again")

    def draw_besides(self):
        return [self.again, self.other, self.another]

    def example(self):
        return [self.source, self.uploaded], lambda example: (example.picture, example.mask)

    def connect(self):
        super().connect()
        self.source.upload(own_mask, self.uploaded, self.uploaded, **QUIET)
        self.source.change(canvas, self.source, self.editor, **LOOKING | FOLLOWING)
        edges = [
            part for setting in self.kind.settings if setting.place == "mask" for part in self.controls[setting.name]
        ]
        self.look.click(show_mask, [self.source, *self.marks, *edges], self.mask, **LOOKING | {"show_progress": "full"})
        inputs = [self.source, self.shown.state, *self.shown.file]
        for button, handler in ((self.other, self.runs.other), (self.another, self.runs.another)):
            self.turns.run_on_click((button, self.cancel), handler, inputs)
        self.again.click(tidy(go_on), self.shown.state, self.source, **CHANGING)
        self.again.click(lambda: (None, False), None, [self.uploaded, self.transparent], **QUIET)


def go_on(run: str | None) -> Generator:
    """The result of a run as the new picture, for the next hole."""
    for file, _ in hand_on(run, "inpaint"):
        yield file
