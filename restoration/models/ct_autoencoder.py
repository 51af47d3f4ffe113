"""A convolutional denoising autoencoder for grey CT slices.

Vincent, Larochelle, Bengio, Manzagol. "Extracting and Composing Robust Features with Denoising Autoencoders",
ICML 2008; Gondara. "Medical Image Denoising Using Convolutional Denoising Autoencoders", ICDMW 2016, arXiv:1608.04667.
Differs from the papers: strided instead of pooled, and a wide code, so that no detail has to be thrown away.
"""

from torch import Tensor, nn

from restoration.restorer import Checkpoint, Denoiser


class CtAutoencoder(Denoiser, paper_url="https://arxiv.org/abs/1608.04667"):
    """Blind grey denoiser for noise near 0.07, without skip connections.

    Args:
        width: features at half resolution; the code at a quarter has twice as many.
        depth: 3x3 convolutions on the code.
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

    def __init__(self, width: int = 48, depth: int = 4):
        super().__init__()
        if width < 1 or depth < 1:
            raise ValueError(f"width and depth must be at least 1, got {width} and {depth}")
        self.receptive_field = 2 * (2 + 2 * 1 + 2 * 2) + 4 * depth + 4
        code: list[nn.Module] = []
        for _ in range(depth):
            code += [nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(inplace=True)]
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 6, stride=2, padding=2),  # (B, width, H/2, W/2)
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),  # (B, 2*width, H/4, W/4)
            nn.ReLU(inplace=True),
        )
        self.code = nn.Sequential(*code)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),  # (B, width, H/2, W/2)
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, 1, 6, stride=2, padding=2),  # (B, 1, H, W)
        )

    def forward(self, noisy: Tensor) -> Tensor:
        return self.decoder(self.code(self.encoder(noisy)))
