"""Deep Image Prior: an untrained network is fitted to one damaged image, and finds the picture before the damage.

Ulyanov, Vedaldi, Lempitsky. "Deep Image Prior", CVPR 2018, arXiv:1711.10925.
Differs from the paper: one network for every task, narrower by default so that a small picture takes minutes on a CPU.
"""

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.contract import Level, check_image, missing_pixels, quality_map, sigma_map
from restoration.precision import Precision, precision_of_prior
from restoration.resampling import resample
from restoration.restorer import in_full

PREVIEW_EVERY = 1.0  # seconds
STEPS = {
    "denoise": 900,
    "artifacts": 900,
    "upscale": 1200,
    "inpaint": 1500,
}  # by task; noise is learned in the end, so it gets fewer
LONGEST = 1800  # seconds that a job may be expected to take
NOISE_CHANNELS = 32
_MEASURING = threading.Lock()
_DRAWING = threading.Lock()  # first weights come from the one generator that all threads share

Damage = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Attempt:
    """How far the fit has come.

    Args:
        step, steps: iterations done and in all.
        seconds_left: estimated from the pace so far.
        image: the exponential average of the outputs, (1, C, H, W) in [0, 1]: what stopping now would give.
    """

    step: int
    steps: int
    seconds_left: float
    image: Tensor


class Hourglass(nn.Module):
    """Encoder and decoder with a skip connection at every resolution; noise in, image in [0, 1] out.

    Args:
        channels: of the image.
        width: features at every resolution; the paper has 128.
        depth: halvings of the resolution; the paper has 5.
        skip: features of each skip connection; the paper has 4 for noise and 128 for missing pixels.
    """

    def __init__(self, channels: int, width: int = 48, depth: int = 4, skip: int = 8):
        super().__init__()
        self.depth = depth
        self.down, self.skips, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level in range(depth):
            inputs = NOISE_CHANNELS if level == 0 else width
            self.skips.append(_layer(inputs, skip, kernel=1))
            self.down.append(nn.Sequential(_layer(inputs, width, stride=2), _layer(width, width)))
            self.up.append(
                nn.Sequential(nn.BatchNorm2d(width + skip), _layer(width + skip, width), _layer(width, width, 1))
            )
        self.head = nn.Sequential(nn.Conv2d(width, channels, 1), nn.Sigmoid())

    def forward(self, noise: Tensor) -> Tensor:
        """(1, C, H, W) of noise (1, 32, H, W) whose sides 2 ** depth divides."""
        x, skipped = noise, []
        for down, skip in zip(self.down, self.skips, strict=True):
            skipped.append(skip(x))
            x = down(x)
        for up in reversed(self.up):
            x = F.interpolate(x, scale_factor=2, mode="bilinear")
            x = up(torch.cat([x, skipped.pop()], dim=1))
        return in_full(self.head, x)


def fit(
    observed: Tensor,
    damage: Damage,
    size: tuple[int, int],
    *,
    weight: Tensor | None = None,
    steps: int,
    seed: int = 0,
    jitter: float = 0.03,
    averaging: float = 0.99,
    learning_rate: float = 0.01,
    width: int = 48,
    precision: Precision | None = None,
) -> Generator[Attempt, None, Tensor]:
    """Fit a network so that its damaged output equals what was observed; yields about once a second.

    Dropping the generator stops the work; the last `Attempt` holds the best so far.

    Args:
        observed: the damaged image (1, C, h, w) in [0, 1].
        damage: what the damage does to a picture (1, C, H, W), differentiably.
        size: height and width of the picture.
        weight: 0 where `observed` says nothing, 1 elsewhere, of a shape that broadcasts; everything counts by default.
        steps: iterations of Adam; more fit the damage as well.
        seed: equal seeds give equal pictures on one machine.
        jitter: standard deviation of the noise added to the input noise at every step.
        averaging: decay of the running average of the outputs.
        precision: what the network computes in, by default what suits the processor; the weights, the output, the loss
            and the average are fp32 always.

    Returns:
        The picture (1, C, H, W) in [0, 1].
    """
    kind, device = observed.dtype, observed.device
    observed = observed.float()
    generator = torch.Generator(device).manual_seed(seed)
    with _DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Hourglass(observed.shape[1], width).to(device, memory_format=torch.channels_last)
    multiple = 2**network.depth
    padded = [max(2, -(-side // multiple)) * multiple for side in size]
    noise = 0.1 * torch.rand(1, NOISE_CHANNELS, *padded, generator=generator, device=device)
    optimizer = torch.optim.Adam(network.parameters(), learning_rate)
    average, half = None, (precision or precision_of_prior()) == "bf16"
    started = shown = time.monotonic()
    for step in range(1, steps + 1):
        shaken = noise + jitter * torch.randn(noise.shape, generator=generator, device=device)
        shaken = shaken.contiguous(memory_format=torch.channels_last)
        with torch.enable_grad():
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                image = network(shaken)[..., : size[0], : size[1]].contiguous()
            error = (damage(image) - observed).square()
            loss = (error if weight is None else error * weight).mean()
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
        output = image.detach()
        decay = min(averaging, (1 + step) / (10 + step))
        average = output.clone() if average is None else average.lerp_(output, 1 - decay)
        now = time.monotonic()
        if now - shown >= PREVIEW_EVERY or step == steps:
            shown = now
            yield Attempt(step, steps, (now - started) / step * (steps - step), average.to(kind, copy=True))
    return average.to(kind)


def inpaint(image: Tensor, mask: Tensor, **settings) -> Generator[Attempt, None, Tensor]:
    """Fill the holes of an image (1, C, H, W), mask (1, 1, H, W) with 1 = missing; known pixels stay, see `fit`."""
    missing = missing_pixels(image, mask)

    def filled() -> Generator[Attempt, None, Tensor]:
        known, given = (~missing).float(), image.masked_fill(missing, 0)
        own = {"steps": STEPS["inpaint"], **settings}
        result = yield from fit(given, lambda x: x * known, image.shape[-2:], weight=known, **own)
        return torch.where(missing, result, image)

    return filled()


def denoise(noisy: Tensor, sigma: Level | None = None, **settings) -> Generator[Attempt, None, Tensor]:
    """Remove noise from an image (1, C, H, W): the fit is stopped before it learns it.

    Args:
        sigma: of no influence; other denoisers are told it.
    """
    check_image(noisy)
    sigma_map(sigma, noisy)
    return fit(noisy, lambda x: x, noisy.shape[-2:], **{"steps": STEPS["denoise"], **settings})


def remove_artifacts(image: Tensor, quality: Level | None = None, **settings) -> Generator[Attempt, None, Tensor]:
    """Remove JPEG artifacts from an image (1, C, H, W): the fit is stopped before it learns them.

    Args:
        quality: of no influence; other methods are told it.
    """
    check_image(image)
    quality_map(quality, image)
    return fit(image, lambda x: x, image.shape[-2:], **{"steps": STEPS["artifacts"], **settings})


def upscale(lr: Tensor, scale: int, **settings) -> Generator[Attempt, None, Tensor]:
    """Enlarge an image (1, C, h, w) `scale` times: the picture whose bicubic reduction it is."""
    check_image(lr)
    size = tuple(scale * side for side in lr.shape[-2:])
    settings = {"steps": STEPS["upscale"], **settings}
    return fit(lr, lambda x: resample(x, lr.shape[-2:], 1 / scale), size, **settings)


def expected_seconds(pixels: int, steps: int) -> float:
    """About how long a fit of so many output pixels takes on this machine, from a few steps on a small picture."""
    with _MEASURING:  # two at once would measure each other
        return pixels * steps * _seconds_per_pixel_and_step()


@cache
def _seconds_per_pixel_and_step() -> float:
    side, seconds = 96, 0.0
    for steps in (2, 6):  # the first two warm up, and take several times as long
        started = time.monotonic()
        for _ in fit(torch.zeros(1, 3, side, side), lambda x: x, (side, side), steps=steps):
            pass
        seconds = (time.monotonic() - started) / steps
    return seconds / side**2


def _layer(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode="reflect" if kernel > 1 else "zeros"),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )
