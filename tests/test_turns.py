"""Runs belong to their click and their picture, however slow the line is."""

import gradio as gr
import pytest

from restoration.page import shelf, turns
from restoration.page.results import Turns
from restoration.page.runs import Shown


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(turns, "_noted", turns.OrderedDict())


def counting(*_):
    """A handler of three steps."""
    yield from range(3)


@pytest.mark.parametrize(
    "events, steps",
    [
        ([], 3),
        ([("v 5", None)], 3),  # its own click
        ([("v 4", None), ("v 5", None)], 3),  # one before
        ([("v 6", None)], 0),  # one after
        ([("v 6", "a.png")], 3),  # the picture that it is about
        ([("v 6", "b.png")], 0),  # another one that came later
        ([("v 4", "b.png")], 3),  # or earlier
        ([("v 5", None), ("v 4", "b.png")], 3),  # earlier, and told late
        ([("w 6", None)], 3),  # of another visitor
        ([("", None)], 3),  # of a program
    ],
)
def test_only_what_came_later_ends_a_run(events, steps):
    for when, path in events:
        turns.note("denoise", when, path)
    assert len(list(turns.bound("denoise", counting)(None, "a.png", "v 5"))) == steps


def test_a_run_ends_while_it_goes_on_and_its_handler_is_closed():
    ended = []

    def handler(*_):
        try:
            yield from range(3)
        finally:
            ended.append(True)

    run = turns.bound("denoise", handler)(None, "a.png", "v 5")
    next(run)
    turns.note("denoise", "v 6")
    assert list(run) == []
    assert ended == [True]


@pytest.mark.parametrize(
    "one, other, same",
    [("a/x.png", "a/x.png", True), ("a/x.tif", "b/x.png", True), ("a/x.png", "b/x.png", False),
     ("a/x.tif", "b/y.png", False)],
)  # fmt: skip
def test_a_picture_made_of_a_tiff_for_the_browser_is_the_same(one, other, same):
    assert turns.same_picture(one, other) == same


def test_what_a_run_is_told_of_is_over_when_it_ended_was_refused_or_cancelled():
    run = turns.Turn("denoise", "v 5")
    assert run.going
    list(turns.bound("denoise", counting)(None, "a.png", "v 5"))
    assert not run.going
    assert turns.Turn("denoise", "v 6").going
    turns.cancel("denoise", "v 7")
    assert not turns.Turn("denoise", "v 6").going
    assert turns.Turn("denoise", "v 8").going
    turns.Turn("denoise", "v 8").ended()
    assert not turns.Turn("denoise", "v 8").going
    assert not turns.Turn("denoise", "").going


@pytest.mark.parametrize(
    "later, before, replaces",
    [("v 6", "v 5", True), ("v 5", "v 6", False), ("v 5", "v 5", False), ("w 6", "v 5", False), ("", "", False)],
)
def test_a_run_replaces_those_of_the_same_visitor_that_were_clicked_before(later, before, replaces):
    assert turns.Turn("denoise", later).replaces(turns.Turn("denoise", before)) == replaces
    assert not turns.Turn("denoise", later).replaces(turns.Turn("upscale", before))


def test_a_run_is_known_by_what_its_call_was_given():
    run = turns.bound("denoise", counting)
    assert turns.turn_of(run, [{"path": "a.png"}, 1, "v 5"]) == turns.Turn("denoise", "v 5", "a.png")
    assert turns.turn_of(run, [[{"path": "a.png"}], None]) == turns.Turn("denoise", None, None)
    assert turns.turn_of(counting, [{"path": "a.png"}, "v 5"]) is None
    assert turns.turn_of(run, []) is None


def test_files_come_back_after_a_failure_unless_another_run_goes_on():
    class Part:
        download = receipt = None
        outputs = (None,) * 6

    tab = Turns("denoise", None, Part(), (), "hint")
    assert tab.over("run", "a.png", "v 5") == [gr.skip()] * 2
    list(turns.bound("denoise", counting)(None, "a.png", "v 5"))
    assert tab.over("run", "a.png", "v 5") == [gr.update(interactive=True)] * 2
    shelf.results().put("run", Shown(None, b"", "run", path="a.png"))
    assert tab.over("run", "b.png", "v 5") == [gr.update(interactive=False)] * 2
    assert tab.over(None, "a.png", "v 5") == [gr.update(interactive=False)] * 2


def test_a_result_is_of_the_picture_that_it_was_made_of():
    tab = Turns("denoise", None, None, (), "hint")
    shelf.results().put("run", Shown(None, b"", "run", path="a.png"))
    assert tab.is_of("run", "a.png") and tab.is_of("gone", "b.png")
    assert not tab.is_of("run", "b.png")
