"""The blocks that are left of a JPEG when it was resized or edited since, so that no quality explains its pixels.

Gallagher. "Detection of Linear and Cubic Interpolation in JPEG Compressed Images", CRV 2005: what repeats in a picture
shows as lines in the spectrum of its second derivative.
Differs from the paper: lines of the blocks are looked for, and those of the interpolation told from them: blocks have
several harmonics, across as well as down.  A quality over 75 leaves them in most of the pictures, and a size under
seven tenths in none; of pictures that were enlarged and never were a JPEG, about one in 250 is taken for one.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from torch import Tensor

from restoration.jpeg import luma_levels

BLOCK = 8
SIZES = 0.7, 2.2  # of the picture, relative to what was saved, that are looked for
UNCHANGED = 0.03  # so near to 1 it was not resized
FEWEST = 160  # pixels along a side in which lines stand out
MEASURED = 384  # and in which they are as strong as in all of a picture
EDGE = 12  # levels that a second derivative counts as, at most: blocks are seen where little else is
NEIGHBOURS = 15  # rows or columns that tell what is usual for one
LINES = 1 << 13  # of the spectrum
AROUND = 601  # lines that tell what is usual for one
HARMONICS = 3
FINEST = 0.4  # cycles a pixel, up to which harmonics outlast a change of size
FLAT = 2e-4  # variance of bends, relative to what is usual for them, below which nothing stands out
STEP = 0.0025  # from one size to the next, relative
EVIDENCE = 6.0  # times what is usual, of all harmonics in the geometric mean
FAINT = 0.015  # strength of lines of a texture, or of nothing
MOST = 30.0  # that a harmonic counts: interpolation leaves a single one that stands out far more
INTERPOLATED = 6, 7, 11  # sizes of blocks that enlarging by 6/5, 7/6, 11/10 and the like leaves as well
CERTAIN = 14.0  # what every harmonic of those must be


class Blocks(NamedTuple):
    """Blocks of JPEG.

    Args:
        size: of the picture relative to that in which it was saved, 1 where that is the same.
        strength: by what share of the usual a picture bends more and less with them, in the mean of the harmonics.
    """

    size: float
    strength: float


def blocks(image: Tensor) -> Blocks | None:
    """The blocks that can be seen in an image, rather those of another size; None without any.

    In a small image only those are told.

    Args:
        image: uint8 (C, H, W), grey or RGB.
    """
    light = luma_levels(image)
    if min(light.shape) < FEWEST:
        return None
    sizes = np.exp(np.arange(*np.log(SIZES), STEP))
    waves = np.arange(1, HARMONICS + 1)[:, None] / (BLOCK * sizes)  # cycles a pixel
    looked_at = waves < FINEST
    at = np.minimum(np.rint(waves * LINES).astype(int), LINES // 2)
    strengths, lines = (np.minimum(*both)[at] for both in zip(*(_spectra(light, axis) for axis in (0, 1)), strict=True))
    counted, falling = looked_at.sum(0), strengths[0] > np.where(looked_at, strengths, 0)[-1]
    strengths = np.where(looked_at, strengths, 0).sum(0) / counted
    evidence = np.exp(np.where(looked_at, np.log(lines.clip(1e-3, MOST)), 0).sum(0) / counted)
    for side in INTERPOLATED:
        evidence[(abs(BLOCK * sizes - side) < 0.2) & (np.where(looked_at, lines, np.inf).min(0) < CERTAIN)] = 0
    evidence[~falling] = 0  # where the coarsest is fainter than the finest, it is one that interpolation leaves
    faint = (evidence < EVIDENCE) | (strengths < FAINT)
    others = np.where(faint | (abs(sizes - 1) < UNCHANGED), 0, evidence)
    if others.any():
        likely = others >= others.max() / 3  # also of every second or third block
        strongest = np.where(likely, np.where(looked_at, lines, 0).sum(0), 0).argmax()
        return Blocks(float(sizes[strongest]), float(strengths[strongest]))
    own = abs(sizes - 1).argmin()
    return Blocks(1.0, float(strengths[own])) if evidence[own] >= EVIDENCE and min(light.shape) >= MEASURED else None


def _spectra(light: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """What repeats down (0) or across (1) a plane (H, W): amplitudes, and power by what is usual at each frequency."""
    bends = np.minimum(np.abs(np.diff(light, 2, axis=axis)), EDGE).mean(1 - axis)
    bends = bends / (ndimage.median_filter(bends, NEIGHBOURS, mode="reflect") + 0.05) - 1
    bends = bends.clip(-0.5, 0.5)
    window = np.hanning(len(bends))
    bends = (bends - bends.mean()) * window
    amplitudes = np.abs(np.fft.rfft(bends, LINES))
    power = amplitudes**2 / ((bends**2).sum() + FLAT * len(bends))
    usual = 1.4 * ndimage.median_filter(power, AROUND, mode="reflect") + 0.1
    return 2 * amplitudes / window.sum(), power / usual
