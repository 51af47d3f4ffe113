"""What test sets and benchmarks have in common."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from restoration.catalog import Method
from restoration.metrics import Lpips, psnr
from train.data import samples

Settings = tuple[float | None, ...]
BEST = 99.0  # dB that equal images count as


class Row(NamedTuple):
    """A row of the table.

    Args:
        name: of the row, which begins with the method's.
        settings: what `restore` gets besides what it is given; of the degraded and the clean image, if they matter.
        before: what is done with the degraded image first.
        after: what is done with the result and the mask.
    """

    name: str
    settings: Settings | Callable[[Tensor, Tensor], Settings] = ()
    before: Callable[[Tensor], Tensor] | None = None
    after: Callable[[Tensor, Tensor], Tensor] | None = None


class TestSet(Protocol):
    """Clean images, and how they are degraded, restored and scored.

    Attributes:
        name: as the tables show it.
        baseline: what the degraded images themselves are called in the tables, None if they cannot be scored.
        real: whether it is damage that a visitor's photo has, by which defaults are chosen.
    """

    name: str
    baseline: str | None
    real: bool

    def images(self, data: Path) -> Iterable[Tensor]:
        """The clean images, float32 (1, C, H, W)."""

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        """What the methods are given for the image at that index: the degraded image, and a mask if there is one."""

    def rows(self, method: Method) -> list[Row]:
        """The rows of a method, each with what `restore` gets besides the image; none if it is not for this set."""

    def summary(
        self, restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]], lpips: Lpips | None
    ) -> dict[str, float]:
        """Scores of restored images that are rounded to 8 bits; `given` is what the method was given for each."""


def listed(data: Path, folders: tuple[str, ...], channels: int, listed_in: str | None) -> Iterable[Tensor]:
    """The images of folders below the data folder, of those only that a file there names, if there is one."""
    wanted = {Path(name).stem for name in (data / listed_in).read_text().split()} if listed_in else None
    for sample in samples([data / folder for folder in folders], channels):
        if wanted is None or Path(sample.name).stem in wanted:
            yield sample.image[None].float() / 255


def told_and_blind(method: Method, told: Settings | Callable[[Tensor, Tensor], Settings], blind: bool) -> list[Row]:
    """The row of a method that is told what it takes, and if it can find that itself, the one where it does."""
    return [Row(method.name, told), *([Row(f"{method.name} blind", (None,))] if blind else [])]


Pairs = list[tuple[Tensor, Tensor]]


def rounded(restored: list[Tensor], clean: list[Tensor]) -> Pairs:
    """Restored images, rounded to 8 bits, with the clean ones."""
    return [((image * 255).round().clamp(0, 255) / 255, truth) for image, truth in zip(restored, clean, strict=True)]


def kept(pairs: Pairs, given: list[tuple[Tensor, ...]]) -> float:
    """Mean PSNR in dB of the results to what they were made of."""
    decibels = [
        min(BEST, float(psnr(image, degraded))) for (image, _), (degraded, *_) in zip(pairs, given, strict=True)
    ]
    return statistics.fmean(decibels)


@torch.inference_mode()
def perceptual(pairs: Pairs, lpips: Lpips | None) -> dict[str, list[float]]:
    """The column of LPIPS, where its weights are at hand."""
    return {"lpips": [float(lpips(*pair)) for pair in pairs]} if lpips else {}


@dataclass(frozen=True)
class Target:
    """What a release must reach and what we are here for.

    Args:
        metric: a score, or the scores of each image, of which those are counted that are `by` higher.
        over: the figures are differences to this method, or to the best classical one on the set.
        by: see `metric`.
    """

    method: str
    set: str
    floor: float
    aim: float
    metric: str = "psnr"
    over: str | None = None
    by: float = 0.0


BEST_CLASSICAL = "best classical"


@dataclass(frozen=True)
class Line:
    """What the README says of a task, or of one scale of it.

    Args:
        real: name of a set of photos with real damage.
        baseline: row of what these are without a model.
        textbook: name of a set of the papers.
        published: the highest score of a paper on that set that we know of.
    """

    real: str
    baseline: str
    textbook: str
    published: str = ""
    metric: str = "psnr"


@dataclass
class Benchmark:
    """How a task's methods are scored.

    Args:
        sets: of the papers, and those with a visitor's damage.
        of_folder: the sets that any folder of images makes, with one of masks for holes.
        tables: the names of each table's columns, sets with a metric.
        targets: what is to be reached.
        lines: what the README says.
        home: the sets that a model was made for, which its card reports, the most telling one first; the prefixes of
            their names.  A model that is not listed reports every set that it was scored on, those with a visitor's
            damage first.
    """

    sets: tuple[TestSet, ...]
    of_folder: Callable[[Path, Path | None], tuple[TestSet, ...]]
    tables: tuple[tuple[str, ...], ...]
    targets: tuple[Target, ...] = ()
    lines: tuple[Line, ...] = ()
    home: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def at_home(self, model: str, scored: Iterable[str]) -> list[str]:
        """The sets of those names that the card of a model reports, in its order."""
        prefixes, sets = self.home.get(model, ("",)), {test_set.name: test_set for test_set in self.sets}
        places = list(sets)

        def place(name: str) -> tuple[int, bool, bool, int]:
            first = next(index for index, prefix in enumerate(prefixes) if name.startswith(prefix))
            return first, name != prefixes[first], not sets[name].real, places.index(name)

        return sorted((name for name in scored if name in sets and name.startswith(prefixes)), key=place)
