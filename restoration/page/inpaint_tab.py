"""What only tasks with holes have: painting, masks, and going on from a result."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import gradio as gr

from restoration.image import write
from restoration.page.masks import canvas, own_mask, show_mask
from restoration.page.parts import PRIVATE, QUIET, UploadedImage
from restoration.page.runs import Runs, Shown
from restoration.page.task_tab import TaskTab


class HoleRuns(Runs):
    """Runs from whose results one can go on."""

    more = 1

    def besides(self, done, folder) -> tuple:
        """The button for that."""
        return (gr.update(interactive=True),)


class HoleTab(TaskTab):
    """The tab of a task with holes."""

    runs_as = HoleRuns
    batch_hint = (
        "The mask that you gave or painted is brought to the size of each; without one transparent pixels are filled. "
    )

    def draw_marks(self):
        self.editor = gr.ImageEditor(
            label="Paint over what should go",
            type="filepath",
            sources=(),
            transforms=(),
            layers=False,
            brush=gr.Brush(default_size=24, colors=["#ffffff"], default_color="#ffffff", color_mode="fixed"),
            eraser=gr.Eraser(default_size=24),
            format="png",
            buttons=["fullscreen"],
            elem_id=f"{self.name}-editor",
        )
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

    def draw_controls(self, place):
        super().draw_controls(place)
        if place == "result":
            self.again = gr.Button("Go on from this result", interactive=False, elem_id=f"{self.name}-again")

    def draw_besides(self):
        return [self.again]

    def example(self):
        return [self.source, self.uploaded], lambda example: (example.picture, example.mask)

    def forget(self, running):
        super().forget(running)
        self.source.change(lambda: gr.update(interactive=False), None, self.again, **QUIET)

    def connect(self):
        super().connect()
        self.source.upload(own_mask, self.uploaded, self.uploaded, **QUIET)
        self.source.change(canvas, self.source, self.editor, **QUIET)
        edges = [
            part for setting in self.kind.settings if setting.place == "mask" for part in self.controls[setting.name]
        ]
        self.look.click(show_mask, [self.source, *self.marks, *edges], self.mask, **PRIVATE)
        self.again.click(go_on, self.shown.state, self.source, **QUIET)
        self.again.click(lambda: (None, False), None, [self.uploaded, self.transparent], **QUIET)


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
