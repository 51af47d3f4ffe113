"""Train an upscaler on bicubic reduction or on photos as the web holds them, with a pixel loss or a perceptual one.

    python -m train.upscale compact-x4 --data FOLDER... --minutes 60
    python -m train.upscale compact-x2 --data FOLDER... --minutes 30 --init checkpoints/compact-x4
    python -m train.upscale srcnn-x3 --data FOLDER... --loss combined --optimizer adam --learning-rate 1e-4 --vgg FILE

`--init` takes a model of another scale too: all layers but the last are then kept.  Everything else is as in
`train.denoise`.
"""

from pathlib import Path

from torch import Generator, Tensor

from restoration.degradations import Degradation, Downscale
from restoration.files import write_grid
from restoration.resampling import enlarge
from restoration.restorer import Upscaler
from train.arguments import changed, command, run_arguments
from train.data import split
from train.losses import PERCEPTUAL, Vgg19, build_loss
from train.precision import precision_of, prepared
from train.recipes.upscale import RECIPES, reduced
from train.run import Run

MARGIN = 3  # low-resolution pixels cut from a reduced crop, beyond which it equals the reduced image
VALIDATION_SIDE = 240
LOSSES = ("l1", "mse", "psnr", "psnr-rgb", *PERCEPTUAL)


def main(argv: list[str] | None = None) -> None:
    parser = run_arguments(__doc__.split("\n")[0], "python -m train.upscale", RECIPES, LOSSES, vgg=True)
    arguments = parser.parse_args(argv)
    recipe = changed(RECIPES[arguments.model], arguments)
    accelerator = prepared(recipe, arguments)
    untrained = recipe.build()
    scale = untrained.scale
    largest = (max(recipe.crop, recipe.late_crop) + 2 * MARGIN) * scale
    crops, validation, data = split(
        arguments.data, untrained.channels, largest, VALIDATION_SIDE, accelerator, recipe.text_share, recipe.flat_share
    )

    perceptual = {recipe.loss, recipe.first_loss}.intersection(PERCEPTUAL)
    vgg = Vgg19(arguments.vgg, precision_of(accelerator) == "bf16").to(accelerator.device) if perceptual else None

    run = Run(arguments, accelerator, recipe, data, lambda model: recipe.validate(model, validation))
    for progress in run:
        count, size = recipe.crops_at(progress)
        generator = run.generator()
        lr, hr = pairs(crops(count, (size + 2 * MARGIN) * scale, generator), scale, recipe.damage, generator)
        loss = build_loss(recipe.loss_at(progress), vgg)
        run.learn(loss(run.network(lr).float(), hr), progress)

    if accelerator.is_main_process:
        write_samples(run.finish(), run.out / "grid.png", validation)
    accelerator.end_training()


def pairs(
    clean: Tensor, scale: int, damage: Degradation | None = None, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Low- and high-resolution crops without the margin in which a reduced crop differs from a reduced image."""
    edge = MARGIN * scale
    lr = (damage or Downscale(scale))(clean, generator)
    return lr[..., MARGIN:-MARGIN, MARGIN:-MARGIN], clean[..., edge:-edge, edge:-edge]


def write_samples(model: Upscaler, path: Path, images: list[Tensor]) -> None:
    """A picture with rows of original, bicubic and restored validation crops."""
    rows = []
    for image in images[:4]:
        lr, hr = reduced(image, model.scale)
        rows.append([hr, enlarge(lr, model.scale).clamp(0, 1), model.restore(lr)])
    write_grid(path, rows)


if __name__ == "__main__":
    command(main)
