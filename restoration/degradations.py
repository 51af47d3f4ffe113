"""Clean image in, degraded image out: frozen dataclasses called with an explicit generator.

Images are float32 (B, C, H, W) in [0, 1].  Noise is neither clipped nor quantised, as the denoising literature scores
it; whoever writes an image file clips there.  What JPEG and reduction give has 8 bits.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from restoration.jpeg import Subsampling, compressed
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
class Jpeg:
    """Saving as JPEG and reading again, by Pillow as the literature does; the image is rounded to 8 bits first.

    Args:
        quality: 1 to 100.
        subsampling: of the colours; grey images have none.
    """

    quality: int
    subsampling: Subsampling = "4:2:0"

    def __post_init__(self):
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality must lie in [1, 100], got {self.quality}")

    def __call__(self, clean: Tensor, generator: Generator | None = None) -> Tensor:
        bytes_ = (clean * 255).round().clamp(0, 255).to(torch.uint8).cpu()
        saved = torch.stack([compressed(image, self.quality, self.subsampling) for image in bytes_])
        return saved.to(clean) / 255


class Holes(Protocol):
    """Draws masks (count, 1, H, W), 1 where pixels are missing, with randomness from `generator`."""

    def __call__(self, count: int, size: tuple[int, int], generator: Generator) -> Tensor: ...


@dataclass(frozen=True)
class StrokeHoles:
    """Free-form holes: winding brush strokes that cover exactly the share that is drawn.

    Args:
        low, high: range of the share of missing pixels, uniform.
        strokes: how many, each of `corners` straight pieces.
        reach: mean length of a piece, as a share of the longer side; short ones on many strokes look like writing.
    """

    low: float
    high: float
    strokes: int = 4
    corners: int = 6
    reach: float = 0.2

    def __post_init__(self):
        _check_share(self.low, self.high)

    def __call__(self, count: int, size: tuple[int, int], generator: Generator) -> Tensor:
        device, side = generator.device, max(size)
        draw = torch.rand(4, count, self.strokes, self.corners, generator=generator, device=device)
        start = draw[:2, ..., :1] * torch.tensor(size, device=device).view(2, 1, 1, 1)
        heading = (2 * math.pi * draw[2, ..., :1]) + (2.4 * (draw[2, ..., 1:] - 0.5)).cumsum(-1)
        length = 2 * self.reach * side * draw[3, ..., 1:]
        steps = torch.stack([heading.sin(), heading.cos()]) * length
        points = torch.cat([start, start + steps.cumsum(-1)], dim=-1)  # (2, count, strokes, corners)
        thickness = draw[3, ..., :1] * side / 16
        rows = torch.arange(size[0], device=device).view(1, -1, 1).float()
        columns = torch.arange(size[1], device=device).view(1, 1, -1).float()
        nearest = torch.full((count, *size), math.inf, device=device)
        for stroke in range(self.strokes):
            for piece in range(self.corners - 1):
                y, x = points[:, :, stroke, piece].reshape(2, count, 1, 1)
                dy, dx = (points[:, :, stroke, piece + 1] - points[:, :, stroke, piece]).reshape(2, count, 1, 1)
                along = (((rows - y) * dy + (columns - x) * dx) / (dy**2 + dx**2 + 1e-6)).clamp(0, 1)
                distance = torch.hypot(rows - y - along * dy, columns - x - along * dx)
                nearest = torch.minimum(nearest, distance - thickness[:, stroke].view(count, 1, 1))
        share = self.low + (self.high - self.low) * torch.rand(count, generator=generator, device=device)
        return _nearest_share(nearest, share)


@dataclass(frozen=True)
class BoxHoles:
    """One rectangle anywhere that covers the share that is drawn, from `low` to `high`."""

    low: float
    high: float

    def __post_init__(self):
        _check_share(self.low, self.high)

    def __call__(self, count: int, size: tuple[int, int], generator: Generator) -> Tensor:
        device = generator.device
        draw = torch.rand(4, count, 1, 1, 1, generator=generator, device=device)
        area = (self.low + (self.high - self.low) * draw[0]) * size[0] * size[1]
        height = (area.sqrt() * torch.exp(draw[1] - 0.5)).clamp(max=size[0])
        width = (area / height).clamp(max=size[1])
        height = (area / width).clamp(max=size[0])
        top, left = draw[2] * (size[0] - height), draw[3] * (size[1] - width)
        rows = torch.arange(size[0], device=device).view(-1, 1) + 0.5
        columns = torch.arange(size[1], device=device) + 0.5
        inside = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
        return inside.float()


@dataclass(frozen=True)
class PixelHoles:
    """Every pixel is missing with probability `share`."""

    share: float

    def __post_init__(self):
        _check_share(self.share, self.share)

    def __call__(self, count: int, size: tuple[int, int], generator: Generator) -> Tensor:
        draw = torch.rand(count, 1, *size, generator=generator, device=generator.device)
        return (draw < self.share).float()


def _check_share(low: float, high: float) -> None:
    if not 0 < low <= high < 1:
        raise ValueError(f"a share of missing pixels must lie between 0 and 1, got {low} to {high}")


def _nearest_share(distance: Tensor, share: Tensor) -> Tensor:
    """Masks (B, 1, H, W) of the pixels with the smallest distances (B, H, W), as many as the share (B,) says."""
    flat = distance.flatten(1)
    order = flat.argsort(1).argsort(1)
    kept = order < (share * flat.shape[1]).round().clamp(min=1).view(-1, 1)
    return kept.view(len(distance), 1, *distance.shape[1:]).float()


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
