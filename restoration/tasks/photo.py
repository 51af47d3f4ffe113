"""One click: the picture is measured, and what would help is done, one task after the other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from restoration import tasks
from restoration.catalog import Chain, Method
from restoration.contract import check_image
from restoration.diagnosis import FINE, Finding, diagnosed, scratches
from restoration.image import Image, enlarged, from_tensor, visible_colours
from restoration.inpainting import Mask, Painting
from restoration.orders import Order
from restoration.running import Result, finish, stage
from restoration.tasks._task import Setting, Task
from restoration.tiling import Progress
from restoration.upscaling import output_size

# Tasks in the order in which they are done, here and in what the tasks advise: `python -m train.photo --order` finds
# most pictures with noise and JPEG a little nearer to the original in this one.
BEFORE_ENLARGING = ("denoise", "artifacts")
DONE = {
    "artifacts": "JPEG artifacts removed",
    "denoise": "denoised",
    "inpaint": "scratches and dust removed",
    "upscale": "enlarged",
}
FILL = "fourier-fill"  # which suits holes that are long and thin, without detail of their own
UNSCRATCHED = "No scratches and no dust were found."


@dataclass(frozen=True)
class Course:
    """What was done with a picture.

    Args:
        steps: the orders, as they were carried out.
    """

    steps: tuple[Order, ...]

    def __str__(self) -> str:
        return ", ".join(DONE[order.task] for order in self.steps) or "nothing was done"


def restored_in_steps(image: Tensor) -> Tensor:
    """Images (B, C, H, W) of any float type in [0, 1], each taken through the steps that it needs, in 8 bits."""
    check_image(image)
    kind = Photo()
    pictures = [from_tensor(each) for each in image.split(1)]
    results = [finish(kind.run(each, STEPWISE, kind.completed({}, STEPWISE))) for each in pictures]
    return torch.cat([result.image().tensor() for result in results]).to(image)


def told(orders: list[Order], image: Image) -> list[Order]:
    """The same, where a JPEG is denoised and cleaned each told what was measured in the image as it came.

    The second could no longer find the quality, and one noise level is nearer than a map that blocks disturb.
    """
    if not {order.task for order in orders}.issuperset(BEFORE_ENLARGING):
        return orders
    known = {name: tasks.named(name).measured(image) for name in BEFORE_ENLARGING}
    return [order.changed(**known.get(order.task, {})) for order in orders]


STEPWISE = Method(
    "steps",
    "photo",
    "Proposed steps",
    "Measures the picture and takes the steps that it needs, each by the default of its task.",
    Chain(restored_in_steps),
    flagship=True,
)


class Photo(Task):
    name = "photo"
    title = "Photo"
    verb = "Restore"
    place = 0
    help = "find out what a photo needs, and do it"
    about = "Find out what a photo needs, and do it."
    ending = "restored"
    methods = (STEPWISE,)
    settings = (
        Setting("denoise", bool, None, "denoise, by default where there is grain", "Denoise", place="first"),
        Setting(
            "artifacts",
            bool,
            None,
            "remove JPEG artifacts, by default if they show",
            "Clean JPEG",
            place="first",
        ),
        Setting(
            "scratches",
            bool,
            False,
            "fill what looks like scratches or dust",
            "Remove scratches and dust",
            place="first",
        ),
        Setting(
            "enlarge",
            int,
            0,
            "how many times the picture is enlarged; else not at all",
            "Enlarge",
            choices=(2, 3, 4),
            place="first",
        ),
    )
    marked = "scratches"
    compared = "Before and after"

    def facts(self, image, method):
        found = self.found(image)
        wrong = any(finding.advised or finding.offered for finding in found)
        return [finding.words for finding in found], [] if wrong else [FINE]

    def found(self, image: Image) -> list[Finding]:
        return [*diagnosed(image), scratches(image)[0]]

    def left(self, image: Image) -> str:
        """What is wrong with an image with which nothing was done."""
        wrong = [finding.words for finding in self.found(image) if finding.advised or finding.offered]
        return f"No step was asked for, though there is something: {'; '.join(wrong)}." if wrong else FINE

    def marks(self, image: Image) -> Mask:
        return scratches(image)[1]

    def chosen(self, image: Image, settings: Mapping[str, object]) -> dict[str, object]:
        """The settings, with what is to be found out found out."""
        if None not in settings.values():
            return dict(settings)
        advised = {finding.step: finding.advised for finding in diagnosed(image)}
        return {name: advised[name] if value is None else value for name, value in settings.items()}

    def orders(self, settings: Mapping[str, object]) -> list[Order]:
        """What is done one after the other with settings of which none is left to be found out."""
        orders = [Order(name) for name in BEFORE_ENLARGING if settings[name]]
        orders += [Order("inpaint", FILL, {"texture": False})] if settings["scratches"] else []
        scale = settings["enlarge"]
        return [*orders, Order("upscale", "", {"scale": scale})] if scale else orders

    def run(self, image, method, settings, hole=None):
        yield Progress(0, 1)
        chosen = self.chosen(image, settings)
        if chosen["enlarge"]:
            output_size(image, chosen["enlarge"])
        notes = []
        if chosen["scratches"]:
            hole = hole or self.marks(image)  # before a step makes them faint
            chosen["scratches"] = bool(hole.opacity.any())
            notes += [] if chosen["scratches"] else [UNSCRATCHED]
        orders = told(self.orders(chosen), image)
        parts, now = [], image
        for index, order in enumerate(orders):
            filled = hole if tasks.named(order.task).holes else None
            done = yield from stage(order.run(now, filled), index, len(orders))
            parts.append(done)
            notes += done.notes
            now = replace(done.picture, jpeg_quality=None)
        if not parts and not notes:
            notes = [self.left(image)]
        return Result(
            Painting(replace(now, jpeg_quality=image.jpeg_quality)),
            method,
            sum(done.seconds for done in parts),
            Course(tuple(done.order for done in parts)),
            tuple(dict.fromkeys(notes)),
            chosen,
            tuple(parts),
        )

    def metrics(self, result):
        return {"steps": "+".join(order.task for order in result.found.steps) or "none"}

    def before(self, image, method, settings):
        scale = settings["enlarge"]
        return enlarged(visible_colours(image), scale) if scale else image


TASK = Photo()
