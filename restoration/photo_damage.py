"""What has become of a photo on its way through cameras, programs and the web: smaller, blurred, noisy, compressed.

Wang, Xie, Dong, Shan. "Real-ESRGAN", ICCV Workshops 2021, arXiv:2107.10833; Zhang, Liang, Van Gool, Timofte.
"Designing a Practical Degradation Model for Deep Blind Image Super-Resolution" (BSRGAN), ICCV 2021, arXiv:2103.14006.
Differs from the papers: blur and reduction are one kernel, the noise is mostly a camera's, and the second time begins
at the reduced size, so that a batch costs a fraction of a training step; no sinc filters.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from restoration.degradations import CameraNoise, Downscale, FilmGrain, GaussianNoise, Jpeg, Rounding
from restoration.resampling import BICUBIC, BILINEAR, NEAREST, Kernel, resample, resized

# widened when reducing: the first is the mean of an area; what most programs do stands twice
REDUCTIONS: tuple[Kernel, ...] = (NEAREST, BILINEAR, BICUBIC, BICUBIC)
BLUR_TAPS = 13
FINE = 0.75  # of the range of qualities, from which it is called fine


@dataclass(frozen=True)
class PhotoDamage:
    """A photo as the web holds it, `scale` times smaller; every image of a batch meets another fate.

    Args:
        scale: 2, 3, 4, ...
        plain_share: probability of nothing but bicubic reduction, so that clean pictures lose nothing.
        blur: range of the blur's standard deviation along its two axes, in pixels of the result.
        sharp_share: probability of no blur.
        twice_share: probability that the small picture is resized and saved again.
        zoom: range of the sizes that it is brought to and back from then, relative to the result.
        qualities: range of JPEG's.
        fine_share: probability that a JPEG's quality is drawn from its range's `FINE` on, where most that people
            bring lie and a picture gains most from being cleaned with care.
        film_share: probability that what would have no noise has the grain of film, as old prints do.
    """

    scale: int
    plain_share: float = 0.2
    blur: tuple[float, float] = (0.05, 0.5)
    sharp_share: float = 0.5
    twice_share: float = 0.2
    zoom: tuple[float, float] = (0.75, 1.4)
    qualities: tuple[int, int] = (30, 95)
    fine_share: float = 0.0
    film_share: float = 0.0

    def __post_init__(self):
        if self.scale < 2:
            raise ValueError(f"scale must be at least 2, got {self.scale}")

    def __call__(self, clean: Tensor, generator: Generator) -> Tensor:
        """The small pictures (B, C, H / scale, W / scale), in 8 bits; sides that the scale does not divide are cut."""
        height, width = (side // self.scale * self.scale for side in clean.shape[-2:])
        clean = clean[..., :height, :width]
        draw = torch.rand(2, len(clean), generator=generator, device=clean.device)
        damaged = self._worn(self._reduced(clean, generator), generator)
        twice = (draw[0] < self.twice_share).nonzero().flatten()
        if len(twice):
            damaged[twice] = self._worn(self._resized(damaged[twice], generator), generator)
        plain = draw[1].view(-1, 1, 1, 1) < self.plain_share
        return torch.where(plain, Downscale(self.scale)(clean), damaged)

    def _reduced(self, clean: Tensor, generator: Generator) -> Tensor:
        """Blurred and reduced by kernels that are drawn, one for each image."""
        count, channels = clean.shape[:2]
        draw = torch.rand(5, count, generator=generator, device=clean.device)
        low, high = (self.scale * sigma for sigma in self.blur)
        first = low + (high - low) * draw[0]
        second = torch.where(draw[1] < 0.5, first, low + (high - low) * draw[2])
        first, second = (torch.where(draw[3] < self.sharp_share, 0, sigma) for sigma in (first, second))
        kinds = torch.stack([_reduction(kernel, self.scale) for kernel in REDUCTIONS]).to(clean)
        kinds = kinds[torch.randint(len(REDUCTIONS), (count,), generator=generator, device=clean.device)]
        blurs = _gaussians(first, second, math.pi * draw[4])
        reach = BLUR_TAPS - 1
        kernels = F.conv2d(F.pad(kinds, (reach,) * 4)[None], blurs.unsqueeze(1), groups=count)  # (1, B, taps, taps)
        kernels = kernels[0].repeat_interleave(channels, 0).unsqueeze(1)
        edge = (kernels.shape[-1] - self.scale) // 2
        padded = F.pad(clean.reshape(1, -1, *clean.shape[-2:]), (edge,) * 4, mode=_padding(clean, edge))
        return F.conv2d(padded, kernels, stride=self.scale, groups=len(kernels)).view(
            count, channels, *(side // self.scale for side in clean.shape[-2:])
        )

    def _resized(self, small: Tensor, generator: Generator) -> Tensor:
        """Brought to another size by one kernel and back by another, the same for all images."""
        draw = torch.rand(1, generator=generator, device=small.device)
        zoom = self.zoom[0] + (self.zoom[1] - self.zoom[0]) * float(draw)
        kinds = torch.randint(1, len(REDUCTIONS), (2,), generator=generator, device=small.device).tolist()
        between = self._worn(resized(small, zoom, REDUCTIONS[kinds[0]]), generator)
        return resample(between, tuple(small.shape[-2:]), 1 / zoom, REDUCTIONS[kinds[1]])

    def _worn(self, image: Tensor, generator: Generator) -> Tensor:
        """With the noise of a camera in a third of the cases, white noise in a fifth, saved as JPEG in seven of ten."""

        def drawn(low: float = 0.0, high: float = 1.0) -> Tensor:
            return low + (high - low) * torch.rand(len(image), 1, 1, 1, generator=generator, device=image.device)

        camera = CameraNoise(
            shot=drawn(math.log(3e-5), math.log(3e-3)).exp(),
            read=drawn(math.log(1e-7), math.log(5e-5)).exp(),
            red_gain=drawn(1.2, 2.6),
            blue_gain=drawn(1.2, 2.6),
            smoothing=drawn(-0.5, 0.8).clamp(min=0),
            colour_smoothing=drawn(0, 1.5),
        )(image, generator)
        white = GaussianNoise(drawn(0, 12 / 255))(image, generator)
        kind, saved, half = drawn(), drawn(), drawn()
        worn = torch.where(kind < 0.33, camera, torch.where(kind < 0.53, white, image))
        if self.film_share:  # asked, as below, so that test sets made without it stay as they are
            colour = drawn(-1, 1).clamp(min=0)
            film = FilmGrain(drawn(0, 20 / 255), drawn(0.2, 1.6), colour)(image, generator)
            worn = torch.where((kind >= 0.53) & (drawn() < self.film_share), film, worn)
        worn = Rounding()(worn)
        least, most = self.qualities
        if self.fine_share:
            least = torch.where(drawn() < self.fine_share, least + FINE * (most - least), least)
        qualities = (least + (most - least) * drawn()).round().int().flatten().tolist()
        for index, quality in enumerate(qualities):
            if saved[index] < 0.7:
                jpeg = Jpeg(quality, "4:2:0" if half[index] < 0.6 else "4:4:4")
                worn[index : index + 1] = jpeg(worn[index : index + 1])
        return worn


def _padding(image: Tensor, edge: int) -> str:
    return "reflect" if edge < min(image.shape[-2:]) else "replicate"


def _reduction(kernel: Kernel, scale: int) -> Tensor:
    """A kernel widened for reduction, about (4 * scale, 4 * scale), which sums to 1."""
    taps = 4 * scale + scale % 2  # so that it lies as the blocks of the reduced picture do
    places = (torch.arange(taps, dtype=torch.double) - (taps - 1) / 2) / scale
    weights = torch.from_numpy(kernel.weight(places.numpy()))
    weights = weights / weights.sum()
    return torch.outer(weights, weights)


def _gaussians(first: Tensor, second: Tensor, angle: Tensor) -> Tensor:
    """Gaussians (B, taps, taps) with standard deviations (B,) along axes turned by the angles, which sum to 1."""
    line = torch.arange(BLUR_TAPS, device=first.device) - BLUR_TAPS // 2
    y, x = line.view(-1, 1), line.view(1, -1)
    cosine, sine = (turn(angle).view(-1, 1, 1) for turn in (torch.cos, torch.sin))
    along, across = x * cosine + y * sine, y * cosine - x * sine
    first, second = (sigma.clamp(min=1e-2).view(-1, 1, 1) for sigma in (first, second))
    weights = torch.exp(-0.5 * ((along / first) ** 2 + (across / second) ** 2))
    return weights / weights.sum((1, 2), keepdim=True)
