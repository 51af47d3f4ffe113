"""Many pictures, one order: the results, their receipts and a table of what came of each; a bad file is a row."""

import csv
import io
import logging
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from restoration.image import ENDINGS, FORMATS, Format, Image, Metadata, check_holds, read, save
from restoration.inpainting import mask_from
from restoration.orders import Done, Order
from restoration.records import inert
from restoration.tiling import relayed

REPORT = "report.csv"
RECEIPTS = ".receipt.json"  # ends the names of the receipts
_COLUMNS = ("file", "outcome", "result", "reason", "seconds", "width", "height", "out_width", "out_height", "measured")


@dataclass(frozen=True)
class Row:
    """What came of one file.

    Args:
        file: its name.
        seconds: for everything, reading and writing too.
        result: the file that was written; None for one that could not be restored.
        reason: why it could not, one sentence; else what was done.
        sizes: width and height of the picture and of the result.
        metrics: what was measured on the way.
    """

    file: str
    seconds: float
    result: Path | None = None
    reason: str = ""
    sizes: tuple[int, ...] = ("",) * 4
    metrics: Mapping[str, object] = field(default_factory=dict)

    @property
    def cells(self) -> list[object]:
        measured = " ".join(f"{name}={value}" for name, value in self.metrics.items())
        texts = [self.file, "done" if self.result else "failed", self.result.name if self.result else "", self.reason]
        return [*map(inert, texts), f"{self.seconds:.2f}", *self.sizes, inert(measured)]


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


def pictures(paths: Sequence[Path], output: Path) -> list[Path]:
    """The files, and those in the folders among them whose ending is a picture's, in order.

    Args:
        output: folder of the results; where it lies inside one of the folders, what it holds is left out.
    """
    found, results = [], output.resolve()
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        if path.resolve() in results.parents:
            inside = [file for file in inside if results not in file.resolve().parents]
        found += [file for file in inside if file == path or (file.is_file() and file.suffix.lower() in ENDINGS)]
    return found


def store(
    done: Done,
    target: Path,
    format: Format,
    quality: int = 95,
    metadata: Metadata = "private",
    receipt: bool = True,
) -> Path:
    """Write a result, and its receipt as JSON beside it unless that is not wanted; gives where that is.

    Raises:
        ImageError: the format cannot hold the picture, or there is no such folder, or no room.
    """
    content, text = done.files(format, quality, metadata)
    save(content, target)
    beside = target.with_name(target.name + RECEIPTS)
    if receipt:
        save(text.encode(), beside)
    return beside


def restore_all(
    order: Order,
    files: Sequence[Path],
    folder: Path,
    *,
    mask: Image | None = None,
    format: Format = "png",
    quality: int = 95,
    metadata: Metadata = "private",
    receipts: bool = True,
) -> Generator[BatchProgress, None, list[Row]]:
    """Restore every file that can be read into a folder, with receipts and `report.csv`; gives a row for each.

    Dropping the generator stops the work; what was written stays, and so does the table of it.

    Args:
        mask: white is missing; brought to the size of every picture.  None takes their transparent pixels.
        receipts: whether each result is accompanied by its receipt as JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    taken: set[str] = set()
    for index, file in enumerate(files):
        yield BatchProgress(index, len(files), file.name)
        started = time.monotonic()
        try:
            image = read(file)
            check_holds(format, image)
            job = order.carry_out(image, None if mask is None else mask_from(mask, image))
            restoring = relayed(
                job, lambda step, at=index, file=file: BatchProgress(at, len(files), file.name, step.share)
            )
            done = yield from restoring
            target = folder / _free(f"{image.name}_{done.suffix}", FORMATS[format], taken)
            store(done, target, format, quality, metadata, receipt=receipts)
            taken.add(target.name.lower())
            made = done.picture
            sizes = image.width, image.height, made.width, made.height
            row = Row(file.name, time.monotonic() - started, target, done.summary, sizes, done.metrics)
        except (ValueError, MemoryError) as error:
            reason = str(error) or "There is not enough memory."
            row = Row(file.name, time.monotonic() - started, reason=reason)
        except Exception as error:  # whatever is wrong with one file, the others are restored
            logging.getLogger(__name__).exception("a file could not be restored")
            reason = f"{getattr(error, 'strerror', None) or 'Something unexpected'}."
            row = Row(file.name, time.monotonic() - started, reason=reason)
        rows.append(row)
        (folder / REPORT).write_text(table(rows), encoding="utf-8", newline="")
        yield BatchProgress(index + 1, len(files), file.name, row=row)
    return rows


def _free(stem: str, ending: str, taken: set[str]) -> str:
    """A name that no other result of the batch has."""
    name, number = stem + ending, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}{ending}"
    return name


def table(rows: Sequence[Row]) -> str:
    """The rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([_COLUMNS, *(row.cells for row in rows)])
    return text.getvalue()
