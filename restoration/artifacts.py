"""Artifact removal jobs: the function behind the page, the API and the command line, and trials on clean pictures."""

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from restoration import catalog
from restoration.image import Image
from restoration.jpeg import estimated_quality
from restoration.jpeg_blocks import blocks
from restoration.running import Job, Result, restored

ESTIMATION_SIDE = 1024  # a larger image is measured in its middle
FINE_FROM = 93  # a quality that leaves blocks under `CLEAR`
CLEAR = 0.14  # strength of blocks that speaks of an earlier JPEG
SAVED_AGAIN = 8  # by so much the pixels' quality lies below the file's where it was saved before
LOWEST, HIGHEST = 5, 95  # qualities that can be chosen
BLOCKY_BELOW = 75  # a JPEG quality below which artifacts are likely to be seen
SOUND_FROM = 90  # one from which removing them can only lose detail

Origin = Literal["file", "pixels", "given"]


@dataclass(frozen=True)
class Quality:
    """The quality that a picture was saved with.

    Args:
        value: 1 to 100; None when no quality explains the pixels.
        origin: whether the file's own tables tell it, or the pixels of a picture that was saved anew, or the visitor.
        file: what the file's own tables tell where the pixels tell of a lower quality.
        resized: size relative to that in which the picture was saved as JPEG before, with a quality that is not known;
            1 where it was edited otherwise.
    """

    value: int | None
    origin: Origin
    file: int | None = None
    resized: float | None = None

    @property
    def blocky(self) -> bool:
        """Whether artifacts are likely to be seen."""
        return self.resized is not None or (self.value is not None and self.value < BLOCKY_BELOW)

    def __str__(self) -> str:
        if self.value is None:
            return f"JPEG, then {self.history}" if self.resized else "no trace of JPEG"
        again = f" (saved again with {self.file})" if self.file else ""
        told = f"JPEG quality {self.value}" + (f", from its pixels{again}" if self.origin == "pixels" else "")
        return f"{told}, after an earlier one that was {self.history}" if self.resized else told

    @property
    def history(self) -> str:
        """What was done with the picture after it was saved, in words."""
        if not self.resized:
            return ""
        return "edited" if self.resized == 1 else f"resized to about {5 * round(20 * self.resized)} %"

    @property
    def saved(self) -> str:
        """How a picture with traces of JPEG was saved, in words that advice goes on from."""
        return "It was saved as a JPEG " + (f"and then {self.history}" if self.resized else f"of quality {self.value}")


def measured_quality(image: Image, side: int = ESTIMATION_SIDE) -> Quality:
    """The lowest quality that an image was saved with: of a JPEG by its tables, of all 8-bit files by their pixels.

    Args:
        side: of the middle of a larger image whose pixels tell, in pixels.
    """
    if image.bits != 8:
        return Quality(None, "pixels")
    seen, file = estimated_quality(_middle(image, side)), image.jpeg_quality
    if file is None:
        found = Quality(seen, "pixels")
    elif seen is not None and seen < file - SAVED_AGAIN:
        found = Quality(seen, "pixels", file)
    else:
        found = Quality(file, "file")
    return found if found.blocky else replace(found, resized=_resized(image, found.value))


def _resized(image: Image, quality: int | None) -> float | None:
    """See `Quality`: those of another size, or clear ones, are not the blocks of the quality that is known."""
    seen = blocks(_middle(image, ESTIMATION_SIDE))
    if seen is None or seen.size != 1:
        return seen and seen.size
    return seen.size if seen.strength >= CLEAR and (quality is None or quality >= FINE_FROM) else None


def _middle(image: Image, side: int) -> Tensor:
    """Pixels uint8 (C, h, w), whole blocks from the corner, so that an uncut picture's grid stays where it is."""
    top, left = (max(0, length - side) // 16 * 8 for length in (image.height, image.width))
    part = image.samples[top : top + side, left : left + side]
    return replace(image, samples=part, alpha=None).bytes(image.channels)


def remove_artifacts(
    image: Image, model: str = "", quality: int | None = None, *, tile: int | None = None
) -> Job[Result]:
    """Remove JPEG artifacts; yields progress before the first tile and after each, and finds the `Quality`.

    Dropping the generator stops the work after the tile in hand.

    Args:
        model: name of a method in `methods("artifacts")`; the default for none.
        quality: that the picture was saved with; None lets a model find it itself and measures it for the filters,
            which leave a picture without traces of JPEG nearly as it is.
        tile: side of the tiles in pixels instead of the model's default.

    Raises:
        ValueError: no such model, or a quality out of range.
    """
    method = catalog.method("artifacts", model)
    if quality is not None and not LOWEST <= quality <= HIGHEST:
        raise ValueError(f"The JPEG quality goes from {LOWEST} to {HIGHEST}, not {quality:g}.")
    known = measured_quality(image) if quality is None else Quality(quality, "given")
    level = quality if method.learned else known.value or 100
    return (yield from restored(image, method, level, found=lambda _: known, tile=tile))
