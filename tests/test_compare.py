"""The compare slider by keyboard, its Before button and its exact pixels, in a real browser on a page of its own."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from conftest import serving
from playwright.sync_api import expect, sync_playwright

from tests.test_browser import CHROMIUM, on
from tests.test_browser import SIZES as SCREENS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.filterwarnings("default"),  # Playwright's own event loop
]
ASSETS = Path(__file__).parent.parent / "restoration" / "assets"
STYLE, *SCRIPTS = ((ASSETS / name).read_text() for name in ("compare.css", "changes.js", "compare.js"))
HEAD = "".join([f"<style>{STYLE}</style>", *(f"<script>{script}</script>" for script in SCRIPTS)])
PAGE = f"""
import gradio as gr
with gr.Blocks() as page:
    pair = gr.ImageSlider(type="filepath", format="png", interactive=False, max_height=560, buttons=["fullscreen"])
    for run, files in enumerate([("0-0.png", "0-1.png"), ("1-0.png", "1-1.png"), None]):
        gr.Button(f"Run {{run}}").click(lambda files=files: files, None, pair)
page.launch(ssr_mode=False, quiet=True, head={HEAD!r})
"""
FIRST = "document.querySelector('[data-testid=imageslider-image]')"
LOADED = """([run, width]) => [...document.querySelectorAll("[data-testid=imageslider-image]")].map((img, side) =>
    img.src.endsWith(`/${run}-${side}.png`) && img.complete && img.naturalWidth == width).join() == "true,true" """
KEYS = {"ArrowRight": 55, "Shift+ArrowRight": 56, "Shift+ArrowLeft": 55, "ArrowLeft": 50, "End": 100, "Home": 0}
RED = [(40, 200), (90, 250)]  # of the pictures before and after of each run, which no scaling changes
SIZES = [(200, 300), (300, 200)]
RNG = np.random.default_rng(0)
PICTURES = [[np.insert(RNG.integers(256, size=(*SIZES[i], 2)), 0, red, axis=2) for red in RED[i]] for i in (0, 1)]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    (folder / "app.py").write_text(PAGE)
    for run, side in np.ndindex(2, 2):
        PIL.Image.fromarray(PICTURES[run][side].astype(np.uint8)).save(folder / f"{run}-{side}.png")
    with serving(folder, folder, {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}) as address:
        yield address


@pytest.fixture
def page(address, request):
    (width, height), errors = SCREENS[request.param], []
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": width, "height": height}, has_touch=width < 500)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(address)
        yield page
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert errors == []
        browser.close()


def pixels(page, x: float, y: float, width: float, height: float) -> np.ndarray:
    shot = page.screenshot(clip={"x": x, "y": y, "width": width, "height": height})
    return np.asarray(PIL.Image.open(io.BytesIO(shot)).convert("RGB"))


def reds(page, *percent: float) -> list[int]:
    """The red of the compared pictures at percents of their width."""
    box = page.get_by_test_id("imageslider-image").first.bounding_box()
    width = min(page.evaluate(f"{FIRST}.naturalWidth / {FIRST}.naturalHeight") * box["height"], box["width"])
    row = pixels(page, box["x"] + (box["width"] - width) / 2, box["y"] + 0.85 * box["height"], width, 1)[0]
    return [row[int(width * at / 100), 0] for at in percent]


def assert_exact(page, picture: np.ndarray, zoom: int, skip: int = 0):
    """What the dialog shows of a picture is its pixels, each zoom times zoom, but for columns at the left to skip."""
    (x, y, width, height), stage = corner(page, 4), page.locator(".compare-stage").bounding_box()
    left, top = max(x, stage["x"]) + skip, max(y, stage["y"])
    right, bottom = min(x + width, stage["x"] + stage["width"]), min(y + height, stage["y"] + stage["height"])
    expected = picture.repeat(zoom, 0).repeat(zoom, 1)[int(top - y) : int(bottom - y), int(left - x) : int(right - x)]
    np.testing.assert_array_equal(pixels(page, left, top, right - left, bottom - top), expected)


def corner(page, numbers: int = 2) -> tuple[float, ...]:
    return tuple(page.locator("dialog img").nth(1).bounding_box().values())[:numbers]


def drag(page, x: float, y: float, by_x: float, by_y: float):
    """With the mouse, or on the phone with a finger."""
    if page.viewport_size["width"] < 500:
        send = page.context.new_cdp_session(page).send
        for kind, points in {"touchStart": [(x, y)], "touchMove": [(x + by_x, y + by_y)], "touchEnd": []}.items():
            send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})
    else:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + by_x, y + by_y)
        page.mouse.up()


@on("phone")
def test_keys_move_the_line_before_is_held_and_the_dialog_shows_exact_pixels(page):
    bar, dialog = page.locator(".compare-bar"), page.get_by_role("dialog")
    handle, line = page.get_by_role("slider", name="Compare before and after"), dialog.get_by_role("slider")
    for run, (before, after) in enumerate(RED):
        page.get_by_role("button", name=f"Run {run}").click()
        page.wait_for_function(LOADED, arg=[run, SIZES[run][1]])
        for key in ["Home"] + 10 * ["ArrowRight"]:
            handle.press(key)
        bar.scroll_into_view_if_needed()
        place = bar.bounding_box()
        for key, now in KEYS.items():
            handle.press(key)
            expect(handle).to_have_attribute("aria-valuenow", str(now))
            assert reds(page, 6, 52.5, 94) == [before if at < now else after for at in (6, 52.5, 94)]
        hold, opener = bar.get_by_role("button").all()
        hold.hover()
        for device, press in ((page.keyboard, ["Space"]), (page.mouse, [])):
            hold.focus()
            device.down(*press)
            assert [*reds(page, 60), hold.get_attribute("aria-pressed")] == [before, "true"]
            device.up(*press)
            assert [*reds(page, 60), hold.get_attribute("aria-pressed")] == [after, "false"]
        assert bar.bounding_box() == place
        opener.click()
        expect(line).to_be_focused()
        assert all(button.bounding_box()["height"] >= 36 for button in dialog.get_by_role("button").all())
        for zoom in (1, 2, 4, 8):
            expect(dialog.locator(".compare-zoom")).to_have_text(f"{zoom}×")
            page.keyboard.press("Home")
            if zoom <= 2:  # further in, the line's knob covers some pixels
                assert_exact(page, PICTURES[run][1], zoom, skip=4)
            page.keyboard.press("+")
        x, y = corner(page)
        drag(page, 300, 300, -37, -23)
        page.keyboard.press("Shift+ArrowRight")
        assert corner(page) == (x - 37 - 64, y - 23)
        drag(page, line.bounding_box()["x"] + 16, 300, 100, 0)
        assert (line.bounding_box()["x"] + 16, *corner(page)) == (100, x - 37 - 64, y - 23)
        dialog.get_by_role("button", name="Before").focus()
        page.keyboard.down("Enter")
        assert_exact(page, PICTURES[run][0], 8)
        page.keyboard.up("Enter")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(opener).to_be_focused()
    page.get_by_role("button", name="Run 2").click()  # which takes the pictures away
    expect(bar).to_have_count(0)
