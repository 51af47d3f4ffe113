"""Fills made of shifted copies: exact where the picture repeats, and a word where there is nothing to copy."""

from itertools import product

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from restoration.graph_cut import finished, grid_pairs, least_cost
from restoration.image import Image
from restoration.inpainting import Mask, inpaint
from restoration.offset_fill import Copied, filling, offset_fill
from restoration.offsets import _Correlations
from restoration.running import finish
from restoration.shift_map import Level
from train.made_pictures import made_pictures

MADE = {name: (picture, mask) for name, picture, mask in made_pictures()}


def filled(image: Tensor, mask: Tensor, **more) -> Copied:
    return finished(filling(image * (1 - mask), mask, **more))


@pytest.mark.parametrize("name", ["stripes 90", "large bricks", "rows of small text"])
def test_what_repeats_goes_on_exactly(name):
    picture, mask = MADE[name]
    result = filled(picture, mask)
    assert result.found
    assert (result.picture - picture).abs().max() < 2 / 255


@pytest.mark.parametrize("name", ["edge of a ramp", "edge of a steep ramp", "crossing bars"])
def test_an_edge_goes_on_through_a_hole(name):
    picture, mask = MADE[name]
    difference = ((filled(picture, mask).picture - picture) ** 2 * mask).sum() / mask.sum() / 3
    assert -10 * torch.log10(difference) > 24


def test_equal_runs_are_equal_and_variants_differ(cat):
    mask = torch.zeros(1, 1, 120, 144)
    mask[..., 40:70, 60:100] = 1
    first, again, other = filled(cat, mask), filled(cat, mask), filled(cat, mask, variant=1)
    assert torch.equal(first.picture, again.picture)
    assert not torch.equal(first.picture, other.picture)
    assert torch.equal(other.picture * (1 - mask), cat * (1 - mask))


def test_what_may_not_be_copied_is_not(cat):
    mask, others = torch.zeros(1, 1, 120, 144), torch.zeros(1, 1, 120, 144)
    mask[..., 40:70, 60:100] = 1
    others[..., 75:, :] = 1
    spoilt = torch.where(others.bool(), torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1), cat)
    assert torch.equal(
        filled(cat, mask, others=others).picture * mask, filled(spoilt, mask, others=others).picture * mask
    )


def test_a_batch_is_filled_picture_by_picture(cat):
    mask = torch.zeros(2, 1, 120, 144)
    mask[0, :, 40:60, 60:90] = 1
    both = offset_fill(torch.cat([cat, cat]) * (1 - mask), mask)
    assert torch.equal(both[:1], filled(cat, mask[:1]).picture)
    assert torch.equal(both[1:], cat)


def test_a_picture_is_compared_with_itself_as_shifting_it_would(rng):
    hole, rim = np.zeros((14, 19), bool), np.zeros((14, 19), bool)
    hole[5:9, 8:12], rim[3:5, 8:12] = True, True
    pixels = rng.random((14, 19, 3)).astype(np.float32)
    pictures = _Correlations(Level(pixels, hole, ~hole))
    shares, differences = pictures.usable_share(hole), pictures.difference(rim)
    assert shares.shape == differences.shape == (29, 39)
    for down, right in ((0, 0), (4, 0), (2, -3), (-4, 6), (6, -8), (9, 2), (-12, 5)):
        y, x = np.nonzero(hole)
        y, x = y + down, x + right
        there = (y >= 0) & (y < 14) & (x >= 0) & (x < 19)
        assert shares[14 + down, 19 + right] == (~hole[y[there], x[there]]).sum() / 16
        y, x = np.nonzero(rim)
        there = (y + down >= 0) & (y + down < 14) & (x + right >= 0) & (x + right < 19)
        there[there] = ~hole[y[there] + down, x[there] + right]
        apart = pixels[y[there], x[there]] - pixels[y[there] + down, x[there] + right]
        expected = np.sqrt((apart**2).mean()) if there.any() else 0
        assert differences[14 + down, 19 + right] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size", [(1, 7), (9, 9), (40, 5)])
def test_where_there_is_too_little_to_copy_the_fill_is_smooth_and_that_is_said(size):
    mask = np.zeros(size, np.float32)
    mask[0, 1:4] = 1
    done = finish(inpaint(Image(np.full((*size, 3), 90, np.uint8)), Mask(mask), "offset-fill"))
    assert np.abs(done.image().samples.astype(int) - 90).max() <= 1
    assert done.notes == ("There is too little around a hole that it could be filled with, so its fill is smooth.",)


def test_the_best_labels_of_two_are_found(rng):
    region = np.ones((3, 3), bool)
    pairs = grid_pairs(region)
    own = rng.random((2, 9)).round(2)
    apart = rng.random(len(pairs.first)).round(2)  # what it costs that a pair differs
    number = {pair: index for index, pair in enumerate(zip(*pairs, strict=True))}

    def seam(first, second, one, other):
        return np.array([apart[number[pair]] for pair in zip(first, second, strict=True)]) * (one != other)

    def cost(labels: np.ndarray) -> float:
        return own[labels, np.arange(9)].sum() + seam(*pairs, labels[pairs.first], labels[pairs.second]).sum()

    steps = least_cost(
        np.zeros(9, int), np.ones((2, 9), bool), pairs, lambda nodes, labels: own[labels, nodes], seam, sweeps=5
    )
    found = finished(steps)
    assert cost(found) == pytest.approx(min(cost(np.array(labels)) for labels in product((0, 1), repeat=9)))


def test_labels_stay_where_they_are_allowed():
    pairs = grid_pairs(np.ones((1, 3), bool))
    allowed = np.array([[True, True, True], [True, False, True]])
    steps = least_cost(
        np.zeros(3, int), allowed, pairs, lambda nodes, labels: 1.0 - labels, lambda a, b, one, two: 0.0 * one, 3
    )
    assert finished(steps).tolist() == [1, 0, 1]


@pytest.fixture(scope="module")
def cat() -> Tensor:
    return Image(np.ascontiguousarray(data.chelsea()[60:180, 100:244])).tensor()
