"""What is kept of the last runs: so much for all visitors, and never longer than it should."""

import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from restoration import tasks
from restoration.files import read, write
from restoration.page import shelf
from restoration.page.results import hand_on
from restoration.page.runs import Runs, again
from restoration.page.shelf import Shelf, size_of
from restoration.page.upscale_tab import ScaledRuns
from tests.conftest import until


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_oldest_go_when_there_is_too_much_and_what_was_asked_for_is_young():
    kept = Shelf(most=300, seconds=60, clock=Clock())
    for name in "abc":
        kept.put(name, bytes(100))
    assert kept.get("a") == bytes(100)
    kept.put("d", bytes(100))
    assert [name for name in "abcd" if kept.get(name)] == ["a", "c", "d"]
    kept.put("a", bytes(50))  # instead of what was called so
    assert kept.bytes == 250
    kept.put("large", bytes(301))
    assert [name for name in ("a", "c", "d", "large") if kept.get(name)] == []
    assert kept.bytes == 0


def test_nothing_stays_longer_than_it_should():
    clock = Clock()
    kept = Shelf(seconds=60, clock=clock)
    kept.put("a", b"a")
    clock.now = 50
    kept.put("b", b"b")
    clock.now = 61
    assert (kept.get("a"), kept.get("b")) == (None, b"b")


def test_what_is_too_old_goes_though_nobody_asks():
    kept = Shelf(seconds=0.2)
    kept.put("a", bytes(100))
    time.sleep(0.05)
    kept.put("b", bytes(100))
    until(lambda: kept._kept == {}, 30)


def test_the_size_counts_every_picture_once_and_no_model():
    @dataclass
    class Thing:
        pictures: list
        more: object

    samples = np.zeros((10, 20), np.uint16)
    tensor = torch.zeros(5, 4)
    thing = Thing([samples, samples[2:5], tensor, tensor[1:]], {"model": torch.nn.Linear(100, 100), "name": b"abc"})
    thing.more["itself"] = thing
    assert size_of(thing) == 400 + 80 + 3


def silent(*_, **__):
    """Progress that nobody sees."""


@pytest.fixture
def small(monkeypatch):
    """A shelf with room for next to nothing."""
    monkeypatch.setattr(shelf, "_shelf", Shelf(most=1000))


def test_a_visitor_whose_result_went_is_told_to_run_it_again(small, photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    runs = Runs(tasks.named("denoise"))
    *_, shown = runs.run(silent, str(tmp_path / "photo.png"), "median", True, 25, 100, "png", 95)
    assert "Median" in shown[3]
    path = str(tmp_path / "photo.png")
    for ask in (lambda: runs.show(silent, shown[5], path, 50, "png", 95), lambda: hand_on(shown[5], path, "inpaint")):
        with pytest.raises(Exception, match="run it again"):
            list(ask())
    assert len(list(runs.show(silent, None, path, 50, "png", 95))) == 1  # nothing was run: nothing changes


def test_what_a_run_leaves_weighs_as_much_as_its_pictures(photo, tmp_path, monkeypatch):
    monkeypatch.setattr(shelf, "_shelf", Shelf())
    write(photo, tmp_path / "photo.png")
    *_, shown = Runs(tasks.named("denoise")).run(
        silent, str(tmp_path / "photo.png"), "median", True, 25, 100, "png", 95
    )
    assert again(shown[5]).done.given.samples.shape == photo.samples.shape
    least = photo.samples.nbytes + 2 * photo.samples.size  # the picture and the 16-bit codes of the result
    assert least <= shelf.results().bytes <= 2 * least + 100_000


def test_of_a_large_picture_that_stays_true_only_that_is_kept(photo, tmp_path, monkeypatch):
    write(photo, tmp_path / "photo.png")
    runs, path = ScaledRuns(tasks.named("upscale")), str(tmp_path / "photo.png")
    shown, enough = {}, shelf.BYTES
    for most in (enough, 100_000):  # the second has room for one result
        monkeypatch.setattr(shelf, "BYTES", most)
        monkeypatch.setattr(shelf, "_shelf", Shelf(10**9))
        for true in (True, False):
            for step in runs.run(silent, path, "lanczos", 2, 1.0, true, "png", 95):
                if isinstance(step[0], tuple):
                    shown[most, true] = step[5], read(step[0][1]).samples
                    break
        state = shown[most, True][0]
        if most == 100_000:
            with pytest.raises(Exception, match="run it again"):
                list(runs.show(silent, state, path, False, "png", 95))
        else:
            for step in runs.show(silent, state, path, False, "png", 95):
                if isinstance(step[0], tuple):
                    np.testing.assert_array_equal(read(step[0][1]).samples, shown[most, False][1])
                    break
    np.testing.assert_array_equal(shown[enough, True][1], shown[100_000, True][1])
    assert (shown[100_000, True][1] != shown[100_000, False][1]).any()
