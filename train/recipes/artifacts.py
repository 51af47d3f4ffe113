"""How the artifact removers are trained."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from restoration.degradations import Jpeg
from restoration.jpeg import compressed
from restoration.metrics import Lpips, psnr
from restoration.models.drunet_artifacts import DRUNetArtifacts
from restoration.models.mwcnn import MWCNNArtifacts
from restoration.restorer import ArtifactRemover
from restoration.running import with_channels
from train.losses import LossName
from train.recipes._recipe import Recipe


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

    def validate(self, model: ArtifactRemover, images: list[Tensor], lpips: Lpips | None = None) -> float:
        """Mean PSNR over clean uint8 images (C, H, W) and the recipe's qualities.

        A model that takes a quality is scored both with it and blind.
        """
        device = next(model.parameters()).device
        scores = []
        for quality in self.scored_qualities:
            for index, image in enumerate(images):
                clean = image[None].float() / 255
                if self.damage.grey_share and index % 4 == 3:  # every fourth as the grey picture of its red channel
                    clean = clean[:, :1]
                damaged = Jpeg(quality)(clean).to(device)
                for given in (quality, None) if model.takes_quality else (None,):
                    scores.append(float(psnr(with_channels(model, damaged, given).cpu(), clean)))
        return sum(scores) / len(scores)


RECIPES: dict[str, ArtifactsRecipe] = {
    "mwcnn-jpeg": ArtifactsRecipe(
        build=lambda: MWCNNArtifacts(channels=1, widths=(32, 64, 96), depth=3, rectified=True), damage=RandomJpeg(5, 60)
    ),
    "drunet-jpeg": ArtifactsRecipe(
        build=lambda: DRUNetArtifacts(channels=3, widths=(16, 32, 64, 128), blocks=1),
        damage=RandomJpeg(5, 95, grey_share=0.25),
    ),
}
