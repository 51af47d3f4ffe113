"""A denoising autoencoder for tiny RGB pictures such as CIFAR-10's.

Vincent, Larochelle, Bengio, Manzagol. "Extracting and Composing Robust Features with Denoising Autoencoders",
ICML 2008.
Differs from the paper: convolutional, with Gaussian noise; the encoder's four convolutions go from feature maps of
28x28 to 7x7 on a 32x32 picture, and four transposed convolutions mirror them.
"""

from torch import Tensor, nn

from restoration.restorer import Checkpoint, Denoiser


class CifarAutoencoder(Denoiser):
    """Blind RGB denoiser without skip connections.

    Args:
        width: features of the 28x28 maps; the 14x14 maps have twice, the 7x7 maps four times as many.
    """

    channels = 3
    multiple_of = 8
    receptive_field = 24
    checkpoints = (
        Checkpoint(
            "cifar-autoencoder",
            "CIFAR autoencoder",
            "Tiny 32x32 pictures with strong noise; a teaching model.",
            "Photos: everything passes through a quarter of the resolution, which blurs them.",
        ),
    )

    def __init__(self, width: int = 32):
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        relu = nn.ReLU(inplace=True)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 5),  # (B, width, 28, 28)
            relu,
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),  # (B, 2*width, 14, 14)
            relu,
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            relu,
            nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),  # (B, 4*width, 7, 7)
            relu,
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1),  # (B, 2*width, 14, 14)
            relu,
            nn.ConvTranspose2d(2 * width, 2 * width, 3, padding=1),
            relu,
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),  # (B, width, 28, 28)
            relu,
            nn.ConvTranspose2d(width, 3, 5),  # (B, 3, 32, 32)
        )

    def forward(self, noisy: Tensor) -> Tensor:
        return self.decoder(self.encoder(noisy))
