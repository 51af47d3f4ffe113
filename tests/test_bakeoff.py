"""The bake-off: every method once, on the right patch, scored where the original is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data

import restoration
from restoration import gallery
from restoration.bakeoff import SIDE, around, bake_off, bake_off_damaged, patch
from restoration.degradations import GaussianNoise
from restoration.files import read
from restoration.image import Image, from_tensor
from restoration.metrics import psnr


@pytest.fixture
def large(rng):
    return Image(rng.integers(0, 256, (300, 400, 3)).astype(np.uint8))


@pytest.mark.parametrize("spot", [(0, 0), (399, 299), (200, 150), (399, 0)])
def test_the_patch_holds_the_spot_and_stays_in_the_picture(large, spot):
    rows, columns = around(large, spot, SIDE)
    assert patch(large, (rows, columns)).samples.shape == (SIDE, SIDE, 3)
    assert rows.start <= spot[1] < rows.stop
    assert columns.start <= spot[0] < columns.stop


@pytest.mark.slow
@pytest.mark.parametrize("task, scale", [("denoise", None), ("artifacts", None), ("upscale", 2), ("inpaint", None)])
def test_every_method_takes_part_once(photo, task, scale):
    entries = list(bake_off(task, photo, (10, 20), scale=scale))
    offered = [m.name for m in restoration.methods(task) if not (m.prior or m.chooses) and scale in (None, m.scale)]
    assert [entry.name for entry in entries if entry.name] == offered
    for entry in entries:
        assert (entry.image.width, entry.image.height) == ((scale or 1) * 90, (scale or 1) * 70)
        assert entry.title


def test_scores_are_true_where_the_original_is_known():
    photo = Image(np.ascontiguousarray(data.astronaut()[:70, 100:190]))
    noisy = from_tensor(GaussianNoise(0.1)(photo.tensor(), torch.Generator().manual_seed(0)))
    entries = list(bake_off("denoise", noisy, (5, 5), settings={"sigma_255": 25.5}, original=photo))
    for entry in entries:
        assert entry.score.psnr == pytest.approx(float(psnr(entry.image.tensor(), photo.tensor())))
    assert entries[1].score.psnr > entries[0].score.psnr + 3


def test_a_spot_without_a_hole_gets_one_whose_filling_is_scored(photo):
    first, *others = bake_off("inpaint", photo, (45, 35))
    changed = (first.image.samples != photo.samples).any(axis=2)
    assert changed[35, 45]
    for entry in others:
        np.testing.assert_array_equal(entry.image.samples[~changed], photo.samples[~changed])
        assert entry.score.psnr > 10


def test_a_spot_outside_is_refused(photo):
    with pytest.raises(ValueError, match="inside the picture"):
        next(bake_off("denoise", replace(photo), (90, 0)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "trial, best",
    [
        (lambda clean: bake_off_damaged("denoise", clean, ("Gaussian", 25, 0)), "drunet-fast"),
        (lambda clean: bake_off_damaged("artifacts", clean, (10,)), "drunet-jpeg"),
        (lambda clean: bake_off_damaged("upscale", clean, scale=4), "compact-x4"),
    ],
    ids=["noise", "jpeg", "reduction"],
)
def test_a_clean_picture_that_is_damaged_is_scored_and_a_trained_model_wins(trial, best):
    entries = list(trial(read(gallery.clean("astronaut.png"))))
    assert all(entry.score for entry in entries)
    scores = {entry.name: entry.score.psnr for entry in entries}
    learned = {method.name for method in restoration.methods() if method.learned}
    assert scores[best] > max(value for name, value in scores.items() if name not in learned)
