"""Resampling as MATLAB's `imresize` does it: one implementation for degrading, enlarging, comparing and alpha.

Pixel centres lie at half-integers, the kernel is widened when reducing, and the edges are mirrored.
`pull_push` interpolates where samples are missing.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Kernel:
    """An interpolation kernel.

    Args:
        weight: of a sample at a distance of so many input pixels.
        width: of the interval around 0 outside which the weight is 0.
    """

    weight: Callable[[np.ndarray], np.ndarray]
    width: int


def _box(distance: np.ndarray) -> np.ndarray:
    return ((distance >= -0.5) & (distance < 0.5)).astype(distance.dtype)


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(distance), 0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    x = np.abs(distance)
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x <= 2, outer, 0))


def _lanczos(distance: np.ndarray) -> np.ndarray:
    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)


NEAREST = Kernel(_box, 1)
BILINEAR = Kernel(_triangle, 2)
BICUBIC = Kernel(_cubic, 4)  # Keys, "Cubic convolution interpolation", IEEE TASSP 1981, a = -0.5
LANCZOS = Kernel(_lanczos, 6)  # Lanczos, three lobes

_BAND = 256  # rows of the larger of two pictures that are worked on at once


def resample(
    image: Tensor, size: tuple[int, int], scale: float, kernel: Kernel = BICUBIC, *, eight_bit: bool = False
) -> Tensor:
    """The image (B, C, H, W) resampled to `size`, as MATLAB's `imresize(image, scale, kernel)`.

    Args:
        size: height and width of the result.
        scale: output / input resolution, which places the pixel centres.
        eight_bit: round to multiples of 1 / 255 within [0, 1] after each of the two passes, rows first, as MATLAB does
            with uint8; bit for bit the same.
    """
    result = image.double() if eight_bit else image
    # Where nothing is rounded in between, the order is free, and the one with the smaller middle is faster.
    axes = (-2, -1) if eight_bit or scale < 1 else (-1, -2)
    for axis in axes:
        result = _along(result, axis, size[axis], scale, kernel)
        if eight_bit:
            result = (result * 255).add(0.5).floor().clamp(0, 255) / 255
    return result.to(image.dtype)


def enlarge(image: Tensor, scale: int, kernel: Kernel = BICUBIC) -> Tensor:
    """The image (B, C, H, W) at `scale` times the size."""
    return resample(image, (scale * image.shape[-2], scale * image.shape[-1]), scale, kernel)


def resized(image: Tensor, zoom: float, kernel: Kernel = BICUBIC) -> Tensor:
    """The image (B, C, H, W) in [0, 1] at `zoom` times the size, of whole pixels, in [0, 1] too."""
    return resample(image, tuple(max(1, round(zoom * side)) for side in image.shape[-2:]), zoom, kernel).clamp(0, 1)


def resample_in_bands(
    read: Callable[[slice], Tensor], height: int, size: tuple[int, int], scale: float, kernel: Kernel = BICUBIC
) -> Iterator[tuple[slice, Tensor]]:
    """What `resample` gives, bit for bit, as bands of rows, so that its memory does not grow with the height.

    Args:
        read: gives rows (B, C, h, W) of the image.
        height: of the image.
    """
    index, weights = _taps(height, size[0], scale, kernel)
    step = max(1, int(_BAND * min(1.0, scale)))
    for rows in (slice(top, min(top + step, size[0])) for top in range(0, size[0], step)):
        first, last = int(index[:, rows].min()), int(index[:, rows].max())
        part, taps = read(slice(first, last + 1)), (index[:, rows] - first, weights[:, rows])
        if scale < 1:
            yield rows, _along(_summed(part, -2, *taps), -1, size[1], scale, kernel)
        else:
            yield rows, _summed(_along(part, -1, size[1], scale, kernel), -2, *taps)


def _along(image: Tensor, axis: int, length: int, scale: float, kernel: Kernel) -> Tensor:
    return _summed(image, axis, *_taps(image.shape[axis], length, scale, kernel))


def _summed(image: Tensor, axis: int, index: Tensor, weights: Tensor) -> Tensor:
    """The samples at indices (taps, length) along an axis, weighted and added."""
    shape = (-1, 1) if axis == -2 else (-1,)
    result = None
    for tap, weight in zip(index.to(image.device), weights.to(image), strict=True):  # tap by tap bounds the memory
        samples = image.index_select(axis, tap)
        weight = weight.view(shape)
        result = samples.mul_(weight) if result is None else result.addcmul_(samples, weight)
    return result


def _taps(inputs: int, outputs: int, scale: float, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Indices and weights (taps, outputs) of the input samples that make each output sample."""
    if torch.compiler.is_exporting():  # a network that is exported holds them as numbers
        index, weights = (table.tolist() for table in _tables(inputs, outputs, scale, kernel))
        return torch.tensor(index), torch.tensor(weights, dtype=torch.double)
    return _kept_taps(inputs, outputs, scale, kernel)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept must also serve training
def _kept_taps(inputs: int, outputs: int, scale: float, kernel: Kernel) -> tuple[Tensor, Tensor]:
    return tuple(torch.from_numpy(table) for table in _tables(inputs, outputs, scale, kernel))


def _tables(inputs: int, outputs: int, scale: float, kernel: Kernel) -> tuple[np.ndarray, np.ndarray]:
    """What `_taps` gives, as arrays."""
    shrink = min(scale, 1.0)
    support = kernel.width / shrink
    centres = (np.arange(outputs) + 0.5) / scale - 0.5
    index = np.floor(centres - support / 2)[:, None] + np.arange(math.ceil(support) + 2)
    weights = kernel.weight(shrink * (centres[:, None] - index))
    weights = weights / weights.sum(1, keepdims=True)
    used = np.abs(weights).max(0) > 0
    mirrored = np.concatenate([np.arange(inputs), np.arange(inputs)[::-1]])
    index = mirrored[index.astype(np.int64) % (2 * inputs)]
    return tuple(np.ascontiguousarray(table.T[used]) for table in (index, weights))


def pull_push(image: Tensor, mask: Tensor, sweeps: int = 8) -> Tensor:
    """Missing pixels interpolated from the known ones, however far away: these spread inwards, coarse to fine.

    Gortler, Grzeszczuk, Szeliski, Cohen, "The Lumigraph", SIGGRAPH 1996 (pull-push), then `sweeps` averages of the four
    neighbours at every resolution, which approach the solution of Laplace's equation.

    Args:
        image: (B, C, H, W); what it holds in the holes does not matter.
        mask: (B, 1, H, W), 1 where a pixel is missing.
    """
    missing = mask.bool()
    if not torch.compiler.is_exporting() and not missing.any():  # which changes nothing but the time
        return image
    height, width = image.shape[-2:]
    if height * width == 1:
        return image.masked_fill(missing, 0.5)
    known = 1 - mask.to(image.dtype)
    padding = (0, width % 2, 0, height % 2)
    weight = F.avg_pool2d(F.pad(known, padding), 2)
    coarse = F.avg_pool2d(F.pad(image * known, padding), 2) / weight.clamp(min=1e-6)
    coarse = pull_push(coarse, (weight == 0).to(mask.dtype), sweeps)
    filled = enlarge(coarse, 2, BILINEAR)[..., :height, :width]
    filled = torch.where(missing, filled, image)
    for _ in range(sweeps):
        around = F.pad(filled, (1, 1, 1, 1), mode="replicate")
        mean = (around[..., :-2, 1:-1] + around[..., 2:, 1:-1] + around[..., 1:-1, :-2] + around[..., 1:-1, 2:]) / 4
        filled = torch.where(missing, mean, filled)
    return filled
