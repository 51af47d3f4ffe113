"""Clicks that come close to each other, on fast lines and slow ones, in a real browser: none is lost, none loops.

The tries that are marked `load` are the goal: 20 at every latency, on one tab after the other.
"""

import re
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from restoration import gallery
from restoration.files import read, write
from restoration.image import Image
from tests.test_browser import CHROMIUM, browser, choose  # noqa: F401  (a fixture)

ASKS = re.compile(r"/gradio_api/(upload|queue/join|run)")
TABS = "photo", "denoise", "artifacts", "upscale", "inpaint"
LATENCIES = 0, 50, 300, 1000  # ms that every request takes more
QUICK = {"denoise": "Mean", "artifacts": "Wavelet", "upscale": "Bicubic", "inpaint": "Diffusion"}
SLOW = {"denoise": "Non-local means", "artifacts": "DRUNet JPEG", "upscale": "Photo", "inpaint": "Biharmonic"}
SMALL, LARGE = 30, {"upscale": 180}  # heights of pictures that take no time, and some seconds: 500 in other tabs
EXAMPLES = {"photo": 5, "denoise": 7, "upscale": 5}  # quick ones: the first in other tabs
SLOWLY = 20_000  # bytes a second, at which pictures are on their way for seconds
DELAYS = 0, 100, 250, 400  # ms from one click to the next
REST = 2500  # ms without a request after which nothing feeds itself
_widths, _turns = count(40), count()

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.filterwarnings("default"),
]


def visits(each: int, *tabs: str):
    """A visit to each tab at each latency, of so many tries; without `load` one try in one of them, each race in its
    turn in another, but not where a canvas is drawn for seconds."""
    tabs, turn = tabs or TABS, next(_turns)
    quick = [tab for tab in tabs if tab != "inpaint"] or tabs
    few = [(LATENCIES[turn % len(LATENCIES)], quick[turn % len(quick)], 1, pytest.mark.slow)]
    all_of_them = [(latency, tab, each, pytest.mark.load) for latency in LATENCIES for tab in tabs]
    cases = [
        pytest.param((latency, tab, tries), marks=mark, id=f"{latency} ms, {tab}, {tries}")
        for latency, tab, tries, mark in (*few, *all_of_them)
    ]
    return pytest.mark.parametrize("visit", cases, indirect=True)


class Visit:
    """A visitor of a tab on a slow line.

    Attributes:
        asked: requests that started something.
    """

    def __init__(self, page, latency: int, tab: str, tries: int, folder: Path):
        self.page, self.tab, self.tries, self.folder, self.asked = page, tab, tries, folder, 0
        page.wait_for_selector("button[id$=-run]:visible")
        page.get_by_role("tab", name=tab.capitalize()).click()
        if tab == "inpaint":
            page.get_by_text("Other masks, and their edges").click()
        self.session, self.latency = page.context.new_cdp_session(page), latency
        self.line()
        page.on("request", lambda request: setattr(self, "asked", self.asked + bool(ASKS.search(request.url))))

    def part(self, name: str):
        return self.page.locator(f"#{self.tab}-{name}")

    def line(self, upload: int = -1) -> None:
        """Be on a line that sends so many bytes a second, by default without a limit."""
        line = {"offline": False, "latency": self.latency, "downloadThroughput": -1, "uploadThroughput": upload}
        self.session.send("Network.emulateNetworkConditions", line)

    def pick(self, models: dict[str, str]) -> None:
        """Choose a model, where the tab has several."""
        if self.tab in models:
            choose(self.page, self.tab, models[self.tab])

    def send(self, *, large: bool = False, hole: int | None = None) -> str:
        """Choose a new picture, with a hole in it, by default of half its sides; gives its size as it is told."""
        height = LARGE.get(self.tab, 500) if large else SMALL
        width = next(_widths) + height
        path = self.folder / f"{width}.png"
        alpha = np.full((height, width), 255, np.uint8)
        alpha[8:, 8:][: hole or height // 2, : hole or height // 2] = 0
        samples = np.random.default_rng(width).integers(0, 256, (height, width, 3)).astype(np.uint8)
        write(Image(samples, alpha), path)
        self.part("input").locator("input[type=file]").first.set_input_files(path)
        if self.tab == "inpaint":
            self.part("transparent").locator("input").check()
        return f"{width} × {height}"

    def mark(self) -> None:
        """Say what is missing in a result, which has no holes: a quarter of it."""
        if self.tab == "inpaint":
            write(
                Image(np.pad(np.full((200, 200, 1), 255, np.uint8), ((0, 200), (0, 200), (0, 0)))),
                self.folder / "mask.png",
            )
            self.part("mask").locator("input[type=file]").first.set_input_files(self.folder / "mask.png")
            expect(self.part("mask").locator("img").first).to_be_visible()

    def wait(self, number: int) -> None:
        """As long as a visitor does from one click to the next in a try."""
        self.page.wait_for_timeout(DELAYS[number % len(DELAYS)])

    def tap(self) -> gallery.Example:
        """Tap an example."""
        number = EXAMPLES.get(self.tab, 0)
        self.part("examples").locator("button.thumbnail-item").nth(number).click()
        return gallery.examples(self.tab)[number]

    def run(self) -> None:
        self.part("run").click()

    def run_slowly(self, number: int) -> str:
        """Start a run that takes some seconds, and wait as in a try; gives its size."""
        self.pick(SLOW)
        size = self.send(large=True)
        self.run()
        self.wait(number)
        return size

    def has(self, size: str, words: str = "") -> None:
        """Wait for the result of a picture, to be downloaded."""
        status = self.part("status")
        expect(status).to_contain_text(size)
        expect(status).to_contain_text(words)
        expect(self.part("download")).to_be_enabled()
        if self.tab == "inpaint":
            expect(self.part("undo")).to_be_enabled()
        expect(self.part("run")).not_to_have_attribute("aria-busy", "true")

    def rests(self) -> None:
        """Hold that nothing asks the server any more, once what followed the last event is over."""
        for _ in range(20):
            asked = self.asked
            self.page.wait_for_timeout(REST)
            if asked == self.asked:
                return
        raise AssertionError("events feed each other")


@pytest.fixture
def visit(browser, server, tmp_path, request):  # noqa: F811
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(server)
    yield Visit(page, *request.param, tmp_path)
    page.close()


@visits(4)
def test_a_run_that_is_clicked_right_after_another_picture_was_chosen(visit):
    visit.pick(QUICK)
    for number in range(visit.tries):
        size = visit.send()
        visit.wait(number)
        visit.run()
        visit.has(size)


@visits(4)
def test_another_picture_and_another_model_while_a_run_goes_on(visit):
    for number in range(visit.tries):
        visit.run_slowly(number)
        size = visit.send()
        visit.pick(QUICK)
        visit.run()
        visit.has(size)
        visit.rests()
        visit.has(size)


@visits(1)
def test_a_run_that_is_clicked_right_after_an_example_was_tapped(visit):
    visit.pick(QUICK)
    size = visit.send()
    visit.run()
    visit.has(size)
    visit.tap()
    visit.run()
    expect(visit.part("status")).not_to_contain_text(size)
    expect(visit.part("status")).to_contain_text(" s · ", timeout=180_000)
    expect(visit.part("download")).to_be_enabled()


@visits(1)
def test_an_example_that_is_tapped_while_a_run_waits_for_an_upload_is_what_the_next_run_is_of(visit):
    visit.pick(SLOW)
    visit.line(upload=SLOWLY)
    visit.send(large=True)
    visit.run()
    expect(visit.part("run")).to_have_attribute("aria-busy", "true")
    example = visit.tap()
    if visit.tab == "inpaint":  # whose examples bring no method
        visit.pick(QUICK)
    visit.run()
    visit.line()
    image, method = read(example.picture), example.order.method
    size = f"{image.width} × {image.height}"
    words = QUICK[visit.tab] if visit.tab == "inpaint" else method.title if visit.tab in SLOW else ""
    visit.has(size, words)
    visit.rests()
    visit.has(size, words)


@visits(1)
def test_settings_that_are_changed_while_a_run_goes_on_are_not_its_own(visit):
    for number in range(visit.tries):
        size = visit.run_slowly(number)
        visit.pick(QUICK)
        visit.has(size, SLOW.get(visit.tab, ""))
        visit.rests()
        visit.has(size, SLOW.get(visit.tab, ""))


@visits(1)
def test_another_tab_that_is_opened_while_a_run_goes_on(visit):
    for number in range(visit.tries):
        size = visit.run_slowly(number)
        visit.page.get_by_role("tab", name="Models").click()
        expect(visit.page.locator("#models-about")).to_contain_text("million parameters")
        visit.page.get_by_role("tab", name=visit.tab.capitalize()).click()
        visit.has(size, SLOW.get(visit.tab, ""))


@visits(1)
def test_a_double_click_gives_one_result_and_no_file_of_the_one_before(visit):
    for _ in range(visit.tries):
        visit.pick(QUICK)
        size = visit.send(large=True, hole=6)
        visit.run()
        visit.has(size, QUICK.get(visit.tab, ""))
        visit.pick(SLOW)
        visit.mark()
        told = visit.part("status").locator(".prose p").first.inner_text().splitlines()[0]
        visit.page.evaluate(
            """([tab, told]) => {
              const [file, status] = ["download", "status"].map((name) => document.getElementById(`${tab}-${name}`));
              [window.stale, window.before] = [0, false];
              setInterval(() => {
                const now = !file.disabled && status.textContent.includes(told);
                window.stale += window.before && now;
                window.before = now;
              }, 100);
            }""",
            [visit.tab, told],
        )
        visit.part("run").dblclick()
        expect(visit.part("run")).not_to_have_attribute("aria-busy", "true")
        visit.page.evaluate("window.stale = 0")
        expect(visit.part("status")).not_to_contain_text(told)
        visit.has(size, SLOW.get(visit.tab, ""))
        assert visit.page.evaluate("window.stale") == 0


@visits(1)
def test_a_run_that_is_clicked_right_after_cancel(visit):
    for number in range(visit.tries):
        size = visit.run_slowly(number)
        visit.part("cancel").click()
        visit.run()
        visit.has(size, SLOW.get(visit.tab, ""))


@visits(1, "denoise")
def test_settings_that_are_changed_after_cancel_are_those_of_the_next_run(visit):
    for _ in range(visit.tries):
        visit.pick(SLOW)
        size = visit.send(large=True)
        visit.run()
        visit.part("cancel").click()
        visit.pick(QUICK)
        visit.run()
        visit.has(size, QUICK[visit.tab])


@visits(1, "inpaint")
def test_undo_while_a_run_goes_on(visit):
    for number in range(visit.tries):
        visit.pick(QUICK)
        size = visit.send(large=True, hole=6)
        visit.run()
        visit.has(size, "Diffusion")
        visit.pick(SLOW)
        visit.mark()
        visit.run()
        visit.wait(number)
        visit.part("undo").click()
        visit.has(size, "Biharmonic")
        visit.part("undo").click()
        expect(visit.part("undo")).to_be_disabled()
