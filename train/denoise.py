"""Train a denoiser.

    python -m train.denoise drunet-fast --data FOLDER... --minutes 60
    python -m train.denoise drunet-fast --data FOLDER... --minutes 60 --init checkpoints/drunet-fast
    accelerate launch -m train.denoise mwcnn-color --data FOLDER... --minutes 60 --push-to-hub USER/mwcnn-color

The best weights by validation PSNR are kept in `runs/MODEL` in the layout of a checkpoint, with `run.json`, a curve
and a picture.  A run that was killed goes on where it saved last when the same command is given again.
`python -m train.evaluate --promote runs/MODEL` then lets them replace the bundled ones if they are better.
"""

import argparse
import dataclasses
import json
import math
import time
from collections import Counter
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from restoration.degradations import GaussianNoise
from restoration.image import write_grid
from restoration.metrics import psnr
from restoration.restorer import Denoiser
from train.data import Crops, centre_crop, samples
from train.loop import (
    Ema,
    Optimizers,
    commit,
    learning_rate_factor,
    load_tensors,
    save_tensors,
    step_generator,
    under,
    write_curve,
)
from train.recipe import DENOISE, DenoiseRecipe

LATE = 0.67  # share of the run after which the larger crops come
VALIDATION_IMAGES = 24
VALIDATION_SIDE = 192


def main(argv: list[str] | None = None) -> None:
    arguments = parser().parse_args(argv)
    changes = {key: getattr(arguments, key) for key in ("batch", "learning_rate", "crop") if getattr(arguments, key)}
    recipe = dataclasses.replace(DENOISE[arguments.model], **changes)
    train(arguments, recipe)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m train.denoise", description=__doc__.split("\n")[0])
    result.add_argument("model", choices=DENOISE)
    result.add_argument("--data", nargs="+", required=True, help="folders, CIFAR batches or hub:user/dataset")
    result.add_argument("--minutes", type=float, default=60, help="length of the run; the schedule ends with it")
    result.add_argument("--steps", type=int, help="length in steps instead: equal seeds then give equal weights")
    result.add_argument("--init", help="start from this checkpoint: folder, bundled name or user/repo")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--out", type=Path, help="where to write; runs/MODEL by default")
    result.add_argument("--batch", type=int, help="crops per step and process instead of the recipe's")
    result.add_argument("--crop", type=int, help="side of the first crops instead of the recipe's")
    result.add_argument("--learning-rate", type=float, help="instead of the recipe's")
    result.add_argument("--validate-every", type=int, default=500, metavar="STEPS")
    result.add_argument("--save-every", type=float, default=120, metavar="SECONDS", help="for going on after a kill")
    result.add_argument("--push-to-hub", metavar="USER/REPO", help="publish the best weights at the end")
    return result


def train(arguments: argparse.Namespace, recipe: DenoiseRecipe) -> None:
    accelerator = Accelerator(mixed_precision="bf16" if torch.cuda.is_available() else "no")
    device = accelerator.device
    out = arguments.out or Path("runs") / arguments.model
    out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(arguments.seed)
    model = recipe.build()
    if arguments.init:
        import restoration

        model.load_state_dict(restoration.load(arguments.init).state_dict())
    model.to(device)
    optimizers = Optimizers(model, recipe.optimizer, recipe.learning_rate, recipe.decay)
    ema = Ema(model, recipe.ema)

    read = list(samples(arguments.data, model.channels, progress=accelerator.is_main_process))
    kept = [sample.image for sample in read if not sample.held_out]
    crops = Crops(kept, max(recipe.crop, recipe.late_crop), device)
    validation = [centre_crop(sample.image, VALIDATION_SIDE) for sample in read if sample.held_out]
    validation = validation[:: max(1, len(validation) // VALIDATION_IMAGES)]
    sources = dict(Counter(sample.source for sample in read))
    del read, kept

    state_path = out / "state.safetensors"
    step, spent, best, curve = 0, 0.0, -math.inf, []
    if state_path.exists():
        tensors, facts = load_tensors(state_path)
        model.load_state_dict(under("model", tensors))
        optimizers.load_state(under("optimizer", tensors))
        ema.weights = {name: value.to(device) for name, value in under("ema", tensors).items()}
        step, spent, best, curve = facts["step"], facts["spent"], facts["best"], facts["curve"]
        accelerator.print(f"going on from step {step}")

    network = accelerator.prepare(torch.compile(model) if device.type == "cuda" else model)
    started = saved = time.monotonic()
    losses: list[Tensor] = []
    bar = tqdm(
        total=arguments.steps or round(arguments.minutes * 60),
        unit="step" if arguments.steps else "s",
        disable=not accelerator.is_main_process,
    )
    model.train()
    while True:
        elapsed = spent + time.monotonic() - started
        progress = step / arguments.steps if arguments.steps else elapsed / 60 / arguments.minutes
        if accelerator.num_processes > 1:  # the clocks differ; the first process decides
            progress = float(broadcast(torch.tensor(progress, device=device)))
        finished = progress >= 1

        if accelerator.is_main_process and (finished or (step % arguments.validate_every == 0 and losses)):
            averaged = build(recipe, ema.weights)
            score = validate(recipe, averaged.to(device), validation)
            loss = float(torch.stack(losses).mean()) if losses else math.nan
            curve.append({"step": step, "minutes": round(elapsed / 60, 3), "loss": loss, "psnr": score})
            losses.clear()
            bar.set_postfix_str(f"step {step}, loss {loss:.4f}, validation {score:.2f} dB, best {max(best, score):.2f}")
            if score > best:
                best = score
                averaged.cpu().save_pretrained(out)
        if accelerator.is_main_process and not finished and time.monotonic() - saved >= arguments.save_every:
            saved = time.monotonic()
            save_tensors(
                state_path,
                {f"model.{name}": value for name, value in model.state_dict().items()}
                | {f"ema.{name}": value for name, value in ema.weights.items()}
                | {f"optimizer.{name}": value for name, value in optimizers.state().items()},
                {"step": step, "spent": elapsed, "best": best, "curve": curve},
            )
        if finished:
            break

        generator = step_generator(device, arguments.seed, step, accelerator.process_index)
        size = recipe.crop if progress < LATE else recipe.late_crop
        clean = crops(max(1, recipe.batch * recipe.crop**2 // size**2), size, generator)
        noisy, sigma = recipe.noise(clean, generator)
        inputs = [noisy]
        if model.takes_sigma:
            blind = torch.rand(sigma.shape, generator=generator, device=device) < recipe.blind_share
            told = torch.where(blind, model.UNKNOWN_SIGMA, sigma)
            inputs.append(told.expand(-1, -1, *noisy.shape[-2:]))
        loss = LOSSES[recipe.loss](network(*inputs).float(), clean)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizers.step(learning_rate_factor(progress, step))
        ema.update(model, step)
        losses.append(loss.detach())
        step += 1
        bar.n = step if arguments.steps else min(round(elapsed), bar.total)
        bar.update(0)
    bar.close()

    if accelerator.is_main_process:
        facts = {
            "model": arguments.model,
            "recipe": {key: value for key, value in dataclasses.asdict(recipe).items() if key != "build"},
            "data": {"sources": sources, "trained_on": len(crops), "validated_on": len(validation)},
            "seed": arguments.seed,
            "init": Path(arguments.init).name if arguments.init else None,
            "commit": commit(),
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "processes": accelerator.num_processes,
            "minutes": round(elapsed / 60, 1),
            "steps": step,
            "validation_psnr": best,
            "curve": curve,
        }
        (out / "run.json").write_text(json.dumps(facts, indent=1) + "\n")
        trained = type(model).from_pretrained(out)
        trained.generate_model_card().save(out / "README.md")
        write_curve(out / "curve.png", curve)
        write_samples(recipe, trained, out, validation)
        state_path.unlink(missing_ok=True)
        print(f"best validation PSNR {best:.3f} dB after {step} steps; weights in {out}")
        if arguments.push_to_hub:
            trained.push_to_hub(arguments.push_to_hub)
    accelerator.end_training()


LOSSES = {"l1": F.l1_loss, "mse": F.mse_loss, "bce": F.binary_cross_entropy}


def build(recipe: DenoiseRecipe, weights: dict[str, Tensor]) -> Denoiser:
    """The recipe's model with these weights, ready to restore."""
    model = recipe.build()
    model.load_state_dict(weights)
    return model.eval()


def validate(recipe: DenoiseRecipe, model: Denoiser, images: list[Tensor]) -> float:
    """Mean PSNR over clean uint8 images (C, H, W) and the recipe's noise levels, with the same noise every time."""
    device = next(model.parameters()).device
    scores = []
    for sigma in recipe.scored_sigmas:
        for image in images:
            clean = image[None].float() / 255
            noisy = GaussianNoise(sigma)(clean, torch.Generator().manual_seed(0))
            scores.append(float(psnr(model.restore(noisy.to(device), sigma).cpu(), clean)))
    return sum(scores) / len(scores)


def write_samples(recipe: DenoiseRecipe, model: Denoiser, out: Path, images: list[Tensor]) -> None:
    """A picture with rows of clean, noisy and restored validation crops."""
    generator = torch.Generator().manual_seed(0)
    sigma = recipe.scored_sigmas[len(recipe.scored_sigmas) // 2]
    rows = []
    for image in images[:4]:
        clean = image[None].float() / 255
        noisy = GaussianNoise(sigma)(clean, generator)
        rows.append([clean, noisy.clamp(0, 1), model.restore(noisy, sigma)])
    write_grid(out / "grid.png", rows)


if __name__ == "__main__":
    main()
