"""Train an inpainter: a spatially discounted L1 first, then Wasserstein critics of the picture and of the hole join.

    python -m train.inpaint deepfill --data FOLDER... --backbones FOLDER --minutes 60

The best weights by validation LPIPS are kept.  Everything else is as in `train.denoise`.
"""

from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Generator, Tensor
from torch.nn import functional as F

from restoration.degradations import Holes, StrokeHoles
from restoration.image import write_grid
from restoration.metrics import Lpips
from restoration.restorer import Inpainter
from train.critics import WassersteinCritic, gradient_penalty
from train.data import Crops, split
from train.loop import Optimizers, Run, changed, learning_rate_factor, run_arguments
from train.losses import discounted_l1
from train.recipe import INPAINT

ZOOM = 2  # every other crop is reduced by this, so that more of a scene is seen
VALIDATION_SIDE = 256
VALIDATION_HOLES = (StrokeHoles(0.1, 0.3), StrokeHoles(0.3, 0.5))


def main(argv: list[str] | None = None) -> None:
    parser = run_arguments(__doc__.split("\n")[0], "python -m train.inpaint", INPAINT)
    parser.add_argument("--backbones", type=Path, required=True, help="folder with the AlexNet and LPIPS weights")
    arguments = parser.parse_args(argv)
    recipe = changed(INPAINT[arguments.model], arguments)
    accelerator = Accelerator(mixed_precision="bf16" if torch.cuda.is_available() else "no")
    largest = ZOOM * max(recipe.crop, recipe.late_crop)
    crops, validation, data = split(arguments.data, 3, largest, VALIDATION_SIDE, accelerator)
    lpips = Lpips(arguments.backbones).to(accelerator.device)

    run = Run(arguments, accelerator, recipe, lambda model: validate(model, validation, lpips), metric="lpips")
    torch.manual_seed(arguments.seed)
    critics, optimizers = {}, {}
    for name in ("whole", "hole"):
        critics[name] = WassersteinCritic(3, recipe.critic_width).to(run.device)
        optimizers[name] = Optimizers(critics[name], "adam", recipe.critic_rate, recipe.decay)
        run.keep(f"critic_{name}", critics[name], optimizers[name])
    judges = {name: accelerator.prepare(critic) for name, critic in critics.items()}

    for progress in run:
        generator = run.generator()
        count, size = recipe.crops_at(progress)
        clean = zoomed(crops, count, size, generator)
        mask = drawn(recipe.holes, count, size, generator)
        stages = run.network(clean * (1 - mask), mask)
        loss = sum(discounted_l1(stage.float(), clean, mask) for stage in stages)
        filled = torch.where(mask.bool(), stages[-1].float(), clean)
        if progress < recipe.adversarial_from:
            run.learn(loss, progress)
            continue

        views = {"whole": (clean, filled), "hole": (around(clean, mask), around(filled, mask))}
        for critic in critics.values():
            critic.requires_grad_(False)
        judgement = sum(judges[name](fake).float().mean() for name, (_, fake) in views.items())
        run.learn(loss - recipe.adversarial_weight * judgement, progress)
        for name, (real, fake) in views.items():
            critics[name].requires_grad_(True)
            fake = fake.detach()
            distance = judges[name](fake).float().mean() - judges[name](real).float().mean()
            penalty = gradient_penalty(critics[name], real, fake, generator)
            accelerator.backward(distance + recipe.penalty * penalty)
            optimizers[name].step(learning_rate_factor(progress, run.step))

    if accelerator.is_main_process:
        write_samples(run.finish(data), run.out / "grid.png", validation)
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


def around(image: Tensor, mask: Tensor) -> Tensor:
    """Windows (B, C, H / 2, W / 2) of images around the centre of mass of their holes."""
    windows = []
    for picture, hole in zip(image, mask[:, 0], strict=True):
        corner = []
        for axis, side in enumerate(hole.shape):
            weight = hole.sum(1 - axis)
            centre = int((weight * torch.arange(side, device=hole.device)).sum() / weight.sum())
            corner.append(min(max(centre - side // 4, 0), side - side // 2))
        top, left = corner
        windows.append(picture[:, top : top + hole.shape[0] // 2, left : left + hole.shape[1] // 2])
    return torch.stack(windows)


def holed(images: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Clean images (1, C, H, W) in [0, 1] of uint8 ones with masks that are the same every time."""
    generator = Generator().manual_seed(0)
    pairs = []
    for index, image in enumerate(images):
        mask = VALIDATION_HOLES[index % len(VALIDATION_HOLES)](1, tuple(image.shape[1:]), generator)
        pairs.append((image[None].float() / 255, mask))
    return pairs


@torch.inference_mode()
def validate(model: Inpainter, images: list[Tensor], lpips: Lpips) -> float:
    """Mean LPIPS over clean uint8 images (C, H, W) with free-form holes filled; lower is better."""
    device = next(model.parameters()).device
    scores = []
    for clean, mask in holed(images):
        clean = clean.to(device)
        scores.append(float(lpips(model.restore(clean, mask.to(device)), clean)))
    return sum(scores) / len(scores)


def write_samples(model: Inpainter, path: Path, images: list[Tensor]) -> None:
    """A picture with rows of original, holed and filled validation crops."""
    rows = []
    for clean, mask in holed(images[:4]):
        rows.append([clean, clean * (1 - mask) + mask, model.restore(clean, mask)])
    height, width = (min(row[0].shape[axis] for row in rows) for axis in (2, 3))
    write_grid(path, [[picture[..., :height, :width] for picture in row] for row in rows])


if __name__ == "__main__":
    main()
