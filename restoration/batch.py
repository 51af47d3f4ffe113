"""Many pictures, one order: the results, their receipts and a table of what came of each; a bad file is a row."""

import csv
import io
import logging
import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path, PurePath
from typing import Literal

from restoration.files import (
    FORMATS,
    MAX_MEGAPIXELS,
    Format,
    Metadata,
    check_folder,
    check_holds,
    pictures_in,
    read,
    save,
)
from restoration.image import Image
from restoration.inpainting import hole_of
from restoration.orders import Order
from restoration.receipts import OrderResult
from restoration.records import inert
from restoration.running import Job
from restoration.targets import RECEIPTS, OwnResults, Targets, beside, legible
from restoration.tiling import Progress, relayed

REPORT = PurePath("report.csv")
Outcome = Literal["done", "kept", "passed over", "failed"]
_COLUMNS = ("file", "outcome", "result", "reason", "seconds", "width", "height", "out_width", "out_height", "measured")


@dataclass(frozen=True)
class Row:
    """What came of one file.

    Args:
        file: its name, with the folders in the tree that it was found in.
        seconds: for everything, reading and writing too.
        outcome: "kept" is a result that was there already, "passed over" a file that is a result itself.
        result: the file that was written or kept; None without one.
        reason: why it was not restored, one sentence; else what was done.
        sizes: width and height of the picture and of the result.
        metrics: what was measured on the way.
    """

    file: str
    seconds: float
    outcome: Outcome = "failed"
    result: Path | None = None
    reason: str = ""
    sizes: tuple[int, ...] = ("",) * 4
    metrics: Mapping[str, object] = field(default_factory=dict)

    def cells(self, folder: Path) -> list[object]:
        """The row of the table, which tells results from `folder`."""
        measured = " ".join(f"{name}={value}" for name, value in self.metrics.items())
        result = legible(str(self.result.relative_to(folder))) if self.result else ""
        texts = [inert(text) for text in (self.file, self.outcome, result, self.reason)]
        return [*texts, f"{self.seconds:.2f}", *self.sizes, inert(measured)]


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch has come.

    Args:
        done, total: files.
        name: of the file at hand.
        share: of it that is done.
        row: of the file, once there is one.
    """

    done: int
    total: int
    name: str
    share: float = 0.0
    row: Row | None = None


def pictures(paths: Sequence[Path], output: Path) -> tuple[list[Path], int]:
    """The files, and the pictures in the folders among them, in order; and how many other files lie in these.

    Args:
        output: folder of the results; where it lies inside one of the folders, what it holds is left out.
    """
    found, left_out, results = [], 0, output.resolve()
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside, others = pictures_in(path, deep=True)
        if path.resolve() in results.parents:
            inside, others = (
                [file for file in files if results not in file.resolve().parents] for files in (inside, others)
            )
        found += inside
        left_out += sum(not is_ours(file) for file in others)
    return found, left_out


def is_ours(file: Path) -> bool:
    """Whether a file is called as the receipts and tables are that lie beside results."""
    return file.name.endswith(RECEIPTS) or (file.name.startswith(REPORT.stem) and file.suffix == REPORT.suffix)


def place_of(file: Path, roots: Sequence[Path]) -> PurePath:
    """Where a file lies in the tree that it was found in, which its result keeps; its name for a file on its own.

    Args:
        roots: folders that were searched; of several, each is a folder of the output too.
    """
    for root in roots:
        if file != root and file.is_relative_to(root):
            inside = file.relative_to(root)
            return inside if len(roots) == 1 else PurePath(root.resolve().name) / inside
    return PurePath(file.name)


def store(
    done: OrderResult,
    target: Path,
    format: Format,
    quality: int = 95,
    metadata: Metadata = "private",
    receipt: bool = True,
    write: Callable[[bytes, Path], None] = save,
) -> Path:
    """Write a result, and its receipt as JSON beside it unless that is not wanted; gives where that is.

    Args:
        write: writes a file.

    Raises:
        ImageError: the format cannot hold the picture, or there is no such folder, or no room.
    """
    content, text = done.files(format, quality, metadata)
    write(content, target)
    if receipt:
        write(text.encode(), beside(target))
    return beside(target)


def restore_all(
    order: Order,
    files: Sequence[Path],
    folder: Path,
    *,
    roots: Sequence[Path] = (),
    mask: Image | None = None,
    avoid: Image | None = None,
    format: Format = "png",
    quality: int = 95,
    metadata: Metadata = "private",
    receipts: bool = True,
    overwrite: bool = False,
    skip_results: bool = False,
    limit: float | None = MAX_MEGAPIXELS,
    thin: bool = False,
) -> Generator[BatchProgress, None, list[Row]]:
    """Restore every file that can be read into a folder, with receipts and `report.csv`; gives a row for each.

    Nothing that lies there is overwritten: a result that is there already is kept, a name that something else has gets
    a number.  Dropping the generator stops the work; what was written stays, and so does the table of it.

    Args:
        roots: see `place_of`.
        mask: white is missing; brought to the size of every picture.  None takes their transparent pixels.
        avoid: white may not be copied into what is filled; of any size too.
        receipts: whether each result is accompanied by its receipt as JSON.
        overwrite: whether what lies there is replaced after all, but for the files that are restored.
        skip_results: whether files that are results of earlier runs themselves are left out, see `OwnResults`.
        limit, thin: megapixels that a picture may have, see `files.read`.

    Raises:
        ImageError: nothing can be written into the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_folder(folder)
    rows: list[Row] = []
    targets = Targets(files, overwrite=overwrite, receipts=receipts)
    own = OwnResults(files, order.task)
    report = Report(folder, overwrite)

    def restored(file: Path, place: PurePath, tell: Callable[[Progress], BatchProgress]) -> Job[dict]:
        """What came of a file, as its row has it."""
        if skip_results and own.has(file, folder / place.parent):
            return {"outcome": "passed over", "reason": "This is the result of an earlier run."}
        image = read(file, limit=limit, thin=thin)
        check_holds(format, image, quality, metadata, order.method.scale)
        hole = hole_of(image, mask, avoid)
        target, there = targets.choose(folder / place.parent, image.name, FORMATS[format], order, image, hole)
        if there:
            return {"outcome": "kept", "result": target, "reason": "It is there already, made by an earlier run."}
        done = yield from relayed(order.run(image, hole), tell)
        target.parent.mkdir(parents=True, exist_ok=True)
        store(done, target, format, quality, metadata, receipts, targets.save)
        sizes = image.width, image.height, done.picture.width, done.picture.height
        return {"outcome": "done", "result": target, "reason": done.summary, "sizes": sizes, "metrics": done.metrics}

    for index, file in enumerate(files):
        place = place_of(file, roots)
        name, started = legible(str(place)), time.monotonic()
        so_far = BatchProgress(index, len(files), name)
        yield so_far
        try:
            facts = yield from restored(file, place, lambda step, so_far=so_far: replace(so_far, share=step.share))
        except (ValueError, MemoryError) as error:
            facts = {"reason": legible(str(error)) or "There is not enough memory."}
        except Exception as error:  # whatever is wrong with one file, the others are restored
            logging.getLogger(__name__).exception("a file could not be restored")
            facts = {"reason": f"{getattr(error, 'strerror', None) or 'Something unexpected'}."}
        rows.append(Row(name, time.monotonic() - started, **facts))
        report.write(rows)
        yield BatchProgress(index + 1, len(files), name, row=rows[-1])
    return rows


class Report:
    """The table of a run in its folder, written anew after every row; it goes on after that of an earlier run.

    A file of the same name that is no such table stays as it is, and the table gets another name.

    Args:
        folder: of the results.
        overwrite: whether one that is there is replaced.
    """

    def __init__(self, folder: Path, overwrite: bool = False):
        self.folder, self.earlier = folder, ""
        for number in count(1):
            self.path = folder / (f"{REPORT.stem}-{number}{REPORT.suffix}" if number > 1 else REPORT.name)
            if not os.path.lexists(self.path) or (overwrite and not self.path.is_dir()):
                return
            with suppress(OSError, UnicodeDecodeError):
                with self.path.open(encoding="utf-8", newline="") as file:
                    text = file.read()
                if not self.path.is_symlink() and text.startswith(table([], folder)):
                    self.earlier = text
                    return

    def write(self, rows: Sequence[Row]) -> None:
        """Write it beside and rename it, so that it is whole at any time.

        Raises:
            ImageError: there is no such folder any more, or no room.
        """
        header = table([], self.folder)
        text = table(rows, self.folder)
        save((self.earlier + text.removeprefix(header) if self.earlier else text).encode(), self.path)


def table(rows: Sequence[Row], folder: Path) -> str:
    """The rows as CSV.

    Args:
        folder: that the results are told from.
    """
    text = io.StringIO()
    csv.writer(text).writerows([_COLUMNS, *(row.cells(folder) for row in rows)])
    return text.getvalue()
