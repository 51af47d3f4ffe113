"""What comes of an order, and its receipt: all that the result depends on, inside the file and beside it."""

import base64
import hashlib
import json
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from restoration import tasks, weights
from restoration.catalog import Filter, Method
from restoration.files import Format, Metadata, embedded_receipt, encode, left_out
from restoration.image import Image
from restoration.inpainting import Mask, mask_image
from restoration.precision import precision_of, precision_of_prior
from restoration.running import Result, in_strips, loaded, strip_pixels, tile_side

if TYPE_CHECKING:
    from restoration.orders import Order


@dataclass(frozen=True, kw_only=True)
class OrderResult(Result):
    """The result of an order.

    Args:
        order: with the settings that the picture has; those that need no model may be changed afterwards.
        given: the picture.
        hole: what was missing, before it was inverted, grown and feathered.
        steps: of Deep Image Prior, done and planned: fewer were done where it was stopped.
        asked: what was ordered, where the order left a method or a setting to be found out.
    """

    order: "Order"
    given: Image
    hole: Mask | None = None
    steps: tuple[int, int] | None = None
    asked: "Order | None" = None

    @classmethod
    def of(cls, result: Result, **more: object) -> "OrderResult":
        """A task's result with what its order adds."""
        return cls(**{field.name: getattr(result, field.name) for field in fields(Result)}, **more)

    @property
    def suffix(self) -> str:
        """What the name of the result's file ends in."""
        return self.order.suffix

    @cached_property
    def picture(self) -> Image:
        """The result, without a receipt."""
        strength = self.order.settings.get("strength")
        return self.image() if strength is None else self.image(strength)

    @property
    def signed(self) -> Image:
        """The result, with the receipt that its file will hold."""
        return replace(self.picture, receipt=json.dumps(self.receipt))

    @property
    def metrics(self) -> dict[str, object]:
        """What was measured on the way, by name."""
        return tasks.named(self.order.task).metrics(self)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What reading changed or lost of the picture, and what there is to say of the result, one sentence each."""
        return *self.given.notes, *self.notes

    @property
    def summary(self) -> str:
        """One line on what was done."""
        done = f"{self.order.model}, {self.found}, {self.seconds:.1f} s"
        return " ".join([f"{done}.", *self.remarks]) if self.remarks else done

    def told(self, format: Format, metadata: Metadata = "private") -> str:
        """`summary`, with what the format of its file has no place for."""
        lost = left_out(format, self.picture, metadata)
        return " ".join([self.summary if self.remarks else f"{self.summary}.", *lost]) if lost else self.summary

    @cached_property
    def receipt(self) -> dict:
        """All that the result depends on, and its own hash: the same for equal runs on equal machines."""
        picture = self.picture
        known = facts(self.order, self.given, self.hole) | {
            "metrics": self.metrics,
            "output": {
                "sha256": picture.digest,
                "width": picture.width,
                "height": picture.height,
                "bits": picture.bits,
            },
        }
        if self.parts:
            known["chain"] = [part.brief for part in self.parts]
        if self.given.notes:
            known["reading"] = list(self.given.notes)
        if self.asked:
            known["asked"] = {"model": self.asked.model, "settings": dict(self.asked.settings)}
        if self.steps:
            known["steps"] = dict(zip(("done", "planned"), self.steps, strict=True))
        return known

    @property
    def brief(self) -> dict:
        """What the receipt of a chain tells of one of its steps."""
        kept = ("task", "model", "settings", "hole_sha256", "weights", "tiles", "metrics", "output")
        return {name: self.receipt[name] for name in kept if name in self.receipt}

    def files(self, format: Format = "png", quality: int = 95, metadata: Metadata = "private") -> tuple[bytes, str]:
        """The result's file with its receipt inside, and the fuller receipt that accompanies it, as JSON.

        Raises:
            ImageError: the format cannot hold the picture.
        """
        content = encode(self.signed, format, quality, metadata)
        beside = {**self.receipt, "file": {"sha256": hashlib.sha256(content).hexdigest(), "format": format}}
        if format == "jpeg":
            beside["file"]["jpeg_quality"] = quality
        if lost := left_out(format, self.picture, metadata):
            beside["file"]["left_out"] = list(lost)
        if self.hole is not None:
            beside["hole_png"] = base64.b64encode(encode(_bare(self.hole))).decode()
            if self.hole.avoided is not None:
                beside["avoid_png"] = base64.b64encode(encode(_avoided(self.hole))).decode()
        return content, json.dumps(beside, indent=1) + "\n"


def facts(order: "Order", image: Image, hole: Mask | None) -> dict:
    """What a receipt tells that is known before the run: the order, the picture, the weights, the machine."""
    method = order.method
    return {
        "version": _version(),
        "task": order.task,
        "model": order.model,
        "settings": dict(order.settings),
        "input": {
            "file_sha256": image.file_digest,
            "sha256": image.digest,
            "width": image.width,
            "height": image.height,
            "bits": image.bits,
        },
        "weights": weights_of(method),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "precision": _precision(method),
        "tiles": _tiles(method),
        **({} if hole is None else {"hole_sha256": _bare(hole).digest}),
        **({} if hole is None or hole.avoided is None else {"avoid_sha256": _avoided(hole).digest}),
    }


def _version() -> str:
    from restoration import __version__  # the package is complete by now

    return __version__


def _bare(hole: Mask) -> Image:
    """A hole as a picture of one bit a pixel, which is all that it has before it is feathered."""
    return mask_image(replace(hole, opacity=(hole.opacity > 0.5).astype("float32")))


def _avoided(hole: Mask) -> Image:
    """What may not be copied, as such a picture."""
    return mask_image(replace(hole, opacity=hole.avoided.astype("float32")))


def weights_digest(method: Method) -> str:
    """sha256 of a learned method's weights, in hexadecimal; empty for others."""
    return _file_digest(weights.place(method.name).folder / "model.safetensors") if method.learned else ""


@lru_cache(maxsize=64)
def _file_digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def weights_of(method: Method) -> list[dict] | None:
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


def _precision(method: Method) -> str | None:
    """What the method computes in; None where no network takes part."""
    if method.prior:
        return precision_of_prior()
    return precision_of(loaded(method)) if method.learned else None


def _tiles(method: Method) -> dict | None:
    """Pixels of the strips, or side and halo of the tiles, that a picture is cut into; None where it is not."""
    if method.prior or method.chained or tasks.named(method.task).holes:
        return None
    restorer: Filter = loaded(method)
    if in_strips(method):
        return {"strips": strip_pixels(restorer)}
    side = tile_side(method, restorer)
    return {"side": side, "halo": restorer.receptive_field}


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
