"""A small U-Net-like denoising autoencoder for grey X-rays.

Ronneberger, Fischer, Brox. "U-Net", MICCAI 2015, arXiv:1505.04597; Vincent et al. "Stacked Denoising Autoencoders",
JMLR 2010.
Differs from the papers: two encoder convolutions with 2x pooling and two decoder stages with up-sampling; residual
blocks on the code between them; the noisy image itself is the outermost skip connection; sigmoid output, trained with
binary cross-entropy.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.models._blocks import ResidualBlock
from restoration.restorer import Checkpoint, Denoiser


class XrayUNet(Denoiser, paper_url="https://arxiv.org/abs/1505.04597"):
    """Blind grey denoiser for Gaussian and uniform noise.

    Args:
        widths: features of the two encoder convolutions and of the code.
        depth: residual blocks on the code, at a quarter of the resolution.
    """

    channels = 1
    multiple_of = 4
    checkpoints = (
        Checkpoint(
            "xray-unet",
            "X-ray U-Net",
            "Chest and dental X-rays with Gaussian or uniform noise.",
            "Photos, which it blurs. For study, not for diagnosis.",
        ),
    )

    def __init__(self, widths: list[int] = (24, 64, 96), depth: int = 3):
        super().__init__()
        if len(widths) != 3 or min(widths) < 1 or depth < 0:
            raise ValueError(f"needs three positive widths and a depth of at least 0, got {widths} and {depth}")
        fine, coarse, code = widths
        self.receptive_field = 2 + 2 + 4 * (1 + 2 * depth) + 2 + 1 + 1 + 4
        self.encode1 = nn.Conv2d(1, fine, 5, padding=2)
        self.encode2 = nn.Conv2d(fine, coarse, 3, padding=1)
        self.bottleneck = nn.Sequential(
            nn.Conv2d(coarse, code, 3, padding=1), nn.ReLU(), *(ResidualBlock(code) for _ in range(depth))
        )
        self.decode2 = nn.Conv2d(code + coarse, fine + 8, 3, padding=1)
        self.decode1 = nn.Conv2d(fine + 8 + fine, fine, 3, padding=1)
        self.output = nn.Conv2d(fine + 1, 1, 3, padding=1)

    def forward(self, noisy: Tensor) -> Tensor:
        fine = F.relu(self.encode1(noisy))
        coarse = F.relu(self.encode2(F.max_pool2d(fine, 2)))  # (B, coarse, H/2, W/2)
        x = self.bottleneck(F.max_pool2d(coarse, 2))  # (B, code, H/4, W/4)
        x = F.relu(self.decode2(torch.cat([F.interpolate(x, scale_factor=2), coarse], dim=1)))
        x = F.relu(self.decode1(torch.cat([F.interpolate(x, scale_factor=2), fine], dim=1)))
        return torch.sigmoid(self.output(torch.cat([x, noisy], dim=1)))
