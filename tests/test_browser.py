"""The page in a real browser: upload, run, compare, download, cancel, on a desktop and on a phone."""

import shutil
import urllib.request
import zipfile

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

import restoration
from restoration import artifacts, denoising, running, tasks, upscaling
from restoration.files import read, write
from restoration.image import Image, enlarged
from restoration.orders import Order
from restoration.receipts import read_receipt

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

expect.set_options(timeout=60_000)  # on a busy machine a page takes its time

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.filterwarnings("default"),  # Playwright's own event loop
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield running
        running.close()


SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


def on(device: str):
    """A test of what does not depend on the device: on this one, and with `-m load` on the others as well."""
    others = [pytest.param(other, marks=pytest.mark.load) for other in SIZES if other != device]
    return pytest.mark.parametrize("page", [device, *others], indirect=True)


@pytest.fixture(params=SIZES)
def page(browser, server, request):
    width, height = SIZES[request.param]
    page = browser.new_page(viewport={"width": width, "height": height}, has_touch=width < 500)
    page.set_default_timeout(60_000)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("response", lambda answer: answer.status >= 400 and page.errors.append(f"{answer.url}: {answer.text()}"))
    page.on("console", lambda said: "Content Security Policy" in said.text and page.errors.append(said.text))
    page.goto(f"{server}/?tab=denoise")
    page.wait_for_selector("#denoise-run")
    yield page
    assert page.errors == []
    page.close()


@pytest.mark.parametrize("site, works", [("https://huggingface.co/", True), ("http://other.example/", False)])
def test_hugging_face_shows_the_page_in_a_frame_and_an_unencrypted_site_does_not(browser, server, site, works):
    def demo(route):
        answer = route.fetch(url=route.request.url.replace("https://demo.example", server))
        route.fulfill(response=answer)

    outer, said = browser.new_page(), []
    outer.on("console", lambda line: said.append(line.text))
    outer.route("https://demo.example/", demo)
    frame = '<iframe src="https://demo.example/"></iframe>'
    outer.route(site, lambda route: route.fulfill(body=frame, content_type="text/html"))
    outer.goto(site)
    expect(outer.frame_locator("iframe").locator("gradio-app")).to_have_count(1 if works else 0)
    assert any("frame-ancestors" in line for line in said) == (not works)
    outer.close()


def all_methods(page, task: str):
    """The list of all methods of a tab, opened."""
    methods = page.locator(f"#{task}-model input")
    if not methods.count():
        page.get_by_text("All methods").locator("visible=true").click()
    return methods


def choose(page, task: str, title: str) -> None:
    all_methods(page, task).click()
    page.get_by_role("option", name=title, exact=True).click()


def shown(page, index: int, task: str = "denoise"):
    """The picture on one side of the compare slider, fetched as the browser does."""
    source = page.locator(f"#{task}-compare [data-testid=imageslider-image]").nth(index).get_attribute("src")
    with urllib.request.urlopen(source) as answer:
        return read(answer.read()), answer


def test_upload_run_compare_and_download(page, photo, tmp_path):
    path = tmp_path / "my photo.png"
    write(photo, path)
    page.locator("#denoise-input input[type=file]").first.set_input_files(path)
    expect(page.locator("#denoise-facts")).to_contain_text("90 × 70 px")
    page.locator("#denoise-run").click()
    expect(page.locator("#denoise-status")).to_contain_text(Order("denoise").method.title)
    expect(page.locator("#denoise-compare [data-testid=imageslider-image]")).to_have_count(2)

    restored = running.finish(denoising.denoise(photo))
    np.testing.assert_array_equal(shown(page, 0)[0].samples, photo.samples)
    np.testing.assert_array_equal(shown(page, 1)[0].samples, restored.image().samples)
    assert not np.array_equal(restored.image().samples, photo.samples)

    with page.expect_download() as download:
        page.locator("#denoise-download").click()
    assert download.value.suggested_filename == "my photo_denoised.png"
    assert download.value.path().read_bytes() == running.finish(Order("denoise").run(read(path))).files()[0]

    page.locator("#denoise-strength input[type=number]").fill("0")
    page.locator("#denoise-strength input[type=number]").press("Enter")
    expect(page.locator("#denoise-status")).to_contain_text("strength 0 %")
    np.testing.assert_array_equal(shown(page, 1)[0].samples, photo.samples)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
        "the page is wider than the screen"
    )


@on("phone")
def test_an_example_is_two_clicks_from_a_result(page):
    page.locator("#denoise-examples button.thumbnail-item").first.click()
    expect(page.locator("#denoise-facts")).to_contain_text("measured noise level")
    page.locator("#denoise-run").click()
    expect(page.locator("#denoise-compare [data-testid=imageslider-image]")).to_have_count(2)


@on("desktop")
def test_who_points_at_something_is_not_carried_away_from_it(page):
    page.set_viewport_size({"width": 390, "height": 400})
    status = page.locator("#denoise-status")
    for points in (True, False):
        page.evaluate("document.getElementById('denoise-run').scrollIntoView({ block: 'end', behavior: 'instant' })")
        page.locator("#denoise-run").click()
        if points:
            page.mouse.down()
            page.wait_for_timeout(100)  # in which the browser has heard of it
            before = page.evaluate("scrollY")
            page.wait_for_timeout(1000)
            assert page.evaluate("scrollY") == before
            page.mouse.up()
        else:
            page.wait_for_function("document.getElementById('denoise-status').getBoundingClientRect().top < 10")
    expect(status).to_be_in_viewport()


@on("phone")
def test_a_click_that_waited_for_its_picture_does_not_scroll_again(page, photo, tmp_path):
    page.set_viewport_size({"width": 390, "height": 400})
    page.route("**/upload?*", lambda route: (page.wait_for_timeout(1500), route.continue_()))
    write(photo, tmp_path / "photo.png")
    page.locator("#denoise-input input[type=file]").first.set_input_files(tmp_path / "photo.png")
    page.locator("#denoise-run").click()
    expect(page.locator("#denoise-run")).to_have_attribute("aria-busy", "true")
    page.wait_for_function("document.getElementById('denoise-status').getBoundingClientRect().top < 100")
    page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    expect(page.locator("#denoise-download")).to_be_enabled()
    page.wait_for_timeout(500)
    assert page.evaluate("scrollY") < 100  # what appears above the button moves it by a little


@on("desktop")
def test_running_without_a_picture_says_so(page):
    page.locator("#denoise-run").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Choose an image first")


@on("phone")
def test_cancel_stops_a_long_run(page, rng, tmp_path):
    from restoration.image import Image

    small = rng.integers(0, 256, (60, 60, 3)).astype(np.uint8)
    write(Image(np.tile(small, (60, 60, 1))), tmp_path / "big.png")
    page.locator("#denoise-input input[type=file]").first.set_input_files(tmp_path / "big.png")
    expect(page.locator("#denoise-facts")).to_contain_text("3600 × 3600 px")
    choose(page, "denoise", "Bilateral")
    page.locator("#denoise-run").click()
    expect(page.get_by_text("Restoring").first).to_be_visible()
    page.locator("#denoise-cancel").click()
    expect(page.locator("#denoise-status")).to_contain_text("Cancelled")
    page.wait_for_timeout(1500)
    expect(page.locator("#denoise-compare [data-testid=imageslider-image]")).to_have_count(0)


@on("desktop")
def test_the_quality_of_a_jpeg_is_told_its_artifacts_removed_and_the_strength_moves(page, photo, tmp_path):
    path = tmp_path / "my photo.jpg"
    write(photo, path, quality=20)
    saved = read(path)
    page.get_by_role("tab", name="Artifacts").click()
    page.locator("#artifacts-input input[type=file]").first.set_input_files(path)
    expect(page.locator("#artifacts-facts")).to_contain_text("JPEG quality 20")
    expect(page.locator("#artifacts-facts")).to_contain_text("worth a run")
    page.locator("#artifacts-run").click()
    expect(page.locator("#artifacts-status")).to_contain_text("JPEG quality 20")
    expect(page.locator("#artifacts-compare [data-testid=imageslider-image]")).to_have_count(2)
    cleaned = running.finish(artifacts.remove_artifacts(saved, restoration.methods("artifacts")[0].name)).image()
    np.testing.assert_array_equal(shown(page, 0, "artifacts")[0].samples, saved.samples)
    np.testing.assert_array_equal(shown(page, 1, "artifacts")[0].samples, cleaned.samples)
    with page.expect_download() as download:
        page.locator("#artifacts-download").click()
    assert download.value.suggested_filename == "my photo_cleaned.png"
    page.locator("#artifacts-strength input[type=number]").fill("0")
    page.locator("#artifacts-strength input[type=number]").press("Enter")
    expect(page.locator("#artifacts-status")).to_contain_text("strength 0 %")
    np.testing.assert_array_equal(shown(page, 1, "artifacts")[0].samples, saved.samples)


@on("phone")
def test_upscale_says_the_size_before_compares_with_bicubic_and_stays_true(page, photo, tmp_path):
    path = tmp_path / "my photo.png"
    write(photo, path)
    page.get_by_role("tab", name="Upscale").click()
    page.locator("#upscale-input input[type=file]").first.set_input_files(path)
    expect(page.locator("#upscale-facts")).to_contain_text("becomes 360 × 280 px")
    choose(page, "upscale", "Compact")
    page.locator("#upscale-scale").get_by_text("×3").click()
    expect(page.locator("#upscale-facts")).to_contain_text("becomes 270 × 210 px")
    page.locator("#upscale-run").click()
    expect(page.locator("#upscale-status")).to_contain_text("your photo")
    expect(page.locator("#upscale-compare [data-testid=imageslider-image]")).to_have_count(2)

    expected = running.finish(upscaling.upscale(photo, "compact", 3))
    np.testing.assert_array_equal(shown(page, 0, "upscale")[0].samples, enlarged(photo, 3).samples)
    np.testing.assert_array_equal(shown(page, 1, "upscale")[0].samples, expected.image().samples)
    with page.expect_download() as download:
        page.locator("#upscale-download").click()
    assert download.value.suggested_filename == "my photo_x3.png"
    order = Order("upscale", "compact", {"scale": 3})
    assert download.value.path().read_bytes() == running.finish(order.run(read(path))).files()[0]

    page.locator("#upscale-true input").check()
    true = running.finish(upscaling.upscale(photo, "compact", 3, stay_true=True))
    expect(page.locator("#upscale-status")).to_contain_text(tasks.named("upscale").told(true))
    np.testing.assert_array_equal(shown(page, 1, "upscale")[0].samples, true.image().samples)
    page.get_by_text("Where was detail invented?").click()
    expect(page.locator("#upscale-heat")).to_contain_text(f"{true.found.psnr:.2f} dB")
    expect(page.locator("#upscale-heat img")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
        "the page is wider than the screen"
    )


@on("phone")
def test_the_scale_picker_and_the_blend_slider_follow_the_model(page):
    page.get_by_role("tab", name="Upscale").click()
    expect(page.locator("#upscale-scale input")).to_have_count(2)
    expect(page.locator("#upscale-alpha")).to_be_hidden()
    choose(page, "upscale", "ESRGAN")
    expect(page.locator("#upscale-scale input")).to_have_count(1)
    expect(page.locator("#upscale-alpha")).to_be_visible()


@on("desktop")
def test_a_reduction_trial_is_scored_beside_bicubic(page):
    page.get_by_role("tab", name="Upscale").click()
    page.get_by_text("Test a model: reduce a sharp picture").click()
    page.locator("#upscale-sharp-examples button.gallery-item").first.click()
    expect(page.locator("#upscale-facts")).to_contain_text("512 × 512 px")
    page.locator("#upscale-trial-run").click()
    expect(page.locator("#upscale-scores")).to_contain_text("This model")
    expect(page.locator("#upscale-scores")).to_contain_text("dB")


@on("phone")
def test_painting_a_hole_fills_it_and_leaves_the_surroundings_alone(page, photo, tmp_path):
    path = tmp_path / "my photo.png"
    write(photo, path)
    page.get_by_role("tab", name="Inpaint").click()
    page.locator("#inpaint-input input[type=file]").first.set_input_files(path)
    expect(page.locator("#inpaint-facts")).to_contain_text("90 × 70 px")
    page.locator("#inpaint-editor").scroll_into_view_if_needed()
    page.locator("#inpaint-editor button[aria-label=Brush]").click()
    for key, size in (("]", "30"), ("[", "24")):
        page.keyboard.press(key)
        expect(page.locator("#inpaint-editor .paint-bar output")).to_have_text(size)
    page.wait_for_timeout(1500)  # the editor zooms its picture to fit
    box = page.locator("#inpaint-editor canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 10, y)
    page.mouse.down()
    for step in range(5):
        page.mouse.move(x - 10 + 5 * step, y)
    page.mouse.up()
    uploads = []
    page.on("request", lambda request: request.url.endswith("/upload") and uploads.append(request.url))
    page.locator("#inpaint-run").click()
    expect(page.locator("#inpaint-status")).to_contain_text("every other pixel untouched")
    result = shown(page, 1, "inpaint")[0].samples
    changed = (result != photo.samples).any(axis=2)
    assert 0.005 < changed.mean() < 0.6
    rows, columns = np.nonzero(changed)
    assert (rows.min() <= 35 <= rows.max()) and (
        columns.min() <= 45 <= columns.max()
    )  # the middle, where it was painted
    assert not changed[:3].any() and not changed[:, :3].any()
    with page.expect_download() as download:
        page.locator("#inpaint-download").click()
    assert download.value.suggested_filename == "my photo_inpainted.png"
    expect(page.locator("#inpaint-undo")).to_be_enabled()  # the result is the canvas now
    expect(page.locator("#inpaint-compare [data-testid=imageslider-image]")).to_have_count(2)
    page.locator("#inpaint-undo").click()
    expect(page.locator("#inpaint-undo")).to_be_disabled()
    assert 0 < len(uploads) < 20  # what the editor holds, not anew at each news of the run: those were a hundred
    page.wait_for_timeout(2000)  # closing the page while the editor sends its picture would be logged by the server


@on("desktop")
def test_the_other_method_and_variants_are_a_tap_away(page, tmp_path):
    grass = np.random.default_rng(0).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    write(Image(np.tile(grass, (10, 14, 1))), tmp_path / "grass.png")  # to be copied
    hole = np.zeros((120, 168, 1), np.uint8)
    hole[40:80, 60:100] = 255
    write(Image(hole), tmp_path / "mask.png")
    page.get_by_role("tab", name="Inpaint").click()
    page.locator("#inpaint-input input[type=file]").first.set_input_files(tmp_path / "grass.png")
    expect(page.locator("#inpaint-facts")).to_contain_text("168 × 120 px")
    page.get_by_text("Other masks, and their edges").click()
    page.locator("#inpaint-mask input[type=file]").first.set_input_files(tmp_path / "mask.png")
    expect(page.locator("#inpaint-mask img").first).to_be_visible()
    page.locator("#inpaint-run").click()
    status, other, another = (page.locator(f"#inpaint-{name}") for name in ("status", "other", "another"))
    expect(status).to_contain_text("Chosen: Offset fill")
    expect(other).to_have_text("Fill with Fourier fill")
    first = shown(page, 1, "inpaint")[0].samples
    another.click()
    expect(status).to_contain_text("Variant 1 of 3")
    expect(page.locator("#inpaint-download")).to_be_enabled()
    second = shown(page, 1, "inpaint")[0].samples
    outside = hole[..., 0] == 0
    assert (first[outside] == second[outside]).mean() > 0.9
    other.click()
    expect(other).to_have_text("Fill with Offset fill")
    expect(status).to_contain_text("Fourier fill")
    assert (shown(page, 1, "inpaint")[0].samples != first).any()


@on("phone")
def test_a_tap_on_a_models_row_tells_about_it_and_gives_lines_to_copy(page):
    page.get_by_role("tab", name="Models").click()
    expect(page.locator("#models-about")).to_contain_text("million parameters")
    page.locator("#models-table [role=gridcell]", has_text="mwcnn-gray").first.click()
    expect(page.locator("#models-about")).to_contain_text("scans")
    expect(page.locator("#models-python")).to_contain_text('load("mwcnn-gray")')
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@on("desktop")
def test_from_opening_the_page_to_the_file_are_three_clicks(page):
    page.locator("#denoise-examples button.thumbnail-item").first.click()
    expect(page.locator("#denoise-facts")).to_contain_text("512 × 512 px")
    page.locator("#denoise-run").click()
    expect(page.locator("#denoise-download")).to_be_enabled(timeout=60_000)
    with page.expect_download() as download:
        page.locator("#denoise-download").click()
    assert read(download.value.path()).samples.shape == (512, 512, 3)
    with page.expect_download() as download:
        page.locator("#denoise-receipt").click()
    assert read_receipt(download.value.path())["model"] == Order("denoise").model


@on("phone")
def test_an_address_brings_back_tab_and_settings_and_follows_them(page, server):
    page.goto(f"{server}/?tab=upscale&model=esrgan&scale=4&alpha=0.5&stay_true=true")
    expect(page.locator("#upscale-purpose input:checked")).to_have_count(0)  # none of the few that visitors see
    expect(all_methods(page, "upscale")).to_have_value("ESRGAN")
    expect(page.locator("#upscale-alpha input[type=number]")).to_have_value("0.5")
    expect(page.locator("#upscale-true input")).to_be_checked()
    page.locator("#upscale-true input").uncheck()
    page.wait_for_url("**stay_true=false")
    page.get_by_text("Share these settings, never your picture").locator("visible=true").click()
    page.locator("#upscale-share").click()
    expect(page.locator("#upscale-link textarea, #upscale-link input")).to_have_value(page.url)
    assert "model=esrgan&scale=4&alpha=0.5" in page.url
    page.get_by_role("tab", name="Artifacts").click()
    page.wait_for_url("**tab=artifacts&model=drunet-jpeg**")
    page.reload()
    expect(page.locator("#artifacts-run")).to_be_visible()


@on("desktop")
def test_a_tap_bakes_the_spot_by_every_model_and_a_tap_on_the_best_chooses_it(page, photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    page.locator("#denoise-input input[type=file]").first.set_input_files(tmp_path / "photo.png")
    expect(page.locator("#denoise-facts")).to_contain_text("90 × 70 px")
    page.locator("#denoise-input img").first.click()
    offered = [method for method in restoration.methods("denoise") if not method.prior]
    patches = page.locator("#denoise-bakery button.thumbnail-item")
    expect(patches).to_have_count(1 + len(offered), timeout=30_000)
    patches.nth(3).click()
    expect(all_methods(page, "denoise")).to_have_value(offered[2].title)


@on("phone")
def test_the_middle_of_a_clean_picture_bakes_with_true_scores(page):
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("Test a model: compress").click()
    page.locator("#artifacts-clean-examples button.gallery-item").first.click()
    expect(page.locator("#artifacts-facts")).to_contain_text("512 × 512 px")
    page.locator("#artifacts-trial-all").click()
    captions = page.locator("#artifacts-bakery .caption-label")
    expect(captions).to_have_count(5, timeout=30_000)
    assert all("dB" in caption for caption in captions.all_inner_texts())


@on("desktop")
def test_many_files_are_restored_at_once_and_the_bad_one_is_a_row(page, photo, tmp_path):
    for name in ("a.png", "b.png"):
        write(photo, tmp_path / name)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    page.get_by_text("Many files at once").locator("visible=true").click()
    files, sent = [tmp_path / name for name in ("a.png", "bad.png", "b.png")], []
    page.on("request", lambda request: "/gradio_api/upload?" in request.url and sent.append(request))
    page.locator("#denoise-files input[type=file]").set_input_files(files)
    page.locator("#denoise-batch-run").click()
    expect(page.locator("#denoise-zip")).to_be_enabled(timeout=30_000)
    expect(page.locator("#denoise-report")).to_contain_text("bad.png is not a JPEG")
    expect(page.locator("#denoise-results a[download]")).to_have_count(2)
    assert len(sent) == 3  # a request is bounded, a batch is not
    with page.expect_download() as download:
        page.locator("#denoise-zip").click()
    with zipfile.ZipFile(download.value.path()) as zipped:
        assert {"a_denoised.png", "b_denoised.png", "report.csv"} < set(zipped.namelist())


@on("phone")
def test_a_rating_is_kept_and_the_performance_tab_shows_it(page, photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    page.locator("#denoise-input input[type=file]").first.set_input_files(tmp_path / "photo.png")
    expect(page.locator("#denoise-takes")).to_contain_text("of memory here")
    page.locator("#denoise-run").click()
    expect(page.locator("#denoise-download")).to_be_enabled(timeout=60_000)
    page.get_by_text("Rate this result").locator("visible=true").click()
    page.get_by_label("Better than my picture").check()
    page.locator("#denoise-rate").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Thank you")
    page.get_by_role("tab", name="Performance").click()
    expect(page.locator("#performance-line")).to_contain_text("runs")
    expect(page.locator("#performance-table")).to_contain_text(Order("denoise").model)
    with page.expect_download() as download:
        page.locator("#performance-csv").click()
    assert ',"better",' in download.value.path().read_text()


@on("desktop")
def test_the_comparison_moves_by_keyboard_and_opens_at_exact_size(page):
    page.locator("#denoise-examples button.thumbnail-item").first.click()
    expect(page.locator("#denoise-facts")).to_contain_text("512 × 512 px")
    page.locator("#denoise-run").click()
    page.wait_for_function(
        """() => {
          const shown = [...document.querySelectorAll("#denoise-compare [data-testid=imageslider-image]")];
          return shown.length === 2 && shown.every((image) => image.complete && image.naturalWidth > 0);
        }"""
    )
    handle = page.locator("#denoise-compare [role=slider]")
    handle.focus()
    before = float(handle.get_attribute("aria-valuenow"))
    handle.press("ArrowLeft")
    page.wait_for_function(
        """(wanted) => {
          const handle = document.querySelector("#denoise-compare [role=slider]");
          return Math.abs(Number(handle.getAttribute("aria-valuenow")) - wanted) <= 1;
        }""",
        arg=before - 5,
    )
    page.locator("#denoise-compare").get_by_role("button", name="1:1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
