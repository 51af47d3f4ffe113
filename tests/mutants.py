"""How many mutants the tests notice: a seeded sample of cosmic-ray's, each against the tests that run its lines.

    pip install -e ".[mutants]"
    python -m tests.mutants --count 150 --seed 0
    python -m tests.mutants --count 20 restoration/tiling.py restoration/jpeg.py
    python -m tests.mutants --traced runs/traced --after 40  # keeps what was traced; goes on behind the first 40
    python -m tests.mutants --untraced                       # the files that name a module, without the long trace

It works on a copy of the checkout, in which it first finds out which of the quick tests runs which line; those that
fail as they are, on a machine that is busy for instance, are left out.  The quickest test comes first.  Code that
runs when it is imported is tested by the files that name its module, as is what the quick tests leave alive, by the
slow ones; the page is tried with what asks a server, too.  Survivors are printed with their difference: they are
holes, or mean nothing.
"""

import argparse
import difflib
import importlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_item import MutationSpec, WorkItem
from coverage import CoverageData

ROOT = Path(__file__).parent.parent
LEFT_OUT = ("BitOr", "NumberReplacer", "RemoveDecorator")  # type hints; most constants; registries' entries
OPTIONS = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
PYTEST = [sys.executable, "-m", "pytest", *OPTIONS]
LINES, SECONDS = "lines", "seconds.xml"  # of what was traced
TESTS, OUTPUT = Path("mutant-tests.txt"), Path("mutant-output.txt")  # names, one a line, which pytest reads; its words
SHARED = ("torch", "gradio", "gradio_client", "skimage.metrics", "scipy.stats", "httpx")  # imported once for all
SERVED = [f"tests/test_{name}.py" for name in ("requests", "fair", "api")]
FAILED, NOTHING_TO_RUN = 1, 5  # pytest's status


def sampled(files: Sequence[Path], count: int, seed: int) -> list[WorkItem]:
    """So many mutants of the files, the same for a seed."""
    init = importlib.import_module("cosmic_ray.commands.init")  # the package calls a function so
    kept = [operator for operator in init._operators({}) if not any(name in operator[0] for name in LEFT_OUT)]
    init._operators = lambda _: kept
    init.ast_nodes = lru_cache(maxsize=1)(lambda tree: list(ast_nodes(tree)))  # every operator walks through all
    mutants = list(init._all_work_items(sorted(files), {}))
    return random.Random(seed).sample(mutants, min(count, len(mutants)))


def trace(folder: Path, processes: str) -> None:
    """Find out which quick test runs which lines, and how long it takes.

    Raises:
        CalledProcessError: the tests cannot be run.
    """
    settings = folder / "coverage.ini"
    settings.write_text(f"[run]\nrelative_files = true\ndata_file = {folder / LINES}\n")
    measured = ["--cov=restoration", "--cov=train", f"--cov-config={settings}", "--cov-context=test", "--cov-report="]
    command = [*PYTEST, "-m", "not slow", "-n", processes, *measured, f"--junitxml={folder / SECONDS}"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    if done.returncode not in (0, FAILED):
        raise subprocess.CalledProcessError(done.returncode, command)


class Traced:
    """What `trace` left in a folder; nothing without one."""

    def __init__(self, folder: Path | None):
        self.lines = CoverageData(str(folder / LINES)) if folder else None
        self.seconds: dict[str, float] = {}
        if self.lines:
            self.lines.read()
            for case in ElementTree.parse(folder / SECONDS).iter("testcase"):
                if not len(case):  # it passed
                    name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
                    self.seconds[name] = float(case.get("time", 0))

    def running(self, mutation: MutationSpec) -> list[str]:
        """The quick tests that run the lines of a mutation, the quickest first."""
        if not self.lines:
            return []
        contexts = self.lines.contexts_by_lineno(str(mutation.module_path))
        changed = range(mutation.start_pos[0], mutation.end_pos[0] + 1)
        names = {name.rpartition("|")[0] for line in changed for name in contexts.get(line, ())}
        return sorted(names & self.seconds.keys(), key=lambda name: (self.seconds[name], name))


def naming(module: Path) -> list[str]:
    """The test files that name a module, those first that do most; all where none does."""
    word = re.compile(rf"\b{re.escape(module.stem)}\b")
    found = {str(file): len(word.findall(file.read_text())) for file in sorted(Path("tests").glob("test_*.py"))}
    return sorted((file for file in found if found[file]), key=lambda file: -found[file]) or ["tests"]


def trials(mutation: MutationSpec, traced: Traced, slow: bool) -> Iterator[tuple[str, list[str]]]:
    """What to run against a mutation until something fails: a choice of marks and tests."""
    first, *others = naming(mutation.module_path)
    for tests in [names] if (names := traced.running(mutation)) else filter(None, ([first], others[:3], others[3:])):
        yield "not slow and not load", tests
    if "page" in mutation.module_path.parts:  # which mostly runs in a server of its own
        yield "not slow and not load", SERVED
    if slow:
        yield "slow and not load", naming(mutation.module_path)


def failing(marks: str, tests: Sequence[str], seconds: int) -> str:
    """The first test that fails, or "time" where all together take more seconds of the processor; else empty.

    They run in a copy of this process, which has imported all that is large.
    """
    TESTS.write_text("\n".join(tests))
    child = os.fork()
    if not child:
        status = FAILED
        try:
            status = _tried(["-x", "-rfE", "-m", marks, f"@{TESTS}"], seconds)
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # a server that it left
    code, said = os.waitstatus_to_exitcode(status), OUTPUT.read_text(errors="replace")
    if code in (0, NOTHING_TO_RUN):
        return ""
    return next(iter(re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)), "time" if code < 0 else "an error")


def _tried(options: list[str], seconds: int) -> int:
    """The status of pytest, run in this process, which is stopped when it takes too long."""
    os.setsid()
    os.dup2(os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(1, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    signal.alarm(20 * seconds)  # one that waits
    import pytest

    return int(pytest.main([*OPTIONS, *options]))


def noticed(mutation: MutationSpec, traced: Traced, arguments: argparse.Namespace) -> tuple[str, str]:
    """The test that fails, if one does, and what the mutation changes."""
    operator = get_operator(mutation.operator_name)(**(mutation.operator_args or {}))
    with use_mutation(mutation.module_path, operator, mutation.occurrence) as codes:
        before, after = (code.splitlines(keepends=True) for code in codes)
        difference = "".join(difflib.unified_diff(before, after, str(mutation.module_path), "mutant", n=1))
        tried = (failing(*trial, arguments.timeout) for trial in trials(mutation, traced, arguments.slow))
        return next(filter(None, tried), ""), difference


def moved(copy: Path) -> None:
    """Take modules and files from a copy of the checkout from now on, and import what all tests need."""
    os.chdir(copy)
    sys.path[:] = [str(copy), *(place for place in sys.path if Path(place).resolve() != ROOT)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    os.environ |= {"PYTHONPATH": str(copy), "GRADIO_ANALYTICS_ENABLED": "False", "OMP_WAIT_POLICY": "PASSIVE"}
    os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "1", True  # a mutant may be as old as its module
    compiled = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # once for all
    subprocess.run([*PYTEST, "--collect-only"], env=compiled, stdout=subprocess.DEVNULL)
    for name in SHARED:
        with suppress(ImportError):
            importlib.import_module(name)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="modules; by default all of restoration/ and train/")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--after", type=int, default=0, help="leave out so many of them, which were tried before")
    parser.add_argument("--traced", type=Path, help="folder for what was traced; used again if it is there")
    parser.add_argument("--untraced", action="store_true", help="trace nothing; try the files that name the module")
    parser.add_argument("--timeout", type=int, default=600, help="seconds of the processor for the tests of a mutant")
    parser.add_argument("--slow", action="store_true", help="try the slow tests on what the quick ones leave alive")
    parser.add_argument("--processes", default="2", help="of the tests that are traced at first")
    arguments = parser.parse_args(argv)
    kept = arguments.traced and arguments.traced.resolve()
    with tempfile.TemporaryDirectory() as folder:
        moved(shutil.copytree(ROOT, Path(folder) / "copy", ignore=shutil.ignore_patterns(".git", ".venv", "runs")))
        files = arguments.files or [file for top in ("restoration", "train") for file in Path(top).rglob("*.py")]
        kept = kept or Path(folder) / "traced"
        if not arguments.untraced and not (kept / SECONDS).exists():
            kept.mkdir(parents=True, exist_ok=True)
            trace(kept, arguments.processes)
        traced = Traced(None if arguments.untraced else kept)
        killed, chosen = 0, sampled(files, arguments.count, arguments.seed)[arguments.after :]
        for mutant in chosen:
            (mutation,) = mutant.mutations
            found, difference = noticed(mutation, traced, arguments)
            killed += bool(found)
            where = f"{mutation.module_path}:{mutation.start_pos[0]} {mutation.operator_name}"
            print(*(["killed  ", where, "by", found] if found else ["SURVIVED", where, "\n" + difference]), flush=True)
        print(f"{killed} of {len(chosen)} killed, {100 * killed / max(1, len(chosen)):.0f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
