"""The precision that a model trains faster in on this machine; weights, optimiser and averages are fp32 in both.

python -m train.precision drunet-photo photo-x4   # a step in each, and what damaging its crops costs
"""

import argparse
import os
import shutil
import time
from typing import Literal, get_args

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, parse_flag_from_env
from torch import Tensor

from restoration.degradations import Downscale
from restoration.precision import has_bf16
from restoration.restorer import Restorer
from restoration.running import typical
from train import recipes
from train.recipes._recipe import Recipe
from train.recipes.artifacts import RandomJpeg
from train.state import STATE, folder_of, load_tensors

Precision = Literal["bf16", "fp32"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
TIMED_STEPS = 3
LONG = 20  # minutes of a run from which compiling its network pays on a processor


def prepared(recipe: Recipe, arguments: argparse.Namespace) -> Accelerator:
    """An accelerator that runs networks in the precision that was asked for, else in a run's that goes on, else faster.

    With several processes the first one decides for all.
    """
    precision: Precision | None = arguments.precision
    state = folder_of(arguments) / STATE
    if precision is None and state.exists():
        precision = load_tensors(state)[1].get("precision")
    if precision is None:
        device = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU")).device
        half = torch.tensor(faster(recipe) == "bf16", device=device)
        precision = "bf16" if bool(broadcast(half)) else "fp32"
    AcceleratorState._reset_state()  # else an earlier run in this process would have decided
    return Accelerator(mixed_precision="bf16" if precision == "bf16" else "no")


def precision_of(accelerator: Accelerator) -> Precision:
    """What networks run in under an accelerator."""
    return "bf16" if accelerator.mixed_precision == "bf16" else "fp32"


def compiles(arguments: argparse.Namespace, accelerator: Accelerator) -> bool:
    """Whether a run compiles its network, as asked for or where it pays.

    On a processor compiling takes one to three minutes, and a step of a network in bf16 then 0.6 of the time.
    """
    if arguments.compile is not None:
        return arguments.compile
    if accelerator.device.type == "cuda":
        return True
    long = not arguments.steps and arguments.minutes >= LONG
    return long and precision_of(accelerator) == "bf16" and shutil.which(os.environ.get("CXX", "g++")) is not None


def faster(recipe: Recipe) -> Precision:
    """The precision in which a step of the recipe takes less time, by a few steps in each; fp32 without bf16 units."""
    if not has_bf16():
        return "fp32"
    if torch.cuda.is_available():
        return "bf16"
    seconds = {precision: step_seconds(recipe, precision) for precision in PRECISIONS}
    return min(seconds, key=seconds.get)


def step_seconds(recipe: Recipe, precision: Precision, compiled: bool = False) -> float:
    """Seconds of the network's part of a training step on the processor: forwards and backwards, the best of a few."""
    model = recipe.build().eval()
    inputs = [part.repeat(recipe.batch, 1, 1, 1) for part in typical_inputs(model, recipe.crop)]
    model.train()
    network = torch.compile(model) if compiled else model
    best = float("inf")
    for _ in range(1 + TIMED_STEPS):  # the first one warms up
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            outputs = network(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        sum(output.float().mean() for output in outputs).backward()
        best = min(best, time.perf_counter() - started)
    return best


def typical_inputs(model: Restorer, side: int) -> list[Tensor]:
    """What the model's `forward` is given when it restores an image of that side."""
    caught: list[Tensor] = []
    with model.register_forward_pre_hook(lambda _, given: caught.extend(given)):
        model.restore(torch.full((1, model.channels, side, side), 0.5), *typical(model.task, side))
    return [given.clone() for given in caught]


def damage_seconds(recipe: Recipe) -> float:
    """Seconds that damaging the clean crops of a step takes, the best of a few."""
    model = recipe.build()
    margin, scale = (3, model.scale) if model.scale > 1 else (0, 1)  # see train.upscale.MARGIN
    damage = getattr(recipe, "noise", None) or getattr(recipe, "damage", None) or Downscale(scale)
    side = (recipe.crop + 2 * margin) * scale
    side = damage.source(side) if isinstance(damage, RandomJpeg) else side
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(recipe.batch, model.channels, side, side, generator=generator)
    best = float("inf")
    for _ in range(1 + 3 * TIMED_STEPS):
        started = time.perf_counter()
        damage(clean, generator)
        best = min(best, time.perf_counter() - started)
    return best


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.precision", description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", choices=recipes.every())
    torch.set_num_threads(1)
    print("| model | fp32, steps a minute | bf16 | bf16, compiled | damage, share of a step |\n|---|---|---|---|---|")
    for name in parser.parse_args(argv).models:
        recipe = recipes.every()[name]
        seconds = [step_seconds(recipe, *how) for how in (("fp32",), ("bf16",), ("bf16", True))]
        damage = damage_seconds(recipe)
        rates = " | ".join(f"{60 / (damage + taken):.0f}" for taken in seconds)
        print(f"| {name} | {rates} | {100 * damage / (damage + min(seconds)):.0f} % |", flush=True)


if __name__ == "__main__":
    main()
