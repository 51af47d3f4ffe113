"""What every training script takes on its command line, and the one sentence with which it refuses what cannot work."""

import argparse
import dataclasses
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from train.data import TrainingError
from train.losses import LossName
from train.precision import PRECISIONS
from train.recipes._recipe import Recipe

AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


def command(main: Callable[[], None]) -> None:
    """Run a training script; one that cannot work ends with the sentence that says why."""
    try:
        main()
    except TrainingError as reason:
        raise SystemExit(f"error: {reason}") from None


def run_arguments(
    description: str, prog: str, models: Iterable[str], losses: Iterable[LossName] = (), vgg: bool = False
) -> argparse.ArgumentParser:
    """The flags that every training script has.

    Args:
        losses: that its models can be trained with instead of the recipe's, if it has a choice.
        vgg: whether VGG19 may be needed.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("model", choices=models)
    parser.add_argument("--data", nargs="+", required=True, help="folders, CIFAR batches or hub:user/dataset")
    parser.add_argument(
        "--minutes", type=_positive(float), default=60, help="length of the run; the schedule ends with it"
    )
    parser.add_argument(
        "--steps", type=_positive(int), help="length in steps instead: equal seeds then give equal weights"
    )
    parser.add_argument(
        "--init", nargs="+", help="start from this checkpoint, or those of its parts: folder, bundled name, user/repo"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write; runs/MODEL by default")
    parser.add_argument("--batch", type=_positive(int), help="crops per step and process instead of the recipe's")
    parser.add_argument("--crop", type=_positive(int), help="side of the first crops instead of the recipe's")
    parser.add_argument("--learning-rate", type=_positive(float), help="instead of the recipe's")
    parser.add_argument("--optimizer", choices=("adam", "adamw", "muon"), help="instead of the recipe's")
    if losses:
        parser.add_argument("--loss", choices=losses, help="instead of the recipe's, for the whole run")
    if vgg:
        parser.add_argument("--vgg", metavar="FILE", help="VGG19 safetensors for a perceptual loss; else from the Hub")
    parser.add_argument("--precision", choices=PRECISIONS, help="of the networks; by default the one that is faster")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="a step's network; by default on a GPU, and on a processor with bf16 in runs of 20 minutes or more",
    )
    parser.add_argument("--validate-every", type=_positive(int), default=500, metavar="STEPS")
    parser.add_argument(
        "--save-every",
        type=_positive(float, or_zero=True),
        default=120,
        metavar="SECONDS",
        help="for going on after a kill",
    )
    parser.add_argument("--push-to-hub", metavar="USER/REPO", help="publish the best weights at the end")
    return parser


def _positive(kind: type[int] | type[float], or_zero: bool = False) -> Callable[[str], int | float]:
    def number(text: str) -> int | float:
        value = kind(text)
        if not (0 < value < math.inf or (or_zero and value == 0)):
            raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
        return value

    number.__name__ = "whole number" if kind is int else "number"  # which argparse's own message shows
    return number


def changed(recipe: AnyRecipe, arguments: argparse.Namespace) -> AnyRecipe:
    """The recipe with what the command line says instead."""
    names = ("batch", "crop", "learning_rate", "optimizer", "loss")
    changes = {name: value for name in names if (value := getattr(arguments, name, None))}
    if "loss" in changes:
        changes["first_loss"] = None
    return dataclasses.replace(recipe, **changes)
