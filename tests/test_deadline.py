"""A job ends in time, with what it has."""

from pathlib import Path

import gradio as gr
import pytest

from restoration import deep_image_prior, limits, tasks
from restoration.deadline import steps_within, within
from restoration.files import read, write
from restoration.page.runs import Runs
from restoration.receipts import read_receipt
from restoration.tiling import Progress
from tests.conftest import by_api


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def job(clock: Clock, steps: int, closed: list, improving: bool = False):
    """A job of steps of ten seconds; improving ones give the number of the step."""
    try:
        for step in range(steps):
            yield Progress(step, steps, step if improving else None)
            clock.now += 10
    finally:
        closed.append(True)
    return "whole"


@pytest.mark.parametrize("improving", [True, False])
def test_a_job_that_is_quick_enough_is_as_it_was(improving):
    clock, closed, late = Clock(), [], []
    work = within(job(clock, 5, closed, improving), 50, lambda: late.append(True), clock)
    assert finished(work) == ([0, 1, 2, 3, 4], "whole")
    assert (closed, late) == ([True], [])


def test_a_job_without_a_best_so_far_ends_with_a_sentence_at_its_next_step():
    clock, closed = Clock(), []
    with pytest.raises(ValueError, match="A run gets 25 s here"):
        finished(within(job(clock, 99, closed), 25, clock=clock))
    assert closed == [True]
    assert clock.now == 30


def test_a_job_that_improves_gives_the_best_so_far_and_says_so():
    clock, closed, late = Clock(), [], []
    work = within(job(clock, 99, closed, improving=True), 25, lambda: late.append(True), clock)
    assert finished(work) == ([0, 1, 2], 3)
    assert (closed, late) == ([True], [True])


@pytest.mark.parametrize("seconds, steps", [(1000, 9), (25, 4), (0, 2)])
def test_a_work_of_many_parts_gives_those_that_were_made_in_time(seconds, steps):
    clock, closed = Clock(), []
    assert len(list(steps_within(job(clock, 9, closed), seconds, clock))) == steps
    assert closed == [True]


def finished(work) -> tuple[list[int], object]:
    """The steps that a job told, and its result."""
    steps = []
    while True:
        try:
            steps.append(next(work).done)
        except StopIteration as end:
            return steps, end.value


# What the page does in it ---------------------------------------------------------------------------------------------


@pytest.fixture
def deadline(monkeypatch):
    """Sets the seconds that a run of this process gets."""
    return lambda seconds: monkeypatch.setattr(limits, "_in_force", limits.Limits(deadline=seconds))


def silent(*_, **__):
    """Progress that nobody sees."""


def test_runs_and_programs_are_told_that_the_time_is_up(deadline, photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    deadline(0)
    run = Runs(tasks.named("denoise")).run(silent, str(tmp_path / "photo.png"), "median", True, 25, 100, "png", 95)
    for work in (lambda: list(run), lambda: by_api("denoise", str(tmp_path / "photo.png"), "median")):
        with pytest.raises(gr.Error, match="A run gets 0 s here, and this one needs more") as caught:
            work()
        assert len(caught.value.message) < 200


def test_deep_image_prior_keeps_its_best_so_far(deadline, photo, tmp_path, monkeypatch):
    write(photo, tmp_path / "photo.png")
    monkeypatch.setattr(deep_image_prior, "PREVIEW_EVERY", 0)
    monkeypatch.setattr(deep_image_prior, "STEPS", dict.fromkeys(deep_image_prior.STEPS, 10**6))
    monkeypatch.setattr(deep_image_prior, "expected_seconds", lambda pixels, steps: 1.0)
    deadline(1)
    file, report = by_api("denoise", str(tmp_path / "photo.png"), "deep-image-prior")
    assert read(file).samples.shape == photo.samples.shape
    assert 0 < read_receipt(Path(file))["steps"]["done"] < 10**6
    assert report["notes"] == ["A run gets 1 s here: this is the best that it had then."]


def test_a_batch_gives_what_was_restored_in_time(deadline, photo, tmp_path):
    files = [tmp_path / f"{name}.png" for name in "abc"]
    for file in files:
        write(photo, file)
    deadline(0)
    batch = Runs(tasks.named("denoise")).batch(
        silent, [str(file) for file in files], "median", True, 25, 100, "png", 95
    )
    *_, (rows, results, zipped) = batch
    assert [row[0] for row in rows] == ["a.png", "b.png", "c.png"]
    assert {row[1] for row in rows} == {"not restored"}
    assert results == []
    assert zipped["interactive"]
