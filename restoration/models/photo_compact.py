"""Upscaler for photos as the web holds them: a denoising U-Net in front of a compact upscaler, trained as one.

Wang, Xie, Dong, Shan. "Real-ESRGAN", ICCV Workshops 2021, arXiv:2107.10833, for the upscaler and the damage that it
is trained on; the cleaner is Guo et al., CBDNet, arXiv:1807.04686, around Zhang et al., DRUNet, arXiv:2008.13751.
Differs from the papers: cleaning and enlarging are one network, trained for the enlarged image alone.  A U-Net sees
whole blocks of a JPEG at a fifth of the cost of the plain convolutions that would.
"""

from dataclasses import replace

from torch import Tensor

from restoration.models.compact import PHOTO, Compact
from restoration.models.photo_drunet import PhotoDRUNet
from restoration.restorer import Upscaler


class PhotoCompact(Upscaler, paper_url="https://arxiv.org/abs/2107.10833"):
    """RGB upscaler that cleans first.

    Args:
        scale: output size / input size.
        width: features of the upscaler's hidden layers.
        depth: its hidden 3x3 convolutions between the first and the last.
        cleaner_widths, cleaner_blocks, cleaner_unshuffle: `widths`, `blocks` and `unshuffle` of the `PhotoDRUNet`.
    """

    channels = 3
    checkpoints = (replace(PHOTO, name="photo-x2", flagship=False),)

    def __init__(
        self,
        scale: int = 2,
        width: int = 64,
        depth: int = 16,
        cleaner_widths: list[int] = (64, 128, 256, 512),
        cleaner_blocks: int = 4,
        cleaner_unshuffle: int = 1,
    ):
        super().__init__()
        self.scale = scale
        self.cleaner = PhotoDRUNet(3, cleaner_widths, cleaner_blocks, cleaner_unshuffle)
        self.upscaler = Compact(scale, width, depth)
        self.multiple_of = self.cleaner.multiple_of
        self.receptive_field = self.cleaner.receptive_field + self.upscaler.receptive_field

    def forward(self, lr: Tensor) -> Tensor:
        return self.upscaler(self.cleaner.denoised(lr, self.cleaner.level(lr)))
