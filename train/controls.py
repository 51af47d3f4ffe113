"""Whether a denoiser's controls do what they promise: the level that it is told, the one that it finds, clean photos.

    python -m train.controls drunet-photo --data ../data
    python -m train.controls runs/drunet-photo --data ../data --every 5

Prints one line for each promise with its floor, and ends with status 1 if one is not kept.  The real photos are PolyU's
pairs, the clean ones BSD100, the middles of 256 x 256 pixels of all.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from torch import Generator, Tensor

import restoration
from restoration import memory
from restoration.degradations import GaussianNoise
from restoration.denoising import MAX_SIGMA_255, NOISY_ABOVE_255, level_by
from restoration.metrics import psnr
from restoration.restorer import Denoiser
from train.benchmarks.denoise import SETS, RealNoiseSet, true_level
from train.data import centre_crop, samples

TOLD_255 = (2, 5, 10, 20)
FACTORS = (0.6, 0.8, 1.0, 1.25, 1.6)  # of the true level
SIDE = 256


class Promise(NamedTuple):
    """What a denoiser must do, what it does, and whether that is enough."""

    words: str
    found: str
    kept: bool

    def __str__(self) -> str:
        return f"{'kept  ' if self.kept else 'BROKEN'}  {self.words}: {self.found}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.controls", description=__doc__.split("\n")[0])
    parser.add_argument("model", help="bundled name or folder of a denoiser that estimates noise levels")
    parser.add_argument("--data", type=Path, default=Path("../data"), help="folder with test/PolyU and test/BSD100")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="use every Nth image only")
    arguments = parser.parse_args(argv)
    memory.keep()
    model = restoration.load(arguments.model)
    if not (isinstance(model, Denoiser) and model.estimates_sigma):
        parser.error(f"{arguments.model} does not estimate noise levels")
    real = next(test_set for test_set in SETS if isinstance(test_set, RealNoiseSet))
    means = list(real.images(arguments.data))
    pairs = [(real.degraded(mean, index, arguments.data)[0], mean) for index, mean in enumerate(means)]
    photos = [
        centre_crop(sample.image, SIDE)[None].float() / 255
        for sample in samples([arguments.data / "test/BSD100"], model.channels)
    ]
    promises = []
    for promise in promised(model, pairs[:: arguments.every], photos[:: arguments.every]):
        promises.append(promise)
        print(promise, flush=True)
    return 0 if all(promise.kept for promise in promises) else 1


def promised(model: Denoiser, pairs: Sequence[tuple[Tensor, Tensor]], photos: Sequence[Tensor]) -> Iterator[Promise]:
    """Every promise in its turn.

    Args:
        pairs: real noisy photos and what they show without noise, (1, C, H, W) in [0, 1].
        photos: clean ones.
    """
    yield from obeys(model, [noisy for noisy, _ in pairs])
    yield from believes(model, pairs, photos)
    yield from spares(model, [*(noisy for noisy, _ in pairs), *photos], photos)
    yield from measures(model, pairs, photos)


def obeys(model: Denoiser, noisy: Sequence[Tensor]) -> Iterator[Promise]:
    """The more it is told, the more it removes; told that there is nothing, it removes nothing."""
    energies = [
        [float((model.restore(image, told / 255) - image).square().mean()) for told in TOLD_255] for image in noisy
    ]
    rising = sum(all(1.05 * low <= high for low, high in pairwise(row)) for row in energies)
    levels = ", ".join(map(str, TOLD_255))
    means = ", ".join(f"{255**2 * statistics.fmean(column):.1f}" for column in zip(*energies, strict=True))
    yield Promise(
        f"removes 5 % more energy at each of told {levels}, on every real photo",
        f"{rising} of {len(noisy)}, mean energies {means}",
        rising == len(noisy),
    )
    same = min(float(psnr(model.restore(image, 0.0), image)) for image in noisy)
    yield Promise("told 0, keeps real photos to 48 dB", f"{same:.1f} dB at worst", same > 48)


def believes(model: Denoiser, pairs: Sequence[tuple[Tensor, Tensor]], photos: Sequence[Tensor]) -> Iterator[Promise]:
    """Nothing is better than the truth, and finding the level costs little."""
    for level in (10, 25, 50):
        noise = GaussianNoise(level / 255)
        whites = [(noise(photo, Generator().manual_seed(index)), photo) for index, photo in enumerate(photos[::5])]
        yield _best(f"white noise of {level}", model, whites, lambda *_, level=level: level / 255, 0.05)
    yield _best("real photos", model, pairs, true_level, 0.3)
    told, blind = (
        statistics.fmean(
            float(psnr(model.restore(noisy, level and level(noisy, clean)), clean)) for noisy, clean in pairs
        )
        for level in (true_level, None)
    )
    yield Promise("blind on real photos, within 0.15 dB of told", f"{blind:.2f} and {told:.2f} dB", blind > told - 0.15)


def _best(
    kind: str,
    model: Denoiser,
    pairs: Sequence[tuple[Tensor, Tensor]],
    level: Callable[[Tensor, Tensor], float],
    margin: float,
) -> Promise:
    scores = {
        factor: statistics.fmean(
            float(psnr(model.restore(noisy, min(factor * level(noisy, clean), MAX_SIGMA_255 / 255)), clean))
            for noisy, clean in pairs
        )
        for factor in FACTORS
    }
    best = max(scores, key=scores.get)
    return Promise(
        f"told the truth on {kind}, within {margin} dB of the best word",
        f"{scores[1.0]:.2f} dB, and {scores[best]:.2f} told {best:g} times as much",
        scores[1.0] > scores[best] - margin,
    )


def spares(model: Denoiser, images: Sequence[Tensor], photos: Sequence[Tensor]) -> Iterator[Promise]:
    """Blind, it leaves colours alone, and clean photos nearly as they are."""
    shift = max(float((model.restore(image) - image).mean((2, 3)).abs().max()) for image in images)
    yield Promise("moves no channel's mean by 0.5", f"{255 * shift:.2f} at worst", 255 * shift <= 0.5)
    kept = [float(psnr(model.restore(photo), photo)) for photo in photos]
    yield Promise(
        "keeps clean photos over 40 dB",
        f"{statistics.fmean(kept):.1f} dB, {min(kept):.1f} at worst, {sum(one > 40 for one in kept)} of {len(kept)}",
        statistics.fmean(kept) > 40,
    )


def measures(model: Denoiser, pairs: Sequence[tuple[Tensor, Tensor]], photos: Sequence[Tensor]) -> Iterator[Promise]:
    """The level that it finds, as the page measures it."""
    ratios = [level_by(model, [noisy]) / true_level(noisy, clean) for noisy, clean in pairs]
    middle = statistics.median(ratios)
    yield Promise(
        "finds a real photo's level within 25 % (median), never under half",
        f"{middle:.2f} of the true one, {min(ratios):.2f} to {max(ratios):.2f}",
        abs(middle - 1) <= 0.25 and min(ratios) >= 0.5,
    )
    levels = sorted(255 * level_by(model, [photo]) for photo in photos)
    noisy = sum(level > NOISY_ABOVE_255 for level in levels)
    yield Promise(
        f"calls 95 of 100 clean photos clean, which is {NOISY_ABOVE_255} at most",
        f"{noisy} of {len(levels)} read more, the median {statistics.median(levels):.1f}",
        noisy <= 0.05 * len(levels),
    )


if __name__ == "__main__":
    sys.exit(main())
