"""The scores: protocol, table, verdicts."""

import json

import pytest
import torch

from restoration import catalog
from train import benchmarks, evaluate


def test_results_are_rounded_to_8_bits_before_they_are_scored():
    clean = [torch.full((1, 1, 16, 16), 100 / 255)]
    nearly = [torch.full((1, 1, 16, 16), 100.4 / 255)]
    noisy_set = benchmarks.NoisySet("x", (), 1, None, 0.1)
    assert noisy_set.summary(nearly, clean)["psnr"] == float("inf")
    assert noisy_set.summary([clean[0] + 10 / 255], clean)["psnr"] == pytest.approx(28.13, abs=0.01)  # 20 log10(25.5)


def test_cost_counts_a_convolution_as_the_textbook_does():
    from restoration.models.mwcnn import MWCNN

    model = MWCNN(1, (8,), depth=2).eval()
    # At half resolution: 4->8, 8->8 on the way down; 8->8, 8->4 on the way up; 9 taps each; a quarter of the pixels.
    macs = 9 * (4 * 8 + 8 * 8 + 8 * 8 + 8 * 4) / 4
    cost = evaluate.cost(model)
    assert cost["macs_per_pixel"] == pytest.approx(macs)
    assert cost["parameters"] == 9 * 192 + 8 + 8 + 8 + 4
    assert cost["seconds_per_megapixel"] > 0


def test_a_set_makes_grey_as_matlab_and_uses_only_the_listed_images(tmp_path):
    from PIL import Image as Pillow

    (tmp_path / "test").mkdir()
    for name in ("a", "b"):
        Pillow.new("RGB", (20, 20), (255, 0, 0)).save(tmp_path / "test" / f"{name}.png")
    (tmp_path / "list.txt").write_text("b.png\n")
    images = list(benchmarks.NoisySet("x", ("test",), 1, None, 0.1, "list.txt").images(tmp_path))
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

    assert "0.50 short of the floor" in evaluate.targets(scores(33.0), "denoise")
    assert "floor reached, 0.30 to the aim" in evaluate.targets(scores(33.7), "denoise")
    assert "aim reached" in evaluate.targets(scores(34.1), "denoise")


def test_every_denoiser_has_a_home_and_every_home_a_set():
    names = {c.name for a in catalog.architectures().values() if a.task == "denoise" for c in a.checkpoints}
    assert set(benchmarks.HOME) == names
    for prefixes in benchmarks.HOME.values():
        assert any(test_set.name.startswith(prefixes) for test_set in benchmarks.SETS["denoise"])
