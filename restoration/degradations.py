"""Clean image in, degraded image out: frozen dataclasses called with an explicit generator.

Images are float32 (B, C, H, W) in [0, 1].  Noise is neither clipped nor quantised, as the denoising literature scores
it; whoever writes an image file clips there.  What JPEG and reduction give has 8 bits.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from scipy import ndimage
from torch import Generator, Tensor
from torch.nn import functional as F

from restoration.jpeg import Subsampling, brightness, compressed
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


def linear_light(encoded: Tensor) -> Tensor:
    """The amount of light, 0 to 1, that sRGB values on [0, 1] stand for (IEC 61966-2-1); negative ones mirrored."""
    size = encoded.abs()
    return torch.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4).copysign(encoded)


def encoded_light(light: Tensor) -> Tensor:
    """The sRGB values that stand for an amount of light: `linear_light` undone."""
    size = light.abs()
    curved = 1.055 * size ** (1 / 2.4) - 0.055
    return torch.where(size <= 0.0031308, size * 12.92, curved).copysign(light)


@dataclass(frozen=True)
class CameraNoise:
    """What a camera adds: shot and read noise on a Bayer grid, made a colour image, smoothed and brightened.

    The noise of light x has the variance shot * x + read on the sensor (Foi, Trimeche, Katkovnik, Egiazarian,
    "Practical Poissonian-Gaussian noise modeling", IEEE TIP 2008); what follows is the pipeline turned round of Brooks
    et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, arXiv:1811.11127.
    Differs from the papers: only the noise is demosaiced and smoothed, and it goes through the sRGB curve with both of
    its signs, so that the mean brightness stays as it is, as in a mean of many photos.  An image of one channel comes
    from a sensor without colours, without a Bayer grid.

    Every number may be a (B, 1, 1, 1) tensor, one for each image.

    Args:
        shot: variance at full light, of the sensor's values on [0, 1].
        read: variance in the dark.
        red_gain, blue_gain: white balance, by which red and blue are multiplied after the noise has come, 1 or more.
        smoothing: of the noise in the camera, standard deviation of a Gaussian in pixels; 0 is none.
        colour_smoothing: the same for its colours, on top of that.
        saturation: by which the colour matrix stretches the noise's colours.
    """

    shot: float | Tensor
    read: float | Tensor
    red_gain: float | Tensor = 2.0
    blue_gain: float | Tensor = 1.6
    smoothing: float | Tensor = 0.0
    colour_smoothing: float | Tensor = 0.0
    saturation: float | Tensor = 1.0

    def __post_init__(self):
        for name in ("shot", "read", "smoothing", "colour_smoothing", "saturation"):
            _check_level(name, getattr(self, name))

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor:
        light = linear_light(clean)
        if clean.shape[1] == 1:
            noise = self._sensed(light, generator)
        else:
            gains = [torch.as_tensor(gain).to(clean) for gain in (self.red_gain, 1.0, self.blue_gain)]
            gains = torch.cat([gain.expand(len(clean), 1, 1, 1) for gain in gains], dim=1)
            noise = gains * _demosaiced(self._sensed(light / gains, generator), generator)
        noise = _blurred(noise, self.smoothing)
        if clean.shape[1] == 3:
            grey = brightness(noise)
            noise = grey + self.saturation * _blurred(noise - grey, self.colour_smoothing)
        return clean + (encoded_light(light + noise) - encoded_light(light - noise)) / 2

    def _sensed(self, light: Tensor, generator: Generator) -> Tensor:
        draw = torch.randn(light.shape, generator=generator, device=light.device, dtype=light.dtype)
        return (self.shot * light.clamp(min=0) + self.read).sqrt() * draw


@dataclass(frozen=True)
class FilmGrain:
    """Grain of film or of a print that was scanned: coarse, alike in all channels, strongest half-way to white.

    Where a share p of a film is covered by grains that lie anywhere, what a scanner sees of it has a variance in
    proportion to p (1 - p) (Newson, Delon, Galerne, "A Stochastic Film Grain Model for Resolution-Independent
    Rendering", Computer Graphics Forum 2017).
    Differs from the paper: Gaussian noise, blurred to the size of the grains, instead of grains that are drawn.

    Args:
        sigma: standard deviation at 0.5, on the [0, 1] scale.
        size: of the grains, as the standard deviation of a Gaussian in pixels; 0 is white noise.
        colour: share of the variance that each channel has of its own, as layers of colour film do; 0 to 1.

    Every number may be a (B, 1, 1, 1) tensor, one for each image.
    """

    sigma: float | Tensor
    size: float | Tensor = 0.8
    colour: float | Tensor = 0.0

    def __post_init__(self):
        _check_level("sigma", self.sigma)
        _check_level("size", self.size)
        _check_level("colour", self.colour, highest=1)

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor:
        shape = (len(clean), 1 + clean.shape[1], *clean.shape[-2:])
        draw = torch.randn(shape, generator=generator, device=clean.device, dtype=clean.dtype)
        grains = _blurred(draw, self.size)
        colour = torch.as_tensor(self.colour).to(clean)
        grains = (1 - colour).sqrt() * grains[:, :1] + colour.sqrt() * grains[:, 1:]
        grains = grains / grains.std(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
        strength = 2 * (clean * (1 - clean)).clamp(min=0).sqrt()
        return clean + self.sigma * strength * grains


def _demosaiced(values: Tensor, generator: Generator) -> Tensor:
    """Values (B, 3, H, W) seen through a Bayer grid in a phase that is drawn, the gaps filled bilinearly."""
    count, _, height, width = values.shape
    phase = torch.randint(2, (2, count, 1, 1), generator=generator, device=values.device)
    odd_row = (torch.arange(height, device=values.device).view(-1, 1) + phase[0]) % 2
    odd_column = (torch.arange(width, device=values.device) + phase[1]) % 2
    sites = torch.stack([(1 - odd_row) * (1 - odd_column), (odd_row + odd_column) % 2, odd_row * odd_column], dim=1)
    sparse = values.new_tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    dense = values.new_tensor([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    kernels = torch.stack([sparse, dense, sparse]).unsqueeze(1)
    return F.conv2d(F.pad(values * sites, (1, 1, 1, 1), mode="reflect"), kernels, groups=3)


def _blurred(images: Tensor, sigma: float | Tensor) -> Tensor:
    """Images (B, C, H, W), each blurred by a Gaussian of its own standard deviation in pixels; 0 leaves it as it is."""
    sigma = torch.as_tensor(sigma).to(images).expand(len(images), 1, 1, 1).reshape(-1, 1)
    if not sigma.any():
        return images
    reach = min(math.ceil(3 * float(sigma.max())), min(images.shape[-2:]) - 1)
    taps = torch.arange(-reach, reach + 1, device=images.device)
    kernels = torch.exp(-0.5 * (taps / sigma.clamp(min=1e-3)) ** 2)  # (B, taps)
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(images.shape[1], 0)
    flat = F.pad(images.reshape(1, -1, *images.shape[-2:]), (reach,) * 4, mode="reflect")
    flat = F.conv2d(flat, kernels[:, None, :, None], groups=len(kernels))
    return F.conv2d(flat, kernels[:, None, None, :], groups=len(kernels)).view(images.shape)


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


@dataclass(frozen=True)
class Rounding:
    """What a file of 8 bits keeps: values clipped to [0, 1] and rounded to multiples of 1 / 255."""

    def __call__(self, clean: Tensor, generator: Generator | None = None) -> Tensor:
        return (clean * 255).round().clamp(0, 255) / 255


@dataclass(frozen=True)
class Blur:
    """Blur by a Gaussian, edges mirrored.

    Args:
        sigma: standard deviation in pixels, or a (B, 1, 1, 1) tensor of them; 0 is none.
    """

    sigma: float | Tensor

    def __post_init__(self):
        _check_level("sigma", self.sigma)

    def __call__(self, clean: Tensor, generator: Generator | None = None) -> Tensor:
        return _blurred(clean, self.sigma)


@dataclass(frozen=True)
class Chain:
    """One degradation after the other."""

    steps: tuple[Degradation, ...]

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor:
        for step in self.steps:
            clean = step(clean, generator)
        return clean


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


@dataclass(frozen=True)
class Scratches:
    """Thin lines across a picture, straight and curved, lighter or darker than it, as on an old print or negative.

    Args:
        count: least and greatest number of them.
        width: range in pixels.
        depth: range of what they add or take away, on [0, 1].
        length: range, as a share of the picture's shorter side.
    """

    count: tuple[int, int] = (3, 6)
    width: tuple[float, float] = (1, 4)
    depth: tuple[float, float] = (20 / 255, 80 / 255)
    length: tuple[float, float] = (0.3, 1.0)

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor:
        shape = tuple(clean.shape[-2:])
        return torch.stack([
            (image + self.drawn(shape, generator)[0].to(image)).clamp(0, 1) for image in clean
        ])  # fmt: skip

    def drawn(self, size: tuple[int, int], generator: Generator) -> tuple[Tensor, Tensor]:
        """What lines add to a picture of a size, (H, W), and the pixels that their middles go through, bool (H, W)."""
        added, middles = torch.zeros(size), torch.zeros(size, dtype=torch.bool)
        low, high = self.count
        for _ in range(int(torch.randint(low, high + 1, (1,), generator=generator))):
            draw = torch.rand(8, generator=generator).tolist()
            length = min(size) * (self.length[0] + (self.length[1] - self.length[0]) * draw[0])
            angle, bend = math.pi * draw[1], 0.15 * length * (2 * draw[2] - 1) * (draw[3] < 0.5)
            share = torch.linspace(-0.5, 0.5, math.ceil(4 * length))
            aside = bend * (1 - 4 * share**2)
            rows = size[0] * draw[4] + length * share * math.sin(angle) + aside * math.cos(angle)
            columns = size[1] * draw[5] + length * share * math.cos(angle) - aside * math.sin(angle)
            rows, columns = rows.round().long(), columns.round().long()
            inside = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
            if not inside.any():
                continue
            path = torch.zeros(size, dtype=torch.bool)
            path[rows[inside], columns[inside]] = True
            width = self.width[0] + (self.width[1] - self.width[0]) * draw[6]
            distance = torch.from_numpy(ndimage.distance_transform_edt(~path.numpy())).float()
            depth = self.depth[0] + (self.depth[1] - self.depth[0]) * abs(2 * draw[7] - 1)
            added += math.copysign(depth, draw[7] - 0.5) * (width / 2 + 0.5 - distance).clamp(0, 1)
            middles |= path
        return added, middles
