"""How the upscalers are trained for exact pixels."""

from dataclasses import dataclass
from functools import partial
from itertools import product

from torch import Generator, Tensor

from restoration.degradations import (
    Blur,
    CameraNoise,
    Chain,
    Degradation,
    Downscale,
    FilmGrain,
    GaussianNoise,
    Jpeg,
    Rounding,
)
from restoration.metrics import Lpips, psnr_y
from restoration.models.compact import Compact
from restoration.models.photo_compact import PhotoCompact
from restoration.models.rrdb import RRDBNet
from restoration.models.srcnn import SRCNN
from restoration.models.unet_sr import UNetSR
from restoration.photo_damage import PhotoDamage
from restoration.restorer import Upscaler
from train.data import divisible
from train.recipes._recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class UpscaleRecipe(Recipe):
    """One upscaler's training; `crop` and `late_crop` are sides of the low-resolution input.

    Args:
        damage: makes the low resolution of a crop; None is bicubic reduction.
        scored: makes that of the images of the validation score, each in its turn.
        flat_share: share of the images that show one colour.
    """

    crop: int = 32
    late_crop: int = 64
    learning_rate: float = 2e-3
    damage: Degradation | None = None
    scored: tuple[Degradation | None, ...] = (None,)
    flat_share: float = 0.0

    def validate(self, model: Upscaler, images: list[Tensor], lpips: Lpips | None = None) -> float:
        """Mean of `score` over clean uint8 images (C, H, W) and what reduces them.

        That is PSNR-Y with `scale` border pixels cut, unless a recipe says otherwise.
        """
        device = next(model.parameters()).device
        scores = []
        for damage, image in product(self.scored, images):
            lr, hr = reduced(image, model.scale, damage)
            scores.append(self.score(model.restore(lr.to(device)), hr.to(device), model.scale, lpips))
        return sum(scores) / len(scores)

    def score(self, restored: Tensor, clean: Tensor, scale: int, lpips: Lpips | None) -> float:
        """Of one image, of what `validate` gives the mean."""
        return float(psnr_y(restored.cpu(), clean.cpu(), scale))


def reduced(image: Tensor, scale: int, damage: Degradation | None = None) -> tuple[Tensor, Tensor]:
    """A uint8 image (C, H, W) cut to a multiple of the scale, as (1, C, h, w) low and (1, C, H, W) high resolution.

    Args:
        damage: makes the low resolution, the same every time; None is bicubic reduction.
    """
    hr = divisible(image, scale)
    return (damage or Downscale(scale))(hr, Generator().manual_seed(0)), hr


def worn(scale: int, *steps: Degradation, blur: float = 0.0) -> Chain:
    """Blur, bicubic reduction, then the other steps, and what a file of 8 bits keeps of it."""
    return Chain((Blur(blur), Downscale(scale), *steps, Rounding()))


def _scored_photos(scale: int) -> tuple[Degradation | None, ...]:
    return (
        None,
        worn(scale, Jpeg(85)),
        worn(scale, Jpeg(55)),
        worn(scale, GaussianNoise(6 / 255)),
        worn(scale, FilmGrain(10 / 255, 0.9)),
        worn(scale, CameraNoise(1e-3, 1e-5, smoothing=0.5, colour_smoothing=1.0), Jpeg(80)),
        worn(scale, GaussianNoise(4 / 255), Jpeg(60), blur=0.3 * scale),
        PhotoDamage(scale, plain_share=0, twice_share=1),
    )


_PHOTO = {
    f"photo-x{scale}": UpscaleRecipe(
        build=build,
        loss="psnr",
        first_loss="l1",
        crop=32,
        late_crop=64,
        damage=PhotoDamage(scale, fine_share=0.4, film_share=0.25),
        scored=_scored_photos(scale),
        text_share=0.05,
        flat_share=0.03,
    )
    for scale, build in {
        2: partial(PhotoCompact, 2, 48, 10, cleaner_widths=(32, 64, 128), cleaner_blocks=2, cleaner_unshuffle=2),
        4: partial(Compact, 4, width=48, depth=10),
    }.items()
}

RECIPES: dict[str, UpscaleRecipe] = {
    **_PHOTO,
    **{
        f"compact-x{scale}": UpscaleRecipe(
            build=partial(Compact, scale, width=48, depth=10),
            loss="psnr",
            first_loss="l1",
            late_crop=32,
            flat_share=0.03,
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
