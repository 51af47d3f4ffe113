"""MWCNN: a U-Net whose pooling is a Haar wavelet transform and whose up-sampling is its inverse.

Liu, Zhang, Zhang, Lin, Zuo. "Multi-level Wavelet-CNN for Image Restoration", CVPR Workshops 2018, arXiv:1805.07071.
Differs from the paper: no batch normalisation, no ReLU before an inverse transform, whose input has two signs (with it
the deep levels died in training; `rectified` puts it back), one blind set of weights for all noise levels or JPEG
qualities instead of one for each; the bundled weights are narrower and shallower.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.restorer import ArtifactRemover, Checkpoint, Denoiser, in_full


def haar(image: Tensor) -> Tensor:
    """Orthonormal 2-D Haar transform: (B, C, H, W) with even sides to (B, 4 * C, H/2, W/2), subbands LL, HL, LH, HH."""
    top, bottom = image[..., ::2, :], image[..., 1::2, :]
    a, b, c, d = top[..., ::2], top[..., 1::2], bottom[..., ::2], bottom[..., 1::2]
    return torch.cat([a + b + c + d, b + d - a - c, c + d - a - b, a + d - b - c], dim=1) / 2


def inverse_haar(subbands: Tensor) -> Tensor:
    """The exact inverse of `haar`: (B, 4 * C, H, W) to (B, C, 2H, 2W)."""
    low, horizontal, vertical, diagonal = subbands.chunk(4, dim=1)
    a, b = low - horizontal - vertical + diagonal, low + horizontal - vertical - diagonal
    c, d = low - horizontal + vertical - diagonal, low + horizontal + vertical + diagonal
    blocks = torch.stack([a, b, c, d], dim=2).flatten(1, 2) / 2  # (B, C*4, H, W), the order of pixel_shuffle
    return F.pixel_shuffle(blocks, 2)


class WaveletUNet(nn.Module):
    """The network: a residual wavelet U-Net that is told nothing.

    Args:
        channels: image channels, 1 (grey) or 3 (RGB).
        widths: features at 1/2, 1/4, 1/8, ... of the resolution; the paper has (160, 256, 256).
        depth: 3x3 convolutions at each level on each of the two ways, at least 2; the paper has 4.
        rectified: whether a ReLU stands before the inverse transforms but the last, as in the paper.
    """

    def __init__(self, channels: int = 3, widths: list[int] = (160, 256, 256), depth: int = 4, rectified: bool = False):
        super().__init__()
        if not widths or depth < 2:
            raise ValueError(f"needs at least 1 width and depth 2, got {widths} and {depth}")
        self.channels = channels
        self.multiple_of = 2 ** len(widths)
        strides = [2 ** (level + 1) for level in range(len(widths))]
        self.receptive_field = sum(2 * depth * stride for stride in strides) + strides[-1]

        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        finer = channels
        for width in widths:
            self.down.append(_convolutions(4 * finer, *[width] * depth))
            way_up = _convolutions(*[width] * depth, 4 * finer)
            self.up.append(way_up if rectified and finer != channels else way_up[:-1])
            finer = width

    def forward(self, image: Tensor) -> Tensor:
        x = image
        skips = []
        for level, (first, *others) in enumerate(self.down):
            x = haar(x)
            x = first(x) if level else in_full(first, x)
            for layer in others:
                x = layer(x)
            skips.append(x)
        x = self.up[-1](x)
        for up, skip in zip(reversed(self.up[:-1]), reversed(skips[:-1]), strict=True):
            x = up(inverse_haar(x) + skip)
        return image + inverse_haar(x)


class MWCNN(WaveletUNet, Denoiser, paper_url="https://arxiv.org/abs/1805.07071"):
    """Blind residual wavelet U-Net; its arguments are those of `WaveletUNet`."""

    checkpoints = (
        Checkpoint(
            "mwcnn-color",
            "MWCNN colour",
            "Wavelet network for colour photos; finds the noise level itself.",
            "Black-and-white pictures, where the grey one is better; it cannot be told the noise level.",
        ),
        Checkpoint(
            "mwcnn-gray",
            "MWCNN grey",
            "Wavelet network for black-and-white pictures and scans.",
            "Colour photos, whose channels it cleans one by one; it cannot be told the noise level.",
        ),
    )


class MWCNNArtifacts(WaveletUNet, ArtifactRemover, paper_url="https://arxiv.org/abs/1805.07071"):
    """Blind residual wavelet U-Net for JPEG artifacts; its arguments are those of `WaveletUNet`."""

    checkpoints = (
        Checkpoint(
            "mwcnn-jpeg",
            "MWCNN grey",
            "Wavelet network for black-and-white JPEGs of low quality; of colour photos it cleans the brightness.",
            "Colour blotches, which it leaves, and qualities above 60, which it was not trained for.",
        ),
    )


def _convolutions(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        layers += [nn.Conv2d(wide, narrow, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
