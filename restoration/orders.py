"""Orders: a task, a method and its settings, run on a picture, and run again by a receipt.

Page, API, command line, batches and replays all come through here, so equal orders give equal files.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from restoration import catalog, deep_image_prior, memory, tasks
from restoration.catalog import Method
from restoration.files import read
from restoration.image import Image
from restoration.inpainting import Mask, hole_of, transparent_pixels
from restoration.receipts import OrderResult, facts
from restoration.running import Job, Result
from restoration.tiling import Progress, relayed


@dataclass(frozen=True)
class Order:
    """What is to be done with a picture.

    Args:
        task: name of one in `restoration.tasks`.
        model: of a method or of a family of them; empty is the task's default.
        settings: those of the task that are not to be at their default, and `scale` for a family; completed.

    Raises:
        ValueError: no such task, model or setting, or a value that cannot be one.
    """

    task: str
    model: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self):
        kind, given = tasks.named(self.task), dict(self.settings)
        chosen = {s.name: s.checked(given.pop(s.name, None) or s.default) for s in kind.settings if s.selects}
        method = catalog.method(self.task, self.model, chosen.get("scale") or None)
        object.__setattr__(self, "model", method.name)
        object.__setattr__(self, "settings", kind.completed(given, method))

    @property
    def method(self) -> Method:
        return catalog.method(self.task, self.model)

    @property
    def suffix(self) -> str:
        """What the name of the result's file ends in."""
        return tasks.named(self.task).suffix(self.method)

    def changed(self, **settings: object) -> "Order":
        """The order with other settings."""
        return replace(self, settings={**self.settings, **settings})

    def facts(self, image: Image, hole: Mask | None = None) -> dict:
        """What a receipt tells that is known before the run: the order, the picture, the weights, the machine.

        Args:
            hole: see `run`.
        """
        return facts(self, image, self._hole(image, hole))

    def _hole(self, image: Image, given: Mask | None) -> Mask | None:
        """What is missing: what was given, for inpainting else the transparent pixels."""
        return transparent_pixels(image) if given is None and tasks.named(self.task).holes else given

    def run(self, image: Image, hole: Mask | None = None) -> Job[OrderResult]:
        """Do it; yields progress, and gives what came of it.

        Args:
            hole: what is missing, before it is inverted, grown and feathered; by default the transparent pixels.

        Raises:
            ValueError: the picture or a setting does not fit; see the jobs of each task.
        """
        hole = self._hole(image, hole)
        job = tasks.named(self.task).run(image, self.method, self.settings, hole)
        planned = deep_image_prior.STEPS[self.task] if self.method.prior else None

        def completed(result: Result, order: Order, done: int | None) -> OrderResult:
            steps = planned and (done, planned)
            asked = None if order == self else self
            return OrderResult.of(result, order=order, given=image, hole=hole, steps=steps, asked=asked)

        def improved(step: Progress) -> Progress:
            return replace(step, so_far=step.so_far and completed(step.so_far, self, step.done))

        try:
            result = yield from relayed(job, improved)
        finally:  # also where the job is cancelled or fails
            memory.give_back()
        taken = replace(self, model=result.method.name, settings={**self.settings, **result.chosen})
        return completed(result, taken, planned)


# Replays -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replayed:
    """What doing it again gave.

    Args:
        same: whether every sample came out equal.
        differences: what is not as it was, one sentence each.
        result: the new one.
    """

    same: bool
    differences: tuple[str, ...]
    result: OrderResult


def replay(receipt: dict, image: Image, hole: Image | None = None) -> Job[Replayed]:
    """Run the order of a receipt again; yields progress, and tells whether the result is the same.

    Args:
        receipt: see `receipts.read_receipt`.
        image: the picture that was restored.
        hole: picture of what was missing, for a receipt from inside a picture, which does not hold it.

    Raises:
        ValueError: the receipt's order cannot be run here, or was stopped on the way.
    """
    order = Order(receipt["task"], receipt["model"], receipt["settings"])
    steps = receipt.get("steps")
    if steps and steps["done"] < steps["planned"]:
        raise ValueError(
            f"This run was stopped after {steps['done']} of {steps['planned']} steps, so it cannot be repeated."
        )
    mask = None
    if tasks.named(order.task).holes or "hole_sha256" in receipt:
        if "hole_png" in receipt:
            hole = read(base64.b64decode(receipt["hole_png"]))
        avoided = read(base64.b64decode(receipt["avoid_png"])) if "avoid_png" in receipt else None
        if avoided is None and "avoid_sha256" in receipt:
            raise ValueError("This receipt does not hold what was avoided: give the JSON that came with the result.")
        mask = hole_of(image, hole, avoided)
        if hole is None and not transparent_pixels(image).share:
            raise ValueError("This receipt does not hold the mask: give it, or the JSON that came with the result.")
    result = yield from order.run(image, mask)
    now = result.receipt
    names = {
        "input": "the picture",
        "hole_sha256": "the mask",
        "avoid_sha256": "what was avoided",
        "weights": "the weights",
        "version": "the version",
        "device": "the device",
        "torch": "the version of PyTorch",
        "tiles": "the tiles",
        "steps": "the number of steps",
        "chain": "a step",
        "metrics": "what was measured",
        "output": "the result",
    }
    ignored = ("file_sha256", "from")  # the same picture may lie in another file, the same weights elsewhere

    def kept(value: object) -> object:
        if isinstance(value, dict):
            return {key: kept(inner) for key, inner in value.items() if key not in ignored}
        return [kept(inner) for inner in value] if isinstance(value, list) else value

    precisions = receipt.get("precision") or now["precision"], now["precision"]
    apart = precisions[0] != precisions[1]  # then samples differ by a level, which says nothing more
    differences = tuple(
        f"{title} differs: {_brief(receipt.get(key))} then, {_brief(now.get(key))} now."
        for key, title in names.items()
        if kept(receipt.get(key)) != kept(now.get(key)) and not (apart and key in ("metrics", "output"))
    )
    if apart:
        differences += (
            "It was computed in {} then and in {} now, so samples may differ by a level.".format(*precisions),
        )
    return Replayed(now["output"]["sha256"] == receipt["output"]["sha256"], differences, result)


def _brief(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_brief(item) for item in value)
    if isinstance(value, dict):
        value = " ".join(_brief(item) for item in value.values())
    text = str(value)
    return text[:12] if len(text) == 64 and text.isalnum() else text[:100]
