"""Denoising jobs: the function behind the page, the API and the command line, and trials on clean pictures."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from restoration import catalog
from restoration.catalog import Method
from restoration.classical import estimate_sigma
from restoration.degradations import (
    Degradation,
    GaussianNoise,
    PoissonNoise,
    SaltAndPepperNoise,
    SpeckleNoise,
    UniformNoise,
)
from restoration.image import Canvas, Image, from_tensor
from restoration.job import Job, Score, middle, repainted, score

ESTIMATION_SIDE = 2048  # the noise level of a larger image is measured in its middle
MAX_SIGMA_255 = 100
SUFFIX = "denoised"  # of the result's file name


@dataclass(frozen=True)
class Restored:
    """What a finished job gives.

    Args:
        canvas: the result, blended anew for every strength without another run of the model.
        method: what restored it.
        sigma: the noise level that was given or measured, on [0, 1].
        measured: whether `sigma` was measured from the image.
        seconds: how long the restoring took.
    """

    canvas: Canvas
    method: Method
    sigma: float
    measured: bool
    seconds: float

    def image(self, strength: float = 1.0) -> Image:
        """The result, moved by `strength` (0 to 1) of the way from the original, which 0 gives back bit for bit."""
        return self.canvas.image(strength)


def measured_sigma(image: Image) -> float:
    """The image's noise level by `estimate_sigma`, from its middle if it is large.

    At most the highest that can be set: black and white dots read up to 380, which no noise on [0, 1] has.
    """
    top, left = (max(0, side - ESTIMATION_SIDE) // 2 for side in (image.height, image.width))
    middle = image.tensor((slice(top, top + ESTIMATION_SIDE), slice(left, left + ESTIMATION_SIDE)))
    return min(estimate_sigma(middle), MAX_SIGMA_255 / 255)


def denoise(image: Image, model: str = "", sigma: float | None = None, *, tile: int | None = None) -> Job[Restored]:
    """Denoise an image; yields progress before the first tile and after each, and returns a `Restored`.

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

    def outcome() -> Restored:
        return Restored(canvas, method, level, sigma is None, time.monotonic() - started)

    return (yield from repainted(canvas, method, outcome, sigma if method.learned else level, tile=tile))


# Trials: noise added to a clean picture --------------------------------------------------------------------------


# Kinds of noise by the name that people see, made from a level of 1 to 100.  The level is the standard deviation in
# 8-bit units (for Poisson noise, at white), for salt and pepper the percentage of pixels hit.
NOISES: dict[str, Callable[[float], Degradation]] = {
    "Gaussian": lambda level: GaussianNoise(level / 255),
    "Uniform": lambda level: UniformNoise(level / 255 * 3**0.5),
    "Poisson": lambda level: PoissonNoise((255 / level) ** 2),
    "Salt and pepper": lambda level: SaltAndPepperNoise(level / 100),
    "Speckle": lambda level: SpeckleNoise(level / 255),
}


@dataclass(frozen=True)
class Trial:
    """A clean picture with noise, restored and scored."""

    noisy: Image
    restored: Image
    before: Score
    after: Score


def noise_trial(image: Image, kind: str, level: float, seed: int, model: str, blind: bool) -> Job[Trial]:
    """Add noise to the middle of a clean image, denoise it and score both; yields progress, returns a `Trial`.

    Args:
        kind: a key of `NOISES`.
        level: strength of the noise, 1 to 100.
        blind: let the model find the level; otherwise it is told the standard deviation that was added.

    Raises:
        ValueError: no such kind or model, or a level out of range.
    """
    if kind not in NOISES or not 0 < level <= 100:
        raise ValueError(f"Choose one of {', '.join(NOISES)} with a level from 1 to 100.")
    clean = middle(image)
    noisy = from_tensor(NOISES[kind](level)(clean, torch.Generator().manual_seed(seed)), image.name)
    sigma = None if blind else min(float((noisy.tensor() - clean).std()), MAX_SIGMA_255 / 255)
    restored = yield from denoise(noisy, model, sigma)
    result = restored.image()
    return Trial(noisy, result, score(noisy.tensor(), clean), score(result.tensor(), clean))
