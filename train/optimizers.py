"""The optimisers of every training script, their rates, the running average, and the randomness of a step."""

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
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
    for each output channel, a transposed one for each input channel.  The first and last convolutions and all vectors
    are left to AdamW.

    Args:
        outer: the names of the first and last convolution, if they were not made in that order.
    """

    def __init__(
        self, model: nn.Module, name: str, learning_rate: float, decay: float, outer: tuple[str, str] | None = None
    ):
        kernels = {key: parameter for key, parameter in model.named_parameters() if parameter.ndim == 4}
        names = list(kernels)
        outer = [f"{layer}.weight" for layer in outer] if outer else names[:1] + names[-1:]
        self.kernels = [kernels[kernel] for kernel in names if kernel not in outer] if name == "muon" else []
        self.matrices = [nn.Parameter(kernel.detach().view(len(kernel), -1)) for kernel in self.kernels]
        hidden = {id(kernel) for kernel in self.kernels}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in hidden]
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
            matrix.data = kernel.detach().view(matrix.shape)  # which moves when several processes share a model
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


@torch.no_grad()
def revive(model: nn.Module, probe: Callable[[nn.Module], object]) -> int:
    """Give channels that are never positive before a ReLU new weights, and their readers none; gives their number.

    The model computes what it did, since what a dead channel hands on is 0, but the channel can learn again.  Looked
    at are convolutions that stand before a ReLU and a convolution in an `nn.Sequential`.

    Args:
        probe: runs the model on typical images.
    """
    pairs = [
        (first, second)
        for row in model.modules()
        if isinstance(row, nn.Sequential)
        for first, between, second in zip(row, row[1:], row[2:], strict=False)
        if isinstance(first, nn.Conv2d) and isinstance(between, nn.ReLU) and isinstance(second, nn.Conv2d)
    ]
    peaks: dict[nn.Module, Tensor] = {}

    def watch(layer: nn.Module, _, output: Tensor) -> None:
        peak = output.amax((0, 2, 3))
        peaks[layer] = torch.maximum(peaks.get(layer, peak), peak)

    watching = [first.register_forward_hook(watch) for first, _ in pairs]
    probe(model)
    for hook in watching:
        hook.remove()
    count = 0
    for first, second in pairs:
        dead = peaks[first] <= 0
        fresh = copy.deepcopy(first)
        fresh.reset_parameters()
        first.weight[dead] = fresh.weight[dead]
        if first.bias is not None:
            first.bias[dead] = fresh.bias[dead]
        second.weight[:, dead] = 0
        count += int(dead.sum())
    return count


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
