"""Whether a picture is grainy: how the noise that is found in it lies over it, which tells grain from fine texture.

An estimator of noise reads some in every texture.  But grain lies over a picture whatever it shows: places that are
equally bright have as much of it, smooth ones as well as others.  And what the estimator tells it by has seen both.
`train.grain` weighs these signs.
"""

from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from restoration.classical import estimate_sigma
from restoration.denoising import FEW_SAMPLES, MAX_SIGMA_255, alive_cells, bounded, in_cells, sampled
from restoration.image import Image
from restoration.regression import Regression, stored_in

WEIGHTS = Path(__file__).parent / "assets" / "grain.json"
FEWEST = 150  # cells that tell how levels lie
BRIGHTNESSES = 5  # parts of a picture, from dark to bright
LEAST = 0.05 / 255  # level and
LEAST_CONTRAST = 0.3 / 255  # contrast that are added, since logarithms near 0 mean nothing


@dataclass(frozen=True)
class Judge:
    """What tells grain from texture by its signs.

    Args:
        slight: in pictures of which compression has lost little.
        lossy: in a JPEG that lost more than noise.
    """

    slight: Regression
    lossy: Regression


@cache
def judge() -> Judge:
    return Judge(**stored_in(WEIGHTS))


@dataclass(frozen=True)
class Signs:
    """How the noise levels of the cells of an image lie over it, in logarithms, and what they were told by.

    Args:
        most: the level that a tenth of it exceeds.
        fall: how far the calmest tenth of equally bright cells lies below their middle, in the mean.
        rise: how the level rises with the contrast around it, among equally bright cells.
        bond: the correlation of both.
        traits: the means of the estimator's last features.
    """

    most: float
    fall: float
    rise: float
    bond: float
    traits: tuple[float, ...]

    def numbers(self) -> np.ndarray:
        """All of them, (4 + number of traits,)."""
        *signs, traits = astuple(self)
        return np.array([*signs, *traits], np.float32)

    def are_grain(self, *, lossy: bool) -> bool:
        """Whether they speak of grain, in a picture of which compression has lost more than noise or less."""
        scores = (judge().lossy if lossy else judge().slight).scores(self.numbers()[None])
        return bool(scores[0] > 0)


@dataclass(frozen=True)
class Grain:
    """Noise in an image.

    Args:
        level: on [0, 1], which three quarters of the image exceed.
        signs: whether it is grain; None where too little is known of it.
    """

    level: float
    signs: Signs | None


def measured_grain(image: Image) -> Grain:
    """What noise there is in an image, from a few samples of it."""
    estimator, parts = sampled(image, FEW_SAMPLES)
    if estimator is None:
        levels, signs = torch.tensor([estimate_sigma(part) for part in parts]), None
    else:
        found = [_cells(*each, estimator.CELL) for each in in_cells(estimator, parts)]
        cells = torch.cat(found, dim=1)
        levels = cells[0] if cells.shape[1] else torch.zeros(1)
        signs = signs_of(*cells[:3], cells[3:]) if cells.shape[1] >= FEWEST else None
    return Grain(min(float(levels.quantile(0.25)), MAX_SIGMA_255 / 255), signs)


def _cells(part: Tensor, levels: Tensor, traits: Tensor, cell: int) -> Tensor:
    """Level, brightness, contrast and traits (3 + number of traits, count) of the cells of a part that tell any.

    Where too few do, as among black and white dots, only one, of which all but the level means nothing.
    """
    alive = alive_cells(part, cell)
    if alive is None:
        return torch.tensor([[estimate_sigma(part)], [0.5], [0.0], *traits.shape[1] * [[0.0]]])
    brightness = F.avg_pool2d(part.mean(1, keepdim=True), cell)
    mean, square = (
        F.avg_pool2d(power, 3, 1, 1, count_include_pad=False) for power in (brightness, brightness.square())
    )
    contrast = (square - mean.square()).clamp(min=0).sqrt()
    told = [bounded(levels[alive], part, alive, cell), brightness[alive], contrast[alive]]
    return torch.cat([torch.stack(told), traits[0][:, alive[0, 0]]])


def signs_of(levels: Tensor, brightness: Tensor, contrast: Tensor, traits: Tensor) -> Signs:
    """What the cells (count,) of an image tell of its noise, all but their traits (features, count) on [0, 1]."""
    log = (levels + LEAST).log()
    falls = []
    for alike in brightness.argsort(stable=True).chunk(BRIGHTNESSES):
        calm, middle = log[alike].quantile(log.new_tensor([0.1, 0.5]))
        falls.append(float(middle - calm))
    basis = torch.stack([brightness**power for power in range(3)], dim=1)
    both = torch.stack([(contrast + LEAST_CONTRAST).log(), log], dim=1)
    rest = both - basis @ torch.linalg.lstsq(basis, both).solution  # what brightness does not explain
    (of_contrast, together), (_, of_level) = (rest.T @ rest).tolist()
    return Signs(
        float(log.quantile(0.9)),
        sum(falls) / len(falls),
        together / max(of_contrast, 1e-9),
        together / max(of_contrast * of_level, 1e-4) ** 0.5,
        tuple(traits.mean(1).tolist()),
    )
