"""How the inpainters are trained."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Generator, Tensor

from restoration.metrics import Lpips
from restoration.models.deepfill import DeepFill
from restoration.models.fourier_fill import FourierFill
from restoration.random_holes import BoxHoles, Holes, StrokeHoles
from restoration.restorer import Inpainter
from train.losses import LossName
from train.recipes._recipe import Recipe

VALIDATION_HOLES = (StrokeHoles(0.1, 0.3), StrokeHoles(0.3, 0.5))


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
    metric = "lpips"
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

    @torch.inference_mode()
    def validate(self, model: Inpainter, images: list[Tensor], lpips: Lpips | None = None) -> float:
        """Mean LPIPS over clean uint8 images (C, H, W) with free-form holes filled; lower is better."""
        device = next(model.parameters()).device
        scores = []
        for clean, mask in holed(images):
            clean = clean.to(device)
            scores.append(float(lpips(model.restore(clean, mask.to(device)), clean)))
        return sum(scores) / len(scores)


def holed(images: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Clean images (1, C, H, W) in [0, 1] of uint8 ones with masks that are the same every time."""
    generator = Generator().manual_seed(0)
    pairs = []
    for index, image in enumerate(images):
        mask = VALIDATION_HOLES[index % len(VALIDATION_HOLES)](1, tuple(image.shape[1:]), generator)
        pairs.append((image[None].float() / 255, mask))
    return pairs


RECIPES: dict[str, InpaintRecipe] = {
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
