"""Many pictures, one order: the results, their receipts and a table of what came of each; a bad file is a row."""

import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from restoration.files import FORMATS, MAX_MEGAPIXELS, Format, Metadata, check_holds, read
from restoration.image import Image, ImageError
from restoration.inpainting import hole_of
from restoration.inventory import KEPT_LETTERS, Inventory, Item
from restoration.orders import Order
from restoration.receipts import OrderResult
from restoration.remote import Place, Stage
from restoration.report import RemoteReport, Report, Row
from restoration.running import Job
from restoration.saving import check_folder, save
from restoration.targets import OwnResults, Targets, beside, file_digest, legible
from restoration.tiling import relayed

KEPT = "It is there already, made by an earlier run."


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


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Many files and what is to be done with each.

    Nothing that lies there is overwritten: a result that is there already is kept, a name that something else has gets
    a number.

    Args:
        folder: of the results, here or elsewhere, see `remote`.
        mask: white is missing; brought to the size of every picture.  None takes their transparent pixels.
        avoid: white may not be copied into what is filled; of any size too.
        receipts: whether each result is accompanied by its receipt as JSON.
        overwrite: whether what lies there is replaced after all, but for the files that are restored.
        skip_results: whether files that are results of earlier runs themselves are left out, see `OwnResults`.
        resume: whether an earlier run is gone on with: its table gets no second row for what is done, and what has
            not changed since is known by the file alone, without a look at the picture.
        limit, thin: megapixels that a picture may have, see `files.read`.
    """

    order: Order
    files: Inventory
    folder: Place
    mask: Image | None = None
    avoid: Image | None = None
    format: Format = "png"
    quality: int = 95
    metadata: Metadata = "private"
    receipts: bool = True
    overwrite: bool = False
    skip_results: bool = False
    resume: bool = False
    limit: float | None = MAX_MEGAPIXELS
    thin: bool = False

    def prepared(self) -> Report:
        """The table of the run, in a folder that can be written to.

        Raises:
            ImageError: nothing can be written into the folder.
        """
        if isinstance(self.folder, str):
            if self.overwrite:
                raise ImageError("What lies elsewhere is not overwritten: name another folder, or one of this machine.")
            return RemoteReport(self.folder, resume=self.resume)
        self.folder.mkdir(parents=True, exist_ok=True)
        check_folder(self.folder)
        return Report(self.folder, self.overwrite, self.resume)


class Worker:
    """Restores one file of a batch after another."""

    def __init__(self, batch: Batch):
        self.batch = batch
        self._own = OwnResults(batch.files.files, batch.order.task)
        self._stage = Stage(batch.folder)

    @cached_property
    def _targets(self) -> Targets:
        batch = self.batch
        inputs = batch.files.files if batch.overwrite else ()
        return Targets(inputs, overwrite=batch.overwrite, receipts=batch.receipts)

    def targets(self) -> Targets:
        """For files whose results want names of their own; files that share a name share the targets."""
        return self._targets.anew()

    def restored(self, item: Item, targets: Targets) -> Generator[float, None, Row]:
        """Restore a file; yields the share that is done, and gives what came of it, whatever is wrong with it."""
        name, started = legible(str(item.place)), time.monotonic()
        try:
            facts = yield from self._facts(item, targets)
        except (ValueError, MemoryError) as error:
            facts = {"reason": legible(str(error)) or "There is not enough memory."}
        except Exception as error:  # whatever is wrong with one file, the others are restored
            logging.getLogger(__name__).exception("a file could not be restored")
            facts = {"reason": f"{getattr(error, 'strerror', None) or 'Something unexpected'}."}
        return Row(name, time.monotonic() - started, **facts)

    def row(self, item: Item, targets: Targets) -> Row:
        """Restore a file; gives what came of it."""
        work = self.restored(item, targets)
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value

    def _facts(self, item: Item, targets: Targets) -> Job[dict]:
        """What came of a file, as its row has it."""
        parent, start = item.place.parent, f"{item.place.stem[:KEPT_LETTERS]}"
        with self._stage.of(item.file, parent, start) as (file, folder):
            there = file.parent if self._stage.lies_there(item.file, parent) else folder
            facts = yield from self._facts_here(file, folder, there, targets)
            if result := facts.get("result"):
                facts["result"] = self._stage.at(result)
            return facts

    def _facts_here(self, file: Path, folder: Path, there: Path, targets: Targets) -> Job[dict]:
        """The same for a file and a folder of this machine.

        Args:
            there: folder that results of earlier runs would lie in.
        """
        batch, order, ending = self.batch, self.batch.order, FORMATS[self.batch.format]
        if batch.skip_results and self._own.has(file, there):
            return {"outcome": "passed over", "reason": "This is the result of an earlier run."}
        if batch.resume and not (batch.overwrite or batch.mask or batch.avoid):
            earlier = targets.earlier(folder, file.stem, ending, order, file_digest(file))
            if earlier:
                return {"outcome": "kept", "result": earlier, "reason": KEPT}
        image = read(file, limit=batch.limit, thin=batch.thin)
        check_holds(batch.format, image, batch.quality, batch.metadata, order.method.scale)
        hole = hole_of(image, batch.mask, batch.avoid)
        target, is_there = targets.choose(folder, image.name, ending, order, image, hole)
        if is_there:
            return {"outcome": "kept", "result": target, "reason": KEPT}
        done = yield from relayed(order.run(image, hole), lambda step: step.share)
        target.parent.mkdir(parents=True, exist_ok=True)
        receipt = store(done, target, batch.format, batch.quality, batch.metadata, batch.receipts, targets.save)
        for made in (target, *([receipt] if batch.receipts else [])):
            self._stage.publish(made)
        told = done.told(batch.format, batch.metadata)
        sizes = image.width, image.height, done.picture.width, done.picture.height
        return {"outcome": "done", "result": target, "reason": told, "sizes": sizes, "metrics": done.metrics}


def restore_all(batch: Batch) -> Generator[BatchProgress, None, None]:
    """Restore every file that can be read, with receipts and `report.csv`, one after the other.

    Dropping the generator stops the work; what was written stays, and so does the table of it.

    Raises:
        ImageError: nothing can be written into the folder.
    """
    worker, survey = Worker(batch), batch.files.survey
    shared = {key: worker.targets() for key in survey.shared}
    with batch.prepared() as report:
        for item in batch.files:
            so_far = BatchProgress(item.index, survey.total, legible(str(item.place)))
            yield so_far
            targets = shared.get(item.key) or worker.targets()
            work = worker.restored(item, targets)
            row = yield from relayed(work, lambda share, so_far=so_far: replace(so_far, share=share))
            report.add(row)
            yield replace(so_far, done=item.index + 1, row=row)
