"""Train an upscaler against a discriminator, from weights that were trained for exact pixels.

    python -m train.esrgan esrgan-x4 --data FOLDER... --init checkpoints/rrdb-x4 --backbones FOLDER --minutes 60
    python -m train.esrgan photo-gan-x4 --data FOLDER... --init checkpoints/photo-x4 --backbones FOLDER --minutes 60

The best weights by validation LPIPS are kept.  Everything else is as in `train.upscale`.
"""

from pathlib import Path

import torch
from torch.nn import functional as F

from restoration.metrics import Lpips
from train.arguments import changed, command, run_arguments
from train.critics import FeatureCritic, off_grid
from train.data import split
from train.losses import Vgg19, feature_distance, grid
from train.optimizers import Optimizers, learning_rate_factor
from train.precision import precision_of, prepared
from train.recipes.esrgan import RECIPES
from train.run import Run
from train.upscale import MARGIN, VALIDATION_SIDE, pairs, write_samples


def main(argv: list[str] | None = None) -> None:
    parser = run_arguments(__doc__.split("\n")[0], "python -m train.esrgan", RECIPES, vgg=True)
    parser.add_argument("--backbones", type=Path, required=True, help="folder with the weights of LPIPS")
    arguments = parser.parse_args(argv)
    recipe = changed(RECIPES[arguments.model], arguments)
    if not arguments.init:
        parser.error("--init is needed: the adversarial stage starts from weights trained for exact pixels")
    accelerator = prepared(recipe, arguments)
    untrained = recipe.build()
    scale = untrained.scale
    largest = (max(recipe.crop, recipe.late_crop) + 2 * MARGIN) * scale
    crops, validation, data = split(
        arguments.data, untrained.channels, largest, VALIDATION_SIDE, accelerator, recipe.text_share
    )
    lpips = Lpips(arguments.backbones).to(accelerator.device)
    vgg = Vgg19(arguments.vgg, precision_of(accelerator) == "bf16").to(accelerator.device)

    run = Run(arguments, accelerator, recipe, data, lambda model: recipe.validate(model, validation, lpips))
    torch.manual_seed(arguments.seed)
    critic = FeatureCritic(recipe.critic_width).to(run.device)
    critic_optimizers = Optimizers(critic, recipe.optimizer, recipe.learning_rate, recipe.decay)
    run.keep("critic", critic, critic_optimizers)
    judge = accelerator.prepare(critic)

    for progress in run:
        count, size = recipe.crops_at(progress)
        generator = run.generator()
        lr, hr = pairs(crops(count, (size + 2 * MARGIN) * scale, generator), scale, recipe.damage, generator)
        restored = run.network(lr).float()
        pattern = grid(restored, hr, scale, recipe.grid_window)
        restored, hr = off_grid(restored, hr, generator=generator)

        wanted, features = vgg.pair(hr, restored)
        distance = feature_distance(features, wanted, power=1, blocks=recipe.features)
        plain = recipe.pixel_weight * F.l1_loss(restored, hr) + recipe.grid_weight * pattern
        critic.requires_grad_(False)
        with accelerator.autocast():
            likeness = critic.likeness(wanted, features)
        run.learn(distance + recipe.adversarial_weight * likeness + plain, progress)

        critic.requires_grad_(True)
        accelerator.backward(judge(wanted, features))
        critic_optimizers.step(learning_rate_factor(progress, run.step))

    if accelerator.is_main_process:
        write_samples(run.finish(), run.out / "grid.png", validation)
    accelerator.end_training()


if __name__ == "__main__":
    command(main)
