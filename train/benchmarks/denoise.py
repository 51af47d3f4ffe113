"""How denoisers are scored."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from restoration.catalog import Method
from restoration.degradations import Chain, Degradation, GaussianNoise, Jpeg, Rounding, UniformNoise
from restoration.files import read
from restoration.folders import pictures_in
from restoration.metrics import Lpips, psnr, ssim
from train.benchmarks._sets import (
    BEST,
    BEST_CLASSICAL,
    Benchmark,
    Line,
    Row,
    Target,
    TestSet,
    kept,
    listed,
    rounded,
    told_and_blind,
)
from train.data import centre_crop


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
        return listed(data, self.folders, self.channels, self.listed_in)

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        return (self.noise(clean, torch.Generator().manual_seed(0)),)

    def rows(self, method: Method) -> list[Row]:
        return told_and_blind(method, (self.sigma,), method.learned and method.takes_sigma)

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
        return told_and_blind(method, lambda noisy, clean: (true_level(noisy, clean),), method.takes_sigma)

    def summary(
        self, restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]], lpips: Lpips | None
    ) -> dict[str, float]:
        return _denoised(restored, clean, given)


def true_level(noisy: Tensor, clean: Tensor) -> float:
    """The level that a method is told of real noise: the root mean square of the difference."""
    return float((noisy - clean).square().mean().sqrt())


def photo_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """The files `*_real.*` of a folder, each with its `*_mean.*`, by name."""
    files = {path.stem: path for path in pictures_in(folder)[0]}
    pairs = ((path, files.get(stem.removesuffix("_real") + "_mean")) for stem, path in files.items())
    return [(real, mean) for real, mean in pairs if real.stem.endswith("_real") and mean]


def _denoised(restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]]) -> dict[str, float]:
    pairs = rounded(restored, clean)
    decibels = [min(BEST, float(psnr(*pair))) for pair in pairs]
    similarity = [float(ssim(*pair)) for pair in pairs]
    return {
        "psnr": statistics.fmean(decibels),
        "ssim": statistics.fmean(similarity),
        "median_psnr": statistics.median(decibels),
        "median_ssim": statistics.median(similarity),
        "kept": kept(pairs, given),
        "images": len(clean),
    }


def _gaussian(
    name: str, folder: str, channels: int, listed_in: str | None = None, sigmas: tuple[int, ...] = (15, 25, 50)
) -> list[NoisySet]:
    return [NoisySet(f"{name} σ{s}", (folder,), channels, GaussianNoise(s / 255), s / 255, listed_in) for s in sigmas]


def _of_folder(folder: Path, masks: Path | None) -> tuple[TestSet, ...]:
    place = str(folder.resolve())
    return (RealNoiseSet(folder.name, place),) if photo_pairs(folder) else tuple(_gaussian(folder.name, place, 3))


_XRAY = ("medical/dental_panoramic/test", "medical/chest_xray/test")


SETS: tuple[TestSet, ...] = (
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
)

BENCHMARK = Benchmark(
    SETS,
    _of_folder,
    tables=(
        ("PolyU", "CBSD68 σ25, JPEG 90", "BSD100 clean"),
        ("CBSD68 σ15", "CBSD68 σ25", "CBSD68 σ50", "BSD68 σ25", "Set12 σ25"),
        ("X-ray Gaussian 0.1", "X-ray uniform ±0.17", "CT Gaussian 0.07", "CIFAR-10 Gaussian 0.2"),
    ),
    targets=(
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
    lines=(Line("PolyU", "noisy", "CBSD68 σ25", "31.82, [Xformer](https://arxiv.org/abs/2303.06440)"),),
    home={
        "drunet-photo": ("PolyU", "CBSD68", "BSD100"),
        "drunet-fast": ("CBSD68 σ25", "CBSD68", "PolyU"),
        "mwcnn-color": ("CBSD68 σ25", "CBSD68", "PolyU"),
        "mwcnn-gray": ("BSD68 σ25", "BSD68", "Set12"),
        "xray-unet": ("X-ray",),
        "ct-autoencoder": ("CT",),
        "cifar-autoencoder": ("CIFAR",),
    },
)
