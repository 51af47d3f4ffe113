"""Photo: what is found in a picture, the steps that follow, and the receipt that repeats them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from restoration import catalog, diagnosis, gallery
from restoration.__main__ import main
from restoration.degradations import GaussianNoise, Jpeg
from restoration.denoising import measured_sigma
from restoration.diagnosis import FINE, diagnosed
from restoration.files import read, write
from restoration.image import Image, from_tensor
from restoration.orders import Order, replay
from restoration.page import shelf
from restoration.page.photo_tab import WHOLE, ChainRuns
from restoration.page.results import hand_on
from restoration.page.runs import Shown
from restoration.receipts import read_receipt
from restoration.running import finish
from restoration.tasks import every, named
from restoration.tasks.photo import BEFORE_ENLARGING
from train import photo as benchmark

LICENCES = ("CC0 1.0", "public domain", "BSD 3-clause", "Apache-2.0")


@pytest.fixture(scope="module")
def smooth() -> torch.Tensor:
    """A picture without noise or blocks."""
    y, x = torch.meshgrid(torch.arange(128), torch.arange(160), indexing="ij")
    waves = [0.5 + 0.3 * torch.sin(x / 40 + index) * torch.cos(y / (36 + index)) for index in range(3)]
    return torch.stack(waves)[None]


@pytest.fixture(scope="module")
def worn(smooth) -> dict[str, Image]:
    noisy = GaussianNoise(18 / 255)(smooth, torch.Generator().manual_seed(0)).clamp(0, 1)
    pictures = {"fine": smooth, "noisy": noisy, "blocky": Jpeg(20)(smooth), "both": Jpeg(50)(noisy)}
    coarse = GaussianNoise(50 / 255)(smooth, torch.Generator().manual_seed(0)).clamp(0, 1)
    pictures["very noisy"] = Jpeg(70)(coarse)
    return {name: from_tensor(picture, name) for name, picture in pictures.items()}


def advised(image: Image) -> set[str]:
    return {finding.step for finding in diagnosed(image) if finding.advised}


@pytest.mark.parametrize(
    "name, steps",
    [("fine", set()), ("noisy", {"denoise"}), ("blocky", {"artifacts"}), ("both", {"artifacts", "denoise"})],
)
def test_what_was_done_to_a_picture_is_found_and_nothing_else(worn, name, steps):
    assert advised(worn[name]) == steps


@pytest.mark.parametrize("level, steps", [(0, {"artifacts"}), (16, {"artifacts", "denoise"})])
def test_noise_that_a_strong_compression_has_mostly_taken_is_found(level, steps):
    cat = torch.from_numpy(data.chelsea()[100:356, 100:356] / np.float32(255)).permute(2, 0, 1)[None]
    noisy = GaussianNoise(level / 255)(cat, torch.Generator().manual_seed(0)).clamp(0, 1)
    assert advised(from_tensor(Jpeg(30)(noisy))) == steps


def test_the_findings_are_told_with_their_numbers(worn):
    words = " ".join(finding.words for finding in diagnosed(worn["blocky"]))
    assert "JPEG of quality 20: blocks can be seen" in words
    assert "small: 160 × 128 px" in words
    large = Image(np.zeros((1000, 1000, 3), np.uint8))
    assert "1000 × 1000 px, which is not small" in [finding.words for finding in diagnosed(large)]


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (40, 8)])
def test_a_picture_of_any_size_can_be_measured(size):
    assert len(diagnosed(Image(np.full((*size, 3), 90, np.uint8)))) == 3


def test_a_fine_picture_is_left_as_it_is_and_that_is_said(worn):
    done = finish(Order("photo").run(worn["fine"]))
    np.testing.assert_array_equal(done.picture.samples, worn["fine"].samples)
    assert FINE in done.summary
    assert done.receipt["settings"] == {"artifacts": False, "denoise": False, "scratches": False, "enlarge": 0}


def test_what_is_wrong_is_told_when_no_step_was_asked_for(worn):
    done = finish(Order("photo", settings={"denoise": False, "artifacts": False}).run(worn["both"]))
    assert "No step was asked for, though there is something: grainy: level" in done.summary
    assert "; JPEG of quality 50" in done.summary and FINE not in done.summary


def test_the_steps_are_the_orders_of_their_tasks_each_told_what_was_measured_at_first(worn):
    image = replace(worn["both"], jpeg_quality=50)
    done = finish(Order("photo", settings={"enlarge": 2}).run(image))
    orders = (
        Order("denoise", "", {"sigma_255": 255 * measured_sigma(image)}),
        Order("artifacts", "", {"quality": 50}),
        Order("upscale", "", {"scale": 2}),
    )
    now = image
    for order in orders:
        now = finish(order.run(now)).picture
    np.testing.assert_array_equal(done.picture.samples, now.samples)
    assert [part["task"] for part in done.receipt["chain"]] == ["denoise", "artifacts", "upscale"]
    assert [part["output"]["width"] for part in done.receipt["chain"]] == [160, 160, 320]


@pytest.mark.parametrize(("name", "task"), [("noisy", "denoise"), ("blocky", "artifacts")])
def test_a_single_step_is_the_order_of_its_task(worn, name, task):
    done = finish(Order("photo").run(worn[name]))
    np.testing.assert_array_equal(done.picture.samples, finish(Order(task).run(worn[name])).picture.samples)


def test_a_step_can_be_refused_and_another_asked_for(worn):
    settings = {"denoise": False, "artifacts": True}
    done = finish(Order("photo", settings=settings).run(worn["noisy"]))
    assert [part["task"] for part in done.receipt["chain"]] == ["artifacts"]


def test_the_receipt_repeats_the_chain_and_tells_when_a_step_was_another(worn):
    done = finish(Order("photo").run(worn["blocky"]))
    receipt = json.loads(done.files()[1])
    assert finish(replay(receipt, worn["blocky"])).same
    receipt["chain"][0]["model"] = "another"
    outcome = finish(replay(receipt, worn["blocky"]))
    assert outcome.same
    assert any("a step" in difference and "another" in difference for difference in outcome.differences)


def test_the_command_line_takes_the_steps_leaves_some_out_and_enlarges(worn, tmp_path, capsys):
    write(worn["blocky"], tmp_path / "photo.png")
    path = str(tmp_path / "photo.png")
    assert main(["photo", path, "-o", str(tmp_path / "a.png")]) == 0
    assert "JPEG artifacts removed" in capsys.readouterr().out
    assert main(["photo", path, "-o", str(tmp_path / "b.png"), "--no-artifacts", "--enlarge", "2"]) == 0
    assert read(tmp_path / "b.png").width == 320
    assert read_receipt(tmp_path / "b.png")["settings"] == {
        "artifacts": False,
        "denoise": False,
        "scratches": False,
        "enlarge": 2,
    }
    assert main(["photo", path, path, "-o", str(tmp_path / "many")]) == 0
    assert (tmp_path / "many" / "photo_restored.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_what_was_ticked_for_another_picture_does_not_count():
    runs = ChainRuns(named("photo"))
    assert runs.ordered("steps", (True, True, True, 2, "a.png", "a.png")).settings == {
        "artifacts": True, "denoise": True, "scratches": True, "enlarge": 2,
    }  # fmt: skip
    assert runs.ordered("steps", (True, True, True, 2, "a.png", "b.png")).settings == {
        "artifacts": None, "denoise": None, "scratches": False, "enlarge": 2,
    }  # fmt: skip


def test_the_page_shows_every_step_by_itself(worn, tmp_path):
    write(worn["both"], tmp_path / "photo.png")
    runs, path = ChainRuns(named("photo")), str(tmp_path / "photo.png")
    steps = [
        step
        for step in runs.run(lambda *_, **__: None, path, "steps", True, True, False, 0, "png", 95, None, None, path)
    ]
    shown = next(step for step in steps if isinstance(step[0], tuple))
    assert shown[-1]["choices"] == [WHOLE, "1. Denoise", "2. Remove artifacts"]
    state = shown[5]
    pairs = {}
    for choice in shown[-1]["choices"]:
        for pair in runs.step(state, path, choice):
            pairs[choice] = [read(file).samples for file in pair]
    np.testing.assert_array_equal(pairs["1. Denoise"][0], worn["both"].samples)
    np.testing.assert_array_equal(pairs["1. Denoise"][1], pairs["2. Remove artifacts"][0])
    np.testing.assert_array_equal(pairs["2. Remove artifacts"][1], pairs[WHOLE][1])


def test_the_quality_is_found_in_the_middle_of_a_large_picture(monkeypatch, smooth):
    monkeypatch.setattr(diagnosis, "QUALITY_SIDE", 64)
    assert advised(from_tensor(Jpeg(30)(smooth))) == {"artifacts"}


def test_a_result_is_handed_on_to_another_tab(worn):
    shown = Shown(finish(Order("photo", settings={"enlarge": 2}).run(worn["fine"])), b"", "id", path="a.png")
    shelf.results().put("id", shown)
    for path, tabs in hand_on("id", "a.png", "denoise"):
        assert tabs.selected == "denoise"
        np.testing.assert_array_equal(read(path).samples, shown.done.picture.samples)


def test_every_task_has_a_pair_to_look_at_and_the_gallery_tells_origin_and_licence():
    for task in every():
        before, after = map(read, gallery.pair(task))
        assert before.samples.shape == after.samples.shape
        assert min(before.width, before.height) >= 200
    folder = Path(gallery.__file__).parent / "assets"
    assert {file.name for file in (folder / "gallery").iterdir()} == {*gallery.free(), "origins.tsv"}
    assert all(row["origin"] and row["licence"] in LICENCES for row in gallery.free().values())
    files = (file for part in ("gallery", "examples", "pairs") for file in (folder / part).iterdir())
    assert sum(file.stat().st_size for file in files) <= 1.5 * 2**20


def test_what_the_tasks_advise_is_in_the_order_of_the_chain(worn):
    first, second = (" ".join(_advice(worn["very noisy"], task, "")) for task in BEFORE_ENLARGING)
    assert BEFORE_ENLARGING == ("denoise", "artifacts")
    assert "remove its artifacts afterwards" in first
    assert "denoise it first" in second


def test_enlarging_says_what_grows_unless_the_model_cleans(worn):
    told = " ".join(_advice(worn["very noisy"], "upscale", "lanczos"))
    assert "denoise it first" in told and "blocks grow with it" in told
    assert _advice(worn["very noisy"], "upscale", "") == []


def _advice(image: Image, task: str, model: str) -> list[str]:
    return named(task).facts(image, catalog.method(task, model, 2 if task == "upscale" else None))[1]


@pytest.mark.parametrize("gain, is_as_good, is_better", [
    (-0.11, False, False), (-0.09, True, False), (0.19, True, False), (0.21, True, True),
])  # fmt: skip
def test_the_benchmark_judges_the_chain_by_its_margins(gain, is_as_good, is_better):
    best, chain = benchmark.Score(30.0, 0.2), benchmark.Score(30.0 + gain, 0.2)
    assert benchmark.as_good(chain, best) is is_as_good
    assert benchmark.better(chain, best) is is_better
    assert not benchmark.better(replace(chain, lpips=0.211), best)


def test_the_benchmark_prints_photos_and_finds_their_grain(tmp_path):
    files = [tmp_path / f"{name}.png" for name in ("astronaut", "chelsea")]
    for file in files:
        write(Image(getattr(data, file.stem)()), file)
    found = re.fullmatch(
        r"old prints: ([\d.]+) to ([\d.]+) dB in the mean, 2 of 2 denoised", benchmark.old_prints(files)
    )
    before, after = map(float, found.groups())
    assert 24 < before < 30 and after > before + 1.5
