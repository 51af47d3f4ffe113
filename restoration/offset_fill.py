"""Holes filled with shifted copies of their surroundings, which a graph cut joins where that is least seen.

He, Sun. "Statistics of Patch Offsets for Image Completion", ECCV 2012: similar patches lie apart by few offsets, so a
picture's strongest offsets are all the shifts that are tried.  Pritch, Kav-Venaki, Peleg. "Shift-Map Image Editing",
ICCV 2009: each pixel's shift, its label, is found by a graph cut over colours and slopes, coarse to fine.  Pérez,
Gangnet, Blake. "Poisson Image Editing", SIGGRAPH 2003: what is copied takes on the brightness of what is around it.
Differs from the papers: offsets are refined by a pixel at every finer resolution, where only the seams move; the seam
cost is a distance, not its square, so that every expansion is the best one; pixels of the rim are compared as patches;
blending ignores rim pixels whose edges the copy has not, as their colour would bleed into the hole.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import cKDTree
from torch import Tensor

from restoration.contract import check_image, missing_pixels
from restoration.gradient_blend import STEP, blending, finer
from restoration.graph_cut import finished, least_cost
from restoration.resampling import pull_push
from restoration.shift_map import Labelling, Level, sharpened, shifted, twice

SIDE = 224  # longer side of the picture that statistics are made of, at most
NODES = 6000  # missing pixels that get any label, at most; finer ones move seams
PATCH = 8
COMPONENTS = 24  # of the patches
QUERIES = 6000  # patches whose match is looked for, at most
NEIGHBOURS = 24  # that are looked through for one that is far enough
NEAREST = 1 / 15  # of the longer side: shorter offsets say nothing
FLAT = 0.05  # standard deviation below which a patch has less of a say, as it is like all flat ones
PEAKS = 60  # offsets that are tried
GRID = 16  # offsets along a side that are tried where no peak is of use
SWEEPS = 3
BLENDED = 50_000  # missing pixels whose blending is solved, at most; finer ones take it from these


@dataclass(frozen=True)
class Copied:
    """A finished fill.

    Args:
        picture: (1, C, H, W), outside the hole bit for bit the given one.
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
    check_image(image)
    missing, filled = missing_pixels(image, mask), []
    for picture, hole in zip(image.to(torch.promote_types(image.dtype, torch.float32)).split(1), missing, strict=True):
        filled.append(finished(filling(picture, hole[None])).picture)
    return torch.where(missing, torch.cat(filled).to(image), image)


def filling(
    image: Tensor, hole: Tensor, others: Tensor | None = None, variant: int = 0
) -> Generator[None, None, Copied]:
    """The steps of a fill; dropping the generator stops it.

    Args:
        image: (1, C, H, W) in [0, 1].
        hole: (1, 1, H, W), 1 where the picture is filled.
        others: (1, 1, H, W), 1 where it may not be copied from besides; None is nowhere.
        variant: 0 takes the strongest offsets, other numbers each a choice of its own among the strong ones.
    """
    if not hole.any():
        return Copied(image, 0.0)
    solved = yield from _solved(image, hole, others, variant)
    if solved is None:
        return Copied(pull_push(image, hole), np.inf)
    levels, offsets, labels, strain = solved
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
    result = image.clone()
    for first in range(0, len(rows), STEP):
        yield
        y, x = rows[first : first + STEP], columns[first : first + STEP]
        copies = shifted(pixels, y, x, offsets[labels[y, x]]) + correction[first : first + STEP]
        result[0, :, y, x] = torch.from_numpy(copies.clip(0, 1).T).to(result)
    return Copied(result, strain)


def strain_of(image: Tensor, hole: Tensor, others: Tensor | None = None) -> Generator[None, None, float]:
    """`Copied.strain` of the fill of such a hole, without finishing it; for the arguments see `filling`."""
    solved = yield from _solved(image, hole, others, 0)
    return np.inf if solved is None else solved[3]


def _solved(
    image: Tensor, hole: Tensor, others: Tensor | None, variant: int
) -> Generator[None, None, tuple[list[Level], np.ndarray, np.ndarray, float] | None]:
    """The coarse part: levels from fine to coarse, and for the last offsets (L, 2), a map of labels and the strain.

    None where there is too little to copy.
    """
    missing = hole[0, 0].bool().cpu().numpy()
    usable = ~missing if others is None else ~(missing | others[0, 0].bool().cpu().numpy())
    pixels = image[0].permute(1, 2, 0).float().cpu().numpy().copy(order="C")
    pixels[~usable] = 0
    levels = [Level(pixels, missing, usable)]
    while min(levels[-1].size) > 1 and (max(levels[-1].size) > SIDE or levels[-1].hole.sum() > NODES):
        yield
        levels.append(levels[-1].halved())
    coarse = levels[-1]
    _cover(coarse, pull_push(*_planes(coarse))[0].permute(1, 2, 0).numpy())
    yield
    offsets = strong_offsets(coarse, variant)
    yield
    problem = Labelling(coarse, offsets, coarse.hole)
    if not problem.complete:
        return None
    problem.tabulated()
    found = yield from least_cost(problem.start(), problem.allowed(), problem.pairs, problem.rim, problem.seam, SWEEPS)
    labels = np.full(coarse.size, -1, np.int16)
    labels[coarse.hole] = found
    return levels, offsets, labels, problem.strain(found)


def _planes(level: Level) -> tuple[Tensor, Tensor]:
    """Pixels (1, C, H, W) of a level and what is not usable of them, (1, 1, H, W)."""
    pixels, unusable = torch.from_numpy(level.pixels), torch.from_numpy(~level.usable)
    return pixels.permute(2, 0, 1)[None], unusable[None, None].float()


def _cover(level: Level, smooth: np.ndarray, scale: int = 1) -> None:
    """Hide what a level holds beside what may be copied, for slopes and blending, by a picture 1 / scale the size."""
    near = ndimage.maximum_filter(level.usable.view(np.uint8), 5, mode="constant").view(bool)
    y, x = np.nonzero(near & ~level.usable)
    level.pixels[y, x] = smooth[y // scale, x // scale]


def strong_offsets(level: Level, variant: int) -> np.ndarray:
    """The offsets (L, 2), rows and columns, by which similar patches lie apart most often; may be none."""
    height, width = level.size
    if min(level.size) < 2 * PATCH:
        return np.zeros((0, 2), int)
    whole = ndimage.minimum_filter(level.usable, PATCH, mode="constant", cval=False, origin=-(PATCH // 2))[
        : height - PATCH + 1, : width - PATCH + 1
    ]
    places = np.argwhere(whole)
    if len(places) < 2 * NEIGHBOURS:
        return np.zeros((0, 2), int)
    votes = _votes(level, places)
    peaks = np.argwhere((votes == ndimage.maximum_filter(votes, 9)) & (votes > 0))
    heights, peaks = votes[tuple(peaks.T)], peaks - level.size
    use = _use(level, peaks)
    order = np.argsort(-heights * use.mean(1), kind="stable")
    peaks = peaks[order][use.any(1)[order]]
    if variant:
        peaks = peaks[: 3 * PEAKS]
        kept = min(PEAKS, len(peaks) // 2)
        peaks = peaks[np.sort(np.random.default_rng(variant).permutation(len(peaks))[:kept])]
    return _completed(level, peaks[:PEAKS])


def _votes(level: Level, places: np.ndarray) -> np.ndarray:
    """How often similar patches lie apart by an offset (2 * H + 1, 2 * W + 1), no offset in the middle, smoothed.

    Args:
        places: top left corners (N, 2) of the patches.
    """
    height, width = level.size
    windows = np.lib.stride_tricks.sliding_window_view(level.pixels, (PATCH, PATCH), axis=(0, 1))
    patches = windows[places[:, 0], places[:, 1]].reshape(len(places), -1)  # (N, C * 8 * 8)
    patches = patches - patches.mean(0)
    _, axes = np.linalg.eigh(patches.T @ patches)
    features = patches @ axes[:, : -COMPONENTS - 1 : -1]
    asked = np.arange(0, len(places), max(1, len(places) // QUERIES))
    _, near = cKDTree(features, balanced_tree=False).query(features[asked], NEIGHBOURS, eps=1.0)
    apart = places[near] - places[asked][:, None]  # (queries, neighbours, 2)
    far = np.hypot(apart[..., 0], apart[..., 1]) >= NEAREST * max(level.size)
    found = far.any(1)
    chosen = apart[np.arange(len(asked)), far.argmax(1)][found]
    contrast = patches[asked[found]].reshape(len(chosen), -1, PATCH**2).std(2).mean(1)
    votes = np.zeros((2 * height + 1, 2 * width + 1), np.float32)
    for way in (1, -1):  # a picture that is like another place is as like from there
        np.add.at(votes, (way * chosen[:, 0] + height, way * chosen[:, 1] + width), np.minimum(contrast / FLAT, 1))
    return ndimage.gaussian_filter(votes, 2**0.5, mode="constant")


def _use(level: Level, offsets: np.ndarray) -> np.ndarray:
    """Which missing pixels each offset is of use for, bool (L, N)."""
    y, x = np.nonzero(level.hole)
    found = [level.usable_at(y, x, offset) for offset in offsets]
    return np.stack(found) if found else np.zeros((0, len(y)), bool)


def _completed(level: Level, offsets: np.ndarray) -> np.ndarray:
    """The offsets with as many more, of a grid of them, as every missing pixel needs to have one, if that can be."""
    left = ~_use(level, offsets).any(0)
    step = max(1, max(level.size) // GRID)
    grid = np.stack(np.mgrid[-level.size[0] : level.size[0] : step, -level.size[1] : level.size[1] : step], -1)
    grid = grid.reshape(-1, 2)
    use = _use(level, grid) if left.any() else np.zeros((0, len(left)), bool)
    while left.any():
        gain = use[:, left].sum(1)
        best = int(gain.argmax())
        if not gain[best]:
            break
        offsets = np.concatenate([offsets, grid[best : best + 1]])
        left &= ~use[best]
    return offsets
