"""The page's handlers and the API: the same bytes as the command line, one sentence for every failure."""

import importlib.util
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
import gradio_client
import httpx
import numpy as np
import pytest
from gradio_client import handle_file

import app
import restoration
from restoration import catalog, denoising, gallery, recording, running, tasks
from restoration.__main__ import main as command_line
from restoration.files import encode, read, write
from restoration.image import Image, enlarged
from restoration.orders import Order
from restoration.page import masks, models, parts, turns
from restoration.page.address import Tab, from_address
from restoration.page.before import displayable, expected, expected_of, facts, guide, in_words
from restoration.page.inpaint_tab import begun, undone, went_on_from
from restoration.page.layout import tab_of
from restoration.page.masks import canvas, own_mask, show_mask
from restoration.page.parts import unchanged
from restoration.page.runs import NEWS, Runs, rate, stepped
from restoration.page.runs import again as result_of
from restoration.page.snippets import snippets
from restoration.page.waiting import WAITING
from restoration.records import Record, Records
from restoration.tiling import Progress
from tests.conftest import built, by_api, serving, until


def silent(*_, **__):
    """Progress that nobody watches."""


def runs(task):
    return tab_of(tasks.named(task)).runs


@pytest.fixture
def client(server, tmp_path):
    return gradio_client.Client(server, verbose=False, download_files=tmp_path / "downloads", analytics_enabled=False)


@pytest.mark.parametrize("model, sigma, strength", [("drunet-fast", "auto", 0.8), ("non-local-means", "25", 1.0)])
def test_api_and_command_line_and_page_give_equal_bytes(client, photo, tmp_path, model, sigma, strength):
    path = tmp_path / "photo.png"
    write(photo, path)
    answer, _ = client.predict(handle_file(path), model, sigma, strength, "png", 95, api_name="/denoise")
    assert Path(answer).name == "photo_denoised.png"
    argv = ["denoise", str(path), "-o", str(tmp_path / "out"), "--model", model, "--sigma", sigma]
    command_line([*argv, "--strength", str(strength)])
    expected = (tmp_path / "out" / "photo_denoised.png").read_bytes()
    assert Path(answer).read_bytes() == expected
    steps = runs("denoise").run(silent, str(path), model, sigma == "auto", 25, 100 * strength, "png", 95)
    for shown in steps:
        if isinstance(shown[0], tuple):
            assert Path(shown[0][1]).read_bytes() == expected
            assert Path(shown[1]["value"]).read_bytes() == expected
            break
    else:
        raise AssertionError("the page showed nothing")


@pytest.mark.parametrize(
    "model, quality", [(restoration.methods("artifacts")[0].name, "auto"), ("deblocking-tv", "20")]
)
def test_artifacts_gives_equal_bytes_by_api_command_line_and_page(client, photo, tmp_path, model, quality):
    path = tmp_path / "photo.jpg"
    write(photo, path, quality=20)
    answer, _ = client.predict(handle_file(path), model, quality, 0.8, "png", 95, api_name="/artifacts")
    assert Path(answer).name == "photo_cleaned.png"
    argv = ["artifacts", str(path), "-o", str(tmp_path / "out"), "--model", model, "--quality", quality]
    command_line([*argv, "--strength", "0.8"])
    expected = (tmp_path / "out" / "photo_cleaned.png").read_bytes()
    assert Path(answer).read_bytes() == expected
    for shown in runs("artifacts").run(silent, str(path), model, quality == "auto", 20, 80, "png", 95):
        if isinstance(shown[0], tuple):
            assert Path(shown[1]["value"]).read_bytes() == expected
            assert "JPEG quality 20" in shown[3]
            break
    else:
        raise AssertionError("the page showed nothing")


@pytest.mark.parametrize("arguments, words", [
    (("nothing", "auto", 1.0, "png"), "There is no artifacts model called"),
    (("deblocking-tv", "much", 1.0, "png"), 'quality must be "auto" or a number.'),
    (("deblocking-tv", "3", 1.0, "png"), "goes from 5 to 95"),
])  # fmt: skip
def test_artifacts_answers_wrong_settings_with_a_sentence(client, photo, tmp_path, arguments, words):
    write(photo, tmp_path / "photo.png")
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        client.predict(handle_file(tmp_path / "photo.png"), *arguments, 95, api_name="/artifacts")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "model, scale, stay_true", [("compact", 4, False), ("lanczos-x3", 0, False), ("bicubic", 2, True)]
)
def test_upscale_gives_equal_bytes_by_api_command_line_and_page(client, photo, tmp_path, model, scale, stay_true):
    path = tmp_path / "photo.png"
    write(photo, path)
    answer, _ = client.predict(handle_file(path), model, scale, 1.0, stay_true, "png", 95, api_name="/upscale")
    name = f"photo_x{scale or 3}.png"
    assert Path(answer).name == name
    argv = ["upscale", str(path), "-o", str(tmp_path / "out"), "--model", model]
    command_line([*argv, *(["--scale", str(scale)] if scale else []), *(["--stay-true"] if stay_true else [])])
    expected = (tmp_path / "out" / name).read_bytes()
    assert Path(answer).read_bytes() == expected
    for shown in runs("upscale").run(silent, str(path), model, scale or 3, 1.0, stay_true, "png", 95):
        if isinstance(shown[0], tuple):
            before, after = (Path(file).read_bytes() for file in shown[0])
            assert after == Path(shown[1]["value"]).read_bytes() == expected
            np.testing.assert_array_equal(read(before).samples, enlarged(photo, scale or 3).samples)
            assert read(shown[6]["value"]).samples.shape == photo.samples.shape
            assert "your photo" in shown[3]
            break
    else:
        raise AssertionError("the page showed nothing")


@pytest.mark.parametrize("with_mask", [True, False])
def test_inpaint_gives_equal_bytes_by_api_command_line_and_page(client, photo, tmp_path, with_mask):
    hole = np.zeros((35, 45), np.uint8)
    hole[10:15, 20:30] = 255
    write(Image(hole[..., None]), tmp_path / "mask.png")
    alpha = None if with_mask else 255 - hole.repeat(2, 0).repeat(2, 1)
    write(Image(photo.samples, alpha), tmp_path / "photo.png")
    image, mask = str(tmp_path / "photo.png"), str(tmp_path / "mask.png") if with_mask else None
    settings = ("diffusion", False, 1, 2, True, 0, "png", 95)
    answer, _ = client.predict(handle_file(image), mask and handle_file(mask), *settings, api_name="/inpaint")
    assert Path(answer).name == "photo_inpainted.png"
    holes = ["--mask", mask] if with_mask else ["--transparent"]
    argv = ["inpaint", image, "-o", str(tmp_path / "out"), "--model", "diffusion", "--grow", "1", "--feather", "2"]
    command_line([*argv, *holes])
    expected = (tmp_path / "out" / "photo_inpainted.png").read_bytes()
    assert Path(answer).read_bytes() == expected
    painted = {"background": None, "layers": [], "composite": None}
    marks = (painted, mask, not with_mask)
    for shown in runs("inpaint").run(silent, image, "diffusion", False, 1, 2, True, 0, "png", 95, *marks, None, []):
        if shown[0] != gr.skip():
            assert shown[0]["slider_position"] == pytest.approx(100 * 25 / 45, abs=2)  # through the middle of the hole
            assert Path(shown[1]["value"]).read_bytes() == expected
            assert "every other pixel untouched" in shown[3]
            assert ("mask was resized from 45 × 35" in shown[3]) == with_mask
            break
    else:
        raise AssertionError("the page showed nothing")


def test_models_are_listed(client):
    listed = client.predict(api_name="/models")
    defaults = [entry["name"] for entry in listed if entry["default"]]
    assert defaults == ["steps", "drunet-photo", "drunet-jpeg", "photo-x4", "auto"]
    assert {entry["scale"] for entry in listed if entry["task"] == "upscale"} == {2, 3, 4}
    assert {"name", "task", "title", "summary", "scale", "learned", "default", "weights"} == set(listed[0])


@pytest.mark.parametrize("arguments, words", [
    (("nothing", "auto", 1.0, "png"), "There is no denoise model called"),
    (("median", "loud", 1.0, "png"), 'sigma must be "auto" or a number.'),
    (("median", "400", 1.0, "png"), "sigma goes from 0 to 100"),
    (("median", "auto", 7.0, "png"), "strength goes from 0 to 1"),
    (("median", "auto", 1.0, "exe"), "format is one of"),
])  # fmt: skip
def test_the_api_answers_wrong_settings_with_a_sentence(client, photo, tmp_path, arguments, words):
    write(photo, tmp_path / "photo.png")
    with pytest.raises(gradio_client.exceptions.AppError, match=words):
        client.predict(handle_file(tmp_path / "photo.png"), *arguments, 95, api_name="/denoise")


@pytest.mark.parametrize("arguments, words", [
    (("nothing", 0, 1.0, False, "png"), "There is no upscale model called"),
    (("lanczos", 7, 1.0, False, "png"), "Lanczos enlarges by 2, 3 or 4, not by 7"),
    (("lanczos", 0, 3.0, False, "png"), "alpha goes from 0 to 1"),
    (("lanczos", 0, 1.0, False, "exe"), "format is one of"),
])  # fmt: skip
def test_upscale_answers_wrong_settings_with_a_sentence(client, photo, tmp_path, arguments, words):
    write(photo, tmp_path / "photo.png")
    with pytest.raises(gradio_client.exceptions.AppError, match=words):
        client.predict(handle_file(tmp_path / "photo.png"), *arguments, 95, api_name="/upscale")


def test_the_api_answers_a_broken_file_with_a_sentence(client, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        client.predict(handle_file(tmp_path / "broken.png"), "median", "auto", 1.0, "png", 95, api_name="/denoise")
    assert "broken.png is" in str(caught.value)
    assert "/" not in str(caught.value)


def test_cancel_frees_the_worker_for_the_next_job(client, tmp_path, rng, server_folder):
    tile = rng.integers(0, 256, (80, 80, 3)).astype(np.uint8)
    write(Image(np.tile(tile, (60, 60, 1))), tmp_path / "large.png")  # half a minute of work, in a small file
    long = client.submit(handle_file(tmp_path / "large.png"), "bilateral", "25", 1.0, "png", 95, api_name="/denoise")
    until(lambda: long.status().code.name in ("PROCESSING", "PROGRESS") or long.done())
    assert not long.done(), "the picture is too small to be cancelled in the middle"
    long.cancel()
    small = tmp_path / "small.png"
    write(read(_noise_file(tmp_path, rng, 32)), small)
    client.predict(handle_file(small), "mean", "auto", 1.0, "png", 95, api_name="/denoise")
    with closing(sqlite3.connect(server_folder / "records.sqlite")) as database:
        outcomes = "SELECT outcome FROM runs WHERE model = 'bilateral' AND width = 4800"
        until(lambda: database.execute(outcomes).fetchall())
        assert database.execute(outcomes).fetchall() == [("cancelled",)]


def _noise_file(folder, rng, side: int) -> str:
    path = folder / "noise.png"
    write(Image(rng.integers(0, 256, (side, side, 3)).astype(np.uint8)), path)
    return str(path)


def run_page(path, **changes):
    settings = {
        "model": "median",
        "auto": True,
        "sigma_255": 25,
        "strength": 100,
        "format": "png",
        "quality": 95,
        **changes,
    }
    results = []
    for step in runs("denoise").run(silent, path, *settings.values()):
        if isinstance(step[0], tuple):
            results.append([read(shown) for shown in step[0]] + list(step[1:]))
    return results[-1]


def test_the_slider_shows_the_input_and_the_models_exact_pixels(photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    before, after, download, receipt, status, *_ = run_page(str(tmp_path / "photo.png"))
    np.testing.assert_array_equal(before.samples, photo.samples)
    np.testing.assert_array_equal(after.samples, running.finish(denoising.denoise(photo, "median")).image().samples)
    assert "**Median**" in status
    assert "90 × 70 px" in status
    assert receipt["value"] == download["value"] + ".receipt.json"


def test_strength_and_format_move_without_the_model(photo, tmp_path, monkeypatch):
    write(photo, tmp_path / "photo.png")
    *_, state = run_page(str(tmp_path / "photo.png"))
    monkeypatch.setattr(Order, "run", None)
    path, other = str(tmp_path / "photo.png"), str(tmp_path / "other.png")
    for step in runs("denoise").show(silent, state, path, 0, "jpeg", 90):
        shown, download, *_ = step
        np.testing.assert_array_equal(read(shown[1]).samples, photo.samples)  # lossless also when the file is a JPEG
        assert download["value"].endswith("photo_denoised.jpg")
    for run, picture in ((None, path), (state, other)):  # nothing was run yet, or on the picture before
        assert list(runs("denoise").show(silent, run, picture, 50, "png", 95)) == [unchanged(runs("denoise").outputs)]


@pytest.mark.parametrize("make, words", [
    (lambda folder: None, "Choose an image first"),
    (lambda folder: str(folder / "gone.png"), "There is no file called gone.png"),
])  # fmt: skip
def test_failures_on_the_page_are_one_sentence(tmp_path, make, words):
    with pytest.raises(gr.Error, match=words):
        list(runs("denoise").run(silent, make(tmp_path), "median", True, 25, 100, "png", 95))


def test_an_unexpected_failure_shows_nothing_of_the_inside(photo, tmp_path, monkeypatch, caplog):
    write(photo, tmp_path / "photo.png")
    monkeypatch.setattr(Order, "run", lambda *_: 1 / 0)
    with pytest.raises(gr.Error) as caught:
        list(runs("denoise").run(silent, str(tmp_path / "photo.png"), "median", True, 25, 100, "png", 95))
    assert "zero" not in str(caught.value)
    assert "ZeroDivisionError" in caplog.text


def test_a_file_name_cannot_bring_markup_into_a_message(tmp_path):
    (tmp_path / "<img src=x>.png").write_bytes(b"no image")
    assert "<img" not in facts("denoise", str(tmp_path / "<img src=x>.png"))


def test_facts_name_size_depth_and_noise_and_warn_of_clean_pictures(photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    text = facts("denoise", str(tmp_path / "photo.png"))
    assert "90 × 70 px, 8-bit colour" in text
    assert "nearly free of noise" in text
    assert facts("denoise", None) == ""


@pytest.mark.parametrize("kept", [10**6, 0], ids=["small", "large"])
def test_an_upload_is_decoded_once_for_all_that_follows_it(photo, tmp_path, monkeypatch, kept):
    decoded = []
    monkeypatch.setattr(parts, "read", lambda path: decoded.append(path) or read(path))
    monkeypatch.setattr(parts, "AT_HAND", kept)
    first, second = (str(tmp_path / name) for name in ("first.png", "second.png"))
    write(photo, first)
    write(photo, second)
    list(canvas(first))
    facts("inpaint", first)
    list(runs("denoise").run(silent, first, "median", True, 25, 100, "png", 95))
    assert len(decoded) == (1 if kept else 3)
    assert "90 × 70 px" in facts("denoise", second)
    assert decoded[-1] == second
    os.utime(first, ns=(1, 1))
    facts("denoise", first)
    facts("denoise", str(tmp_path / "none.png"))
    assert decoded[-2:] == [first, str(tmp_path / "none.png")]


def test_a_trial_shows_true_scores(photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    steps = runs("denoise").try_out(silent, str(tmp_path / "photo.png"), "median", True, 25, 100, "Gaussian", 25, 0)
    rows = [step[1] for step in steps if isinstance(step[1], list)][-1]
    assert [row[0] for row in rows] == ["With noise", "Denoised"]
    assert float(rows[0][1].removesuffix(" dB")) == pytest.approx(20.4, abs=0.5)
    assert float(rows[1][2]) > float(rows[0][2])


def test_nothing_is_left_behind(photo, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    write(photo, tmp_path / "photo.png")
    run_page(str(tmp_path / "photo.png"))
    assert not list((tmp_path / "temporary").rglob("*.png")), "files of the visitor stayed"
    shutil.rmtree(tmp_path / "temporary")


def test_a_tiff_is_shown_as_a_png_with_the_same_pixels_profile_and_exif(rng, tmp_path):
    samples = rng.integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    write(Image(samples, dpi=(300.0, 300.0)), tmp_path / "scan.tiff")
    count = 0
    for shown in displayable(str(tmp_path / "scan.tiff")):
        count += 1
        assert Path(shown).name == "scan.png"
        np.testing.assert_array_equal(read(shown).samples, samples)
        outputs = [encode(read(source), "tiff") for source in (shown, tmp_path / "scan.tiff")]
        assert outputs[0] == outputs[1]
    assert count == 1
    for untouched in ("photo.jpg", "missing.tif", None):
        assert [type(update) for update in displayable(untouched)] == [dict]


def test_the_guide_says_in_words_what_was_measured_and_has_the_figures_in_a_table():
    text, _, table = guide("denoise", "drunet-fast").partition("<details>")
    assert catalog.method("denoise", "drunet-fast").summary in text
    assert "nearer to the original than every classical method on 68 test pictures" in text
    assert "dB" not in text and "PSNR" not in text
    scores = restoration.load("drunet-fast").run["scores"]
    assert all(f"| {score['psnr']:.2f} | {score['best_classical_psnr']:.2f}, " in table for score in scores)
    assert guide("denoise", "median").startswith("Classical")


@pytest.mark.parametrize(
    "gain, said",
    [
        (0.3, "nearer to the original than every classical method"),
        (-0.02, "as near to the original as the best classical method (Non-local means)"),
        (-0.3, "further from the original than Non-local means"),
    ],
)
def test_a_score_is_told_in_words(gain, said):
    score = {"psnr": 30 + gain, "best_classical_psnr": 30, "best_classical": "non-local-means", "images": 68}
    assert in_words("denoise", score).startswith(said)


@pytest.mark.parametrize("task", [name for name, kind in tasks.every().items() if not kind.methods])
def test_a_visitor_chooses_among_three_at_most_by_what_they_do(task):
    purposes = catalog.purposes(task)
    assert 2 <= len(purposes) <= 3
    assert next(iter(purposes.values())) == catalog.method(task, "").family
    titles = {siblings[0].title for siblings in catalog.families(task).values()}
    assert titles.isdisjoint(purposes) or task == "inpaint"


def test_who_invents_detail_says_so():
    for method in restoration.methods():
        if method.task != "photo":
            assert ("It invents detail" in guide(method.task, method.name)) == method.invents
    assert catalog.method("upscale", "esrgan").invents


def test_a_trial_on_a_noisy_picture_warns_that_its_scores_mislead(rng, tmp_path):
    path = _noise_file(tmp_path, rng, 64)
    with pytest.warns(UserWarning, match="noise of its own"):  # what gr.Warning does outside the page
        list(runs("denoise").try_out(silent, path, "median", True, 25, 100, "Gaussian", 25, 0))


def test_what_is_found_by_itself_hides_its_control_until_it_is_set():
    shown = {block.elem_id: block for block in built().blocks.values() if getattr(block, "elem_id", None)}
    kinds = [
        (kind.name, setting.public) for kind in tasks.every().values() for setting in kind.settings if setting.automatic
    ]
    drawn = [(task, name) for task, name in kinds if f"{task}-auto" in shown]
    assert drawn
    for task, name in drawn:
        assert shown[f"{task}-auto"].value is True
        assert shown[f"{task}-{name}"].visible is False


def test_the_last_picture_stays_at_hand_if_it_is_no_large_one(photo, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "_at_hand", None)
    paths = [str(tmp_path / name) for name in ("photo.png", "other.png")]
    for path in paths:
        write(photo, path)
    assert parts.opened(paths[0]) is parts.opened(paths[0])
    first = parts.opened(paths[0])
    assert parts.opened(paths[1]) is not first
    assert parts.opened(paths[0]) is not first  # the other one took its place
    monkeypatch.setattr(parts, "AT_HAND", photo.samples.nbytes - 1)
    assert parts.opened(paths[1]) is not parts.opened(paths[1])


def test_the_output_size_is_said_before_the_run_and_refused_when_too_large(photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    assert "becomes 270 × 210 px** (0.1 megapixels)" in facts("upscale", str(tmp_path / "photo.png"), "lanczos", 3)
    write(Image(np.zeros((3000, 3000, 1), np.uint8)), tmp_path / "large.png")
    assert "the limit is 64" in facts("upscale", str(tmp_path / "large.png"), "lanczos", 4)
    assert facts("upscale", None, "lanczos", 4) == ""


def test_nothing_is_estimated_for_what_is_refused(photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    write(Image(np.zeros((3000, 3000, 1), np.uint8)), tmp_path / "large.png")
    write(Image(np.zeros((5000, 8001, 1), np.uint8)), tmp_path / "too large.png")
    assert expected("upscale", str(tmp_path / "photo.png"), "lanczos", 4)
    assert expected("upscale", str(tmp_path / "large.png"), "lanczos", 2)
    assert expected("upscale", str(tmp_path / "large.png"), "lanczos", 4) == ""
    assert expected("denoise", str(tmp_path / "too large.png"), "median") == ""
    steps = {"artifacts": False, "denoise": False, "scratches": False, "enlarge": 0}
    assert expected_of(Order("photo", settings=steps), str(tmp_path / "photo.png")) == ""
    enlarging = Order("photo", settings={**steps, "denoise": True, "enlarge": 4})
    assert expected_of(enlarging, str(tmp_path / "photo.png"))
    assert expected_of(enlarging, str(tmp_path / "large.png")) == ""


def test_the_scale_picker_offers_what_the_family_does_and_keeps_the_choice():
    offered = tab_of(tasks.named("upscale")).offered
    scales, blend, _ = offered("lanczos", 3)
    assert [value for _, value in scales["choices"]] == [2, 3, 4]
    assert scales["value"] == 3
    assert not blend["visible"]
    for family, siblings in catalog.families("upscale").items():
        scales, blend, guide = offered(family, 3)
        there = [method.scale for method in siblings]
        assert [value for _, value in scales["choices"]] == there
        assert scales["value"] == (3 if 3 in there else there[-1])
        assert blend["visible"] == siblings[-1].blends
        assert guide.startswith(siblings[0].summary)


def test_staying_true_moves_without_the_model_and_back(photo, tmp_path, monkeypatch):
    write(photo, tmp_path / "photo.png")
    path = str(tmp_path / "photo.png")
    *_, (*_, state, _) = runs("upscale").run(silent, path, "lanczos", 2, 1.0, False, "png", 95)
    plain = result_of(state).plain.found.psnr
    monkeypatch.setattr(Order, "run", None)
    *_, (_, _, _, _, _, after, heat) = runs("upscale").show(silent, state, path, True, "png", 95)
    true = result_of(after).true.found.psnr
    assert true > plain
    assert f"{true:.2f} dB" in heat["label"]
    *_, (_, _, _, status, _, _, heat) = runs("upscale").show(silent, after, path, False, "jpeg", 90)
    assert f"{plain:.2f} dB" in heat["label"]
    assert "your photo" in status and "dB" not in status
    assert len(list(runs("upscale").show(silent, None, path, True, "png", 95))) == 1


def test_a_reduction_trial_shows_true_scores_beside_bicubic(photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    steps = runs("upscale").try_out(silent, str(tmp_path / "photo.png"), "lanczos", 2, 1.0, False)
    rows = [step[1] for step in steps if isinstance(step[1], list)][-1]
    assert [row[0] for row in rows] == ["Bicubic", "This model"]
    assert all(float(row[1].removesuffix(" dB")) > 15 and 0 < float(row[2]) < 1 for row in rows)


def test_painted_uploaded_and_transparent_pixels_are_one_mask(photo, tmp_path):
    alpha = np.full((70, 90), 255, np.uint8)
    alpha[:5, :5] = 0
    strokes = Image(np.full((70, 90, 3), 255, np.uint8), np.zeros((70, 90), np.uint8))
    strokes.alpha[20:30, 20:30] = 255
    write(strokes, tmp_path / "layer.png")
    write(Image((255 * (np.mgrid[:70, :90][1] > 84)).astype(np.uint8)[..., None]), tmp_path / "mask.png")
    write(Image(photo.samples, alpha), tmp_path / "photo.png")
    painted = {"background": None, "layers": [str(tmp_path / "layer.png")], "composite": None}
    choices = (painted, str(tmp_path / "mask.png"), True, False, 0, 0)
    for shown in show_mask(str(tmp_path / "photo.png"), *choices):
        mask = read(shown).samples[..., 0]
    assert mask[2, 2] == mask[25, 25] == mask[60, 86] == 255
    assert (mask == 255).sum() == 25 + 100 + 70 * 5
    with pytest.raises(gr.Error, match="Nothing is marked"):
        nothing = (False, 0, 0, True, 0, "png", 95, {"layers": []}, None, False, None, [])
        list(runs("inpaint").run(silent, str(tmp_path / "photo.png"), "diffusion", *nothing))


@pytest.mark.slow
def test_one_paints_on_a_reduced_picture_and_goes_on_from_the_result(rng, tmp_path, monkeypatch):
    monkeypatch.setattr(masks, "PAINTED_SIDE", 256)
    write(Image(rng.integers(0, 65536, (450, 630, 3)).astype(np.uint16)), tmp_path / "large.png")
    for shown in canvas(str(tmp_path / "large.png")):
        background = read(shown["background"])
    assert (background.width, background.height, background.bits) == (210, 150, 8)
    assert list(canvas(None)) == [None]
    mask = Image((255 * (np.mgrid[:45, :63][0] == 22)).astype(np.uint8)[..., None])
    write(mask, tmp_path / "mask.png")
    choices = (False, 0, 0, True, 0, "png", 95, {}, str(tmp_path / "mask.png"), False, None, [])
    *_, (*_, state, _, _) = runs("inpaint").run(silent, str(tmp_path / "large.png"), "diffusion", *choices)
    large = str(tmp_path / "large.png")
    for *others, earlier, undo, shown in went_on_from(large, state, []):
        mask, transparent, file = others
        again = read(file)
        assert Path(file).name == "large.png"
        assert read(shown["value"]["background"]).width == 210
        assert (mask, transparent, earlier, undo) == (None, False, [(large, state, large)], gr.update(interactive=True))
    np.testing.assert_array_equal(again.samples, result_of(state).done.picture.samples)


def test_fills_follow_each_other_and_are_undone_one_by_one(photo, tmp_path):
    first_file, second_file = tmp_path / "photo.png", tmp_path / "once filled.png"
    write(photo, first_file)
    inpaint, runs_done, earlier, now = runs("inpaint"), [], [], None
    for rows in (slice(5, 15), slice(40, 50)):
        hole = np.zeros((photo.height, photo.width, 1), np.uint8)
        hole[rows, 30:40] = 255
        write(Image(hole), tmp_path / "mask.png")
        choices = (False, 0, 0, True, 0, "png", 95, {}, str(tmp_path / "mask.png"), False, now, earlier)
        *_, shown = inpaint.run(silent, str(first_file), "diffusion", *choices)
        runs_done.append(shown[5])
        for _, _, made, before, *_ in went_on_from(str(first_file), shown[5], earlier):
            now, earlier = str(shutil.copy(made, second_file)), before  # as gradio keeps it
    first, second = (result_of(run).done.picture.samples for run in runs_done)
    assert (second[5:15, 30:40] == first[5:15, 30:40]).all() and (first[40:50] == photo.samples[40:50]).all()
    assert [fill.run for fill in earlier] == runs_done
    late = [went for went in went_on_from(str(first_file), runs_done[1], [])][-1][3]  # Undo came while it went on
    assert [step[:2] for step in undone(str(first_file), late)] == [(str(second_file), [])]
    assert list(begun(str(first_file), earlier)) == [tuple(gr.skip() for _ in range(4))]
    assert [step[:2] for step in begun(str(second_file), earlier)] == [(None, [])]
    *_, (file, earlier, undo, shown) = undone(str(first_file), earlier)
    assert (file, len(earlier), undo["interactive"]) == (str(second_file), 1, True)
    assert list(undone(str(first_file), [])) == [tuple(gr.skip() for _ in range(4))]
    for *others, shown in undone(str(first_file), earlier):
        painted = read(shown["value"]["layers"][0])
        assert others == [None, [], gr.update(interactive=False)]
    assert (painted.alpha > 0).sum() == 100 and painted.alpha[5:15, 30:40].all()
    assert list(went_on_from("another.png", runs_done[1], [])) == [tuple(gr.skip() for _ in range(6))]


def test_what_was_made_of_another_picture_is_not_filled_instead_of_the_one_that_was_chosen(photo, tmp_path):
    first, second, filled = (str(tmp_path / name) for name in ("first.png", "second.png", "filled.png"))
    hole = np.zeros((photo.height, photo.width, 1), np.uint8)
    hole[5:15, 30:40] = 255
    write(Image(hole), tmp_path / "mask.png")
    write(photo, first)
    write(Image(255 - photo.samples), second)
    marks = ({}, str(tmp_path / "mask.png"), False)
    *_, shown = runs("inpaint").run(silent, first, "diffusion", False, 0, 0, True, 0, "png", 95, *marks, None, [])
    for _, _, made, known, *_ in went_on_from(first, shown[5], []):
        earlier = known
        shutil.copy(made, filled)
    for known in (earlier, []):  # to the server, when the run begins; the browser tells of the first picture still
        values = (False, 0, 0, True, 0, "png", 95, *marks, filled, known)
        *_, shown = runs("inpaint").run(silent, second, "diffusion", *values)
        result = result_of(shown[5])
        assert result.made_of == second
        np.testing.assert_array_equal(result.done.picture.samples[20:], 255 - photo.samples[20:])


def test_the_page_says_which_fill_was_taken_and_takes_the_other_or_a_variant_at_a_tap(photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    hole = np.zeros((photo.height, photo.width, 1), np.uint8)
    hole[20:26, 30:36] = 255
    write(Image(hole), tmp_path / "mask.png")
    inpaint, path = runs("inpaint"), str(tmp_path / "photo.png")
    choices = (False, 0, 0, True, 0, "png", 95, {}, str(tmp_path / "mask.png"), False, None, [])
    *_, first = inpaint.run(silent, path, "auto", *choices)
    assert first[3].startswith("**Fourier fill**")
    assert "Chosen: Fourier fill" in first[3]
    state, (other, _) = first[5], first[6:]
    assert other["value"] == "Fill with Offset fill"
    *_, second = inpaint.other(silent, path, state, "png", 95)
    assert result_of(second[5]).done.order.model == "offset-fill"
    assert result_of(second[5]).done.found.share == result_of(state).done.found.share
    *_, third = inpaint.another(silent, path, second[5], "png", 95)
    assert result_of(third[5]).done.order.settings["variant"] == 1
    for handler in (inpaint.other, inpaint.another):
        assert len(*handler(silent, path, None, "png", 95)) == inpaint.outputs


# Models --------------------------------------------------------------------------------------------------------------


def test_every_learned_model_tells_what_it_is_good_and_bad_at_and_where_its_weights_are():
    for method in restoration.methods():
        if method.learned:
            about = models.about_model(f"{method.task}/{method.name}")
            for label in ("Good at", "Not for", "Score", "Size", "Trained on", "Licence", "Weights"):
                assert f"**{label}:**" in about
            assert method.limits in about
    assert len(models.model_rows()) == len(restoration.methods())


def test_speeds_are_measured_one_after_the_other(monkeypatch):
    monkeypatch.setattr(models, "seconds_per_megapixel", lambda method: 1.25)
    shown = list(models.paces(progress=silent))
    assert sum(row[3] == "1.25 s" for row in shown[0]) == 1
    assert all((row[3] == "1.25 s") == (not row[0].startswith("deep-image-prior")) for row in shown[-1])


def test_on_a_gpu_space_the_network_alone_runs_where_the_decorator_says(serve, photo, tmp_path):
    (tmp_path / "spaces.py").write_text(
        "import os\n"
        "def GPU(duration):\n"
        "    def decorate(function):\n"
        "        def elsewhere(*arguments):\n"
        "            with open(os.environ['CALLS'], 'a') as calls:\n"
        "                print(function.__name__, duration(*arguments), file=calls)\n"
        "            return function(*arguments)\n"
        "        return elsewhere\n"
        "    return decorate\n"
    )
    settings = {"PYTHONPATH": str(tmp_path), "CALLS": str(tmp_path / "calls.txt"), "HF_HUB_OFFLINE": "1"}
    url = serve(Path(app.__file__).parent, settings)
    visitor = gradio_client.Client(url, verbose=False, download_files=tmp_path / "downloads", analytics_enabled=False)
    write(photo, tmp_path / "photo.png")
    answer, _ = visitor.predict(handle_file(tmp_path / "photo.png"), "drunet-fast", "auto", 1, api_name="/denoise")
    expected = running.finish(denoising.denoise(photo, "drunet-fast")).image()
    np.testing.assert_array_equal(read(answer).samples, expected.samples)
    assert (tmp_path / "calls.txt").read_text().split() == ["_infer", "10"]


def test_the_models_tab_names_the_hub_repository_where_there_is_one(monkeypatch):
    assert "huggingface.co" not in models.about_model("denoise/drunet-fast")
    monkeypatch.setenv("RESTORATION_NAMESPACE", "me")
    assert "(https://huggingface.co/me/drunet-fast)" in models.about_model("denoise/drunet-fast")
    assert 'load("me/drunet-fast")' in snippets("denoise/drunet-fast")[0]


# Records, ratings, batches, addresses --------------------------------------------------------------------------------


@pytest.fixture
def records(monkeypatch, tmp_path):
    kept = Records(tmp_path / "records.sqlite")
    monkeypatch.setattr(recording, "_records", kept)
    yield kept
    kept.close()


def test_every_run_is_recorded_with_its_outcome_and_without_its_name(records, photo, tmp_path):
    path = str(tmp_path / "holiday.png")
    write(photo, path)
    settings = ("mean", True, 25, 80, "png", 95)
    list(runs("denoise").run(silent, path, *settings))
    (tmp_path / "holiday.jpg").write_bytes(b"no picture")
    with pytest.raises(gr.Error):
        list(runs("denoise").run(silent, str(tmp_path / "holiday.jpg"), *settings))
    started = runs("upscale").run(silent, path, "bicubic", 4, 1.0, False, "png", 95)
    next(started)
    started.close()
    list(runs("denoise").try_out(silent, path, "mean", True, 25, 100, "Gaussian", 25, 0))
    by_api("denoise", path, "median")
    assert records.flush()
    api, trial, cancelled, failed, done = records.rows()
    assert [row.outcome for row in (done, failed, cancelled, trial, api)] == [
        "done", "failed", "cancelled", "done", "done",
    ]  # fmt: skip
    assert (done.width, done.height, done.out_width, done.out_height) == (90, 70, 90, 70)
    assert (done.task, done.model, done.settings) == ("denoise", "mean", {"sigma_255": None, "strength": 0.8})
    assert set(done.seconds) == {"waiting", "reading", "restoring", "writing"}
    assert failed.reason.startswith("the file is not a JPEG")
    assert trial.metrics["psnr"] > 15
    assert done.metrics.keys() <= {"megabytes"}
    everything = records.csv() + repr(records.rows()) + Path(records.path).read_bytes().decode("latin-1")
    assert "holiday" not in everything
    assert str(tmp_path) not in everything


def test_a_run_is_rated_once_and_only_by_who_ran_it(records, photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    *_, shown = runs("denoise").run(silent, str(tmp_path / "photo.png"), "mean", True, 25, 100, "png", 95)
    state = shown[5]
    assert records.flush()
    rate(state, "worse", "too soft\n<b>")
    rate(state, "better", "")
    (row,) = records.rows()
    assert (row.rating, row.comment) == ("worse", "too soft <b>")
    with pytest.raises(gr.Error, match="Run a model first"):
        rate(None, "better", "")


def test_a_record_that_cannot_be_kept_costs_nobody_the_picture(monkeypatch, photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    (tmp_path / "records.sqlite").mkdir()  # nothing can be written there
    monkeypatch.setattr(recording, "_records", Records(tmp_path / "records.sqlite"))
    *_, shown = runs("denoise").run(silent, str(tmp_path / "photo.png"), "mean", True, 25, 100, "png", 95)
    assert Path(shown[1]["value"]).name == "photo_denoised.png"


def test_many_files_become_one_zip_and_a_bad_one_a_row(records, photo, tmp_path):
    for name in ("a.png", "b.png"):
        write(photo, tmp_path / name)
    (tmp_path / "=bad.png").write_bytes(b"no picture")
    files = [str(tmp_path / name) for name in ("a.png", "=bad.png", "b.png")]
    given = []
    for step in runs("denoise").batch(silent, files, "mean", True, 25, 100, "png", 95):
        rows, results, download = step
        if isinstance(results, list):
            given.append([Path(result).name for result in results])
        if download.get("value"):
            with zipfile.ZipFile(download["value"]) as zipped:
                names = sorted(zipped.namelist())
                report = zipped.read("report.csv").decode().splitlines()
                first = zipped.read("a_denoised.png")
    results = ["a_denoised.png", "b_denoised.png"]
    assert given == [[], results[:1], results[:1], results, results]  # one that is cancelled has given what was done
    assert names == sorted([*results, *(f"{name}.receipt.json" for name in results), "report.csv"])
    assert report[2].startswith("'=bad.png,failed,,\"'=bad.png is not")
    assert [row[1] for row in rows] == ["a_denoised.png", "not restored", "b_denoised.png"]
    alone = running.finish(Order("denoise", "mean").run(read(files[0]))).files()[0]
    assert first == alone
    assert records.flush()
    assert sorted(row.outcome for row in records.rows()) == ["done", "done", "failed"]
    assert "bad" not in records.csv()
    with pytest.raises(gr.Error, match="Choose some files"):
        list(runs("denoise").batch(silent, None, "mean", True, 25, 100, "png", 95))


@pytest.mark.parametrize("painted", [False, True])
def test_one_mask_serves_many_files_of_any_size(photo, tmp_path, painted):
    write(photo, tmp_path / "a.png")
    write(Image(photo.samples[::2, ::2].copy()), tmp_path / "b.png")
    mask = np.zeros((70, 90), np.uint8)
    mask[20:30, 30:50] = 255
    write(Image(mask[..., None]), tmp_path / "mask.png")
    red = np.broadcast_to(np.uint8((244, 63, 94)), (70, 90, 3))
    write(Image(red.copy(), mask), tmp_path / "layer.png")
    files = [str(tmp_path / name) for name in ("a.png", "b.png")]
    marks = (
        ({"layers": [str(tmp_path / "layer.png")]}, None) if painted else ({"layers": []}, str(tmp_path / "mask.png"))
    )
    choices = ("diffusion", False, 0, 0, True, 0, "png", 95, *marks, False, None, [])
    for *_, download in runs("inpaint").batch(silent, files, *choices):
        if download.get("value"):
            shutil.unpack_archive(download["value"], tmp_path / "out")
    small = read(tmp_path / "out" / "b_inpainted.png").samples
    changed = (small != photo.samples[::2, ::2]).any(axis=2)
    assert changed.any()
    assert not changed[(mask == 0)[::2, ::2]].any()


def test_an_address_opens_a_tab_with_settings_and_passes_over_nonsense():
    model = gr.Dropdown([("One", "one"), ("Two", "two")])
    parts = [Tab("upscale", None, {"model": model, "alpha": gr.Slider(0, 1), "stay_true": gr.Checkbox()})]

    def values(**wanted):
        return [update.get("value", "left") for update in from_address(parts, wanted)[1:]]

    assert values(tab="upscale", model="two", alpha="0.5", stay_true="true") == ["two", 0.5, True]
    assert values(tab="upscale", model="three", alpha="7", stay_true="<b>") == ["left"] * 3
    assert values(tab="denoise", model="two") == ["left"] * 3
    assert values(model="two") == ["left"] * 3
    assert from_address(parts, {"tab": "nowhere"})[0] == gr.skip()


def test_what_a_run_will_take_is_said_before_it(records, photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    said = expected("upscale", str(tmp_path / "photo.png"), "compact", 4)
    assert said == "About 1 s and 0.7 GB of memory here, by the measured cost."
    for _ in range(3):
        records.add(Record("upscale", "compact-x4", "done", 90, 70, 360, 280, {}, {"restoring": 30.0}))
    assert records.flush()
    assert expected("upscale", str(tmp_path / "photo.png"), "compact", 4).startswith("About 30 s")
    assert "Cancel keeps the best" in expected("denoise", str(tmp_path / "photo.png"), "deep-image-prior")
    assert expected("denoise", None, "mean") == ""


@pytest.mark.load
def test_twenty_visitors_with_five_pictures_each_get_their_own(server, rng, tmp_path):
    pictures, wanted = [], []
    for index in range(5):
        samples = rng.integers(0, 256, (24, 24 + index, 3)).astype(np.uint8)
        write(Image(samples), tmp_path / f"{index}.png")
        pictures.append(tmp_path / f"{index}.png")
        wanted.append(running.finish(Order("denoise").run(read(pictures[-1]))).files()[0])

    def visit(number: int) -> list[bool]:
        downloads = tmp_path / f"visitor{number}"
        visitor = gradio_client.Client(server, verbose=False, download_files=downloads, analytics_enabled=False)
        order = [(number + turn) % 5 for turn in range(5)]
        answers = [visitor.predict(handle_file(pictures[index]), api_name="/denoise")[0] for index in order]
        return [Path(answer).read_bytes() == wanted[index] for answer, index in zip(answers, order, strict=True)]

    with ThreadPoolExecutor(20) as visitors:
        equal = [same for visitor in visitors.map(visit, range(20)) for same in visitor]
    assert equal == [True] * 100


def test_who_comes_to_a_full_queue_is_told_when_to_try_again(serve, photo, tmp_path):
    url = serve(Path(app.__file__).parent, {"HF_HUB_OFFLINE": "1"})
    write(Image(np.tile(photo.samples, (3, 3, 1))), tmp_path / "photo.png")
    with (tmp_path / "photo.png").open("rb") as file:
        path = httpx.post(f"{url}/gradio_api/upload", files={"files": file}).json()[0]
    picture = {"path": path, "meta": {"_type": "gradio.FileData"}}

    def call(**headers: str) -> httpx.Response:
        data = {"data": [picture, "deep-image-prior", "auto", 1, "png", 95]}
        return httpx.post(f"{url}/gradio_api/call/denoise", json=data, headers=headers, timeout=20)

    answers = []

    def full() -> bool:
        answers.append(call())
        return answers[-1].status_code == 429

    until(full)  # those that run, `WAITING` more, and this one
    answer = answers[-1]
    assert len(answers) > WAITING
    assert int(answer.headers["Retry-After"]) > 0
    words = f"{WAITING} runs are waiting already; try again in about "
    assert answer.json()["detail"].startswith(words)
    program = gradio_client.Client(url, verbose=False, analytics_enabled=False)
    with pytest.raises(gradio_client.exceptions.AppError, match=words):
        program.predict(handle_file(tmp_path / "photo.png"), api_name="/denoise")
    assert program.predict(api_name="/models")  # what needs no model is answered still


@pytest.mark.slow
def test_visitors_who_leave_during_an_upload_or_come_back_too_late_are_no_error(tmp_path):
    with serving(Path(app.__file__).parent, tmp_path, {"HF_HUB_OFFLINE": "1"}) as address:  # fails on a traceback
        where = urlsplit(address)
        with socket.create_connection((where.hostname, where.port)) as visitor:
            visitor.sendall(
                b"POST /gradio_api/upload HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
                b'--b\r\nContent-Disposition: form-data; name="files"; filename="photo.png"\r\n\r\nabc'
            )
            time.sleep(0.5)
        answer = httpx.get(f"{address}/gradio_api/queue/data", params={"session_hash": "forgotten"})
        assert '"session_not_found":true' in answer.text


@pytest.mark.slow
def test_an_mcp_server_without_its_package_is_refused_with_a_sentence():
    if importlib.util.find_spec("mcp"):
        pytest.skip("the package is there")
    done = subprocess.run(
        [sys.executable, "app.py", "--mcp"], cwd=Path(app.__file__).parent, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("--mcp needs the package mcp: pip install 'mcp<2'")


# What a visitor leaves, and what the page keeps of it ---------------------------------------------------------------


def test_a_jpeg_of_a_transparent_picture_is_refused_before_the_run(photo, tmp_path, monkeypatch):
    write(Image(photo.samples, np.full((70, 90), 128, np.uint8)), tmp_path / "photo.png")
    monkeypatch.setattr(Order, "run", lambda *_: pytest.fail("it was run"))
    with pytest.raises(gr.Error, match="JPEG cannot hold transparency"):
        list(runs("denoise").run(silent, str(tmp_path / "photo.png"), "median", True, 25, 100, "jpeg", 95))
    with pytest.raises(gr.Error, match="JPEG cannot hold transparency"):
        by_api("denoise", str(tmp_path / "photo.png"), "median", format="jpeg")


def test_programs_get_a_sentence_as_it_is_and_the_page_gets_it_as_html(photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    with pytest.raises(gr.Error) as caught:
        by_api("denoise", str(tmp_path / "photo.png"), "a&b")
    assert caught.value.message.startswith("There is no denoise model called 'a&b'; choose ")
    with pytest.raises(gr.Error) as caught:
        list(runs("denoise").run(silent, str(tmp_path / "photo.png"), "a&b", True, 25, 100, "png", 95))
    assert "&#x27;a&amp;b&#x27;" in caught.value.message
    with pytest.raises(gr.Error) as caught:
        list(runs("denoise").run(silent, None, "median", True, 25, 100, "png", 95))
    assert caught.value.message == "Choose an image first."


def test_no_record_holds_the_name_of_a_mask(records, photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    (tmp_path / "Jane Doe.png").write_bytes(b"no picture")
    with pytest.raises(gr.Error, match="The mask is not"):
        by_api("inpaint", str(tmp_path / "photo.png"), str(tmp_path / "Jane Doe.png"))
    assert records.flush()
    assert "Jane" not in records.csv()
    assert "The mask is not" in records.csv()


def test_the_mask_of_an_example_does_not_stay_for_ones_own_picture():
    example = next(example for example in gallery.examples("inpaint") if example.mask)
    assert own_mask(example.mask) is None
    assert own_mask("mine.png") == gr.skip()


@pytest.mark.parametrize("task", tasks.every())
def test_another_picture_stops_the_run_of_the_one_before(task, monkeypatch):
    monkeypatch.setattr(turns, "_noted", turns.OrderedDict())
    monkeypatch.setattr(Runs, "restore", lambda *_: iter([(None,)] * 3))
    page = built()

    def of(part, kind):
        block = next(number for number, block in page.blocks.items() if block.elem_id == f"{task}-{part}")
        return [event for event in page.fns.values() if (block, kind) in event.targets]

    started, run = of("run", "click")
    (another,) = (event for event in of("input", "change") if event.js == turns.NOW)
    *stopped, cancelled = of("cancel", "click")
    assert {event.fn for event in (started, *stopped)} == {
        None
    }  # the browser does it: what asks the server follows with no delay
    assert not another.queue and not cancelled.queue  # behind the run that they stop they would come too late

    def steps(path, when):
        return len(list(run.fn(silent, path, *(part.value for part in run.inputs[1:-1]), when)))

    assert steps("one.png", "visitor 5") == 3
    another.fn("two.png", "visitor 6")
    assert steps("one.png", "visitor 5") == 0
    assert steps("two.png", "visitor 7") == 3
    cancelled.fn("visitor 8")
    assert steps("two.png", "visitor 7") == 0
    assert steps("two.png", "visitor 9") == 3


def test_a_model_trained_on_pictures_of_ones_own_has_its_place_on_the_page(monkeypatch):
    method = restoration.methods("denoise")[0]
    model = restoration.load(method.name)
    model.run["data"]["sources"]["holiday"] = 12
    monkeypatch.setattr(catalog.Method, "load", lambda self: model)
    assert "holiday" in models.about_model(f"denoise/{method.name}")


def test_no_run_shows_its_progress_on_what_holds_an_editor():
    page = built()
    layout = [(page.config["layout"], [])]
    editors, holding = 0, set()
    while layout:
        node, above = layout.pop()
        inside = [*above, node["id"]]
        if page.blocks.get(node["id"]).__class__.__name__ == "ImageEditor":
            editors, holding = editors + 1, holding.union(inside)
        layout += [(child, inside) for child in node.get("children") or []]
    assert editors == 2
    for dependency in page.config["dependencies"]:
        shown = dependency["show_progress_on"]
        assert not holding.intersection(dependency["outputs"] if shown is None else shown)
        assert shown == [] or dependency["show_progress"] != "hidden"


def test_a_run_of_many_short_steps_has_few_news_for_the_page():
    """Of each the server makes all outputs anew, and the browser looks at all that shows progress."""

    def job():
        yield from (Progress(step, 5000) for step in range(5000))
        return "done"

    steps, news = [], 0
    work = stepped(job(), lambda share, desc: steps.append(share), 3)
    started = time.monotonic()
    while True:
        try:
            assert next(work) == unchanged(3)
        except StopIteration as end:
            assert end.value == "done"
            break
        news += 1
    assert len(steps) == 5000
    assert 1 <= news <= 1 + (time.monotonic() - started) / NEWS


@pytest.mark.parametrize("task", tasks.every())
def test_what_was_shown_goes_before_anything_else_follows_a_picture(task):
    page = built()
    followers = [
        dependency
        for dependency in page.config["dependencies"]
        for target, kind in dependency["targets"]
        if kind == "change" and target in page.blocks and page.blocks[target].elem_id == f"{task}-input"
    ]
    clearing, noting, *others = followers
    shown = {page.blocks[part].elem_id for part in clearing["outputs"]}
    assert {f"{task}-{part}" for part in ("compare", "download", "receipt", "status", "rating")} <= shown
    assert clearing["js"]
    assert not clearing["backend_fn"]  # the browser does it, without waiting for the line
    assert not noting["outputs"]  # they would come after those of a run
    assert not noting["queue"]
    assert others
    assert all(other["queue"] for other in others)
