"""Small helpers that every training script calls; the loops themselves are in the scripts."""

import json
import math
import os
import subprocess
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import safe_open
from torch import Generator, Tensor, nn

# Without decay the weights outgrow Muon's steps of fixed size, and long runs at a high rate drift off.
MUON_DECAY = 0.02


def learning_rate_factor(progress: float, step: int, warmup: int = 100) -> float:
    """Share of the full learning rate: linear warm-up over `warmup` steps, cosine to 0 at progress 1."""
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def step_generator(device: torch.device | str, *key: int) -> Generator:
    """A generator that depends on `key` (seed, step, process) alone, so that a resumed run goes on as if unbroken."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
    return Generator(device).manual_seed(seed)


class Optimizers:
    """Adam, AdamW, or Muon for the hidden convolutions beside AdamW for the rest, stepped as one.

    Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) sees a convolution as a matrix with a row
    for each output channel.  The first and last convolutions and all vectors are left to AdamW.
    """

    def __init__(self, model: nn.Module, name: str, learning_rate: float, decay: float):
        parameters = list(model.parameters())
        kernels = [parameter for parameter in parameters if parameter.ndim == 4]
        hidden = {id(kernel) for kernel in kernels[1:-1]} if name == "muon" else set()
        self.kernels = [kernel for kernel in kernels if id(kernel) in hidden]
        self.matrices = [nn.Parameter(kernel.detach().view(len(kernel), -1)) for kernel in self.kernels]
        rest = [parameter for parameter in parameters if id(parameter) not in hidden]
        self.optimizers: list[torch.optim.Optimizer] = []
        if name == "muon":
            self.optimizers.append(
                torch.optim.Muon(self.matrices, learning_rate, weight_decay=MUON_DECAY, adjust_lr_fn="match_rms_adamw")
            )
            # Muon likes higher rates than AdamW, whose 1e-3 is near its limit for these networks.
            learning_rate = min(learning_rate, 1e-3)
        kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
        self.optimizers.append(kind(rest, learning_rate, weight_decay=decay))
        self.full_rates = [optimizer.defaults["lr"] for optimizer in self.optimizers]

    def step(self, factor: float) -> None:
        """One step at `factor` times the full learning rates; clears the gradients."""
        for matrix, kernel in zip(self.matrices, self.kernels, strict=True):
            matrix.grad = kernel.grad.reshape(matrix.shape)
        for optimizer, rate in zip(self.optimizers, self.full_rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()
        for kernel in self.kernels:
            kernel.grad = None

    def state(self) -> dict[str, Tensor]:
        return {
            f"{which}.{index}.{key}": torch.as_tensor(value)
            for which, optimizer in enumerate(self.optimizers)
            for index, values in optimizer.state_dict()["state"].items()
            for key, value in values.items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        for which, optimizer in enumerate(self.optimizers):
            values: dict[int, dict[str, Tensor]] = {}
            for name, value in state.items():
                owner, index, key = name.split(".")
                if int(owner) == which:
                    values.setdefault(int(index), {})[key] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": values})


class Ema:
    """Exponential moving average of a model's weights and buffers, with a warm-up that forgets the random start."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - decay)
            else:
                self.weights[name].copy_(value)


def save_tensors(path: Path, tensors: dict[str, Tensor], facts: dict) -> None:
    """Write tensors and JSON facts to one safetensors file; a kill in the middle leaves the old file whole."""
    temporary = path.with_suffix(".part")
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    safetensors.torch.save_file(tensors, temporary, metadata={"facts": json.dumps(facts)})
    os.replace(temporary, path)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """What `save_tensors` wrote."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["facts"])  # noqa: SIM118


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries whose name starts with `prefix.`, without it."""
    return {name.removeprefix(prefix + "."): value for name, value in tensors.items() if name.startswith(prefix + ".")}


def commit() -> str:
    """The git commit that the code is at, "unknown" outside a checkout."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip() or "unknown"


def write_curve(path: Path, curve: list[dict]) -> None:
    """Training loss and validation PSNR over the minutes, as a PNG."""
    from matplotlib.figure import Figure

    minutes = [point["minutes"] for point in curve]
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    left = figure.subplots()
    left.plot(minutes, [point["loss"] for point in curve], color="tab:orange")
    left.set(xlabel="minutes", ylabel="training loss", yscale="log")
    right = left.twinx()
    right.plot(minutes, [point["psnr"] for point in curve], color="tab:blue")
    right.set_ylabel("validation PSNR in dB", color="tab:blue")
    left.yaxis.label.set_color("tab:orange")
    figure.savefig(path, dpi=110)
