"""What ran, how long, how good, how rated: SQLite with one writer in WAL mode, one row a run.

Nothing here tells whose it was: no image, no name of one, no address and no session. What cannot be written is counted
and is in nobody's way. `restoration.mirror` keeps a copy on the Hub, as JSON lines that `Record(**json.loads(line))`
reads again; the last line of an id counts, and a line that was cut does not.
"""

import csv
import io
import json
import secrets
import sqlite3
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from queue import Full, SimpleQueue
from statistics import median
from typing import Literal, TypeVar, get_args

from restoration.database import DAMAGED, LOCKED, UNWRITABLE, code, inode, on_disk, prepared, uri
from restoration.mirror import MIRRORS, mirrored, new_lines
from restoration.paces import FEWEST, expected, percentiles, share_worked

Outcome = Literal["done", "failed", "cancelled"]
Rating = Literal["better", "same", "worse"]
Result = TypeVar("Result")

CAPACITY = 1000  # rows that may wait for the writer
ATTEMPTS = 3  # for a row in a locked database, each as long as `PATIENCE`
PATIENCE = 1.0  # seconds that SQLite waits for a lock
ANSWER = 5.0  # seconds after which a rating that still waits is given up
COMMENT = 200  # characters
RECENT = 50  # runs that an expectation is made of, at most

WAITING = "waiting"  # the stage before a run begins

SIZES = ("under 1 MP", "1 to 4 MP", "4 to 16 MP", "over 16 MP")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # beginnings that a spreadsheet may run


@dataclass(frozen=True)
class Record:
    """One run.

    Args:
        task: for example "denoise".
        model: name of the method.
        outcome: how it ended.
        width: of the picture, in pixels, as is `height`.
        out_width: of the result, in pixels, as is `out_height`.
        settings: what the method was asked for, as JSON has it.
        seconds: by stage: "waiting" for the model, "reading", "restoring", "writing".
        weights: sha256 of the weights, empty for methods without.
        reason: of a failure, one sentence.
        metrics: true ones, "psnr" and "ssim", where the original was known; "megabytes" that the program held.
        id: who knows it may rate the run, once.
        time: of its end, in seconds of UTC.
    """

    task: str
    model: str
    outcome: Outcome
    width: int
    height: int
    out_width: int
    out_height: int
    settings: dict
    seconds: dict[str, float]
    weights: str = ""
    device: str = "cpu"
    reason: str = ""
    metrics: dict | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    time: float = field(default_factory=time.time)
    rating: Rating | None = None
    comment: str = ""


@dataclass(frozen=True)
class Summary:
    """The runs of one method at one size: how many, the percentiles of the seconds of those done, the ratings."""

    task: str
    model: str
    size: str
    runs: int
    failed: int
    cancelled: int
    p50: float | None
    p90: float | None
    p99: float | None
    better: int
    same: int
    worse: int


@dataclass(frozen=True)
class Moment:
    """The runs of a stretch of time.

    Args:
        start: in seconds of UTC, as is `end`.
        waiting: seconds for which half of those done waited at most, None where none was done.
        p50: percentile of the seconds that they took then, as is `p90`.
        megabytes: the most that the program held.
    """

    start: float
    end: float
    runs: int
    failed: int
    waiting: float | None
    p50: float | None
    p90: float | None
    megabytes: float | None


STRETCHES = (60, 300, 3600, 86400, 30 * 86400)  # seconds that moments last, so that there are not too many
MOMENTS = 60

COLUMNS = tuple(column.name for column in fields(Record))
JSON = ("settings", "seconds", "metrics")
SELECT = f"SELECT {', '.join(COLUMNS)} FROM runs"
INSERT = f"INSERT INTO runs ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT (id) DO NOTHING"
RATE = "UPDATE runs SET rating = ?, comment = ? WHERE id = ? AND rating IS NULL"


class Records:
    """The runs in a database; every method may be called from any thread, and none raises when the disk fails.

    Args:
        path: of the database; None keeps the runs in memory. What is there but damaged is moved aside, and a folder
            that cannot be written leaves the runs in memory as well.

    Attributes:
        path: None while the runs are in memory.
        lost: how many rows could not be written.
    """

    def __init__(self, path: Path | None):
        self.path = Path(path).absolute() if path else None
        self.lost = 0
        self._missed = False  # since the last flush
        self._memory = f"file:/records-{secrets.token_hex(8)}?vfs=memdb"
        self._mirrored = self.path and mirrored(self.path)
        self._lines = new_lines()
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._queue: SimpleQueue[tuple[Callable, Future] | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="records", daemon=True)
        self._writer.start()

    def add(self, record: Record, wait: float = 0.0) -> None:
        """Hand a run to the writer; a row with the id of another changes nothing.

        Args:
            wait: seconds to give the disk until the run is on it; then, or if it cannot be, this returns all the same.
        """
        try:
            written = self._submit(partial(self._insert, row(record)))
        except Exception:  # besides a full queue whatever is no data
            self._miss()
            return
        if wait:
            with suppress(TimeoutError):
                written.result(wait)

    def rate(self, id: str, rating: Rating, comment: str = "") -> bool:
        """Rate a run; False if there is no such run, if it has been rated, or if the database does not answer.

        Args:
            comment: kept without control characters, up to `COMMENT` characters.

        Raises:
            ValueError: there is no such rating.
        """
        if rating not in get_args(Rating):
            raise ValueError("A run is rated better, same or worse.")
        try:
            change = self._submit(partial(self._rate, id, rating, cleaned(comment)))
        except Full:
            return False
        try:
            return change.result(ANSWER)
        except TimeoutError:
            return not change.cancel() and change.result()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was added is committed; False if that takes longer or a row was lost since the last flush."""
        try:
            settled = self._submit(self._settled, bounded=False)
        except Full:
            return False
        try:
            return settled.result(timeout)
        except TimeoutError:
            settled.cancel()
            return False

    def rows(self, limit: int = 1000) -> list[Record]:
        """The newest runs, newest first."""
        return [record(values) for values in self._read(f"{SELECT} ORDER BY time DESC, rowid DESC LIMIT ?", limit)]

    def expected_seconds(
        self, task: str, model: str, megapixels: float, device: str = "cpu", usual: Callable[[float], float] = float
    ) -> float | None:
        """How long a run will take, from the last that were done; None if there are too few of them.

        Args:
            megapixels: of the result, or of what is worked on to fill its holes.
            usual: see `paces.expected`.
        """
        found = self._read(
            "SELECT out_width * out_height / 1e6, seconds, metrics FROM runs WHERE task = ? AND model = ?"
            " AND device = ? AND outcome = 'done' AND out_width * out_height > 0"
            " ORDER BY time DESC, rowid DESC LIMIT ?",
            *(task, model, device, RECENT),
        )
        if len(found) < FEWEST:
            return None
        runs = [(size * share_worked(json.loads(metrics or "{}")), total(seconds)) for size, seconds, metrics in found]
        return expected(runs, megapixels, usual)

    def summary(self) -> list[Summary]:
        """The runs by task, model and size of the result."""
        groups: dict[tuple[str, str, int], list[tuple]] = {}
        for task, model, pixels, *run in self._read(
            "SELECT task, model, out_width * out_height, outcome, seconds, rating FROM runs"
        ):
            groups.setdefault((task, model, size_class(pixels)), []).append(run)
        summaries = []
        for (task, model, size), runs in sorted(groups.items()):
            outcomes = Counter(outcome for outcome, _, _ in runs)
            ratings = Counter(rating for _, _, rating in runs)
            times = percentiles([total(seconds) for outcome, seconds, _ in runs if outcome == "done"])
            counts = (len(runs), outcomes["failed"], outcomes["cancelled"])
            judged = (ratings[rating] for rating in get_args(Rating))
            summaries.append(Summary(task, model, SIZES[size], *counts, *times, *judged))
        return summaries

    def course(self, until: float | None = None) -> list[Moment]:
        """The runs in the course of time, in stretches of equal length, those without a run too.

        Args:
            until: seconds of UTC, now for None.
        """
        rows = self._read("SELECT time, outcome, seconds, metrics FROM runs ORDER BY time")
        if not rows:
            return []
        until = max(time.time() if until is None else until, rows[-1][0])
        span = until - rows[0][0]
        length = next((stretch for stretch in STRETCHES if span <= MOMENTS * stretch), STRETCHES[-1])
        stretches: dict[int, list[tuple]] = {
            place: [] for place in range(int(rows[0][0] // length), int(until // length) + 1)
        }
        for when, *run in rows:
            stretches[int(when // length)].append(run)
        return [_moment(place * length, length, runs) for place, runs in stretches.items()]

    def csv(self) -> str:
        """Every run, newest first, as a table in which no cell is a formula; without the ids, which let one rate."""
        shown = [column for column in COLUMNS if column != "id"]
        table = io.StringIO()
        writer = csv.writer(table, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(shown)
        for values in self._read(f"SELECT {', '.join(shown)} FROM runs ORDER BY time DESC, rowid DESC"):
            writer.writerow([inert(value) for value in values])
        return table.getvalue()

    def close(self, timeout: float = 5.0) -> None:
        """Write what is waiting and end; runs that are added later are lost, as are those in memory."""
        with self._lock:
            if not self._closed:
                self._queue.put(None)
            self._closed = True
        self._writer.join(timeout)

    def _submit(self, work: Callable[[], Result], bounded: bool = True) -> Future[Result]:
        future = Future()
        with self._lock:
            if self._closed or (bounded and self._queue.qsize() >= CAPACITY):
                raise Full
            self._queue.put((work, future))
        return future

    def _write(self) -> None:
        with suppress(Exception):  # the first row tries again
            self._connected()
        while (item := self._queue.get()) is not None:
            work, future = item
            if future.set_running_or_notify_cancel():
                future.set_result(work())
        self._disconnect()

    def _insert(self, values: tuple) -> None:
        try:
            if self._changed(INSERT, values):
                self._copy(values[COLUMNS.index("id")])
        except Exception:  # besides a failing database whatever is no data
            self._miss()

    def _rate(self, id: str, rating: Rating, comment: str) -> bool:
        try:
            changed = self._changed(RATE, (rating, comment, id))
            if changed:
                self._copy(id)
        except Exception:  # as above
            return False
        return changed

    def _settled(self) -> bool:
        with self._lock:
            missed, self._missed = self._missed, False
        return not missed

    def _miss(self) -> None:
        with self._lock:
            self.lost += 1
            self._missed = True

    def _changed(self, statement: str, values: tuple) -> bool:
        """Whether a statement changed a row."""
        for left in reversed(range(ATTEMPTS)):
            try:
                return self._connected().execute(statement, values).rowcount == 1
            except sqlite3.Error as error:
                if not left or code(error) not in LOCKED + DAMAGED:
                    raise
                if code(error) in DAMAGED:
                    self._disconnect()

    def _connected(self) -> sqlite3.Connection:
        if self._connection and self.path and inode(self.path) != self._inode:
            self._disconnect()  # it was removed
        self._connection = self._connection or self._open()
        return self._connection

    def _disconnect(self) -> None:
        if self._connection:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self.path:
            try:
                connection = on_disk(self.path, PATIENCE)
                self._inode = inode(self.path)
                return connection
            except (OSError, sqlite3.Error) as error:
                unwritable = isinstance(error, OSError) or code(error) in UNWRITABLE
                if self._inode is not None or not unwritable:
                    raise
            self.path = None
        return prepared(self._memory, PATIENCE)

    def _read(self, query: str, *values: object) -> list[tuple]:
        address = f"{uri(self.path)}?mode=ro" if self.path else self._memory
        try:
            with closing(sqlite3.connect(address, timeout=PATIENCE, uri=True)) as connection:
                return connection.execute(query, values).fetchall()
        except (sqlite3.Error, ValueError):
            return []

    def _copy(self, id: str) -> None:
        """Append a run to what goes to the Hub, if that was asked for."""
        if self._mirrored not in MIRRORS:
            return
        scheduler = MIRRORS[self._mirrored]
        found = self._connection.execute(f"{SELECT} WHERE id = ?", (id,)).fetchone()
        line = json.dumps(asdict(record(found))) + "\n"
        try:
            with scheduler.lock if scheduler else nullcontext(), (self._mirrored / self._lines).open("a") as file:
                file.write(line)
        except OSError:
            self._lines = new_lines()  # the old may end within a line


def row(record: Record) -> tuple:
    """A record as the database has it.

    Raises:
        TypeError, ValueError: its settings, seconds or metrics are not what JSON has.
    """
    values = asdict(record)
    values["seconds"] = {stage: float(value) for stage, value in record.seconds.items()}
    for column in JSON:
        if values[column] is not None:
            values[column] = json.dumps(values[column], ensure_ascii=False)
    return tuple(
        value.encode("utf-8", "replace").decode() if isinstance(value, str) else value for value in values.values()
    )


def record(values: tuple) -> Record:
    """A record of the database's columns."""
    columns = dict(zip(COLUMNS, values, strict=True))
    return Record(**columns | {name: json.loads(columns[name]) for name in JSON if columns[name] is not None})


def cleaned(comment: str) -> str:
    """A comment in one line of visible characters, cut to `COMMENT`."""
    line = " ".join(comment[: 10 * COMMENT].split())
    return "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))[:COMMENT]


def inert(value: object) -> object:
    """A cell that no spreadsheet runs."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def total(seconds: str) -> float:
    """Of all stages but waiting, from the database's column."""
    return seconds_worked(json.loads(seconds))


def seconds_worked(seconds: Mapping[str, float]) -> float:
    """Of all stages but waiting."""
    return sum(taken for stage, taken in seconds.items() if stage != WAITING)


def _moment(start: float, length: float, runs: list[tuple]) -> Moment:
    """What runs of an outcome, seconds and metrics come to."""
    done = [seconds for outcome, seconds, _ in runs if outcome == "done"]
    held = [json.loads(metrics).get("megabytes") for _, _, metrics in runs if metrics]
    p50, p90, _ = percentiles([total(seconds) for seconds in done])
    return Moment(
        start,
        start + length,
        len(runs),
        sum(outcome == "failed" for outcome, _, _ in runs),
        median(json.loads(seconds).get(WAITING, 0.0) for seconds in done) if done else None,
        p50,
        p90,
        max((each for each in held if each is not None), default=None),
    )


def size_class(pixels: int) -> int:
    """Index into `SIZES`."""
    return (pixels >= 1e6) + (pixels >= 4e6) + (pixels > 16e6)
