"""Which fill suits a hole, by thresholds that were measured.

Measured by LPIPS on 256 x 256 pixels of photos of BSD100 with squares and strokes for holes: thin strokes are best with
fourier-fill, from about 14 pixels on with copied detail; from squares of about 96 pixels on the two that copy are near
each other, and offset-fill alone is as sharp as what is around. Of 20 objects that
were drawn round whole, each has more than half of its pixels farther than 6 from known ones and 1 to 5.7 times the area
of the largest circle in it, and copies strain by 2 to 8.  Free-form strokes, however wide, have 5.4 to 24 times that
area; there fourier-fill is the nearer one by LPIPS.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from restoration.contract import missing_pixels
from restoration.graph_cut import finished
from restoration.offset_fill import Solved, solve
from restoration.texture import copy_texture

THIN = 6  # pixels to the known ones: most of a hole that is nearer is no object
LONG = 6  # times the area of the largest circle in a hole: what is longer was drawn by strokes
DETAILED = 2  # and this near, there is no detail to copy
LOOKED_AT = 1024  # pixels a side, of larger holes fewer
STRAINED = 15  # cost of seams and rim from which copies do not fit, see `offset_fill.Copied`
AMONG = ("offset-fill", "fourier-fill")  # what there is to choose from


@dataclass(frozen=True)
class Choice:
    """A fill that was chosen.

    Args:
        name: of the method.
        texture: whether it copies fine detail.
        reason: one sentence for people.
        solved: the coarse part of `offset-fill`, if that was taken.
    """

    name: str
    texture: bool
    reason: str
    solved: Solved | None = None


def choose(missing: np.ndarray, solve: Callable[[], Generator[None, None, Solved]]) -> Generator[None, None, Choice]:
    """The fill for holes; yields between steps.

    Args:
        missing: bool (H, W).
        solve: finds what copies would cost, see `offset_fill.solve`; only asked for large holes.
    """
    yield
    likely = at_first_sight(missing)
    if likely.name != AMONG[0]:
        return likely
    yield
    solved = yield from solve()
    if solved.strain > STRAINED:
        return Choice("fourier-fill", True, "Chosen: Fourier fill, as nothing around the hole repeats.")
    return replace(likely, solved=solved)


def at_first_sight(missing: np.ndarray) -> Choice:
    """The fill for holes, bool (H, W), by their shape alone, before it is known what copies would cost."""
    if _deeper(missing, THIN) <= 0.5 or _by_strokes(missing):
        detailed = _deeper(missing, DETAILED) > 0.5
        return Choice("fourier-fill", detailed, "Chosen: Fourier fill, as the hole is thin.")
    reason = "Chosen: Offset fill, as the hole is large and its surroundings can be copied."
    return Choice("offset-fill", True, reason)


def _deeper(missing: np.ndarray, depth: int) -> float:
    """Share of the missing pixels that no known one is near, in a square of so many pixels to each side."""
    inner = ndimage.minimum_filter(missing.view(np.uint8), 2 * depth + 1, mode="constant", cval=1)
    return float(inner.sum() / max(1, missing.sum()))


def _by_strokes(missing: np.ndarray) -> bool:
    """Whether most of the missing pixels lie in parts that are far longer than wide."""
    step = -(-max(missing.shape) // LOOKED_AT)
    parts, count = ndimage.label(np.pad(missing[::step, ::step], 1))
    distances = ndimage.distance_transform_edt(parts > 0)
    numbers = range(1, count + 1)
    areas = ndimage.sum_labels(parts > 0, parts, numbers)
    widest = ndimage.maximum(distances, parts, numbers)
    return bool(areas[areas > LONG * np.pi * np.square(widest)].sum() > 0.5 * areas.sum())


@dataclass(frozen=True)
class Chooser:
    """Stands where a trained model does: picks one of the fills for each picture.

    Args:
        fill: fills an image, where a mask is 1, by the method of a name.
    """

    fill: Callable[[str, Tensor, Tensor], Tensor]
    scale: int = 1
    channels: int | None = None

    def restore(self, image: Tensor, mask: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] with their holes, where the mask (B, 1, H, W) is 1, filled."""
        missing = missing_pixels(image, mask)
        filled = []
        for picture, hole in zip(image.split(1), missing.split(1), strict=True):
            if not hole.any():
                filled.append(picture)
                continue
            given = picture.masked_fill(hole, 0)
            choice = finished(choose(hole[0, 0].cpu().numpy(), lambda given=given, hole=hole: solve(given, hole)))
            result = self.fill(choice.name, given, hole.to(given))
            if choice.texture and choice.name != "offset-fill":
                result = copy_texture(result.float().cpu(), hole.float().cpu()).to(result)
            filled.append(result)
        return torch.where(missing, torch.cat(filled), image)
