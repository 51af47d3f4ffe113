"""Measure what bf16 costs each bundled model, which decides whether it is used on processors that have it.

python -m train.bf16 --data ../data                      # all models
python -m train.bf16 drunet-photo photo-x4 --data ../data
python -m train.bf16 deep-image-prior --data ../data     # minutes for each picture

Of the two test sets that a model's card names first, some images are restored in fp32 and in bf16; the larger loss of
mean PSNR, in dB, goes into the model's `run.json`.  Where there are no units for bf16 it is emulated, and slow.
Deep Image Prior, which has no such file, is fitted to small middles of a few pictures, damaged as its tasks have them:
`restoration.precision` gives it bf16 as long as it loses less than a tenth of a decibel.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from functools import partial
from itertools import islice, product
from pathlib import Path

import torch

from restoration import deep_image_prior, manifest
from restoration.catalog import Method, Prior, methods
from restoration.metrics import psnr
from restoration.precision import LARGEST_LOSS
from restoration.running import in_bf16, loaded, with_channels
from restoration.weights import bundled
from train import benchmarks
from train.benchmarks._sets import TestSet
from train.costs import seconds_of
from train.data import centre_crop

SETS_EACH, IMAGES_EACH = 2, 8
PRIOR = "deep-image-prior"
PRIOR_SETS = {  # a set by task
    "denoise": "Set12 σ25",
    "artifacts": "Classic5 q10",
    "upscale": "Set5 x2",
    "inpaint": "Set12 50 % of pixels",
}
PRIOR_IMAGES, PRIOR_SIDE, PRIOR_SEEDS = 6, 48, 3
PACE_STEPS, PACE_SIDE = 6, 256  # that tell how much faster it is
PRIOR_LOSS = 0.1  # dB that it may lose by bf16; other seeds are as far apart


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.bf16", description=__doc__.split("\n")[0])
    parser.add_argument("methods", nargs="*", metavar="NAME", help="of bundled models; all by default")
    parser.add_argument("--data", type=Path, default=Path("../data"), help="folder with the test sets")
    arguments = parser.parse_args(argv)
    known = {method.name: method for method in methods() if method.learned}
    priors = {method.task: method for method in reversed(methods()) if method.prior}  # of several scales the first
    if unknown := set(arguments.methods) - {*known, PRIOR}:
        parser.error(f"there is no model called {', '.join(sorted(unknown))}")
    print("| model | dB lost by bf16 | used |\n|---|---|---|")
    if PRIOR in arguments.methods:
        print(f"{PRIOR}: steps in bf16 are {prior_pace():.2f} times faster", flush=True)
        for method in priors.values():
            loss = prior_loss(method, arguments.data)
            print(f"| {PRIOR}, {method.task} | {loss:.4f} | {'yes' if loss < PRIOR_LOSS else 'no'} |", flush=True)
    for name in (name for name in arguments.methods or known if name != PRIOR):
        loss = bf16_loss(known[name], arguments.data)
        record = bundled() / name / "run.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | {"bf16_loss": loss}, indent=1) + "\n")
        manifest.write(bundled())
        print(f"| {name} | {loss:.4f} | {'yes' if loss < LARGEST_LOSS else 'no'} |", flush=True)


def bf16_loss(method: Method, data: Path) -> float:
    """The largest loss of mean PSNR by bf16, in dB, on the sets of a model's that tell most."""
    benchmark = benchmarks.every()[method.task]
    fits = {test_set.name: test_set for test_set in benchmark.sets if test_set.rows(method)}
    first = benchmark.at_home(method.name, list(fits))[:SETS_EACH]
    return max(_lost(method, fits[name], data) for name in first)


def _lost(method: Method, test_set: TestSet, data: Path) -> float:
    """fp32's mean PSNR on a few images of the set less bf16's."""
    clean = list(islice(test_set.images(data), IMAGES_EACH))
    given = [test_set.degraded(image, index, data) for index, image in enumerate(clean)]
    _, settings, *_ = test_set.rows(method)[0]
    scores = []
    for run in (with_channels, in_bf16):
        restored = []
        for (image, *extra), truth in zip(given, clean, strict=True):
            told = settings(image, truth) if callable(settings) else settings
            restored.append(run(loaded(method), image, *extra, *told).cpu())
        scores.append(test_set.summary(restored, clean, given, None)["psnr"])
    return scores[0] - scores[1]


def prior_loss(method: Method, data: Path) -> float:
    """Mean PSNR in dB that Deep Image Prior loses by bf16."""
    test_set = next(s for s in benchmarks.every()[method.task].sets if s.name == PRIOR_SETS[method.task])
    told = test_set.rows(method)[0].settings
    lost = []
    for seed, (index, image) in product(range(PRIOR_SEEDS), enumerate(islice(test_set.images(data), PRIOR_IMAGES))):
        clean = centre_crop(image[0], PRIOR_SIDE)[None]
        given = test_set.degraded(clean, index, data)
        fits = (partial(method.source.fit, precision=precision, seed=seed) for precision in ("fp32", "bf16"))
        exact, fast = (float(psnr(Prior(fit).restore(*given, *told), clean)) for fit in fits)
        print(f"{method.task}, picture {index + 1}, {seed}: {exact:.2f} dB in fp32, {fast:.2f} in bf16", flush=True)
        lost.append(exact - fast)
    return statistics.fmean(lost)


def prior_pace() -> float:
    """How many times faster its steps are in bf16, by the processor's time."""
    seconds = []
    for precision in ("fp32", "bf16"):
        image = torch.rand(1, 3, PACE_SIDE, PACE_SIDE, generator=torch.Generator().manual_seed(0))
        fit = partial(deep_image_prior.denoise, image, precision=precision)
        seconds.append(seconds_of(lambda fit=fit: list(fit(steps=PACE_STEPS))))
    return seconds[0] / seconds[1]


if __name__ == "__main__":
    main()
