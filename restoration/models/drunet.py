"""DRUNet: a U-Net of bias-free residual blocks that is told the noise level on an extra input plane.

Zhang, Li, Zuo, Zhang, Van Gool, Timofte. "Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE TPAMI 2021,
arXiv:2008.13751.
Differs from the paper: an optional pixel-unshuffle in front of the first layer and a pixel-shuffle behind the last
one, so that no layer runs at full resolution; the network predicts the noise; a noise level of -0.2 means "unknown"
and is trained for, so that one set of weights works with a given level and blind.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.models._blocks import ResidualBlock
from restoration.restorer import Checkpoint, Denoiser, in_full, in_half


class DRUNet(Denoiser, paper_url="https://arxiv.org/abs/2008.13751"):
    """Residual U-Net denoiser for noise levels 0 to 55 / 255, given or unknown.

    Args:
        channels: image channels, 1 (grey) or 3 (RGB).
        widths: features at each resolution, finest first; the paper has (64, 128, 256, 512).
        blocks: residual blocks at each resolution on the way down and on the way up; the paper has 4.
        unshuffle: side of the pixel blocks that become channels first; the paper has 1.
    """

    takes_sigma = True
    checkpoints = (
        Checkpoint(
            "drunet-fast",
            "DRUNet fast",
            "Best choice for white noise of any level, measured or set by you.",
            "A camera's own noise, for which DRUNet photo is made; salt and pepper, which the median removes.",
            second=True,
            obeys=False,
        ),
    )

    def __init__(self, channels: int = 3, widths: list[int] = (64, 128, 256, 512), blocks: int = 4, unshuffle: int = 1):
        super().__init__()
        if len(widths) < 2 or blocks < 1 or unshuffle < 1:
            raise ValueError(f"needs 2 widths, 1 block and unshuffle 1 or more, got {widths}, {blocks}, {unshuffle}")
        self.channels = channels
        self.unshuffle = unshuffle
        self.multiple_of = unshuffle * 2 ** (len(widths) - 1)
        # Per resolution: the convolutions on both ways, seen in full-resolution pixels, plus the stride's own reach.
        strides = [unshuffle * 2**level for level in range(len(widths))]
        convolutions = [4 * blocks] * (len(widths) - 1) + [2 * blocks]
        self.receptive_field = 2 * unshuffle + sum(n * s for n, s in zip(convolutions, strides, strict=True))
        self.receptive_field += strides[-1]

        self.head = nn.Conv2d(channels * unshuffle**2 + 1, widths[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        for fine, coarse in pairwise(widths):
            self.down.append(
                nn.Sequential(
                    *(ResidualBlock(fine) for _ in range(blocks)),
                    nn.Conv2d(fine, coarse, 2, stride=2, bias=False),  # (B, coarse, H/2, W/2)
                )
            )
            self.up.append(
                nn.Sequential(
                    nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False),  # (B, fine, 2H, 2W)
                    *(ResidualBlock(fine) for _ in range(blocks)),
                )
            )
        self.body = nn.Sequential(*(ResidualBlock(widths[-1]) for _ in range(blocks)))
        self.tail = nn.Conv2d(widths[0], channels * unshuffle**2, 3, padding=1, bias=False)

    def forward(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        features = F.pixel_unshuffle(noisy, self.unshuffle)  # (B, C*u*u, H/u, W/u)
        level = sigma[..., :: self.unshuffle, :: self.unshuffle]
        x = in_half(in_full(self.head, torch.cat([features, level], dim=1)))
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        x = self.body(x) + x
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = up(x) + skip
        return noisy - F.pixel_shuffle(self.tail(x), self.unshuffle)
