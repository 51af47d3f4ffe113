"""The scores: protocol, table, verdicts."""

import copy
import json
import math
from itertools import count

import numpy as np
import pytest
import torch

import restoration
from restoration import catalog, tasks
from restoration.files import write
from restoration.image import Image
from restoration.metrics import psnr_y
from restoration.resampling import enlarge
from train import benchmarks, evaluate, ratchet, tables
from train.benchmarks import denoise as denoising
from train.benchmarks._sets import BEST


def test_results_are_rounded_to_8_bits_before_they_are_scored():
    clean = [torch.full((1, 1, 16, 16), 100 / 255)]
    nearly = [torch.full((1, 1, 16, 16), 100.4 / 255)]
    noisy_set = denoising.NoisySet("x", (), 1, None, 0.1)
    assert noisy_set.summary(nearly, clean, [(clean[0],)], None)["psnr"] == BEST
    assert noisy_set.summary([clean[0] + 10 / 255], clean, [(clean[0],)], None)["psnr"] == pytest.approx(
        28.13, abs=0.01
    )  # 20 log10(25.5)


def test_cost_counts_a_convolution_as_the_textbook_does_and_the_seconds_of_this_process_alone(monkeypatch):
    from restoration.models.mwcnn import MWCNN

    monkeypatch.setattr(evaluate.time, "process_time", count().__next__)
    model = MWCNN(1, (8,), depth=2).eval()
    # At half resolution: 4->8, 8->8 on the way down; 8->8, 8->4 on the way up; 9 taps each; a quarter of the pixels.
    macs = 9 * (4 * 8 + 8 * 8 + 8 * 8 + 8 * 4) / 4
    cost = evaluate.cost(model, "denoise")
    assert cost["macs_per_pixel"] == pytest.approx(macs)
    assert cost["parameters"] == 9 * 192 + 8 + 8 + 8 + 4
    assert cost["seconds_per_megapixel"] == pytest.approx(1e6 / 512**2)


def test_a_set_makes_grey_as_matlab_and_uses_only_the_listed_images(tmp_path):
    from PIL import Image as Pillow

    (tmp_path / "test").mkdir()
    for name in ("a", "b"):
        Pillow.new("RGB", (20, 20), (255, 0, 0)).save(tmp_path / "test" / f"{name}.png")
    (tmp_path / "list.txt").write_text("b.png\n")
    images = list(denoising.NoisySet("x", ("test",), 1, None, 0.1, "list.txt").images(tmp_path))
    assert len(images) == 1
    assert images[0].shape == (1, 1, 20, 20)
    assert images[0].unique().item() == pytest.approx(76 / 255)


def test_a_run_writes_scores_and_leaves_the_others(tmp_path, capsys):
    from PIL import Image as Pillow

    folder = tmp_path / "data" / "test" / "Set12"
    folder.mkdir(parents=True)
    Pillow.radial_gradient("L").crop((0, 0, 64, 64)).save(folder / "01.png")
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps({"methods": {}, "sets": {"Set12 σ15": {"kept": {"psnr": 1.0, "ssim": 0.5}}}}))
    arguments = ["--data", str(tmp_path / "data"), "--methods", "mean", "gaussian", "--sets", "Set12"]
    assert evaluate.main([*arguments, "--json", str(scores)]) == 0
    sets = json.loads(scores.read_text())["sets"]
    assert set(sets) == {"Set12 σ15", "Set12 σ25", "Set12 σ50"}
    assert set(sets["Set12 σ15"]) == {"kept", "noisy", "mean", "gaussian"}
    # sigma 25 alone is 20.17 dB; clipping the noisy image for show gains a little where it is dark
    assert 20.17 < sets["Set12 σ25"]["noisy"]["psnr"] < 21
    assert sets["Set12 σ25"]["gaussian"]["psnr"] > 30
    assert "| mean |" in capsys.readouterr().out


def test_targets_say_how_far_away_a_score_is():
    def scores(value):
        return {"sets": {"CBSD68 σ15": {"drunet-fast": {"psnr": value}}}}

    assert "0.50 short of the floor" in tables.targets(scores(33.0), "denoise")
    assert "floor reached, 0.30 to the aim" in tables.targets(scores(33.7), "denoise")
    assert "aim reached" in tables.targets(scores(34.1), "denoise")


def test_every_home_is_a_models_and_has_a_set():
    checkpoints = {c.name: a.task for a in catalog.architectures().values() for c in a.checkpoints}
    for task, benchmark in benchmarks.every().items():
        for name, prefixes in benchmark.home.items():
            assert checkpoints[name] == task
            assert any(test_set.name.startswith(prefixes) for test_set in benchmark.sets)


def test_upscaling_is_scored_on_the_luma_of_reduced_images(tmp_path, capsys):
    from skimage import data

    folder = tmp_path / "photos"
    folder.mkdir()
    write(Image(np.ascontiguousarray(data.chelsea()[50:150, 100:231])), folder / "cat.png")
    arguments = ["--task", "upscale", "--data", str(tmp_path), "--folder", str(folder), "--methods", "bicubic-x2"]
    assert evaluate.main(arguments) == 0
    printed = capsys.readouterr().out
    (header,) = (line for line in printed.splitlines() if line.startswith("| method |"))
    assert header.split(" | ").count("photos x2") == 1
    assert "bicubic-x2" in printed
    (test_set,) = (s for s in benchmarks.every()["upscale"].of_folder(folder, None) if s.name == "photos x2")
    (clean,) = test_set.images(tmp_path)
    assert clean.shape == (1, 3, 100, 130)
    (lr,) = test_set.degraded(clean, 0, tmp_path)
    restored = enlarge(lr, 2).clamp(0, 1)
    scores = test_set.summary([restored], [clean], [(lr,)], None)
    assert f"{scores['psnr']:.2f} / {scores['ssim']:.3f}" in printed
    assert scores["psnr"] == pytest.approx(-10 * math.log10(scores["mse"]))
    assert scores["psnr_range"] == [scores["psnr"]] * 2
    rounded = (restored * 255).round() / 255
    assert scores["psnr"] == pytest.approx(float(psnr_y(rounded, clean, 2)))


def test_inpainting_is_scored_by_the_range_of_its_holes(tmp_path, capsys):
    from skimage import data

    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    write(Image(np.ascontiguousarray(data.astronaut()[:300, :280])), tmp_path / "photos" / "a.png")
    hole = np.zeros((512, 512, 1), np.uint8)
    hole[:128, :256] = 255
    write(Image(hole), tmp_path / "masks" / "r10-20_01.png")
    (test_set,) = (s for s in benchmarks.every()["inpaint"].of_folder(tmp_path / "photos", None) if s.holes == "r10-20")
    (clean,) = test_set.images(tmp_path)
    holed, mask = test_set.degraded(clean, 0, tmp_path)
    assert clean.shape == (1, 3, 256, 256)
    assert mask.mean() == 1 / 8
    assert torch.equal(holed, clean * (1 - mask))
    scores = test_set.summary([holed], [clean], [(holed, mask)], None)
    inside = clean[..., :64, :128]
    assert scores["hole_psnr"] == pytest.approx(-10 * math.log10(float(inside.square().mean())), abs=1e-3)
    assert scores["hole_psnr"] == pytest.approx(scores["psnr"] - 10 * math.log10(8), abs=1e-6)


def test_every_image_of_a_folder_is_filled_with_masks_that_take_turns(tmp_path, capsys, rng):
    for folder, names in (("photos", "abc"), ("holes", "xy")):
        (tmp_path / folder).mkdir()
        for name in names:
            samples = rng.integers(0, 2, (16, 16, 1)).astype(np.uint8) * 255
            write(Image(samples), tmp_path / folder / f"{name}.png")
    arguments = ["--task", "inpaint", "--data", str(tmp_path), "--folder", str(tmp_path / "photos")]
    arguments += ["--methods", "diffusion"]
    with pytest.raises(SystemExit, match="there is no mask r00-10"):
        evaluate.main(arguments)
    assert evaluate.main([*arguments, "--masks", str(tmp_path / "holes")]) == 0
    assert "| method | photos |" in capsys.readouterr().out
    (tmp_path / "black").mkdir()
    write(Image(np.zeros((16, 16, 1), np.uint8)), tmp_path / "black" / "x.png")
    with pytest.raises(SystemExit, match="no pixel is missing"):
        evaluate.main([*arguments, "--masks", str(tmp_path / "black")])
    (test_set,) = benchmarks.every()["inpaint"].of_folder(tmp_path / "photos", tmp_path / "holes")
    clean = list(test_set.images(tmp_path))
    masks = [test_set.degraded(image, index, tmp_path)[1] for index, image in enumerate(clean)]
    assert len(masks) == 3
    assert torch.equal(masks[0], masks[2])
    assert not torch.equal(masks[0], masks[1])


def test_lpips_counts_the_other_way_round():
    def scores(value):
        return {"sets": {"BSD100 x4": {"esrgan-x4": {"psnr": 24.5, "lpips": value}}}}

    assert "**0.050 short of the floor**" in tables.targets(scores(0.35), "upscale")
    assert "floor reached, 0.070 to the aim" in tables.targets(scores(0.25), "upscale")
    assert "aim reached" in tables.targets(scores(0.17), "upscale")


def test_inpainters_are_measured_against_the_biharmonic_fill():
    def scores(hole_psnr, lpips):
        row = {"psnr": 25.0, "hole_psnr": hole_psnr, "lpips": lpips}
        biharmonic = {"psnr": 24.0, "hole_psnr": 18.0, "lpips": 0.2}
        return {"sets": {"BSD100 20-30 %": {"deepfill": row, "biharmonic": biharmonic}}}

    better = tables.targets(scores(18.5, 0.19), "inpaint")
    assert "| -0.010 LPIPS over biharmonic | 0.000 | -0.050 | floor reached, 0.040 to the aim |" in better
    assert "| +0.50 in the holes over biharmonic | 0.00 | 2.00 | floor reached, 1.50 to the aim |" in better
    worse = tables.targets(scores(17.5, 0.21), "inpaint")
    assert "**0.50 short of the floor**" in worse
    assert "**0.010 short of the floor**" in worse


def test_missing_pixels_are_drawn_anew_for_each_grey_picture(tmp_path):
    (test_set,) = (s for s in benchmarks.every()["inpaint"].sets if s.channels == 1)
    clean = torch.ones(1, 1, 64, 64)
    (holed, mask), (_, other) = (test_set.degraded(clean, index, tmp_path) for index in (0, 1))
    assert torch.equal(holed, 1 - mask)
    assert mask.mean() == pytest.approx(0.5, abs=0.03)
    assert (mask != other).any()


def test_the_prior_is_scored_when_it_is_named_and_its_time_is_taken(tmp_path, capsys, monkeypatch):
    from PIL import Image as Pillow

    folder = tmp_path / "data" / "test" / "Set12"
    folder.mkdir(parents=True)
    Pillow.radial_gradient("L").crop((0, 0, 64, 48)).save(folder / "01.png")
    scores = tmp_path / "scores.json"
    arguments = ["--task", "inpaint", "--data", str(tmp_path / "data"), "--sets", "Set12", "--json", str(scores)]
    assert evaluate.main([*arguments, "--methods", "deep-image-prior", "diffusion"]) == 0
    kept = json.loads(scores.read_text())
    assert set(kept["sets"]["Set12 50 % of pixels"]) == {"deep-image-prior", "diffusion"}
    assert kept["methods"]["deep-image-prior"]["seconds_per_megapixel"] > 0
    capsys.readouterr()
    price = {"seconds_per_megapixel": 1.0, "parameters": 0, "macs_per_pixel": 0}
    monkeypatch.setattr(evaluate, "cost", lambda *_: price)  # on large pictures, which takes a minute for all
    assert evaluate.main(arguments) == 0
    measured = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Set12 50 %")]
    assert any("biharmonic" in line for line in measured)
    assert not any("deep-image-prior" in line for line in measured)


def test_every_default_has_sets_with_real_damage_but_for_fills():
    for name in tasks.every():
        if not (tasks.named(name).holes or tasks.named(name).methods):
            assert any(test_set.real for test_set in benchmarks.every()[name].sets)


def test_a_default_that_is_worse_on_real_photos_is_not_replaced(tmp_path, monkeypatch, capsys):
    """Better on held-out images, worse where a camera's noise is removed."""
    photos = tmp_path / "test" / "PolyU"
    photos.mkdir(parents=True)
    clean = np.full((64, 64, 3), 90, np.uint8)
    noisy = np.clip(90 + np.random.default_rng(0).normal(0, 8, clean.shape), 0, 255).astype(np.uint8)
    write(Image(clean), photos / "a_mean.png")
    write(Image(noisy), photos / "a_real.png")
    other = denoising.RealNoiseSet("PolyU", "test/PolyU")
    monkeypatch.setattr(benchmarks.every()["denoise"], "sets", (other,))
    model = restoration.load(catalog.method("denoise", "").name)
    identity = copy.deepcopy(model)
    monkeypatch.setattr(identity, "restore", lambda noisy, sigma=None: noisy)
    assert ratchet.on_photos(model, tmp_path) > ratchet.on_photos(identity, tmp_path) + 3
    folder = tmp_path / "run"
    model.save_pretrained(folder)
    (folder / "run.json").write_text(json.dumps({**model.run, "model": catalog.method("denoise", "").name}))
    images = tmp_path / "images"
    images.mkdir()
    for index in range(40):
        write(Image(clean), images / f"cid22_{index}.png")
    scores = iter([2.0, 1.0])
    monkeypatch.setattr(ratchet, "judge", lambda *_: (lambda *_: next(scores), "dB"))
    monkeypatch.setattr(ratchet, "standing", lambda *_: 1.0)
    photo_scores = iter([30.0, 31.0])
    monkeypatch.setattr(ratchet, "on_photos", lambda *_: next(photo_scores))
    assert evaluate.main(["--promote", str(folder), "--train-data", str(images), "--data", str(tmp_path)]) == 1
    assert "worse than the default" in capsys.readouterr().err


@pytest.mark.parametrize(("images", "scored", "to_beat"), [
    (3, [{"sigma": 0.1}], 40.0),  # as it was scored when it was bundled, which was more
    (3, [{"sigma": 0.1}, {"sigma": 0.2}], 30.0), (4, [{"sigma": 0.1}], 30.0),
])  # fmt: skip
def test_a_score_on_record_counts_where_it_is_of_as_many_images_with_equal_damage(monkeypatch, images, scored, to_beat):
    record = {"recipe": {"scored": [{"sigma": 0.1}]}, "ratchet": {"score": 40.0, "images": 3}}
    monkeypatch.setattr(ratchet, "_record", lambda name: record)
    assert ratchet.standing("drunet-photo", lambda *_: 30.0, images * [None], scored) == to_beat
    del record["recipe"]["scored"]  # not known
    assert ratchet.standing("drunet-photo", lambda *_: 30.0, 3 * [None], scored) == 40.0


def test_a_card_reports_its_models_sets_the_telling_one_first():
    scored = ["CBSD68 σ15", "CBSD68 σ25, JPEG 90", "CBSD68 σ25", "X-ray Gaussian 0.1", "PolyU"]
    assert benchmarks.every()["denoise"].at_home("drunet-photo", scored)[0] == "PolyU"
    known = benchmarks.every()["denoise"].at_home(
        "drunet-fast", ["CBSD68 σ15", "CBSD68 σ25", "X-ray Gaussian 0.1", "PolyU"]
    )
    assert known == ["CBSD68 σ25", "CBSD68 σ15", "PolyU"]
    assert (
        benchmarks.every()["upscale"].at_home("unlisted", ["Set5 x4", "photos x4, noise 8"])[0] == "photos x4, noise 8"
    )
