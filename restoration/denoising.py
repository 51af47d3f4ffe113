"""Denoising jobs: the function behind the page, the API and the command line, and trials on clean pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from restoration import catalog
from restoration.catalog import Method
from restoration.classical import estimate_sigma
from restoration.degradations import (
    CameraNoise,
    Degradation,
    FilmGrain,
    GaussianNoise,
    PoissonNoise,
    SaltAndPepperNoise,
    SpeckleNoise,
    UniformNoise,
)
from restoration.image import Image
from restoration.restorer import Denoiser
from restoration.running import Job, Result, restored

SAMPLES = 4  # the noise level of a large image is measured in so many squares across and down
FEW_SAMPLES = 2  # the same where it has to be known at once
SAMPLE_SIDE = 256
CLIPPED = 0.25  # share of black or white pixels from which a square says too little of the noise
FEW = 0.1  # share of a picture's uneven squares below which those that are not clipped say nothing
BOUND = 3.0  # times its fine detail a picture's noise is at most
MAX_SIGMA_255 = 100
NOISY_ABOVE_255 = 12  # a measured noise level above which a picture cannot pass for clean


@dataclass(frozen=True)
class NoiseLevel:
    """The noise level of a picture on [0, 1], and whether it was measured or given."""

    sigma: float
    measured: bool

    def __str__(self) -> str:
        return f"{'measured ' if self.measured else ''}noise level {255 * self.sigma:.1f}"


def measured_sigma(image: Image) -> float:
    """The level of an image's noise where it has any, on [0, 1], from samples of it if it is large.

    The default model's estimator measures it, which knows texture and a camera's smooth noise from each other, where
    the image is neither flat (a border, a drawing) nor clipped; `estimate_sigma` does for models without one and for
    images under 8 pixels a side.  At most the highest that can be set: black and white dots read up to 380.
    """
    levels = _measured_levels(image, SAMPLES)
    return min(_overall(levels), MAX_SIGMA_255 / 255)


def level_by(estimator: Denoiser, parts: list[Tensor]) -> float:
    """What `measured_sigma` finds in parts (1, C, H, W) of an image with a model that estimates levels, on [0, 1]."""
    return _overall(_all_noisy_cells(estimator, parts))


def _overall(levels: Tensor) -> float:
    """One level of the noise levels (count,) of cells."""
    return float(levels.square().mean().sqrt()) if len(levels) else 0.0


def _measured_levels(image: Image, samples: int) -> Tensor:
    """The noise levels (count,) of the cells of an image that tell any."""
    estimator, parts = sampled(image, samples)
    if estimator is None:
        return torch.tensor([estimate_sigma(part) for part in parts])
    return _all_noisy_cells(estimator, parts)


def sampled(image: Image, samples: int) -> tuple[Denoiser | None, list[Tensor]]:
    """What measures the noise level of an image, None where nothing can, and samples of the image (1, C, H, W)."""
    parts = [image.tensor(window) for window in _sample_windows(image.height, image.width, samples)]
    return None if min(image.height, image.width) < 8 else _estimator(), parts


def _sample_windows(height: int, width: int, samples: int) -> list[tuple[slice, slice]]:
    """The whole image, or squares spread evenly over it, so many across and down, if these are less."""

    def along(side: int) -> list[slice]:
        if side <= samples * SAMPLE_SIDE:
            return [slice(0, side)]
        starts = ((side - SAMPLE_SIDE) * index // (samples - 1) for index in range(samples))
        return [slice(start, start + SAMPLE_SIDE) for start in starts]

    return [(rows, columns) for rows in along(height) for columns in along(width)]


def _estimator() -> Denoiser | None:
    """The default model if it estimates levels, on the processor: measuring is no reason to ask for a GPU."""
    flagship = catalog.method("denoise", "")
    return _kept(flagship) if flagship.learned else None


@lru_cache(maxsize=1)
def _kept(method: Method) -> Denoiser | None:
    model = method.load()
    return model if getattr(model, "estimates_sigma", False) else None


def _all_noisy_cells(estimator: Denoiser, parts: list[Tensor]) -> Tensor:
    """The levels (count,) of the cells of parts (1, C, H, W) of an image that are neither flat nor clipped."""
    return torch.cat([_noisy_cells(part, level, estimator.CELL) for part, level, _ in in_cells(estimator, parts)])


@torch.inference_mode()
def in_cells(estimator: Denoiser, parts: list[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """What is found in parts (1, C, H, W) of an image, cut to whole cells.

    Returns:
        Each part, with the levels (1, 1, H / cell, W / cell) of its cells and their traits (1, features, H / cell,
        W / cell).
    """
    whole = [
        part[..., : height // estimator.CELL * estimator.CELL, : width // estimator.CELL * estimator.CELL]
        for part in parts
        for height, width in [part.shape[-2:]]
    ]
    whole = [part.expand(-1, estimator.channels, -1, -1) for part in whole]
    alike = len({part.shape for part in whole}) == 1
    found = [estimator.level_and_traits(each) for each in ([torch.cat(whole)] if alike else whole)]  # faster at once
    levels = [F.avg_pool2d(each, estimator.CELL) for level, _ in found for each in level.split(1)]
    traits = [each for _, all_of_them in found for each in all_of_them.split(1)]
    return list(zip(whole, levels, traits, strict=True))


def _noisy_cells(part: Tensor, levels: Tensor, cell: int) -> Tensor:
    """Those of a part whose cells of a side have levels (1, 1, H / cell, W / cell)."""
    alive = alive_cells(part, cell)
    return torch.tensor([estimate_sigma(part)]) if alive is None else bounded(levels[alive], part, alive, cell)


def alive_cells(part: Tensor, cell: int) -> Tensor | None:
    """Which cells (1, 1, H / cell, W / cell) of a part are neither flat nor clipped; None where too few are."""
    lowest, highest = _extremes(part, cell)
    clipped = F.avg_pool2d(((part < 0.5 / 255) | (part > 254.5 / 255)).float(), cell).amax(1, keepdim=True)
    uneven = (highest - lowest).amax(1, keepdim=True) > 0.5 / 255
    alive = uneven & (clipped < CLIPPED)
    return None if alive.sum() < FEW * uneven.sum() else alive  # black and white dots, for instance


def bounded(found: Tensor, part: Tensor, alive: Tensor, cell: int) -> Tensor:
    """The levels (count,) found in cells of a part, which cannot have more noise than it has fine detail."""
    at_most = BOUND * _fine_detail(part, F.interpolate(alive.float(), scale_factor=cell) > 0)
    return found * min(1.0, at_most / max(1e-9, float(found.square().mean().sqrt())) if len(found) else 1.0)


def _extremes(part: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The lowest and the highest values of the squares of a side, a third of the time that pooling takes."""
    *outer, height, width = part.shape
    bands = part.reshape(*outer, height // side, side, width)
    lowest, highest = (x.unflatten(-1, (width // side, side)) for x in (bands.amin(-2), bands.amax(-2)))
    return lowest.amin(-1), highest.amax(-1)


def _fine_detail(part: Tensor, alive: Tensor) -> float:
    """The level that noise in all channels of an image (1, C, H, W) can have at most, by its diagonal differences.

    The median of Donoho and Johnstone (see `estimate_sigma`) of every pixel, every second and every third, for noise
    whose neighbours are alike.  A pattern of one colour alone, or along the axes, is none.

    Args:
        alive: (1, 1, H, W), where the pixels count.
    """
    levels = []
    for stride in (1, 2, 3):
        x, counts = part[0, :, ::stride, ::stride], alive[0, 0, ::stride, ::stride]
        diagonal = (x[:, 1:, 1:] - x[:, 1:, :-1] - x[:, :-1, 1:] + x[:, :-1, :-1]).abs() / 2
        alike = counts[1:, 1:]
        counted = (diagonal.flatten(1) if alike.all() else diagonal[:, alike]).numpy()
        if counted.shape[1]:
            middle = (counted.shape[1] - 1) // 2  # the median takes twice as long in PyTorch
            levels.append(float(np.median(np.partition(counted, middle, axis=1)[:, middle])) / 0.6745)
    return max(levels, default=0.0)


def denoise(image: Image, model: str = "", sigma: float | None = None, *, tile: int | None = None) -> Job[Result]:
    """Denoise an image; yields progress before the first tile and after each, and finds the `NoiseLevel`.

    Dropping the generator stops the work after the tile in hand.

    Args:
        model: name of a method in `methods("denoise")`; the default for none.
        sigma: noise level on [0, 1]; None lets a model find it itself and measures it for the filters.
        tile: side of the tiles in pixels instead of the model's default.

    Raises:
        ValueError: no such model, or a sigma out of range.
    """
    method = catalog.method("denoise", model)
    if sigma is not None and not 0 <= sigma <= MAX_SIGMA_255 / 255:
        raise ValueError(f"The noise level goes from 0 to {MAX_SIGMA_255}, not {sigma * 255:g}.")
    measured = measured_sigma(image) if sigma is None else sigma
    found = NoiseLevel(measured, sigma is None)
    level = sigma if method.learned else measured
    return (yield from restored(image, method, level, found=lambda _: found, tile=tile))


def _camera_noise(level: float) -> CameraNoise:
    """A camera's noise whose standard deviation half-way to white is a level in 8-bit units."""
    flat, shot = torch.full((1, 3, 128, 128), 0.5), 10 * (level / 255) ** 2
    for _ in range(5):  # nearly in proportion to the root of `shot`
        noise = CameraNoise(shot, 0, smoothing=0.5, colour_smoothing=1.0)
        shot *= (level / 255 / float((noise(flat, torch.Generator().manual_seed(0)) - flat).std())) ** 2
    return noise


# Kinds of noise by the name that people see, made from a level of 1 to 100.  The level is the standard deviation in
# 8-bit units (for Poisson noise, at white; for a camera's and film grain, half-way to it), for salt and pepper the
# percentage of pixels hit.
NOISES: dict[str, Callable[[float], Degradation]] = {
    "Gaussian": lambda level: GaussianNoise(level / 255),
    "Camera": _camera_noise,
    "Film grain": lambda level: FilmGrain(level / 255),
    "Uniform": lambda level: UniformNoise(level / 255 * 3**0.5),
    "Poisson": lambda level: PoissonNoise((255 / level) ** 2),
    "Salt and pepper": lambda level: SaltAndPepperNoise(level / 100),
    "Speckle": lambda level: SpeckleNoise(level / 255),
}
