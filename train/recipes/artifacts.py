"""How the artifact removers are trained."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from restoration.degradations import Jpeg, Rounding
from restoration.jpeg import compressed
from restoration.metrics import Lpips, psnr
from restoration.models.drunet_artifacts import DRUNetArtifacts
from restoration.models.mwcnn import MWCNNArtifacts
from restoration.resampling import BICUBIC, BILINEAR, resized
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
        resized_share: probability that an image was made smaller or larger after it was saved, as pictures on the web
            are, to a size in `SIZES` of what it was; half of these are saved again then, with quality 60 or more.
    """

    low: int
    high: int
    clean_share: float = 0.05
    shifted_share: float = 0.25
    double_share: float = 0.15
    full_colour_share: float = 0.25
    grey_share: float = 0.0
    resized_share: float = 0.0
    MARGIN = 8  # pixels that are cut off
    SIZES = 0.5, 2.0
    AGAIN = 60  # lowest quality of what is saved again after it was resized

    def source(self, side: int) -> int:
        """The side of the clean images that images of a side are made of."""
        return self.MARGIN + (math.ceil(side / self.SIZES[0]) if self.resized_share else side)

    def __call__(self, clean: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Clean images (B, C, h, w), the damaged ones, and the lowest qualities (B, 1, 1, 1) of each.

        Args:
            clean: (B, C, source(h), source(w)) in [0, 1].
        """
        draw = torch.rand(len(clean), 10, generator=generator, device=clean.device).cpu().tolist()
        sizes = [[1.0] * 4] * len(clean)  # drawn where they are asked for, so that recipes without them stay
        if self.resized_share:
            sizes = torch.rand(len(clean), 4, generator=generator, device=clean.device).cpu().tolist()
        levels = (clean * 255).round().to(torch.uint8).cpu()
        done = [self._damaged(*drawn) for drawn in zip(levels, draw, sizes, strict=True)]
        wanted, damaged, qualities = zip(*done, strict=True)
        pictures = (torch.stack(images).to(clean.device).float() / 255 for images in (wanted, damaged))
        return *pictures, torch.tensor(qualities, device=clean.device).view(-1, 1, 1, 1)

    def _damaged(self, source: Tensor, draw: list[float], sizes: list[float]) -> tuple[Tensor, Tensor, int]:
        """A clean uint8 image (C, h, w) made of a source, a damaged one, and the lowest quality."""
        shares, (first, second), places = draw[:5], draw[5:7], draw[7:]
        reduction = self.SIZES[0] if self.resized_share else 1
        height, width = (int((length - self.MARGIN) * reduction) for length in source.shape[1:])
        if shares[0] < self.grey_share:
            source = source[:1].expand_as(source)
        grey = shares[0] < self.grey_share or len(source) == 1
        subsampling = "4:4:4" if shares[1] < self.full_colour_share else "4:2:0"

        def save(picture: Tensor, where: float, low: int = self.low) -> tuple[Tensor, int]:
            quality = low + int(where * (self.high + 1 - low))
            return compressed(picture[:1] if grey else picture, quality, subsampling).expand_as(picture), quality

        top, left = (int(place * self.MARGIN) for place in places[:2])
        shifted = (..., slice(top, top + height), slice(left, left + width))
        image = source[:, : height + self.MARGIN, : width + self.MARGIN]
        reference = image[shifted]
        if shares[2] < self.clean_share:
            return reference, reference, 100
        if sizes[0] < self.resized_share:
            reference, result, quality = self._resized(source, (height, width), partial(save, where=first), sizes)
            if sizes[3] < 0.5:
                result, again = save(result, second, self.AGAIN)
                quality = min(quality, again)
            return reference, result, quality
        if shares[3] < self.shifted_share:
            result, quality = save(image, first)
            return reference, result[shifted], quality
        if shares[4] < self.double_share:
            result, quality = save(image, first)
            result, again = save(result[shifted], second)
            return reference, result, min(quality, again)
        return reference, *save(reference, first)

    def _resized(
        self, source: Tensor, size: tuple[int, int], save: Callable[[Tensor], tuple[Tensor, int]], draw: list[float]
    ) -> tuple[Tensor, Tensor, int]:
        """An image of a size and one that was saved before it was brought to that size, with the quality."""
        least, most = self.SIZES
        zoom = least * (most / least) ** draw[1]
        rows, columns = (math.ceil(length / zoom) + self.MARGIN for length in size)
        clean = source[:, :rows, :columns]
        damaged, quality = save(clean)
        pair = resized(torch.stack([clean, damaged]).float() / 255, zoom, BILINEAR if draw[2] < 0.3 else BICUBIC)
        top, left = ((length - kept) // 2 for length, kept in zip(pair.shape[-2:], size, strict=True))
        pair = pair[..., top : top + size[0], left : left + size[1]]
        return *(pair * 255).round().to(torch.uint8), quality


@dataclass(frozen=True, kw_only=True)
class ArtifactsRecipe(Recipe):
    """One artifact remover's training.

    Args:
        damage: what is done to clean crops.
        scored: JPEG qualities of the validation score, with the size that pictures are brought to afterwards.
        blind_share: probability that a model which takes a quality is not told it.
    """

    damage: RandomJpeg
    scored: tuple[tuple[int, float], ...] = ((10, 1.0), (20, 1.0), (30, 1.0), (40, 1.0))
    crop: int = 64
    late_crop: int = 128
    learning_rate: float = 2e-3
    loss: LossName | None = "psnr-rgb"
    first_loss: LossName | None = "l1"
    blind_share: float = 0.5

    def validate(self, model: ArtifactRemover, images: list[Tensor], lpips: Lpips | None = None) -> float:
        """Mean PSNR over clean uint8 images (C, H, W) and the recipe's qualities.

        A model that takes a quality is scored both with it and blind, on pictures that were resized only blind.
        """
        device = next(model.parameters()).device
        scores = []
        for quality, zoom in self.scored:
            for index, image in enumerate(images):
                clean = image[None].float() / 255
                if self.damage.grey_share and index % 4 == 3:  # every fourth as the grey picture of its red channel
                    clean = clean[:, :1]
                damaged = Jpeg(quality)(clean)
                if zoom != 1:
                    clean, damaged = (Rounding()(resized(picture, zoom)) for picture in (clean, damaged))
                damaged = damaged.to(device)
                for given in (quality, None) if model.takes_quality and zoom == 1 else (None,):
                    scores.append(float(psnr(with_channels(model, damaged, given).cpu(), clean)))
        return sum(scores) / len(scores)


RECIPES: dict[str, ArtifactsRecipe] = {
    "mwcnn-jpeg": ArtifactsRecipe(
        build=lambda: MWCNNArtifacts(channels=1, widths=(32, 64, 96), depth=3, rectified=True), damage=RandomJpeg(5, 60)
    ),
    "drunet-jpeg": ArtifactsRecipe(
        build=lambda: DRUNetArtifacts(channels=3, widths=(16, 32, 64, 128), blocks=1),
        damage=RandomJpeg(5, 95, grey_share=0.25, resized_share=0.25),
        scored=((10, 1.0), (20, 1.0), (30, 1.0), (40, 1.0), (20, 0.75), (40, 1.5), (60, 0.6)),
    ),
}
