"""Enlarging jobs: the function behind the page, the API and the command line, and how far a result can be trusted."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import inf, log10
from typing import Protocol

import torch
from torch import Tensor

from restoration import catalog, memory, metrics
from restoration.image import Canvas, Image, from_tensor, visible_colours
from restoration.limits import MAX_OUTPUT_MEGAPIXELS
from restoration.resampling import resample_in_bands
from restoration.running import Job, Result, restored, stage
from restoration.tiling import Progress

CORRECTIONS = 5  # steps of iterated back-projection


@dataclass(frozen=True)
class Faithfulness:
    """How well a result, reduced again bicubically, matches the photo that it was made from; measured when asked for.

    Args:
        canvas: the result.
    """

    canvas: Canvas

    @cached_property
    def _errors(self) -> tuple[float, Tensor]:
        """The mean squared error, and the mean absolute difference of the colours; one colour after the other."""
        original = self.canvas.original
        squares, difference = 0.0, torch.zeros(1, 1, original.height, original.width)
        for channel in range(original.channels):
            for rows, error in _errors_of(self.canvas, channel, partial(self.canvas.rows, channel)):
                squares += float(error.double().square().sum())
                difference[..., rows, :] += (error.double().abs() / original.channels).float()
        return squares / original.samples.size, difference

    @property
    def psnr(self) -> float:
        """In dB over all colours, infinite if they are equal."""
        error = self._errors[0]
        return -10 * log10(error) if error else inf

    @property
    def difference(self) -> Tensor:
        """Mean absolute difference of the colours on [0, 1], (1, 1, H, W) of the photo's size."""
        return self._errors[1]

    def heat_map(self, full: float = 16 / 255) -> Image:
        """The differences as a picture: black where the photo is matched, through red to white from `full` on."""
        heat = (3 * self.difference / full).clamp_(0, 3)
        return from_tensor(torch.cat([(heat - part).clamp_(0, 1) for part in range(3)], dim=1), "heat_map")

    def __str__(self) -> str:
        if self.psnr == inf:
            return "reduced again, it is your photo"
        return f"matches the photo to {metrics.text(self.psnr)}"


_largest: ContextVar[float] = ContextVar("largest", default=MAX_OUTPUT_MEGAPIXELS)


@contextmanager
def results_of_any_size() -> Iterator[None]:
    """Within this, results may be as large as memory allows, as they may on the command line."""
    before = _largest.set(math.inf)
    try:
        yield
    finally:
        _largest.reset(before)


class Sized(Protocol):
    """What has a width and a height in pixels, such as an image."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


def output_size(image: Sized, scale: int) -> tuple[int, int]:
    """Width and height of the enlarged image.

    Raises:
        ValueError: it would have more than 64 megapixels; the message names what would fit.
    """
    width, height = scale * image.width, scale * image.height
    if width * height > _largest.get() * 1_000_000:
        advice = "crop the picture" if scale == 2 else "choose a smaller scale or crop the picture"
        raise ValueError(
            f"{scale} times {image.width} × {image.height} px are {width * height / 1e6:.0f} megapixels; "
            f"the limit is {MAX_OUTPUT_MEGAPIXELS}: {advice}."
        )
    return width, height


def upscale(
    image: Image,
    model: str = "",
    scale: int | None = None,
    *,
    alpha: float = 1.0,
    stay_true: bool = False,
    tile: int | None = None,
) -> Job[Result]:
    """Enlarge an image; yields progress before the first tile and after each, and finds the `Faithfulness`.

    Dropping the generator stops the work after the tile in hand.

    Args:
        model: name of a method in `methods("upscale")`, or of a family of them; the default for none.
        scale: 2, 3 or 4, as far as the family has it; None takes the named model's, or the family's largest.
        alpha: for a model that blends with another, 0 (the other) to 1 (this one).
        stay_true: pull the result back to the photo, see `corrected`.
        tile: side of the tiles in input pixels instead of the default.

    Raises:
        ValueError: no such model or scale, an alpha out of range, or a result of more than 64 megapixels.
    """
    method = catalog.method("upscale", model, scale)
    output_size(image, method.scale)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha goes from 0 to 1, not {alpha:g}.")
    if not method.blends:
        alpha = 1.0
    work = restored(visible_colours(image), method, found=Faithfulness, alpha=alpha, tile=tile)
    result = yield from stage(work, 0, 1 + stay_true)
    return (yield from stage(corrected(result, in_place=True), 1, 2)) if stay_true else result


# Trust --------------------------------------------------------------------------------------------------------------


def corrected(result: Result, in_place: bool = False) -> Job[Result]:
    """The result pulled back to the photo, so that reduced again it gives the photo; yields progress, runs no model.

    Irani, Peleg, "Improving resolution by image registration", CVGIP 1991: iterated back-projection, here with bicubic
    reduction and enlargement.

    Args:
        in_place: whether the result that is given is not needed any more, so that no second one is kept.
    """
    started = time.monotonic()
    memory.give_back()  # what the tiles needed
    scale, original = result.canvas.scale, result.canvas.original
    canvas = result.canvas if in_place else Canvas(original, scale)
    total = original.channels * CORRECTIONS
    for channel in range(original.channels):
        plane = result.canvas.plane(channel)
        for step in range(CORRECTIONS):
            yield Progress(channel * CORRECTIONS + step, total)
            _pull(plane, canvas, channel)
        canvas.put_plane(channel, plane)
        del plane  # before there is the next
    yield Progress(total, total)
    seconds = result.seconds + time.monotonic() - started
    return replace(result, canvas=canvas, seconds=seconds, found=Faithfulness(canvas))


def _pull(plane: Tensor, canvas: Canvas, channel: int) -> None:
    """Move a channel (1, 1, H, W) of a result nearer to the photo."""
    photo = canvas.original
    error = plane.new_empty(1, 1, photo.height, photo.width)
    for rows, part in _errors_of(canvas, channel, lambda rows: plane[..., rows, :]):
        error[..., rows, :] = part
    bands = resample_in_bands(lambda rows: error[..., rows, :], photo.height, plane.shape[-2:], canvas.scale)
    for rows, part in bands:
        plane[..., rows, :] = part.add_(plane[..., rows, :]).clamp_(0, 1)


def _errors_of(canvas: Canvas, channel: int, read: Callable[[slice], Tensor]) -> Iterator[tuple[slice, Tensor]]:
    """What a channel of the photo has more than a result of its scale at its size, as bands of rows (1, 1, h, W).

    Args:
        read: gives rows of that channel of the result.
    """
    photo, height = canvas.original, canvas.scale * canvas.original.height
    one = replace(photo, samples=photo.samples[..., channel : channel + 1], alpha=None)
    for rows, part in resample_in_bands(read, height, (photo.height, photo.width), photo.height / height):
        yield rows, one.tensor((rows, slice(None))) - part
