"""The test sets of every task, as the papers have them: what is degraded how, what a method is told, what is scored."""

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from restoration.catalog import Method, methods
from restoration.degradations import (
    Chain,
    Degradation,
    Downscale,
    GaussianNoise,
    Holes,
    Jpeg,
    PixelHoles,
    Rounding,
    UniformNoise,
)
from restoration.files import ENDINGS, read
from restoration.image import Image, ImageError
from restoration.inpainting import mask_from
from restoration.metrics import Lpips, luma, psnr, psnr_b, ssim
from restoration.photo_damage import PhotoDamage
from restoration.running import loaded, with_channels
from restoration.texture import copy_texture
from train.data import centre_crop, divisible, samples, text_page
from train.holes import MadeSet, ObjectSet
from train.recipe import worn

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


@dataclass(frozen=True)
class NoisySet:
    """Noise in float, neither clipped nor rounded, the same seed for every image; PSNR over all channels, no border.

    The protocol of DnCNN, FFDNet and DRUNet.  `kept` is the PSNR of the result to the noisy image.

    Args:
        folders: below the data folder.
        channels: 3 for colour; 1 turns colour images grey as MATLAB's rgb2gray does.
        sigma: the noise's standard deviation on [0, 1], which methods that take one are told.
        listed_in: a file below the data folder that names the images to use.
    """

    name: str
    folders: tuple[str, ...]
    channels: int
    noise: Degradation
    sigma: float
    listed_in: str | None = None
    baseline: str | None = field(default="noisy", init=False)
    real: bool = field(default=False, init=False)

    def images(self, data: Path) -> Iterable[Tensor]:
        return _listed(data, self.folders, self.channels, self.listed_in)

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        return (self.noise(clean, torch.Generator().manual_seed(0)),)

    def rows(self, method: Method) -> list[Row]:
        rows = [Row(method.name, (self.sigma,))]
        if method.learned and method.takes_sigma:
            rows.append(Row(f"{method.name} blind", (None,)))
        return rows

    def summary(
        self, restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]], lpips: Lpips | None
    ) -> dict[str, float]:
        return _denoised(restored, clean, given)


@dataclass(frozen=True)
class RealNoiseSet:
    """Pairs of a real noisy photo and the mean of many of the same scene: the middles of both.

    The protocol of Xu, Li, Liang, Zhang, Zhang, "Real-world Noisy Image Denoising: A New Benchmark" (PolyU), 2018,
    arXiv:1804.02603; PSNR over all channels, no border.  Methods that take a noise level are told the root mean
    square of the difference.  `kept` is the PSNR of the result to the noisy photo.

    Args:
        folder: below the data folder, with files `*_real.*` and `*_mean.*`.
        side: of the middles, in pixels.
    """

    name: str
    folder: str
    side: int = 256
    baseline: str | None = field(default="noisy", init=False)
    real: bool = field(default=True, init=False)

    def images(self, data: Path) -> Iterable[Tensor]:
        return (self._middle(mean) for _, mean in photo_pairs(data / self.folder))

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        return (self._middle(photo_pairs(data / self.folder)[index][0]),)

    def _middle(self, file: Path) -> Tensor:
        return centre_crop(read(file).bytes(3), self.side)[None].float() / 255

    def rows(self, method: Method) -> list[Row]:
        rows = [Row(method.name, lambda noisy, clean: (float((noisy - clean).square().mean().sqrt()),))]
        if method.takes_sigma:  # a filter measures the level itself
            rows.append(Row(f"{method.name} blind", (None,)))
        return rows

    def summary(
        self, restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]], lpips: Lpips | None
    ) -> dict[str, float]:
        return _denoised(restored, clean, given)


def photo_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """The files `*_real.*` of a folder, each with its `*_mean.*`, by name."""
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in ENDINGS}
    pairs = ((path, files.get(stem.removesuffix("_real") + "_mean")) for stem, path in files.items())
    return [(real, mean) for real, mean in pairs if real.stem.endswith("_real") and mean]


@dataclass(frozen=True)
class CompressedSet:
    """JPEG by Pillow, 4:2:0 in colour; PSNR over all channels, SSIM and PSNR-B, no border.

    The protocol of FBCNN and SwinIR.  `kept` is the PSNR of the result to the JPEG that it was made of.

    Args:
        folder: below the data folder.
        channels: 3 for colour, 1 for grey.
        listed_in: a file below the data folder that names the images to use.
        before: quality that the image was saved with before, on a grid shifted by 4 pixels.
    """

    name: str
    folder: str
    channels: int
    quality: int
    listed_in: str | None = None
    before: int | None = None
    baseline: str | None = field(default="jpeg", init=False)

    @property
    def real(self) -> bool:
        return self.before is not None

    def images(self, data: Path) -> Iterable[Tensor]:
        return _listed(data, (self.folder,), self.channels, self.listed_in)

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        if self.before:
            clean = Jpeg(self.before)(F.pad(clean, (4, 0, 4, 0), mode="reflect"))[..., 4:, 4:]
        return (Jpeg(self.quality)(clean),)

    def rows(self, method: Method) -> list[Row]:
        rows = [Row(method.name, (self.quality,))]
        if method.learned and method.takes_quality:
            rows.append(Row(f"{method.name} blind", (None,)))
        return rows

    def summary(
        self, restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]], lpips: Lpips | None
    ) -> dict[str, float]:
        pairs = _rounded(restored, clean)
        columns = {"psnr": psnr, "ssim": ssim, "psnr_b": psnr_b}
        result = {
            metric: statistics.fmean(float(measure(*pair)) for pair in pairs) for metric, measure in columns.items()
        }
        return {**result, "kept": _kept(pairs, given), "images": len(clean)}


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
        pairs = _rounded(restored, clean)
        columns: dict[str, list[float]] = {"psnr": [], "ssim": [], "mse": [], **_perceptual(pairs, lpips)}
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


@dataclass(frozen=True)
class HoledSet:
    """The middles of images with holes, a mask of its own for each.

    PSNR and SSIM of the whole image, PSNR of the holes alone (`hole_psnr`), over all channels, and LPIPS.

    Args:
        folder: of images, below the data folder.
        holes: what the names of the masks start with, which take turns, white is missing; or what draws them.
        masks: their folder, below the data folder.
        count: how many of the first images are used; None is all.
        channels: 3 for colour, 1 for grey.
        side: of the middles, in pixels.
    """

    name: str
    folder: str
    holes: str | Holes
    masks: str = "masks"
    count: int | None = None
    channels: int = 3
    side: int = 256
    baseline: str | None = field(default=None, init=False)
    real: bool = field(default=False, init=False)

    def images(self, data: Path) -> Iterable[Tensor]:
        for sample in islice(samples([data / self.folder], self.channels), self.count):
            yield centre_crop(sample.image, self.side)[None].float() / 255

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        height, width = clean.shape[-2:]
        if isinstance(self.holes, str):
            picture = Image(np.zeros((height, width, 1), np.uint8))
            files = self._files(data)
            file = files[index % len(files)]
            mask = torch.from_numpy(mask_from(read(file), picture).opacity)[None, None]
            if not mask.any():
                raise ImageError(f"{file} is black: no pixel is missing")
        else:
            mask = self.holes(1, (height, width), torch.Generator().manual_seed(index))
        return clean * (1 - mask), mask

    def _files(self, data: Path) -> list[Path]:
        files = sorted(path for path in (data / self.masks).glob(f"{self.holes}*") if path.suffix.lower() in ENDINGS)
        if not files:
            raise FileNotFoundError(
                f"there is no mask {self.holes}* in {data / self.masks}; --masks names their folder"
            )
        return files

    def rows(self, method: Method) -> list[Row]:
        rows = [Row(method.name)]
        if method.learned and isinstance(self.holes, str):  # between single pixels there is nothing to copy
            rows.append(Row(f"{method.name} textured", after=copy_texture))
        return rows

    def summary(
        self, restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]], lpips: Lpips | None
    ) -> dict[str, float]:
        pairs = _rounded(restored, clean)
        columns: dict[str, list[float]] = {"psnr": [], "ssim": [], "hole_psnr": [], **_perceptual(pairs, lpips)}
        for (image, reference), (_, mask) in zip(pairs, given, strict=True):
            columns["psnr"].append(float(psnr(image, reference)))
            columns["ssim"].append(float(ssim(image, reference)))
            # Outside the holes nothing differs, so the whole image's error is the holes', diluted.
            columns["hole_psnr"].append(columns["psnr"][-1] + 10 * math.log10(float(mask.mean())))
        return {"images": len(clean), **{metric: statistics.fmean(values) for metric, values in columns.items()}}


def _listed(data: Path, folders: tuple[str, ...], channels: int, listed_in: str | None) -> Iterable[Tensor]:
    """The images of folders below the data folder, of those only that a file there names, if there is one."""
    wanted = {Path(name).stem for name in (data / listed_in).read_text().split()} if listed_in else None
    for sample in samples([data / folder for folder in folders], channels):
        if wanted is None or Path(sample.name).stem in wanted:
            yield sample.image[None].float() / 255


def _denoised(restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]]) -> dict[str, float]:
    pairs = _rounded(restored, clean)
    decibels = [min(BEST, float(psnr(*pair))) for pair in pairs]
    similarity = [float(ssim(*pair)) for pair in pairs]
    return {
        "psnr": statistics.fmean(decibels),
        "ssim": statistics.fmean(similarity),
        "median_psnr": statistics.median(decibels),
        "median_ssim": statistics.median(similarity),
        "kept": _kept(pairs, given),
        "images": len(clean),
    }


Pairs = list[tuple[Tensor, Tensor]]


def _rounded(restored: list[Tensor], clean: list[Tensor]) -> Pairs:
    """Restored images, rounded to 8 bits, with the clean ones."""
    return [((image * 255).round().clamp(0, 255) / 255, truth) for image, truth in zip(restored, clean, strict=True)]


def _kept(pairs: Pairs, given: list[tuple[Tensor, ...]]) -> float:
    """Mean PSNR in dB of the results to what they were made of."""
    decibels = [
        min(BEST, float(psnr(image, degraded))) for (image, _), (degraded, *_) in zip(pairs, given, strict=True)
    ]
    return statistics.fmean(decibels)


@torch.inference_mode()
def _perceptual(pairs: Pairs, lpips: Lpips | None) -> dict[str, list[float]]:
    """The column of LPIPS, where its weights are at hand."""
    return {"lpips": [float(lpips(*pair)) for pair in pairs]} if lpips else {}


def _holed(name: str, folder: str, count: int | None = None) -> list[HoledSet]:
    return [
        HoledSet(f"{name} {low}-{low + 10} %", folder, f"r{low:02}-{low + 10}", count=count) for low in range(0, 60, 10)
    ]


def _gaussian(
    name: str, folder: str, channels: int, listed_in: str | None = None, sigmas: tuple[int, ...] = (15, 25, 50)
) -> list[NoisySet]:
    return [NoisySet(f"{name} σ{s}", (folder,), channels, GaussianNoise(s / 255), s / 255, listed_in) for s in sigmas]


def _compressed(
    name: str, folder: str, channels: int = 3, qualities: tuple[int, ...] = (10, 20, 30, 40), listed: str | None = None
) -> list[CompressedSet]:
    return [CompressedSet(f"{name} q{quality}", folder, channels, quality, listed) for quality in qualities]


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


_XRAY = ("medical/dental_panoramic/test", "medical/chest_xray/test")
SETS: dict[str, tuple[TestSet, ...]] = {
    "denoise": (
        RealNoiseSet("PolyU", "test/PolyU"),
        NoisySet(
            "CBSD68 σ25, JPEG 90",
            ("test/BSD100",),
            3,
            Chain((GaussianNoise(25 / 255), Jpeg(90))),
            25 / 255,
            "test/CBSD68.txt",
        ),
        NoisySet("BSD100 clean", ("test/BSD100",), 3, Rounding(), 0.0),
        *_gaussian("CBSD68", "test/BSD100", 3, "test/CBSD68.txt", (2, 15, 25, 50)),  # 2: as good as clean
        *_gaussian("BSD68", "test/BSD100", 1, "test/CBSD68.txt"),
        *_gaussian("Set12", "test/Set12", 1),
        NoisySet("X-ray Gaussian 0.1", _XRAY, 1, GaussianNoise(0.1), 0.1),
        NoisySet("X-ray uniform ±0.17", _XRAY, 1, UniformNoise(0.1 * 3**0.5), 0.1),
        NoisySet("CT Gaussian 0.07", ("medical/ct_covid/test",), 1, GaussianNoise(0.07), 0.07),
        NoisySet("CIFAR-10 Gaussian 0.2", ("cifar10/test.npz",), 3, GaussianNoise(0.2), 0.2),
    ),
    "artifacts": (
        *_compressed("Classic5", "test/Classic5", channels=1),
        *_compressed("CBSD68", "test/BSD100", qualities=(10, 20, 30, 40, 95), listed="test/CBSD68.txt"),
        *(
            CompressedSet(f"CBSD68 q{first} then q{second}", "test/BSD100", 3, second, "test/CBSD68.txt", first)
            for first, second in ((10, 75), (30, 90), (75, 30))
        ),
    ),
    "upscale": (
        *_worn("photos", ("test/BSD100", "test/Set14"), every=3),
        *(TextSet(f"text x{scale}, JPEG 85", (), scale, worn(scale, Jpeg(85)), ("artifacts",)) for scale in (4, 2)),
        *_reduced("Set5", "test/Set5"),
        *_reduced("Set14", "test/Set14"),
        *_reduced("BSD100", "test/BSD100"),
    ),
    "inpaint": (
        *_holed("BSD100", "test/BSD100", count=12),
        ObjectSet("objects", "test/BSD100"),
        MadeSet("made pictures", ""),
        HoledSet("Set12 50 % of pixels", "test/Set12", PixelHoles(0.5), channels=1, side=128),
    ),
}


def sets_of(task: str, folder: Path, masks: Path | None = None) -> tuple[TestSet, ...]:
    """The task's test sets on any folder of images; inpainting takes the masks of a folder of its own, if given."""
    name, place = folder.name, str(folder.resolve())
    if task == "denoise" and photo_pairs(folder):
        return (RealNoiseSet(name, place),)
    if task == "inpaint" and masks:
        holed = HoledSet(name, place, "", str(masks.resolve()))
        photos = {file.stem for file in folder.iterdir() if file.suffix.lower() in ENDINGS}
        own = {mask.stem for mask in masks.glob("*.png")}
        return (holed, ObjectSet(f"{name}, objects", place, masks.resolve())) if own and own <= photos else (holed,)
    make = {
        "denoise": lambda *where: _gaussian(*where, 3),
        "artifacts": _compressed,
        "upscale": lambda name, place: [*_worn(name, (place,)), *_reduced(name, place)],
        "inpaint": _holed,
    }
    return tuple(make[task](name, place))


_PHOTO_NAMES = tuple(test_set.name for test_set in SETS["upscale"] if isinstance(test_set, WornSet))
# The tables of SCORES.md: the names of the columns, sets with a metric.
TABLES: dict[str, tuple[tuple[str, ...], ...]] = {
    "denoise": (
        ("PolyU", "CBSD68 σ25, JPEG 90", "BSD100 clean"),
        ("CBSD68 σ15", "CBSD68 σ25", "CBSD68 σ50", "BSD68 σ25", "Set12 σ25"),
        ("X-ray Gaussian 0.1", "X-ray uniform ±0.17", "CT Gaussian 0.07", "CIFAR-10 Gaussian 0.2"),
    ),
    "artifacts": (
        tuple(test_set.name for test_set in SETS["artifacts"] if " then " in test_set.name),
        *(
            tuple(s.name for s in SETS["artifacts"] if s.name.startswith(name) and " then " not in s.name)
            for name in ("Classic5", "CBSD68")
        ),
    ),
    "upscale": (
        *(_PHOTO_NAMES[first : first + 4] for first in range(0, len(_PHOTO_NAMES), 4)),
        *(tuple(f"{name} x{scale}" for name in ("Set5", "Set14", "BSD100")) for scale in (4, 3, 2)),
    ),
    "inpaint": (
        *(tuple(s.name for s in SETS["inpaint"][first : first + 3]) for first in (0, 3)),
        tuple(s.name for s in SETS["inpaint"][6:]),
    ),
}

# The sets that a model was made for, which its card reports, the most telling one first; the prefixes of their names.
# A model that is not listed reports every set that it was scored on, those with a visitor's damage first.
HOME = {
    "drunet-photo": ("PolyU", "CBSD68", "BSD100"),
    "drunet-fast": ("CBSD68 σ25", "CBSD68", "PolyU"),
    "mwcnn-color": ("CBSD68 σ25", "CBSD68", "PolyU"),
    "mwcnn-gray": ("BSD68 σ25", "BSD68", "Set12"),
    "fourier-fill": ("BSD100 30-40 %", "BSD100", "Set12"),
    "deepfill": ("BSD100 30-40 %", "BSD100", "Set12"),
    "xray-unet": ("X-ray",),
    "ct-autoencoder": ("CT",),
    "cifar-autoencoder": ("CIFAR",),
    "mwcnn-jpeg": ("Classic5",),
}


def at_home(model: str, task: str, scored: Iterable[str]) -> list[str]:
    """The sets of those names that the card of a model reports, in its order."""
    prefixes, sets = HOME.get(model, ("",)), {test_set.name: test_set for test_set in SETS[task]}
    places = list(sets)

    def place(name: str) -> tuple[int, bool, bool, int]:
        first = next(index for index, prefix in enumerate(prefixes) if name.startswith(prefix))
        return first, name != prefixes[first], not sets[name].real, places.index(name)

    return sorted((name for name in scored if name in sets and name.startswith(prefixes)), key=place)


@dataclass(frozen=True)
class Target:
    """What a release must reach and what we are here for.

    Args:
        over: the figures are differences to this method, or to the best classical one on the set.
    """

    method: str
    set: str
    floor: float
    aim: float
    metric: str = "psnr"
    over: str | None = None


BEST_CLASSICAL = "best classical"


TARGETS: dict[str, tuple[Target, ...]] = {
    "denoise": (
        Target("drunet-photo blind", "PolyU", 1.9, 2.7, over="noisy"),
        Target("drunet-photo", "CBSD68 σ25", 30.9, 31.1),
        Target("drunet-photo blind", "CBSD68 σ25", 30.8, 31.1),
        Target("drunet-photo blind", "BSD100 clean", 40.0, 45.0, metric="kept"),
        Target("drunet-fast", "CBSD68 σ15", 33.5, 34.0),
        Target("drunet-fast", "CBSD68 σ25", 30.8, 31.3),
        Target("drunet-fast", "CBSD68 σ50", 27.6, 28.1),
        Target("drunet-fast", "CBSD68 σ2", 40.0, 45.0, metric="kept"),
        Target("mwcnn-gray", "Set12 σ25", 29.8, 30.6),
        Target("mwcnn-color", "CBSD68 σ25", 30.5, 31.3),
        Target("xray-unet", "X-ray Gaussian 0.1", 1.0, 3.0, over=BEST_CLASSICAL),
        Target("xray-unet", "X-ray uniform ±0.17", 1.0, 3.0, over=BEST_CLASSICAL),
        Target("ct-autoencoder", "CT Gaussian 0.07", 1.0, 3.0, over=BEST_CLASSICAL),
        Target("cifar-autoencoder", "CIFAR-10 Gaussian 0.2", 0.0, 3.0, over=BEST_CLASSICAL),
    ),
    "artifacts": (
        Target("mwcnn-jpeg", "Classic5 q10", 28.7, 29.6),
        Target("drunet-jpeg", "Classic5 q10", 28.8, 29.8),
        Target("drunet-jpeg", "Classic5 q40", 33.1, 34.0),
        Target("drunet-jpeg blind", "Classic5 q10", 28.8, 29.8),
        Target("drunet-jpeg blind", "CBSD68 q95", 40.0, 45.0, metric="kept"),
    ),
    "upscale": (
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
    "inpaint": tuple(
        Target(method, f"BSD100 {low}-{low + 10} %", 0.0, aim, metric, over="biharmonic")
        for method in ("deepfill", "fourier-fill")
        for metric, aim in (("lpips", -0.05), ("hole_psnr", 2.0))
        for low in (20, 30, 40, 50)
    ),
}


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


OVERVIEW: dict[str, tuple[Line, ...]] = {
    "denoise": (Line("PolyU", "noisy", "CBSD68 σ25", "31.82, [Xformer](https://arxiv.org/abs/2303.06440)"),),
    "artifacts": (
        Line("CBSD68 q75 then q30", "jpeg", "Classic5 q10", "30.37, [MambaIRv2](https://arxiv.org/abs/2411.15269)"),
    ),
    "upscale": (
        Line("photos x4, JPEG 75", "bicubic-x4", "Set5 x4", "33.30, [HAT-L](https://arxiv.org/abs/2205.04437)"),
        Line("photos x2, JPEG 75", "bicubic-x2", "Set5 x2", "38.65, [MambaIRv2](https://arxiv.org/abs/2411.15269)"),
    ),
    "inpaint": (Line("", "", "BSD100 30-40 %", metric="hole_psnr"),),
}
