"""Fills made of shifted copies: exact where the picture repeats, and a word where there is nothing to copy."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from restoration.__main__ import main as command_line
from restoration.files import read, write
from restoration.graph_cut import finished, grid_pairs, least_cost
from restoration.image import Image
from restoration.inpainting import Mask, hole_of, inpaint
from restoration.offset_fill import Copied, _too_large, filling, offset_fill
from restoration.offsets import _Correlations, strong_offsets
from restoration.orders import Order, replay
from restoration.running import finish
from restoration.shift_map import FEW, LAYERED, Labelling, Level, _layers
from train.made_pictures import made_pictures


def made(name: str) -> tuple[Tensor, Tensor]:
    """A made picture and its hole."""
    return next(others for other, *others in made_pictures() if other == name)


def filled(image: Tensor, mask: Tensor, **more) -> Copied:
    return finished(filling(image * (1 - mask), mask, **more))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stripes 90", "large bricks", "rows of small text"])
def test_what_repeats_goes_on_exactly(name):
    picture, mask = made(name)
    result = filled(picture, mask)
    assert result.found
    assert (result.picture - picture).abs().max() < 2 / 255


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edge of a ramp", "edge of a steep ramp"])
def test_an_edge_goes_on_through_a_hole(name):
    picture, mask = made(name)
    difference = ((filled(picture, mask).picture - picture) ** 2 * mask).sum() / mask.sum() / 3
    assert -10 * torch.log10(difference) > 24


@pytest.mark.slow
def test_bars_go_on_and_cross_in_a_hole():
    """Where exactly one gives way to the other is a tie that the last bits decide."""
    picture, mask = made("crossing bars")
    wrong = ((filled(picture, mask).picture - picture).abs().amax(1, keepdim=True) > 0.25) * mask
    assert wrong.sum() / mask.sum() < 0.03  # without the bars, 0.14


@pytest.mark.slow
@pytest.mark.parametrize("size", [(120, 160), (240, 320)])
@pytest.mark.parametrize("stub", [1, 4])
def test_what_the_hole_cuts_off_does_not_bleed_into_it(size, stub):
    height, width = size
    slope = torch.linspace(0.6, 0.9, height).view(1, 1, -1, 1).expand(1, 3, height, width)
    truth = (slope + 0.01 * torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    bird, hole, end = torch.zeros(1, 1, *size, dtype=torch.bool), torch.zeros(1, 1, *size), height * 7 // 12
    bird[..., height // 2 : end + stub * height // 120, width * 7 // 16 : width * 9 // 16] = True
    hole[..., height // 4 : end, width * 3 // 8 : width * 5 // 8] = 1
    error = offset_fill(torch.where(bird, truth - 0.4, truth), hole) - truth
    assert (error * hole).abs().sum() / hole.expand_as(error).sum() < 0.02


@pytest.mark.slow
def test_equal_runs_are_equal_and_variants_differ(cat):
    mask = torch.zeros(1, 1, 120, 144)
    mask[..., 40:70, 60:100] = 1
    first, again, other = filled(cat, mask), filled(cat, mask), filled(cat, mask, variant=1)
    assert torch.equal(first.picture, again.picture)
    assert not torch.equal(first.picture, other.picture)
    assert torch.equal(other.picture * (1 - mask), cat * (1 - mask))


@pytest.mark.slow
def test_what_may_not_be_copied_is_not(cat):
    mask, others = torch.zeros(1, 1, 120, 144), torch.zeros(1, 1, 120, 144)
    mask[..., 40:70, 60:100] = 1
    others[..., 75:, :] = 1
    spoilt = torch.where(others.bool(), torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1), cat)
    assert torch.equal(
        filled(cat, mask, others=others).picture * mask, filled(spoilt, mask, others=others).picture * mask
    )


@pytest.mark.slow
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


def test_only_what_is_there_once_is_rare():
    y, x = np.mgrid[:64, :96]
    pixels = (0.3 + 0.2 * ((y // 4 + x // 4) % 2))[..., None].repeat(3, 2).astype(np.float32)
    pixels[24:40, 60:76] = np.random.default_rng(5).random((16, 16, 3))
    hole = np.zeros((64, 96), bool)
    hole[20:40, 20:40] = True
    _, rare = strong_offsets(Level(pixels, hole, ~hole), 0)
    assert rare[4:16, 4:52].max() < 0.01
    assert rare[32, 68] > 0.1


@pytest.mark.parametrize("axis, expected", [(0, LAYERED / 80), (1, 0)])
def test_moving_down_costs_where_a_picture_changes_that_way(axis, expected):
    ramp = (np.mgrid[:80, :80][axis] / 80)[..., None].repeat(3, 2)
    assert _layers(ramp, np.full((80, 80), True)) == pytest.approx(expected)


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


@pytest.mark.slow
def test_what_is_avoided_is_kept_out_and_is_in_the_receipt(tmp_path):
    grass = np.ascontiguousarray(data.grass()[:120, :160, None])
    mask, avoided = np.zeros((120, 160, 1), np.uint8), np.zeros((60, 80, 1), np.uint8)
    mask[50:80, 60:90], avoided[:, 50:] = 255, 255  # of half the size
    files = [tmp_path / f"{name}.png" for name in ("picture", "mask", "avoided")]
    for file, samples in zip(files, (grass, mask, avoided), strict=True):
        write(Image(samples), file)
    picture, *masks = (read(file) for file in files)
    order = Order("inpaint", "offset-fill")
    done = finish(order.run(picture, hole_of(picture, *masks)))
    spoilt = grass.copy()
    spoilt[:, 100:] = 0
    other = finish(order.run(Image(spoilt), hole_of(picture, *masks)))
    filled = done.hole.opacity > 0
    np.testing.assert_array_equal(done.picture.samples[filled], other.picture.samples[filled])

    _, beside = done.files()
    assert finish(replay(json.loads(beside), picture)).same
    with pytest.raises(ValueError, match="does not hold what was avoided"):
        finish(replay(done.receipt, picture, masks[0]))
    given = [str(files[0]), "-o", str(tmp_path / "out.png"), "--mask", str(files[1]), "--avoid", str(files[2])]
    assert command_line(["inpaint", "--model", "offset-fill", *given]) == 0
    assert read(tmp_path / "out.png").digest == done.picture.digest


def test_a_fill_that_copies_nothing_says_that_avoiding_makes_no_difference():
    image = Image(np.ascontiguousarray(data.grass()[:60, :60, None]))
    everywhere = Image(np.full((60, 60, 1), 255, np.uint8))
    spot = np.zeros((60, 60, 1), np.uint8)
    spot[30, 30] = 255
    notes = finish(inpaint(image, hole_of(image, Image(spot), everywhere), "diffusion")).notes
    assert notes == ("Diffusion does not copy whole parts, so what to avoid makes no difference.",)
    notes = finish(inpaint(image, hole_of(image, Image(spot), everywhere), "offset-fill")).notes
    assert notes == ("There is too little around a hole that it could be filled with, so its fill is smooth.",)


@pytest.mark.parametrize("model", ["auto", "offset-fill"])
@pytest.mark.parametrize(
    "rows, columns", [(slice(20, 21), slice(9, 10)), (slice(0, 30), slice(30, 50)), (slice(0, 1), slice(0, 1))]
)
def test_a_hole_of_one_pixel_or_at_the_edge_is_filled(model, rows, columns):
    image = Image(np.ascontiguousarray(data.grass()[:60, :80, None]))
    opacity = np.zeros((60, 80), np.float32)
    opacity[rows, columns] = 1
    result = finish(inpaint(image, Mask(opacity), model)).image()
    np.testing.assert_array_equal(result.samples[opacity == 0], image.samples[opacity == 0])
    assert result.samples[opacity > 0].std() > (10 if opacity.sum() > 1 else -1)


@pytest.mark.parametrize("rows, columns, repeated, large", [
    (slice(0, 60), slice(0, 90), 1, False), (slice(0, 80), slice(0, 80), 1, True),
    (slice(0, 12), slice(0, 180), 6, False), (slice(0, 24), slice(0, 200), 6, True),
])  # fmt: skip
def test_only_thin_holes_may_have_many_pixels(rows, columns, repeated, large):
    """5,400 pixels in one, 6,400, six of 2,160, and six of 4,800, which are too many even of thin ones."""
    hole = np.zeros((180, 200), bool)
    for number in range(repeated):
        hole[rows.start + 30 * number : rows.stop + 30 * number, columns] = True
    assert _too_large(hole) == large


def test_few_labels_are_tried_where_a_rim_tells_which_fit(cat):
    mask = torch.zeros(1, 1, 120, 144)
    mask[..., 30:95, 20:120] = 1
    hole = mask[0, 0].bool().numpy()
    level = Level((cat * (1 - mask))[0].permute(1, 2, 0).numpy(), hole, ~hole)
    offsets = np.array([(row, column) for row in (-90, -60, 60, 90) for column in range(-40, 41, 8)])
    problem = Labelling(level, offsets, level.hole)
    problem.tabulated(np.zeros(level.size, np.float32))
    allowed, near = problem.allowed(), problem.near_rim
    fitting = problem.fitting(allowed)
    assert (fitting.sum(0)[near] == np.minimum(allowed.sum(0)[near], FEW)).mean() > 0.98  # but for equally good ones
    inner = (problem.y > 60) & (problem.y < 65) & (problem.x > 60) & (problem.x < 80)
    assert (fitting == allowed)[:, inner].all()
