"""How upscalers are scored."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from restoration.catalog import Method, methods
from restoration.degradations import (
    Degradation,
    Downscale,
    GaussianNoise,
    Jpeg,
)
from restoration.metrics import Lpips, luma, psnr, ssim
from restoration.photo_damage import PhotoDamage
from restoration.running import loaded, with_channels
from train.benchmarks._sets import Benchmark, Line, Row, Target, TestSet, perceptual, rounded
from train.data import divisible, samples, text_page
from train.recipes.upscale import worn


@dataclass(frozen=True)
class ReducedSet:
    """Images cut to a multiple of the scale and reduced by MATLAB's bicubic on 8 bits; luma, `scale` border pixels cut.

    The protocol of the light super-resolution papers.

    Args:
        folders: below the data folder.
    """

    name: str
    folders: tuple[str, ...]
    scale: int
    baseline: str | None = field(default=None, init=False)
    real: bool = field(default=False, init=False)

    def images(self, data: Path) -> Iterable[Tensor]:
        for sample in samples([data / folder for folder in self.folders], 3):
            yield divisible(sample.image, self.scale)

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        return (Downscale(self.scale)(clean),)

    def rows(self, method: Method) -> list[Row]:
        return [Row(method.name)] if method.scale == self.scale else []

    def summary(
        self, restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]], lpips: Lpips | None
    ) -> dict[str, float]:
        pairs = rounded(restored, clean)
        columns: dict[str, list[float]] = {"psnr": [], "ssim": [], "mse": [], **perceptual(pairs, lpips)}
        for image, reference in pairs:
            pair = luma(image), luma(reference)
            columns["psnr"].append(float(psnr(*pair, self.scale)))
            columns["ssim"].append(float(ssim(*pair, self.scale)))
            columns["mse"].append(10 ** (-columns["psnr"][-1] / 10))
        result = {"images": len(clean)}
        for metric, values in columns.items():
            result |= {metric: statistics.fmean(values), f"{metric}_range": [min(values), max(values)]}
        return result


@dataclass(frozen=True)
class WornSet(ReducedSet):
    """Images that are reduced as phones and the web do it, in 8 bits, scored as `ReducedSet`s are.

    A row "cleaned" is a method after the other tasks' default models, as a visitor would who does it in steps.

    Args:
        damage: makes the small picture; each image has a seed of its own.
        cleaners: tasks whose default comes first in the row "cleaned".
        every: so many images, one is used; all of a visitor's own folder.
    """

    damage: Degradation
    cleaners: tuple[str, ...]
    every: int = 1
    real: bool = field(default=True, init=False)
    FAMILIES = ("bicubic", "compact", "esrgan", "photo", "photo-gan")

    def images(self, data: Path) -> Iterable[Tensor]:
        return islice(super().images(data), 0, None, self.every)

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        return (self.damage(clean, torch.Generator().manual_seed(index)),)

    def rows(self, method: Method) -> list[Row]:
        if method.scale != self.scale or method.family not in self.FAMILIES:
            return []
        rows = [Row(method.name)]
        if method.family == "compact":
            rows.append(Row(f"{method.name} cleaned", before=lambda image: cleaned(image, self.cleaners)))
        return rows


@dataclass(frozen=True)
class TextSet(WornSet):
    """Pages of text and interface, other ones than training has, reduced as `damage` says."""

    pages: range = range(10_000, 10_012)

    def images(self, data: Path) -> Iterable[Tensor]:
        for page in self.pages:
            yield divisible(text_page(page), self.scale)


def cleaned(image: Tensor, tasks: tuple[str, ...]) -> Tensor:
    """An image (1, C, H, W) after the default methods of some tasks, blind."""
    for task in tasks:
        flagship = next(method for method in methods(task) if method.flagship)
        image = with_channels(loaded(flagship), image, *([None] if task != "upscale" else []))
    return image


def _reduced(name: str, folder: str) -> list[ReducedSet]:
    return [ReducedSet(f"{name} x{scale}", (folder,), scale) for scale in (2, 3, 4)]


def _worn(name: str, folders: tuple[str, ...], every: int = 1) -> list[WornSet]:
    """What the web holds, by what has happened to the small picture."""
    sets = []
    for scale in (4, 2):
        damages = {
            **{f"JPEG {quality}": worn(scale, Jpeg(quality)) for quality in (90, 75, 50)},
            **{f"noise {level}": worn(scale, GaussianNoise(level / 255)) for level in (3, 8)},
            "noise 4 + JPEG 85": worn(scale, GaussianNoise(4 / 255), Jpeg(85)),
            "blur + noise 4 + JPEG 50": worn(scale, GaussianNoise(4 / 255), Jpeg(50), blur=0.3 * scale),
            "second order": PhotoDamage(scale, plain_share=0, twice_share=1),
        }
        for label, damage in damages.items():
            both = ("noise" in label and "JPEG" in label) or label == "second order"
            cleaners = ("artifacts", "denoise") if both else ("denoise",) if "noise" in label else ("artifacts",)
            sets.append(WornSet(f"{name} x{scale}, {label}", folders, scale, damage, cleaners, every))
    return sets


def _of_folder(folder: Path, masks: Path | None) -> tuple[TestSet, ...]:
    place = str(folder.resolve())
    return *_worn(folder.name, (place,)), *_reduced(folder.name, place)


SETS: tuple[TestSet, ...] = (
    *_worn("photos", ("test/BSD100", "test/Set14"), every=3),
    *(TextSet(f"text x{scale}, JPEG 85", (), scale, worn(scale, Jpeg(85)), ("artifacts",)) for scale in (4, 2)),
    *_reduced("Set5", "test/Set5"),
    *_reduced("Set14", "test/Set14"),
    *_reduced("BSD100", "test/BSD100"),
)

_PHOTO_NAMES = tuple(test_set.name for test_set in SETS if isinstance(test_set, WornSet))

BENCHMARK = Benchmark(
    SETS,
    _of_folder,
    tables=(
        *(_PHOTO_NAMES[first : first + 4] for first in range(0, len(_PHOTO_NAMES), 4)),
        *(tuple(f"{name} x{scale}" for name in ("Set5", "Set14", "BSD100")) for scale in (4, 3, 2)),
    ),
    targets=(
        *(
            Target("photo-x4", f"photos x4, {label}", floor, floor + 0.2, over="bicubic-x4")
            for label, floor in (
                ("JPEG 90", 0.6),
                ("JPEG 75", 0.5),
                ("JPEG 50", 0.42),
                ("noise 3", 1.0),
                ("noise 8", 0.85),
                ("noise 4 + JPEG 85", 0.57),
                ("blur + noise 4 + JPEG 50", 0.3),
                ("second order", 0.3),
            )
        ),
        Target("compact-x4", "Set5 x4", 31.3, 32.2),
        Target("compact-x4", "BSD100 x4", 27.1, 27.6),
        Target("rrdb-x4", "Set5 x4", 30.9, 32.0),
        Target("esrgan-x4", "BSD100 x4", 0.30, 0.18, metric="lpips"),
        Target("esrgan-x4", "BSD100 x4", 24.0, 24.0),
        Target("srcnn-x2", "Set5 x2", 36.2, 36.66),
        Target("srcnn-x3", "Set5 x3", 32.2, 32.75),
        Target("srcnn-x4", "Set5 x4", 30.1, 30.48),
        Target("unet-sr-x4", "Set5 x4", 29.93, 31.0),
    ),
    lines=(
        Line("photos x4, JPEG 75", "bicubic-x4", "Set5 x4", "33.30, [HAT-L](https://arxiv.org/abs/2205.04437)"),
        Line("photos x2, JPEG 75", "bicubic-x2", "Set5 x2", "38.65, [MambaIRv2](https://arxiv.org/abs/2411.15269)"),
    ),
    home={},
)
