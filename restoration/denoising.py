"""Denoising jobs: the function behind the page, the API and the command line, and trials on clean pictures."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from restoration import catalog
from restoration.classical import estimate_sigma
from restoration.degradations import (
    Degradation,
    GaussianNoise,
    PoissonNoise,
    SaltAndPepperNoise,
    SpeckleNoise,
    UniformNoise,
)
from restoration.image import Canvas, Image
from restoration.job import Job, Result, repainted

ESTIMATION_SIDE = 2048  # the noise level of a larger image is measured in its middle
MAX_SIGMA_255 = 100


@dataclass(frozen=True)
class NoiseLevel:
    """The noise level of a picture on [0, 1], and whether it was measured or given."""

    sigma: float
    measured: bool

    def __str__(self) -> str:
        return f"{'measured ' if self.measured else ''}noise level {255 * self.sigma:.1f}"


def measured_sigma(image: Image) -> float:
    """The image's noise level by `estimate_sigma`, from its middle if it is large.

    At most the highest that can be set: black and white dots read up to 380, which no noise on [0, 1] has.
    """
    top, left = (max(0, side - ESTIMATION_SIDE) // 2 for side in (image.height, image.width))
    middle = image.tensor((slice(top, top + ESTIMATION_SIDE), slice(left, left + ESTIMATION_SIDE)))
    return min(estimate_sigma(middle), MAX_SIGMA_255 / 255)


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
    level = measured_sigma(image) if sigma is None else sigma
    started = time.monotonic()
    canvas = Canvas(image)

    def outcome() -> Result:
        return Result(canvas, method, time.monotonic() - started, NoiseLevel(level, sigma is None))

    return (yield from repainted(canvas, method, outcome, sigma if method.learned else level, tile=tile))


# Kinds of noise by the name that people see, made from a level of 1 to 100.  The level is the standard deviation in
# 8-bit units (for Poisson noise, at white), for salt and pepper the percentage of pixels hit.
NOISES: dict[str, Callable[[float], Degradation]] = {
    "Gaussian": lambda level: GaussianNoise(level / 255),
    "Uniform": lambda level: UniformNoise(level / 255 * 3**0.5),
    "Poisson": lambda level: PoissonNoise((255 / level) ** 2),
    "Salt and pepper": lambda level: SaltAndPepperNoise(level / 100),
    "Speckle": lambda level: SpeckleNoise(level / 255),
}
