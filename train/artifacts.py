"""Train a remover of JPEG artifacts.

    python -m train.artifacts drunet-jpeg --data FOLDER... --minutes 60
    python -m train.artifacts mwcnn-jpeg --data FOLDER... --minutes 60 --init checkpoints/mwcnn-jpeg

Everything else is as in `train.denoise`.
"""

from itertools import cycle
from pathlib import Path

import torch
from torch import Tensor

from restoration.degradations import Jpeg
from restoration.files import write_grid
from restoration.restorer import ArtifactRemover
from train.arguments import changed, command, run_arguments
from train.data import split
from train.losses import build_loss
from train.precision import prepared
from train.recipes.artifacts import RECIPES, ArtifactsRecipe
from train.run import Run

VALIDATION_SIDE = 192
LOSSES = ("l1", "mse", "psnr-rgb")


def main(argv: list[str] | None = None) -> None:
    arguments = run_arguments(__doc__.split("\n")[0], "python -m train.artifacts", RECIPES, LOSSES).parse_args(argv)
    recipe = changed(RECIPES[arguments.model], arguments)
    accelerator = prepared(recipe, arguments)
    largest = recipe.damage.source(max(recipe.crop, recipe.late_crop))
    channels = recipe.build().channels
    crops, validation, data = split(arguments.data, channels, largest, VALIDATION_SIDE, accelerator)

    run = Run(arguments, accelerator, recipe, data, lambda model: recipe.validate(model, validation))
    for progress in run:
        generator = run.generator()
        count, size = recipe.crops_at(progress)
        clean, damaged, quality = recipe.damage(crops(count, recipe.damage.source(size), generator), generator)
        inputs = [damaged]
        if run.model.takes_quality:
            blind = torch.rand(quality.shape, generator=generator, device=run.device) < recipe.blind_share
            given = torch.where(blind, run.model.UNKNOWN_QUALITY, quality / 100)
            inputs.append(given.expand(-1, -1, *damaged.shape[-2:]))
        loss = build_loss(recipe.loss_at(progress))
        run.learn(loss(run.network(*inputs).float(), clean), progress)

    if accelerator.is_main_process:
        write_samples(recipe, run.finish(), run.out / "grid.png", validation)
    accelerator.end_training()


def write_samples(recipe: ArtifactsRecipe, model: ArtifactRemover, path: Path, images: list[Tensor]) -> None:
    """A picture with rows of clean, compressed and restored validation crops."""
    rows = []
    for image, (quality, _) in zip(images[:4], cycle(recipe.scored), strict=False):
        clean = image[None].float() / 255
        damaged = Jpeg(quality)(clean)
        rows.append([clean, damaged, model.restore(damaged)])
    write_grid(path, rows)


if __name__ == "__main__":
    command(main)
