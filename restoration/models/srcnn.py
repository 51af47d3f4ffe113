"""SRCNN: three convolutions on the bicubic-enlarged image, the first learned upscaler.

Dong, Loy, He, Tang. "Image Super-Resolution Using Deep Convolutional Networks", IEEE TPAMI 2016, arXiv:1501.00092.
Differs from the paper: the output is a correction that is added to the enlarged image, so that training starts from
bicubic; edges are replicated instead of cut off; it takes and gives RGB, of which it corrects the luma as in the paper.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.jpeg import brightness
from restoration.resampling import enlarge
from restoration.restorer import Checkpoint, Upscaler


class SRCNN(Upscaler, paper_url="https://arxiv.org/abs/1501.00092"):
    """Upscaler of the luma with filters of 9, 3 and 5 pixels; the colours are enlarged bicubically.

    Args:
        scale: output size / input size.
        widths: features after the first and the second convolution.
    """

    channels = 3
    checkpoints = tuple(
        Checkpoint(
            f"srcnn-x{scale}",
            "SRCNN",
            "The classic three-layer network, for comparison.",
            "Daily use: Compact is sharper and faster.",
        )
        for scale in (2, 3, 4)
    )

    def __init__(self, scale: int = 3, widths: list[int] = (64, 32)):
        super().__init__()
        if scale < 1 or len(widths) != 2 or min(widths) < 1:
            raise ValueError(f"needs a scale of at least 1 and two positive widths, got {scale} and {widths}")
        self.scale = scale
        self.receptive_field = 3 + -(-(4 + 1 + 2) // scale)  # the cubic kernel, then the three filters
        self.conv1 = nn.Conv2d(1, widths[0], 9, padding=4, padding_mode="replicate")
        self.conv2 = nn.Conv2d(widths[0], widths[1], 3, padding=1, padding_mode="replicate")
        self.conv3 = nn.Conv2d(widths[1], 1, 5, padding=2, padding_mode="replicate")
        with torch.no_grad():
            self.conv3.weight.mul_(0.1)

    def forward(self, lr: Tensor) -> Tensor:
        enlarged = enlarge(lr, self.scale)  # (B, 3, scale*H, scale*W)
        x = F.relu(self.conv1(brightness(enlarged)))
        return enlarged + self.conv3(F.relu(self.conv2(x)))
