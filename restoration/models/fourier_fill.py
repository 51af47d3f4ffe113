"""Inpainting as a correction of a diffusion fill, by a gated U-Net that sees the whole picture through its spectrum.

Yu et al. "Free-Form Image Inpainting with Gated Convolution", ICCV 2019, arXiv:1806.03589; Suvorov et al.
"Resolution-robust Large Mask Inpainting with Fourier Convolutions" (LaMa), WACV 2022, arXiv:2109.07161; Chi, Jiang, Mu,
"Fast Fourier Convolution", NeurIPS 2020.
Differs from the papers: the network starts from a diffusion fill and corrects it, half the resolution is its finest
level, every block has a local and a spectral path with all channels instead of a split, and nothing is normalised.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.resampling import pull_push
from restoration.restorer import Checkpoint, Inpainter


class SpectralTransform(nn.Module):
    """A 1x1 convolution of the Fourier transform: every pixel of the result depends on every pixel of the input."""

    def __init__(self, width: int):
        super().__init__()
        inner = width // 2
        self.shrink = nn.Conv2d(width, inner, 1)
        self.mix = nn.Conv2d(2 * inner, 2 * inner, 1)
        self.widen = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.shrink(x))
        spectrum = torch.fft.rfft2(x.float(), norm="ortho")
        mixed = F.relu(self.mix(torch.cat([spectrum.real, spectrum.imag], dim=1))).float()
        real, imaginary = mixed.chunk(2, dim=1)
        everywhere = torch.fft.irfft2(torch.complex(real, imaginary), s=x.shape[-2:], norm="ortho")
        return self.widen(x + everywhere.to(x.dtype))


class FourierBlock(nn.Module):
    """x + conv(relu(conv(x) + spectral(x)))."""

    def __init__(self, width: int):
        super().__init__()
        self.local = nn.Conv2d(width, width, 3, padding=1)
        self.everywhere = SpectralTransform(width)
        self.join = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.join(F.relu(self.local(x) + self.everywhere(x)))


class Gated(nn.Module):
    """A convolution that is multiplied by a mask of its own making."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, 2 * outputs, 3, stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        features, gate = self.conv(x).chunk(2, dim=1)
        return F.elu(features) * torch.sigmoid(gate)


class Enlarge(nn.Module):
    """Twice the resolution: smoothly interpolated features, and detail that starts at zero.

    Repeated pixels instead would leave a weave of their edges in every soft fill.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.smooth = nn.Conv2d(inputs, outputs, 1)
        self.detail = nn.Sequential(nn.Conv2d(inputs, 4 * outputs, 1), nn.PixelShuffle(2))
        for parameter in self.detail.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.smooth(x), scale_factor=2, mode="bilinear") + self.detail(x)


class FourierFill(Inpainter, paper_url="https://arxiv.org/abs/2109.07161"):
    """RGB inpainter; an output pixel may depend on any input pixel.

    Args:
        widths: features at 1/2, 1/4 and 1/8 of the resolution.
        blocks: Fourier blocks at 1/8.
    """

    channels = 3
    multiple_of = 8
    checkpoints = (
        Checkpoint(
            "fourier-fill",
            "Fourier fill",
            "Continues edges and textures into the hole, from what the whole picture shows.",
            "Faces, writing and whole objects: it does not know what things look like.",
            purpose="Scratches and thin holes",
        ),
    )

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96), blocks: int = 4):
        super().__init__()
        if len(widths) != 3 or min(widths) < 2 or blocks < 1:
            raise ValueError(f"three widths of at least 2 and one block or more are needed, got {widths}, {blocks}")
        fine, middle, coarse = widths
        self.receptive_field = 512  # the spectrum sees everything; larger pictures are filled around their holes
        self.fine_in = nn.Sequential(Gated(16, fine), Gated(fine, fine))
        self.middle_in = nn.Sequential(Gated(fine, middle, stride=2), Gated(middle, middle))
        self.deep = nn.Sequential(Gated(middle, coarse, stride=2), *(FourierBlock(coarse) for _ in range(blocks)))
        self.to_middle = Enlarge(coarse, middle)
        self.middle_out = Gated(middle, middle)
        self.to_fine = Enlarge(middle, fine)
        self.fine_out = nn.Sequential(Gated(fine, fine), nn.Conv2d(fine, 32, 3, padding=1), nn.PixelShuffle(2))
        self.correct = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1), nn.ELU(), nn.Conv2d(12, 3, 3, padding=1))
        for parameter in self.correct[-1].parameters():  # the untrained network is the diffusion fill
            nn.init.zeros_(parameter)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        filled = pull_push(image, mask)
        given = torch.cat([filled - 0.5, mask], dim=1)
        fine = self.fine_in(F.pixel_unshuffle(given, 2))
        middle = self.middle_in(fine)
        middle = self.middle_out(middle + self.to_middle(self.deep(middle)))
        fine = self.fine_out(fine + self.to_fine(middle))
        return filled + self.correct(torch.cat([fine, given], dim=1))
