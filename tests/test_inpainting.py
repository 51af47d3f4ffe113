"""Inpainting jobs: masks of every kind, untouched surroundings, the picture's own resolution."""

import re
from collections.abc import Generator

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from PIL import ImageColor
from scipy import ndimage
from skimage import data
from torch.nn import functional as F

import restoration
from restoration import inpainting, running, tasks, texture
from restoration.__main__ import main as command_line
from restoration.files import read, write
from restoration.fill_choice import AMONG
from restoration.image import Image
from restoration.inpainting import Mask, adjusted, hole_of, inpaint, mask_from, mask_image, transparent_pixels
from restoration.page.layout import tab_of
from restoration.page.masks import SEEN, chosen_hole, mask_for_all
from restoration.page.runs import again
from restoration.resampling import pull_push
from restoration.texture import copy_texture, finer_patches, finer_texture, found_texture, no_patches
from tests.conftest import by_api, in_pairs

METHODS = [method.name for method in restoration.methods("inpaint")]
QUICK = [method.name for method in restoration.methods("inpaint") if not method.prior]


@pytest.fixture(scope="module")
def cat() -> Image:
    return Image(np.ascontiguousarray(data.chelsea()[60:180, 100:244]), name="cat")


def box(image: Image, top=40, bottom=60, left=50, right=80) -> Mask:
    opacity = np.zeros((image.height, image.width), np.float32)
    opacity[top:bottom, left:right] = 1
    return Mask(opacity)


def run(image: Image, mask: Mask, model: str = "diffusion") -> running.Result:
    return running.finish(inpaint(image, mask, model))


@pytest.mark.parametrize("model, bits, channels", in_pairs(METHODS))
def test_known_pixels_are_bit_identical_and_the_hole_is_filled(rng, model, bits, channels):
    kind = np.uint8 if bits == 8 else np.uint16
    samples = rng.integers(0, 2**bits, (50, 70, channels)).astype(kind)
    image = Image(samples, rng.integers(0, 2**bits, (50, 70)).astype(kind))
    mask = adjusted(box(image, 20, 30, 20, 40), feather=3)
    result = run(image, mask, model).image()
    outside = mask.opacity == 0
    np.testing.assert_array_equal(result.samples[outside], samples[outside])
    np.testing.assert_array_equal(result.alpha[outside], image.alpha[outside])
    assert (result.samples[~outside] != samples[~outside]).mean() > 0.8
    assert result.samples.dtype == kind


@pytest.mark.parametrize("model", METHODS)
def test_what_a_hole_held_does_not_matter(cat, model):
    mask = box(cat)
    spoilt = cat.samples.copy()
    spoilt[mask.opacity == 1] = 255
    np.testing.assert_array_equal(
        run(cat, mask, model).image().samples, run(Image(spoilt), mask, model).image().samples
    )


@pytest.mark.parametrize("model", QUICK)
def test_a_fill_is_far_closer_to_the_truth_than_grey(cat, model):
    mask = box(cat)
    hole = mask.opacity == 1
    truth = cat.samples[hole].astype(float)
    error = np.abs(run(cat, mask, model).image().samples[hole] - truth).mean()
    assert error < 0.7 * np.abs(truth - 128).mean()


def test_several_holes_are_filled_each_with_its_surroundings(cat):
    opacity = box(cat, 5, 10, 5, 10).opacity + box(cat, 90, 100, 120, 140).opacity
    steps = [step.share for step in inpaint(cat, Mask(opacity), "diffusion")]
    assert steps == sorted(steps)
    assert steps[0] == 0
    assert steps[-1] == 1
    assert len(steps) >= 3
    result = run(cat, Mask(opacity)).image()
    alone = run(cat, box(cat, 5, 10, 5, 10)).image()
    np.testing.assert_array_equal(result.samples[:20, :20], alone.samples[:20, :20])


@pytest.mark.slow
def test_large_holes_are_filled_coarse_to_fine_and_thin_ones_at_full_resolution(monkeypatch):
    monkeypatch.setattr(inpainting, "WHOLE", 128)
    y, x = np.mgrid[:175, :225]
    smooth = np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8)
    image = Image(smooth)
    wide = run(image, box(image, 25, 150, 25, 200))
    assert wide.image().samples.shape == smooth.shape
    assert np.abs(wide.image().samples.astype(int) - smooth)[25:150, 25:200].mean() < 40
    opacity = np.zeros((175, 225), np.float32)
    opacity[85:88] = 1
    thin = run(image, Mask(opacity))
    assert not thin.notes
    assert np.abs(thin.image().samples.astype(int) - smooth)[85:88].max() <= 4


def test_cancelling_stops_between_pieces(monkeypatch):
    calls = []
    real = running.with_channels
    monkeypatch.setitem(running.RUNNERS, "fp32", lambda *arguments: calls.append(1) or real(*arguments))
    opacity = np.zeros((700, 1200), np.float32)
    opacity[340:350] = 1
    work = inpaint(Image(np.zeros((700, 1200, 1), np.uint8)), Mask(opacity), "diffusion")
    while len(calls) < 2:
        next(work)
    work.close()
    assert len(calls) == 2  # of five pieces that the hole crosses


@pytest.mark.parametrize("opacity, words", [
    (np.zeros((120, 144)), "Nothing is marked"), (np.ones((120, 144)), "Everything is marked"),
    (np.ones((5, 5)), "differ in size"),
])  # fmt: skip
def test_useless_masks_are_answered_in_a_sentence(cat, opacity, words):
    with pytest.raises(ValueError, match=words):
        run(cat, Mask(opacity.astype(np.float32)))


def _odd(kind: str) -> np.ndarray:
    """A mask for a picture of 60 x 72 pixels that few would draw."""
    mask = np.zeros((60, 72), np.uint8)
    if kind == "one pixel":
        mask[31, 40] = 255
    elif kind == "all but one pixel":
        mask[:] = 255
        mask[31, 40] = 0
    elif kind == "all but a corner":
        mask[:-9] = mask[:, :-9] = 255
    elif kind == "full":
        mask[:] = 255
    elif kind == "along the rim":
        mask[:6] = mask[:, -6:] = 255
    elif kind == "a corner":
        mask[-9:, -9:] = 255
    elif kind == "half":
        mask[:, :36] = 255
    elif kind == "smaller":
        mask = np.zeros((20, 18), np.uint8)
        mask[5:9, 6:12] = 255
    elif kind == "larger and of another shape":
        mask = np.zeros((90, 200), np.uint8)
        mask[30:60, 50:90] = 255
    return mask


@pytest.mark.parametrize("model", ["auto", *(pytest.param(one, marks=pytest.mark.slow) for one in AMONG)])
@pytest.mark.parametrize("kind", [
    "empty", "full", "one pixel", "all but one pixel", "all but a corner", "along the rim", "a corner", "half",
    "smaller", "larger and of another shape",
])  # fmt: skip
def test_an_odd_mask_is_answered_alike_on_every_route(cat, tmp_path, capsys, model, kind):
    picture, mask = tmp_path / "cat.png", tmp_path / "mask.png"
    write(Image(np.ascontiguousarray(cat.samples[:60, :72]), name="cat"), picture)
    write(Image(_odd(kind)[..., None]), mask)

    def by_command_line() -> Image:
        argv = ["inpaint", str(picture), "-o", str(tmp_path / "out"), "--mask", str(mask), "--model", model]
        if command_line(argv):
            raise ValueError(capsys.readouterr().err.partition("error: ")[2].strip())
        return read(tmp_path / "out" / "cat_inpainted.png")

    def by_api_call() -> Image:
        return read(by_api("inpaint", str(picture), model=model, mask=str(mask))[0])

    def on_the_page() -> Image:
        runs = tab_of(tasks.named("inpaint")).runs
        choices = (False, 2, 2, True, 0, "png", 95, {}, str(mask), False, None, [])
        *_, shown = runs.run(lambda *_, **__: None, str(picture), model, *choices)
        return again(shown[5]).done.picture

    answers = []
    for route in (by_command_line, by_api_call, on_the_page):
        try:
            answers.append(route().samples)
        except (ValueError, gr.Error) as error:
            answers.append(str(error).strip("'"))
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])
    refused = kind in ("empty", "full", "all but one pixel")  # as holes grow by two pixels
    if isinstance(answers[0], str):
        assert refused and re.fullmatch(r"[A-Z][^\n]+\.", answers[0])
    else:
        assert answers[0].shape == (60, 72, 3) and not refused


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_is_white_and_opaque_is_missing_from_the_middle_of_the_levels_on(kind):
    most = int(np.iinfo(kind).max)
    levels = [most, most, 45 * most // 100, 55 * most // 100]
    alpha = np.array([[most // 2, most // 2 + 1, most, most]], kind)
    drawing = Image(np.array(levels, kind)[None, :, None], alpha)
    assert mask_from(drawing, drawing).opacity.tolist() == [[0, 1, 0, 1]]


def test_everything_stays_marked_however_much_it_is_shrunk(cat):
    nothing = Mask(np.zeros((120, 144), np.float32))
    everything = adjusted(nothing, invert=True, grow=-5)
    assert everything.opacity.all()
    with pytest.raises(ValueError, match="Everything is marked"):
        run(cat, everything)


def test_a_mask_of_another_size_is_resized_by_nearest_pixels_and_that_is_said(cat):
    small = np.zeros((12, 12, 1), np.uint8)
    small[3:6, 6:9] = 255
    mask = mask_from(Image(small), cat)
    assert mask.opacity.shape == (120, 144)
    np.testing.assert_array_equal(mask.opacity, small[..., 0].repeat(10, 0).repeat(12, 1) / 255)
    assert mask.notes == ("The mask was resized from 12 × 12 to 144 × 120 px.",)
    assert mask_from(mask_image(mask), cat).notes == ()


def test_a_drawing_on_a_transparent_layer_is_a_mask(cat):
    strokes = Image(np.full((120, 144, 3), 255, np.uint8), np.zeros((120, 144), np.uint8))
    strokes.alpha[10:20, 30:40] = 255
    assert mask_from(strokes, cat).opacity.sum() == 100


def test_masks_are_inverted_grown_shrunk_and_feathered(cat):
    mask = box(cat)
    assert adjusted(mask, invert=True).opacity.sum() == 120 * 144 - 600
    grown, shrunk = adjusted(mask, grow=3).opacity, adjusted(mask, grow=-3).opacity
    assert grown[37, 60] == grown[62, 60] == 1
    assert grown[36, 60] == grown[63, 60] == 0
    assert shrunk.sum() == (20 - 6) * (30 - 6)
    soft = adjusted(mask, feather=4).opacity
    np.testing.assert_array_equal(soft[40:60, 50:80], 1)
    assert 1 > soft[39, 60] > soft[38, 60] > soft[36, 60] > soft[35, 60] == 0
    assert adjusted(Mask(np.zeros((9, 9), np.float32)), grow=2, feather=2).opacity.sum() == 0


def test_transparent_pixels_can_be_the_hole_and_become_opaque(cat):
    alpha = np.full((120, 144), 255, np.uint8)
    alpha[40:60, 50:80] = 0
    image = Image(cat.samples, alpha)
    result = run(image, transparent_pixels(image)).image()
    assert result.alpha.min() == 255
    assert transparent_pixels(cat).opacity.sum() == 0


def test_the_command_line_fills_and_says_how_much(cat, tmp_path, capsys):
    write(cat, tmp_path / "cat.png")
    write(mask_image(box(cat)), tmp_path / "mask.png")
    argv = ["inpaint", str(tmp_path / "cat.png"), "-o", str(tmp_path), "--model", "diffusion"]
    assert command_line([*argv, "--mask", str(tmp_path / "mask.png")]) == 0
    expected = run(cat, adjusted(box(cat), grow=2, feather=2)).image()
    np.testing.assert_array_equal(read(tmp_path / "cat_inpainted.png").samples, expected.samples)
    assert "diffusion, 6." in capsys.readouterr().out
    assert command_line([*argv, "--mask", str(tmp_path / "no.png")]) == 1
    assert command_line([*argv, "--transparent"]) == 1
    assert "error: Nothing is marked" in capsys.readouterr().err


# Texture -------------------------------------------------------------------------------------------------------------


def test_a_smooth_fill_gets_the_texture_around_it():
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(80.0), indexing="ij")
    image = (0.5 + 0.3 * torch.sin((rows + columns) * 0.9)).expand(1, 3, -1, -1)
    hole = torch.zeros(1, 1, 64, 80)
    hole[..., 20:44, 24:56] = 1
    fill = pull_push(image, hole)
    result = copy_texture(fill, hole)
    inside = hole.bool().expand_as(image)
    assert torch.equal(result[~inside], image[~inside])
    assert (result - image)[inside].square().mean() < (fill - image)[inside].square().mean() / 4
    assert torch.equal(result, copy_texture(fill, hole))
    assert not torch.equal(result, copy_texture(fill, hole, seed=1))


@pytest.mark.parametrize("size", [(9, 9), (16, 20), (24, 32), (40, 70)])
@pytest.mark.parametrize("level", range(0, 256, 25))
def test_what_is_flat_stays_flat_with_the_texture_around_it(level, size):
    fill = torch.tensor([level, 255 - level, 77]).view(1, 3, 1, 1).expand(1, 3, *size) / 255
    hole = torch.zeros(1, 1, *size)
    hole[..., range(4), range(4)] = 1
    assert torch.allclose(copy_texture(fill, hole), fill, atol=1e-5)


def test_texture_leaves_what_is_coarse_as_it_was_filled():
    torch.manual_seed(0)
    slope = torch.linspace(0.2, 0.8, 80).expand(1, 1, 64, 80)
    image = slope + 0.05 * torch.randn(1, 1, 64, 80)
    hole = torch.zeros(1, 1, 64, 80)
    hole[..., 16:48, 20:60] = 1
    fill = torch.where(hole.bool(), slope, image)
    result = copy_texture(fill, hole)
    window = (..., slice(16, 48), slice(20, 60))
    change = torch.nn.functional.avg_pool2d((result - slope)[window], 8)
    assert change.abs().max() < 0.06
    assert (result - slope)[window].std() > 0.025


def returned(steps: Generator[None, None, torch.Tensor]) -> torch.Tensor:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_patches_that_were_found_at_half_of_the_resolution_give_the_detail_of_all_of_it():
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(160.0), indexing="ij")
    image = (0.5 + 0.3 * torch.sin((rows + columns) * 1.2)).expand(1, 3, -1, -1)
    hole = torch.zeros(1, 1, 128, 160)
    hole[..., 40:90, 50:110] = 1
    small, small_hole = F.avg_pool2d(image, 2), F.max_pool2d(hole, 2)
    _, patches = found_texture(pull_push(small, small_hole), small_hole)
    patches = finer_patches(patches, (128, 160))
    assert patches.shape == (1, 3, 128, 160)
    fill = pull_push(image, hole)
    result = returned(finer_texture(fill, hole, patches))
    inside = hole.bool().expand_as(image)
    assert torch.equal(result[~inside], image[~inside])
    assert result[inside].std() > 0.7 * image[inside].std() > 2 * fill[inside].std()
    assert torch.equal(returned(finer_texture(fill, hole, no_patches(fill))), fill)


@pytest.mark.parametrize("shapes, tolerance", [(49, 0.001), (8, 0.1)])
def test_patches_that_are_copied_differ_by_what_is_said(monkeypatch, shapes, tolerance):
    monkeypatch.setattr(texture, "SHAPES", shapes)
    monkeypatch.setattr(texture, "ROUNDS", 1)
    monkeypatch.setattr(texture, "ENERGY", 0)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(80.0), indexing="ij")
    image = 0.5 + 0.3 * torch.sin((rows + columns) * 0.9 + torch.tensor([0.0, 1.0, 2.0])[:, None, None])[None]
    hole = torch.zeros(1, 1, 64, 80)
    hole[..., 20:44, 24:56] = 1
    fill = pull_push(image, hole)
    _, patches = found_texture(fill, hole)
    known = 1.6 ** -torch.from_numpy(ndimage.distance_transform_edt(hole[0, 0].numpy()))

    def patch(planes: torch.Tensor, row: int, column: int) -> torch.Tensor:
        return planes[..., row - 3 : row + 4, column - 3 : column + 4].double()

    for row, column in ((18, 40), (21, 25), (32, 40), (46, 58)):
        down, right, error = patches[0, :, row, column].tolist()
        copied = patch(fill[0], row + int(down), column + int(right))
        difference, weights = (patch(fill[0], row, column) - copied).square().sum(0), patch(known, row, column)
        assert error == pytest.approx(float((difference * weights).sum() / weights.sum()), rel=tolerance, abs=1e-6)
    assert patches[0, 2].isinf().sum() == 64 * 80 - 30 * 38


@pytest.mark.slow
@pytest.mark.parametrize("texture", [True, False])
def test_the_middle_of_a_large_hole_is_as_sharp_as_the_picture(rng, texture):
    samples = rng.integers(60, 200, (700, 720, 1)).astype(np.uint8)
    image = Image(samples)
    result = running.finish(inpaint(image, box(image, 200, 500, 200, 520), "diffusion", texture))
    middle = result.image().samples[300:400, 300:420, 0].astype(float)
    assert (np.diff(middle).std() > 0.4 * np.diff(samples[..., 0].astype(float)).std()) == texture
    assert any("soft" in note for note in result.notes) != texture


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (12, 12)])
def test_where_nothing_can_be_copied_the_fill_stays(size):
    fill, hole = torch.rand(1, 3, *size), torch.zeros(1, 1, *size)
    hole[..., size[0] // 2, size[1] // 2] = 1
    hole[..., ::4, ::4] = 1
    assert torch.equal(copy_texture(fill, hole), fill)


def test_texture_is_a_setting_and_on_by_default(cat):
    mask = box(cat)
    textured, plain = (running.finish(inpaint(cat, mask, "diffusion", *more)).image() for more in ((), (False,)))
    changed = textured.samples != plain.samples
    assert changed.any()
    assert not changed[mask.opacity == 0].any()


@pytest.mark.parametrize("avoided", [False, True])
@pytest.mark.parametrize("opacity", [1, 150, 255])
def test_what_is_painted_is_missing_or_avoided_by_its_colour(tmp_path, avoided, opacity):
    layer = np.zeros((20, 30, 4), np.uint8)
    layer[4:9, 5:25] = (*ImageColor.getrgb(SEEN[avoided][0]), opacity)
    layer[12:14, 5:25] = (255, 255, 255, opacity)  # as programs paint: any other colour is a hole
    Pillow.fromarray(layer).save(tmp_path / "layer.png")
    image, drawing = Image(np.zeros((40, 60, 3), np.uint8)), {"layers": [str(tmp_path / "layer.png")]}
    hole = chosen_hole(image, drawing, None, False)
    rows = np.arange(40)[:, None] < 20
    marked = np.kron(layer[..., 3] > 0, np.ones((2, 2))) > 0
    np.testing.assert_array_equal(hole.opacity > 0, marked & ~(rows & avoided))
    if avoided:
        np.testing.assert_array_equal(hole.avoided, marked & rows)
    assert hole.notes == ()
    missing, kept_out = mask_for_all(drawing, None)
    np.testing.assert_array_equal(hole_of(image, missing).opacity, hole.opacity)
    assert (hole.avoided is None) == (kept_out is None) != avoided


def test_what_was_painted_last_counts(tmp_path):
    red, blue = (Pillow.new("RGBA", (8, 8), (*ImageColor.getrgb(colour), 153)) for colour, _ in SEEN)
    for first, second, avoided in ((red, blue, 64), (blue, red, 0)):
        Pillow.alpha_composite(first, second).save(tmp_path / "layer.png")
        image = Image(np.zeros((8, 8, 3), np.uint8))
        hole = chosen_hole(image, {"layers": [str(tmp_path / "layer.png")]}, None, False)
        assert (hole.opacity > 0).sum() == 64 - avoided
        assert (0 if hole.avoided is None else hole.avoided.sum()) == avoided
