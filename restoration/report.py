"""The table of what came of many files, as it goes."""

import csv
import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal

from restoration.image import ImageError
from restoration.inventory import REPORT
from restoration.records import inert
from restoration.remote import Place, system_of
from restoration.saving import save
from restoration.targets import legible

Outcome = Literal["done", "kept", "passed over", "failed"]
_COLUMNS = ("file", "outcome", "result", "reason", "seconds", "width", "height", "out_width", "out_height", "measured")


@dataclass(frozen=True)
class Row:
    """What came of one file.

    Args:
        file: its name, with the folders in the tree that it was found in.
        seconds: for everything, reading and writing too.
        outcome: "kept" is a result that was there already, "passed over" a file that is a result itself.
        result: the file that was written or kept, a URL if it lies elsewhere; None without one.
        reason: why it was not restored, one sentence; else what was done.
        sizes: width and height of the picture and of the result.
        metrics: what was measured on the way.
    """

    file: str
    seconds: float
    outcome: Outcome = "failed"
    result: Place | None = None
    reason: str = ""
    sizes: tuple[int, ...] = ("",) * 4
    metrics: Mapping[str, object] = field(default_factory=dict)

    def cells(self, folder: Place) -> list[object]:
        """The row of the table, which tells results from `folder`."""
        measured = " ".join(f"{name}={value}" for name, value in self.metrics.items())
        inside = self.result.relative_to(folder) if isinstance(self.result, Path) else self.result
        result = legible(str(inside).removeprefix(f"{folder}/")) if inside else ""
        texts = [inert(text) for text in (self.file, self.outcome, result, self.reason)]
        return [*texts, f"{self.seconds:.2f}", *self.sizes, inert(measured)]


class Report:
    """The table of a run in its folder, a row longer after every file; it goes on after that of an earlier run.

    A file of the same name that is no such table stays as it is, and the table gets another name.

    Args:
        folder: of the results.
        overwrite: whether one that is there is replaced.
        resume: whether files that an earlier table has as done get no second row.
    """

    def __init__(self, folder: Path, overwrite: bool = False, resume: bool = False):
        self.told_from, self._written, self._told = folder, False, frozenset()
        for number in count(1):
            self.path = folder / (f"{REPORT.stem}-{number}{REPORT.suffix}" if number > 1 else REPORT.name)
            if not os.path.lexists(self.path) or (overwrite and not self.path.is_dir()):
                return
            if not self.path.is_symlink() and _is_table(self.path):
                self._written = True
                if resume:
                    self._told = frozenset(_done(self.path))
                return

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to be done."""

    def add(self, row: Row) -> None:
        """Write a row more, so that the table is whole whenever it is looked at.

        Raises:
            ImageError: there is no such folder any more, or no room.
        """
        if row.outcome == "kept" and hash(inert(row.file)) in self._told:
            return
        line = _csv([row.cells(self.told_from)])
        if not self._written:
            save((_HEADER + line).encode(), self.path)
            self._written = True
            return
        end = self.path.stat().st_size
        try:
            _append(self.path, (_end_of_line(self.path) + line).encode())
        except OSError:  # half a row is worse than none
            with suppress(OSError):
                os.truncate(self.path, end)
            raise ImageError(
                f"{self.path.name} could not be written: is there such a folder, and room in it?"
            ) from None


class RemoteReport(Report):
    """A table that is kept here and goes to a folder elsewhere every now and then, and at last."""

    EVERY = 20  # seconds

    def __init__(self, url: str, overwrite: bool = False, resume: bool = False):
        self._here = Path(tempfile.mkdtemp(prefix="restoration-"))
        self._system, root = system_of(url)
        self._there, self._sent = f"{root}/{REPORT}", 0.0
        if self._system.exists(self._there) and not overwrite:
            self._system.get_file(self._there, str(self._here / REPORT))
        super().__init__(self._here, overwrite, resume)
        self._there = f"{root}/{self.path.name}"
        self.told_from = url

    def add(self, row: Row) -> None:
        super().add(row)
        if time.monotonic() - self._sent > self.EVERY:
            self._send()

    def __exit__(self, *_: object) -> None:
        self._send()
        shutil.rmtree(self._here, ignore_errors=True)

    def _send(self) -> None:
        if self.path.exists():
            self._system.put_file(str(self.path), self._there)
        self._sent = time.monotonic()


def _append(path: Path, content: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        if file.write(content) != len(content):
            raise OSError


def _end_of_line(path: Path) -> str:
    """What is missing at the end of a table whose last row was cut short by the end of the machine."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return "" if file.read() == b"\n" else "\r\n"


def _is_table(path: Path) -> bool:
    """Whether a file is a table of ours."""
    try:
        with path.open("rb") as file:
            return file.read(len(_HEADER)) == _HEADER.encode()
    except OSError:
        return False


def _done(path: Path) -> Iterator[int]:
    """Hashes of the names of the files that have a result in a table."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            if row["outcome"] in ("done", "kept"):
                yield hash(row["file"])


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


_HEADER = _csv([_COLUMNS])
