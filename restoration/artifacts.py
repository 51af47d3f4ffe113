"""Artifact removal jobs: the function behind the page, the API and the command line, and trials on clean pictures."""

from dataclasses import dataclass, replace
from typing import Literal

from restoration import catalog
from restoration.image import Image
from restoration.jpeg import estimated_quality
from restoration.running import Job, Result, restored

ESTIMATION_SIDE = 1024  # the quality of a larger image is measured in its middle
SAVED_AGAIN = 8  # by so much the pixels' quality lies below the file's where it was saved before
LOWEST, HIGHEST = 5, 95  # qualities that can be chosen
BLOCKY_BELOW = 75  # a JPEG quality below which artifacts are likely to be seen
SOUND_FROM = 90  # one from which removing them can only lose detail

Origin = Literal["file", "pixels", "given"]


@dataclass(frozen=True)
class Quality:
    """The quality that a picture was saved with.

    Args:
        value: 1 to 100; None when the picture shows no trace of JPEG.
        origin: whether the file's own tables tell it, or the pixels of a picture that was saved anew, or the visitor.
        file: what the file's own tables tell where the pixels tell of a lower quality.
    """

    value: int | None
    origin: Origin
    file: int | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "no trace of JPEG"
        again = f" (saved again with {self.file})" if self.file else ""
        return f"JPEG quality {self.value}" + (f", from its pixels{again}" if self.origin == "pixels" else "")


def measured_quality(image: Image) -> Quality:
    """The lowest quality that an image was saved with: of a JPEG by its tables, of all 8-bit files by their pixels."""
    if image.bits != 8:
        return Quality(None, "pixels")
    # Whole blocks from the corner, so that an uncut picture's grid stays where it is.
    top, left = (max(0, side - ESTIMATION_SIDE) // 16 * 8 for side in (image.height, image.width))
    rows, columns = slice(top, top + ESTIMATION_SIDE), slice(left, left + ESTIMATION_SIDE)
    part = replace(image, samples=image.samples[rows, columns], alpha=None).bytes(image.channels)
    seen, file = estimated_quality(part), image.jpeg_quality
    if file is None:
        return Quality(seen, "pixels")
    if seen is not None and seen < file - SAVED_AGAIN:
        return Quality(seen, "pixels", file)
    return Quality(file, "file")


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
