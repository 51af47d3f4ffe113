"""The offsets that a fill is made of: those by which a picture's patches repeat, and those that fit a part of the rim.

He, Sun. "Statistics of Patch Offsets for Image Completion", ECCV 2012.  See `restoration.offset_fill`.
Differs from the paper: patches beside the hole vote for more than one offset; offsets count by the share of the hole
that they fill; each part of the rim adds the offsets after which the picture is most like it, found by correlation.
"""

import numpy as np
from scipy import fft, ndimage
from scipy.spatial import cKDTree

from restoration.shift_map import Level

PATCH = 8
COMPONENTS = 24  # of the patches
QUERIES = 6000  # patches whose match is looked for, at most, and all of those beside the hole
NEIGHBOURS = 24  # that are looked through for one that is far enough
NEAREST = 1 / 15  # of the longer side: shorter offsets say nothing
FLAT = 0.05  # standard deviation below which a patch has less of a say, as it is like all flat ones
CLOSE = 4.0  # votes of a patch beside the hole, one for each neighbour that is far enough
PEAKS = 60  # offsets that are tried for having the most votes
PARTS = 3  # of the rim along either side
FITTING = 3  # offsets that are tried for each of them, and for the whole rim
THICK = 3  # pixels of the rim
SHORTEST = 4  # pixels that an offset moves, at least
FITS = 0.75  # of the rim, and half of the hole beside it, an offset must have something for
COVERING = 0.02  # what covering none of the hole counts beside a difference of colours
ALIKE = 9  # side of the square of offsets of which the best is tried
SPREAD = 2  # pixels around which patches are rare together
GRID = 16  # offsets along a side that are tried where no peak is of use


def strong_offsets(level: Level, variant: int) -> tuple[np.ndarray, np.ndarray]:
    """The offsets (L, 2), rows and columns, that are tried, and how rare a picture is everywhere; may be none.

    Rare (H, W) is what differs from all that is far enough to be copied: the root mean square difference of a patch.

    Args:
        variant: 0 takes the strongest, other numbers each a choice of its own among the strong ones.
    """
    height, width = level.size
    nothing = np.zeros((0, 2), int), np.zeros(level.size, np.float32)
    if min(level.size) < 2 * PATCH:
        return nothing
    whole = ndimage.minimum_filter(level.usable, PATCH, mode="constant", cval=False, origin=-(PATCH // 2))[
        : height - PATCH + 1, : width - PATCH + 1
    ]
    places = np.argwhere(whole)
    if len(places) < 2 * NEIGHBOURS:
        return nothing
    pictures = _Correlations(level)
    covered = pictures.usable_share(level.hole)
    votes, rare = _votes(level, places)
    peaks = _lowest(-votes * covered, 0)
    if variant:
        peaks = peaks[: 3 * PEAKS]
        kept = min(PEAKS, len(peaks) // 2)
        peaks = peaks[np.sort(np.random.default_rng(variant).permutation(len(peaks))[:kept])]
    offsets = np.concatenate([*_fitting(level, pictures, covered, variant), peaks[:PEAKS]])
    _, first = np.unique(offsets, axis=0, return_index=True)
    return _completed(level, offsets[np.sort(first)] - level.size), rare


def _lowest(costs: np.ndarray, below: float) -> np.ndarray:
    """Where costs are lower than all around, and below a limit, (N, 2), the lowest first."""
    found = np.argwhere((costs == ndimage.minimum_filter(costs, ALIKE)) & (costs < below))
    return found[np.argsort(costs[tuple(found.T)], kind="stable")]


class _Correlations:
    """A picture compared with itself at all offsets, of which the results have the size (2 * H + 1, 2 * W + 1).

    Found by Fourier transforms; no offset is in the middle.
    """

    def __init__(self, level: Level):
        self.size = level.size
        self.shape = [fft.next_fast_len(2 * side + 1, real=True) for side in level.size]
        usable = level.usable.astype(np.float64)
        self.pixels = level.pixels * usable[..., None]
        self.squares = (self.pixels**2).sum(2)
        self.usable, self.squared, *self.channels = map(
            self._spectrum, (usable, self.squares, *np.moveaxis(self.pixels, 2, 0))
        )

    def _spectrum(self, plane: np.ndarray) -> np.ndarray:
        return fft.rfft2(plane, self.shape)

    def _at_offsets(self, spectrum: np.ndarray) -> np.ndarray:
        height, width = self.size
        return np.roll(fft.irfft2(spectrum, self.shape), self.size, (0, 1))[: 2 * height + 1, : 2 * width + 1]

    def usable_share(self, region: np.ndarray) -> np.ndarray:
        """Share of a region, bool (H, W), that each offset moves to what is usable."""
        found = self._at_offsets(self._spectrum(region.astype(np.float64)).conj() * self.usable)
        return np.rint(found) / max(1, region.sum())

    def difference(self, region: np.ndarray) -> np.ndarray:
        """Root mean square difference of a usable region from where each offset moves it, as far as that is usable."""
        weight = region.astype(np.float64)
        spectrum = self._spectrum(weight).conj()
        total = spectrum * self.squared + self._spectrum(weight * self.squares).conj() * self.usable
        for plane, channel in zip(np.moveaxis(self.pixels, 2, 0), self.channels, strict=True):
            total -= 2 * self._spectrum(weight * plane).conj() * channel
        count = np.maximum(self._at_offsets(spectrum * self.usable), 0.5) * len(self.channels)
        return np.sqrt(np.maximum(self._at_offsets(total) / count, 0))


def _fitting(level: Level, pictures: _Correlations, covered: np.ndarray, variant: int) -> list[np.ndarray]:
    """Places of offsets, as in `covered`, after which the picture is most like the rim, or a part of it."""
    box = ndimage.find_objects(level.hole.astype(np.uint8))[0]
    rim = ndimage.binary_dilation(level.hole, np.ones((3, 3)), THICK) & level.usable
    rows, columns = (
        ((np.arange(length) - side.start) * PARTS // (side.stop - side.start)).clip(0, PARTS - 1)
        for side, length in zip(box, level.size, strict=True)
    )
    number = rows[:, None] * PARTS + columns
    height, width = level.size
    short = np.hypot(*np.ogrid[-height : height + 1, -width : width + 1]) < SHORTEST
    found = []
    for part in (np.full(level.size, True), *(number == index for index in range(PARTS**2))):
        beside, hole = rim & part, level.hole & part
        if beside.any() and hole.any():
            costs = pictures.difference(beside) + COVERING * (1 - covered)
            costs[(pictures.usable_share(beside) < FITS) | (pictures.usable_share(hole) < 0.5) | short] = np.inf
            found.append(_lowest(costs, np.inf)[variant * FITTING :][:FITTING])
    return found


def _votes(level: Level, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often similar patches lie apart by an offset (2 * H + 1, 2 * W + 1), no offset in the middle, smoothed.

    And how rare patches are, (H, W), see `strong_offsets`.

    Args:
        places: top left corners (N, 2) of the patches.
    """
    height, width = level.size
    windows = np.lib.stride_tricks.sliding_window_view(level.pixels, (PATCH, PATCH), axis=(0, 1))
    patches = windows[places[:, 0], places[:, 1]].reshape(len(places), -1)  # (N, C * 8 * 8)
    patches = patches - patches.mean(0)
    _, axes = np.linalg.eigh(patches.T @ patches)
    features = patches @ axes[:, : -COMPONENTS - 1 : -1]
    close = ndimage.maximum_filter(level.hole, 3 * PATCH)[tuple((places + PATCH // 2).T)]
    spread = np.zeros(len(places), bool)
    spread[:: max(1, len(places) // QUERIES)] = True
    asked = np.flatnonzero(spread | close)
    unlike, near = cKDTree(features, balanced_tree=False).query(features[asked], NEIGHBOURS, eps=1.0)
    apart = places[near] - places[asked][:, None]  # (queries, neighbours, 2)
    far = np.hypot(apart[..., 0], apart[..., 1]) >= NEAREST * max(level.size)
    say = np.minimum(patches[asked].reshape(len(asked), -1, PATCH**2).std(2).mean(1) / FLAT, 1)
    first = far & (far.cumsum(1) == 1)
    beside = far & close[asked][:, None]
    votes = np.zeros((2 * height + 1, 2 * width + 1), np.float32)
    # A picture that is like another place is as like from there; what is beside the hole has to go on into it.
    for chosen, way, share in ((first, 1, 1.0), (first, -1, 1.0), (beside, 1, CLOSE / NEIGHBOURS)):
        rows, columns = way * apart[chosen].T
        np.add.at(votes, (rows + height, columns + width), share * say[chosen.nonzero()[0]])
    nearest = np.where(far.any(1), far.argmax(1), NEIGHBOURS - 1)
    rare = np.zeros((*level.size, 2), np.float32)
    rare[tuple((places[asked] + PATCH // 2).T)] = np.stack(
        [unlike[np.arange(len(asked)), nearest] / patches.shape[1] ** 0.5, np.ones(len(asked))], axis=1
    )
    rare = ndimage.gaussian_filter(rare, (SPREAD, SPREAD, 0), mode="constant")
    return ndimage.gaussian_filter(votes, 2**0.5, mode="constant"), rare[..., 0] / np.maximum(rare[..., 1], 1e-6)


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
