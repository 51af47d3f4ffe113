"""Points that may lie on a thin line of some length, each with what tells whether that is a scratch.

A pixel is on a line where the picture, averaged along one of 16 directions, differs from both its flanks the same way:
the smaller of two edges (Koller, Gerig, Szekely, Dettwiler. "Multiscale detection of curvilinear structures in 2-D and
3-D image data", ICCV 1995), through elongated filters (Chaudhuri et al. "Detection of blood vessels in retinal images
using two-dimensional matched filters", IEEE TMI 1989).  Differs from the papers: contrast is measured against the
texture around, and the points are followed along arcs, of which the contrasts say how even the line is.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

DIRECTIONS = 16
STEP = math.pi / DIRECTIONS
ANGLES = np.arange(DIRECTIONS, dtype=np.float32) * np.float32(STEP)
ALONG = 6.0  # standard deviation of the filters along the line
PROFILES = ((0.7, 2.6), (1.5, 4.2))  # the same across it, and how far away its flanks are; for thin and thicker lines
AROUND = 41  # side of the square in which texture and other lines are measured
BENDS = np.array([0, -0.005, 0.005, -0.012, 0.012], np.float32)  # of the arcs, in radians a pixel
PLACES = np.arange(-60, 61, 4, dtype=np.float32)  # on an arc, in pixels from its point
WINDOW = 16  # so many neighbouring places are what an arc is judged by
SHIFT = 3  # between windows
OUTSIDE = 64  # places lie no further outside of the picture
CLEAR, VISIBLE = 3.3, 2.5  # contrast of a point relative to the texture, and in levels
STRAIGHT, FOLLOWED = 2.2, 3.5  # mean contrast along its straight line, and along its arc

TRAITS = (
    *("mean", "whole", "weakest", "relative", "spread", "met", "slope", "steps"),
    *("changes", "tint", "alike", "crowd", "texture", "size", "bend", "wide"),
)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
GREY_BELOW = 4.0  # mean difference of the channels; whether a line is grey says nothing in a picture that is


@dataclass(frozen=True)
class Points:
    """Points that may be on a line, each with what tells.

    Args:
        rows, columns: whole numbers, (N,).
        angles: of the line, in radians from the row.
        signs: 1 where it is light, -1 where it is dark.
        wide: whether it is one of the thicker ones.
        traits: float32 (N, number of traits).
        size: rows and columns of the picture.
    """

    rows: np.ndarray
    columns: np.ndarray
    angles: np.ndarray
    signs: np.ndarray
    wide: np.ndarray
    traits: np.ndarray
    size: tuple[int, int]


def seen_in(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Levels (H, W, C) of uint8 samples, how light they are (H, W), as float32, and whether the picture is grey."""
    colours = samples.astype(np.float32)
    if colours.shape[2] == 1:
        return colours, colours[..., 0], True
    return colours, colours @ LUMA, bool(np.abs(colours[..., 0] - colours[..., 2]).mean() < GREY_BELOW)


def points_of(samples: np.ndarray) -> Points:
    """The points of a picture, uint8 (H, W, 1 or 3), that lie on a line of some length."""
    colours, light, grey = seen_in(samples)
    contrast, relative, wide, texture = _contrasts(light)
    rows, columns, turns, angles = _peaks(contrast, relative)
    signs = np.sign(relative[turns, rows, columns])
    crowd = _crowd(turns, rows, columns, light.shape)
    mean, whole, bend, window = _followed(relative, rows, columns, angles, signs)
    kept = np.flatnonzero(mean > FOLLOWED)
    peaks = np.full(light.shape, -DIRECTIONS, np.int32)
    peaks[rows[kept], columns[kept]] = turns[kept]
    rows, columns, turns, angles, signs = (part[kept] for part in (rows, columns, turns, angles, signs))
    mean, whole, bend, window = (part[kept] for part in (mean, whole, bend, window))
    bends = BENDS[bend][:, None]
    places = PLACES[window[:, None] + np.arange(WINDOW)]
    along = _along(contrast, relative, peaks, _arcs(rows, columns, angles, bends, places), signs)
    across = _across(ndimage.gaussian_filter(colours, (1, 1, 0)), along)
    size, level = along.middle, texture[rows, columns]
    traits = [
        mean,
        whole,
        along.weakest,
        size / (level + 1),
        along.spread / (along.mean.clip(1) + 1),
        along.met,
        across.slope / (np.abs(size) + 2),
        across.steps / (np.abs(size) + 2),
        np.log(across.changes + 1),
        np.full(len(rows), np.nan) if grey else across.tint,
        crowd[0][turns, rows, columns],
        crowd[1][rows, columns],
        np.log(level),
        np.log(np.abs(size) + 1),
        50 * np.abs(BENDS[bend]),
        wide[turns, rows, columns],
    ]
    return Points(
        rows, columns, angles, signs, wide[turns, rows, columns], np.stack(traits, 1).astype(np.float32), light.shape
    )


def _contrasts(light: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Contrast against the flanks in levels, and relative to the texture; where thicker lines are clearer; the texture.

    All but the last, (H, W), are (directions, H, W); a dark line's contrast is negative.
    """
    height, width = light.shape
    edge = 24
    padded = np.pad(light, edge, mode="symmetric" if min(light.shape) < edge else "reflect")
    shape = tuple(fft.next_fast_len(side, True) for side in padded.shape)
    spectrum = fft.rfft2(padded, shape)
    down = (2 * math.pi * fft.fftfreq(shape[0])).astype(np.float32)[:, None]
    right = (2 * math.pi * fft.rfftfreq(shape[1])).astype(np.float32)[None]
    found = []
    for sigma, distance in PROFILES:
        volume = np.empty((DIRECTIONS, height, width), np.float32)
        energy = np.zeros_like(light)
        for angle, contrast in zip(ANGLES.tolist(), volume, strict=True):
            smooth = fft.irfft2(spectrum * _elongated(down, right, angle, sigma), shape)
            y, x = round(distance * math.cos(angle)), round(-distance * math.sin(angle))
            middle, one, other = (
                smooth[edge + way * y : edge + way * y + height, edge + way * x : edge + way * x + width]
                for way in (0, 1, -1)
            )
            one, other = middle - one, middle - other
            np.maximum(np.minimum(one, other), 0, out=contrast)
            contrast += np.minimum(np.maximum(one, other), 0)
            for axis, cut in ((0, abs(y)), (1, abs(x))):  # where a flank is outside of the picture
                turned = np.moveaxis(contrast, axis, 0)
                turned[:cut] = 0
                turned[len(turned) - cut :] = 0
            energy += contrast * contrast
        texture = np.sqrt(ndimage.uniform_filter(energy / DIRECTIONS, AROUND).clip(0)) + np.float32(0.4)
        found.append((volume, texture))
    (contrast, texture), (thicker, other) = found
    relative, thicker_relative = contrast / texture, thicker / other
    wide = np.abs(thicker_relative) > np.abs(relative)
    np.copyto(relative, thicker_relative, where=wide)
    np.copyto(contrast, thicker, where=wide)
    return contrast, relative, wide, texture


def _elongated(down: np.ndarray, right: np.ndarray, angle: float, sigma: float) -> np.ndarray:
    """Transform of a Gaussian of `ALONG` in a direction and `sigma` across, at frequencies (H, 1) and (1, W)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    exponent = ((sigma**2 - ALONG**2) * cosine * sine * down) * right
    exponent -= 0.5 * ((ALONG * sine) ** 2 + (sigma * cosine) ** 2) * down**2
    exponent -= 0.5 * ((ALONG * cosine) ** 2 + (sigma * sine) ** 2) * right**2
    return np.exp(exponent, out=exponent)


def _peaks(contrast: np.ndarray, relative: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rows, columns, directions and angles of the points that are clearer than their neighbours across the line."""
    height, width = relative.shape[1:]
    strength = np.abs(relative)
    turns = strength.argmax(0)
    rows, columns = np.nonzero(strength.max(0) > CLEAR)
    turns = turns[rows, columns]
    seen = np.abs(contrast[turns, rows, columns]) > VISIBLE
    rows, columns, turns = rows[seen], columns[seen], turns[seen]
    best = strength[turns, rows, columns]
    down, right = (np.rint(part).astype(int)[turns] for part in (np.cos(ANGLES), -np.sin(ANGLES)))

    def beside(way: int) -> np.ndarray:
        return strength[turns, (rows + way * down).clip(0, height - 1), (columns + way * right).clip(0, width - 1)]

    highest = (best >= beside(1)) & (best > beside(-1))
    rows, columns, turns, best = rows[highest], columns[highest], turns[highest], best[highest]
    before, after = (strength[(turns + way) % DIRECTIONS, rows, columns] for way in (-1, 1))
    finer = (0.5 * (before - after) / (before - 2 * best + after - 1e-6)).clip(-0.5, 0.5)
    return rows, columns, turns, (ANGLES[turns] + finer * STEP).astype(np.float32)


def _crowd(turns: np.ndarray, rows: np.ndarray, columns: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """How many lines run around each pixel in its direction, (directions, H, W), and in any, (H, W)."""
    alike = np.zeros((DIRECTIONS, *size), np.float32)
    alike[turns, rows, columns] = 1
    for direction in range(DIRECTIONS):
        alike[direction] = ndimage.uniform_filter(alike[direction], AROUND) * AROUND
    every = alike.sum(0)
    first, last = alike[0].copy(), alike[-1].copy()
    before = last
    for direction in range(DIRECTIONS):
        own = alike[direction].copy()
        alike[direction] += before + (alike[direction + 1] if direction + 1 < DIRECTIONS else first)
        before = own
    return alike, every


def _arcs(rows, columns, angles, bends, places) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and angles of places on arcs through points, (N, places)."""
    chord = angles[:, None] + bends * places / 2
    length = places * np.sinc(bends * places / (2 * math.pi))
    return (
        rows[:, None] + length * np.sin(chord),
        columns[:, None] + length * np.cos(chord),
        (angles[:, None] + bends * places),
    )


def _followed(
    relative: np.ndarray, rows: np.ndarray, columns: np.ndarray, angles: np.ndarray, signs: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Of each point: mean contrast in the best window of the best arc, on all of that arc, number of arc and window."""
    height, width = relative.shape[1:]
    across = width + 2 * OUTSIDE
    layer = (height + 2 * OUTSIDE) * across
    by_sign = [_dilated(way * relative).ravel() for way in (1, -1)]
    inside = np.zeros((height + 2 * OUTSIDE, across), bool)
    inside[OUTSIDE:-OUTSIDE, OUTSIDE:-OUTSIDE] = True
    inside = inside.ravel()
    count = len(rows)
    mean, whole = np.full(count, -1, np.float32), np.zeros(count, np.float32)
    bend, window = np.zeros(count, int), np.zeros(count, int)
    starts = range(0, len(PLACES) - WINDOW + 1, SHIFT)
    least = WINDOW * 2 // 3  # an arc that leaves the picture sooner is judged as if it went on without a line
    for number, curvature in enumerate(BENDS):
        for values, sign in zip(by_sign, (1, -1), strict=True):
            mine = np.flatnonzero((signs == sign) & ((number == 0) | (mean > STRAIGHT)))
            y, x, turned = _arcs(rows[mine], columns[mine], angles[mine], curvature, PLACES)
            spot = (np.rint(y).astype(np.int32) + OUTSIDE) * across + np.rint(x).astype(np.int32) + OUTSIDE
            turn = np.rint(turned / STEP).astype(np.int32) % DIRECTIONS
            sums = np.pad(np.cumsum(values[turn * layer + spot], 1), ((0, 0), (1, 0)))
            counts = np.pad(np.cumsum(inside[spot], 1), ((0, 0), (1, 0)))
            means = np.stack(
                [
                    (sums[:, s + WINDOW] - sums[:, s]) / (counts[:, s + WINDOW] - counts[:, s]).clip(least)
                    for s in starts
                ],
                1,
            )
            best = means.argmax(1)
            value = means[np.arange(len(mine)), best]
            better = value > mean[mine]
            improved = mine[better]
            mean[improved], bend[improved], window[improved] = value[better], number, SHIFT * best[better]
            whole[improved] = (sums[:, -1] / counts[:, -1].clip(least))[better]
    return mean, whole, bend, window


def _dilated(relative: np.ndarray) -> np.ndarray:
    """What is positive, at most 6, each pixel with the highest of its neighbours, in a frame of zeros."""
    around = np.zeros((len(relative), *(side + 2 * OUTSIDE for side in relative.shape[1:])), np.float32)
    inner = around[:, OUTSIDE:-OUTSIDE, OUTSIDE:-OUTSIDE]
    np.clip(relative, 0, 6, out=inner)
    for part, frame in zip(inner, around, strict=True):
        beside = np.maximum(part, frame[OUTSIDE:-OUTSIDE, OUTSIDE - 1 : -OUTSIDE - 1])
        np.maximum(beside, frame[OUTSIDE:-OUTSIDE, OUTSIDE + 1 : -OUTSIDE + 1], out=beside)
        part[:] = beside
        np.maximum(part[1:], beside[:-1], out=part[1:])
        np.maximum(part[:-1], beside[1:], out=part[:-1])
    return around


@dataclass(frozen=True)
class _Along:
    """Contrast along the windows of arcs, (N, places) or (N,): where they run, and what was measured."""

    rows: np.ndarray
    columns: np.ndarray
    exact: tuple[np.ndarray, np.ndarray, np.ndarray]
    inside: np.ndarray
    mean: np.ndarray
    middle: np.ndarray
    spread: np.ndarray
    weakest: np.ndarray
    met: np.ndarray

    def averaged(self, values: np.ndarray) -> np.ndarray:
        return _averaged(values, self.inside)


def _averaged(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return (values * inside).sum(1) / inside.sum(1).clip(1)


def _along(contrast, relative, peaks, arcs, signs) -> _Along:
    """See `_Along`; the best of three neighbours across the line counts, as an arc is never quite the line."""
    height, width = peaks.shape
    rows, columns = (np.rint(part).astype(np.int32) for part in arcs[:2])
    inside = (rows >= 1) & (rows < height - 1) & (columns >= 1) & (columns < width - 1)
    rows, columns = rows.clip(1, height - 2), columns.clip(1, width - 2)
    turns = np.rint(arcs[2] / STEP).astype(np.int32) % DIRECTIONS
    down, right = np.rint(np.cos(arcs[2])).astype(np.int32), np.rint(-np.sin(arcs[2])).astype(np.int32)
    signs = signs[:, None]
    best, y, x = signs * relative[turns, rows, columns], rows.copy(), columns.copy()
    for way in (-1, 1):
        beside = rows + way * down, columns + way * right
        value = signs * relative[(turns, *beside)]
        better = value > best
        best[better] = value[better]
        y[better], x[better] = beside[0][better], beside[1][better]
    values = signs * contrast[turns, y, x]
    met = np.zeros_like(inside)
    for way in (0, 1, -1):
        apart = np.abs(peaks[(y + way * down).clip(0, height - 1), (x + way * right).clip(0, width - 1)] - turns)
        met |= np.minimum(apart, np.abs(DIRECTIONS - apart)) <= 1
    mean = _averaged(values, inside)
    spread = np.sqrt((_averaged(values * values, inside) - mean * mean).clip(0))
    weakest = np.partition(best, 1, axis=1)[:, 1]
    middle = np.median(values, axis=1)
    return _Along(y, x, arcs, inside, mean, middle, spread, weakest, _averaged(met, inside))


@dataclass(frozen=True)
class _Across:
    """What lies on both sides of lines, (N,): slope and steps between them, changes along them, and the line's tint."""

    slope: np.ndarray
    steps: np.ndarray
    changes: np.ndarray
    tint: np.ndarray


def _across(colours: np.ndarray, along: _Along) -> _Across:
    height, width = colours.shape[:2]
    y, x, angle = along.exact
    sides = [
        colours[
            np.rint(y + way * np.cos(angle)).astype(np.int32).clip(0, height - 1),
            np.rint(x - way * np.sin(angle)).astype(np.int32).clip(0, width - 1),
        ]
        for way in (5, -5)
    ]
    offset = colours[along.rows, along.columns] - (sides[0] + sides[1]) / 2
    tints = np.stack([along.averaged(offset[..., channel]) for channel in range(offset.shape[2])])
    left, right = (side @ LUMA if side.shape[2] == 3 else side[..., 0] for side in sides)
    ground = (left + right) / 2
    changes = along.averaged(ground * ground) - along.averaged(ground) ** 2
    return _Across(
        np.abs(along.averaged(left - right)),
        along.averaged(np.abs(left - right)),
        np.sqrt(changes.clip(0)),
        (tints.max(0) - tints.min(0)) / (np.abs(tints).mean(0) + 3),
    )
