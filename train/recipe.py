"""How each bundled checkpoint is trained: architecture, degradation, loss and optimiser, all in one frozen record."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from restoration.degradations import (
    Blur,
    BoxHoles,
    CameraNoise,
    Chain,
    Degradation,
    Downscale,
    GaussianNoise,
    Holes,
    Jpeg,
    Rounding,
    StrokeHoles,
    UniformNoise,
)
from restoration.jpeg import compressed
from restoration.models.cifar_autoencoder import CifarAutoencoder
from restoration.models.compact import Compact
from restoration.models.ct_autoencoder import CtAutoencoder
from restoration.models.deepfill import DeepFill
from restoration.models.drunet import DRUNet
from restoration.models.drunet_artifacts import DRUNetArtifacts
from restoration.models.fourier_fill import FourierFill
from restoration.models.mwcnn import MWCNN, MWCNNArtifacts
from restoration.models.photo_drunet import PhotoDRUNet
from restoration.models.rrdb import RRDBNet
from restoration.models.srcnn import SRCNN
from restoration.models.unet_sr import UNetSR
from restoration.models.xray_unet import XrayUNet
from restoration.photo_damage import PhotoDamage
from restoration.restorer import Denoiser, Restorer
from train.losses import LossName

FIRST = 1 / 3  # share of the run that `first_loss` is for
LATE = 0.67  # share of the run after which the larger crops come


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

    def __call__(self, clean: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """The clean images, the noisy ones, and their levels (B, 1, 1, 1)."""
        draw = torch.rand(3, clean.shape[0], 1, 1, 1, generator=generator, device=clean.device)
        sigma = self.low + (self.high - self.low) * draw[0]
        noisy = GaussianNoise(sigma)(clean, generator)
        if self.uniform_share:
            uniform = UniformNoise(sigma * 3**0.5)(clean, generator)
            noisy = torch.where(draw[1] < self.uniform_share, uniform, noisy)
        grey = draw[2] < self.grey_share
        return *(torch.where(grey, image[:, :1], image) for image in (clean, noisy)), sigma


@dataclass(frozen=True)
class PhotoNoise:
    """Noise as photos have it: mostly a camera's, of any strength and smoothness, in part saved as JPEG.

    The ranges follow Brooks et al., arXiv:1811.11127, and Guo et al., arXiv:1807.04686; smoothness is that of real
    files, whose neighbouring pixels correlate by 0.4 to 0.7 in brightness and by 0.9 in colour.

    Args:
        white_share: probability of white Gaussian noise instead, of a standard deviation from 0 to `white_sigma`.
        clean_share: probability of no noise at all.
        shot, read: ranges of `CameraNoise`'s, logarithmically uniform.
        smoothing: largest of `CameraNoise`'s; a third of the images has none.
        colour_smoothing: range of `CameraNoise`'s.
        jpeg_share: probability that a noisy image is saved as JPEG of a quality in `qualities`, in half of the cases
            4:2:0 and else 4:4:4.
        grey_share: see `RandomNoise`.
    """

    white_share: float = 0.27
    white_sigma: float = 55 / 255
    clean_share: float = 0.08
    shot: tuple[float, float] = (6e-5, 1e-2)
    read: tuple[float, float] = (5e-7, 2e-4)
    smoothing: float = 1.2
    colour_smoothing: tuple[float, float] = (0.0, 2.2)
    jpeg_share: float = 0.4
    qualities: tuple[int, int] = (60, 98)
    grey_share: float = 0.15

    def __call__(self, clean: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """The clean images, the noisy ones, and the levels that they have around every pixel (B, 1, H, W)."""

        def drawn(low: float = 0.0, high: float = 1.0) -> Tensor:
            return low + (high - low) * torch.rand(len(clean), 1, 1, 1, generator=generator, device=clean.device)

        camera = CameraNoise(
            shot=drawn(*map(math.log, self.shot)).exp(),
            read=drawn(*map(math.log, self.read)).exp(),
            red_gain=drawn(1.2, 2.6),
            blue_gain=drawn(1.2, 2.6),
            smoothing=drawn(-self.smoothing / 2, self.smoothing).clamp(min=0),
            colour_smoothing=drawn(*self.colour_smoothing),
            saturation=drawn(1.0, 1.5),
        )(clean, generator)
        white = GaussianNoise(drawn(0, self.white_sigma))(clean, generator)
        kind = drawn()
        noisy = torch.where(kind < self.white_share, white, Rounding()(camera))
        grey = drawn() < self.grey_share
        clean, noisy = (torch.where(grey, image[:, :1], image) for image in (clean, noisy))
        saved = drawn() < self.jpeg_share
        for index, (quality, half) in enumerate(zip(drawn(*self.qualities), drawn() < 0.5, strict=True)):
            if saved[index]:
                jpeg = Jpeg(round(float(quality)), "4:2:0" if half else "4:4:4")
                noisy[index : index + 1] = jpeg(noisy[index : index + 1])
        noisy = torch.where(kind > 1 - self.clean_share, clean, noisy)
        return clean, noisy, level_around(noisy - clean)


LEVEL_CELL = 4  # a level is known for squares of so many pixels a side


def level_around(noise: Tensor) -> Tensor:
    """Root mean square of the noise (B, C, H, W) in the 5 x 5 squares around every pixel's own, (B, 1, H, W)."""
    squares = F.avg_pool2d(noise.square().mean(1, keepdim=True), LEVEL_CELL)
    around = F.avg_pool2d(squares, 5, 1, padding=2, count_include_pad=False).sqrt()
    return F.interpolate(around, scale_factor=LEVEL_CELL, mode="nearest")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every training has.

    Args:
        build: makes the untrained model.
        crop: side of the model's input in training; the last third of the run uses `late_crop`.
        batch: crops of side `crop` for each step and process.
        optimizer: "muon" orthogonalises the updates of the hidden convolutions (Jordan et al. 2024) and trains the
            first and last layers with AdamW.
        decay: weight decay of Adam and AdamW.
        clip: largest norm of the gradient.
        ema: decay of the running average of the weights, which is what gets validated and kept.
        loss: a name that `train.losses.build_loss` knows; None where the script has a loss of its own.
        first_loss: the loss of the first third of the run, if it is another.
        patience: the run ends after so many validations in a row without a better score; None never.
        text_share: share of the images that show rendered text and interface.
    """

    build: Callable[[], Restorer]
    crop: int
    late_crop: int
    batch: int = 16
    optimizer: Literal["adam", "adamw", "muon"] = "muon"
    learning_rate: float
    decay: float = 0.0
    clip: float = 1.0
    ema: float = 0.999
    loss: LossName | None = "l1"
    first_loss: LossName | None = None
    patience: int | None = None
    text_share: float = 0.0

    def crops_at(self, progress: float) -> tuple[int, int]:
        """How many crops a step takes and their side, at a share of the run; the pixels of a step stay the same."""
        size = self.crop if progress < LATE else self.late_crop
        return max(1, self.batch * self.crop**2 // size**2), size

    def loss_at(self, progress: float) -> LossName | None:
        """The loss at a share of the run."""
        return self.first_loss if self.first_loss and progress < FIRST else self.loss


@dataclass(frozen=True, kw_only=True)
class DenoiseRecipe(Recipe):
    """One denoiser's training.

    Args:
        noise: what is added to clean crops.
        scored: what is added to the images of the validation score.
        blind_share: probability that a model which takes a noise level is not told it.
        blind_from: share of the run after which it is blind at all.
        told_factors: by what the level that it is told may be wrong.
        kept_share: probability that a model which takes a noise level is told 0 and shall give back what it is given.
    """

    noise: RandomNoise | PhotoNoise
    scored: tuple[Degradation, ...]
    crop: int = 64
    late_crop: int = 128
    learning_rate: float = 4e-3
    blind_share: float = 0.3
    blind_from: float = 0.0
    told_factors: tuple[float, float] = (1.0, 1.0)
    kept_share: float = 0.0

    def level_given(self, sigma: Tensor, progress: float, generator: Generator) -> Tensor:
        """What a model is told of the levels (B, 1, H, W) or (B, 1, 1, 1); negative where it is blind.

        Of levels that differ from place to place, half of the images are told the one that a visitor would set, the
        root of the mean square.
        """
        draw = torch.rand(4, len(sigma), 1, 1, 1, generator=generator, device=sigma.device)
        whole = sigma.square().mean((2, 3), keepdim=True).sqrt()
        low, high = self.told_factors
        given = torch.where(draw[0] < 0.5, whole, sigma) * (low + (high - low) * draw[1])
        blind = draw[2] < (self.blind_share if progress >= self.blind_from else 0)
        given = torch.where(blind, Denoiser.UNKNOWN_SIGMA, given)
        return torch.where(draw[3] < self.kept_share, 0, given)


def _gaussian(*sigmas_255: float) -> tuple[GaussianNoise, ...]:
    return tuple(GaussianNoise(sigma / 255) for sigma in sigmas_255)


_ANY_LEVEL = {"noise": RandomNoise(0, 55 / 255), "scored": _gaussian(15, 25, 50)}
_ANY_LEVEL_COLOUR = {**_ANY_LEVEL, "noise": RandomNoise(0, 55 / 255, grey_share=0.25)}

DENOISE: dict[str, DenoiseRecipe] = {
    "drunet-photo": DenoiseRecipe(
        build=lambda: PhotoDRUNet(channels=3, widths=(32, 64, 128), blocks=2, unshuffle=2),
        learning_rate=2e-3,
        noise=PhotoNoise(),
        scored=(
            CameraNoise(1e-3, 1e-5, smoothing=0.5, colour_smoothing=1.5),
            CameraNoise(8e-3, 1e-4, smoothing=0.3, colour_smoothing=1.0),
            GaussianNoise(25 / 255),
        ),
        blind_share=0.4,
        blind_from=0.4,
        told_factors=(0.9, 1.1),
        kept_share=0.06,
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


@dataclass(frozen=True)
class RandomJpeg:
    """JPEG compression of a quality drawn for each image.

    Args:
        low, high: range of the qualities, uniform.
        clean_share: probability that an image is left as it is, which counts as quality 100.
        shifted_share: of the others, that the 8x8 grid does not begin at the image's corner, as after cutting.
        double_share: of those on the corner's grid, that the image was saved before, on another grid and with another
            quality.
        full_colour_share: probability of full resolution for the colours, instead of half (4:2:0).
        grey_share: probability that a colour image is made grey first.
    """

    low: int
    high: int
    clean_share: float = 0.05
    shifted_share: float = 0.25
    double_share: float = 0.15
    full_colour_share: float = 0.25
    grey_share: float = 0.0
    MARGIN = 8  # pixels that are cut off

    def __call__(self, clean: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Clean images (B, C, H - 8, W - 8), the damaged ones, and the lowest qualities (B, 1, 1, 1) of each."""
        draw = torch.rand(len(clean), 10, generator=generator, device=clean.device).cpu()
        bytes_ = (clean * 255).round().to(torch.uint8).cpu()
        side = [length - self.MARGIN for length in clean.shape[-2:]]
        wanted, damaged, qualities = [], [], []
        for image, row in zip(bytes_, draw.tolist(), strict=True):
            shares, (first, second), places = row[:5], row[5:7], row[7:]
            if shares[0] < self.grey_share:
                image = image[:1].expand_as(image)
            grey = shares[0] < self.grey_share or len(image) == 1
            subsampling = "4:4:4" if shares[1] < self.full_colour_share else "4:2:0"

            def saved(picture: Tensor, where: float, grey=grey, subsampling=subsampling) -> tuple[Tensor, int]:
                quality = self.low + int(where * (self.high + 1 - self.low))
                return compressed(picture[:1] if grey else picture, quality, subsampling).expand_as(picture), quality

            top, left = (int(place * self.MARGIN) for place in places[:2])
            shifted = (..., slice(top, top + side[0]), slice(left, left + side[1]))
            reference, quality = image[shifted], 100
            if shares[2] < self.clean_share:
                result = reference
            elif shares[3] < self.shifted_share:
                result, quality = saved(image, first)
                result = result[shifted]
            elif shares[4] < self.double_share:
                result, quality = saved(image, first)
                result, again = saved(result[shifted], second)
                quality = min(quality, again)
            else:
                result, quality = saved(reference, first)
            wanted.append(reference)
            damaged.append(result)
            qualities.append(quality)
        pictures = (torch.stack(images).to(clean.device).float() / 255 for images in (wanted, damaged))
        return *pictures, torch.tensor(qualities, device=clean.device).view(-1, 1, 1, 1)


@dataclass(frozen=True, kw_only=True)
class ArtifactsRecipe(Recipe):
    """One artifact remover's training.

    Args:
        damage: what is done to clean crops.
        scored_qualities: of the validation score.
        blind_share: probability that a model which takes a quality is not told it.
    """

    damage: RandomJpeg
    scored_qualities: tuple[int, ...] = (10, 20, 30, 40)
    crop: int = 64
    late_crop: int = 128
    learning_rate: float = 2e-3
    loss: LossName | None = "psnr-rgb"
    first_loss: LossName | None = "l1"
    blind_share: float = 0.5


ARTIFACTS: dict[str, ArtifactsRecipe] = {
    "mwcnn-jpeg": ArtifactsRecipe(
        build=lambda: MWCNNArtifacts(channels=1, widths=(32, 64, 96), depth=3, rectified=True), damage=RandomJpeg(5, 60)
    ),
    "drunet-jpeg": ArtifactsRecipe(
        build=lambda: DRUNetArtifacts(channels=3, widths=(16, 32, 64, 128), blocks=1),
        damage=RandomJpeg(5, 95, grey_share=0.25),
    ),
}


@dataclass(frozen=True, kw_only=True)
class UpscaleRecipe(Recipe):
    """One upscaler's training; `crop` and `late_crop` are sides of the low-resolution input.

    Args:
        damage: makes the low resolution of a crop; None is bicubic reduction.
        scored: makes that of the images of the validation score, each in its turn.
    """

    crop: int = 32
    late_crop: int = 64
    learning_rate: float = 2e-3
    damage: Degradation | None = None
    scored: tuple[Degradation | None, ...] = (None,)


def worn(scale: int, *steps: Degradation, blur: float = 0.0) -> Chain:
    """Blur, bicubic reduction, then the other steps, and what a file of 8 bits keeps of it."""
    return Chain((Blur(blur), Downscale(scale), *steps, Rounding()))


def _scored_photos(scale: int) -> tuple[Degradation | None, ...]:
    return (
        None,
        worn(scale, Jpeg(85)),
        worn(scale, Jpeg(55)),
        worn(scale, GaussianNoise(6 / 255)),
        worn(scale, CameraNoise(1e-3, 1e-5, smoothing=0.5, colour_smoothing=1.0), Jpeg(80)),
        worn(scale, GaussianNoise(4 / 255), Jpeg(60), blur=0.3 * scale),
        PhotoDamage(scale, plain_share=0, twice_share=1),
    )


_PHOTO = {
    f"photo-x{scale}": UpscaleRecipe(
        build=partial(Compact, scale, width=48, depth=10),
        loss="psnr",
        first_loss="l1",
        crop=32,
        late_crop=64,
        damage=PhotoDamage(scale),
        scored=_scored_photos(scale),
        text_share=0.05,
    )
    for scale in (2, 4)
}

UPSCALE: dict[str, UpscaleRecipe] = {
    **_PHOTO,
    **{
        f"compact-x{scale}": UpscaleRecipe(
            build=partial(Compact, scale, width=48, depth=10), loss="psnr", first_loss="l1", late_crop=32
        )
        for scale in (2, 3, 4)
    },
    **{
        f"srcnn-x{scale}": UpscaleRecipe(build=partial(SRCNN, scale), loss="mse", late_crop=32, patience=10)
        for scale in (2, 3, 4)
    },
    "unet-sr-x4": UpscaleRecipe(
        build=partial(UNetSR, 4, widths=(24, 32, 64, 96, 128)), loss="mse", first_loss="vgg+mse", late_crop=48
    ),
    "rrdb-x4": UpscaleRecipe(build=partial(RRDBNet, 4, width=32, blocks=2)),
}


@dataclass(frozen=True, kw_only=True)
class EsrganRecipe(UpscaleRecipe):
    """An upscaler's adversarial stage; the loss is the VGG19 distance and the three terms that have a weight.

    Args:
        adversarial_weight: of the relativistic adversarial loss.
        pixel_weight: of the mean absolute difference of the pixels.
        grid_weight: of the pattern that repeats with every pixel of the input, `train.losses.grid`.
        features: blocks of VGG19 whose features are compared, with weight 1.
        critic_width: features of the first layer of `train.critics.FeatureCritic`.
    """

    loss: LossName | None = None
    adversarial_weight: float = 0.3
    pixel_weight: float = 1e-2
    grid_weight: float = 1.0
    features: tuple[int, ...] = (3,)
    critic_width: int = 32


ESRGAN: dict[str, EsrganRecipe] = {
    "esrgan-x4": EsrganRecipe(
        build=UPSCALE["rrdb-x4"].build,
        crop=24,
        late_crop=32,
        batch=8,
        optimizer="adam",
        learning_rate=2e-4,
        ema=0.995,
    ),
    "photo-gan-x4": EsrganRecipe(
        build=UPSCALE["photo-x4"].build,
        damage=UPSCALE["photo-x4"].damage,
        scored=UPSCALE["photo-x4"].scored,
        text_share=UPSCALE["photo-x4"].text_share,
        crop=32,
        late_crop=32,
        batch=4,
        optimizer="adam",
        learning_rate=2e-4,
        adversarial_weight=0.2,
    ),
}


@dataclass(frozen=True, kw_only=True)
class InpaintRecipe(Recipe):
    """One inpainter's training.

    Crops are so large because holes are: in smaller ones few pixels lie as far from known ones as in a visitor's hole.

    Args:
        holes: what is missing; every crop draws one of them.
        adversarial_from: share of the run after which the critic joins, and the features of VGG19.
        critic: "wasserstein" are DeepFill's two with gradient penalty, "relativistic" judges each place at a hole.
        critic_width: features of the critic's first layer.
        critic_rate: learning rate of the critic, which Adam trains.
        adversarial_weight: of the critic's judgement in the inpainter's loss.
        perceptual_weight: of the distance of VGG19 features.
        features: blocks of VGG19 whose features are compared.
        compared: of how many crops a step these are compared, since VGG19 costs most of it; None is all.
        lpips_weight: of LPIPS on SqueezeNet.
        pixel_weight: of the discounted L1.
        coarse_weight: of the mean decibels of what is coarser than 4 pixels, `train.losses.coarse_negative_psnr`.
        grid_weight: of the pattern in the holes that repeats with the model's coarsest stride, `train.losses.grid`.
    """

    holes: tuple[Holes, ...] = (StrokeHoles(0.05, 0.5), BoxHoles(0.05, 0.35))
    crop: int = 160
    late_crop: int = 160
    batch: int = 2
    optimizer: Literal["adam", "adamw", "muon"] = "adam"
    learning_rate: float = 3e-4
    loss: LossName | None = None
    adversarial_from: float = 0.5
    critic: Literal["wasserstein", "relativistic"] = "wasserstein"
    critic_width: int = 32
    critic_rate: float = 4e-4
    adversarial_weight: float = 1e-3
    perceptual_weight: float = 0.0
    features: tuple[int, ...] = (2, 3)
    compared: int | None = None
    lpips_weight: float = 0.0
    pixel_weight: float = 1.0
    coarse_weight: float = 0.0
    grid_weight: float = 2.0


INPAINT: dict[str, InpaintRecipe] = {
    # Without the features of VGG19 short runs grow smoother and worse by LPIPS, critics or not.
    "deepfill": InpaintRecipe(
        build=partial(DeepFill, 16),
        adversarial_from=0.0,
        adversarial_weight=5e-3,
        perceptual_weight=0.8,
        compared=1,
        lpips_weight=0.5,
        pixel_weight=5.0,  # with less, holes take on a colour of their own
        coarse_weight=0.03,
        grid_weight=20.0,
    ),
    "fourier-fill": InpaintRecipe(
        build=FourierFill,
        adversarial_from=0.4,
        critic="relativistic",
        adversarial_weight=5e-3,
        perceptual_weight=0.3,
        grid_weight=20.0,  # with less, the detail of its enlarging becomes a pattern of 8 pixels
    ),
}
