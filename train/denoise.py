"""Train a denoiser.

    python -m train.denoise drunet-fast --data FOLDER... --minutes 60
    python -m train.denoise drunet-fast --data FOLDER... --minutes 60 --init checkpoints/drunet-fast
    accelerate launch -m train.denoise mwcnn-color --data FOLDER... --minutes 60 --push-to-hub USER/mwcnn-color

The best weights by validation PSNR are kept in `runs/MODEL` in the layout of a checkpoint, with `run.json`, a curve
and a picture.  A run that was killed goes on where it saved last when the same command is given again.
`python -m train.evaluate --promote runs/MODEL` then lets them replace the bundled ones if they are better.
"""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Generator, Tensor

from restoration.degradations import GaussianNoise
from restoration.files import write_grid
from restoration.models.photo_drunet import PhotoDRUNet
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
        clean, noisy, sigma, white = recipe.noise(crops(*recipe.crops_at(progress), generator), generator)
        inputs, wanted = [noisy], clean
        if run.model.takes_sigma:
            given = recipe.level_given(sigma, white, progress, generator)
            inputs.append(given.expand(-1, -1, *noisy.shape[-2:]).contiguous())
            kept = (given == 0).all(-1, keepdim=True).all(-2, keepdim=True)
            wanted = torch.where(kept, noisy, clean)
            over = ~kept.flatten() & recipe.told_too_much(len(noisy), generator)
            if over.any():
                with accelerator.autocast():  # not compiled, as their number changes
                    inputs[1][over], wanted[over] = told_more(run.model, noisy[over], sigma[over], generator)
        outputs = run.network(*inputs)
        loss = torch.zeros((), device=run.device)
        if run.model.estimates_sigma:
            estimated, outputs = outputs
            loss = LEVEL_WEIGHT * level_distance(estimated.float(), sigma)
        outputs = outputs.float()
        loss = loss + build_loss(recipe.loss_at(progress))(outputs, wanted)
        if recipe.shift_weight:
            loss = loss + recipe.shift_weight * (outputs - wanted).mean((2, 3)).abs().mean()
        run.learn(loss, progress)

    if accelerator.is_main_process:
        write_samples(recipe, run.finish(), run.out / "grid.png", validation)
    accelerator.end_training()


def told_more(
    network: Callable[..., tuple[Tensor, Tensor]], noisy: Tensor, sigma: Tensor, generator: Generator
) -> tuple[Tensor, Tensor]:
    """What images are told that are told too much, and what they shall then give.

    A level that is too high asks for a smoother picture.  That is what the network makes of them with so much more
    white noise that what it then is told is true, see `PhotoDRUNet.asked`.

    Args:
        noisy: (B, C, H, W).
        sigma: their true levels, (B, 1, H, W) or (B, 1, 1, 1).

    Returns:
        The levels told (B, 1, H, W), and the images wanted, without a gradient.
    """
    low, high = math.log(1.3), math.log(8)
    draw = torch.rand(len(noisy), 1, 1, 1, generator=generator, device=noisy.device)
    true = sigma.square().mean((2, 3), keepdim=True).sqrt().clamp(min=1 / 255)
    told = (true * (low + (high - low) * draw).exp()).clamp(max=0.2)
    aim = (told * (told / true).clamp(min=1)).clamp(max=PhotoDRUNet.LARGEST)
    noisier = GaussianNoise((aim**2 - true**2).clamp(min=0).sqrt())(noisy, generator)
    shape = (-1, -1, *noisy.shape[-2:])
    with torch.no_grad():
        return told.expand(shape), network(noisier, aim.expand(shape))[1].float()


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
