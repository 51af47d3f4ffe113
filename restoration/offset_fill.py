"""Holes filled with shifted copies of their surroundings, which a graph cut joins where that is least seen.

He, Sun. "Statistics of Patch Offsets for Image Completion", ECCV 2012: similar patches lie apart by few offsets, so a
picture's strongest offsets are all the shifts that are tried.  Pritch, Kav-Venaki, Peleg. "Shift-Map Image Editing",
ICCV 2009: each pixel's shift, its label, is found by a graph cut over colours and slopes, coarse to fine.  Pérez,
Gangnet, Blake. "Poisson Image Editing", SIGGRAPH 2003: what is copied takes on the brightness of what is around it.
Differs from the papers: the rim proposes offsets of its own, see `restoration.offsets`; a copy costs more that is
unlike what lies around the hole, smoother, or from another layer of the picture, as sky above land; offsets are refined
by a pixel at every finer resolution, where only the seams move; the seam cost is a distance, not its square, so that
every expansion is the best one; pixels of the rim are compared as patches; blending ignores rim pixels whose edges the
copy has not, as their colour would bleed into the hole.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from restoration.contract import missing_pixels
from restoration.gradient_blend import STEP, blending, finer
from restoration.graph_cut import finished, least_cost
from restoration.offsets import strong_offsets
from restoration.resampling import pull_push
from restoration.shift_map import Labelling, Level, sharpened, shifted, twice

SIDE = 256  # longer side of the picture that statistics are made of, at most
NODES = 6000  # missing pixels that get any label, at most; finer ones move seams
THIN_NODES = 24_000  # the same of thin holes, whose pixels get the labels that fit what is known near them
DEEP = 25, 2500  # side of a square around pixels, and for how many of them, at most, all of it is missing in such holes
SWEEPS = 3
BLENDED = 50_000  # missing pixels whose blending is solved, at most; finer ones take it from these


@dataclass(frozen=True)
class Solved:
    """The coarse part of a fill.

    Args:
        levels: the picture, from fine to coarse.
        offsets: (L, 2) at the coarsest resolution.
        labels: which of them each missing pixel takes there, (H, W).
        strain: see `Copied`; without anything to copy, all else is empty.
    """

    levels: list[Level]
    offsets: np.ndarray
    labels: np.ndarray
    strain: float


@dataclass(frozen=True)
class Copied:
    """A finished fill.

    Args:
        picture: (1, C, H, W), outside the hole the given one to the precision of float32.
        strain: mean cost of seams and rim for each pixel of the rim at the coarsest resolution, by how rough the
            picture is; infinite where there was nothing to copy, and the fill is smooth.
    """

    picture: Tensor
    strain: float

    @property
    def found(self) -> bool:
        """Whether there was something to copy from."""
        return np.isfinite(self.strain)


def offset_fill(image: Tensor, mask: Tensor) -> Tensor:
    """Pictures (B, C, H, W) in [0, 1] with their holes, where the mask (B, 1, H, W) is 1, filled by copies.

    Raises:
        ValueError: an image or a mask does not fit the contract.
    """
    missing, filled = missing_pixels(image, mask), []
    for picture, hole in zip(image.to(torch.promote_types(image.dtype, torch.float32)).split(1), missing, strict=True):
        filled.append(finished(filling(picture, hole[None])).picture)
    return torch.where(missing, torch.cat(filled).to(image), image)


def filling(
    image: Tensor, hole: Tensor, others: Tensor | None = None, variant: int = 0, solved: Solved | None = None
) -> Generator[None, None, Copied]:
    """The steps of a fill; dropping the generator stops it.

    Args:
        image: (1, C, H, W) in [0, 1].
        hole: (1, 1, H, W) of any type, 1 where the picture is filled.
        others: (1, 1, H, W) of any type, 1 where it may not be copied from besides; None is nowhere.
        variant: 0 takes the strongest offsets, other numbers each a choice of its own among the strong ones.
        solved: what `solve` found for all of these, if that was asked already; it serves once.
    """
    if not hole.any():
        return Copied(image, 0.0)
    solved = solved or (yield from solve(image, hole, others, variant))
    levels, offsets, labels = solved.levels, solved.offsets, solved.labels
    if not levels:
        return Copied(pull_push(image.masked_fill(hole.bool(), 0), hole.float()), solved.strain)
    coarse, pixels, missing = levels[-1], levels[0].pixels, levels[0].hole
    correction = None
    for number, level in reversed(list(enumerate(levels))):
        if level is not coarse:
            yield
            _cover(level, levels[number + 1].pixels, 2)
            above, labels = labels, twice(labels, level)
            offsets, labels = yield from sharpened(level, 2 * offsets, labels)
        if correction is not None:
            correction = yield from finer(correction, above, labels)
        elif number == 0 or levels[number - 1].hole.sum() > BLENDED:
            yield
            correction = blending(level, offsets, labels)
    rows, columns = np.nonzero(missing)
    for first in range(0, len(rows), STEP):  # in place, as nothing is copied from a hole
        yield
        y, x = rows[first : first + STEP], columns[first : first + STEP]
        copies = shifted(pixels, y, x, offsets[labels[y, x]]) + correction[first : first + STEP]
        pixels[y, x] = copies.clip(0, 1)
    y, x = np.nonzero(~levels[0].usable & ~missing)
    pixels[y, x] = image[0, :, y, x].T.float().cpu().numpy()
    return Copied(torch.from_numpy(pixels).permute(2, 0, 1)[None].to(image), solved.strain)


def solve(image: Tensor, hole: Tensor, others: Tensor | None = None, variant: int = 0) -> Generator[None, None, Solved]:
    """The coarse part of a fill, which tells what copies would cost; for the arguments see `filling`."""
    missing = hole[0, 0].bool().cpu().numpy()
    usable = ~missing if others is None else ~(missing | others[0, 0].bool().cpu().numpy())
    pixels = image[0].permute(1, 2, 0).float().cpu().numpy().copy(order="C")
    pixels[~usable] = 0
    levels = [Level(pixels, missing, usable)]
    while min(levels[-1].size) > 1 and (max(levels[-1].size) > SIDE or _too_large(levels[-1].hole)):
        yield
        levels.append(levels[-1].halved())
    coarse = levels[-1]
    _cover(coarse, pull_push(*_planes(coarse))[0].permute(1, 2, 0).numpy())
    yield
    offsets, rare = strong_offsets(coarse, variant)
    yield
    problem = Labelling(coarse, offsets, coarse.hole)
    if not problem.complete:
        return Solved([], offsets, np.full(coarse.size, -1, np.int16), np.inf)
    problem.tabulated(rare)
    allowed = problem.allowed()
    if coarse.hole.sum() > NODES:
        allowed = problem.fitting(allowed)
    found = yield from least_cost(problem.start(), allowed, problem.pairs, problem.rim, problem.seam, SWEEPS)
    labels = np.full(coarse.size, -1, np.int16)
    labels[coarse.hole] = found
    return Solved(levels, offsets, labels, problem.strain(found))


def _too_large(hole: np.ndarray) -> bool:
    """Whether labels are rather looked for at half the resolution of a hole, bool (H, W)."""
    if hole.sum() <= NODES:
        return False
    deep = ndimage.minimum_filter(hole.view(np.uint8), DEEP[0], mode="constant", cval=1)
    return hole.sum() > THIN_NODES or deep.sum() > DEEP[1]


def _planes(level: Level) -> tuple[Tensor, Tensor]:
    """Pixels (1, C, H, W) of a level and what is not usable of them, (1, 1, H, W)."""
    pixels, unusable = torch.from_numpy(level.pixels), torch.from_numpy(~level.usable)
    return pixels.permute(2, 0, 1)[None], unusable[None, None].float()


def _cover(level: Level, smooth: np.ndarray, scale: int = 1) -> None:
    """Hide what a level holds beside what may be copied, for slopes and blending, by a picture 1 / scale the size."""
    near = ndimage.maximum_filter(level.usable.view(np.uint8), 5, mode="constant").view(bool)
    y, x = np.nonzero(near & ~level.usable)
    level.pixels[y, x] = smooth[y // scale, x // scale]
