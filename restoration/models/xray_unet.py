"""A small U-Net-like denoising autoencoder for grey X-rays.

Ronneberger, Fischer, Brox. "U-Net", MICCAI 2015, arXiv:1505.04597; Vincent et al. "Stacked Denoising Autoencoders",
JMLR 2010.
Differs from the papers: two encoder convolutions with 2x pooling and two decoder stages with up-sampling; the noisy
image itself is the outermost skip connection; sigmoid output, trained with binary cross-entropy.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.restorer import Checkpoint, Denoiser


class XrayUNet(Denoiser, paper_url="https://arxiv.org/abs/1505.04597"):
    """Blind grey denoiser for Gaussian and uniform noise.

    Args:
        width: features of the first encoder convolution; the second has twice as many.
        kernel: odd side of the encoder's and decoder's convolution windows.
    """

    channels = 1
    multiple_of = 4
    checkpoints = (Checkpoint("xray-unet", "X-ray U-Net", "Chest and dental X-rays with Gaussian or uniform noise."),)

    def __init__(self, width: int = 32, kernel: int = 5):
        super().__init__()
        if width < 1 or kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"needs a positive width and an odd kernel, got {width} and {kernel}")
        half = kernel // 2
        self.receptive_field = half * (1 + 2 + 4 + 2 + 1) + 1 + 4
        self.encode1 = nn.Conv2d(1, width, kernel, padding=half)
        self.encode2 = nn.Conv2d(width, 2 * width, kernel, padding=half)
        self.middle = nn.Conv2d(2 * width, 2 * width, kernel, padding=half)
        self.decode2 = nn.Conv2d(4 * width, width, kernel, padding=half)
        self.decode1 = nn.Conv2d(2 * width, width, kernel, padding=half)
        self.output = nn.Conv2d(width + 1, 1, 3, padding=1)

    def forward(self, noisy: Tensor) -> Tensor:
        fine = F.relu(self.encode1(noisy))
        coarse = F.relu(self.encode2(F.max_pool2d(fine, 2)))  # (B, 2*width, H/2, W/2)
        x = F.relu(self.middle(F.max_pool2d(coarse, 2)))  # (B, 2*width, H/4, W/4)
        x = F.relu(self.decode2(torch.cat([F.interpolate(x, scale_factor=2), coarse], dim=1)))
        x = F.relu(self.decode1(torch.cat([F.interpolate(x, scale_factor=2), fine], dim=1)))
        return torch.sigmoid(self.output(torch.cat([x, noisy], dim=1)))
