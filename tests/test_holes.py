"""Test sets of removed objects and of made pictures: what they hold, and what their measures say."""

import numpy as np
import pytest
import torch
from skimage import data

from restoration.files import read
from train import tables
from train.holes import OBJECTS, MadeSet, gradient_ratio, seam_visibility
from train.made_pictures import made_pictures


def box(size: int = 120) -> torch.Tensor:
    mask = torch.zeros(1, 1, size, size)
    mask[..., 40:80, 40:80] = 1
    return mask


def test_gradient_energy_is_one_where_all_is_alike_and_none_in_a_flat_hole():
    across = torch.arange(120.0).remainder(2).expand(1, 1, 120, 120)
    checks = (across + across.transpose(2, 3)).remainder(2).repeat_interleave(2, 2)[..., :120, :]
    assert gradient_ratio(checks, box()) == pytest.approx(1, rel=0.05)
    assert gradient_ratio(torch.where(box().bool(), 0.5, checks), box()) == 0


def test_a_ramp_has_no_seam_and_a_step_around_a_hole_has_one():
    ramp = (torch.arange(120.0)[:, None] + torch.arange(120.0)).expand(1, 1, 120, 120) / 240
    assert seam_visibility(ramp, box()) == pytest.approx(1, rel=1e-4)
    assert seam_visibility(ramp + 0.1 * box(), box()) > 5


def test_masks_are_of_one_bit_small_and_of_their_photos_sizes():
    files = sorted(OBJECTS.glob("*.png"))
    assert len(files) == 20
    for file in files:
        mask = read(file)
        assert 0.01 < (mask.samples > 127).mean() < 0.6
        assert file.stat().st_size < 4096
        if not file.stem.isdigit():  # the numbers are of BSD100
            assert getattr(data, file.stem)().shape[:2] == (mask.height, mask.width)


def test_twelve_pictures_are_made_with_holes_of_64_to_200_pixels():
    made = made_pictures()
    assert len({name for name, _, _ in made}) == 12
    for _, picture, mask in made:
        rows, columns = (np.flatnonzero(mask[0, 0].any(axis).numpy()) for axis in (1, 0))
        assert all(64 <= len(side) <= 200 for side in (rows, columns))
        assert 0 <= picture.min() < picture.max() <= 1


def test_the_truth_of_made_pictures_scores_best(tmp_path):
    made = MadeSet("made", "")
    clean = list(made.images(tmp_path))
    given = [made.degraded(image, index, tmp_path) for index, image in enumerate(clean)]
    scores = made.summary(clean, clean, given, None)
    assert scores["each"] == [99.0] * 12
    empty = made.summary([image for image, _ in given], clean, given, None)["each"]
    assert max(empty) < 24

    def said(score: list[float]) -> str:
        results = {"offset-fill": {"images": 12, "each": score}, "fourier-fill": {"images": 12, "each": empty}}
        return tables.targets({"sets": {"made pictures": results}}, "inpaint")

    assert "12 of 12 by 4 dB or more over fourier-fill | 9 | 12 | aim reached" in said(scores["each"])
    assert "0 of 12 by 24 dB or more in the hole | 9 | 12 | **9 short of the floor**" in said(empty)
