"""How many mutants the tests notice: a seeded sample of cosmic-ray's, each against the tests that name its module.

    pip install -e ".[mutants]"
    python -m tests.mutants --count 150 --seed 0
    python -m tests.mutants --count 20 restoration/tiling.py restoration/jpeg.py

It works on a copy of the checkout.  Survivors are printed with their difference: they are holes, or mean nothing.
"""

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_item import TestOutcome, WorkItem

ROOT = Path(__file__).parent.parent
LEFT_OUT = ("BitOr", "NumberReplacer", "RemoveDecorator")  # type hints; most constants; registries' entries


def sampled(files: Sequence[Path], count: int, seed: int) -> list[WorkItem]:
    """So many mutants of the files, the same for a seed."""
    mutants = [
        mutant
        for mutant in _all_work_items(sorted(files), {})
        if not any(name in mutant.mutations[0].operator_name for name in LEFT_OUT)
    ]
    return random.Random(seed).sample(mutants, min(count, len(mutants)))


def covering(module: Path) -> list[str]:
    """The test files that name a module; all where none does."""
    word = re.compile(rf"\b{re.escape(module.stem)}\b")
    named = [str(file) for file in sorted(Path("tests").glob("test_*.py")) if word.search(file.read_text())]
    return named or ["tests"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="modules; by default all of restoration/ and train/")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=600, help="seconds for the tests of one mutant")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(ROOT, Path(folder) / "copy", ignore=shutil.ignore_patterns(".git", ".venv", "runs"))
        os.chdir(copy)
        os.environ["PYTHONPATH"] = str(copy)
        files = arguments.files or [file for top in ("restoration", "train") for file in Path(top).rglob("*.py")]
        killed, chosen = 0, sampled(files, arguments.count, arguments.seed)
        for mutant in chosen:
            (mutation,) = mutant.mutations
            tests = " ".join(covering(mutation.module_path))
            command = f"{sys.executable} -m pytest -q -x -m 'not slow' -p no:cacheprovider {tests}"
            result = mutate_and_test([mutation], command, arguments.timeout)
            noticed = result.test_outcome != TestOutcome.SURVIVED
            killed += noticed
            where = f"{mutation.module_path}:{mutation.start_pos[0]} {mutation.operator_name}"
            print("killed  " if noticed else "SURVIVED", where, *([] if noticed else ["\n" + result.diff]), flush=True)
        print(f"{killed} of {len(chosen)} killed, {100 * killed / max(1, len(chosen)):.0f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
