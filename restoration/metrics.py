"""Image quality metrics: one definition for training, evaluation, tests and the page.

Images are float tensors (B, C, H, W) in [0, 1]; every metric gives one value per image of the batch, (B,).
"""

import math
from collections.abc import Iterator
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # ITU-R BT.601, studio range, as MATLAB's rgb2ycbcr


def psnr(image: Tensor, reference: Tensor, border: int = 0) -> Tensor:
    """Peak signal-to-noise ratio in dB over all channels together, (B,); infinite for equal images.

    Args:
        border: pixels left out on every side.

    Raises:
        ValueError: the shapes differ, or the border leaves nothing.
    """
    image, reference = _inside(image, reference, border)
    error = (image.double() - reference.double()).square().flatten(1).mean(1)
    return -10 * error.log10()


def luma(image: Tensor) -> Tensor:
    """Studio-range luma Y of an RGB image, (B, 1, H, W) in [16/255, 235/255]; a grey image is taken as R = G = B."""
    weights = torch.tensor(_LUMA, dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
    return (image.expand(-1, 3, -1, -1) * weights).sum(1, keepdim=True) + 16 / 255


def psnr_y(image: Tensor, reference: Tensor, border: int = 0) -> Tensor:
    """PSNR in dB of the luma channel, (B,), with `border` pixels cut: super-resolution cuts `scale` of them."""
    return psnr(luma(image), luma(reference), border)


def psnr_b(image: Tensor, reference: Tensor) -> Tensor:
    """PSNR in dB that counts visible block edges as error, (B,), the mean over channels.

    Yim, Bovik, "Quality Assessment of Deblocked Images", IEEE TIP 2011, for blocks of 8x8 pixels.

    Raises:
        ValueError: the shapes differ, or a side is shorter than 9 pixels, which has no block edge.
    """
    image, reference = _inside(image.double(), reference.double(), 0)
    if min(image.shape[-2:]) < 9:
        raise ValueError(f"PSNR-B needs sides of at least 9 pixels, got {tuple(image.shape[-2:])}")
    edges, others = [], []
    for steps in (image.diff(dim=3).square(), image.diff(dim=2).square().transpose(2, 3)):
        at_edge = torch.arange(1, steps.shape[3] + 1, device=image.device) % 8 == 0
        edges.append(steps[..., at_edge].flatten(2))
        others.append(steps[..., ~at_edge].flatten(2))
    excess = (torch.cat(edges, dim=2).mean(2) - torch.cat(others, dim=2).mean(2)).clamp(min=0)
    blocking = excess * 3 / math.log2(min(image.shape[-2:]))  # log2 of the block's side over log2 of the image's
    error = (image - reference).square().mean((2, 3))
    return (-10 * (error + blocking).log10()).mean(1)


def ssim(image: Tensor, reference: Tensor, border: int = 0) -> Tensor:
    """Structural similarity, (B,), the mean over channels and over every position where the window fits.

    Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment", IEEE TIP 2004: Gaussian window of 11x11 pixels with
    standard deviation 1.5, K1 = 0.01, K2 = 0.03, data range 1.

    Raises:
        ValueError: the shapes differ, or a side is shorter than the window's 11 pixels.
    """
    image, reference = _inside(image, reference, border)
    if min(image.shape[-2:]) < 11:
        raise ValueError(f"SSIM needs sides of at least 11 pixels, got {tuple(image.shape[-2:])}")
    x, y = image.double(), reference.double()
    mean_x, mean_y = _window(x), _window(y)
    variance_x = _window(x * x) - mean_x**2
    variance_y = _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * structure).flatten(1).mean(1)


class Lpips(nn.Module):
    """Learned perceptual distance, (B,), 0 for equal images; lower is better.

    Zhang, Isola, Efros, Shechtman, Wang. "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
    CVPR 2018, arXiv:1801.03924: version 0.1 on AlexNet.

    Args:
        folder: holds `alexnet_features.safetensors` (torchvision's names) and `lpips_lin_alex_v0.1.safetensors`.
    """

    BACKBONE, LINEAR = "alexnet_features.safetensors", "lpips_lin_alex_v0.1.safetensors"
    # index in torchvision's features, stride, padding, whether a 3x3 max-pooling of stride 2 comes before
    _CONVOLUTIONS = ((0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False), (10, 1, 1, False))

    def __init__(self, folder: str | Path):
        super().__init__()
        for name, value in safetensors.torch.load_file(Path(folder) / self.BACKBONE).items():
            self.register_buffer(name.replace(".", "_"), value.float())
        for name, value in safetensors.torch.load_file(Path(folder) / self.LINEAR).items():
            self.register_buffer(name.partition(".")[0], value.float())
        self.register_buffer("shift", torch.tensor((-0.030, -0.088, -0.188)).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor((0.458, 0.448, 0.450)).view(1, 3, 1, 1))

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        """The distance of images (B, 1 or 3, H, W) in [0, 1] with sides of at least 32 pixels."""
        own, wanted = (
            self.features((2 * picture.expand(-1, 3, -1, -1) - 1 - self.shift) / self.scale)
            for picture in (image, reference)
        )
        distance = torch.zeros(len(image), device=image.device)
        for level, (x, y) in enumerate(zip(own, wanted, strict=True)):
            difference = (_unit(x) - _unit(y)).square()
            distance = distance + F.conv2d(difference, getattr(self, f"lin{level}")).mean((1, 2, 3))
        return distance

    def features(self, x: Tensor) -> Iterator[Tensor]:
        """What the images are compared by, level after level."""
        for index, stride, padding, pool in self._CONVOLUTIONS:
            if pool:
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(self.convolved(x, f"features_{index}", stride, padding))
            yield x

    def convolved(self, x: Tensor, layer: str, stride: int = 1, padding: int = 0) -> Tensor:
        """The result of the backbone's convolution of that name."""
        return F.conv2d(x, getattr(self, f"{layer}_weight"), getattr(self, f"{layer}_bias"), stride, padding)


def _unit(features: Tensor) -> Tensor:
    return features / (features.norm(dim=1, keepdim=True) + 1e-10)


def text(value: float, unit: str = "dB") -> str:
    """A score as people read it: "31.24 dB", "identical" for the infinite PSNR of equal images."""
    if value == math.inf:
        return "identical"
    return f"{value:.2f} {unit}".rstrip()


def _inside(image: Tensor, reference: Tensor, border: int) -> tuple[Tensor, Tensor]:
    if image.shape != reference.shape:
        raise ValueError(f"images differ in shape: {tuple(image.shape)} and {tuple(reference.shape)}")
    height, width = image.shape[-2:]
    if border < 0 or min(height, width) <= 2 * border:
        raise ValueError(f"a border of {border} leaves nothing of {height}x{width} pixels")
    inside = (..., slice(border, height - border), slice(border, width - border))
    return image[inside], reference[inside]


def _window(image: Tensor) -> Tensor:
    """Gaussian-weighted local mean at the positions where the window fits, (B, C, H - 10, W - 10)."""
    offsets = torch.arange(11, dtype=image.dtype, device=image.device) - 5
    weights = torch.exp(-(offsets**2) / (2 * 1.5**2))
    weights = (weights / weights.sum()).view(1, 1, 11)
    batch, channels, height, width = image.shape
    planes = image.reshape(batch * channels, 1, height, width)
    planes = F.conv2d(F.conv2d(planes, weights[..., None]), weights[:, :, None])
    return planes.view(batch, channels, height - 10, width - 10)
