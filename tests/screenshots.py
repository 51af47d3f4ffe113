"""Take the README's pictures of every tab anew: `python -m tests.screenshots`; needs Chromium."""

import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

import restoration
from tests.conftest import serving
from tests.test_browser import ARGUMENTS, CHROMIUM

ROOT = Path(restoration.__file__).parent.parent
FOLDER = ROOT / "restoration" / "assets" / "pages"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
EXAMPLES = {"photo": 0, "denoise": 0, "artifacts": 1, "upscale": 1, "inpaint": 0}


def shoot(page: Page, name: str) -> None:
    """Run an example in every tab, and photograph what is seen then."""
    for task, example in EXAMPLES.items():
        page.get_by_role("tab", name=task.capitalize()).click()
        page.locator(f"#{task}-examples button.thumbnail-item").nth(example).click()
        expect(page.locator(f"#{task}-facts")).to_contain_text("px", timeout=60_000)
        page.locator(f"#{task}-run").click()
        expect(page.locator(f"#{task}-download")).to_be_enabled(timeout=120_000)
        if name == "phone":
            page.locator(f"#{task}-compare").scroll_into_view_if_needed()
        else:
            page.evaluate("window.scrollTo(0, 0)")
        save(page, f"{task}_{name}")
    for tab in ("Models", "Performance"):
        page.get_by_role("tab", name=tab).click()
        save(page, f"{tab.lower()}_{name}")


def save(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.wait_for_timeout(2500)
    Image.open(BytesIO(page.screenshot())).convert("RGB").save(FOLDER / f"{name}.webp", quality=75, method=6)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        serving(ROOT, Path(scratch), {"HF_HUB_OFFLINE": "1"}) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height}, has_touch=name == "phone")
            page.goto(address)
            page.wait_for_selector("#photo-run")
            shoot(page, name)


if __name__ == "__main__":
    main()
