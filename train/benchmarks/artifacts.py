"""How artifact removers are scored."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from restoration.catalog import Method
from restoration.degradations import Jpeg, Rounding
from restoration.metrics import Lpips, psnr, psnr_b, ssim
from restoration.resampling import resized
from train.benchmarks._sets import Benchmark, Line, Row, Target, TestSet, kept, listed, rounded, told_and_blind


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
        return listed(data, (self.folder,), self.channels, self.listed_in)

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        if self.before:
            clean = Jpeg(self.before)(F.pad(clean, (4, 0, 4, 0), mode="reflect"))[..., 4:, 4:]
        return (Jpeg(self.quality)(clean),)

    def rows(self, method: Method) -> list[Row]:
        return told_and_blind(method, (self.quality,), method.learned and method.takes_quality)

    def summary(
        self, restored: list[Tensor], clean: list[Tensor], given: list[tuple[Tensor, ...]], lpips: Lpips | None
    ) -> dict[str, float]:
        pairs = rounded(restored, clean)
        columns = {"psnr": psnr, "ssim": ssim, "psnr_b": psnr_b}
        result = {
            metric: statistics.fmean(float(measure(*pair)) for pair in pairs) for metric, measure in columns.items()
        }
        return {**result, "kept": kept(pairs, given), "images": len(clean)}


@dataclass(frozen=True)
class ResizedSet(CompressedSet):
    """The same of images that were resized after they had been saved, as pictures on the web are.

    Args:
        size: that they were brought to, relative to what it was, bicubic; clean images are so, too.
        again: quality that they were saved with then, if they were.
    """

    size: float = 1.0
    again: int | None = None
    real: bool = field(default=True, init=False)

    def images(self, data: Path) -> Iterable[Tensor]:
        return (Rounding()(resized(image, self.size)) for image in super().images(data))

    def degraded(self, clean: Tensor, index: int, data: Path) -> tuple[Tensor, ...]:
        original = next(islice(super().images(data), index, None))
        result = Rounding()(resized(Jpeg(self.quality)(original), self.size))
        return (Jpeg(self.again)(result) if self.again else result,)


def _compressed(
    name: str, folder: str, channels: int = 3, qualities: tuple[int, ...] = (10, 20, 30, 40), listed: str | None = None
) -> list[CompressedSet]:
    return [CompressedSet(f"{name} q{quality}", folder, channels, quality, listed) for quality in qualities]


SETS: tuple[TestSet, ...] = (
    *_compressed("Classic5", "test/Classic5", channels=1),
    *_compressed("CBSD68", "test/BSD100", qualities=(10, 20, 30, 40, 95), listed="test/CBSD68.txt"),
    *(
        CompressedSet(f"CBSD68 q{first} then q{second}", "test/BSD100", 3, second, "test/CBSD68.txt", first)
        for first, second in ((10, 75), (30, 90), (75, 30))
    ),
    ResizedSet("CBSD68 q40 then 75 %", "test/BSD100", 3, 40, "test/CBSD68.txt", size=0.75),
    ResizedSet("CBSD68 q50 then 150 %, q90", "test/BSD100", 3, 50, "test/CBSD68.txt", size=1.5, again=90),
)

BENCHMARK = Benchmark(
    SETS,
    lambda folder, masks: tuple(_compressed(folder.name, str(folder.resolve()))),
    tables=(
        tuple(test_set.name for test_set in SETS if " then " in test_set.name),
        *(
            tuple(s.name for s in SETS if s.name.startswith(name) and " then " not in s.name)
            for name in ("Classic5", "CBSD68")
        ),
    ),
    targets=(
        Target("mwcnn-jpeg", "Classic5 q10", 28.7, 29.6),
        Target("drunet-jpeg", "Classic5 q10", 28.8, 29.8),
        Target("drunet-jpeg", "Classic5 q40", 33.1, 34.0),
        Target("drunet-jpeg blind", "Classic5 q10", 28.8, 29.8),
        Target("drunet-jpeg blind", "CBSD68 q95", 40.0, 45.0, metric="kept"),
    ),
    lines=(
        Line("CBSD68 q75 then q30", "jpeg", "Classic5 q10", "30.37, [MambaIRv2](https://arxiv.org/abs/2411.15269)"),
    ),
    home={
        "mwcnn-jpeg": ("Classic5",),
    },
)
