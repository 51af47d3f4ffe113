"""Scratches: thin lines that lie over a picture, found by what they are like, without a network; dust with them.

Points of lines, see `ridges`, are joined, and told from twigs, grass and edges by how even, grey, lonely and long their
lines are.  A line counts for more in a picture that has others.  After Newson, Almansa, Gousseau, Perez. "Robust
automatic line scratch detection in films", IEEE TIP 2014, where a line has to be too long to be chance.
Differs from the paper: any direction and some bend, one picture alone, and what decides are logistic regressions, of
points and then of lines, which `python -m train.scratches --fit scratches` makes from pictures that it draws them on.
"""

import hashlib
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from restoration.dust import find_dust
from restoration.image import Image, to_8_bit, within
from restoration.regression import Regression, stored_in
from restoration.ridges import TRAITS, Points, points_of

WEIGHTS = Path(__file__).parent / "assets" / "scratches.json"
PIXELS = 640_000  # larger pictures are searched at the size that has so many
REACH = 12  # between points of one line
JOINED = -2.5  # from this score on points are parts of lines
KEPT = -1.5  # and from this one on lines are scratches
NEAR = 120  # lines within so many pixels are neighbours
ALIKE = 0.2  # and run alike by angles that differ by no more, in radians
GAP = 30  # pixels between the ends of two lines that are one scratch, of which a part is hardly seen
ASIDE = 4  # and so far is each from where the other would go on
REMEMBERED = 64  # searches whose result is known without another
# a line has the means of these traits of its points
OF_POINTS = "met", "tint", "spread", "steps", "alike", "crowd", "texture", "size", "changes", "wide", "whole", "weakest"


@dataclass(frozen=True)
class Scratches:
    """What was found.

    Args:
        marks: bool (H, W), the pixels of scratches and dust, a little more rather than less.
        count: of the scratches; one is several lines where parts of it are hardly seen.
        specks: how many of them the dust has.
    """

    marks: np.ndarray
    count: int
    specks: int = 0


@dataclass(frozen=True)
class Lines:
    """Points that were joined.

    Args:
        chosen: bool (points,), those that are part of a line.
        owner: number (chosen points,) of the line that each is part of.
        pairs: (P, 2) of chosen points that follow one another.
        lengths: (L,), about, in pixels.
        traits: float32 (L, number of traits).
        middles, angles, reaches: rows and columns (L, 2), radians from the row, and pixels between the ends, (L,).
    """

    chosen: np.ndarray
    owner: np.ndarray
    pairs: np.ndarray
    lengths: np.ndarray
    traits: np.ndarray
    middles: np.ndarray
    angles: np.ndarray
    reaches: np.ndarray


@dataclass(frozen=True)
class Judge:
    """All that was fitted: regressions of points, of lines, and of a line's score with what else the picture has."""

    points: Regression
    lines: Regression
    company: Regression


@lru_cache(maxsize=1)
def judge() -> Judge:
    """The fitted regressions."""
    return Judge(**stored_in(WEIGHTS))


def find_scratches(image: Image) -> Scratches:
    """Scratches and dust of an image; one of many pixels is searched at a smaller size, and only once."""
    small = to_8_bit(within(image, PIXELS)).samples
    height, width = small.shape[:2]
    packed, count, specks = _searched(small)
    marks = np.unpackbits(packed, count=height * width).reshape(height, width).view(bool)
    if (height, width) != (image.height, image.width):
        rows, columns = (
            np.arange(full) * part // full for full, part in ((image.height, height), (image.width, width))
        )
        marks = marks[rows[:, None], columns]
    return Scratches(marks, count, specks)


_known: OrderedDict[bytes, tuple[np.ndarray, int, int]] = OrderedDict()  # by what was searched, the oldest first
_lock = threading.Lock()


def _searched(samples: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Marks, packed, and how many scratches and specks there are, in uint8 (H, W, 1 or 3)."""
    key = hashlib.blake2b(repr(samples.shape).encode() + samples.tobytes()).digest()
    with _lock:
        found = _known.pop(key, None)
    if found is None:
        points, judged = points_of(samples), judge()
        lines = lines_of(points, judged.points.scores(points.traits))
        scores = judged.lines.scores(lines.traits)
        kept = judged.company.scores(company(scores, lines.lengths, points.size)) > KEPT
        marks = drawn(points, lines, kept)
        dust, specks, cracks = find_dust(samples, marks)
        count = _count(lines, kept) + _apart(cracks, marks)
        found = np.packbits(marks | dust | cracks), count, specks
    with _lock:
        _known[key] = found
        while len(_known) > REMEMBERED:
            _known.popitem(last=False)
    return found


def _apart(cracks: np.ndarray, marks: np.ndarray) -> int:
    """How many cracks, bool (H, W), are not marked already for their most part."""
    parts, count = ndimage.label(cracks, np.ones((3, 3)))
    return int((ndimage.mean(marks, parts, np.arange(1, count + 1)) < 0.5).sum()) if count else 0


def _count(lines: Lines, kept: np.ndarray) -> int:
    """How many scratches lines are, of which those are one that go on in each other."""
    middles, angles, reaches = lines.middles[kept], lines.angles[kept], lines.reaches[kept]
    down, right = np.moveaxis(middles[:, None] - middles, 2, 0)
    bend = np.abs((angles[:, None] - angles + math.pi / 2) % math.pi - math.pi / 2)
    aside = np.abs(down * np.cos(angles) - right * np.sin(angles))
    gap = np.hypot(down, right) - (reaches[:, None] + reaches) / 2
    one = (bend < ALIKE) & (np.maximum(aside, aside.T) < ASIDE) & (np.abs(gap) < GAP)
    return int(connected_components(one, directed=False)[0]) if len(middles) else 0


def lines_of(points: Points, scores: np.ndarray) -> Lines:
    """The lines that points with scores (N,) make."""
    chosen = scores > JOINED
    scores, traits = scores[chosen], points.traits[chosen]
    rows, columns, angles, signs = (
        part[chosen].astype(np.float32) for part in (points.rows, points.columns, points.angles, points.signs)
    )
    pairs = _pairs(rows, columns, angles, signs)
    joined = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(rows), len(rows)))
    count, owner = connected_components(joined, directed=False) if len(rows) else (0, np.zeros(0, int))
    lengths = np.bincount(owner, minlength=count).astype(float)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, values, count) / lengths

    y, x = mean(rows), mean(columns)
    down, right, both = mean(rows**2) - y * y, mean(columns**2) - x * x, mean(rows * columns) - x * y
    half, root = (down + right) / 2, np.sqrt(((down - right) ** 2 / 4 + both * both).clip(0))
    reach, thickness = np.sqrt(12 * (half + root).clip(0)) + 1, np.sqrt((half - root).clip(0))
    order, starts = np.lexsort((scores, owner)), np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int)[:count]
    high, low = (scores[order][starts + (lengths * share).astype(int)] for share in (0.8, 0.2))
    size = np.expm1(traits[:, TRAITS.index("size")])
    mean_size = mean(size)
    evenness = np.sqrt((mean(size * size) - mean_size**2).clip(0)) / (mean_size + 2)
    sines, cosines = mean(np.sin(2 * angles)), mean(np.cos(2 * angles))
    turns = np.arctan2(sines, cosines) / 2
    near = np.hypot(y[:, None] - y, x[:, None] - x) < NEAR
    alike = np.abs((turns[:, None] - turns + math.pi / 2) % math.pi - math.pi / 2) < ALIKE
    area = points.size[0] * points.size[1] / 1e5
    own = [
        np.log(lengths),
        np.log(reach),
        np.minimum(lengths / reach, 2.5),
        mean(scores),
        high,
        low,
        np.log(mean_size + 1),
        evenness,
        np.log1p(thickness),
        1 - np.hypot(sines, cosines),
        np.full(count, math.log1p(len(rows) / area)),
        np.full(count, math.log1p((scores > 0).sum() / area)),
        np.log1p((near & alike) @ lengths - lengths),
        np.log1p(near @ lengths - lengths),
        *(mean(traits[:, TRAITS.index(name)]) for name in OF_POINTS),
    ]
    own = np.stack(own, 1).astype(np.float32)
    return Lines(chosen, owner, pairs, lengths, own, np.stack([y, x], 1), turns, reach)


def _pairs(rows: np.ndarray, columns: np.ndarray, angles: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Points, (P, 2), that may follow one another on a line."""
    places = np.stack([rows, columns], 1)
    pairs = cKDTree(places).query_pairs(REACH, output_type="ndarray") if len(rows) else np.zeros((0, 2), int)
    first, second = pairs.T
    down, right = (places[second] - places[first]).T
    bend = np.abs((angles[first] - angles[second] + math.pi / 2) % math.pi - math.pi / 2)
    beside = [np.abs(down * np.cos(angles[end]) - right * np.sin(angles[end])) for end in (first, second)]
    fits = (signs[first] == signs[second]) & (bend < 0.3) & (np.maximum(*beside) <= 1 + 0.12 * np.hypot(down, right))
    return pairs[fits]


def company(scores: np.ndarray, lengths: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Lines by their scores and what else is in the picture: clear scratches, and lines that are none."""
    area = size[0] * size[1] / 15_000
    clear = lengths / (1 + np.exp(1.5 * (1 - scores)))
    others = np.log1p((clear.sum() - clear) / area)
    doubtful = np.log1p(lengths[(scores < 0) & (scores > -4)].sum() / area)
    return np.stack([scores, others, scores * others, np.full(len(scores), doubtful)], 1)


def drawn(points: Points, lines: Lines, kept: np.ndarray) -> np.ndarray:
    """The pixels (H, W) of the lines that are kept, bool (lines,), gaps of theirs filled."""
    chosen = np.flatnonzero(lines.chosen)
    pairs = lines.pairs[kept[lines.owner[lines.pairs[:, 0]]]] if len(lines.pairs) else lines.pairs
    single = np.flatnonzero(kept[lines.owner]) if len(kept) else np.zeros(0, int)
    first, second = (np.concatenate([chosen[pairs[:, end]], chosen[single]]) for end in (0, 1))
    wide = points.wide[first] & points.wide[second]
    marks, thick = np.zeros((2, *points.size), bool)
    for share in np.linspace(0, 1, REACH + 1):
        y, x = (
            np.rint(part[first] + share * (part[second] - part[first]).astype(float)).astype(int)
            for part in (points.rows, points.columns)
        )
        marks[y, x] = True
        thick[y[wide], x[wide]] = True
    return ndimage.binary_dilation(marks, np.ones((3, 3))) | ndimage.binary_dilation(thick, np.ones((5, 5)))
