"""DRUNet for JPEG artifacts: a U-Net of bias-free residual blocks that may be told the quality on an extra plane.

Zhang, Li, Zuo, Zhang, Van Gool, Timofte. "Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE TPAMI 2021,
arXiv:2008.13751; the given or unknown quality is as in Jiang, Zhang, Timofte, "Towards Flexible Blind JPEG Artifacts
Removal" (FBCNN), ICCV 2021, arXiv:2109.14573.
Differs from the papers: a quality plane takes the noise level's place, narrower, and the untrained network gives its
input back.  In half the bits the outermost sum is not made of features: what it brings to the result is the image
itself, which stays exact so, and a layer of 5 x 5; that differs within a pixel of the border, which `restore` cuts off.
The names of the weights are DRUNet's own, so programs that know it load those of two blocks or more; the 15 / 255 that
they put on the plane means "unknown" here.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.models._blocks import ResidualBlock
from restoration.restorer import ArtifactRemover, Checkpoint


class DRUNetArtifacts(ArtifactRemover, paper_url="https://arxiv.org/abs/2008.13751"):
    """Residual U-Net that removes JPEG artifacts of any quality, given or unknown.

    Args:
        channels: image channels, 1 (grey) or 3 (RGB).
        widths: features at 1, 1/2, 1/4 and 1/8 of the resolution; the paper has (64, 128, 256, 512).
        blocks: residual blocks at each resolution on the way down and on the way up; the paper has 4.
    """

    takes_quality = True
    multiple_of = margin = 8
    padding = "symmetric"  # which goes on with JPEG's blocks
    UNKNOWN_PLANE = 15 / 255
    checkpoints = (
        Checkpoint(
            "drunet-jpeg",
            "DRUNet JPEG",
            "Best choice for JPEGs of any quality, in colour or grey; finds the quality itself or is told.",
            "Pictures that were compressed and then made smaller or larger; it cannot bring back lost texture.",
            flagship=True,
            purpose="Photos and pages",
        ),
    )

    def __init__(self, channels: int = 3, widths: tuple[int, int, int, int] = (64, 128, 256, 512), blocks: int = 4):
        super().__init__()
        if len(widths) != 4 or widths[0] < channels or blocks < 1:
            raise ValueError(f"needs 4 widths, none below {channels}, and 1 block or more, got {widths}, {blocks}")
        self.channels = channels
        # Per resolution: the convolutions on both ways, seen in full-resolution pixels, plus the strides' own reach.
        self.receptive_field = 2 + sum(4 * blocks * 2**level for level in range(3)) + 2 * blocks * 8 + 8
        first, second, third, fourth = widths
        self.m_head = nn.Conv2d(channels + 1, first, 3, padding=1, bias=False)
        self.m_down1 = _down(first, second, blocks)
        self.m_down2 = _down(second, third, blocks)
        self.m_down3 = _down(third, fourth, blocks)
        self.m_body = nn.Sequential(*(ResidualBlock(fourth) for _ in range(blocks)))
        self.m_up3 = _up(fourth, third, blocks)
        self.m_up2 = _up(third, second, blocks)
        self.m_up1 = _up(second, first, blocks)
        self.m_tail = nn.Conv2d(first, channels, 3, padding=1, bias=False)
        with torch.no_grad():  # the first features carry the image past everything to the tail
            nn.init.zeros_(self.m_tail.weight)
            self.m_head.weight[:channels] = 0
            for channel in range(channels):
                self.m_head.weight[channel, channel, 1, 1] = self.m_tail.weight[channel, channel, 1, 1] = 1
            self.m_up1[0].weight[:, :channels] = 0
            for block in self.m_up1[1:]:
                block.res[-1].weight[:channels] = 0

    def forward(self, image: Tensor, quality: Tensor) -> Tensor:
        plane = torch.where(quality < 0, self.UNKNOWN_PLANE, 1 - 0.8 * quality)
        seen = torch.cat([image, plane], dim=1)
        first = self.m_head(seen)
        second = self.m_down1(first)
        third = self.m_down2(second)
        fourth = self.m_down3(third)
        x = self.m_up3(self.m_body(fourth) + fourth)
        x = self.m_up2(x + third)
        x = self.m_up1(x + second)
        if not torch.is_autocast_enabled(image.device.type):
            return self.m_tail(x + first)
        return image + (self.m_tail(x) + F.conv2d(seen, self._past(), padding=2))

    def _past(self) -> Tensor:
        """What the outermost sum brings to the result beside the image, as a kernel (C, C + 1, 5, 5)."""
        with torch.autocast(self.m_head.weight.device.type, enabled=False):  # the identity is taken off a sum near it
            both = F.conv_transpose2d(self.m_tail.weight, self.m_head.weight)
        channels = range(self.channels)
        both[channels, channels, 2, 2] -= 1
        return both


def _down(fine: int, coarse: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        *(ResidualBlock(fine) for _ in range(blocks)), nn.Conv2d(fine, coarse, 2, stride=2, bias=False)
    )


def _up(coarse: int, fine: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False), *(ResidualBlock(fine) for _ in range(blocks))
    )
