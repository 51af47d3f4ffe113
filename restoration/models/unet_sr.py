"""A U-Net that corrects the bicubic-enlarged image.

Ronneberger, Fischer, Brox. "U-Net", MICCAI 2015, arXiv:1505.04597.
Differs from the paper: padded convolutions, batch normalisation after each, and a 1x1 head whose output is added to
the enlarged image, so that training starts from bicubic.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from restoration.resampling import enlarge
from restoration.restorer import Checkpoint, Upscaler


class UNetSR(Upscaler, paper_url="https://arxiv.org/abs/1505.04597"):
    """RGB upscaler of five resolutions by default, with transposed convolutions on the way up.

    Args:
        scale: output size / input size.
        widths: features at each resolution, finest first.
    """

    channels = 3
    holds_colours = True
    margin = 24  # its coarsest features see further
    checkpoints = (
        Checkpoint(
            "unet-sr-x4",
            "U-Net",
            "A U-Net on the enlarged picture, for comparison.",
            "Daily use: Compact is sharper and faster.",
        ),
    )

    def __init__(self, scale: int = 4, widths: list[int] = (64, 128, 256, 512, 1024)):
        super().__init__()
        if scale < 1 or len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"needs a scale of at least 1 and two positive widths, got {scale} and {widths}")
        self.scale = scale
        strides = [2**level for level in range(len(widths))]
        self.multiple_of = strides[-1] // math.gcd(strides[-1], scale)
        # Two convolutions at each resolution on both ways, and the stride of the coarsest; then the cubic kernel, and
        # the neighbourhood that the colours come from.
        self.receptive_field = -(-(4 * sum(strides[:-1]) + 3 * strides[-1]) // scale) + 3 + self.NEIGHBOURHOOD + 2
        self.down = nn.ModuleList(_block(inputs, outputs) for inputs, outputs in pairwise((3, *widths)))
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(_block(2 * fine, fine) for fine in widths[:-1])
        self.head = nn.Conv2d(widths[0], 3, 1)

    def forward(self, lr: Tensor) -> Tensor:
        enlarged = enlarge(lr, self.scale)  # (B, 3, scale*H, scale*W)
        x = self.down[0](enlarged)
        skips = []
        for block in self.down[1:]:
            skips.append(x)
            x = block(self.pool(x))
        for grow, block in zip(reversed(self.grow), reversed(self.up), strict=True):
            x = block(torch.cat([grow(x), skips.pop()], dim=1))
        return enlarged + self.head(x)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch normalisation and ReLU."""
    layers = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)
