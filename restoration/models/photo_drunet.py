"""DRUNet for photos: a small network finds the noise level from place to place, a denoiser takes its word or yours.

Guo, Yan, Zhang, Zuo, Zhang. "Toward Convolutional Blind Denoising of Real Photographs" (CBDNet), CVPR 2019,
arXiv:1807.04686; the denoiser is Zhang et al., DRUNet, arXiv:2008.13751.
Differs from the papers: the estimator sees squares of 4 x 4 pixels as channels and gives one level for each, of all
colours together; the denoiser is never blind, so that it obeys what it is told, and learns from true levels, the
estimator's only near the end, without a gradient between the two; a level higher than what was found is raised; and
colours stay, as what is removed has no part that changes slowly, but for such noise as black and white cut off.
"""

from math import lcm

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.models.drunet import DRUNet
from restoration.restorer import Checkpoint, Denoiser, in_full


class Coarse(nn.Module):
    """What of an image (B, C, H, W) changes slowly: a Gaussian over means of squares, joined bilinearly.

    Args:
        channels: of the image.
    """

    SIDE = 8  # of the squares, in pixels
    DEVIATION, RADIUS = 2.5, 6  # of the Gaussian, in squares

    def __init__(self, channels: int):
        super().__init__()
        with torch.device("cpu"):  # where sizes alone are asked for, on "meta", this would import for a second
            own = torch.eye(channels)
            bell = torch.exp(-((torch.arange(-self.RADIUS, self.RADIUS + 1) / self.DEVIATION) ** 2) / 2)
            bell = torch.outer(bell, bell)
            places = (torch.arange(self.SIDE) + 0.5) / self.SIDE - 0.5  # of pixels, from the middle of their square
            line = torch.stack([(-places).clamp(min=0), 1 - places.abs(), places.clamp(min=0)], dim=1)
            tents = torch.einsum("ya,xb->yxab", line, line).flatten(0, 1)  # (SIDE * SIDE, 3, 3)
            tents = torch.einsum("ij,nab->injab", own, tents).flatten(0, 1)
        bell = own[:, :, None, None] * bell / bell.sum()
        self.register_buffer("bell", bell, persistent=False)  # (C, C, k, k)
        self.register_buffer("tents", tents, persistent=False)  # (C * SIDE * SIDE, C, 3, 3)

    @property
    def receptive_field(self) -> int:
        return self.SIDE * (self.RADIUS + 2)

    def forward(self, image: Tensor) -> Tensor:
        means = F.avg_pool2d(image, self.SIDE)
        means = F.conv2d(means, self.bell, padding=self.RADIUS)
        return F.pixel_shuffle(F.conv2d(means, self.tents, padding=1), self.SIDE)


class PhotoDRUNet(Denoiser, paper_url="https://arxiv.org/abs/1807.04686"):
    """Denoiser for the noise of cameras, with an estimator of the noise level.

    Args:
        channels: image channels, 1 (grey) or 3 (RGB).
        widths: features of the denoiser at each resolution, finest first.
        blocks: residual blocks of the denoiser at each resolution on the way down and on the way up.
        unshuffle: side of the pixel blocks that become the denoiser's channels first.
        estimator_width: features of the estimator.
        estimator_depth: 3x3 convolutions of the estimator, at least 2.
    """

    takes_sigma = True
    estimates_sigma = True
    CELL = 4  # side of the squares that have one level each
    MOST_BEYOND = 5.0  # by how much a level that is too high may be raised
    LARGEST = 0.4  # level on [0, 1] that the denoiser is told
    TINT = 1 / 255  # what removed noise leaves of slow changes is kept up to this: more is noise that black cut off
    checkpoints = (
        Checkpoint(
            "drunet-photo",
            "DRUNet photo",
            "Best choice for photos: finds the grain of a camera from place to place, or takes the level that you set.",
            "White noise of a known level, where DRUNet fast is sharper; salt and pepper, which the median removes.",
            flagship=True,
            purpose="Photos",
        ),
    )

    def __init__(
        self,
        channels: int = 3,
        widths: list[int] = (64, 128, 256, 512),
        blocks: int = 4,
        unshuffle: int = 1,
        estimator_width: int = 32,
        estimator_depth: int = 5,
    ):
        super().__init__()
        if estimator_width < 1 or estimator_depth < 2:
            raise ValueError(f"needs a width of 1 and a depth of 2 or more, got {estimator_width}, {estimator_depth}")
        self.channels = channels
        layers: list[nn.Module] = [nn.PixelUnshuffle(self.CELL)]  # (B, C*16, H/4, W/4)
        inputs = channels * self.CELL**2
        for _ in range(estimator_depth - 1):
            layers += [nn.Conv2d(inputs, estimator_width, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = estimator_width
        layers.append(nn.Conv2d(inputs, 1, 3, padding=1))
        self.estimator = nn.Sequential(*layers)
        self.denoiser = DRUNet(channels, widths, blocks, unshuffle)
        self.coarse = Coarse(channels)
        self.multiple_of = lcm(self.CELL, self.denoiser.multiple_of, self.coarse.SIDE)
        self.receptive_field = self.denoiser.receptive_field + self.CELL * (estimator_depth + 1)
        self.receptive_field += self.coarse.receptive_field

    def forward(self, noisy: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        estimated = self.level(noisy)
        return estimated, self.denoised(noisy, self.asked(sigma, estimated.detach()))

    def denoised(self, noisy: Tensor, level: Tensor) -> Tensor:
        """The image without noise of a level (B, 1, H, W), but with its colours."""
        denoised = self.denoiser(noisy, level)
        tint = in_full(self.coarse, noisy - denoised).clamp(-self.TINT, self.TINT)
        return denoised + tint

    def asked(self, sigma: Tensor, found: Tensor) -> Tensor:
        """What the denoiser is told: what was found where sigma is negative, else sigma, and more where it is higher.

        Smooth noise is all gone at its own level, so a higher one would change nothing; who asks for twice what is
        there is given what four times as much noise would get.
        """
        beyond = (sigma / found.clamp(min=1 / 255)).clamp(min=1.0, max=self.MOST_BEYOND)
        return torch.where(sigma < 0, found, (sigma * beyond).clamp(max=self.LARGEST))

    def level(self, noisy: Tensor) -> Tensor:
        """The noise level on [0, 1] around every pixel, (B, 1, H, W), of an image whose sides `CELL` divides."""
        return self.level_and_traits(noisy)[0]

    def level_and_traits(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and what it was told by: (B, features, H / `CELL`, W / `CELL`)."""
        traits = self.estimator[:-1](noisy)
        level = 0.1 * F.softplus(self.estimator[-1](traits))  # (B, 1, H/4, W/4)
        return F.interpolate(level, scale_factor=self.CELL, mode="nearest"), traits
