"""The methods that the product offers, by task, learned and classical alike, and where their weights come from."""

import importlib
import json
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from huggingface_hub import hf_hub_download
from torch import Tensor

from restoration import classical, models
from restoration.restorer import Checkpoint, Restorer

Task = Literal["denoise"]
TASKS: tuple[Task, ...] = ("denoise",)


@dataclass(frozen=True)
class Filter:
    """A classical function that stands where a trained model does: no weights, any number of channels.

    Args:
        function: (B, C, H, W) in [0, 1] and a noise level to the restored image.
        receptive_field: radius in pixels that an output pixel depends on.
    """

    function: Callable[[Tensor, float | None], Tensor]
    receptive_field: int
    multiple_of: int = 1
    channels: int | None = None

    def restore(self, noisy: Tensor, sigma: float | None = None) -> Tensor:
        return self.function(noisy, sigma)


@dataclass(frozen=True)
class Method:
    """One entry of the drop-down list.

    Args:
        name: what the command line and the API call it.
        title: what the page calls it.
        summary: one line, what it is good at.
        scale: output size / input size.
        flagship: whether it is its task's default.
        source: a `Checkpoint`, or a `Filter` for a classical method.
        takes_sigma: whether a noise level makes a difference.
    """

    name: str
    task: Task
    title: str
    summary: str
    source: Checkpoint | Filter
    takes_sigma: bool
    scale: int = 1
    flagship: bool = False

    @property
    def learned(self) -> bool:
        return isinstance(self.source, Checkpoint)

    def load(self) -> Restorer | Filter:
        """What restores: the model with its bundled weights, or the filter itself."""
        return load(self.name) if self.learned else self.source


_CLASSICAL = (
    Method(
        "non-local-means",
        "denoise",
        "Non-local means",
        "Classical: averages similar patches; the strongest of the classical filters.",
        # patch distance 6 and patch radius 2
        Filter(classical.non_local_means, 8),
        takes_sigma=True,
    ),
    Method(
        "total-variation",
        "denoise",
        "Total variation",
        "Classical: flat areas and sharp edges; cartoons and phantoms.",
        # Not local: the influence of a pixel fades over some tens of pixels.
        Filter(classical.total_variation, 64),
        takes_sigma=True,
    ),
    Method(
        "wavelet",
        "denoise",
        "Wavelet",
        "Classical: shrinks wavelet details; fast and mild.",
        # Not local: thresholds are set from a whole tile.
        Filter(classical.wavelet, 64, multiple_of=16),
        takes_sigma=True,
    ),
    Method(
        "bilateral",
        "denoise",
        "Bilateral",
        "Classical: smooths while keeping edges.",
        Filter(classical.bilateral, 5),
        takes_sigma=True,
    ),
    Method(
        "median",
        "denoise",
        "Median",
        "Classical: removes isolated black and white dots (salt and pepper).",
        Filter(classical.median, 2),
        takes_sigma=True,
    ),
    Method(
        "gaussian",
        "denoise",
        "Gaussian blur",
        "Classical: plain blur, for comparison.",
        Filter(classical.gaussian, 7),
        takes_sigma=True,
    ),
    Method(
        "mean",
        "denoise",
        "Mean",
        "Classical: 3x3 average, for comparison.",
        Filter(classical.mean, 1),
        takes_sigma=False,
    ),
)


@cache
def architectures() -> dict[str, type[Restorer]]:
    """Every architecture by class name: the files of `restoration/models` whose name has no underscore in front."""
    found = {}
    for module in pkgutil.iter_modules(models.__path__):
        if not module.name.startswith("_"):
            for value in vars(importlib.import_module(f"{models.__name__}.{module.name}")).values():
                if isinstance(value, type) and issubclass(value, Restorer) and value.checkpoints:
                    found[value.__name__] = value
    return found


def methods(task: Task | None = None) -> list[Method]:
    """The methods of a task, its flagship first and the classical ones last; of all tasks for None.

    A learned method is listed when its weights are bundled.

    Raises:
        ValueError: no such task.
    """
    if task is not None and task not in TASKS:
        raise ValueError(f"there is no task called {task!r}; the tasks are {', '.join(TASKS)}")
    learned = [
        Method(
            checkpoint.name,
            architecture.task,
            checkpoint.title,
            checkpoint.summary,
            checkpoint,
            takes_sigma=getattr(architecture, "takes_sigma", False),
            scale=architecture.scale,
            flagship=checkpoint.flagship,
        )
        for architecture in architectures().values()
        for checkpoint in architecture.checkpoints
        if (bundled() / checkpoint.name / "model.safetensors").exists()
    ]
    learned.sort(key=lambda method: not method.flagship)
    return [method for method in (*learned, *_CLASSICAL) if task in (None, method.task)]


def method(task: Task, name: str) -> Method:
    """The method of that name.

    Raises:
        ValueError: no such method; the message lists those that there are.
    """
    offered = {method.name: method for method in methods(task)}
    if name not in offered:
        raise ValueError(f"There is no {task} model called {name!r}; choose {', '.join(offered)}.")
    return offered[name]


def bundled() -> Path:
    """The folder of the bundled checkpoints: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "checkpoints"
    return inside if inside.is_dir() else package.parent / "checkpoints"


def load(source: str | Path) -> Restorer:
    """The model of a bundled name, of a folder, or of `user/repo[@revision]` on the Hub, ready to restore.

    Raises:
        ValueError: no such checkpoint, or one whose files do not fit each other.
        OSError: the Hub cannot be reached.
    """
    folder = Path(source)
    if not folder.is_dir() and (bundled() / str(source)).is_dir():
        folder = bundled() / str(source)
    if folder.is_dir():
        repo, revision, config = str(folder), None, folder / "config.json"
        if not config.exists():
            raise ValueError(f"{folder.name} holds no config.json")
    elif str(source).count("/") == 1:
        repo, _, revision = str(source).partition("@")
        revision = revision or None
        config = Path(hf_hub_download(repo, "config.json", revision=revision))
    else:
        names = ", ".join(method.name for method in methods() if method.learned)
        raise ValueError(f"there is no checkpoint called {source}; bundled are {names}")
    architecture = json.loads(config.read_text()).get("architecture")
    if architecture not in architectures():
        raise ValueError(f"{source} is of the unknown architecture {architecture!r}")
    return architectures()[architecture].from_pretrained(repo, revision=revision)
