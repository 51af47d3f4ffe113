"""By what a picture was resized since it was saved as JPEG: the blocks of 8 pixels have another size now.

Gallagher. "Detection of Linear and Cubic Interpolation in JPEG Compressed Images", CRV 2005: what repeats in a picture
shows as lines in the spectrum of its second derivative.
Differs from the paper: lines of the blocks are looked for, and those of the interpolation told from them: blocks have
several harmonics, across as well as down.  A quality over 75 leaves them in half of the pictures, and a size under
seven tenths in none; of pictures that were enlarged and never were a JPEG, about one in 500 is taken for one.
"""

import numpy as np
from scipy import ndimage
from torch import Tensor

from restoration.jpeg import luma_levels

BLOCK = 8
SIZES = 0.7, 2.2  # of the picture, relative to what was saved, that are looked for
UNCHANGED = 0.03  # so near to 1 it was not resized
FEWEST = 160  # pixels along a side in which lines stand out
EDGE = 12  # levels that a second derivative counts as, at most: blocks are seen where little else is
NEIGHBOURS = 15  # rows or columns that tell what is usual for one
LINES = 1 << 13  # of the spectrum
AROUND = 601  # lines that tell what is usual for one
HARMONICS = 3
FINEST = 0.4  # cycles a pixel, up to which harmonics outlast a change of size
FLAT = 2e-4  # variance of bends, relative to what is usual for them, below which nothing stands out
STEP = 0.0025  # from one size to the next, relative
EVIDENCE = 6.0  # times what is usual; photos that were not saved as JPEG reach 3
INTERPOLATED = {6: 14.0, 7: 14.0}  # the same for sizes of blocks that enlarging by 6/5, 7/6, 7/5 or 7/4 leaves as well


def resized_since_saved(image: Tensor) -> float | None:
    """The size of an image relative to that in which it was saved as JPEG; None without traces of another one.

    Args:
        image: uint8 (C, H, W), grey or RGB.
    """
    light = luma_levels(image)
    if min(light.shape) < FEWEST:
        return None
    sizes = np.exp(np.arange(*np.log(SIZES), STEP))
    waves = np.arange(1, HARMONICS + 1)[:, None] / (BLOCK * sizes)  # cycles a pixel
    looked_at = waves < FINEST
    spectrum = np.minimum(*(_spectrum(light, axis) for axis in (0, 1)))
    lines = spectrum[np.minimum(np.rint(waves * LINES).astype(int), LINES // 2)]
    evidence = np.where(looked_at, lines, np.inf).min(0)
    needed = np.full(len(sizes), EVIDENCE)
    for side, more in INTERPOLATED.items():
        needed[abs(BLOCK * sizes - side) < 0.1] = more
    evidence[(evidence < needed) | (abs(sizes - 1) < UNCHANGED)] = 0
    if not evidence.any():
        return None
    likely = evidence >= evidence.max() / 3  # also of every second or third block
    return float(sizes[np.where(likely, np.where(looked_at, lines, 0).sum(0), 0).argmax()])


def _spectrum(light: np.ndarray, axis: int) -> np.ndarray:
    """Power of what repeats down (0) or across (1) a plane (H, W), relative to what is usual at each frequency."""
    bends = np.minimum(np.abs(np.diff(light, 2, axis=axis)), EDGE).mean(1 - axis)
    bends = bends / (ndimage.median_filter(bends, NEIGHBOURS, mode="reflect") + 0.05) - 1
    bends = bends.clip(-0.5, 0.5)
    bends = (bends - bends.mean()) * np.hanning(len(bends))
    power = np.abs(np.fft.rfft(bends, LINES)) ** 2 / ((bends**2).sum() + FLAT * len(bends))
    return power / (1.4 * ndimage.median_filter(power, AROUND, mode="reflect") + 0.1)
