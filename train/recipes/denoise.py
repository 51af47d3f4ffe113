"""How the denoisers are trained."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from restoration.degradations import (
    CameraNoise,
    Degradation,
    FilmGrain,
    GaussianNoise,
    Jpeg,
    Rounding,
    UniformNoise,
)
from restoration.metrics import Lpips, psnr
from restoration.models.cifar_autoencoder import CifarAutoencoder
from restoration.models.ct_autoencoder import CtAutoencoder
from restoration.models.drunet import DRUNet
from restoration.models.mwcnn import MWCNN
from restoration.models.photo_drunet import PhotoDRUNet
from restoration.models.xray_unet import XrayUNet
from restoration.restorer import Denoiser
from restoration.running import with_channels
from train.recipes._recipe import Recipe


class Noisy(NamedTuple):
    """Images of a batch, clean and with noise.

    Args:
        clean, noisy: (B, C, H, W).
        sigma: standard deviation of the noise on [0, 1], (B, 1, 1, 1) or (B, 1, H, W).
        white: where neighbouring pixels have nothing to do with each other, bool (B, 1, 1, 1).
    """

    clean: Tensor
    noisy: Tensor
    sigma: Tensor
    white: Tensor


@dataclass(frozen=True)
class RandomNoise:
    """A noise level drawn for each image, and the noise of that level.

    Args:
        low, high: range of the standard deviation on [0, 1], uniform.
        uniform_share: probability that an image gets uniform instead of Gaussian noise of that standard deviation.
        grey_share: probability that a colour image is made grey and gets the same noise in all channels, as a grey
            picture that a visitor brings has it; without it such noise passes for texture.
    """

    low: float
    high: float
    uniform_share: float = 0.0
    grey_share: float = 0.0

    def __call__(self, clean: Tensor, generator: Generator) -> Noisy:
        """Images with noise, and their levels (B, 1, 1, 1)."""
        draw = torch.rand(3, clean.shape[0], 1, 1, 1, generator=generator, device=clean.device)
        sigma = self.low + (self.high - self.low) * draw[0]
        noisy = GaussianNoise(sigma)(clean, generator)
        if self.uniform_share:
            uniform = UniformNoise(sigma * 3**0.5)(clean, generator)
            noisy = torch.where(draw[1] < self.uniform_share, uniform, noisy)
        grey = draw[2] < self.grey_share
        clean, noisy = (torch.where(grey, image[:, :1], image) for image in (clean, noisy))
        return Noisy(clean, noisy, sigma, torch.ones_like(sigma, dtype=torch.bool))


@dataclass(frozen=True)
class PhotoNoise:
    """Noise as photos have it: mostly a camera's, of any strength and smoothness, in part saved as JPEG.

    The ranges follow Brooks et al., arXiv:1811.11127, and Guo et al., arXiv:1807.04686; smoothness is that of real
    files, whose neighbouring pixels correlate by 0.4 to 0.7 in brightness and by 0.9 in colour.

    Args:
        white_share: probability of white Gaussian noise instead, of a standard deviation from 0 to `white_sigma`.
        film_share: probability of the grain of film instead, of a standard deviation from 0 to `film_sigma`, half of
            the time without colours.
        clean_share: probability of no noise at all.
        grain_size: range of `FilmGrain`'s `size`.
        shot, read: ranges of `CameraNoise`'s, logarithmically uniform.
        smoothing, colour_smoothing: ranges of `CameraNoise`'s.
        jpeg_share: probability that a noisy image is saved as JPEG of a quality in `qualities`, in half of the cases
            4:2:0 and else 4:4:4.
        grey_share: see `RandomNoise`.
    """

    white_share: float = 0.27
    white_sigma: float = 55 / 255
    film_share: float = 0.0
    film_sigma: float = 24 / 255
    grain_size: tuple[float, float] = (0.2, 1.6)
    clean_share: float = 0.08
    shot: tuple[float, float] = (6e-5, 1e-2)
    read: tuple[float, float] = (5e-7, 2e-4)
    smoothing: tuple[float, float] = (0.0, 1.3)
    colour_smoothing: tuple[float, float] = (0.4, 3.5)
    jpeg_share: float = 0.5
    qualities: tuple[int, int] = (60, 98)
    grey_share: float = 0.15

    def __call__(self, clean: Tensor, generator: Generator) -> Noisy:
        """Images with noise, and the levels that they have around every pixel (B, 1, H, W)."""

        def drawn(low: float = 0.0, high: float = 1.0) -> Tensor:
            return low + (high - low) * torch.rand(len(clean), 1, 1, 1, generator=generator, device=clean.device)

        camera = CameraNoise(
            shot=drawn(*map(math.log, self.shot)).exp(),
            read=drawn(*map(math.log, self.read)).exp(),
            red_gain=drawn(1.2, 2.6),
            blue_gain=drawn(1.2, 2.6),
            smoothing=drawn(*self.smoothing).clamp(min=0),
            colour_smoothing=drawn(*self.colour_smoothing),
            saturation=drawn(1.0, 1.5),
        )(clean, generator)
        white = GaussianNoise(drawn(0, self.white_sigma))(clean, generator)
        kind = drawn()
        is_white = kind < self.white_share
        colour = drawn(-1, 1).clamp(min=0)
        film = FilmGrain(drawn(0, self.film_sigma), drawn(*self.grain_size), colour)(clean, generator)
        of_files = Rounding()(torch.where(kind < self.white_share + self.film_share, film, camera))
        noisy = torch.where(is_white, white, of_files)
        grey = drawn() < self.grey_share
        clean, noisy = (torch.where(grey, image[:, :1], image) for image in (clean, noisy))
        saved = drawn() < self.jpeg_share
        for index, (quality, half) in enumerate(zip(drawn(*self.qualities), drawn() < 0.5, strict=True)):
            if saved[index]:
                jpeg = Jpeg(round(float(quality)), "4:2:0" if half else "4:4:4")
                noisy[index : index + 1] = jpeg(noisy[index : index + 1])
        noisy = torch.where(kind > 1 - self.clean_share, clean, noisy)
        return Noisy(clean, noisy, level_around(noisy - clean), is_white)


LEVEL_CELL = 4  # a level is known for squares of so many pixels a side


def level_around(noise: Tensor) -> Tensor:
    """Root mean square of the noise (B, C, H, W) in the 5 x 5 squares around every pixel's own, (B, 1, H, W)."""
    squares = F.avg_pool2d(noise.square().mean(1, keepdim=True), LEVEL_CELL)
    around = F.avg_pool2d(squares, 5, 1, padding=2, count_include_pad=False).sqrt()
    return F.interpolate(around, scale_factor=LEVEL_CELL, mode="nearest")


@dataclass(frozen=True, kw_only=True)
class DenoiseRecipe(Recipe):
    """One denoiser's training.

    Args:
        noise: what is added to clean crops.
        scored: what is added to the images of the validation score.
        blind_share: probability that a model which takes a noise level is not told it.
        blind_from: share of the run after which it is blind at all.
        told_factors: by what the level that it is told may be wrong; white noise hides all of what it is, other noise
            less, so that is told `smooth_factors`.
        kept_share: probability that a model which takes a noise level is told 0 and shall give back what it is given.
        over_share: probability that a model which estimates noise levels is told more than the truth and shall remove
            more; see `train.denoise.told_more`.
        shift_weight: of the mean difference of each image's channels, so that colours stay as they are.
    """

    noise: RandomNoise | PhotoNoise
    scored: tuple[Degradation, ...]
    crop: int = 64
    late_crop: int = 128
    learning_rate: float = 4e-3
    blind_share: float = 0.3
    blind_from: float = 0.0
    told_factors: tuple[float, float] = (1.0, 1.0)
    smooth_factors: tuple[float, float] = (1.0, 1.0)
    kept_share: float = 0.0
    over_share: float = 0.0
    shift_weight: float = 0.0

    def level_given(self, sigma: Tensor, white: Tensor, progress: float, generator: Generator) -> Tensor:
        """What a model is told of the levels of `Noisy`, (B, 1, H, W) or (B, 1, 1, 1); negative where it is blind.

        Of levels that differ from place to place, half of the images are told the one that a visitor would set, the
        root of the mean square.
        """
        draw = torch.rand(4, len(sigma), 1, 1, 1, generator=generator, device=sigma.device)
        whole = sigma.square().mean((2, 3), keepdim=True).sqrt()
        low, high = (torch.where(white, *pair) for pair in zip(self.told_factors, self.smooth_factors, strict=True))
        given = torch.where(draw[0] < 0.5, whole, sigma) * (low + (high - low) * draw[1])
        blind = draw[2] < (self.blind_share if progress >= self.blind_from else 0)
        given = torch.where(blind, Denoiser.UNKNOWN_SIGMA, given)
        return torch.where(draw[3] < self.kept_share, 0, given)

    def told_too_much(self, count: int, generator: Generator) -> Tensor:
        """Which of `count` images are told more than the truth, as booleans."""
        if not self.over_share:
            return torch.zeros(count, dtype=torch.bool, device=generator.device)
        return torch.rand(count, generator=generator, device=generator.device) < self.over_share

    def validate(self, model: Denoiser, images: list[Tensor], lpips: Lpips | None = None) -> float:
        """Mean PSNR over clean uint8 images (C, H, W) and what the recipe adds to them, the same every time.

        A model that takes a noise level is scored both with it and blind.
        """
        device = next(model.parameters()).device
        scores = []
        for noise in self.scored:
            for index, image in enumerate(images):
                clean = image[None].float() / 255
                if self.noise.grey_share and index % 4 == 3:  # every fourth as the grey picture of its red channel
                    clean = clean[:, :1]
                noisy = noise(clean, torch.Generator().manual_seed(0)).to(device)
                level = float((noisy.cpu() - clean).square().mean().sqrt())
                for given in (level, None) if model.takes_sigma else (None,):
                    scores.append(float(psnr(with_channels(model, noisy, given).cpu(), clean)))
        return sum(scores) / len(scores)


def _gaussian(*sigmas_255: float) -> tuple[GaussianNoise, ...]:
    return tuple(GaussianNoise(sigma / 255) for sigma in sigmas_255)


_ANY_LEVEL = {"noise": RandomNoise(0, 55 / 255), "scored": _gaussian(15, 25, 50)}
_ANY_LEVEL_COLOUR = {**_ANY_LEVEL, "noise": RandomNoise(0, 55 / 255, grey_share=0.25)}

RECIPES: dict[str, DenoiseRecipe] = {
    "drunet-photo": DenoiseRecipe(
        build=lambda: PhotoDRUNet(channels=3, widths=(32, 64, 128), blocks=2, unshuffle=2),
        learning_rate=2e-3,
        noise=PhotoNoise(white_share=0.38, film_share=0.12),
        scored=(
            CameraNoise(1e-3, 1e-5, smoothing=0.7, colour_smoothing=2.0),
            CameraNoise(8e-3, 1e-4, smoothing=0.4, colour_smoothing=1.5),
            FilmGrain(10 / 255, 0.9),
            GaussianNoise(25 / 255),
        ),
        blind_share=0.4,
        blind_from=0.4,
        told_factors=(0.9, 1.1),
        smooth_factors=(0.75, 1.05),
        kept_share=0.06,
        over_share=0.12,
        shift_weight=0.3,
        text_share=0.06,
    ),
    "drunet-fast": DenoiseRecipe(
        build=lambda: DRUNet(channels=3, widths=(32, 64, 128), blocks=2, unshuffle=2),
        learning_rate=2e-3,
        **_ANY_LEVEL_COLOUR,
    ),
    "mwcnn-color": DenoiseRecipe(
        build=lambda: MWCNN(channels=3, widths=(32, 64, 96), depth=3),
        learning_rate=3e-3,
        **_ANY_LEVEL_COLOUR,
    ),
    "mwcnn-gray": DenoiseRecipe(
        build=lambda: MWCNN(channels=1, widths=(32, 64, 96), depth=3), learning_rate=3e-3, **_ANY_LEVEL
    ),
    "xray-unet": DenoiseRecipe(
        build=XrayUNet,
        noise=RandomNoise(0.02, 0.2, uniform_share=0.5),
        scored=(GaussianNoise(0.1), UniformNoise(0.1 * 3**0.5)),
        loss="bce",
    ),
    "ct-autoencoder": DenoiseRecipe(
        build=CtAutoencoder, noise=RandomNoise(0.07, 0.07), scored=(GaussianNoise(0.07),), loss="mse"
    ),
    "cifar-autoencoder": DenoiseRecipe(
        build=CifarAutoencoder,
        noise=RandomNoise(0.2, 0.2),
        scored=(GaussianNoise(0.2),),
        loss="mse",
        crop=32,
        late_crop=32,
        batch=64,
        optimizer="adam",
        learning_rate=1e-3,
        decay=1e-5,
    ),
}
