"""ESRGAN's generator: residual-in-residual dense blocks without batch normalisation.

Wang, Yu, Wu, Gu, Liu, Dong, Loy, Qiao, Tang. "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks",
ECCV Workshops 2018, arXiv:1809.00219; the state-dict keys are those that the family is known by, so that other tools
load the weights as they are.
Differs from the paper: the bundled weights have fewer and narrower blocks than the paper's 23 of width 64, and
esrgan-x4's were trained last against discriminators of VGG19's features (arXiv:2111.01007) instead of pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.restorer import Checkpoint, Upscaler

RESIDUAL_SCALE = 0.2


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the outputs of all before it; the last one's is scaled and added."""

    def __init__(self, width: int, growth: int):
        super().__init__()
        for index in range(1, 6):
            outputs = width if index == 5 else growth
            self.add_module(f"conv{index}", nn.Conv2d(width + (index - 1) * growth, outputs, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            features.append(F.leaky_relu(conv(torch.cat(features, dim=1)), 0.2))
        return x + RESIDUAL_SCALE * self.conv5(torch.cat(features, dim=1))


class RRDB(nn.Module):
    """Three dense blocks with a scaled residual around them."""

    def __init__(self, width: int, growth: int):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(width, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL_SCALE * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(Upscaler, paper_url="https://arxiv.org/abs/1809.00219"):
    """RGB upscaler by 2, 4 or 8, whose blocks work at low resolution.

    Args:
        scale: output size / input size, a power of two.
        width: features between the blocks; the paper has 64.
        blocks: residual-in-residual dense blocks; the paper has 23.
        growth: features that each convolution within a dense block adds; other tools expect 32.
    """

    channels = 3
    spandrel = True
    holds_colours = True
    checkpoints = (
        Checkpoint(
            "rrdb-x4",
            "RRDB",
            "Trained for exact pixels: sharp and true, without invented texture.",
            "Haste: Compact is as sharp and several times faster.",
        ),
        Checkpoint(
            "esrgan-x4",
            "ESRGAN",
            "Invents plausible texture; the slider blends it with RRDB, which stays true.",
            "Anything that will be measured or read: its texture is made up, and dense texture can show a faint grid.",
            blends_with="rrdb-x4",
            invents=True,
        ),
    )

    def __init__(self, scale: int = 4, width: int = 64, blocks: int = 23, growth: int = 32):
        super().__init__()
        if scale not in (2, 4, 8) or min(width, blocks, growth) < 1:
            raise ValueError(f"needs scale 2, 4 or 8 and sizes of 1 or more, got {scale}, {width}, {blocks}, {growth}")
        self.scale = scale
        self.doublings = scale.bit_length() - 1
        # At low resolution the first convolution, 15 a block and one behind them; the rest, finer, reaches under 2, and
        # the colours come from a neighbourhood.
        self.receptive_field = 15 * blocks + 4 + self.NEIGHBOURHOOD + 2
        self.conv_first = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(width, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(width, width, 3, padding=1)
        for index in range(1, self.doublings + 1):
            self.add_module(f"conv_up{index}", nn.Conv2d(width, width, 3, padding=1))
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)
        with torch.no_grad():
            for kernel in self.body.parameters():
                kernel.mul_(0.1)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.conv_first(lr)
        x = x + self.conv_body(self.body(x))
        for index in range(1, self.doublings + 1):
            conv = getattr(self, f"conv_up{index}")
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))  # (B, 3, scale*H, scale*W)
