"""Copies in a hole that take on the brightness of what is around them, and meet each other without steps.

Pérez, Gangnet, Blake. "Poisson Image Editing", SIGGRAPH 2003.
Differs from the paper: where the rim has an edge that the copy has not, or what the hole cut off, it is not held to the
rim, as the colours there would bleed into the hole; large holes are solved at a lower resolution.
"""

from collections.abc import Generator

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from restoration.shift_map import BAND, Labelling, Level, inside, shifted

EDGE = 0.34  # a step between two copies well above this is left
FAR = 0.3  # what a rim pixel may differ from its copy for blending
ODD = 0.06  # and so much more than its neighbours do
AROUND = 9  # pixels along the rim that are its neighbours
CUT = 0.2  # and more than the part of the rim does that it lies in, as what sticks out of the hole
USUAL = 6.0  # times what pixels of that part differ by themselves, where that is more
PART = 0.5  # of the rim, most of which nothing that sticks out fills
SOME = 1000  # pixels of the rim that tell what is usual there
LEAST = 0.02  # weight of what is left out
CALM = 1e-3  # weight of no change at all
STEP = 1 << 18  # pixels that are handled between two yields
_HERE = np.zeros(2, int)


def blending(level: Level, offsets: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What to add to the copies (N, C) of the missing pixels, row by row, so that they meet the rim and each other."""
    problem = Labelling(level, offsets, level.hole)
    own = offsets[labels[problem.y, problem.x]]
    first, second = problem.pairs
    count, pixels, y, x = len(own), level.pixels, problem.y, problem.x

    def copy(nodes: np.ndarray, of: np.ndarray) -> np.ndarray:
        return shifted(pixels, y[nodes], x[nodes], own[of])

    # Slopes are those of the copies; where two meet, the mean of theirs.
    step = ((copy(first, first) - copy(second, first)) + (copy(first, second) - copy(second, second))) / 2
    wanted = step - (copy(first, first) - copy(second, second))
    weight = np.maximum(np.exp(-((np.abs(wanted).max(1) / EDGE) ** 4)), LEAST)
    rows = [np.arange(len(first))] * 2
    columns, values = [first, second], [weight, -weight]
    sides = [weight[:, None] * wanted]
    lines = len(first)
    nodes, gap, odd = _rim(level, y, x, own)
    cut = _sticking_out(gap, np.stack([y[nodes], x[nodes]], axis=1))
    weight = np.maximum(np.exp(-((np.abs(gap).max(1) / FAR) ** 4) - odd**2 - cut**4), LEAST)
    rows.append(lines + np.arange(len(nodes)))
    columns.append(nodes)
    values.append(weight)
    sides.append(weight[:, None] * gap)
    lines += len(nodes)
    rows.append(lines + np.arange(count))
    columns.append(np.arange(count))
    values.append(np.full(count, CALM))
    sides.append(np.zeros((count, pixels.shape[2])))
    system = coo_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(lines + count, count)
    ).tocsr()
    solve = splu((system.T @ system).tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    return solve.solve(system.T @ np.concatenate(sides)).astype(np.float32)


def _rim(level: Level, y: np.ndarray, x: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, ...]:
    """Which missing pixels touch known ones, what these are more than their copies (n, C), and how odd that is."""
    parts = []
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        there = np.full((len(y), 2), (down, right))
        nodes = np.flatnonzero(level.usable_at(y, x, there))
        given = shifted(level.pixels, y[nodes], x[nodes], there[nodes])
        gap = given - shifted(level.pixels, y[nodes] + down, x[nodes] + right, own[nodes])
        plane = np.zeros((*level.size, gap.shape[1] + 1), np.float32)
        plane[y[nodes], x[nodes]] = np.concatenate([gap, np.ones((len(nodes), 1), np.float32)], axis=1)
        around = ndimage.uniform_filter(plane, (AROUND, AROUND, 1), mode="constant")[y[nodes], x[nodes]]
        usual = around[:, :-1] / np.maximum(around[:, -1:], 1e-6)
        parts.append((nodes, gap, np.abs(gap - usual).max(1) / ODD))
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def _sticking_out(gap: np.ndarray, at: np.ndarray) -> np.ndarray:
    """How far each of some values (n, C) at places (n, 2) is from those around, over 1 where it is none of them.

    Those around are the `PART` of all that is nearest, of which medians count, as of how far they are from these.
    """
    if not len(at):
        return np.zeros(0)
    some = np.linspace(0, len(at) - 1, min(len(at), SOME)).astype(int)
    tree = cKDTree(at[some])
    near = gap[some][tree.query(at[some], [*range(1, 1 + max(1, round(PART * len(some))))])[1]]  # (some, around, C)
    middle = np.median(near, axis=1)
    spread = np.median(np.abs(near - middle[:, None]).max(2), axis=1)
    own = tree.query(at)[1]
    return np.abs(gap - middle[own]).max(1) / np.maximum(CUT, USUAL * spread[own])


def finer(correction: np.ndarray, above: np.ndarray, labels: np.ndarray) -> Generator[None, None, np.ndarray]:
    """`blending`'s result at twice the resolution: means of what pixels with the same label had, the nearer the more.

    Args:
        above, labels: maps of labels at half the resolution and at this one.
    """
    plane = np.zeros((*above.shape, correction.shape[1]), np.float32)
    plane[above >= 0] = correction
    y, x = np.nonzero(labels >= 0)
    result = np.empty((len(y), correction.shape[1]), np.float32)
    for begin in range(0, len(y), STEP):
        yield
        part = slice(begin, begin + STEP)
        result[part] = _means(plane, above, y[part], x[part], labels[y[part], x[part]])
    return result


def _means(plane: np.ndarray, above: np.ndarray, y: np.ndarray, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Values of a plane (H, W, C) at twice the resolution, from where the map above it has the pixels' own labels."""
    total, weight = np.zeros((len(y), plane.shape[2]), np.float32), np.zeros(len(y), np.float32)
    row, column = y // 2, x // 2

    def add(nodes: np.ndarray, rows: np.ndarray, columns: np.ndarray, share: float) -> None:
        same = inside(above.shape, rows, columns, _HERE) & (shifted(above, rows, columns, _HERE) == labels[nodes])
        total[nodes] += share * same[:, None] * shifted(plane, rows, columns, _HERE)
        weight[nodes] += share * same

    every = np.arange(len(y))
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        toward = row + down * (2 * (y % 2) - 1), column + right * (2 * (x % 2) - 1)
        add(every, *toward, (1 if down else 3) * (1 if right else 3))
    lost = np.flatnonzero(weight == 0)  # changed sides, and lies at most `BAND` from its label's others
    for down in range(-BAND, BAND + 1):
        for right in range(-BAND, BAND + 1):
            add(lost, row[lost] + down, column[lost] + right, 1 / (1 + down**2 + right**2))
    return total / np.maximum(weight, 1e-9)[:, None]
