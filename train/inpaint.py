"""Train an inpainter: a spatially discounted L1 first, then a critic joins, and VGG19 features if the recipe says so.

Weights that `--init` names have had the first stage: the critic joins at once.

    python -m train.inpaint deepfill --data FOLDER... --backbones FOLDER --minutes 60
    python -m train.inpaint fourier-fill --data FOLDER... --backbones FOLDER --vgg vgg19.safetensors --minutes 100

The best weights by validation LPIPS are kept.  Everything else is as in `train.denoise`.
"""

from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from restoration.files import write_grid
from restoration.metrics import Lpips
from restoration.random_holes import Holes
from restoration.restorer import Inpainter
from train.arguments import changed, command, run_arguments
from train.critics import PatchCritic, WassersteinCritics, off_grid
from train.data import Crops, split
from train.losses import SqueezeLpips, Vgg19, coarse_negative_psnr, discounted_l1, grid
from train.optimizers import Optimizers, learning_rate_factor
from train.precision import precision_of, prepared
from train.recipes.inpaint import RECIPES, holed
from train.run import Run

ZOOM = 2  # every other crop is reduced by this, so that more of a scene is seen
CRITICS = {"wasserstein": WassersteinCritics, "relativistic": PatchCritic}
VALIDATION_SIDE = 256


def main(argv: list[str] | None = None) -> None:
    parser = run_arguments(__doc__.split("\n")[0], "python -m train.inpaint", RECIPES, vgg=True)
    parser.add_argument("--backbones", type=Path, required=True, help="folder with the weights of LPIPS")
    arguments = parser.parse_args(argv)
    recipe = changed(RECIPES[arguments.model], arguments)
    accelerator = prepared(recipe, arguments)
    largest = ZOOM * max(recipe.crop, recipe.late_crop)
    crops, validation, data = split(arguments.data, 3, largest, VALIDATION_SIDE, accelerator)
    lpips = Lpips(arguments.backbones).to(accelerator.device)

    vgg = (
        Vgg19(arguments.vgg, precision_of(accelerator) == "bf16").to(accelerator.device)
        if recipe.perceptual_weight
        else None
    )
    squeeze = SqueezeLpips(arguments.backbones).to(accelerator.device) if recipe.lpips_weight else None

    run = Run(arguments, accelerator, recipe, data, lambda model: recipe.validate(model, validation, lpips))
    torch.manual_seed(arguments.seed)
    critic = CRITICS[recipe.critic](3, recipe.critic_width).to(run.device)
    critic_optimizers = Optimizers(critic, "adam", recipe.critic_rate, recipe.decay)
    run.keep("critic", critic, critic_optimizers)
    judge = accelerator.prepare(critic)

    period = recipe.build().multiple_of
    joins = 0.0 if arguments.init else recipe.adversarial_from
    for progress in run:
        generator = run.generator()
        count, size = recipe.crops_at(progress)
        clean = zoomed(crops, count, size, generator)
        mask = drawn(recipe.holes, count, size, generator)
        stages = run.network(clean * (1 - mask), mask)
        stages = stages if isinstance(stages, tuple) else (stages,)
        loss = recipe.pixel_weight * sum(discounted_l1(stage.float(), clean, mask) for stage in stages)
        if progress < joins:
            run.learn(loss, progress)
            continue

        filled = torch.where(mask.bool(), stages[-1].float(), clean)
        loss = loss + recipe.grid_weight * grid(filled, clean, period)
        loss = loss + recipe.coarse_weight * coarse_negative_psnr(filled, clean, mask)
        clean, filled, mask = off_grid(clean, filled, mask, generator=generator)
        if vgg:
            few = slice(recipe.compared)
            distance = vgg.distance(filled[few], clean[few], power=1, blocks=recipe.features)
            loss = loss + recipe.perceptual_weight * distance
        if squeeze:
            loss = loss + recipe.lpips_weight * squeeze(filled, clean).mean()
        critic.requires_grad_(False)
        with accelerator.autocast():
            likeness = critic.likeness(clean, filled, mask)
        run.learn(loss + recipe.adversarial_weight * likeness, progress)
        critic.requires_grad_(True)
        accelerator.backward(judge(clean, filled.detach(), mask, generator))
        critic_optimizers.step(learning_rate_factor(progress, run.step))

    if accelerator.is_main_process:
        write_samples(run.finish(), run.out / "grid.png", validation)
    accelerator.end_training()


def zoomed(crops: Crops, count: int, size: int, generator: Generator) -> Tensor:
    """Crops (count, C, size, size), half of them of larger windows that are reduced to this size."""
    reduced = count // 2
    wide = F.avg_pool2d(crops(reduced, ZOOM * size, generator), ZOOM)
    return torch.cat([crops(count - reduced, size, generator), wide])


def drawn(holes: tuple[Holes, ...], count: int, size: int, generator: Generator) -> Tensor:
    """Masks (count, 1, size, size), each of a kind that is drawn."""
    kinds = torch.stack([kind(count, (size, size), generator) for kind in holes])
    chosen = torch.randint(len(holes), (count,), generator=generator, device=generator.device)
    return kinds[chosen, torch.arange(count, device=generator.device)]


def write_samples(model: Inpainter, path: Path, images: list[Tensor]) -> None:
    """A picture with rows of original, holed and filled validation crops."""
    rows = []
    for clean, mask in holed(images[:4]):
        rows.append([clean, clean * (1 - mask) + mask, model.restore(clean, mask)])
    height, width = (min(row[0].shape[axis] for row in rows) for axis in (2, 3))
    write_grid(path, [[picture[..., :height, :width] for picture in row] for row in rows])


if __name__ == "__main__":
    command(main)
