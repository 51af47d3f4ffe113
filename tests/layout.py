"""How much the page moves by itself, and how soon it helps: `python -m tests.layout`; needs Chromium.

Printed are, at three widths, the cumulative layout shifts (https://web.dev/articles/cls: the worst window of five
seconds, without what follows an input within half a second) on load, on every change of tab and after a run of an
example, and the seconds from opening the page to the button and to the first result.  It fails above 0.1.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

import restoration
from restoration import tasks
from tests.conftest import serving
from tests.test_browser import ARGUMENTS, CHROMIUM

ROOT = Path(restoration.__file__).parent.parent
SIZES = {"desktop": (1280, 900), "wide": (1920, 1080), "phone": (390, 844)}
MOST = 0.1
LONGEST = 600_000  # ms to wait for anything
OBSERVE = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    const moved = [...entry.sources].map(({ node }) => {
      const element = node?.nodeType === Node.ELEMENT_NODE ? node : node?.parentElement;
      return element?.closest("[id]")?.id ?? "";
    });
    window.shifts.push([entry.startTime, entry.value, moved.join(" ")]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


def worst(shifts: list[list]) -> float:
    """The largest sum of shifts, as [milliseconds, value, ...], less than 1 s apart within 5 s."""
    sums, start, last = [0.0], 0.0, -1e9
    for time_, value, *_ in shifts:
        if time_ - last > 1000 or time_ - start > 5000:
            sums.append(0.0)
            start = time_
        sums[-1] += value
        last = time_
    return max(sums)


def settled(page: Page) -> float:
    """The shifts since the last call, once the page has been still for a second."""
    count = -1
    while count != (now := page.evaluate("window.shifts.length")):
        count = now
        page.wait_for_timeout(1000)
    shifts = page.evaluate("window.shifts.splice(0)")
    for _, value, moved in shifts:
        if value > MOST / 4:
            print(f"      {value:.3f} {moved}")
    return worst(shifts)


def measured(browser: Browser, address: str, size: tuple[int, int], named: list[str]) -> Iterator[tuple[str, float]]:
    """What moved in each step of a visit; prints the seconds that it took.

    Args:
        named: tasks whose examples are run.
    """
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, has_touch=width < 500)
    page.add_init_script(OBSERVE)
    opened = time.monotonic()
    page.goto(address)
    expect(page.locator("#photo-run")).to_be_visible(timeout=60_000)
    seconds = {"button": time.monotonic() - opened}
    yield "load", settled(page)
    clicked = time.monotonic()
    if "photo" in named:
        page.locator("#photo-examples button.thumbnail-item").first.click()
        page.locator("#photo-run").click()
        expect(page.locator("#photo-download")).to_be_enabled(timeout=LONGEST)
        seconds["result"] = time.monotonic() - clicked + seconds["button"]
        print(f"   {seconds['button']:.1f} s to the button, {seconds['result']:.1f} s to the first result")
        yield "photo: run", settled(page)
    for title in [kind.title for kind in tasks.every().values()] + ["Models", "Performance"]:
        page.get_by_role("tab", name=title, exact=True).click()
        yield f"tab {title}", settled(page)
    for name, kind in tasks.every().items():
        if name == "photo" or name not in named:
            continue
        page.get_by_role("tab", name=kind.title, exact=True).click()
        page.locator(f"#{name}-examples button.thumbnail-item").first.click()
        expect(page.locator(f"#{name}-facts")).to_contain_text("px", timeout=LONGEST)
        yield f"{name}: example", settled(page)
        clicked = time.monotonic()
        page.locator(f"#{name}-run").click()
        expect(page.locator(f"#{name}-download")).to_be_enabled(timeout=LONGEST)
        taken = time.monotonic() - clicked
        yield f"{name}: run, {taken:.1f} s from the click to the file", settled(page)
    page.close()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.layout", description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="of the screen")
    parser.add_argument("--tasks", nargs="+", choices=tasks.every(), default=list(tasks.every()), help="that are run")
    arguments = parser.parse_args(argv)
    over = 0
    with (
        tempfile.TemporaryDirectory() as scratch,
        serving(ROOT, Path(scratch), {"HF_HUB_OFFLINE": "1"}) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        for name in arguments.sizes:
            size = SIZES[name]
            print(f"{name}, {size[0]} × {size[1]}", flush=True)
            for step, shift in measured(browser, address, size, arguments.tasks):
                over += shift > MOST
                print(f"   {shift:.3f} {step}{'  <-' if shift > MOST else ''}", flush=True)
    print(f"{over} over {MOST}")
    sys.exit(over > 0)


if __name__ == "__main__":
    main()
