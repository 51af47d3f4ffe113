"""Small helpers that every training script calls; the loops themselves are in the scripts."""

import argparse
import copy
import dataclasses
import json
import math
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import safetensors.torch
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from safetensors import safe_open
from torch import Generator, Tensor, nn
from tqdm import tqdm

from restoration.catalog import load
from restoration.job import typical
from restoration.restorer import Restorer
from train.losses import LossName
from train.precision import PRECISIONS, precision_of
from train.publish import publish
from train.recipe import Recipe

AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)

# Without decay the weights outgrow Muon's steps of fixed size, and long runs at a high rate drift off.
MUON_DECAY = 0.02


def learning_rate_factor(progress: float, step: int, warmup: int = 100) -> float:
    """Share of the full learning rate: linear warm-up over `warmup` steps, cosine to 0 at progress 1."""
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def step_generator(device: torch.device | str, *key: int) -> Generator:
    """A generator that depends on `key` (seed, step, process) alone, so that a resumed run goes on as if unbroken."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
    return Generator(device).manual_seed(seed)


def ends(model: Restorer) -> tuple[str, str]:
    """The names of the convolutions that an image meets first and last, in whatever order they were made."""
    called: list[str] = []
    watching = [
        layer.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    model.restore(torch.full((1, model.channels, 64, 64), 0.5), *typical(model.task, 64))
    for hook in watching:
        hook.remove()
    return called[0], called[-1]


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


class Run:
    """The clock and the memory of one training run: iterate over it to train.

    Every turn of `for progress in run` is one step, `progress` the share of the run that is over.  In between the
    averaged weights are validated, the best of them are kept in the run's folder, and everything is saved so that the
    same command goes on after a kill.  The loop itself belongs to the script: it draws a batch, makes the loss and
    calls `learn`.

    Args:
        arguments: what `run_arguments` parsed.
        score: the validation score of a model that is ready to restore.
        metric: what that score is: PSNR in dB, where higher is better, or LPIPS, where lower is.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        accelerator: Accelerator,
        recipe: Recipe,
        score: Callable[[Restorer], float],
        metric: Literal["psnr", "lpips"] = "psnr",
    ):
        self.metric = metric
        self.arguments, self.accelerator, self.recipe, self.score = arguments, accelerator, recipe, score
        self.device = accelerator.device
        self.out = arguments.out or Path("runs") / arguments.model
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(arguments.seed)
        self.model = recipe.build().eval()
        self.outer = ends(self.model)
        self.inherited: dict[str, int] = {}  # what the weights that it starts from were trained on
        if arguments.init:
            first = load(arguments.init)
            self.inherited = first.run.get("data", {}).get("sources") or {"unknown": 0}
            self._start_from(first)
        self.model.to(self.device)
        self.revived = revive(self.model, score) if arguments.init else 0
        self.optimizers = Optimizers(self.model, recipe.optimizer, recipe.learning_rate, recipe.decay, self.outer)
        self.ema = Ema(self.model, recipe.ema)
        self.step, self.curve = 0, []
        self.others: dict[str, tuple[nn.Module, Optimizers]] = {}
        self.losses: list[Tensor] = []
        self._spent = 0.0
        self._state = self.out / "state.safetensors"
        goes_on = self._state.exists()
        if goes_on:
            self._load()
        compiled = torch.compile(self.model) if self.device.type == "cuda" else self.model
        self.network = accelerator.prepare(compiled)
        if accelerator.is_main_process and not goes_on:  # else an earlier run's record would pass for this one's
            (self.out / "run.json").unlink(missing_ok=True)

    def __iter__(self) -> Iterator[float]:
        self._started = self._saved = time.monotonic()
        total = self.arguments.steps or round(self.arguments.minutes * 60)
        main = self.accelerator.is_main_process
        self.model.train()
        with tqdm(total=total, unit=" steps" if self.arguments.steps else " s", disable=not main) as bar:
            while True:
                progress = self._progress()
                if main and (progress >= 1 or (self.step % self.arguments.validate_every == 0 and self.losses)):
                    bar.set_postfix_str(self._validate())
                if progress >= 1 or self._stalled():
                    return
                if main and time.monotonic() - self._saved >= self.arguments.save_every:
                    self._save()
                yield progress
                self.step += 1
                bar.n = self.step if self.arguments.steps else min(round(self.elapsed), total)
                bar.update(0)

    def _stalled(self) -> bool:
        """Whether the last `patience` validations brought no better score; the first process decides."""
        patience = self.recipe.patience
        if patience is None:
            return False
        stalled = all(point[self.metric] != self.best for point in self.curve[-patience:]) and bool(self.curve)
        if self.accelerator.num_processes > 1:
            stalled = bool(broadcast(torch.tensor(stalled, device=self.device)))
        return stalled

    @property
    def best(self) -> float | None:
        """The best validation score so far."""
        scores = [point[self.metric] for point in self.curve]
        return (max if self.metric == "psnr" else min)(scores, default=None)

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, those before a kill included."""
        return self._spent + time.monotonic() - self._started

    def keep(self, name: str, module: nn.Module, optimizers: Optimizers) -> None:
        """Save another trained module, a discriminator for instance, with the run; fills it in a run that goes on."""
        self.others[name] = module, optimizers
        if self._state.exists():
            tensors, _ = load_tensors(self._state)
            module.load_state_dict(under(name, tensors))
            optimizers.load_state(under(f"{name}_optimizer", tensors))

    def generator(self) -> Generator:
        """The randomness of the step and process at hand, the same when the step is repeated after a kill."""
        return step_generator(self.device, self.arguments.seed, self.step, self.accelerator.process_index)

    def learn(self, loss: Tensor, progress: float) -> None:
        """One step of the optimiser down the gradient of `loss`, and of the running average."""
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizers.step(learning_rate_factor(progress, self.step))
        self.ema.update(self.model, self.step)
        if self.accelerator.is_main_process:  # which alone reads and clears them
            self.losses.append(loss.detach())

    def finish(self, data: dict) -> Restorer:
        """Write the training record, the card and the curve beside the best weights; gives the model with those.

        Weights that it started from count with their data, whose licences apply to what became of them.
        """
        data = {**data, "sources": {**self.inherited, **data["sources"]}}
        facts = {
            **self._terms(),
            "data": data,
            "revived": self.revived,
            "precision": precision_of(self.accelerator),
            "commit": commit(),
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
            "processes": self.accelerator.num_processes,
            "minutes": round(self.elapsed / 60, 1),
            "steps": self.step,
            f"validation_{self.metric}": self.best,
            "curve": self.curve,
        }
        (self.out / "run.json").write_text(json.dumps(facts, indent=1) + "\n")
        write_curve(self.out / "curve.png", self.curve, self.metric)
        trained = load(self.out)
        trained.generate_model_card().save(self.out / "README.md")
        self._state.unlink(missing_ok=True)
        print(f"best validation {self.metric} {self.best:.3f} after {self.step} steps; weights in {self.out}")
        if self.arguments.push_to_hub:
            print(f"published: {publish(self.out, self.arguments.push_to_hub)}")
        return trained

    def _start_from(self, first: Restorer) -> None:
        """Take the weights over; the last layer may have another shape, as between upscalers, and then stays fresh.

        Raises:
            ValueError: other layers have other shapes, or equal ones compute something else.
        """
        own, weights = self.model.state_dict(), first.state_dict()
        fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
        fresh = [name for name in own if name not in fitting]
        if any(name.rpartition(".")[0] != self.outer[1] for name in fresh):
            raise ValueError(f"{self.arguments.init} does not fit {self.arguments.model}: {', '.join(fresh)}")
        ours, theirs = ({**model._hub_mixin_config, "scale": None} for model in (self.model, first))
        other = [name for name in ours if name in theirs and json.dumps(ours[name]) != json.dumps(theirs[name])]
        if other:
            built = [", ".join(f"{name}={config[name]}" for name in other) for config in (theirs, ours)]
            raise ValueError(
                f"{self.arguments.init} has {built[0]}, but {self.arguments.model} is built with {built[1]}"
            )
        self.model.load_state_dict({**own, **fitting})

    def _terms(self) -> dict:
        """What must be the same for a run to go on."""
        return {
            "model": self.arguments.model,
            "recipe": {key: value for key, value in dataclasses.asdict(self.recipe).items() if key != "build"},
            "seed": self.arguments.seed,
            "init": Path(self.arguments.init).name if self.arguments.init else None,
        }

    def _progress(self) -> float:
        if self.arguments.steps:
            return self.step / self.arguments.steps
        progress = self.elapsed / 60 / self.arguments.minutes
        if self.accelerator.num_processes > 1:  # the clocks differ; the first process decides
            progress = float(broadcast(torch.tensor(progress, device=self.device)))
        return progress

    def _validate(self) -> str:
        averaged = self.recipe.build()
        averaged.load_state_dict(self.ema.weights)
        score = self.score(averaged.to(self.device).eval())
        loss = float(torch.stack(self.losses).mean()) if self.losses else math.nan
        self.losses.clear()
        self.curve.append({"step": self.step, "minutes": round(self.elapsed / 60, 3), "loss": loss, self.metric: score})
        if score == self.best:
            averaged.cpu().save_pretrained(self.out)
        return f"step {self.step}, loss {loss:.4f}, validation {self.metric} {score:.3f}, best {self.best:.3f}"

    def _save(self) -> None:
        self._saved = time.monotonic()
        parts = {"model": self.model.state_dict(), "ema": self.ema.weights, "optimizer": self.optimizers.state()}
        for name, (module, optimizers) in self.others.items():
            parts |= {name: module.state_dict(), f"{name}_optimizer": optimizers.state()}
        tensors = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
        progress = {"step": self.step, "spent": self.elapsed, "curve": self.curve}
        save_tensors(self._state, tensors, {**self._terms(), **progress, "inherited": self.inherited})

    def _load(self) -> None:
        tensors, facts = load_tensors(self._state)
        other = [key for key, value in self._terms().items() if facts.get(key) != json.loads(json.dumps(value))]
        if other:
            raise ValueError(f"{self.out} holds a run with another {', '.join(other)}; --out names another folder")
        self.model.load_state_dict(under("model", tensors))
        self.optimizers.load_state(under("optimizer", tensors))
        self.ema.weights = {name: value.to(self.device) for name, value in under("ema", tensors).items()}
        self.step, self.curve = facts["step"], facts["curve"]
        self._spent, self.inherited = facts["spent"], facts["inherited"]
        self.accelerator.print(f"going on from step {self.step}")


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
    parser.add_argument("--minutes", type=float, default=60, help="length of the run; the schedule ends with it")
    parser.add_argument("--steps", type=int, help="length in steps instead: equal seeds then give equal weights")
    parser.add_argument("--init", help="start from this checkpoint: folder, bundled name or user/repo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write; runs/MODEL by default")
    parser.add_argument("--batch", type=int, help="crops per step and process instead of the recipe's")
    parser.add_argument("--crop", type=int, help="side of the first crops instead of the recipe's")
    parser.add_argument("--learning-rate", type=float, help="instead of the recipe's")
    parser.add_argument("--optimizer", choices=("adam", "adamw", "muon"), help="instead of the recipe's")
    if losses:
        parser.add_argument("--loss", choices=losses, help="instead of the recipe's, for the whole run")
    if vgg:
        parser.add_argument("--vgg", metavar="FILE", help="VGG19 safetensors for a perceptual loss; else from the Hub")
    parser.add_argument("--precision", choices=PRECISIONS, help="of the networks; by default the one that is faster")
    parser.add_argument("--validate-every", type=int, default=500, metavar="STEPS")
    parser.add_argument("--save-every", type=float, default=120, metavar="SECONDS", help="for going on after a kill")
    parser.add_argument("--push-to-hub", metavar="USER/REPO", help="publish the best weights at the end")
    return parser


def changed(recipe: AnyRecipe, arguments: argparse.Namespace) -> AnyRecipe:
    """The recipe with what the command line says instead."""
    names = ("batch", "crop", "learning_rate", "optimizer", "loss")
    changes = {name: value for name in names if (value := getattr(arguments, name, None))}
    if "loss" in changes:
        changes["first_loss"] = None
    return dataclasses.replace(recipe, **changes)


def commit() -> str:
    """The git commit that the code is at, "unknown" outside a checkout."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip() or "unknown"


def write_curve(path: Path, curve: list[dict], metric: str) -> None:
    """Training loss and validation score over the minutes, as a PNG."""
    from matplotlib.figure import Figure

    minutes = [point["minutes"] for point in curve]
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    left = figure.subplots()
    losses = [point["loss"] for point in curve]
    left.plot(minutes, losses, color="tab:orange")
    left.set(xlabel="minutes", ylabel="training loss", yscale="log" if min(losses, default=0) > 0 else "linear")
    right = left.twinx()
    right.plot(minutes, [point[metric] for point in curve], color="tab:blue")
    right.set_ylabel(f"validation {metric.upper()}", color="tab:blue")
    left.yaxis.label.set_color("tab:orange")
    figure.savefig(path, dpi=110)
