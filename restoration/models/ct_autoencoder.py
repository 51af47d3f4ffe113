"""A convolutional autoencoder with shortcuts for grey CT slices.

Chen et al. "Low-Dose CT with a Residual Encoder-Decoder Convolutional Neural Network", IEEE TMI 2017,
arXiv:1702.00288; Gondara. "Medical Image Denoising Using Convolutional Denoising Autoencoders", ICDMW 2016,
arXiv:1608.04667.
Differs from the papers: strided convolutions lead to a code at a quarter of the resolution, where residual blocks take
the place of further layers; shortcuts at half and at full resolution.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from restoration.models._blocks import ResidualBlock
from restoration.restorer import Checkpoint, Denoiser


class CtAutoencoder(Denoiser, paper_url="https://arxiv.org/abs/1702.00288"):
    """Blind grey denoiser for noise near 0.07.

    Args:
        width: features at half resolution; the code at a quarter has twice as many.
        depth: residual blocks on the code.
    """

    channels = 1
    multiple_of = 4
    checkpoints = (
        Checkpoint(
            "ct-autoencoder",
            "CT autoencoder",
            "CT slices with Gaussian noise of about 7 % of full scale.",
            "Other noise levels and photos. For study, not for diagnosis.",
        ),
    )

    def __init__(self, width: int = 48, depth: int = 2):
        super().__init__()
        if width < 1 or depth < 1:
            raise ValueError(f"width and depth must be at least 1, got {width} and {depth}")
        self.receptive_field = 2 * (2 + 2 * 1 + 2 * 2) + 4 * 2 * depth + 4
        self.encode1 = nn.Sequential(
            nn.Conv2d(1, width, 6, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.encode2 = nn.Sequential(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.ReLU(inplace=True))
        self.bottleneck = nn.Sequential(*(ResidualBlock(2 * width) for _ in range(depth)))
        self.decode2 = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)
        self.decode1 = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, 1, 6, stride=2, padding=2),
        )

    def forward(self, noisy: Tensor) -> Tensor:
        half = self.encode1(noisy)  # (B, width, H/2, W/2)
        code = self.bottleneck(self.encode2(half))  # (B, 2*width, H/4, W/4)
        return noisy + self.decode1(F.relu(half + self.decode2(code)))
