"""Tensors with facts in one safetensors file: how a run is saved for going on after a kill."""

import argparse
import json
import os
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from train.data import TrainingError

STATE = "state.safetensors"  # of a run that has not ended, in its folder


def save_tensors(path: Path, tensors: dict[str, Tensor], facts: dict) -> None:
    """Write tensors and JSON facts to one safetensors file; a kill in the middle leaves the old file whole."""
    temporary = path.with_suffix(".part")
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    safetensors.torch.save_file(tensors, temporary, metadata={"facts": json.dumps(facts)})
    os.replace(temporary, path)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """What `save_tensors` wrote.

    Raises:
        TrainingError: the file is damaged or another program's.
    """
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["facts"])  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        raise TrainingError(f"{path} is damaged; without it the run starts again") from None


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries whose name starts with `prefix.`, without it."""
    return {name.removeprefix(prefix + "."): value for name, value in tensors.items() if name.startswith(prefix + ".")}


def folder_of(arguments: argparse.Namespace) -> Path:
    """Where a run writes: what `--out` says, else `runs/MODEL`."""
    return arguments.out or Path("runs") / arguments.model
