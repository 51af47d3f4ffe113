"""Painting a mask in a real browser, with the mouse and by touch: strokes, eraser, and what stays of them."""

import urllib.request

import numpy as np
import pytest
from playwright.sync_api import expect

from restoration.files import read, write
from restoration.image import Image
from tests.test_browser import CHROMIUM, browser, choose, on, page  # noqa: F401  (fixtures)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.filterwarnings("default"),  # Playwright's own event loop
]


class Canvas:
    """What is painted on, in pixels of the picture from its corner, by mouse or, on a phone, by touch."""

    def __init__(self, page, size: tuple[int, int]):  # noqa: F811
        self.page, self.size, self.touches = page, size, page.viewport_size["width"] < 500
        self.session = page.context.new_cdp_session(page)
        page.locator("#inpaint-editor").scroll_into_view_if_needed()
        page.locator("#inpaint-editor .paint-bar").wait_for()
        page.wait_for_timeout(1500)  # the editor zooms its picture to fit

    def take(self, tool: str) -> None:
        self.page.locator(f"#inpaint-editor button[aria-label={tool}]").click()
        self.page.locator("#inpaint-editor canvas").first.scroll_into_view_if_needed()

    def stroke(self, *points: tuple[int, int]) -> None:
        """Draw a line through points (x, y), roughly."""
        box, (width, height) = self.page.locator("#inpaint-editor canvas").first.bounding_box(), self.size
        zoom = 0.85 * min(box["width"] / width, box["height"] / height)  # it leaves a margin
        corner = box["x"] + (box["width"] - zoom * width) / 2, box["y"] + (box["height"] - zoom * height) / 2
        path = [(corner[0] + zoom * x, corner[1] + zoom * y) for x, y in points]
        for number, (x, y) in enumerate(path):
            if self.touches:
                kind = "touchMove" if number else "touchStart"
                self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
            else:
                self.page.mouse.move(x, y)
                if not number:
                    self.page.mouse.down()
        if self.touches:
            self.session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        else:
            self.page.mouse.up()
        self.page.wait_for_timeout(500)  # the editor draws it

    def mask(self) -> np.ndarray:
        """What is filled, as the page shows it: (height, width) booleans.

        Inverted first: what is the same as before would not be seen to come.
        """
        shown, invert = self.page.locator("#inpaint-shown-mask img"), self.page.locator("#inpaint-invert input")
        for inverted in (True, False):
            before = shown.get_attribute("src") if shown.count() else ""
            invert.set_checked(inverted)
            self.page.locator("#inpaint-look").click()
            expect(shown).not_to_have_attribute("src", before)
        with urllib.request.urlopen(shown.get_attribute("src")) as answer:
            return read(answer.read()).samples[..., 0] > 127


@on("desktop")
def test_what_was_painted_stays_until_it_is_erased(page, tmp_path, rng):  # noqa: F811
    write(Image(rng.integers(0, 256, (200, 280, 3)).astype(np.uint8)), tmp_path / "photo.png")
    page.get_by_role("tab", name="Inpaint").click()
    page.locator("#inpaint-input input[type=file]").first.set_input_files(tmp_path / "photo.png")
    expect(page.locator("#inpaint-facts")).to_contain_text("280 × 200 px")
    page.get_by_text("Other masks, and their edges").click()
    canvas = Canvas(page, (280, 200))
    canvas.take("Brush")
    canvas.stroke((60, 40), (100, 40), (220, 40))
    canvas.stroke((60, 160), (100, 160), (220, 160))
    both = canvas.mask()
    canvas.take("Erase")
    canvas.stroke((20, 160), (100, 160), (260, 160))
    one = canvas.mask()
    assert 0.4 < one.sum() / both.sum() < 0.6
    np.testing.assert_array_equal(one[:100], both[:100])
    assert both[100:].any() and not one[100:].any()
    choose(page, "inpaint", "Diffusion")
    np.testing.assert_array_equal(canvas.mask(), one)
    page.locator("#inpaint-run").click()
    expect(page.locator("#inpaint-status")).to_contain_text("every other pixel untouched")
    expect(page.locator("#inpaint-undo")).to_be_enabled()
    page.locator("#inpaint-undo").click()
    expect(page.locator("#inpaint-undo")).to_be_disabled()
    page.wait_for_timeout(1500)  # the editor takes the picture
    again = canvas.mask()
    assert (again & one).sum() > 0.9 * one.sum() and (again != one).mean() < 0.05


@on("phone")
def test_the_place_of_the_canvas_is_kept_from_the_tap_on_and_never_blank(page):  # noqa: F811
    page.get_by_role("tab", name="Inpaint").click()
    coming, below = page.locator("#inpaint-coming"), page.locator("#inpaint-run")
    expect(coming).to_be_hidden()
    page.evaluate(
        """() => {
          window.blank = 0;
          const look = () => {
            const canvas = document.querySelector("#inpaint-editor");
            const drawn = canvas?.querySelector("[aria-label=Undo]:not(:disabled)");
            if (canvas && !drawn && !document.querySelector("#inpaint-coming").clientHeight) window.blank += 1;
            setTimeout(() => requestAnimationFrame(() => setTimeout(look)), 20);
          };
          look();
        }"""
    )
    page.locator("#inpaint-examples button.thumbnail-item").first.click()
    expect(coming).to_be_visible()
    page.wait_for_timeout(1000)  # it has been scrolled into sight
    before = below.bounding_box()["y"] + page.evaluate("scrollY")
    expect(page.locator("#inpaint-editor [aria-label=Undo]")).to_be_enabled()
    expect(coming).to_be_hidden()
    assert abs(below.bounding_box()["y"] + page.evaluate("scrollY") - before) < 2
    assert page.evaluate("window.blank") == 0
    page.wait_for_timeout(2000)  # closing the page while the editor sends its picture would be logged by the server


@on("desktop")
def test_no_canvas_is_waited_for_where_a_picture_cannot_be_read(page, tmp_path):  # noqa: F811
    (tmp_path / "photo.png").write_bytes(b"no picture")
    page.get_by_role("tab", name="Inpaint").click()
    page.locator("#inpaint-input input[type=file]").first.set_input_files(tmp_path / "photo.png")
    expect(page.locator("#inpaint-facts")).to_contain_text("⚠️")
    expect(page.locator("#inpaint-coming")).to_be_hidden()
    expect(page.locator("#inpaint-editor")).to_have_count(0)


@on("desktop")
def test_a_fill_does_not_wait_for_a_picture_whose_upload_failed(page, photo, tmp_path):  # noqa: F811
    page.get_by_role("tab", name="Inpaint").click()
    page.route("**/upload?*", lambda route: route.fulfill(status=413, json={"detail": "Too large."}))
    write(photo, tmp_path / "photo.png")
    page.locator("#inpaint-input input[type=file]").first.set_input_files(tmp_path / "photo.png")
    page.locator("#inpaint-run").click()
    expect(page.get_by_text("Choose an image first.")).to_be_visible(timeout=10_000)
    (answer,) = page.errors
    assert "Too large." in answer
    page.errors.clear()
