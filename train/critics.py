"""Discriminators for adversarial training, and the losses between them and a generator."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class Discriminator(nn.Module):
    """VGG-style convolutions that halve the resolution three times and judge every place for itself.

    Ledig et al. "Photo-Realistic Single Image Super-Resolution Using a GAN", CVPR 2017, arXiv:1609.04802; Miyato et al.
    "Spectral Normalization for GANs", ICLR 2018, arXiv:1802.05957.
    Differs from the papers: spectral instead of batch normalisation, and a map of logits instead of one, so that small
    batches and any crop size will do.

    Args:
        channels: of the images.
        width: features of the first layer.
    """

    def __init__(self, channels: int = 3, width: int = 32):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2)]
        for level in range(3):
            fine, coarse = width * 2**level, width * 2 ** (level + 1)
            layers += [spectral_norm(nn.Conv2d(fine, coarse, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
            layers += [spectral_norm(nn.Conv2d(coarse, coarse, 3, padding=1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width * 8, 1, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H / 8, W / 8): positive where the image (B, C, H, W) looks real."""
        return self.layers(image)


def relativistic(better: Tensor, worse: Tensor) -> Tensor:
    """Loss that is low when `better` looks more real than the average of `worse`, and `worse` less than of `better`.

    Jolicoeur-Martineau, "The relativistic discriminator", ICLR 2019, arXiv:1807.00734 (RaGAN): with the logits of real
    and generated images it trains the discriminator, the other way round the generator.
    """
    above, below = better - worse.mean(), worse - better.mean()
    return (
        F.binary_cross_entropy_with_logits(above, torch.ones_like(above))
        + F.binary_cross_entropy_with_logits(below, torch.zeros_like(below))
    ) / 2


class PatchCritic(nn.Module):
    """A relativistic discriminator of the places that a hole touches.

    Args:
        channels: of the images.
        width: features of the first layer.
    """

    def __init__(self, channels: int = 3, width: int = 32):
        super().__init__()
        self.discriminator = Discriminator(channels, width)

    def forward(self, clean: Tensor, filled: Tensor, mask: Tensor, generator: Generator) -> Tensor:
        """The loss of the discriminator, low when it tells clean images from filled ones."""
        return relativistic(*self._logits(clean, filled, mask))

    def likeness(self, clean: Tensor, filled: Tensor, mask: Tensor) -> Tensor:
        """The loss of the inpainter, low when the filled holes look more real than the clean images."""
        real, fake = self._logits(clean, filled, mask)
        return relativistic(fake, real)

    def _logits(self, clean: Tensor, filled: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        touched = F.max_pool2d(mask, 8).bool()
        return self.discriminator(clean).float()[touched], self.discriminator(filled).float()[touched]


class FeatureCritic(nn.Module):
    """Relativistic discriminators of what VGG19 sees, one for each of its blocks, which judge every place.

    Sauer et al. "Projected GANs Converge Faster", NeurIPS 2021, arXiv:2111.01007.
    Differs from the paper: features of VGG19, not mixed across levels, and the relativistic loss.

    Args:
        width: features of the first head's first layer; twice as many in the next, four times in the last.
    """

    CHANNELS = (64, 128, 256)  # of VGG19's blocks

    def __init__(self, width: int = 32):
        super().__init__()
        self.heads = nn.ModuleList(_head(channels, width * 2**level) for level, channels in enumerate(self.CHANNELS))
        self.register_buffer("scale", torch.zeros(len(self.CHANNELS)))  # mean absolute feature of the first images

    def forward(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
        """The loss of the discriminators, low when they tell the features of real images from those of generated ones.

        The generated ones get no gradient.
        """
        pairs = self._logits(real, [level.detach() for level in fake])
        return sum(relativistic(own, other) for own, other in pairs) / len(pairs)

    def likeness(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
        """The loss of the generator, low when its images look more real than the real ones."""
        pairs = self._logits(real, fake)
        return sum(relativistic(other, own) for own, other in pairs) / len(pairs)

    def _logits(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        if not self.scale.any():
            self.scale.copy_(torch.stack([level.detach().abs().mean() for level in real]))
        levels = zip(self.heads, self.scale, real, fake, strict=True)
        return [(head(own / scale).float(), head(other / scale).float()) for head, scale, own, other in levels]


def _head(channels: int, width: int) -> nn.Sequential:
    """Features (B, C, H, W) to logits (B, 1, H / 2, W / 2)."""
    return nn.Sequential(
        spectral_norm(nn.Conv2d(channels, width, 1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(2 * width, 2 * width, 3, padding=1)),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 3, padding=1),
    )


class WassersteinCritics(nn.Module):
    """DeepFill's two critics, one of whole pictures and one of the window around the hole, with gradient penalty.

    Yu et al., arXiv:1801.07892.
    Differs from the paper: the window has half the sides of the picture and lies where most is missing; the gradient
    penalty counts every pixel, not those of the hole alone.

    Args:
        channels: of the images.
        width: features of the first layers; the paper has 64.
        penalty: weight of the gradient penalty.
    """

    def __init__(self, channels: int = 3, width: int = 32, penalty: float = 10.0):
        super().__init__()
        self.whole, self.hole = WassersteinCritic(channels, width), WassersteinCritic(channels, width)
        self.penalty = penalty

    def forward(self, clean: Tensor, filled: Tensor, mask: Tensor, generator: Generator) -> Tensor:
        """The loss of the critics, low when they tell clean images from filled ones."""
        loss = clean.new_zeros(())
        for critic, real, fake in self._views(clean, filled, mask):
            loss = loss + critic(fake).float().mean() - critic(real).float().mean()
            loss = loss + self.penalty * gradient_penalty(critic, real, fake, generator)
        return loss

    def likeness(self, clean: Tensor, filled: Tensor, mask: Tensor) -> Tensor:
        """The loss of the inpainter, low when the filled images look real."""
        return -sum(critic(fake).float().mean() for critic, _, fake in self._views(clean, filled, mask))

    def _views(self, clean: Tensor, filled: Tensor, mask: Tensor) -> list[tuple[nn.Module, Tensor, Tensor]]:
        return [(self.whole, clean, filled), (self.hole, around(clean, mask), around(filled, mask))]


class WassersteinCritic(nn.Module):
    """Strided 5x5 convolutions and one number for each image, for the Wasserstein losses of DeepFill.

    Yu et al., arXiv:1801.07892.
    Differs from the paper: the last features are averaged over the image, so that any crop size will do.

    Args:
        channels: of the images.
        width: features of the first layer; the paper has 64.
        depth: halvings of the resolution, 4 for whole images and for the window around the hole.
    """

    def __init__(self, channels: int = 3, width: int = 32, depth: int = 4):
        super().__init__()
        widths = [channels, *(width * min(2**level, 4) for level in range(depth))]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.value = nn.Linear(widths[-1], 1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1), higher for what looks real, of images (B, C, H, W)."""
        return self.value(self.layers(image).mean((2, 3)))


def off_grid(*images: Tensor, generator: Generator, period: int = 8) -> list[Tensor]:
    """The same window of all images (B, C, H, W), `period` pixels smaller, at a random place.

    What judges has strides, as has what is judged: were they always aligned, a pattern of the same period would pay.
    """
    top, left = torch.randint(period, (2,), generator=generator, device=generator.device).tolist()
    height, width = images[0].shape[-2:]
    return [image[..., top : top + height - period, left : left + width - period] for image in images]


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, generator: Generator) -> Tensor:
    """Mean squared distance of the critic's gradient norm from 1, between real and generated images.

    Gulrajani et al. "Improved Training of Wasserstein GANs", NeurIPS 2017, arXiv:1704.00028.
    """
    between = torch.rand(len(real), 1, 1, 1, generator=generator, device=real.device)
    mixed = real.lerp(fake, between).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def around(image: Tensor, mask: Tensor) -> Tensor:
    """Windows (B, C, H / 2, W / 2) of images around the centre of mass of their holes."""
    windows = []
    for picture, hole in zip(image, mask[:, 0], strict=True):
        corner = []
        for axis, side in enumerate(hole.shape):
            weight = hole.sum(1 - axis)
            centre = int((weight * torch.arange(side, device=hole.device)).sum() / weight.sum().clamp(min=1))
            corner.append(min(max(centre - side // 4, 0), side - side // 2))
        top, left = corner
        windows.append(picture[:, top : top + hole.shape[0] // 2, left : left + hole.shape[1] // 2])
    return torch.stack(windows)
