"""How inpainters are scored."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restoration.catalog import Method
from restoration.files import read
from restoration.folders import is_picture, pictures_in
from restoration.image import Image, ImageError
from restoration.inpainting import mask_from
from restoration.metrics import Lpips, psnr, ssim
from restoration.random_holes import Holes, PixelHoles
from restoration.texture import copy_texture
from train.benchmarks._sets import (
    Benchmark,
    Line,
    Row,
    Target,
    TestSet,
    perceptual,
    rounded,
)
from train.data import centre_crop, samples
from train.holes import MadeSet, ObjectSet


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
        files = sorted(path for path in (data / self.masks).glob(f"{self.holes}*") if is_picture(path))
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
        pairs = rounded(restored, clean)
        columns: dict[str, list[float]] = {"psnr": [], "ssim": [], "hole_psnr": [], **perceptual(pairs, lpips)}
        for (image, reference), (_, mask) in zip(pairs, given, strict=True):
            columns["psnr"].append(float(psnr(image, reference)))
            columns["ssim"].append(float(ssim(image, reference)))
            # Outside the holes nothing differs, so the whole image's error is the holes', diluted.
            columns["hole_psnr"].append(columns["psnr"][-1] + 10 * math.log10(float(mask.mean())))
        return {"images": len(clean), **{metric: statistics.fmean(values) for metric, values in columns.items()}}


def _holed(name: str, folder: str, count: int | None = None) -> list[HoledSet]:
    return [
        HoledSet(f"{name} {low}-{low + 10} %", folder, f"r{low:02}-{low + 10}", count=count) for low in range(0, 60, 10)
    ]


def _of_folder(folder: Path, masks: Path | None) -> tuple[TestSet, ...]:
    """With a folder of masks that are named after the photos, these are objects too."""
    name, place = folder.name, str(folder.resolve())
    if masks is None:
        return tuple(_holed(name, place))
    holed = HoledSet(name, place, "", str(masks.resolve()))
    photos = {file.stem for file in pictures_in(folder)[0]}
    own = {mask.stem for mask in masks.glob("*.png")}
    return (holed, ObjectSet(f"{name}, objects", place, masks.resolve())) if own and own <= photos else (holed,)


SETS: tuple[TestSet, ...] = (
    *_holed("BSD100", "test/BSD100", count=12),
    ObjectSet("objects", "test/BSD100"),
    MadeSet("made pictures", ""),
    HoledSet("Set12 50 % of pixels", "test/Set12", PixelHoles(0.5), channels=1, side=128),
)

BENCHMARK = Benchmark(
    SETS,
    _of_folder,
    tables=(
        *(tuple(s.name for s in SETS[first : first + 3]) for first in (0, 3)),
        tuple(s.name for s in SETS[6:]),
    ),
    targets=(
        Target("offset-fill", "objects", 18, 20, "lively"),
        Target("auto", "objects", 18, 20, "lively"),
        Target("offset-fill", "made pictures", 9, 12, "each", by=24),
        Target("offset-fill", "made pictures", 9, 12, "each", over="fourier-fill", by=4),
        Target("offset-fill", "BSD100 20-30 %", 0.0095, 0.0, "lpips", over="fourier-fill textured"),
        Target("auto", "BSD100 20-30 %", 0.0095, 0.0, "lpips", over="fourier-fill textured"),
        *(
            Target(method, f"BSD100 {low}-{low + 10} %", 0.0, aim, metric, over="biharmonic")
            for method in ("deepfill", "fourier-fill")
            for metric, aim in (("lpips", -0.05), ("hole_psnr", 2.0))
            for low in (20, 30, 40, 50)
        ),
    ),
    lines=(Line("", "", "BSD100 30-40 %", metric="hole_psnr"),),
    home={
        "fourier-fill": ("BSD100 30-40 %", "BSD100", "Set12"),
        "deepfill": ("BSD100 30-40 %", "BSD100", "Set12"),
    },
)
