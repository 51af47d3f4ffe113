"""What is kept of a run, noted while it goes on; never the picture, its name, or who sent it."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from restoration import memory
from restoration.files import read
from restoration.image import Image
from restoration.inpainting import Mask
from restoration.mirror import mirror
from restoration.orders import Order
from restoration.receipts import OrderResult, weights_digest
from restoration.records import Outcome, Record, Records
from restoration.report import Row


def device() -> str:
    """What the networks run on, as records call it."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


COMMIT = 1.0  # seconds that an answer waits at most until its run is on the disk

_records: Records | None = None


def kept() -> Records:
    """Where runs are recorded: in memory, unless `open_records` was called."""
    global _records
    _records = _records or Records(None)
    return _records


def open_records() -> None:
    """Keep records in the file that `RESTORATION_RECORDS` names, by default in the user's cache, and mirror them."""
    global _records
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "restoration"
    file = Path(os.environ.get("RESTORATION_RECORDS") or folder / "records.sqlite")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
    _records = Records(file)
    repo, token = os.environ.get("RESTORATION_RECORDS_REPO"), os.environ.get("HF_TOKEN")
    if repo and token:  # the Hub may take its time
        threading.Thread(target=mirror, args=(file, repo, token), daemon=True).start()


class Log:
    """The record of a run that goes on.

    Attributes:
        id: by which the run may be rated.
        sizes: width and height of the picture and of the result.
        seconds: by stage.
        metrics: true ones, where the original is known.
        on_record: whether the run is recorded already.
    """

    def __init__(self, order: Order, path: str, records: Records, read: Callable[[str], Image] = read):
        self.order, self.path, self.records, self._read = order, Path(path), records, read
        self.id = secrets.token_hex(16)
        self.sizes = (0, 0, 0, 0)
        self.seconds: dict[str, float] = {}
        self.metrics: dict | None = None
        self.on_record = False

    def read(self) -> Image:
        """The picture that the run is about.

        Raises:
            ImageError: see `image.read`.
        """
        image = self._read(str(self.path))
        self.sizes = (image.width, image.height, 0, 0)
        return image

    def finished(self, done: OrderResult) -> None:
        made = done.picture
        self.sizes = (done.given.width, done.given.height, made.width, made.height)
        for part in (done, *done.parts):
            if isinstance(part.found, Mask):  # by which the time of the next run is told
                self.metrics = {**(self.metrics or {}), "worked_share": round(part.found.worked, 6)}

    def answered(self) -> None:
        """Put the run on record as done, before whoever asked has the answer: a server may be killed right after."""
        self.end("done")

    def end(self, outcome: Outcome, reason: str = "") -> None:
        """Record how the run ended, once; waits for the disk if somebody waits for the answer."""
        if not self.on_record:
            self.on_record = True
            self.records.add(self.record(outcome, reason), wait=0.0 if outcome == "cancelled" else COMMIT)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a part of the run."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - started

    def record(self, outcome: Outcome, reason: str = "") -> Record:
        held = memory.held()  # what a run needed is not given back before its end
        metrics = (self.metrics or {}) | ({"megabytes": round(held / 1e6)} if held else {})
        return _record(
            self.order,
            outcome,
            self.sizes,
            self.seconds,
            reason=reason.replace(self.path.name, "the file"),
            metrics=metrics or None,
            id=self.id,
        )


@contextmanager
def recorded(order: Order, path: str, records: Records, read: Callable[[str], Image] = read) -> Iterator[Log]:
    """Record a run of an order on a file, however it ends; dropping the generator that it is in cancels it.

    What was answered stays so, however the rest ends.
    """
    log = Log(order, path, records, read)
    try:
        yield log
    except GeneratorExit:
        log.end("cancelled")
        raise
    except (ValueError, MemoryError) as error:
        log.end("failed", str(error) or "There is not enough memory.")
        raise
    except Exception:
        log.end("failed", "Something unexpected.")
        raise
    log.end("done")


def record_of(row: Row, order: Order) -> Record:
    """What is kept of a file of a batch."""
    if row.result is None:
        reason = row.reason.replace(row.file, "the file")
        return _record(order, "failed", (0, 0, 0, 0), {"restoring": row.seconds}, reason=reason)
    return _record(order, "done", row.sizes, {"restoring": row.seconds})


def _record(order: Order, outcome: Outcome, sizes: tuple[int, ...], seconds: dict[str, float], **more) -> Record:
    return Record(
        order.task,
        order.model,
        outcome,
        *sizes,
        dict(order.settings),
        seconds,
        weights_digest(order.method),
        device(),
        **more,
    )
