"""Thousands of files: several processes, a cluster, a run that goes on; the files and the table of one process."""

import csv
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import restoration
from restoration import batch as batches
from restoration import memory
from restoration.__main__ import main
from restoration.batch import Batch, restore_all
from restoration.cluster import TRIES, Tasks
from restoration.files import write
from restoration.inventory import Inventory
from restoration.many import restored_by
from restoration.orders import Order
from restoration.remote import system_of
from restoration.report import Report, Row
from restoration.workers import AHEAD, in_order, units, workers_for
from train import throughput

ROOT = Path(restoration.__file__).parent.parent
NAMES = (
    "a.jpg",
    "a.png",
    "A.tif",
    "a.x.png",
    "b.png",
    "sub/a.png",
    "sub/a.tif",
    "sub.x/c.png",
    *(f"n{i}.png" for i in range(8)),
)


@pytest.fixture
def tree(tmp_path, photo) -> Path:
    """Different pictures, of which some want the same name, and a damaged file."""
    for index, name in enumerate(NAMES):
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write(replace(photo, samples=np.roll(photo.samples, 3 * index, 1)), file)
    (tmp_path / "in" / "m.png").write_bytes(b"no picture")
    (tmp_path / "in" / "notes.txt").write_text("hello")
    return tmp_path / "in"


def batch_of(tree: Path, out: str = "out", model: str = "mean", **more) -> Batch:
    folder = tree.parent / out
    return Batch(
        order=Order("denoise", model), files=Inventory([tree], folder), folder=folder, skip_results=True, **more
    )


def results(folder: Path) -> dict[str, bytes]:
    """The pictures in a folder; receipts tell no time, so they too."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "report.csv")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def table(folder: Path) -> list[tuple[str, ...]]:
    """The rows of the table, without how long things took."""
    with (folder / "report.csv").open(encoding="utf-8", newline="") as file:
        return [
            tuple(row[name] for name in ("file", "outcome", "result", "width", "measured"))
            for row in csv.DictReader(file)
        ]


def until(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


# What there is, in order --------------------------------------------------------------------------------------------


def test_files_come_in_the_order_of_their_paths(tree):
    found = [item.file for item in Inventory([tree], tree.parent / "out")]
    assert found == sorted(tree / name for name in (*NAMES, "m.png"))
    assert [item.index for item in Inventory([tree], tree.parent / "out")] == list(range(len(found)))


def test_a_survey_counts_and_finds_the_largest_by_headers(tree, photo):
    write(replace(photo, samples=np.zeros((400, 500, 3), np.uint8)), tree / "large.png")
    survey = Inventory([tree], tree.parent / "out").survey
    assert (survey.total, survey.left_out, survey.megapixels) == (len(NAMES) + 2, 1, 0.2)


@pytest.mark.parametrize("second", ["one", "ONE", "two"])
def test_trees_that_are_called_alike_get_folders_of_their_own(tmp_path, photo, second):
    trees = [tmp_path / "x" / "one", tmp_path / "y" / second]
    for index, folder in enumerate(trees):
        folder.mkdir(parents=True)
        write(replace(photo, samples=np.roll(photo.samples, index, 0)), folder / "a.png")
    places = {str(item.place) for item in Inventory(trees, tmp_path / "out")}
    assert places == {"one/a.png", {"one": "one-2/a.png"}.get(second, f"{second}/a.png")}


def test_what_wants_the_same_name_is_one_unit_where_its_first_file_is(tree):
    found = list(units(batch_of(tree)))
    assert sorted(item.index for unit in found for item in unit) == list(range(len(NAMES) + 1))
    assert [unit[0].index for unit in found] == sorted(unit[0].index for unit in found)
    together = {tuple(sorted(str(item.place) for item in unit)) for unit in found if len(unit) > 1}
    assert together == {("A.tif", "a.jpg", "a.png"), ("sub/a.png", "sub/a.tif")}


# Workers ------------------------------------------------------------------------------------------------------------


class Shuffled:
    """A pool whose units end in any order."""

    def __init__(self, size: int, seed: int):
        self.size, self.random, self.units, self.most = size, random.Random(seed), {}, 0

    def submit(self, unit):
        self.units[unit[0].index] = unit
        self.most = max(self.most, len(self.units))
        return unit[0].index

    def finished(self):
        token = self.random.choice(list(self.units))
        return [(token, [Row(str(item.place), 0.0, "done") for item in self.units.pop(token)])]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [1, 2, 7])
def test_rows_come_in_order_whoever_is_ready_first_and_no_more_is_begun_than_may_be(tree, size, seed):
    pool = Shuffled(size, seed)
    steps = list(in_order(batch_of(tree), pool))
    assert [step.row.file for step in steps] == [str(item.place) for item in Inventory([tree], tree.parent)]
    assert [step.done for step in steps] == list(range(1, len(NAMES) + 2))
    assert pool.most <= 2 * size


def test_one_slow_file_does_not_let_the_others_run_away(tmp_path):
    (tmp_path / "in").mkdir()
    for index in range(300):
        (tmp_path / "in" / f"{index:03}.png").touch()

    class SlowFirst(Shuffled):
        def finished(self):
            assert 0 not in self.units or max(self.units) < AHEAD * self.size
            token = max(self.units)
            return [(token, [Row("x", 0.0) for _ in self.units.pop(token)])]

    assert len(list(in_order(batch_of(tmp_path / "in"), SlowFirst(2, 0)))) == 300


@pytest.mark.parametrize("free, wanted, expected", [
    (1e12, 3, 3), (1e12, None, "processors"), (None, 5, 5), (1.6e9, None, 2), (1.6e9, 1, 1), (1.6e9, 4, "refused"),
])  # fmt: skip
def test_there_are_as_many_workers_as_memory_holds_the_largest_picture_for(tree, monkeypatch, free, wanted, expected):
    monkeypatch.setattr(memory, "_free", lambda: free)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4), raising=False)
    if expected == "refused":
        with pytest.raises(ValueError, match=r"4 workers .* 2 would fit"):
            workers_for(batch_of(tree), wanted)
    else:
        assert workers_for(batch_of(tree), wanted) == (4 if expected == "processors" else expected)


@pytest.mark.slow
@pytest.mark.parametrize("overwrite", [False, pytest.param(True, marks=pytest.mark.load)])
def test_processes_give_what_one_process_gives(tree, overwrite):
    more = {"overwrite": overwrite, "model": "drunet-fast"}
    (tree.parent / "two").mkdir()
    for out, workers in (("one", 1), ("two", 2)):
        (tree.parent / out).mkdir(exist_ok=True)
        (tree.parent / out / "b_denoised.png").write_bytes(b"mine")
        batch = batch_of(tree, out, **more)
        list(restored_by(batch, workers))
    assert results(tree.parent / "two") == results(tree.parent / "one")
    assert table(tree.parent / "two") == table(tree.parent / "one")
    assert (results(tree.parent / "one")["b_denoised.png"] == b"mine") == (not overwrite)


def started(tree: Path, out: str, *options: str) -> subprocess.Popen:
    argv = [sys.executable, "-m", "restoration", "denoise", str(tree), "-o", str(tree.parent / out), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    ours = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # where the tests themselves run in the background
    return subprocess.Popen(argv, env=environment, preexec_fn=ours, **pipes)


def children(process: subprocess.Popen) -> list[int]:
    """The processes of its pool."""
    found = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


SLOW_MODEL = ("--model", "non-local-means", "--workers", "2")


@pytest.fixture
def slow_tree(tree, photo) -> Path:
    """Pictures that take a while."""
    large = np.tile(photo.samples, (3, 3, 1))
    for name in (*NAMES[-8:], "b.png"):
        write(replace(photo, samples=np.roll(large, hash(name) % 90, 0)), tree / name)
    return tree


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="/proc tells the processes")
def test_a_killed_process_loses_nothing(slow_tree):
    out = slow_tree.parent / "out"
    process = started(slow_tree, "out", *SLOW_MODEL)
    until(lambda: (out / "report.csv").exists())
    os.kill(children(process)[0], signal.SIGKILL)
    process.communicate(timeout=300)
    list(restore_all(batch_of(slow_tree, "one", "non-local-means")))
    assert results(out) == results(slow_tree.parent / "one")
    assert [row[0] for row in table(out)] == [row[0] for row in table(slow_tree.parent / "one")]


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.load)])
def test_an_interrupt_ends_all_without_a_traceback_and_the_next_run_goes_on(slow_tree, workers):
    out, options = slow_tree.parent / "out", ("--model", "non-local-means", "--workers", workers)
    process = started(slow_tree, "out", *options)
    until(lambda: (out / "report.csv").exists())
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in errors
    assert not [path for path in out.rglob("*") if path.name.endswith(".part")]
    going_on = ["denoise", str(slow_tree), "-o", str(out), "--model", "non-local-means", "--resume"]
    assert main(going_on) == 1  # of the damaged file
    list(restore_all(batch_of(slow_tree, "one", "non-local-means")))
    assert results(out) == results(slow_tree.parent / "one")
    told = [row[0] for row in table(out) if row[1] != "failed"]
    assert sorted(told) == sorted(NAMES)


@pytest.mark.slow
def test_the_benchmarks_measure_each_way_and_each_number_of_files(capsys):
    throughput.main(["--model", "mean", "--pictures", "2", "--megapixels", "0.01", "--repeats", "1"])
    throughput.main(["--files", "200", "--rows", "3"])
    tables = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row[0] for row in tables] == [
        "way", "1 process, 1 thread", "1 process, 2 threads", "2 processes", "files", "2", "20", "200",
    ]  # fmt: skip
    assert all(float(figure) >= 0 for row in (*tables[1:4], *tables[5:]) for figure in row[1:])


# Going on -----------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_where_it_ended_and_looks_at_no_picture_twice(tree, monkeypatch):
    work = restore_all(batch_of(tree))
    for step in work:
        if step.row and step.done == 5:
            work.close()
    before = results(tree.parent / "out")
    looked_at = []
    monkeypatch.setattr(batches, "read", lambda file, **more: looked_at.append(file) or restoration.read(file, **more))
    list(restore_all(batch_of(tree, resume=True)))
    files = [item.file for item in Inventory([tree], tree.parent)]
    assert looked_at == files[5:]
    list(restore_all(batch_of(tree, "one")))
    assert results(tree.parent / "out") == results(tree.parent / "one")
    assert table(tree.parent / "out") == table(tree.parent / "one")
    assert before.items() <= results(tree.parent / "out").items()


@pytest.mark.slow
@pytest.mark.parametrize("change", ["picture", "settings", "receipt", "result", "nothing"])
def test_what_has_changed_since_is_done_again(tree, photo, change):
    list(restore_all(batch_of(tree)))
    out = tree.parent / "out"
    first = results(out)
    if change == "picture":
        write(replace(photo, samples=255 - photo.samples), tree / "b.png")
    elif change == "receipt":
        (out / "b_denoised.png.receipt.json").unlink()
    elif change == "result":
        (out / "b_denoised.png").unlink()
        (out / "b_denoised.png.receipt.json").unlink()
    model = "median" if change == "settings" else "mean"
    steps = list(restore_all(batch_of(tree, "out", model, resume=True)))
    again = [step.row.file for step in steps if step.row and step.row.outcome == "done"]
    assert sorted(again) == {"nothing": [], "settings": sorted(NAMES)}.get(change, ["b.png"])
    if change in ("receipt", "result", "nothing"):
        assert results(out) == first
    else:
        assert first.items() <= results(out).items()


def test_a_table_is_whole_whenever_it_is_looked_at_and_goes_on_after_half_a_row(tmp_path):
    report = Report(tmp_path)
    for index in range(3):
        report.add(Row(f"{index}.png", 1.0, "done", tmp_path / f"{index}_denoised.png"))
        assert (tmp_path / "report.csv").read_bytes().endswith(b"\r\n") and len(table(tmp_path)) == index + 1
    with (tmp_path / "report.csv").open("ab") as file:
        file.write(b"3.png,do")  # the machine went down
    Report(tmp_path, resume=True).add(Row("4.png", 1.0))
    assert [row[0] for row in table(tmp_path)] == ["0.png", "1.png", "2.png", "3.png", "4.png"]


def test_a_full_disk_leaves_whole_rows(tmp_path, monkeypatch):
    from restoration import report as reports

    report = Report(tmp_path)
    report.add(Row("0.png", 1.0))
    before = (tmp_path / "report.csv").read_bytes()

    def half(path, content):
        with path.open("ab") as file:
            file.write(content[: len(content) // 2])
        raise OSError

    monkeypatch.setattr(reports, "_append", half)
    with pytest.raises(restoration.ImageError, match="could not be written"):
        report.add(Row("1.png", 1.0))
    assert (tmp_path / "report.csv").read_bytes() == before


# Elsewhere ----------------------------------------------------------------------------------------------------------


def sent(tree: Path, url: str) -> None:
    files, root = system_of(url)
    for file in tree.rglob("*"):
        if file.is_file():
            files.makedirs(f"{root}/{file.relative_to(tree).parent.as_posix()}", exist_ok=True)
            files.put_file(str(file), f"{root}/{file.relative_to(tree).as_posix()}")


def fetched(url: str, folder: Path) -> Path:
    files, root = system_of(url)
    for name in files.find(root):
        target = folder / name[len(root) :].lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        files.get_file(name, str(target))
    return folder


@pytest.fixture(params=["memory", "file"])
def elsewhere(request, tmp_path) -> str:
    return f"memory://{tmp_path.name}" if request.param == "memory" else f"file://{tmp_path}/elsewhere"


@pytest.mark.slow
@pytest.mark.parametrize("read_there, written_there, elsewhere", [
    (True, True, "memory"), (False, False, "memory"), (True, False, "file"), (False, True, "file"),
], indirect=["elsewhere"])  # fmt: skip
def test_files_elsewhere_give_what_files_here_give(tree, elsewhere, read_there, written_there):
    sent(tree, f"{elsewhere}/in")
    given = f"{elsewhere}/in" if read_there else tree
    out = f"{elsewhere}/out" if written_there else tree.parent / "out"
    for outcome in ("done", "kept"):
        rows = list(restoration.restore_files(given, out, "denoise", "mean", resume=outcome == "kept"))
        assert {row.outcome for row in rows} == {outcome, "failed"}
    found = fetched(out, tree.parent / "found") if written_there else out
    list(restore_all(batch_of(tree, "one")))
    assert results(found) == results(tree.parent / "one")
    done, expected = ([row for row in table(folder) if row[1] == "done"] for folder in (found, tree.parent / "one"))
    assert done == expected
    assert all(str(row.result).startswith(str(out)) for row in rows if row.result)


def test_a_folder_elsewhere_is_restored_in_place_once(tree, elsewhere):
    sent(tree, elsewhere)
    for _ in range(2):
        rows = list(restoration.restore_files(elsewhere, elsewhere, "denoise", "mean"))
    assert [row.file for row in rows if row.outcome == "done"] == []
    assert {row.file for row in rows if row.outcome == "kept"} == set(NAMES)


def test_a_kind_of_place_that_there_is_not_is_a_sentence(tree):
    with pytest.raises(ValueError, match="nowhere:// cannot be opened"):
        restoration.restore_files("nowhere://photos", tree.parent / "out", "denoise", "mean")


# A cluster ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("killed", [(), pytest.param((2, 6), marks=pytest.mark.load)], ids=["none", "two"])
def test_a_cluster_whose_nodes_may_be_killed_gives_every_file_once(slow_tree, killed):
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    import ray

    out = slow_tree.parent / "out"
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        rows = []
        batch = batch_of(slow_tree, "out", "non-local-means")
        run = threading.Thread(target=lambda: rows.extend(step.row for step in restored_by(batch, None, "auto")))
        run.start()
        for count in killed:
            until(lambda count=count: len(list(out.glob("*_denoised*.png"))) >= count or not run.is_alive())
            cluster.remove_node(node, allow_graceful=False)
            node = cluster.add_node(num_cpus=1)
        run.join(300)
        assert not run.is_alive()
    finally:
        ray.shutdown()
        cluster.shutdown()
    list(restore_all(batch_of(slow_tree, "one", "non-local-means")))
    assert results(out) == results(slow_tree.parent / "one")
    assert [row.file for row in rows] == [row[0] for row in table(slow_tree.parent / "one")]
    assert {row.file for row in rows if row.outcome == "failed"} == {"m.png"}


@pytest.mark.parametrize("has, size, needs, expected", [
    ({"CPU": 8.0}, None, {"num_cpus": 1}, 8), ({"CPU": 8.0, "GPU": 2.0}, None, {"num_gpus": 1, "num_cpus": 0}, 2),
    ({"CPU": 8.0, "GPU": 2.0}, 1, {"num_gpus": 1, "num_cpus": 0}, 1), ({"CPU": 8.0}, 3, {"num_cpus": 1}, 3),
    ({}, None, {"num_cpus": 1}, 1),
])  # fmt: skip
def test_a_worker_gets_a_gpu_of_a_cluster_that_has_some_else_a_processor(tree, has, size, needs, expected):
    asked = {}

    class Cluster:
        cluster_resources = staticmethod(lambda: has)
        put = staticmethod(lambda batch: batch)

        @staticmethod
        def remote(**resources):
            asked.update(resources)
            return lambda function: function

    assert Tasks(Cluster, batch_of(tree), size).size == expected
    assert asked == {**needs, "max_retries": TRIES}


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=[pytest.mark.slow, pytest.mark.load])])
def test_the_progress_tells_files_megapixels_time_left_and_failures(tree, photo, workers, capsys):
    argv = ["denoise", str(tree), "-o", str(tree.parent / "out"), "--model", "mean", "--workers", workers]
    assert main(argv) == 1  # of the damaged file
    last = capsys.readouterr().err.rstrip().split("\r")[-1]
    total, megapixels = len(NAMES) + 1, len(NAMES) * photo.height * photo.width / 1e6
    assert last.endswith(f"<00:00, {total} of {total} files, {megapixels:.1f} MP, 1 failed"), last


@pytest.mark.parametrize("wanted", ["not installed", "no cluster"])
def test_no_ray_and_no_cluster_are_a_sentence(tree, monkeypatch, wanted):
    if wanted == "not installed":
        monkeypatch.setitem(sys.modules, "ray", None)
        with pytest.raises(ValueError, match="pip install"):
            list(restored_by(batch_of(tree), None, "auto"))
    else:
        pytest.importorskip("ray")
        with pytest.raises(ValueError, match="no Ray cluster"):
            list(restored_by(batch_of(tree), None, "127.0.0.1:1"))


def test_the_library_restores_files_in_one_call(tree):
    rows = list(restoration.restore_files(tree, tree.parent / "out", "denoise", "mean"))
    list(restore_all(batch_of(tree, "one")))
    assert results(tree.parent / "out") == results(tree.parent / "one")
    assert [row.file for row in rows] == [row[0] for row in table(tree.parent / "one")]
