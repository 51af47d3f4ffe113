"""Dust: small compact specks that lie over a picture, found by what they are like, without a network.

A speck is what no line of some length fits into, whatever its direction: what the largest of the openings along lines,
or the smallest of the closings, takes away (Spencer, Olson, McHardy, Sharp, Forrester. "An image-processing strategy
for the segmentation and quantification of microaneurysms in fluorescein angiograms of the ocular fundus", Computers and
Biomedical Research 1996).  Differs from the paper: such specks are told from leaves, stones, stars and letters by how
compact, sharp, grey, lonely and many they are, with logistic regressions of single specks and then of all that a
picture has, which `python -m train.scratches --fit dust` makes from pictures with specks drawn on them.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from restoration.regression import Regression, stored_in
from restoration.ridges import AROUND, seen_in

WEIGHTS = Path(__file__).parent / "assets" / "dust.json"
SMOOTH = 0.7  # standard deviation of what takes the finest grain away
STRAIGHT, DIAGONAL = 15, 11  # pixels of the lines
CLEAR, VISIBLE = 6.0, 6.0  # residue of a speck relative to those around, and in levels
APART = 7  # side of the square in which a speck's middle has the largest residue
LONG, FILLED, LEFT = 0.9, 0.15, 0.26  # a speck is rounder, fills more of a circle, and has less residue around it
REACH = 10  # a speck is judged by what is so many rows and columns from its middle
LIMIT = 6_000  # specks of one picture that are judged, the clearest
SURE, LEAST = -0.5, 6  # from this score on specks tell that there is dust, if there are so many
KEPT = -1.0  # and from this one on they are dust then
MANY = 20  # from so many specks on their colour tells which thin things are lost as they are
EVEN = 15  # levels that colours of specks deviate by at most, then
THICK = 11  # pixels; thin things are narrower, and no shorter
LIKE, NEARLY = 12, 50  # levels off the specks' colour, at least, where such a thing is sure, and where it goes on
HIGH, HALF = 0.6, 0.5  # of the specks' height over what is around, there
MOSTLY = 0.4  # of such a thing that is sure, at least
MOST = 0.1  # of a picture that may be lost so
PERIOD, REPEATED = 90, 0.4  # a pattern repeats within so many pixels, and with so many of its places

OFFSETS = np.arange(-REACH, REACH + 1, dtype=np.float32)
DISTANCE = np.hypot(OFFSETS[:, None], OFFSETS)
FLANK = (DISTANCE > 6) & (DISTANCE <= REACH)
TRAITS = (
    *("area", "long", "filled", "left", "like", "unlike", "soft", "height", "inner", "weakest", "parted", "uneven"),
    *("rough", "alike", "opposite", "steps", "slope", "ground", "level"),
    *("texture", "relative", "near", "wide", "wider", "crowd", "tint", "hue", "noise", "density"),
)


@dataclass(frozen=True)
class Specks:
    """What may be specks of dust, each with what tells.

    Args:
        rows, columns: whole numbers of their middles, (N,).
        signs: 1 where one is light, -1 where it is dark.
        shapes: bool (N, side, side), their pixels around their middles.
        traits: float32 (N, number of traits).
        size: rows and columns of the picture.
    """

    rows: np.ndarray
    columns: np.ndarray
    signs: np.ndarray
    shapes: np.ndarray
    traits: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class Judge:
    """All that was fitted: regressions of specks, and of a speck's score with those of the picture's others."""

    specks: Regression
    company: Regression


@lru_cache(maxsize=1)
def judge() -> Judge:
    """The fitted regressions."""
    return Judge(**stored_in(WEIGHTS))


def find_dust(samples: np.ndarray, lines: np.ndarray) -> tuple[np.ndarray, int, np.ndarray]:
    """Where dust lies, bool (H, W), how many specks, and thin things of their colour, in uint8 (H, W, 1 or 3).

    None of what is on lines, bool (H, W), that are scratches, and none at all where there are few specks, as one may be
    anything, or where they form a pattern.
    """
    specks = specks_of(samples)
    scores = judge().company.scores(company(judge().specks.scores(specks.traits), specks.size))
    scores[lines[specks.rows, specks.columns]] = -np.inf  # dust of a scratch is not told twice
    sure = scores > SURE
    few = ndimage.label(drawn(specks, sure), np.ones((3, 3)))[1] < LEAST
    if few or regular(specks.rows[sure], specks.columns[sure]):
        return np.zeros(specks.size, bool), 0, np.zeros(specks.size, bool)
    kept = scores > KEPT
    marks = drawn(specks, kept)
    return marks, ndimage.label(marks, np.ones((3, 3)))[1], lost(samples, specks, kept)


def lost(samples: np.ndarray, specks: Specks, kept: np.ndarray) -> np.ndarray:
    """Cracks and scrapes, bool (H, W), known by the colour of a picture's dust: both show the same paper or film.

    They may be as jagged and as strong as they like, which lines that are told by themselves may not.

    Args:
        samples: uint8 (H, W, 1 or 3).
        kept: bool (N,), the specks that are dust.
    """
    colours, light, _ = seen_in(samples)
    found = np.zeros(specks.size, bool)
    for sign in (1, -1):
        rows, columns = (part[kept & (specks.signs == sign)] for part in (specks.rows, specks.columns))
        if len(rows) < MANY:
            continue
        own = colours[rows, columns]
        colour = np.median(own, 0)
        spread = np.median(np.abs(own - colour), 0)
        over = sign * light - ndimage.grey_opening(sign * light, (THICK, THICK))
        height = np.median(over[rows, columns])
        off = np.abs(colours - colour)
        sure = (off < np.maximum(3 * spread, LIKE)).all(2) & (over > HIGH * height)
        goes_on = (off < NEARLY).all(2) & (over > HALF * height)
        parts, count = ndimage.label(sure | goes_on, np.ones((3, 3)))
        sides = [max(y.stop - y.start, x.stop - x.start) for y, x in ndimage.find_objects(parts)]
        long = np.array([0, *sides]) > THICK
        thing = (long & (ndimage.mean(sure, parts, np.arange(count + 1)) > MOSTLY))[parts]
        if spread.max() < EVEN and thing.mean() < MOST:
            found |= ndimage.binary_dilation(thing, np.ones((3, 3)))
    return found


def regular(rows: np.ndarray, columns: np.ndarray) -> bool:
    """Whether many of some places (N,) have another one in the same direction at the same distance."""
    places = np.stack([rows, columns], 1)
    first, second = cKDTree(places).query_pairs(PERIOD, output_type="ndarray").T
    ways = np.concatenate([places[second] - places[first], places[first] - places[second]])
    counts = np.zeros((2 * PERIOD + 1, 2 * PERIOD + 1), np.int64)
    np.add.at(counts, tuple((ways + PERIOD).T), 1)
    around = ndimage.convolve(counts, np.ones((5, 5), np.int64), mode="constant")
    return around.max() > REPEATED * len(places)


def company(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Specks by their scores and what else is in the picture: clear specks, and what is hardly one."""
    area = size[0] * size[1] / 1e5
    clear = 1 / (1 + np.exp(1.5 * (1 - scores)))
    others = np.log1p((clear.sum() - clear) / area)
    doubtful = math.log1p(((scores < 0) & (scores > -4)).sum() / area)
    return np.stack([scores, others, np.full(len(scores), doubtful)], 1)


def drawn(specks: Specks, kept: np.ndarray) -> np.ndarray:
    """The pixels (H, W) of the specks that are kept, bool (N,), and those next to them."""
    which, y, x = np.nonzero(_grown(specks.shapes[kept], 1))
    marks = np.zeros([side + 2 * REACH for side in specks.size], bool)
    marks[specks.rows[kept][which] + y, specks.columns[kept][which] + x] = True
    return marks[REACH:-REACH, REACH:-REACH]


def specks_of(samples: np.ndarray) -> Specks:
    """The specks of a picture, uint8 (H, W, 1 or 3), that stand out from what is around them."""
    colours, light, grey = seen_in(samples)
    smooth = ndimage.gaussian_filter(light, SMOOTH, truncate=3)
    white, black = _residues(smooth)
    both = white + black
    texture = ndimage.uniform_filter(both, AROUND) / 2 + np.float32(0.5)
    peaks = np.stack([_peaks(part, texture) for part in (white, black)])
    kinds, rows, columns = np.nonzero(peaks)
    top = np.where(kinds == 0, white[rows, columns], black[rows, columns])
    best = np.sort(np.argsort(-top / texture[rows, columns], kind="stable")[:LIMIT])
    kinds, rows, columns, top = kinds[best], rows[best], columns[best], top[best]
    same, other = _patches(white, rows, columns), _patches(black, rows, columns)
    dark = kinds == 1
    same[dark], other[dark] = other[dark], same[dark]
    shapes, two, alone = _alone(same, other, top)
    kept = (alone[1] < LONG) & (alone[2] > FILLED) & (alone[3] < LEFT)
    rows, columns, top, shapes, two = (part[kept] for part in (rows, columns, top, shapes, two))
    signs = (1 - 2 * kinds[kept]).astype(np.float32)
    energy = both * both
    near = (np.maximum(same, other)[kept] * ~two) ** 4
    own = (((same + other)[kept] * two) ** 4).sum((1, 2)) / (4 * AROUND**2)
    wide = (ndimage.uniform_filter(energy * energy, 2 * AROUND)[rows, columns] - own).clip(1)
    traits = [
        *(part[kept] for part in alone),
        *_surroundings(_patches(smooth, rows, columns) * signs[:, None, None], shapes, two, signs),
        np.log(texture[rows, columns]),
        np.log(top / texture[rows, columns]),
        np.log(top / (near.mean((1, 2)) ** 0.25 + 1)),
        np.log(top / wide**0.25),
        np.log(top / (np.sqrt(ndimage.uniform_filter(energy, 4 * AROUND)[rows, columns].clip(0)) + 0.5)),
        np.log1p(ndimage.uniform_filter(peaks.sum(0, dtype=np.float32), 2 * AROUND)[rows, columns] * 4 * AROUND**2),
        *(np.full((2, len(rows)), np.nan) if grey else _tints(colours, rows, columns, shapes, two)),
    ]
    picture = math.log(np.abs(light - smooth).mean() + 0.2), math.log1p(len(kinds) / light.size * 1e5)
    traits += [np.full(len(rows), each) for each in picture]
    return Specks(rows, columns, signs, shapes, np.stack(traits, 1).astype(np.float32), light.shape)


def _residues(smooth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much lighter, and how much darker, each pixel is than all lines through it, (H, W) in levels."""
    edge = STRAIGHT
    padded = np.pad(smooth, edge, mode="symmetric")
    across, flat = padded.shape[1], padded.ravel()
    opened, closed = np.full_like(flat, -np.inf), np.full_like(flat, np.inf)
    for stride in (1, across, across + 1, across - 1):  # from a line's pixel to its next
        length = STRAIGHT if stride in (1, across) else DIAGONAL
        inside = slice((length - 1) * stride, flat.size - (length - 1) * stride)
        for lines, inner, outer in ((opened, np.minimum, np.maximum), (closed, np.maximum, np.minimum)):
            found = _window(_window(flat, stride, length, inner), stride, length, outer)
            outer(lines[inside], found, out=lines[inside])
    inside = slice(edge, -edge), slice(edge, -edge)
    return (padded - opened.reshape(padded.shape))[inside], (closed.reshape(padded.shape) - padded)[inside]


def _window(values: np.ndarray, stride: int, length: int, pick: np.ufunc) -> np.ndarray:
    """The least or largest of each value and the next ones, so many of them with a stride; fewer values than before."""
    span = 1
    while span < length:
        step = min(span, length - span)
        values = pick(values[: -step * stride], values[step * stride :])
        span += step
    return values


def _peaks(residue: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Where a residue is clear and larger than around, bool (H, W)."""
    return (residue > VISIBLE) & (residue > CLEAR * texture) & (residue == ndimage.maximum_filter(residue, APART))


def _middle(masks: np.ndarray) -> np.ndarray:
    """The parts of masks (N, side, side) that hold their middles."""
    within = np.zeros((3, 3, 3), bool)
    within[1] = True
    parts, _ = ndimage.label(masks, within)
    return masks & (parts == parts[:, REACH, REACH][:, None, None])


def _grown(masks: np.ndarray, by: int) -> np.ndarray:
    """Masks (N, side, side), larger by some pixels on all sides."""
    for _ in range(by):
        for axis in (1, 2):
            turned = np.moveaxis(masks, axis, 0)
            larger = turned.copy()
            larger[1:] |= turned[:-1]
            larger[:-1] |= turned[1:]
            masks = np.moveaxis(larger, 0, axis)
    return masks


def _shape(shapes: np.ndarray) -> list[np.ndarray]:
    """Area, how long for their width, and how much of the circle around them they fill, each (N,)."""
    area = shapes.sum((1, 2)).clip(1)
    y, x = ((shapes.sum(axis) * OFFSETS).sum(1) / area for axis in (2, 1))
    down, right = (
        (shapes.sum(axis) * OFFSETS**2).sum(1) / area - middle**2 + 1 / 12 for axis, middle in ((2, y), (1, x))
    )
    both = np.einsum("nij,i,j->n", shapes.astype(np.float32), OFFSETS, OFFSETS)
    both = both / area - y * x
    half, root = (down + right) / 2, np.sqrt((down - right) ** 2 / 4 + both**2)
    farthest = (shapes * DISTANCE).max((1, 2))
    return [
        np.log(area),
        np.log((half + root) / (half - root).clip(1 / 12)) / 2,
        area / (math.pi * (farthest + 0.7) ** 2),
    ]


def _patches(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The squares (N, side, side) around places of values (H, W)."""
    framed = np.pad(values, REACH, mode="symmetric")
    side = 2 * REACH + 1
    return np.lib.stride_tricks.sliding_window_view(framed, (side, side))[rows, columns]


def _mean(values: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The mean (N,) of what masks (N, side, side) hold."""
    return np.einsum("nij,nij->n", values, masks.astype(np.float32)) / masks.sum((1, 2)).clip(1)


def _alone(same: np.ndarray, other: np.ndarray, top: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Specks' pixels, the same with two more all around, and what residues (N, side, side) tell, each (N,).

    That is `_shape`; mean, most alike, and most opposite residue around relative to the speck's; and soft edges.
    """
    peak = top[:, None, None]
    shapes = _middle(same > 0.5 * peak)
    two = _grown(shapes, 2)
    around = ~two
    left, like, unlike = _mean(same + other, around), (same * around).max((1, 2)), (other * around).max((1, 2))
    soft = np.log(shapes.sum((1, 2)) / _middle(same > 0.75 * peak).sum((1, 2)).clip(1))
    return shapes, two, [*_shape(shapes), *(part / top for part in (left, like, unlike)), soft]


def _surroundings(patches: np.ndarray, shapes: np.ndarray, two: np.ndarray, signs: np.ndarray) -> list[np.ndarray]:
    """What light, of which dark specks' is negative, (N, side, side), tells of specks and of what is around, (N,)."""
    beside, outside = two & ~_grown(shapes, 1), ~two
    ground = _mean(patches, beside)
    light = patches - ground[:, None, None]
    height = _mean(light, shapes).clip(1)
    light /= height[:, None, None]
    square = light * light
    steps = np.abs(np.diff(light, axis=1))
    flank = light[:, FLANK]
    far = flank.mean(1)
    y, x = np.nonzero(FLANK)
    slope = [flank[:, side > REACH].mean(1) - flank[:, side < REACH].mean(1) for side in (y, x)]

    def log(values: np.ndarray) -> np.ndarray:
        return np.log(values.clip(0) + 0.02)

    return [
        np.log(height),
        log(np.sqrt((_mean(square, shapes) - 1).clip(0))),
        np.where(beside, light, -9).max((1, 2)).clip(-1, 3),
        _mean((light < 0.5).astype(np.float32), beside),
        log(np.sqrt(_mean(square, beside))),
        log(np.sqrt((_mean(square, outside) - _mean(light, outside) ** 2).clip(0))),
        np.where(outside, light, -9).max((1, 2)).clip(-2, 4),
        np.where(outside, light, 9).min((1, 2)).clip(-5, 2),
        log(_mean(steps, outside[:, 1:] & outside[:, :-1])),
        log(np.hypot(*slope)),
        (ground + far * height) * signs,
        (ground + height) * signs,
    ]


def _tints(colours: np.ndarray, rows: np.ndarray, columns: np.ndarray, shapes: np.ndarray, two: np.ndarray) -> list:
    """How much specks' offset differs between colours, which that of grey dust does not; and as light would, (N,)."""
    beside = two & ~_grown(shapes, 1)
    planes = [_patches(channel, rows, columns) for channel in np.moveaxis(colours, 2, 0)]
    grounds = np.stack([_mean(plane, beside) for plane in planes])
    offsets = np.stack([_mean(plane, shapes) for plane in planes]) - grounds
    size = np.abs(offsets).mean(0) + 3
    hue = (grounds - grounds.mean(0)) / (grounds.mean(0) + 10)
    lit = ((offsets - offsets.mean(0)) * hue).sum(0) / size * np.sign(offsets.mean(0))
    return [np.log((offsets.max(0) - offsets.min(0)) / size + 0.05), lit]
