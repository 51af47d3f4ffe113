"""Runs belong to their click and their picture, however slow the line is."""

import re
import time

import numpy as np
import pytest
from playwright.sync_api import expect

from restoration.files import write
from restoration.image import Image
from restoration.page import shelf, turns
from restoration.page.results import Turns
from restoration.page.runs import Shown
from tests.test_browser import CHROMIUM, browser, choose  # noqa: F401  (a fixture)

TRIES = 3
STARTS = re.compile(r"/gradio_api/(upload|queue/join|run)")


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


def test_a_result_of_another_picture_does_not_stay():
    class Part:
        outputs = (None,) * 6

    tab = Turns("denoise", None, Part(), (), "hint")
    shelf.results().put("run", Shown(None, b"", "run", path="a.png"))
    assert tab.kept("a.png", "run")[1] == {"interactive": True, "__type__": "update"}
    assert tab.kept("b.png", "run")[5] is None
    assert tab.kept("b.png", "run")[3] == "hint"
    assert tab.kept("b.png", None)[1]["interactive"] is False


@pytest.fixture
def slow_page(browser, server):  # noqa: F811
    """Opens a tab over a line on which every request takes so many ms more."""
    opened = []

    def open_tab(latency: int, address: str):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.append(page)
        page.set_default_timeout(60_000)
        page.goto(f"{server}{address}")
        page.wait_for_selector("button[id$=-run]:visible")
        line = {"offline": False, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1}
        page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", line)
        page.asked = 0
        page.on("request", lambda request: setattr(page, "asked", page.asked + bool(STARTS.search(request.url))))
        return page

    yield open_tab
    for page in opened:
        page.close()


def picture(folder, width: int):
    path = folder / f"{width}.png"
    write(Image(np.random.default_rng(width).integers(0, 256, (30, width, 3)).astype(np.uint8)), path)
    return path


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("latency", [0, 50, 300, 1000])
def test_a_click_right_after_another_picture_was_chosen_is_not_lost(slow_page, tmp_path, latency):
    page = slow_page(latency, "/?tab=denoise&model=mean")
    for number in range(TRIES):
        path = picture(tmp_path, 40 + number)
        page.locator("#denoise-input input[type=file]").first.set_input_files(path)
        page.wait_for_timeout((0, 100, 250)[number % 3])
        page.locator("#denoise-run").click()
        expect(page.locator("#denoise-status")).to_contain_text(f"{40 + number} × 30 px")
        expect(page.locator("#denoise-download")).to_be_enabled()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("latency", [0, 300])
def test_another_picture_and_another_model_while_a_run_goes_on_feed_no_loop(slow_page, tmp_path, latency):
    page = slow_page(latency, "/?tab=denoise&model=non-local-means")
    large = tmp_path / "large.png"
    write(Image(np.random.default_rng(0).integers(0, 256, (900, 900, 3)).astype(np.uint8)), large)
    page.locator("#denoise-input input[type=file]").first.set_input_files(large)
    page.locator("#denoise-run").click()
    page.locator("#denoise-input input[type=file]").first.set_input_files(picture(tmp_path, 47))
    expect(page.locator("#denoise-facts")).to_contain_text("47 × 30 px")
    choose(page, "denoise", "Mean")
    page.locator("#denoise-run").click()
    expect(page.locator("#denoise-status")).to_contain_text("47 × 30 px")
    page.wait_for_timeout(1500 + 4 * latency)
    asked, started = page.asked, time.monotonic()
    page.wait_for_timeout(3000)
    assert page.asked == asked, f"{page.asked - asked} requests in {time.monotonic() - started:.1f} s of rest"
