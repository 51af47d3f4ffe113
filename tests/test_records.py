"""What is kept of the runs: nothing acknowledged is lost, and no failing disk, lock or Hub is in anyone's way."""

import csv
import io
import json
import random
import re
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import tests.hub
from restoration import records
from restoration.mirror import MIRRORS, mirror
from restoration.records import COLUMNS, Record, Records
from tests.hub import Handler, Hub

HOSTILE = [
    "'; DROP TABLE runs; --",
    '"quoted", and more',
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "before\0after",
    "two\nlines",
    "x" * 10_000,
]


def run(**changes) -> Record:
    given = {"task": "denoise", "model": "drunet", "outcome": "done", "device": "cpu"}
    size = {"width": 1000, "height": 1000, "out_width": 1000, "out_height": 1000}
    return Record(**{**given, **size, "settings": {"sigma": 25}, "seconds": {"restoring": 1.0}, **changes})


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "data" / "records.db"


@pytest.fixture
def opened():
    """Makes records that are closed in the end."""
    made = []

    def make(path: Path | None = None) -> Records:
        made.append(Records(path))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(params=["file", "memory"])
def kept(request, opened, path) -> Records:
    return opened(path if request.param == "file" else None)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(records, "PATIENCE", 0.1)


@contextmanager
def disk(folder: Path, options: str):
    """A small disk, mounted as long as needed."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def locked(path: Path):
    """The database, held by another program."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def stored(path: Path, query: str = "SELECT id FROM runs") -> list:
    with closing(sqlite3.connect(path)) as connection:
        return [value for (value,) in connection.execute(query)]


def test_a_run_comes_back_as_it_was_newest_first(kept):
    full = run(
        outcome="failed",
        reason="It was too large.",
        weights="ab" * 32,
        metrics={"psnr": 31.5, "ssim": None},
        time=1.0,
        rating="same",
        comment="é 日本 🙂",
    )
    later = [run(time=float(index)) for index in (2, 3, 4)]
    for each in (full, *later):
        kept.add(each)
    assert kept.flush()
    assert kept.rows() == [*reversed(later), full]
    assert kept.rows(2) == [later[2], later[1]]
    assert kept.lost == 0


def test_runs_outlive_the_program(opened, path):
    first, second = run(time=1.0), run(time=2.0)
    earlier = opened(path)
    earlier.add(first)
    earlier.close()
    assert earlier.rows() == [first]
    again = opened(path)
    assert again.rows() == [first]
    again.add(second)
    assert again.flush()
    assert again.rows() == [second, first]
    assert stored(path, "PRAGMA user_version") == [1]
    assert stored(path, "PRAGMA journal_mode") == ["wal"]


def test_the_writer_waits_for_the_disk_at_each_commit(opened, path):
    kept = opened(path)
    kept.flush()
    assert kept._submit(lambda: kept._connection.execute("PRAGMA synchronous").fetchone()).result(5) == (2,)


def test_ids_are_secret_and_count_once(kept):
    assert all(re.fullmatch("[0-9a-f]{32}", run().id) for _ in range(10))
    assert len({run().id for _ in range(1000)}) == 1000
    once = run()
    kept.add(once)
    kept.add(replace(once, model="other"))
    assert kept.flush()
    assert kept.rows() == [once]
    assert kept.lost == 0


def test_a_run_is_rated_once(kept):
    rated, other = run(time=2.0), run(time=1.0)
    kept.add(rated)
    kept.add(other)
    assert kept.rate(rated.id, "better", "Sharper.\0\x1b[31m\u202e\nThank you" + "!" * 300)
    assert not kept.rate(rated.id, "worse", "no")
    assert not kept.rate("0" * 32, "same")
    assert not kept.rate("' OR 1=1 --", "same")
    assert not kept.rate("\ud800", "same")
    first, second = kept.rows()
    assert (first.rating, second) == ("better", other)
    assert first.comment.startswith("Sharper.[31m Thank you!!!")
    assert len(first.comment) == 200
    with pytest.raises(ValueError, match=r"^[^.]+\.$"):
        kept.rate(other.id, "best")
    assert kept.rate(other.id, "same")
    assert kept.rows()[1] == replace(other, rating="same")


def test_of_many_raters_one_counts(kept):
    rated = run()
    kept.add(rated)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(kept.rate(rated.id, "same"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 7 + [True]


def test_hostile_text_is_data_and_inert_in_the_table(kept):
    runs = [
        run(model=text, task=text, reason=text, comment=text, settings={text: text}, time=float(index))
        for index, text in enumerate(HOSTILE)
    ]
    for each in runs:
        kept.add(each)
    assert kept.flush()
    assert kept.rows() == runs[::-1]
    assert {summary.model for summary in kept.summary()} == set(HOSTILE)
    header, *table = csv.reader(io.StringIO(kept.csv(), newline=""))
    assert header == [column for column in COLUMNS if column != "id"]
    assert len(table) == len(HOSTILE)
    for cells, original in zip(table, runs[::-1], strict=True):
        assert cells[header.index("model")] in (original.model, f"'{original.model}")
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in cells)
        assert original.id not in cells
    kept.add(run(model="=1", width=-5, time=-1.5))
    assert kept.flush()
    last = kept.csv().splitlines()[-1]
    assert '"\'=1"' in last
    assert ",-5," in last
    assert ",-1.5," in last


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": {"a": object()}},
        {"seconds": {"reading": "soon"}},
        {"seconds": None},
        {"width": 1 << 70},
        {"time": float("nan")},
        {"task": None},
        {"model": object()},
    ],
)
def test_what_is_no_data_is_counted_and_stops_nothing(kept, changes):
    good = run()
    kept.add(run(**changes))
    kept.add(good)
    assert not kept.flush()
    assert kept.lost == 1
    assert kept.rows() == [good]
    assert kept.flush()


def test_text_that_is_no_unicode_is_kept_as_far_as_it_is(kept):
    kept.add(run(reason="\ud800 broken", settings={"a": "\udfff"}))
    assert kept.flush()
    (row,) = kept.rows()
    assert (row.reason, row.settings) == ("? broken", {"a": "?"})
    kept.csv().encode()


def test_nothing_delays_a_run_when_the_queue_is_full(opened, path, monkeypatch, impatient):
    kept = opened(path)
    kept.add(run())
    assert kept.flush()
    monkeypatch.setattr(records, "CAPACITY", 5)
    with locked(path):
        for _ in range(200):
            kept.add(run())
        assert kept.lost > 150  # not one was waited for
        assert not kept.rate(run().id, "same")
    assert not kept.flush()
    assert kept.lost + len(kept.rows()) == 201


def test_a_lock_of_another_program_is_waited_for_then_counted(opened, path, monkeypatch):
    kept = opened(path)
    before, meanwhile, late, after = (run(time=float(index)) for index in range(4))
    kept.add(before)
    assert kept.flush()
    with locked(path):
        kept.add(meanwhile)
        assert not kept.flush(1.5)
        assert kept.rows() == [before]
    assert kept.flush()
    assert kept.rows() == [meanwhile, before]
    assert kept.lost == 0
    monkeypatch.setattr(records, "PATIENCE", 0.1)
    with locked(path):
        kept._submit(kept._disconnect)
        kept.add(late)
        assert not kept.flush(0.01)
        assert not kept.flush()
        assert kept.lost == 1
        assert not kept.rate(before.id, "better")
    kept.add(after)
    assert kept.flush()
    assert kept.rows() == [after, meanwhile, before]
    assert kept.rate(before.id, "better")


def test_a_rating_that_was_refused_for_a_lock_does_not_come_later(opened, path, monkeypatch):
    kept = opened(path)
    rated = run()
    kept.add(rated)
    assert kept.flush()
    monkeypatch.setattr(records, "ANSWER", 0.1)
    released = threading.Event()
    monkeypatch.setattr(kept, "_changed", lambda *_: released.wait(60) and None)
    kept.add(run())
    assert not kept.rate(rated.id, "better")
    monkeypatch.undo()
    released.set()
    kept.flush()
    assert stored(path, f"SELECT rating FROM runs WHERE id = '{rated.id}'") == [None]


def damaged(path: Path, kind: str) -> None:
    noise = random.Random(0).randbytes(4096)
    if kind == "noise":
        path.write_bytes(noise * 4)
    elif kind == "text":
        path.write_text("This is no database. " * 300)
    elif kind == "newer":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
    else:
        content = path.read_bytes()
        start, end = {"page": (100, 4096), "later page": (4096, 8192), "cut": (len(content) // 2, len(content))}[kind]
        filling = b"" if kind == "cut" else noise[: end - start]
        path.write_bytes(content[:start] + filling + content[end:])


@pytest.mark.parametrize("kind", ["noise", "text", "newer", "page", "later page", "cut"])
def test_a_file_that_is_damaged_at_the_start_is_moved_aside(opened, path, kind):
    for number in (1, 2):
        earlier = opened(path)
        for _ in range(4):
            earlier.add(run(reason="x" * 1000))
        assert earlier.flush()
        earlier.close()
        damaged(path, kind)
        path.with_name("records.db-wal").write_bytes(b"a log that belongs to the damaged file")
        content = path.read_bytes()
        kept = opened(path)
        fresh = run()
        kept.add(fresh)
        assert kept.flush()
        assert kept.rows() == [fresh]
        assert kept.lost == 0
        assert path.with_name(f"records.db.corrupt-{number}").read_bytes() == content
        kept.close()


def test_a_file_that_is_damaged_later_is_moved_aside_with_its_log(opened, path):
    kept = opened(path)
    kept.add(run())
    assert kept.flush()
    with closing(sqlite3.connect(path)) as other:  # keeps the log there
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.write(b"\xff" * path.stat().st_size)
        kept._submit(kept._disconnect)
        assert kept.flush()
        assert kept.rows() == []
        assert kept.summary() == []
        assert kept.expected_seconds("denoise", "drunet", 1) is None
        assert len(kept.csv().splitlines()) == 1
        fresh = run()
        kept.add(fresh)
        assert kept.flush()
        assert kept.rows() == [fresh]
        for part in ("", "-wal", "-shm"):
            assert path.with_name(f"records.db.corrupt-1{part}").exists()


def test_a_removed_file_or_folder_is_made_again(opened, path):
    kept = opened(path)
    kept.add(run())
    assert kept.flush()
    for part in path.parent.iterdir():
        part.unlink()
    path.parent.rmdir()
    assert kept.rows() == []
    fresh = run()
    kept.add(fresh)
    assert kept.flush()
    assert kept.rows() == [fresh]
    path.unlink()
    kept.add(fresh)
    assert kept.flush()
    assert stored(path) == [fresh.id]


@pytest.mark.parametrize("kind", ["a file", "a folder", "proc"])
def test_a_path_that_cannot_be_leaves_the_runs_in_memory(opened, tmp_path, kind):
    (tmp_path / "file").write_text("")
    path = {"a file": tmp_path / "file" / "records.db", "a folder": tmp_path, "proc": Path("/proc/none/records.db")}
    kept = opened(path[kind])
    fresh = run()
    kept.add(fresh)
    assert kept.flush()
    assert kept.path is None
    assert kept.rows() == [fresh]
    assert kept.rate(fresh.id, "same")
    assert not opened(path[kind]).rows()


@pytest.mark.slow
@pytest.mark.parametrize("there", ["nothing", "database", "damaged"])
def test_a_disk_that_cannot_be_written_leaves_the_runs_in_memory(opened, tmp_path, there):
    path = tmp_path / "disk" / "records.db"
    with disk(path.parent, "size=4m"):
        if there == "database":
            earlier = opened(path)
            earlier.add(run())
            earlier.close()
        elif there == "damaged":
            path.write_text("This is no database.")
        subprocess.run(["mount", "-o", "remount,ro", str(path.parent)], check=True)
        kept = opened(path)
        fresh = run()
        kept.add(fresh)
        assert kept.flush()
        assert kept.rows() == [fresh]
        assert kept.lost == 0
        kept.close()


@pytest.mark.slow
def test_a_disk_that_can_no_longer_be_written_keeps_what_is_there(opened, tmp_path):
    path = tmp_path / "disk" / "records.db"
    with disk(path.parent, "size=4m"):
        kept = opened(path)
        first, second = run(time=1.0), run(time=2.0)
        kept.add(first)
        kept._submit(kept._disconnect)  # else the disk is busy
        assert kept.flush()
        subprocess.run(["mount", "-o", "remount,ro", str(path.parent)], check=True)
        kept.add(run())
        assert not kept.flush()
        assert kept.lost == 1
        assert not kept.rate(first.id, "better")
        subprocess.run(["mount", "-o", "remount,rw", str(path.parent)], check=True)
        kept.add(second)
        assert kept.flush()
        assert kept.rows() == [second, first]
        kept.close()


@pytest.mark.parametrize("full_from", ["start", "later"])
def test_a_full_disk_is_counted_and_keeps_what_is_there(opened, tmp_path, full_from):
    path = tmp_path / "disk" / "records.db"
    with disk(path.parent, "size=1m"):
        filling = path.parent / "filling"
        if full_from == "start":
            fill(filling)
        kept = opened(path)
        before = [run() for _ in range(3)]
        if full_from == "later":
            for each in before:
                kept.add(each)
            assert kept.flush()
            fill(filling)
        large = [run(reason="x" * 100_000) for _ in range(3)]
        for each in large:
            kept.add(each)
        assert not kept.flush()
        assert kept.lost == 3
        if full_from == "later":
            assert {each.id for each in kept.rows()} == {each.id for each in before}
        filling.unlink()
        fresh = run()
        kept.add(fresh)
        assert kept.flush()
        assert fresh in kept.rows()
        assert kept.lost == 3
        kept.close()
        assert stored(path, "PRAGMA integrity_check") == ["ok"]


def fill(file: Path) -> None:
    with suppress(OSError), file.open("wb", buffering=0) as output:
        while output.write(bytes(4096)):
            pass


def test_closed_records_take_nothing_and_say_so(kept):
    waiting = run()
    kept.add(waiting)
    kept.close()
    kept.close()
    kept.add(run())
    assert kept.lost == 1
    assert not kept.flush()
    assert not kept.rate(waiting.id, "same")
    assert kept.rows() == ([waiting] if kept.path else [])


WRITER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("records", "restoration/records.py")
records = sys.modules["records"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(records)
print("ready", flush=True)
sys.stdin.readline()
kept = records.Records(sys.argv[1])
while True:
    runs = [records.Record("denoise", "m", "done", 1, 1, 1, 1, {}, {"restoring": 1.0}) for _ in range(3)]
    for run in runs + runs[:1]:
        kept.add(run)
    rated = kept.rate(runs[0].id, "better")
    if kept.flush():
        print(*(run.id for run in runs), "rated" if rated else "not", "end", flush=True)
"""


@pytest.mark.load
def test_killed_writers_lose_nothing_that_was_acknowledged(path):
    root = Path(__file__).parent.parent
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    acknowledged, ratings = [], []
    for number, writer in enumerate(writers):
        with writer:
            assert writer.stdout.readline() == "ready\n"
            writer.stdin.write("\n")
            writer.stdin.flush()
            first = writer.stdout.readline()
            time.sleep(0.05 * number + 0.013)
            writer.kill()
            for line in (first, *writer.stdout):
                if line.endswith("end\n"):
                    *ids, rated, _ = line.split()
                    acknowledged += ids
                    ratings += ids[:1] if rated == "rated" else []
        kept = stored(path)
        assert len(kept) == len(set(kept))
        assert set(acknowledged) <= set(kept)
        assert set(ratings) <= set(stored(path, "SELECT id FROM runs WHERE rating = 'better'"))
        assert stored(path, "PRAGMA integrity_check") == ["ok"]
    assert len(acknowledged) > 3 * len(writers)
    assert ratings


def test_the_course_of_time_is_in_equal_stretches_with_waiting_and_memory_apart(kept):
    start = 1_000_000 * 60.0
    for minute, waited, megabytes in ((0, 1.0, 900), (0, 3.0, 1400), (2, 0.0, None)):
        metrics = {"megabytes": megabytes} if megabytes else None
        seconds = {"waiting": waited, "reading": 1.0, "restoring": 4.0}
        kept.add(run(time=start + 60 * minute + 1, seconds=seconds, metrics=metrics))
    kept.add(run(time=start + 2, outcome="failed", seconds={"waiting": 100.0}))
    assert kept.flush()
    first, empty, last, *more = kept.course(until=start + 179)
    assert not more
    assert [moment.start for moment in (first, empty, last)] == [start, start + 60, start + 120]
    assert (first.runs, first.failed, first.waiting, first.p50, first.p90, first.megabytes) == (
        3,
        1,
        2.0,
        5.0,
        5.0,
        1400,
    )
    assert (empty.runs, empty.failed, empty.waiting, empty.p50, empty.megabytes) == (0, 0, None, None, None)
    assert (last.runs, last.waiting, last.megabytes) == (1, 0.0, None)
    assert len(kept.course(until=start + 400 * 86400)) <= records.MOMENTS


def test_the_summary_counts_by_method_and_size(kept):
    times = [0.1 * index for index in range(1, 101)]
    random.Random(0).shuffle(times)
    for index, seconds in enumerate(times):
        rating = ["better", "better", "same", "worse", None][index % 5]
        kept.add(run(seconds={"reading": seconds / 4, "restoring": seconds * 3 / 4}, rating=rating))
    kept.add(run(outcome="failed", seconds={"reading": 1000.0}))
    kept.add(run(outcome="cancelled", seconds={"reading": 1000.0}))
    for side in (999, 1999, 2000, 4000, 4001):
        kept.add(run(model="other", out_width=side, out_height=side, seconds={"restoring": 2.5}))
    kept.add(run(task="upscale", outcome="failed", out_width=0, out_height=0))
    assert kept.flush()
    first, *others, last = kept.summary()
    assert (first.task, first.model, first.size) == ("denoise", "drunet", "1 to 4 MP")
    assert (first.runs, first.failed, first.cancelled) == (102, 1, 1)
    assert (first.p50, first.p90, first.p99) == pytest.approx((5.05, 9.01, 9.901))
    assert first.p90 == pytest.approx(statistics.quantiles(times, n=10, method="inclusive")[8])
    assert (first.better, first.same, first.worse) == (40, 20, 20)
    assert [(each.size, each.runs) for each in others] == [
        ("under 1 MP", 1),
        ("1 to 4 MP", 1),
        ("4 to 16 MP", 2),
        ("over 16 MP", 1),
    ]
    assert (others[0].p50, others[0].p90, others[0].p99) == (2.5, 2.5, 2.5)
    assert (last.task, last.runs, last.failed, last.p50, last.p99) == ("upscale", 1, 1, None, None)


def test_the_expected_time_is_the_median_pace_of_the_last_runs(kept):
    def took(seconds: float, **changes) -> None:
        kept.add(run(seconds={"reading": 0.25, "restoring": seconds - 0.25}, **changes))
        assert kept.flush()

    took(2.0, time=1.0)
    took(9.0, time=2.0)
    took(100.0, outcome="failed")
    took(100.0, outcome="cancelled")
    took(100.0, model="other")
    took(100.0, task="upscale")
    took(100.0, device="cuda")
    took(100.0, out_width=0)
    assert kept.expected_seconds("denoise", "drunet", 4) is None
    took(3.0, time=3.0)
    assert kept.expected_seconds("denoise", "drunet", 4) == pytest.approx(12)
    assert kept.expected_seconds("denoise", "drunet", 4, "cuda") is None
    for index in range(110):
        kept.add(run(seconds={"restoring": 1.0 if index < 60 else 5.0}, time=10.0 + index))
    assert kept.flush()
    assert kept.expected_seconds("denoise", "drunet", 2) == pytest.approx(10)


def test_the_expected_time_has_an_overhead_and_no_outlier_moves_it(kept):
    for side in (200, 300, 500, 700, 1000, 1400, 2000, 3000):
        kept.add(run(out_width=side, out_height=side, seconds={"restoring": 2 + 3 * side**2 / 1e6}))
    kept.add(run(seconds={"restoring": 500.0}))
    assert kept.flush()
    assert kept.expected_seconds("denoise", "drunet", 0.04) == pytest.approx(2.12, rel=0.05)
    assert kept.expected_seconds("denoise", "drunet", 12) == pytest.approx(38, rel=0.05)


def test_the_expected_time_of_a_fill_is_that_of_what_is_worked_on(kept):
    for share in (0.01, 0.02, 0.05, 0.1, 0.2):
        kept.add(
            run(out_width=1000, out_height=1000, seconds={"restoring": 40 * share}, metrics={"worked_share": share})
        )
    assert kept.flush()
    assert kept.expected_seconds("denoise", "drunet", 0.15) == pytest.approx(6)


def test_runs_of_one_size_grow_as_they_do_elsewhere(kept):
    for _ in range(3):
        kept.add(run(out_width=200, out_height=200, seconds={"restoring": 0.5}))
    assert kept.flush()
    told = kept.expected_seconds("denoise", "drunet", 1, usual=lambda size: 0.05 + 1.25 * size)
    assert told == pytest.approx(5 * (0.05 + 1.25))
    assert kept.expected_seconds("denoise", "drunet", 1) == pytest.approx(25 * 0.5)


def test_runs_that_are_far_smaller_tell_the_pace_alone(kept):
    """A fill that first solves a problem of one size, whatever the picture's, grows fast where it is smaller."""

    def elsewhere(size):
        return min(2.0, 20 * size) + size

    for side in (100, 150, 200, 300):
        seconds = 3 * elsewhere(side**2 / 1e6)
        kept.add(run(out_width=side, out_height=side, seconds={"restoring": seconds}))
    assert kept.flush()
    assert kept.expected_seconds("denoise", "drunet", 4, usual=elsewhere) == pytest.approx(3 * 6)


def test_the_overhead_is_never_negative(kept):
    for side in (1000, 2000, 3000):
        kept.add(run(out_width=side, out_height=side, seconds={"restoring": side**3 / 1e9}))
    assert kept.flush()
    assert kept.expected_seconds("denoise", "drunet", 0.01) == pytest.approx(0.02)


# The copy on the Hub --------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub with datasets; `private` says whether they are, `bodies` what was sent."""

    class DatasetHandler(Handler):
        def reply(self, content, status=200, **headers):
            if isinstance(content, dict) and "private" in content:
                content["private"] = running.private
            running.bodies.append(self.body)
            super().reply(content, status, **headers)

    for verb in ("GET", "HEAD", "POST"):
        setattr(DatasetHandler, f"do_{verb}", Handler.answer)
    monkeypatch.setattr(tests.hub, "Handler", DatasetHandler)
    routes = [(pattern.replace("model|space", "dataset"), method) for pattern, method in tests.hub.ROUTES]
    monkeypatch.setattr(tests.hub, "ROUTES", routes)
    running = Hub()
    running.private, running.bodies = True, []
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.url)
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", running.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    MIRRORS.clear()
    yield running
    for scheduler in MIRRORS.values():
        if scheduler:
            scheduler.stop()
    MIRRORS.clear()
    running.close()


def copied(hub: Hub) -> list[Record]:
    """What the Hub has, newest first: the last line of every id."""
    files = [content for name, content in hub.files("me/runs").items() if re.fullmatch(r"records-\w+\.jsonl", name)]
    runs = [Record(**json.loads(line)) for content in files for line in content.splitlines()]
    return sorted({each.id: each for each in runs}.values(), key=lambda each: -each.time)


def test_the_copy_on_the_hub_is_every_run_and_rating(hub, opened, path):
    kept = opened(path)
    kept.add(run(time=0.0))
    assert kept.flush()
    scheduler = mirror(path, "me/runs", "hf_secret")
    assert scheduler.every == 5
    assert scheduler is mirror(path.parent, "me/runs", "hf_secret")
    runs = [run(time=1.0 + index, model=text, metrics={"psnr": 30.5}) for index, text in enumerate(HOSTILE)]
    for each in runs:
        kept.add(each)
    kept.add(runs[0])
    assert kept.rate(runs[3].id, "worse", "blurred")
    assert kept.flush()
    scheduler.trigger().result()
    assert copied(hub) == kept.rows()[:-1]
    private = [body for body in hub.bodies if b'"visibility":"private"' in body.replace(b": ", b":")]
    assert len(private) == hub.log.count("POST /api/repos/create") > 0
    restored = opened()
    for each in copied(hub):
        restored.add(each)
    assert restored.flush()
    assert restored.rows() == kept.rows()[:-1]


def test_no_line_is_written_while_the_folder_is_listed(hub, opened, path):
    kept = opened(path)
    scheduler = mirror(path, "me/runs", "hf_secret")
    with scheduler.lock:
        kept.add(run())
        assert not kept.flush(0.5)
        assert not list((path.parent / "mirror").iterdir())
    assert kept.flush()
    assert len(list((path.parent / "mirror").iterdir())) == 1


def test_without_a_token_nothing_is_asked_or_written(hub, opened, path):
    kept = opened(path)
    assert mirror(path, "me/runs", "") is None
    assert mirror(path, "", "hf_secret") is None
    kept.add(run())
    assert kept.flush()
    assert hub.log == []
    assert not (path.parent / "mirror").exists()


def test_a_public_dataset_gets_nothing(hub, opened, path):
    hub.private = False
    assert mirror(path, "me/runs", "hf_secret") is None
    assert not any("/commit/" in line for line in hub.log)


@pytest.mark.parametrize("fault", [401, 403])
def test_a_hub_that_fails_at_first_gets_everything_later(hub, opened, path, fault):
    hub.fault = fault
    kept = opened(path)
    assert mirror(path, "me/runs", "hf_secret") is None
    kept.add(run())
    assert kept.flush()
    hub.fault = None
    scheduler = mirror(path, "me/runs", "hf_secret")
    scheduler.trigger().result()
    assert copied(hub) == kept.rows()


def test_a_hub_that_fails_later_is_a_line_in_the_log_without_the_token(hub, opened, path, caplog):
    kept = opened(path)
    scheduler = mirror(path, "me/runs", "hf_secret")
    hub.fault = 403
    kept.add(run())
    assert kept.flush()
    assert scheduler.trigger().result() is None
    assert "were not copied" in caplog.text
    assert "hf_secret" not in caplog.text
    assert "Traceback" not in caplog.text
    hub.fault = None
    scheduler.trigger().result()
    assert copied(hub) == kept.rows()


def test_lines_that_cannot_be_written_leave_the_record(hub, opened, path):
    kept = opened(path)
    assert mirror(path, "me/runs", "hf_secret")
    (path.parent / "mirror").rmdir()
    fresh = run()
    kept.add(fresh)
    assert kept.flush()
    assert kept.rows() == [fresh]
    assert kept.lost == 0


def test_nothing_tells_whose_run_it_was():
    assert set(asdict(run())) == set(COLUMNS)
    assert not {"name", "file", "image", "address", "session", "host"} & set(COLUMNS)
