"""How many mutants the tests notice: a seeded sample of cosmic-ray's, each against the tests that run its lines.

    pip install -e ".[mutants]"
    python -m tests.mutants --count 150 --seed 0
    python -m tests.mutants --count 20 restoration/tiling.py restoration/jpeg.py

It works on a copy of the checkout, in which it first finds out which of the quick tests runs which line.  Code that
runs when it is imported is tested by the files that name its module, as is what the quick tests leave alive, by the
slow ones.  Survivors are printed with their difference: they are holes, or mean nothing.
"""

import argparse
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkItem
from coverage import CoverageData

ROOT = Path(__file__).parent.parent
LEFT_OUT = ("BitOr", "NumberReplacer", "RemoveDecorator")  # type hints; most constants; registries' entries
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
TESTS = Path("mutant-tests.txt")  # one name a line, which pytest reads


def sampled(files: Sequence[Path], count: int, seed: int) -> list[WorkItem]:
    """So many mutants of the files, the same for a seed."""
    mutants = [
        mutant
        for mutant in _all_work_items(sorted(files), {})
        if not any(name in mutant.mutations[0].operator_name for name in LEFT_OUT)
    ]
    return random.Random(seed).sample(mutants, min(count, len(mutants)))


def traced(processes: str) -> CoverageData:
    """Which quick test runs which lines.

    Raises:
        CalledProcessError: the tests fail as they are.
    """
    measured = ["--cov=restoration", "--cov=train", "--cov-context=test", "--cov-report="]
    subprocess.run([*PYTEST, "-m", "not slow", "-n", processes, *measured], check=True, stdout=subprocess.DEVNULL)
    lines = CoverageData()
    lines.read()
    return lines


def running(mutation: MutationSpec, lines: CoverageData) -> list[str]:
    """The quick tests that run the lines of a mutation."""
    contexts = lines.contexts_by_lineno(str(mutation.module_path.resolve()))
    changed = range(mutation.start_pos[0], mutation.end_pos[0] + 1)
    return sorted({name.rpartition("|")[0] for line in changed for name in contexts.get(line, ()) if name})


def naming(module: Path) -> list[str]:
    """The test files that name a module; all where none does."""
    word = re.compile(rf"\b{re.escape(module.stem)}\b")
    return [str(file) for file in sorted(Path("tests").glob("test_*.py")) if word.search(file.read_text())] or ["tests"]


def trials(mutation: MutationSpec, lines: CoverageData, slow: bool) -> Iterator[tuple[str, list[str]]]:
    """What to run against a mutation until something fails: a choice of marks and tests."""
    yield "not slow", running(mutation, lines) or naming(mutation.module_path)
    if slow:
        yield "slow and not load", naming(mutation.module_path)


def noticed(mutation: MutationSpec, lines: CoverageData, arguments: argparse.Namespace) -> tuple[bool, str]:
    """Whether a test fails, and what the mutation changes."""
    difference = ""
    for marks, tests in trials(mutation, lines, arguments.slow):
        TESTS.write_text("\n".join(tests))
        tried = shlex.join([*PYTEST, "-x", "-m", marks, f"@{TESTS}"])
        nothing_to_run = 5  # pytest's status
        command = shlex.join(["sh", "-c", f"{tried}; status=$?; [ $status = {nothing_to_run} ] || exit $status"])
        result = mutate_and_test([mutation], command, arguments.timeout)
        if result.test_outcome != TestOutcome.SURVIVED:
            return True, ""
        difference = result.diff or ""
    return False, difference


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="modules; by default all of restoration/ and train/")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=600, help="seconds for the tests of one mutant")
    parser.add_argument("--slow", action="store_true", help="try the slow tests on what the quick ones leave alive")
    parser.add_argument("--processes", default="2", help="of the tests that are traced at first")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(ROOT, Path(folder) / "copy", ignore=shutil.ignore_patterns(".git", ".venv", "runs"))
        os.chdir(copy)
        os.environ["PYTHONPATH"] = str(copy)
        files = arguments.files or [file for top in ("restoration", "train") for file in Path(top).rglob("*.py")]
        lines = traced(arguments.processes)
        killed, chosen = 0, sampled(files, arguments.count, arguments.seed)
        for mutant in chosen:
            (mutation,) = mutant.mutations
            found, difference = noticed(mutation, lines, arguments)
            killed += found
            where = f"{mutation.module_path}:{mutation.start_pos[0]} {mutation.operator_name}"
            print("killed  " if found else "SURVIVED", where, *([] if found else ["\n" + difference]), flush=True)
        print(f"{killed} of {len(chosen)} killed, {100 * killed / max(1, len(chosen)):.0f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
