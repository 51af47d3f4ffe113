"""Train a denoiser.

    python -m train.denoise drunet-fast --data FOLDER... --minutes 60
    python -m train.denoise drunet-fast --data FOLDER... --minutes 60 --init checkpoints/drunet-fast
    accelerate launch -m train.denoise mwcnn-color --data FOLDER... --minutes 60 --push-to-hub USER/mwcnn-color

The best weights by validation PSNR are kept in `runs/MODEL` in the layout of a checkpoint, with `run.json`, a curve
and a picture.  A run that was killed goes on where it saved last when the same command is given again.
`python -m train.evaluate --promote runs/MODEL` then lets them replace the bundled ones if they are better.
"""

from itertools import product
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from restoration.degradations import GaussianNoise, UniformNoise
from restoration.image import write_grid
from restoration.job import with_channels
from restoration.metrics import psnr
from restoration.restorer import Denoiser
from train.data import split
from train.loop import Run, changed, run_arguments
from train.losses import build_loss
from train.recipe import DENOISE, DenoiseRecipe

VALIDATION_SIDE = 192
LOSSES = ("l1", "mse", "psnr-rgb")


def main(argv: list[str] | None = None) -> None:
    arguments = run_arguments(__doc__.split("\n")[0], "python -m train.denoise", DENOISE, LOSSES).parse_args(argv)
    recipe = changed(DENOISE[arguments.model], arguments)
    accelerator = Accelerator(mixed_precision="bf16" if torch.cuda.is_available() else "no")

    largest = max(recipe.crop, recipe.late_crop)
    channels = recipe.build().channels
    crops, validation, data = split(arguments.data, channels, largest, VALIDATION_SIDE, accelerator)

    run = Run(arguments, accelerator, recipe, lambda model: validate(recipe, model, validation))
    for progress in run:
        generator = run.generator()
        clean = crops(*recipe.crops_at(progress), generator)
        noisy, sigma = recipe.noise(clean, generator)
        if recipe.grey_share:
            grey = torch.rand(sigma.shape, generator=generator, device=run.device) < recipe.grey_share
            clean, noisy = torch.where(grey, clean[:, :1], clean), torch.where(grey, noisy[:, :1], noisy)
        inputs = [noisy]
        if run.model.takes_sigma:
            blind = torch.rand(sigma.shape, generator=generator, device=run.device) < recipe.blind_share
            told = torch.where(blind, run.model.UNKNOWN_SIGMA, sigma)
            inputs.append(told.expand(-1, -1, *noisy.shape[-2:]))
        loss = build_loss(recipe.loss_at(progress))
        run.learn(loss(run.network(*inputs).float(), clean), progress)

    if accelerator.is_main_process:
        write_samples(recipe, run.finish(data), run.out / "grid.png", validation)
    accelerator.end_training()


def validate(recipe: DenoiseRecipe, model: Denoiser, images: list[Tensor]) -> float:
    """Mean PSNR over clean uint8 images (C, H, W), the recipe's levels and kinds of noise, the same every time.

    A model that takes a noise level is scored both with it and blind.
    """
    device = next(model.parameters()).device
    kinds = [GaussianNoise, UniformNoise] if recipe.noise.uniform_share else [GaussianNoise]
    scores = []
    for sigma, kind in product(recipe.scored_sigmas, kinds):
        noise = kind(sigma * 3**0.5 if kind is UniformNoise else sigma)
        for index, image in enumerate(images):
            clean = image[None].float() / 255
            if recipe.grey_share and index % 4 == 3:  # every fourth as the grey picture of its red channel
                clean = clean[:, :1]
            noisy = noise(clean, torch.Generator().manual_seed(0)).to(device)
            for told in (sigma, None) if model.takes_sigma else (None,):
                scores.append(float(psnr(with_channels(model, noisy, told).cpu(), clean)))
    return sum(scores) / len(scores)


def write_samples(recipe: DenoiseRecipe, model: Denoiser, path: Path, images: list[Tensor]) -> None:
    """A picture with rows of clean, noisy and restored validation crops."""
    generator = torch.Generator().manual_seed(0)
    sigma = recipe.scored_sigmas[len(recipe.scored_sigmas) // 2]
    rows = []
    for image in images[:4]:
        clean = image[None].float() / 255
        noisy = GaussianNoise(sigma)(clean, generator)
        rows.append([clean, noisy.clamp(0, 1), model.restore(noisy, sigma)])
    write_grid(path, rows)


if __name__ == "__main__":
    main()
