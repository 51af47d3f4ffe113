"""What only tasks with a scale have: families of models, results pulled back to the photo, and a map of invention."""

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path

import gradio as gr

from restoration import catalog
from restoration.gallery import Example
from restoration.orders import Order
from restoration.page import shelf
from restoration.page.before import guide
from restoration.page.parts import FOLLOWING, control, preview
from restoration.page.runs import Runs, Shown, stepped
from restoration.page.task_tab import TaskTab
from restoration.receipts import OrderResult
from restoration.upscaling import corrected


class ScaledRuns(Runs):
    """Runs whose results can be pulled back to the photo."""

    more = 1

    def plain(self, order: Order) -> Order:
        return order.changed(stay_true=False)

    def moved(self, result: Shown, order: Order, progress: gr.Progress) -> Generator:
        """The enlarged picture as the model made it, or pulled back to the photo; at once if that was done before."""
        if not order.settings["stay_true"]:
            if result.plain is None:
                raise ValueError(shelf.AGAIN)
            return replace(result, done=result.plain)
        if result.true is None:
            large = 2 * result.plain.canvas.codes.nbytes > shelf.BYTES  # both could not be kept
            fresh = shelf.results().get(result.run) is None  # where it is kept a cancelled correction must not show
            pulled = yield from stepped(corrected(result.plain, large and fresh), progress, self.outputs)
            plain = None if large else result.plain
            result = replace(result, true=replace(pulled, order=order), plain=plain)
        return replace(result, done=result.true)

    def besides(self, done: OrderResult, folder: str) -> tuple:
        """The map of invented detail."""
        heat = Path(folder) / "invented.png"
        heat.write_bytes(preview(done.found.heat_map()))
        return (gr.update(value=str(heat), label=f"{DIFFERENCES} ({done.found})"),)


DIFFERENCES = "Differences from your photo"


class ScaleTab(TaskTab):
    """The tab of a task with a scale."""

    runs_as = ScaledRuns

    def draw_control(self, setting):
        if setting.name == "scale":
            scales = self.offered(next(iter(self.families)), 4)[0]
            elem_id = f"{self.name}-scale"
            return [gr.Radio(scales["choices"], value=scales["value"], label=setting.label, elem_id=elem_id)]
        blends = self.offered(next(iter(self.families)), 4)[1]["visible"]
        return [control(self.kind, setting, visible=blends or setting.name != "alpha")]

    def draw_besides(self):
        with gr.Accordion("Where was detail invented?", open=False):
            gr.Markdown(
                "The result is reduced to your photo's size again and compared with it. Above 45 dB nothing in it "
                "contradicts your photo; under 35 dB parts of it do. Black: matches; through red to white: differs "
                "by 16 of 255 levels or more.",
                elem_classes="line",
            )
            self.heat = gr.Image(
                label=DIFFERENCES,
                type="filepath",
                format="png",
                interactive=False,
                height=280,
                buttons=["fullscreen"],
                elem_id=f"{self.name}-heat",
            )
        return [self.heat]

    def example(self):
        def values(example: Example) -> tuple:
            method = example.order.method
            return example.picture, method.family, method.scale

        return [self.source, self.model, *self.controls["scale"]], values

    def connect(self):
        (scale,), (alpha,) = self.controls["scale"], self.controls["alpha"]
        self.model.change(self.offered, [self.model, scale], [scale, alpha, self.advice], **FOLLOWING)
        scale.change(partial(guide, self.name), [self.model, scale], self.advice, **FOLLOWING)

    def offered(self, family: str, scale: int) -> tuple:
        """Scale picker, blend slider and guide for a family of models; the scale stays if the family has it."""
        scales = [method.scale for method in self.families[family]]
        scale = scale if scale in scales else scales[-1]
        method = catalog.method(self.name, family, scale)
        return (
            gr.update(choices=[(f"×{s}", s) for s in scales], value=scale),
            gr.update(visible=method.blends),
            guide(self.name, family, scale),
        )
