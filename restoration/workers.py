"""A batch on several workers at once, in processes of this machine: the files and the table of one process.

What wants the same name goes to one worker, in order; rows come in the order of the files, whoever is ready first.
"""

import multiprocessing
import os
import signal
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Protocol

import torch

from restoration import memory
from restoration.batch import Batch, BatchProgress, Worker
from restoration.inventory import Item
from restoration.limits import processors
from restoration.report import Row
from restoration.targets import legible
from restoration.upscaling import results_of_any_size

Unit = tuple[Item, ...]  # files whose results want the same name
AHEAD = 16  # files for each worker that may be done before an earlier one is: more wait for it
ENDED = "The process that worked on it was ended, twice: is there enough memory?"


class Pool(Protocol):
    """Workers that are given units.

    Args:
        size: how many there are.
    """

    size: int

    def submit(self, unit: Unit) -> object:
        """Begin; gives a token for it."""

    def finished(self) -> list[tuple[object, list[Row]]]:
        """Wait for some; gives their tokens with the rows of their files."""


def in_order(batch: Batch, pool: Pool) -> Generator[BatchProgress, None, None]:
    """Restore the files of a batch by a pool; yields a step for every row, in the order of the files.

    At most two units a worker are under way, and rows of at most `AHEAD` files a worker wait for an earlier one.
    """
    total = batch.files.survey.total
    under_way: dict[object, Unit] = {}
    ready: dict[int, tuple[Item, Row]] = {}
    told = 0

    def tell() -> Iterator[BatchProgress]:
        nonlocal told
        while told in ready:
            item, row = ready.pop(told)
            told += 1
            report.add(row)
            yield BatchProgress(told, total, legible(str(item.place)), row=row)

    def collect() -> Iterator[BatchProgress]:
        for token, rows in pool.finished():
            unit = under_way.pop(token)
            ready.update({item.index: (item, row) for item, row in zip(unit, rows, strict=True)})
        yield from tell()

    with batch.prepared() as report:
        for unit in units(batch):
            while under_way and (len(under_way) >= 2 * pool.size or unit[0].index >= told + AHEAD * pool.size):
                yield from collect()
            under_way[pool.submit(unit)] = unit
        while under_way:
            yield from collect()


def units(batch: Batch) -> Iterator[Unit]:
    """The files of a batch, in order but for those that want the name of an earlier one's result, which it is with."""
    shared: dict[bytes, list[Item]] = {key: [] for key in batch.files.survey.shared}
    if shared:
        for item in batch.files:
            if item.key in shared:
                shared[item.key].append(item)
    for item in batch.files:
        if item.key not in shared:
            yield (item,)
        elif shared[item.key][0] == item:
            yield tuple(shared[item.key])


class Rows:
    """What a worker does with units: kept between them, models included."""

    def __init__(self, batch: Batch):
        self.worker = Worker(batch)

    def of(self, unit: Unit) -> list[Row]:
        """The rows of its files, which are restored one after the other."""
        targets = self.worker.targets()
        with results_of_any_size():
            return [self.worker.row(item, targets) for item in unit]


def ended(unit: Unit) -> list[Row]:
    """The rows of a unit whose workers were ended from outside."""
    return [Row(legible(str(item.place)), 0.0, reason=ENDED) for item in unit]


# Processes -----------------------------------------------------------------------------------------------------------


def workers_for(batch: Batch, wanted: int | None) -> int:
    """How many processes: as many as were wanted, else one a processor, if memory holds the largest picture for each.

    Raises:
        ValueError: it does not for as many as were wanted.
    """
    most = processors()
    largest, scale = batch.files.survey.megapixels, batch.order.method.scale
    room = memory.workers(largest, scale)
    if wanted is None:
        return max(1, min(most, batch.files.survey.total, most if room is None else room))
    if room is not None and wanted > max(1, room):
        raise ValueError(
            f"{wanted} workers with pictures of up to {largest:.3g} megapixels need more memory than is free; "
            f"{max(1, room)} would fit."
        )
    return wanted


class Processes:
    """A pool of processes of this machine, with a share of its processors each.

    One that is ended from outside is replaced, and what it was at begun again, once.
    """

    def __init__(self, batch: Batch, size: int):
        self.batch, self.size = batch, size
        self._units: dict[Future, Unit] = {}
        self._start()

    def _start(self) -> None:
        threads = max(1, processors() // self.size)
        before = set(multiprocessing.active_children())
        self._executor = _executor(self.batch, self.size, threads)
        self._executor.submit(os.getpid)  # starts them all
        self._children = set(multiprocessing.active_children()) - before

    def submit(self, unit: Unit) -> object:
        self._units[self._executor.submit(_rows, unit)] = unit
        return _token(unit)

    def finished(self) -> list[tuple[object, list[Row]]]:
        done, _ = wait(self._units, return_when=FIRST_COMPLETED)
        found, lost = [], []
        for future in done:
            unit = self._units.pop(future)
            try:
                found.append((_token(unit), future.result()))
            except BrokenProcessPool:
                lost.append(unit)
        if lost:
            found += self._begun_again(lost)
        return found

    def _begun_again(self, lost: list[Unit]) -> list[tuple[object, list[Row]]]:
        """New processes for what the pool was at; the rows of what has ended one twice.

        Which unit it was cannot be told, so what is begun again goes one by one through a pool of one.
        """
        lost += self._units.values()
        self._units.clear()
        self._executor.shutdown(wait=False)
        found = []
        for unit in sorted(lost, key=_token):
            with _executor(self.batch, 1, 1) as alone:
                try:
                    found.append((_token(unit), alone.submit(_rows, unit).result()))
                except BrokenProcessPool:
                    found.append((_token(unit), ended(unit)))
        self._start()
        return found

    def close(self) -> None:
        """End them; what is being written is finished or taken away."""
        for process in self._children:
            with suppress(OSError):
                os.kill(process.pid, signal.SIGTERM)
        self._executor.shutdown(cancel_futures=True)


def _token(unit: Unit) -> int:
    return unit[0].index


def _executor(batch: Batch, size: int, threads: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(size, multiprocessing.get_context("spawn"), _begin, (batch, threads))


def restore_in_processes(batch: Batch, size: int) -> Generator[BatchProgress, None, None]:
    """Restore a batch in so many processes; yields a step for every row, in order.

    Dropping the generator stops the work.
    """
    pool = Processes(batch, size)
    try:
        yield from in_order(batch, pool)
    finally:
        pool.close()


_here: Rows | None = None  # of a process of the pool


def _begin(batch: Batch, threads: int) -> None:
    global _here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which the terminal sends to all: the first process tells the others
    signal.signal(signal.SIGTERM, _stop)
    memory.keep()
    torch.set_num_threads(threads)
    _here = Rows(batch)


def _stop(*_: object) -> None:
    raise SystemExit


def _rows(unit: Unit) -> list[Row]:
    try:
        return _here.of(unit)
    except SystemExit:  # what was being written is taken away by now; the pool would go on with its next unit
        os._exit(128 + signal.SIGTERM)
