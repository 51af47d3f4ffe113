"""Measure what bf16 costs each bundled model, which decides whether it is used on processors that have it.

python -m train.bf16 --data ../data                      # all models
python -m train.bf16 drunet-photo photo-x4 --data ../data

Of the two test sets that a model's card names first, some images are restored in fp32 and in bf16; the larger loss of
mean PSNR, in dB, goes into the model's `run.json`.  Where there are no units for bf16 it is emulated, and slow.
"""

import argparse
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from restoration import manifest
from restoration.catalog import Method, methods
from restoration.precision import LARGEST_LOSS
from restoration.running import in_bf16, loaded, with_channels
from restoration.weights import bundled
from train import benchmarks
from train.benchmarks._sets import TestSet

SETS_EACH, IMAGES_EACH = 2, 8


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.bf16", description=__doc__.split("\n")[0])
    parser.add_argument("methods", nargs="*", metavar="NAME", help="of bundled models; all by default")
    parser.add_argument("--data", type=Path, default=Path("../data"), help="folder with the test sets")
    arguments = parser.parse_args(argv)
    known = {method.name: method for method in methods() if method.learned}
    if unknown := set(arguments.methods) - set(known):
        parser.error(f"there is no model called {', '.join(sorted(unknown))}")
    print("| model | dB lost by bf16 | used |\n|---|---|---|")
    for name in arguments.methods or known:
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


if __name__ == "__main__":
    main()
