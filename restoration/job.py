"""One job, from image to restored image: the function behind the page, the API and the command line."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

from restoration import catalog
from restoration.catalog import Filter, Method
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
from restoration.metrics import psnr, ssim
from restoration.restorer import Restorer
from restoration.tiling import Progress, run_tiled

Outcome = TypeVar("Outcome")

ESTIMATION_SIDE = 2048  # the noise level of a larger image is measured in its middle
MAX_SIGMA_255 = 100


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


@lru_cache(maxsize=8)
def _loaded(name: str, device: str) -> Restorer | Filter:
    restorer = catalog.method("denoise", name).load()
    return restorer.to(device) if isinstance(restorer, Restorer) else restorer


def measured_sigma(image: Image) -> float:
    """The image's noise level on [0, 1] by `estimate_sigma`, from its middle if it is large."""
    top, left = (max(0, side - ESTIMATION_SIDE) // 2 for side in (image.height, image.width))
    return estimate_sigma(image.tensor((slice(top, top + ESTIMATION_SIDE), slice(left, left + ESTIMATION_SIDE))))


def denoise(
    image: Image, model: str = "drunet-fast", sigma: float | None = None, *, tile: int | None = None
) -> Generator[Progress, None, Restored]:
    """Denoise an image; yields progress before the first tile and after each, and returns a `Restored`.

    Dropping the generator stops the work after the tile in hand.

    Args:
        model: name of a method in `methods("denoise")`.
        sigma: noise level on [0, 1]; None lets a model find it itself and measures it for the filters.
        tile: side of the tiles in pixels instead of the model's default.

    Raises:
        ValueError: no such model, or a sigma out of range.
    """
    method = catalog.method("denoise", model)
    if sigma is not None and not 0 <= sigma <= MAX_SIGMA_255 / 255:
        raise ValueError(f"The noise level goes from 0 to {MAX_SIGMA_255}, not {sigma * 255:g}.")
    device = "cuda" if torch.cuda.is_available() and method.learned else "cpu"
    restorer = _loaded(model, device)
    started = time.monotonic()
    level = measured_sigma(image) if sigma is None else sigma
    told = sigma if method.learned else level
    canvas = Canvas(image)
    yield from run_tiled(
        lambda noisy: with_channels(restorer, noisy.to(device), told),
        image.tensor,
        canvas.put,
        (image.height, image.width),
        receptive_field=restorer.receptive_field,
        multiple_of=restorer.multiple_of,
        tile=tile,
    )
    return Restored(canvas, method, level, sigma is None, time.monotonic() - started)


def finish(job: Generator[Progress, None, Outcome], report: Callable[[Progress], object] | None = None) -> Outcome:
    """Run a job to its end, telling `report` of every step."""
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            return end.value
        if report:
            report(step)


def with_channels(restorer: Restorer | Filter, noisy: Tensor, sigma: float | None) -> Tensor:
    """Restore with any model: a grey one takes each colour by itself, a colour one sees grey as three equal planes."""
    channels = noisy.shape[1]
    if restorer.channels in (None, channels):
        return restorer.restore(noisy, sigma)
    if restorer.channels == 1:
        return restorer.restore(noisy.transpose(0, 1), sigma).transpose(0, 1)
    return restorer.restore(noisy.expand(-1, restorer.channels, -1, -1), sigma).mean(1, keepdim=True)


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
TRIAL_SIDE = 1024


@dataclass(frozen=True)
class Score:
    """PSNR in dB and SSIM against the original; the SSIM is None for images smaller than its window."""

    psnr: float
    ssim: float | None


@dataclass(frozen=True)
class Trial:
    """A clean picture with noise, restored and scored."""

    noisy: Image
    restored: Image
    before: Score
    after: Score


def noise_trial(
    image: Image, kind: str, level: float, seed: int, model: str, blind: bool
) -> Generator[Progress, None, Trial]:
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
    top, left = (max(0, side - TRIAL_SIDE) // 2 for side in (image.height, image.width))
    clean = image.tensor((slice(top, top + TRIAL_SIDE), slice(left, left + TRIAL_SIDE)))
    noisy = from_tensor(NOISES[kind](level)(clean, torch.Generator().manual_seed(seed)), image.name)
    sigma = None if blind else float((noisy.tensor() - clean).std())
    restored = yield from denoise(noisy, model, sigma)
    result = restored.image()
    return Trial(noisy, result, _score(noisy, clean), _score(result, clean))


def _score(image: Image, clean: Tensor) -> Score:
    similarity = float(ssim(image.tensor(), clean)) if min(clean.shape[-2:]) >= 11 else None
    return Score(float(psnr(image.tensor(), clean)), similarity)
