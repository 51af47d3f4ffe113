"""Clean image in, degraded image out: frozen dataclasses called with an explicit generator.

Images are float32 (B, C, H, W) in [0, 1].  The result is neither clipped nor quantised, as the denoising
literature scores it; whoever writes an image file clips there.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor


class Degradation(Protocol):
    """Anything that turns a clean image into a degraded one with randomness from `generator`."""

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor: ...


def _check_level(name: str, level: float | Tensor, highest: float = float("inf")) -> None:
    low, high = (float(level.min()), float(level.max())) if isinstance(level, Tensor) else (level, level)
    if not 0 <= low <= high <= highest:
        raise ValueError(f"{name} must lie in [0, {highest}], got {low if low == high else (low, high)}")


@dataclass(frozen=True)
class GaussianNoise:
    """Additive white Gaussian noise.

    Args:
        sigma: standard deviation on the [0, 1] scale (the papers' 25 is 25 / 255), or a (B, 1, 1, 1) tensor of them.
    """

    sigma: float | Tensor

    def __post_init__(self):
        _check_level("sigma", self.sigma)

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor:
        noise = torch.randn(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
        return clean + self.sigma * noise


@dataclass(frozen=True)
class UniformNoise:
    """Additive noise, uniform on [-amplitude, amplitude]; its standard deviation is amplitude / sqrt(3).

    Args:
        amplitude: half width on the [0, 1] scale, or a (B, 1, 1, 1) tensor of them.
    """

    amplitude: float | Tensor

    def __post_init__(self):
        _check_level("amplitude", self.amplitude)

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor:
        noise = torch.rand(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
        return clean + self.amplitude * (2 * noise - 1)


@dataclass(frozen=True)
class PoissonNoise:
    """Shot noise: photon counts with mean `peak * clean`, divided by `peak` again.

    Args:
        peak: expected photons at full white, above 0; fewer photons, more noise.
    """

    peak: float

    def __post_init__(self):
        if not self.peak > 0:
            raise ValueError(f"peak must be above 0, got {self.peak}")

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor:
        return torch.poisson(clean.clamp(min=0) * self.peak, generator=generator) / self.peak


@dataclass(frozen=True)
class SaltAndPepperNoise:
    """Impulse noise: a share `amount` of the pixels turns black or white, all channels of a pixel together."""

    amount: float

    def __post_init__(self):
        _check_level("amount", self.amount, highest=1)

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor:
        draw = torch.rand(clean[:, :1].shape, generator=generator, device=clean.device, dtype=clean.dtype)
        salted = torch.where(draw < self.amount / 2, torch.zeros_like(clean), clean)
        return torch.where(draw > 1 - self.amount / 2, torch.ones_like(clean), salted)


@dataclass(frozen=True)
class SpeckleNoise:
    """Multiplicative Gaussian noise, clean * (1 + sigma * N(0, 1)), as in ultrasound and radar images."""

    sigma: float

    def __post_init__(self):
        _check_level("sigma", self.sigma)

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor:
        noise = torch.randn(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
        return clean * (1 + self.sigma * noise)


@dataclass(frozen=True)
class Downscale:
    """Bicubic reduction as the super-resolution papers make their input: `bicubic` and 8 bits, bit for bit MATLAB's.

    Args:
        scale: 2, 3, 4, ...; sides that it does not divide are rounded up.
    """

    scale: int

    def __post_init__(self):
        if self.scale < 1:
            raise ValueError(f"scale must be at least 1, got {self.scale}")

    def __call__(self, clean: Tensor, generator: Generator | None = None) -> Tensor:
        height, width = (-(-side // self.scale) for side in clean.shape[-2:])
        return bicubic(clean, (height, width), 1 / self.scale, eight_bit=True)


def bicubic(image: Tensor, size: tuple[int, int], scale: float, *, eight_bit: bool = False) -> Tensor:
    """The image (B, C, H, W) resampled to `size` as MATLAB's `imresize(image, scale, "bicubic")` does.

    Keys, "Cubic convolution interpolation", IEEE TASSP 1981, a = -0.5; the kernel is widened when reducing, the edges
    are mirrored, rows are done before columns.

    Args:
        size: height and width of the result.
        scale: output / input resolution, which places the pixel centres.
        eight_bit: round to multiples of 1 / 255 within [0, 1] after each of the two passes, as MATLAB does with uint8.
    """
    result = image.double()
    for axis, length in ((-2, size[0]), (-1, size[1])):
        index, weights = _cubic_taps(result.shape[axis], length, scale)
        result = result.movedim(axis, -1)
        result = (result[..., index.to(image.device)] * weights.to(image.device)).sum(-1).movedim(-1, axis)
        if eight_bit:
            result = (result * 255).add(0.5).floor().clamp(0, 255) / 255
    return result.to(image.dtype)


def _cubic_taps(inputs: int, outputs: int, scale: float) -> tuple[Tensor, Tensor]:
    """Indices and weights (outputs, taps) of the input samples that make each output sample."""
    shrink = min(scale, 1.0)
    support = 4 / shrink
    centres = (torch.arange(outputs, dtype=torch.double) + 0.5) / scale - 0.5
    first = (centres - support / 2).floor()
    index = first[:, None] + torch.arange(math.ceil(support) + 2, dtype=torch.double)
    distance = (shrink * (centres[:, None] - index)).abs()
    inner = 1.5 * distance**3 - 2.5 * distance**2 + 1
    outer = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = torch.where(distance <= 1, inner, torch.where(distance <= 2, outer, 0))
    weights = weights / weights.sum(1, keepdim=True)
    mirrored = torch.cat([torch.arange(inputs), torch.arange(inputs).flip(0)])
    return mirrored[index.long() % (2 * inputs)], weights
