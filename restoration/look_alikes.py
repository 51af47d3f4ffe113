"""What in a picture looks like what is removed from it, as the next coin in a row or the rest of a herd.

A fill that is made of copies likes to put another of a kind where one is to go, as that suits the surroundings best.
What lies in the hole tells which parts those are: they are like it, and unlike what lies close around it.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

SIDE = 192  # longer side of the picture that is looked at, at most; the numbers of pixels below are of it
SPREAD = 1.5  # standard deviation of what counts around a pixel
DEEP = 2  # pixels at the edge of a hole that say nothing
CLOSE = 7  # a hole's surroundings reach as far
FEWEST = 20  # pixels of the hole and of its surroundings
NEIGHBOUR = 9  # the how manieth nearest tells how much surroundings differ among themselves
OWN, SHARE = 2.5, 0.1  # times that, by which pixels of the hole are its own, and how many of them have to be
DIFFERENT = 0.04  # the least difference that counts, on [0, 1]
NEARER = 0.6  # to the hole's own pixels than to its surroundings, a look-alike is by this factor
MARGIN = 3  # pixels around look-alikes
MOST = 0.7  # of what could be copied; more than that is no thing among others


def look_alikes(samples: np.ndarray, hole: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Where a picture looks like what lies in its hole, bool (H, W), nowhere in the hole.

    Args:
        samples: (H, W, C) of any type of whole numbers.
        hole: bool (H, W), what is removed.
        usable: bool (H, W), what could be copied instead.
    """
    nothing, step = np.zeros_like(hole), -(-max(hole.shape) // SIDE)
    if min(hole.shape) < 4 * step:
        return nothing
    inside, known = _means(hole, step)[..., 0] > 0.99, _means(usable, step)[..., 0] > 0.99
    deep = ndimage.binary_erosion(inside, iterations=DEEP)
    around = known & (ndimage.distance_transform_edt(~inside) < CLOSE)
    if min(deep.sum(), around.sum()) < FEWEST:
        return nothing
    picture = _means(samples, step) / np.iinfo(samples.dtype).max
    removed, rest = _traits(picture, inside)[deep], _traits(picture, known)
    surroundings = cKDTree(rest[around])
    among = surroundings.query(rest[around], NEIGHBOUR)[0][:, -1]
    own = surroundings.query(removed)[0] > max(DIFFERENT, OWN * np.median(among))
    if own.mean() < SHARE:
        return nothing
    unlike, alike = (tree.query(rest[known])[0] for tree in (surroundings, cKDTree(removed[own])))
    found = np.zeros_like(known)
    found[known] = (alike < NEARER * unlike) & (unlike > DIFFERENT)
    found = ndimage.binary_dilation(ndimage.binary_opening(found), iterations=MARGIN) & known
    if found.sum() > MOST * known.sum():
        return nothing
    rows, columns = (
        np.minimum(np.arange(side) // step, most - 1) for side, most in zip(hole.shape, found.shape, strict=True)
    )
    return found[rows[:, None], columns] & usable


def _means(samples: np.ndarray, step: int) -> np.ndarray:
    """Means of squares of a side, float32 (H / step, W / step, C); what is left of rows and columns is left out."""
    height, width = (side // step for side in samples.shape[:2])
    bands = samples[: height * step, : width * step].reshape(height, step, width, step, -1)
    return np.stack([band.mean((0, 2), dtype=np.float32) for band in bands])


def _traits(picture: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Colours around every pixel, near and nearer, and how rough they are, (H, W, 3 * C), of a region alone."""

    def means(values: np.ndarray, spread: float) -> np.ndarray:
        share = np.maximum(ndimage.gaussian_filter(weight, spread), 1e-3)
        return ndimage.gaussian_filter(values * weight[..., None], (spread, spread, 0)) / share[..., None]

    weight = region.astype(np.float32)
    mean = means(picture, SPREAD)
    rough = np.sqrt(np.maximum(means(picture**2, SPREAD) - mean**2, 0))
    return np.concatenate([mean, rough, means(picture, SPREAD / 2) / 2], axis=-1)
