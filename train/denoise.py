"""Train a denoiser.

    python -m train.denoise drunet-fast --data FOLDER... --minutes 60
    python -m train.denoise drunet-fast --data FOLDER... --minutes 60 --init checkpoints/drunet-fast
    accelerate launch -m train.denoise mwcnn-color --data FOLDER... --minutes 60 --push-to-hub USER/mwcnn-color

The best weights by validation PSNR are kept in `runs/MODEL` in the layout of a checkpoint, with `run.json`, a curve
and a picture.  A run that was killed goes on where it saved last when the same command is given again.
`python -m train.evaluate --promote runs/MODEL` then lets them replace the bundled ones if they are better.
"""

from pathlib import Path

import torch
from torch import Tensor

from restoration.files import write_grid
from restoration.restorer import Denoiser
from train.arguments import changed, command, run_arguments
from train.data import split
from train.losses import build_loss, level_distance
from train.precision import prepared
from train.recipes.denoise import RECIPES, DenoiseRecipe
from train.run import Run

VALIDATION_SIDE = 192
LOSSES = ("l1", "mse", "psnr-rgb")
LEVEL_WEIGHT = 0.02  # of the estimator, whose weights are its own; only the clipped gradient is shared


def main(argv: list[str] | None = None) -> None:
    arguments = run_arguments(__doc__.split("\n")[0], "python -m train.denoise", RECIPES, LOSSES).parse_args(argv)
    recipe = changed(RECIPES[arguments.model], arguments)
    accelerator = prepared(recipe, arguments)

    largest = max(recipe.crop, recipe.late_crop)
    channels = recipe.build().channels
    crops, validation, data = split(arguments.data, channels, largest, VALIDATION_SIDE, accelerator, recipe.text_share)

    run = Run(arguments, accelerator, recipe, data, lambda model: recipe.validate(model, validation))
    for progress in run:
        generator = run.generator()
        clean, noisy, sigma = recipe.noise(crops(*recipe.crops_at(progress), generator), generator)
        inputs, wanted = [noisy], clean
        if run.model.takes_sigma:
            given = recipe.level_given(sigma, progress, generator)
            inputs.append(given.expand(-1, -1, *noisy.shape[-2:]))
            kept = (given == 0).all(-1, keepdim=True).all(-2, keepdim=True)
            wanted = torch.where(kept, noisy, clean)
        outputs = run.network(*inputs)
        loss = torch.zeros((), device=run.device)
        if run.model.estimates_sigma:
            estimated, outputs = outputs
            loss = LEVEL_WEIGHT * level_distance(estimated.float(), sigma)
        loss = loss + build_loss(recipe.loss_at(progress))(outputs.float(), wanted)
        run.learn(loss, progress)

    if accelerator.is_main_process:
        write_samples(recipe, run.finish(), run.out / "grid.png", validation)
    accelerator.end_training()


def write_samples(recipe: DenoiseRecipe, model: Denoiser, path: Path, images: list[Tensor]) -> None:
    """A picture with rows of clean, noisy and restored validation crops."""
    generator = torch.Generator().manual_seed(0)
    noise = recipe.scored[len(recipe.scored) // 2]
    rows = []
    for image in images[:4]:
        clean = image[None].float() / 255
        noisy = noise(clean, generator)
        rows.append([clean, noisy.clamp(0, 1), model.restore(noisy)])
    write_grid(path, rows)


if __name__ == "__main__":
    command(main)
