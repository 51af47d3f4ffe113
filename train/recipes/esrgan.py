"""How upscalers are trained against a critic."""

from dataclasses import dataclass

import torch
from torch import Tensor

from restoration.metrics import Lpips
from train.losses import LossName
from train.recipes.upscale import RECIPES as UPSCALE
from train.recipes.upscale import UpscaleRecipe


@dataclass(frozen=True, kw_only=True)
class EsrganRecipe(UpscaleRecipe):
    """An upscaler's adversarial stage; the loss is the VGG19 distance and the three terms that have a weight.

    Args:
        adversarial_weight: of the relativistic adversarial loss.
        pixel_weight: of the mean absolute difference of the pixels.
        grid_weight: of the pattern that repeats with every pixel of the input, `train.losses.grid`.
        grid_window: of that loss.
        features: blocks of VGG19 whose features are compared, with weight 1.
        critic_width: features of the first layer of `train.critics.FeatureCritic`.
    """

    metric = "lpips"
    loss: LossName | None = None
    adversarial_weight: float = 0.3
    pixel_weight: float = 1e-2
    grid_weight: float = 1.0
    grid_window: int | None = None
    features: tuple[int, ...] = (3,)
    critic_width: int = 32

    @torch.inference_mode()
    def score(self, restored: Tensor, clean: Tensor, scale: int, lpips: Lpips | None) -> float:
        """LPIPS; lower is better."""
        return float(lpips(restored, clean))


RECIPES: dict[str, EsrganRecipe] = {
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
        pixel_weight=0.3,
        grid_weight=10.0,
        grid_window=8,
    ),
}
