"""The methods that the product offers, by task, learned and classical alike, and where their weights come from."""

import copy
import importlib
import json
import pkgutil
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from torch import Tensor

from restoration import classical, deep_image_prior, manifest, models, tasks, weights
from restoration.classical import Filter
from restoration.contract import Level
from restoration.deep_image_prior import Attempt
from restoration.fill_choice import AMONG, Chooser
from restoration.interpolation import interpolated
from restoration.offset_fill import filling, offset_fill
from restoration.restorer import Checkpoint, Restorer
from restoration.weights import DEADLINE, pinned, place


@dataclass(frozen=True)
class Prior:
    """Stands where a trained model does for Deep Image Prior, which fits an untrained network to each picture.

    Args:
        fit: takes what the task's contract takes, and yields attempts before it returns the restored image.
    """

    fit: Callable[..., Generator[Attempt, None, Tensor]]
    scale: int = 1
    channels: int | None = None

    def restore(self, image: Tensor, /, *inputs: Level | None, **named: Level | None) -> Tensor:
        """The restored images, each after minutes; takes what its task's contract takes, by position or by name."""
        self.fit(image, *inputs, **named)  # refuses what does not fit; nothing is fitted before the first step

        def own(value: Level | None, index: int) -> Level | None:
            """What of an input is for one image."""
            single = not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0 or len(value) != len(image)
            return value if single else value[index : index + 1]

        restored = []
        for index, picture in enumerate(image.split(1)):
            others = {name: own(value, index) for name, value in named.items()}
            restored.append(_end(self.fit(picture, *(own(value, index) for value in inputs), **others)))
        return torch.cat(restored)


def _end(fit: Generator[Attempt, None, Tensor]) -> Tensor:
    while True:
        try:
            next(fit)
        except StopIteration as end:
            return end.value


@dataclass(frozen=True)
class Chain:
    """Stands where a trained model does for a task that is a chain of orders of the others.

    Args:
        restore: takes an image (B, C, H, W) and gives it restored.
    """

    restore: Callable[[Tensor], Tensor]
    scale: int = 1
    channels: int | None = None


@dataclass(frozen=True)
class Method:
    """One entry of the drop-down list.

    Args:
        name: what the command line and the API call it.
        title: what the page calls it, and its siblings of other scales.
        summary: one line, what it is good at.
        limits: one line, what it is bad at; empty where the summary says it.
        scale: output size / input size.
        flagship: whether it is its task's default.
        source: a `Checkpoint`, a `Filter` for a classical method, a `Prior`, a `Chooser` among others, or a `Chain`.
        takes_sigma: whether a noise level makes a difference.
        takes_quality: whether a JPEG quality makes a difference.
        invents: see `Checkpoint`, as is `purpose`.
    """

    name: str
    task: str
    title: str
    summary: str
    source: Checkpoint | Filter | Prior | Chooser | Chain
    takes_sigma: bool = False
    takes_quality: bool = False
    scale: int = 1
    flagship: bool = False
    limits: str = ""
    invents: bool = False
    purpose: str = ""

    @property
    def learned(self) -> bool:
        return isinstance(self.source, Checkpoint)

    @property
    def prior(self) -> bool:
        """Whether it is Deep Image Prior, which takes minutes and shows its progress."""
        return isinstance(self.source, Prior)

    @property
    def chooses(self) -> bool:
        """Whether it picks another method for each picture."""
        return isinstance(self.source, Chooser)

    @property
    def chained(self) -> bool:
        """Whether it has other methods do its work, one after the other."""
        return isinstance(self.source, Chain)

    @property
    def family(self) -> str:
        """The name without the scale, which the siblings of other scales share."""
        return self.name.removesuffix(f"-x{self.scale}")

    @property
    def cleans(self) -> bool:
        """Whether it removes noise and JPEG artifacts on the way, as an upscaler may."""
        return self.learned and self.source.cleans

    @property
    def blends(self) -> bool:
        """Whether its weights can be mixed with those of another method, by `alpha` in `load`."""
        return self.learned and self.source.blends_with is not None and place(self.source.blends_with) is not None

    def load(self, alpha: float = 1.0) -> Restorer | Filter | Prior | Chooser | Chain:
        """What restores: the model with its bundled weights, or the filter or prior itself.

        Args:
            alpha: see the function `load`; 1 for methods that do not blend.
        """
        return load(self.name, alpha) if self.learned else self.source


_PRIOR = "No training: fits a network to your picture alone, in minutes; small pictures. Cancel keeps the best so far."


def _filled_by(name: str, image: Tensor, mask: Tensor) -> Tensor:
    from restoration.running import loaded, with_channels  # jobs are made of what is here

    return with_channels(loaded(method("inpaint", name)), image, mask)


_AUTO = Method(
    "auto",
    "inpaint",
    "Automatic",
    "Looks at the hole: Fourier fill for thin ones, Offset fill for large ones whose surroundings can be copied.",
    Chooser(_filled_by),
    flagship=True,
    purpose="Automatic",
)


def _untrained() -> list[Method]:
    """The methods without weights, the better ones of a task first."""
    return [
        Method(
            "offset-fill",
            "inpaint",
            "Offset fill",
            "Classical: copies the surroundings, shifted, and joins the copies where it is least seen; removed "
            "objects.",
            Filter(offset_fill, 512, steps=filling),
            limits="What the picture shows only once, such as a face, it cannot make; it may copy another object.",
            purpose="Objects to remove",
        ),
        *(Method(**entry) for entry in classical.ENTRIES),
        Method("deep-image-prior", "denoise", "Deep Image Prior", _PRIOR, Prior(deep_image_prior.denoise)),
        Method("deep-image-prior", "artifacts", "Deep Image Prior", _PRIOR, Prior(deep_image_prior.remove_artifacts)),
        *(
            Method(
                f"deep-image-prior-x{scale}",
                "upscale",
                "Deep Image Prior",
                _PRIOR,
                Prior(partial(deep_image_prior.upscale, scale=scale), scale),
                scale=scale,
            )
            for scale in (2, 3, 4)
        ),
        Method("deep-image-prior", "inpaint", "Deep Image Prior", _PRIOR, Prior(deep_image_prior.inpaint)),
    ]


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


def prepare(deadline: float = DEADLINE) -> None:
    """Take the checkpoints from the Hub, as far as it has them and answers in time; see `restoration.weights`.

    Args:
        deadline: seconds, for everything.
    """
    revisions = pinned()
    wanted = {name: revisions.get(name, checkpoint.revision) for name, checkpoint in _trained().items()}
    names = [f"{name}@{revision}" if revision else name for name, revision in wanted.items()]
    weights.prepare(names, deadline=deadline)


def methods(task: str | None = None) -> list[Method]:
    """The methods of a task, its flagship's family first and the classical ones last; of all tasks for None.

    A learned method is listed when there are weights for it.

    Raises:
        ValueError: no such task.
    """
    if task is not None:
        tasks.named(task)
    places = list(tasks.every())
    learned = [
        Method(
            checkpoint.name,
            architecture.task,
            checkpoint.title,
            checkpoint.summary,
            checkpoint,
            takes_sigma=checkpoint.obeys and getattr(architecture, "takes_sigma", False),
            takes_quality=checkpoint.obeys and getattr(architecture, "takes_quality", False),
            scale=scale_of(checkpoint.name),
            flagship=checkpoint.flagship,
            limits=checkpoint.limits,
            invents=checkpoint.invents,
            purpose=checkpoint.purpose,
        )
        for architecture in architectures().values()
        if task in (None, architecture.task)
        for checkpoint in architecture.checkpoints
        if place(checkpoint.name)
    ]
    leading = {method.family for method in learned if method.flagship}
    learned.sort(
        key=lambda method: (
            places.index(method.task),
            method.family not in leading,
            not method.flagship,
            not method.source.second,
        )
    )
    own = [method for kind in tasks.every().values() for method in kind.methods]
    offered = sorted((*learned, *own, *_untrained()), key=lambda method: places.index(method.task))
    if all(any(method.name == name for method in offered) for name in AMONG):
        chosen_from = [method for method in offered if method.name in AMONG]
        chosen_from.sort(key=lambda method: AMONG.index(method.name))
        at = next(index for index, method in enumerate(offered) if method.task == _AUTO.task)
        others = [method for method in offered if method.name not in AMONG]
        offered = [*others[:at], _AUTO, *chosen_from, *others[at:]]
    return [method for method in offered if task in (None, method.task)]


def _trained() -> dict[str, Checkpoint]:
    """All checkpoints, here or not, by name."""
    return {known.name: known for architecture in architectures().values() for known in architecture.checkpoints}


def off() -> dict[str, str]:
    """Why bundled checkpoints are off that cannot be used, one sentence each, by name."""
    return {name: sentence for name in _trained() if (sentence := weights.damage(name))}


def warnings() -> list[str]:
    """What is wrong with the bundled checkpoints, one sentence each, for whoever starts the program."""
    fault = manifest.own_fault(weights.bundled())
    note = f"{manifest.NAME} is {fault}, so the bundled checkpoints could not be checked. Install it again."
    return [*([note] if fault else []), *off().values()]


def scale_of(checkpoint: str) -> int:
    """The scale that ends a checkpoint's name, `-x4` for instance; 1 without."""
    _, separator, scale = checkpoint.rpartition("-x")
    return int(scale) if separator and scale.isdigit() else 1


def families(task: str, offered: list[Method] | None = None) -> dict[str, list[Method]]:
    """The methods of a task, or those given, by family, each with its scales in ascending order."""
    found: dict[str, list[Method]] = {}
    for method in methods(task) if offered is None else offered:
        found.setdefault(method.family, []).append(method)
    return {family: sorted(siblings, key=lambda method: method.scale) for family, siblings in found.items()}


def purposes(task: str) -> dict[str, str]:
    """What a visitor chooses a method for, the default first, with the name of the family that serves it."""
    found: dict[str, str] = {}
    for offered in methods(task):
        if offered.purpose:
            found.setdefault(offered.purpose, offered.family)
    return found


def method(task: str, name: str, scale: int | None = None) -> Method:
    """The method of that name, or of that family and scale.

    Args:
        name: of a method, or of a family with several scales; empty is the task's default, at a scale that it does
            not have the first of the others that has it.
        scale: which member of the family; None takes the named one, or the family's largest.

    Raises:
        ValueError: no such method; the message lists those that there are.  Or it is off, and the message says why.
    """
    listed = methods(task)
    offered = families(task, listed)
    wanted = [method for method in listed if method.name == name or (not name and scale in (None, method.scale))]
    exact = wanted[0] if wanted else None
    family = exact.family if exact else name
    if not (scale is None and family in offered) and (sentence := _why_off(family, scale)):
        raise ValueError(sentence)
    if family not in offered:
        raise ValueError(f"There is no {task} model called {name!r}; choose {', '.join(offered)}.")
    if scale is None:
        return exact or offered[family][-1]
    for sibling in offered[family]:
        if sibling.scale == scale:
            return sibling
    *others, last = (str(sibling.scale) for sibling in offered[family])
    scales = f"{', '.join(others)} or {last}" if others else last
    raise ValueError(f"{offered[family][0].title} enlarges by {scales}, not by {scale}.")


def _why_off(name: str, scale: int | None) -> str:
    """Why the checkpoint is not here that a name, or a family and a scale, asks for; empty if none of that name is."""
    siblings = [known for known in _trained() if known == f"{name}-x{scale_of(known)}"]
    asked_for = [name, *(known for known in siblings if scale in (None, scale_of(known)))]
    return next((sentence for known in asked_for if known in _trained() and (sentence := weights.lack(known))), "")


class Untrained(Restorer):
    """A method without weights, which restores as trained models do.

    Args:
        method: of the catalog.
    """

    channels = None

    def __init__(self, method: Method):
        super().__init__()
        self.method, self.task, self.scale = method, method.task, method.scale

    def restore(self, image: Tensor, /, *inputs: Level | None, **named: Level | None) -> Tensor:
        """See the contract of its task."""
        return self.method.source.restore(image, *inputs, **named)

    def forward(self, image: Tensor, *inputs: Level | None) -> Tensor:
        return self.restore(image, *inputs)

    def _save_pretrained(self, _: Path) -> None:
        raise ValueError(f"{self.method.name} has no weights to save.")


def load(source: str | Path, alpha: float = 1.0, task: str | None = None) -> Restorer:
    """What restores, of a name that `methods` lists, of a folder, or of `user/repo[@revision]` on the Hub.

    Every call gives a model of its own; the files are read once.

    Args:
        alpha: for a checkpoint that blends with another (`esrgan-x4` with `rrdb-x4`), how far its weights lie on the
            way from the other's: 0 is the other, 1 this one.  The other is looked for beside this one.
        task: which one, for a method of several tasks.

    Raises:
        ValueError: no such method or checkpoint, files that do not fit each other, or an alpha that does not apply.
        OSError: the Hub cannot be reached.
    """
    model = _load(source, task)
    if alpha == 1:
        return model
    place = str(source).partition("@")[0].rstrip("/")
    parent, _, name = place.rpartition("/")
    partner = next((c.blends_with for c in type(model).checkpoints if c.name in (name, model.run.get("model"))), None)
    if partner is None:
        raise ValueError(f"{name} does not blend with another model, so alpha does not apply.")
    return interpolated(_load(f"{parent}/{partner}" if parent else partner), model, alpha)


def _load(source: str | Path, task: str | None = None) -> Restorer:
    name, folder = str(source), Path(source)
    if not folder.is_dir():
        if known := place(name):
            folder = known.folder
        elif name in _trained():
            raise ValueError(weights.lack(name))
        elif untrained := _untrained_called(name, task):
            return Untrained(untrained)
    if folder.is_dir():
        weights.check_folder(folder)
        return copy.deepcopy(_read(folder.resolve(), manifest.stamps(folder)))
    if isinstance(source, str) and "/" not in source:
        names = ", ".join(dict.fromkeys(method.name for method in methods()))
        raise ValueError(f"there is no method called {source}; there are {names}")
    repo, revision = weights.on_hub(name)
    return _made_of(Path(hf_hub_download(repo, "config.json", revision=revision)), repo, revision)


@lru_cache(maxsize=4)
def _read(folder: Path, _: object) -> Restorer:
    """The model of a folder; read again when its files change."""
    if not (folder / "config.json").exists():
        raise ValueError(f"{folder.name} holds no config.json")
    return _made_of(folder / "config.json", str(folder), None)


def _made_of(config: Path, repo: str, revision: str | None) -> Restorer:
    """The model of a folder or a repository, with the configuration that it holds."""
    title = Path(repo).name if Path(repo).is_dir() else repo
    try:
        architecture = json.loads(config.read_text(encoding="utf-8")).get("architecture")
    except (ValueError, AttributeError, RecursionError):
        raise ValueError(f"{title} holds a damaged config.json") from None
    if architecture not in architectures():
        raise ValueError(f"{title} is of the unknown architecture {architecture!r}")
    return architectures()[architecture].from_pretrained(repo, revision=revision)


def _untrained_called(name: str, task: str | None) -> Method | None:
    """The method without weights of that name.

    Raises:
        ValueError: no such task, or several tasks have one.
    """
    found = [method for method in methods(task) if method.name == name and not method.learned]
    if len(found) > 1:
        of = ", ".join(method.task for method in found)
        raise ValueError(f'{name} is a method of several tasks; add task="...", one of {of}')
    return found[0] if found else None
