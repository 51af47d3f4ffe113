"""Test sets of holes that people make: objects on photos, which nobody can see behind, and pictures of known truth."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from skimage import data as pictures
from torch import Tensor

from restoration.catalog import Method
from restoration.files import read
from restoration.image import Image
from restoration.inpainting import mask_from
from restoration.metrics import Lpips, luma, psnr
from restoration.texture import copy_texture
from train.benchmarks._sets import Row
from train.made_pictures import made_pictures

OBJECTS = Path(__file__).parent / "objects"  # masks drawn round whole objects, named after the photo
AROUND = 24  # pixels around a hole that are its surroundings
RIM = 2  # pixels inside a hole that its seam does not count for


def gradient_ratio(image: Tensor, mask: Tensor) -> float:
    """Gradient energy inside a hole, by that of its surroundings: 1 is as lively as these, a gauze is under 0.5.

    Args:
        image: (1, C, H, W) in [0, 1].
        mask: (1, 1, H, W), 1 = missing.
    """
    energy, hole = _energy(image), mask[0, 0].bool().numpy()
    near = ndimage.binary_dilation(hole, iterations=AROUND) & ~ndimage.binary_dilation(hole, iterations=RIM)
    inside = ndimage.binary_erosion(hole, iterations=RIM)
    if not inside.any() or not near.any():
        return math.nan
    return float(energy[inside].mean() / max(1e-9, energy[near].mean()))


def seam_visibility(image: Tensor, mask: Tensor) -> float:
    """Mean slope across the edge of a hole, by that of slopes inside and around it: 1 is no seam, more is one."""
    grey, hole = _grey(image), mask[0, 0].bool().numpy()
    close = ndimage.binary_dilation(hole, iterations=AROUND)
    across, others = [], []
    for axis in (0, 1):
        slope = np.abs(np.diff(grey, axis=axis))
        before, after = (
            np.take(hole, range(*ends), axis) for ends in ((0, hole.shape[axis] - 1), (1, hole.shape[axis]))
        )
        across.append(slope[before != after])
        others.append(slope[(before == after) & np.take(close, range(hole.shape[axis] - 1), axis)])
    across, others = np.concatenate(across), np.concatenate(others)
    return float(across.mean() / max(1e-9, others.mean())) if len(across) and len(others) else math.nan


def _grey(image: Tensor) -> np.ndarray:
    return (luma(image) if image.shape[1] == 3 else image)[0, 0].double().numpy()


def _energy(image: Tensor) -> np.ndarray:
    down, across = np.gradient(_grey(image))
    return down**2 + across**2


@dataclass(frozen=True)
class ObjectSet:
    """Photos with a mask for each: gradient energy and seams, as nobody knows what is behind.

    Args:
        folder: of photos, below the data folder; photos of `skimage.data` are found by name.
        masks: folder of masks, each named after its photo; white is missing.
    """

    name: str
    folder: str
    masks: Path = OBJECTS
    channels: int = 3
    baseline: str | None = field(default=None, init=False)
    real: bool = field(default=False, init=False)

    def images(self, data: Path) -> Iterable[Tensor]:
        for mask in sorted(self.masks.glob("*.png")):
            photo = next((data / self.folder).glob(f"{mask.stem}.*"), None)
            image = read(photo) if photo else Image(np.atleast_3d(getattr(pictures, mask.stem)()), name=mask.stem)
            yield image.bytes(3)[None].float() / 255

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        picture = Image(np.zeros((*clean.shape[-2:], 1), np.uint8))
        hole = mask_from(read(sorted(self.masks.glob("*.png"))[index]), picture).opacity
        mask = torch.from_numpy(hole)[None, None]
        return clean * (1 - mask), mask

    def rows(self, method: Method) -> list[Row]:
        if method.prior or method.name == "biharmonic":  # minutes for each hole
            return []
        learned = [Row(f"{method.name} textured", after=copy_texture)] if method.learned else []
        return [Row(method.name), *learned]

    def summary(
        self, restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]], lpips: Lpips | None
    ) -> dict[str, float]:
        ratios = [gradient_ratio(image, mask) for image, (_, mask) in zip(restored, given, strict=True)]
        seams = [seam_visibility(image, mask) for image, (_, mask) in zip(restored, given, strict=True)]
        return {
            "images": len(clean),
            "gradients": statistics.fmean(ratios),
            "lively": sum(0.5 <= ratio <= 2 for ratio in ratios),
            "seam": statistics.fmean(seams),
        }


@dataclass(frozen=True)
class MadeSet(ObjectSet):
    """The made pictures, whose holes are also scored against the truth, see `made_pictures`."""

    def images(self, data: Path) -> Iterable[Tensor]:
        return (picture for _, picture, _ in made_pictures())

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        mask = made_pictures()[index][2]
        return clean * (1 - mask), mask

    def summary(
        self, restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]], lpips: Lpips | None
    ) -> dict[str, float]:
        decibels = [
            min(99.0, float(psnr(image, truth)) + 10 * math.log10(float(mask.mean())))
            for image, truth, (_, mask) in zip(restored, clean, given, strict=True)
        ]
        scores = super().summary(restored, clean, given, lpips)
        each = [round(value, 2) for value in decibels]
        return {**scores, "hole_psnr": statistics.fmean(decibels), "each": each}
