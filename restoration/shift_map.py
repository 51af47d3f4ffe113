"""A picture's missing pixels as copies of known ones: what each shift, or label, would cost, coarse to fine.

Pritch, Kav-Venaki, Peleg. "Shift-Map Image Editing", ICCV 2009.  See `restoration.offset_fill`, which this is part of.
"""

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import cKDTree

from restoration.graph_cut import Pairs, expanded, grid_pairs
from restoration.resampling import pull_push

SLOPE = 2.0  # what a difference of slopes counts for beside one of colours
RIM = 3  # pixels around a hole that a copy is compared with
RIM_WEIGHT = 4.0  # of the rim beside the seams
UNKNOWN = 0.15  # what a rim pixel counts as differing from where a copy has none
LIKENESS = 0.7  # what a copy counts that is unlike all that lies around the hole
ALIKE = 0.03  # differences up to this are none, as texture is not the same everywhere
SMOOTHER = 3.0  # what a copy counts that is smoother than that, as smooth ones differ least from any texture
AS_ROUGH = 0.8  # of the roughness around the hole is rough enough
RING = 8  # pixels around the hole that count as around it
NEARBY = 0.1  # what the way across a hole counts beside a difference of colours
RARER = 3.0  # what a copy counts that is rarer than what is around the hole, as everybody sees the second of a thing
AS_RARE = 1.5, 0.02  # times as rare, and so much more, is not
LAYERED = 0.15  # what moving down or up by the longer side counts, at most, as land lies below a sky
EVEN = 0.05  # what mean colours change that far apart where there are no such layers
APART = 0.25  # of the longer side, at which that is looked at
SIGHT = 21  # side of the square whose rim decides about
FEW = 12  # labels that are tried for a pixel of a thin hole
RARELY = 0.02  # share of rim pixels around from which on it decides
BLOCK = 4  # side of the squares that are compared with the ring as one
ROUGHNESS = 3.0  # what a difference of it counts beside one of colour
WINDOW = 9  # side of the surroundings whose colour is compared
WIDER = 17  # and of those whose roughness is
SMOOTH = 0.02  # slopes that even a smooth picture is taken to have
BAND = 3  # pixels beside a seam that may change sides when it gets finer
PIECE = 1 << 13  # pixels of the rim that are compared at a time
_MOVES = np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)])


@dataclass(frozen=True)
class Level:
    """A picture at one resolution.

    Args:
        pixels: float32 (H, W, C); what is not usable holds nothing of its own.
        hole: bool (H, W), what is to be filled.
        usable: bool (H, W), what may be copied.
    """

    pixels: np.ndarray
    hole: np.ndarray
    usable: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        return self.hole.shape

    def usable_at(self, y: np.ndarray, x: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Whether pixels, each moved by its (rows, columns), may be copied there."""
        return inside(self.size, y, x, offset) & shifted(self.usable, y, x, offset)

    def halved(self) -> "Level":
        """Half the resolution: a pixel is missing where any of its four is, and usable where all are."""
        height, width = self.size
        odd = ((0, height % 2), (0, width % 2))
        known = np.pad(self.usable, odd)
        weight = _quarter(known.astype(np.float32))
        colours = np.stack(
            [_quarter(np.pad(self.pixels[..., c], odd) * known) for c in range(self.pixels.shape[2])], axis=-1
        )
        colours /= np.maximum(weight, 1e-6)[..., None]
        return Level(colours, _quarter(np.pad(self.hole, odd).astype(np.float32)) > 0, weight == 1)


def _quarter(plane: np.ndarray) -> np.ndarray:
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4


def shifted(plane: np.ndarray, y: np.ndarray, x: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Values of a plane (H, W, ...) at pixels, each moved by its (rows, columns); the edge where that is outside."""
    height, width = plane.shape[:2]
    y, x = y + offset[..., 0], x + offset[..., 1]
    return plane[np.minimum(np.maximum(y, 0), height - 1), np.minimum(np.maximum(x, 0), width - 1)]


def inside(size: tuple[int, int], y: np.ndarray, x: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Whether pixels, each moved by its offset, lie within a picture of that size."""
    y, x = y + offset[..., 0], x + offset[..., 1]
    return (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])


class Labelling:
    """The costs of giving the pixels of a region, the nodes, one offset each."""

    def __init__(self, level: Level, offsets: np.ndarray, region: np.ndarray):
        self.level, self.offsets = level, offsets
        self.y, self.x = np.nonzero(region)
        self.pairs: Pairs = grid_pairs(region)
        self.near_rim = ndimage.binary_dilation(~level.hole & level.usable, np.ones((3, 3)), RIM)[self.y, self.x]
        self.table = self.costs = None

    def tabulated(self, rare: np.ndarray) -> None:
        """Make all costs known at once, where every node is asked about every label again and again.

        Args:
            rare: how rare each pixel of the picture is, (H, W), see `offsets.strong_offsets`.
        """
        every = np.arange(len(self.y))
        of = [np.full(len(every), label) for label in range(len(self.offsets))]
        self.table, self.costs = (np.stack([cost(every, one) for one in of]) for cost in (self.copies, self.rim))
        for label, cost in enumerate(self._unlike(rare)):
            self.costs[label] += cost

    def _unlike(self, rare: np.ndarray) -> Generator[np.ndarray, None, None]:
        """For each label, what its copies (N,) cost that fit nothing around the hole, or are too smooth for it.

        What is rarer than what is around the hole costs more, as a second one is seen; and, in a picture of layers, as
        land below a sky, copies from another layer.
        """
        level, y, x = self.level, self.y, self.x
        colours, rough = _character(level)
        both = torch.from_numpy(np.stack([rough, rare]).astype(np.float32))[None]
        filled = pull_push(both, torch.from_numpy(~level.usable)[None, None].float())
        wanted, usual = filled[0].numpy()[:, y, x]
        usual = AS_RARE[0] * usual + AS_RARE[1]
        features = np.concatenate([colours, ROUGHNESS * rough[..., None]], axis=2)
        features /= features.shape[2]
        ring = ndimage.binary_dilation(level.hole, iterations=RING) & level.usable
        known, scale = np.argwhere(ring), NEARBY / np.sqrt(level.hole.sum())
        blocks, of = np.unique(np.stack([y // BLOCK, x // BLOCK]), axis=1, return_inverse=True)
        middles = BLOCK * blocks.T + BLOCK // 2
        if len(known):
            tree = cKDTree(np.concatenate([features[ring], scale * known], axis=1))
            least = scale * cKDTree(known).query(middles, p=1)[0]
        layers = _layers(colours, level.usable)
        for offset in self.offsets:
            cost = layers * abs(offset[0]) + RARER * np.maximum(shifted(rare, y, x, offset) - usual, 0)
            cost += SMOOTHER * np.maximum(AS_ROUGH * wanted - shifted(rough, y, x, offset), 0)
            if len(known):
                copies = shifted(features, *middles.T, offset)
                unlike = tree.query(np.concatenate([copies, scale * middles], axis=1), p=1)[0] - least
                cost += LIKENESS * np.maximum(unlike - ALIKE, 0)[of.ravel()]
            yield cost

    def valid(self, nodes: np.ndarray, label: int) -> np.ndarray:
        offset = self.offsets[label]
        y, x = self.y[nodes], self.x[nodes]
        return self.level.usable_at(y, x, offset)

    def allowed(self) -> np.ndarray:
        every = np.arange(len(self.y))
        return np.stack([self.valid(every, label) for label in range(len(self.offsets))])

    def fitting(self, allowed: np.ndarray) -> np.ndarray:
        """The allowed labels that are among the few that fit the rim around each node best; all where no rim is."""

        def around(values: np.ndarray) -> np.ndarray:
            plane = np.zeros(self.level.size, np.float32)
            plane[self.y, self.x] = values * self.near_rim
            return ndimage.uniform_filter(plane, SIGHT, mode="constant")[self.y, self.x]

        costs = np.where(allowed, np.stack([around(cost) for cost in self.costs]), np.inf)
        few = min(FEW, len(costs)) - 1
        return allowed & ((costs <= np.partition(costs, few, axis=0)[few]) | (around(1.0) < RARELY))

    @property
    def complete(self) -> bool:
        """Whether every node can have some offset."""
        return len(self.offsets) > 0 and bool(self.allowed().any(0).all())

    def start(self) -> np.ndarray:
        """Labels to start from: of the allowed ones, that with the least cost at the rim, or over all the rim."""
        costs = self.costs + 1e-3 * self.costs.mean(1, keepdims=True)
        return np.where(self.allowed(), costs, np.inf).argmin(0)

    def copies(self, nodes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Colours and slopes (n, 3 * C) that nodes would get."""
        if self.table is not None:
            return self.table[labels, nodes]
        pixels, offset = self.level.pixels, self.offsets[labels]
        y, x = self.y[nodes], self.x[nodes]
        here = shifted(pixels, y, x, offset)
        across, down = shifted(pixels, y, x + 1, offset), shifted(pixels, y + 1, x, offset)
        return np.concatenate([here, SLOPE * (across - here), SLOPE * (down - here)], axis=1)

    def seam(self, first: np.ndarray, second: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """See `graph_cut.expanded`."""
        cost = np.zeros(len(first), np.float32)
        differ = np.flatnonzero(one != other)
        for nodes in (first, second):
            nodes = nodes[differ]
            cost[differ] += np.abs(self.copies(nodes, one[differ]) - self.copies(nodes, other[differ])).sum(1)
        return cost / self.level.pixels.shape[2]

    def rim(self, nodes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """What the known pixels around each node differ from what lies around its copy, the nearer the more."""
        if self.costs is not None:
            return self.costs[labels, nodes]
        cost = np.zeros(len(nodes), np.float32)
        asked = np.flatnonzero(self.near_rim[nodes])
        known, given, y, x = self._rim
        at = (np.cumsum(self.near_rim) - 1)[nodes[asked]]
        for part in np.array_split(np.arange(len(asked)), 1 + len(asked) // PIECE):
            row, offset = at[part], self.offsets[labels[asked[part]]][:, None]
            there = self.level.usable_at(y[row], x[row], offset)
            error = np.abs(shifted(self.level.pixels, y[row], x[row], offset) - given[row]).mean(2)
            cost[asked[part]] = (known[row] * np.where(there, error, UNKNOWN)).sum(1)
        return RIM_WEIGHT * cost

    @cached_property
    def _rim(self) -> tuple[np.ndarray, ...]:
        """Weights, colours (n, W, C), rows and columns of the pixels around each node that is near the rim."""
        moves = np.array([(a, b) for a in range(-RIM, RIM + 1) for b in range(-RIM, RIM + 1) if a or b])
        here = np.zeros(2, int)
        y, x = (axis[self.near_rim, None] + moves[:, way] for way, axis in enumerate((self.y, self.x)))
        known = self.level.usable_at(y, x, here)
        return (known / (moves**2).sum(1)).astype(np.float32), shifted(self.level.pixels, y, x, here), y, x

    def strain(self, labels: np.ndarray) -> float:
        """Mean cost for each node of the rim, by how rough the picture is."""
        total = self.rim(np.arange(len(labels)), labels).sum()
        total += self.seam(*self.pairs, labels[self.pairs.first], labels[self.pairs.second]).sum()
        pixels, usable = self.level.pixels, self.level.usable
        slopes = [
            np.abs(np.diff(pixels, axis=axis))[usable.take(range(1, side), axis) & usable.take(range(side - 1), axis)]
            for axis, side in enumerate(self.level.size)
        ]
        rough = sum(float(slope.mean()) if slope.size else 0.0 for slope in slopes) + SMOOTH
        return float(total / max(1, self.near_rim.sum()) / rough)


def _character(level: Level) -> tuple[np.ndarray, np.ndarray]:
    """Mean colour (H, W, C) and mean slope (H, W), both ways together, of what is usable around each pixel."""
    known = level.usable.astype(np.float32)
    pixels = level.pixels * known[..., None]
    slopes = np.zeros_like(known)
    slopes[:, 1:] += np.abs(np.diff(pixels, axis=1)).mean(2) * known[:, 1:] * known[:, :-1]
    slopes[1:] += np.abs(np.diff(pixels, axis=0)).mean(2) * known[1:] * known[:-1]
    return _around(pixels, known, WINDOW), _around(slopes[..., None], known, WIDER)[..., 0]


def _layers(colours: np.ndarray, usable: np.ndarray) -> float:
    """What moving down or up by a pixel costs: the more, the more mean colours (H, W, C) change that way."""
    step = max(1, min(int(APART * max(usable.shape)), len(usable) // 2))
    both = usable[step:] & usable[:-step]
    change = float(np.abs(colours[step:] - colours[:-step])[both].mean()) if both.any() else 0.0
    return min(max(change - EVEN, 0.0), LAYERED) / max(usable.shape)


def _around(planes: np.ndarray, known: np.ndarray, window: int) -> np.ndarray:
    """Means (H, W, C) of what is known in a square around each pixel; planes hold zeros elsewhere."""
    share = ndimage.uniform_filter(known, window, mode="constant")
    return ndimage.uniform_filter(planes, (window, window, 1), mode="constant") / np.maximum(share, 1e-3)[..., None]


def twice(labels: np.ndarray, level: Level) -> np.ndarray:
    """A map of labels, -1 outside the hole, at the resolution of a finer level."""
    height, width = level.size
    larger = labels.repeat(2, 0).repeat(2, 1)[:height, :width]
    return np.where(level.hole, larger, -1).astype(np.int16)


def sharpened(
    level: Level, offsets: np.ndarray, labels: np.ndarray
) -> Generator[None, None, tuple[np.ndarray, np.ndarray]]:
    """Offsets and labels that come from half the resolution, made exact: by a pixel, and along the seams."""
    box = ndimage.find_objects(level.hole.astype(np.uint8))[0]
    boxes = ndimage.find_objects(labels[box] + 1)
    corner = np.array([side.start for side in box])
    offsets = offsets.copy()
    outline = np.zeros_like(level.hole)
    outline[box] = level.hole[box] & ~ndimage.minimum_filter(level.hole, 3, mode="constant", cval=True)[box]
    rim = Labelling(level, offsets, outline)
    at = labels[rim.y, rim.x]
    some = _spread(np.arange(len(rim.y)), 300)
    for label, own in enumerate(boxes):
        if own is None:
            continue
        yield
        own_rim = _spread(np.flatnonzero(at == label), 600)
        costs = np.zeros(len(_MOVES))
        for nodes, share in ((own_rim, 1.0), (some, 0.1)):  # all of the rim decides where its own part leaves it open
            if len(nodes):
                of = np.full(len(nodes), label)
                for number, move in enumerate(_MOVES):
                    rim.offsets = offsets + move
                    costs[number] += share * rim.rim(nodes, of).mean()
        y, x = np.nonzero(labels[box][own] == label)
        y, x = y + corner[0] + own[0].start, x + corner[1] + own[1].start
        for choice in np.argsort(costs, kind="stable"):
            offset = offsets[label] + _MOVES[choice]
            if level.usable_at(y, x, offset).all():
                offsets[label] = offset
                break
    rim.offsets = offsets

    inner = labels[box]
    seam = np.zeros(inner.shape, bool)
    across = (inner[:, 1:] != inner[:, :-1]) & (inner[:, 1:] >= 0) & (inner[:, :-1] >= 0)
    down = (inner[1:] != inner[:-1]) & (inner[1:] >= 0) & (inner[:-1] >= 0)
    seam[:, 1:] |= across
    seam[:, :-1] |= across
    seam[1:] |= down
    seam[:-1] |= down
    if not seam.any():
        return offsets, labels
    yield
    band = _grown(seam, BAND) & (inner >= 0)
    region = np.zeros_like(level.hole)
    region[box] = _grown(band, 1) & (inner >= 0)
    problem = Labelling(level, offsets, region)
    moving = band[problem.y - corner[0], problem.x - corner[1]]
    found = labels[problem.y, problem.x].astype(int)
    for label, own in enumerate(boxes):
        if own is None:
            continue
        yield
        reach = tuple(
            slice(max(0, side.start - 2 * BAND), min(length, side.stop + 2 * BAND))
            for side, length in zip(own, inner.shape, strict=True)
        )
        close = np.zeros(inner.shape, bool)
        close[reach] = _grown(inner[reach] == label, 2 * BAND)
        free = moving & close[problem.y - corner[0], problem.x - corner[1]]
        free[free] = problem.valid(np.flatnonzero(free), label)
        found = expanded(found, label, free, problem.pairs, problem.rim, problem.seam)
    labels = labels.copy()
    labels[problem.y, problem.x] = found
    return offsets, labels


def _spread(nodes: np.ndarray, most: int) -> np.ndarray:
    """About so many of the nodes, evenly spread, or all."""
    return nodes[:: max(1, len(nodes) // most)]


def _grown(region: np.ndarray, pixels: int) -> np.ndarray:
    return ndimage.maximum_filter(region, 2 * pixels + 1, mode="constant", cval=False)
