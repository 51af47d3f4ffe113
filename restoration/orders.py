"""Orders: a task, a method and its settings, carried out on a picture, and the receipt of what came of it.

Page, API, command line, batches and replays all come through here, so equal orders give equal files.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

import torch

from restoration import catalog, deep_image_prior, memory, tasks, weights
from restoration.catalog import Filter, Method
from restoration.files import Format, Metadata, embedded_receipt, encode, read
from restoration.image import Image
from restoration.inpainting import Mask, mask_from, mask_image, transparent_pixels
from restoration.job import Job, Result, loaded, tile_side


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
        chosen = {s.name: s.checked(given.pop(s.name, None) or s.default) for s in kind.settings if s.choices}
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
            hole: see `carry_out`.
        """
        method, hole = self.method, self._hole(image, hole)
        return {
            "version": _version(),
            "task": self.task,
            "model": self.model,
            "settings": dict(self.settings),
            "input": {
                "file_sha256": image.file_digest,
                "sha256": image.digest,
                "width": image.width,
                "height": image.height,
                "bits": image.bits,
            },
            "weights": _weights(method),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "torch": torch.__version__,
            "tiles": _tiles(method),
            **({} if hole is None else {"hole_sha256": _bare(hole).digest}),
        }

    def _hole(self, image: Image, given: Mask | None) -> Mask | None:
        """What is missing: what was given, for inpainting else the transparent pixels."""
        return transparent_pixels(image) if given is None and tasks.named(self.task).holes else given

    def carry_out(self, image: Image, hole: Mask | None = None) -> Job["Done"]:
        """Do it; yields progress, and gives what came of it.

        Args:
            hole: what is missing, before it is inverted, grown and feathered; by default the transparent pixels.

        Raises:
            ValueError: the picture or a setting does not fit; see the jobs of each task.
        """
        hole = self._hole(image, hole)
        job = tasks.named(self.task).run(image, self.method, self.settings, hole)
        planned = deep_image_prior.STEPS[self.task] if self.method.prior else None
        try:
            result = yield from _told(job, self, image, hole, planned)
        finally:  # also where the job is cancelled or fails
            memory.give_back()
        taken = replace(self, model=result.method.name, settings={**self.settings, **result.chosen})
        asked = self.model if self.method.chooses else ""
        return Done(taken, image, result, hole, planned and (planned, planned), asked)


def _told(job: Job, order: Order, image: Image, hole: Mask | None, planned: int | None) -> Job:
    """The job, whose results so far are `Done` too."""
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            return end.value
        told = step.so_far and Done(order, image, step.so_far, hole, (step.done, planned))
        yield replace(step, so_far=told)


@dataclass(frozen=True)
class Done:
    """An order that was carried out.

    Args:
        order: with the settings that `image` has; those that need no model may be changed afterwards.
        given: the picture.
        result: of the task's job.
        hole: what was missing, before it was inverted, grown and feathered.
        steps: of Deep Image Prior, done and planned: fewer were done where it was stopped.
        asked: what was ordered instead of the order's method, which it chose; else empty.
    """

    order: Order
    given: Image
    result: Result
    hole: Mask | None = None
    steps: tuple[int, int] | None = None
    asked: str = ""

    @property
    def seconds(self) -> float:
        """How long the restoring took."""
        return self.result.seconds

    @property
    def suffix(self) -> str:
        """What the name of the result's file ends in."""
        return self.order.suffix

    @cached_property
    def picture(self) -> Image:
        """The result, without a receipt."""
        strength = self.order.settings.get("strength")
        return self.result.image() if strength is None else self.result.image(strength)

    @property
    def image(self) -> Image:
        """The result, with the receipt that its file will hold."""
        return replace(self.picture, receipt=json.dumps(self.receipt))

    @property
    def metrics(self) -> dict[str, object]:
        """What was measured on the way, by name."""
        return tasks.named(self.order.task).metrics(self.result)

    @property
    def summary(self) -> str:
        """One line on what was done."""
        seconds = " ".join([f"{self.seconds:.1f} s", *self.result.notes])
        return f"{self.order.model}, {self.result.found}, {seconds}"

    @cached_property
    def receipt(self) -> dict:
        """All that the result depends on, and its own hash: the same for equal runs on equal machines."""
        picture = self.picture
        facts = self.order.facts(self.given, self.hole) | {
            "metrics": self.metrics,
            "output": {
                "sha256": picture.digest,
                "width": picture.width,
                "height": picture.height,
                "bits": picture.bits,
            },
        }
        if self.asked:
            facts["asked"] = self.asked
        if self.steps:
            facts["steps"] = dict(zip(("done", "planned"), self.steps, strict=True))
        return facts

    def files(self, format: Format = "png", quality: int = 95, metadata: Metadata = "private") -> tuple[bytes, str]:
        """The result's file with its receipt inside, and the fuller receipt that accompanies it, as JSON.

        Raises:
            ImageError: the format cannot hold the picture.
        """
        content = encode(self.image, format, quality, metadata)
        beside = {**self.receipt, "file": {"sha256": hashlib.sha256(content).hexdigest(), "format": format}}
        if format == "jpeg":
            beside["file"]["jpeg_quality"] = quality
        if self.hole is not None:
            beside["hole_png"] = base64.b64encode(encode(_bare(self.hole))).decode()
        return content, json.dumps(beside, indent=1) + "\n"


def _version() -> str:
    from restoration import __version__  # the package is complete by now

    return __version__


def _bare(hole: Mask) -> Image:
    """A hole as a picture of one bit a pixel, which is all that it has before it is feathered."""
    return mask_image(replace(hole, opacity=(hole.opacity > 0.5).astype("float32")))


def weights_digest(method: Method) -> str:
    """sha256 of a learned method's weights, in hexadecimal; empty for others."""
    return _file_digest(weights.place(method.name).folder / "model.safetensors") if method.learned else ""


@lru_cache(maxsize=64)
def _file_digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _weights(method: Method) -> list[dict] | None:
    """Name, hash and origin of the weights, of both where two are blended; None without weights."""
    if not method.learned:
        return None
    names = [method.name, *([method.source.blends_with] if method.blends else [])]
    found = [(name, weights.place(name)) for name in names]
    return [
        {"name": name, "sha256": _file_digest(place.folder / "model.safetensors"), "from": place.source or "bundled"}
        for name, place in found
        if place
    ]


def _tiles(method: Method) -> dict | None:
    """Side and halo in input pixels of the tiles that a picture is cut into; None where it is not."""
    if method.prior or tasks.named(method.task).holes:
        return None
    restorer: Filter = loaded(method)
    side = tile_side(method, restorer)
    return {"side": side, "halo": restorer.receptive_field}


# Replays -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replayed:
    """What doing it again gave.

    Args:
        same: whether every sample came out equal.
        differences: what is not as it was, one sentence each.
        done: the new result.
    """

    same: bool
    differences: tuple[str, ...]
    done: Done


def read_receipt(path: Path) -> dict:
    """The receipt in a JSON file or in a picture that holds one.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    text = embedded_receipt(path)
    if text is None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"{path.name} holds no receipt.") from None
    try:
        receipt = json.loads(text)
        receipt["task"], receipt["model"], receipt["settings"], receipt["input"]["sha256"], receipt["output"]["sha256"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path.name} holds no receipt.") from None
    return receipt


def replay(receipt: dict, image: Image, hole: Image | None = None) -> Job[Replayed]:
    """Carry out the order of a receipt again; yields progress, and tells whether the result is the same.

    Args:
        receipt: see `read_receipt`.
        image: the picture that was restored.
        hole: picture of what was missing, for a receipt from inside a picture, which does not hold it.

    Raises:
        ValueError: the receipt's order cannot be carried out here, or was stopped on the way.
    """
    order = Order(receipt["task"], receipt["model"], receipt["settings"])
    steps = receipt.get("steps")
    if steps and steps["done"] < steps["planned"]:
        raise ValueError(
            f"This run was stopped after {steps['done']} of {steps['planned']} steps, so it cannot be repeated."
        )
    mask = None
    if tasks.named(order.task).holes:
        if "hole_png" in receipt:
            hole = read(base64.b64decode(receipt["hole_png"]))
        mask = transparent_pixels(image) if hole is None else mask_from(hole, image)
        if hole is None and not mask.share:
            raise ValueError("This receipt does not hold the mask: give it, or the JSON that came with the result.")
    done = yield from order.carry_out(image, mask)
    now = done.receipt
    names = {
        "input": "the picture",
        "hole_sha256": "the mask",
        "weights": "the weights",
        "version": "the version",
        "device": "the device",
        "torch": "the version of PyTorch",
        "tiles": "the tiles",
        "steps": "the number of steps",
        "metrics": "what was measured",
        "output": "the result",
    }
    ignored = ("file_sha256", "from")  # the same picture may lie in another file, the same weights elsewhere

    def kept(value: object) -> object:
        if isinstance(value, dict):
            return {key: kept(inner) for key, inner in value.items() if key not in ignored}
        return [kept(inner) for inner in value] if isinstance(value, list) else value

    differences = tuple(
        f"{title} differs: {_brief(receipt.get(key))} then, {_brief(now.get(key))} now."
        for key, title in names.items()
        if kept(receipt.get(key)) != kept(now.get(key))
    )
    return Replayed(now["output"]["sha256"] == receipt["output"]["sha256"], differences, done)


def _brief(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_brief(item) for item in value)
    if isinstance(value, dict):
        value = " ".join(_brief(item) for item in value.values())
    text = str(value)
    return text[:12] if len(text) == 64 and text.isalnum() else text[:100]
