"""Clean image in, degraded image out: frozen dataclasses called with an explicit generator.

Images are float32 (B, C, H, W) in [0, 1].  The result is neither clipped nor quantised, as the denoising
literature scores it; whoever writes an image file clips there.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from restoration.resampling import resample


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
    """Bicubic reduction as the super-resolution papers make their input: MATLAB's `imresize` on 8 bits, bit for bit.

    Args:
        scale: 2, 3, 4, ...; sides that it does not divide are rounded up.
    """

    scale: int

    def __post_init__(self):
        if self.scale < 1:
            raise ValueError(f"scale must be at least 1, got {self.scale}")

    def __call__(self, clean: Tensor, generator: Generator | None = None) -> Tensor:
        height, width = (-(-side // self.scale) for side in clean.shape[-2:])
        return resample(clean, (height, width), 1 / self.scale, eight_bit=True)
