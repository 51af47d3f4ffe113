"""What every recipe has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from restoration.metrics import Lpips
from restoration.restorer import Restorer
from train.losses import LossName

FIRST = 1 / 3  # share of the run that `first_loss` is for
LATE = 0.67  # share of the run after which the larger crops come


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every training has.

    Args:
        build: makes the untrained model.
        crop: side of the model's input in training; the last third of the run uses `late_crop`.
        batch: crops of side `crop` for each step and process.
        optimizer: "muon" orthogonalises the updates of the hidden convolutions (Jordan et al. 2024) and trains the
            first and last layers with AdamW.
        decay: weight decay of Adam and AdamW.
        clip: largest norm of the gradient.
        ema: decay of the running average of the weights, which is what gets validated and kept.
        loss: a name that `train.losses.build_loss` knows; None where the script has a loss of its own.
        first_loss: the loss of the first third of the run, if it is another.
        patience: the run ends after so many validations in a row without a better score; None never.
        text_share: share of the images that show rendered text and interface.
    """

    metric: ClassVar[Literal["psnr", "lpips"]] = "psnr"  # higher is better, or lower
    build: Callable[[], Restorer]
    crop: int
    late_crop: int
    batch: int = 16
    optimizer: Literal["adam", "adamw", "muon"] = "muon"
    learning_rate: float
    decay: float = 0.0
    clip: float = 1.0
    ema: float = 0.999
    loss: LossName | None = "l1"
    first_loss: LossName | None = None
    patience: int | None = None
    text_share: float = 0.0

    def crops_at(self, progress: float) -> tuple[int, int]:
        """How many crops a step takes and their side, at a share of the run; the pixels of a step stay the same."""
        size = self.crop if progress < LATE else self.late_crop
        return max(1, self.batch * self.crop**2 // size**2), size

    def loss_at(self, progress: float) -> LossName | None:
        """The loss at a share of the run."""
        return self.first_loss if self.first_loss and progress < FIRST else self.loss

    def validate(self, model: Restorer, images: list[Tensor], lpips: Lpips | None = None) -> float:
        """The score by which the best weights of a run are kept and checkpoints replaced: PSNR in dB, or LPIPS.

        Args:
            model: ready to restore.
            images: clean, uint8, (C, H, W).
            lpips: for recipes whose `metric` it is.
        """
        raise NotImplementedError
