"""The clock and the memory of a training run; the loops themselves are in the scripts."""

import argparse
import dataclasses
import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Generator, Tensor, nn
from tqdm import tqdm

from restoration.catalog import load
from restoration.restorer import Restorer
from restoration.running import typical
from train.data import TrainingError
from train.optimizers import Ema, Optimizers, learning_rate_factor, revive, step_generator
from train.precision import compiles, precision_of
from train.publish import publish
from train.recipes._recipe import Recipe
from train.state import STATE, folder_of, load_tensors, save_tensors, under


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


class Run:
    """The clock and the memory of one training run: iterate over it to train.

    Every turn of `for progress in run` is one step, `progress` the share of the run that is over.  In between the
    averaged weights are validated, the best of them are kept in the run's folder, and everything is saved so that the
    same command goes on after a kill.  The loop itself belongs to the script: it draws a batch, makes the loss and
    calls `learn`.

    Args:
        arguments: what `run_arguments` parsed.
        data: what `train.data.split` says of the images.
        score: the validation score of a model that is ready to restore.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        accelerator: Accelerator,
        recipe: Recipe,
        data: dict,
        score: Callable[[Restorer], float],
    ):
        self.metric, self.data = recipe.metric, data
        self.arguments, self.accelerator, self.recipe, self.score = arguments, accelerator, recipe, score
        self.device = accelerator.device
        self.out = folder_of(arguments)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(arguments.seed)
        self.model = recipe.build().eval()
        self.outer = ends(self.model)
        self.inherited: dict[str, int] = {}  # what the weights that it starts from were trained on
        fresh = set(self.model.state_dict()) if arguments.init else set()
        for name in arguments.init or ():
            first = load(name)
            self.inherited |= first.run.get("data", {}).get("sources") or {"unknown": 0}
            fresh -= self._start_from(first, name)
        if fresh and accelerator.is_main_process:
            print(f"starts from nothing: {', '.join(sorted({name.partition('.')[0] for name in fresh}))}")
        self.model.to(self.device)
        self.revived = revive(self.model, score) if arguments.init else 0
        self.optimizers = Optimizers(self.model, recipe.optimizer, recipe.learning_rate, recipe.decay, self.outer)
        self.ema = Ema(self.model, recipe.ema)
        self.step, self.curve = 0, []
        self.others: dict[str, tuple[nn.Module, Optimizers]] = {}
        self.losses: list[Tensor] = []
        self._spent = 0.0
        self._state = self.out / STATE
        goes_on = self._state.exists()
        if goes_on:
            self._load()
        self.compiled = compiles(arguments, accelerator)
        self.network = accelerator.prepare(torch.compile(self.model) if self.compiled else self.model)
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
                lost = "loss" if main and not self._finite() else ""
                if not lost and main and (progress >= 1 or self._due()):
                    bar.set_postfix_str(self._validate())
                    lost = "" if math.isfinite(self.curve[-1][self.metric]) else "validation score"
                if self._agreed(bool(lost)):
                    self._diverged(lost)
                    return
                if progress >= 1 or self._agreed(self._stalled()):
                    return
                if main and time.monotonic() - self._saved >= self.arguments.save_every:
                    self._save()
                yield progress
                self.step += 1
                bar.n = self.step if self.arguments.steps else min(round(self.elapsed), total)
                bar.update(0)

    def _due(self) -> bool:
        return self.step % self.arguments.validate_every == 0 and bool(self.losses)

    def _agreed(self, verdict: bool) -> bool:
        """What the first process decides, for all of them."""
        if self.accelerator.num_processes == 1:
            return verdict
        return bool(broadcast(torch.tensor(verdict, device=self.device)))

    def _stalled(self) -> bool:
        """Whether the last `patience` validations brought no better score."""
        patience = self.recipe.patience
        if patience is None:
            return False
        return all(point[self.metric] != self.best for point in self.curve[-patience:]) and bool(self.curve)

    def _finite(self) -> bool:
        """Whether the last loss was a number; on a GPU it is looked at every 100 steps, since looking waits for it."""
        if not self.losses or (self.device.type == "cuda" and self.step % 100):
            return True
        return bool(self.losses[-1].isfinite())

    def _diverged(self, what: str) -> None:
        """End a run that has come to nothing; what was best before stays.

        Raises:
            TrainingError: there is nothing yet that could stay.
        """
        if not self.accelerator.is_main_process:
            return
        self._state.unlink(missing_ok=True)
        if self.best is None:
            raise TrainingError(f"the {what} is no finite number after {self.step} steps; try a lower --learning-rate")
        print(f"stopped after {self.step} steps: the {what} is no finite number; the best weights so far are kept")

    @property
    def best(self) -> float | None:
        """The best validation score so far, of those that are numbers."""
        scores = [point[self.metric] for point in self.curve if math.isfinite(point[self.metric])]
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

    def record(self) -> dict:
        """What the run was so far.

        Weights that it started from count with their data, whose licences apply to what became of them.
        """
        data = {**self.data, "sources": {**self.inherited, **self.data["sources"]}}
        return {
            **self._terms(),
            "data": data,
            "revived": self.revived,
            "compiled": self.compiled,
            "commit": commit(),
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
            "processes": self.accelerator.num_processes,
            "minutes": round(self.elapsed / 60, 1),
            "steps": self.step,
            f"validation_{self.metric}": self.best,
            "curve": self.curve,
        }

    def finish(self) -> Restorer:
        """Write the training record, the card and the curve beside the best weights; gives the model with those."""
        (self.out / "run.json").write_text(json.dumps(self.record(), indent=1) + "\n")
        write_curve(self.out / "curve.png", self.curve, self.metric)
        trained = load(self.out)
        trained.generate_model_card().save(self.out / "README.md")
        self._state.unlink(missing_ok=True)
        print(f"best validation {self.metric} {self.best:.3f} after {self.step} steps; weights in {self.out}")
        if self.arguments.push_to_hub:
            print(f"published: {publish(self.out, self.arguments.push_to_hub)}")
        return trained

    def _start_from(self, first: Restorer, title: str) -> set[str]:
        """Take the weights over; the last layer may have another shape, as between upscalers, and then stays fresh.

        Those of a model that is a part of this one go there.

        Returns:
            The names of this model's weights that were taken over.

        Raises:
            TrainingError: other layers have other shapes, or equal ones compute something else.
        """
        parts = [(name, part) for name, part in self.model.named_modules() if type(part) is type(first)]
        place, model = parts[0] if parts else ("", self.model)
        own, weights = model.state_dict(), first.state_dict()
        fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
        fresh = [f"{place}.{name}".lstrip(".") for name in own if name not in fitting]
        if any(name.rpartition(".")[0] != self.outer[1] for name in fresh):
            raise TrainingError(f"{title} does not fit {self.arguments.model}: {', '.join(fresh)}")
        ours, theirs = ({**part._hub_mixin_config, "scale": None} for part in (model, first))
        other = [name for name in ours if name in theirs and json.dumps(ours[name]) != json.dumps(theirs[name])]
        if other:
            built = [", ".join(f"{name}={config[name]}" for name in other) for config in (theirs, ours)]
            raise TrainingError(f"{title} has {built[0]}, but {self.arguments.model} is built with {built[1]}")
        model.load_state_dict({**own, **fitting})
        return {f"{place}.{name}".lstrip(".") for name in fitting}

    def _terms(self) -> dict:
        """What must be the same for a run to go on."""
        return {
            "model": self.arguments.model,
            "recipe": {key: value for key, value in dataclasses.asdict(self.recipe).items() if key != "build"},
            "seed": self.arguments.seed,
            "init": " and ".join(Path(name).name for name in self.arguments.init or ()) or None,
            "precision": precision_of(self.accelerator),
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
        if math.isfinite(score) and score == self.best:
            averaged.run = self.record()  # also for those who start from here when the run is cut
            averaged.cpu().save_pretrained(self.out)
        return f"step {self.step}, loss {loss:.4f}, validation {self.metric} {score:.3f}, best {self.best or score:.3f}"

    def _save(self) -> None:
        self._saved = time.monotonic()
        parts = {"model": self.model.state_dict(), "ema": self.ema.weights, "optimizer": self.optimizers.state()}
        for name, (module, optimizers) in self.others.items():
            parts |= {name: module.state_dict(), f"{name}_optimizer": optimizers.state()}
        tensors = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
        progress = {"step": self.step, "spent": self.elapsed, "curve": self.curve, "data": self.data}
        save_tensors(self._state, tensors, {**self._terms(), **progress, "inherited": self.inherited})

    def _load(self) -> None:
        tensors, facts = load_tensors(self._state)
        terms = {**self._terms(), "data": self.data}
        other = [key for key, value in terms.items() if facts.get(key) != json.loads(json.dumps(value))]
        if other:
            raise TrainingError(f"{self.out} holds a run with another {', '.join(other)}; --out names another folder")
        self.model.load_state_dict(under("model", tensors))
        self.optimizers.load_state(under("optimizer", tensors))
        self.ema.weights = {name: value.to(self.device) for name, value in under("ema", tensors).items()}
        self.step, self.curve = facts["step"], facts["curve"]
        self._spent, self.inherited = facts["spent"], facts["inherited"]
        self.accelerator.print(f"going on from step {self.step}")


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
