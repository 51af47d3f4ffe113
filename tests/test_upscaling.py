"""Enlarging jobs: sizes, families, transparency, faithfulness, back-projection, network interpolation, trials."""

import numpy as np
import pytest
import torch
from skimage import data

import restoration
from restoration import catalog, running, tasks, upscaling
from restoration.degradations import Downscale
from restoration.image import Image, enlarged, from_tensor, to_8_bit
from restoration.interpolation import interpolated
from restoration.metrics import psnr_y
from restoration.orders import Order
from restoration.upscaling import corrected, upscale
from tests.conftest import in_pairs

OFFERED = restoration.methods("upscale")


@pytest.fixture(scope="module")
def cat() -> Image:
    return Image(np.ascontiguousarray(data.chelsea()[60:180, 100:244]), name="cat")


def small(image: Image, scale: int) -> Image:
    return from_tensor(Downscale(scale)(image.tensor()), image.name)


def run(*arguments, **settings) -> running.Result:
    return running.finish(upscale(*arguments, **settings))


def test_the_flagships_family_comes_first_with_all_scales():
    assert [method.flagship for method in OFFERED] == [True] + [False] * (len(OFFERED) - 1)
    families = catalog.families("upscale")
    assert next(iter(families)) == OFFERED[0].family
    assert [method.scale for method in families[OFFERED[0].family]] == [2, 4]
    assert {"nearest", "bilinear", "bicubic", "lanczos"} <= set(families)


@pytest.mark.parametrize("method", [m for m in OFFERED if m.learned], ids=lambda method: method.name)
def test_every_bundled_model_beats_bicubic_on_a_natural_picture(cat, method):
    lr = small(cat, method.scale)
    result, plain = run(lr, method.name).image(), enlarged(lr, method.scale)
    gain = psnr_y(result.tensor(), cat.tensor(), method.scale) - psnr_y(plain.tensor(), cat.tensor(), method.scale)
    assert gain > (-1.5 if method.blends else 0.3)  # texture that is invented costs PSNR


@pytest.mark.parametrize("name, bits, channels", in_pairs(method.name for method in OFFERED))
def test_grey_colour_depth_and_transparency_survive_every_method(rng, name, bits, channels):
    method = catalog.method("upscale", name)
    kind = np.uint8 if bits == 8 else np.uint16
    samples = rng.integers(0, 2**bits, (9, 13, channels)).astype(kind)
    alpha = rng.integers(0, 2**bits, (9, 13)).astype(kind)
    result = run(Image(samples, alpha, dpi=(300.0, 300.0)), method.name).image()
    assert result.samples.shape == (9 * method.scale, 13 * method.scale, channels)
    assert result.samples.dtype == result.alpha.dtype == kind
    assert result.alpha.shape == result.samples.shape[:2]
    assert result.dpi == (300.0, 300.0)


@pytest.mark.parametrize("name, scale, found", [
    ("bicubic-x3", None, "bicubic-x3"), ("bicubic", 2, "bicubic-x2"), ("bicubic", None, "bicubic-x4"),
    ("bicubic-x3", 4, "bicubic-x4"),
])  # fmt: skip
def test_a_method_is_found_by_name_or_by_family_and_scale(name, scale, found):
    assert catalog.method("upscale", name, scale).name == found


@pytest.mark.parametrize("arguments, settings, words", [
    (("nothing",), {}, "There is no upscale model called 'nothing'; choose photo"),
    (("bicubic", 5), {}, "Bicubic enlarges by 2, 3 or 4, not by 5."),
    (("bicubic",), {"alpha": 1.5}, "alpha goes from 0 to 1"),
])  # fmt: skip
def test_wrong_settings_are_answered_in_a_sentence(photo, arguments, settings, words):
    with pytest.raises(ValueError, match=words):
        run(photo, *arguments, **settings)


def test_results_over_64_megapixels_are_refused_before_anything_runs():
    large = Image(np.zeros((3000, 2000, 1), np.uint8))
    with pytest.raises(ValueError, match="96 megapixels; the limit is 64: choose a smaller scale"):
        next(upscale(large, "nearest", 4))
    assert upscaling.output_size(large, 3) == (6000, 9000)
    with upscaling.results_of_any_size():  # as on the command line
        assert upscaling.output_size(large, 4) == (8000, 12000)
    with pytest.raises(ValueError, match="the limit is 64"):
        upscaling.output_size(large, 4)


def test_bicubic_is_what_the_comparison_shows(photo):
    np.testing.assert_array_equal(run(photo, "bicubic", 3).image().samples, enlarged(photo, 3).samples)


@pytest.mark.parametrize("size", [pytest.param((11, 14), marks=pytest.mark.slow, id="small"), (2, 3)])
@pytest.mark.parametrize("name", [method.name for method in restoration.methods("upscale") if not method.prior])
def test_a_flat_picture_stays_flat_to_its_borders(name, size):
    """Within 2 levels, also for the corners of the colour cube, which no photo of the training is near."""
    method = catalog.method("upscale", name)
    corners = [[r, g, b] for r in (0.0, 1.0) for g in (0.0, 1.0) for b in (0.0, 1.0)]
    greys = [[level / 255] * 3 for level in (17, 29, 81, 140, 230)]
    colours = torch.tensor([*corners, *greys, [1.0, 0.5, 0.25]]).view(-1, 3, 1, 1)
    result = method.load().restore(colours.expand(-1, -1, *size).contiguous())
    assert result.shape[-2:] == tuple(method.scale * side for side in size)
    assert 255 * float((result - colours).abs().max()) <= 2


def test_small_tiles_give_the_same_file(cat):
    name = OFFERED[0].name
    whole, tiled = (run(cat, name, tile=tile).image().samples.astype(int) for tile in (None, 32))
    assert np.abs(whole - tiled).max() <= 1


def test_hidden_colours_do_not_bleed_into_the_visible_edge():
    samples = np.full((12, 12, 3), 200, np.uint8)
    alpha = np.full((12, 12), 255, np.uint8)
    samples[:, 6:], alpha[:, 6:] = 0, 0  # black lies under the transparent half
    result = run(Image(samples, alpha), "bicubic", 4).image()
    visible = result.alpha > 0
    assert visible.mean() > 0.4
    assert result.samples[visible].min() == 200


def test_faithfulness_is_high_for_interpolation_low_for_another_picture_and_maps_where(cat):
    lr = small(cat, 4)
    result = run(lr, "bicubic", 4)
    agreement = result.found.psnr
    plane = result.canvas.plane(0)
    plane[..., :48, :] = 0.5  # the upper 12 of 30 rows
    result.canvas.put_plane(0, plane)
    spoilt = upscaling.Faithfulness(result.canvas)
    assert agreement > 30 > spoilt.psnr
    assert spoilt.difference[..., :12, :].mean() > 5 * spoilt.difference[..., 16:, :].mean()
    heat = spoilt.heat_map().samples
    assert heat.shape == lr.samples.shape
    assert heat[:12].mean() > 5 * heat[16:].mean()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", ["nearest", OFFERED[0].name])
def test_staying_true_pulls_the_result_back_to_the_photo(cat, name, bits):
    lr = from_tensor(Downscale(4)(cat.tensor()), bits=bits)
    plain = run(lr, name, 4)
    true = run(lr, name, 4, stay_true=True)
    assert true.found.psnr > max(50, plain.found.psnr + 6)
    again = running.finish(corrected(plain)).image()  # as the page does when the switch is moved after the run
    np.testing.assert_array_equal(again.samples, true.image().samples)


def test_progress_rises_to_one_also_with_a_correction(photo):
    shares = [step.share for step in upscale(photo, "bicubic", 2, stay_true=True, tile=32)]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)


def test_dropping_the_job_stops_it(photo, monkeypatch):
    calls = []
    monkeypatch.setitem(running.RUNNERS, "fp32", lambda restorer, lr: calls.append(1) or restorer.restore(lr))
    work = upscale(photo, "nearest", 2, tile=16)
    next(work), next(work)
    work.close()
    assert len(calls) == 1


def test_network_interpolation_moves_the_weights_between_two_trainings():
    from restoration.models.rrdb import RRDBNet

    first, second = (RRDBNet(4, width=4, blocks=1, growth=2).eval() for _ in range(2))
    for alpha, expected in ((0, first), (1, second)):
        assert torch.allclose(interpolated(first, second, alpha).conv_hr.weight, expected.conv_hr.weight)
    half = interpolated(first, second, 0.5)
    assert torch.allclose(half.conv_hr.weight, (first.conv_hr.weight + second.conv_hr.weight) / 2)
    assert not torch.equal(second.conv_hr.weight, half.conv_hr.weight), "the second model was changed"
    for wrong in (lambda: interpolated(first, second, 2), lambda: interpolated(first, RRDBNet(4, 6, 1, 2), 0.5)):
        with pytest.raises(ValueError, match=r"alpha goes|same network"):
            wrong()


@pytest.mark.parametrize("name", [method.name for method in OFFERED if method.blends])
def test_a_blend_lies_between_its_ends(cat, name):
    lr = small(cat, 4)
    true, between, invented = (run(lr, name, alpha=alpha).image().samples.astype(int) for alpha in (0, 0.5, 1))
    partner = catalog.method("upscale", name).source.blends_with
    np.testing.assert_array_equal(true, run(lr, partner).image().samples)
    distance = [np.abs(between - end).mean() for end in (true, invented)]
    assert max(distance) < np.abs(true - invented).mean()
    np.testing.assert_array_equal(run(lr, partner, alpha=0.5).image().samples, true)  # nothing to blend with


def test_alpha_in_load_is_refused_where_nothing_blends():
    with pytest.raises(ValueError, match="does not blend"):
        restoration.load("drunet-fast", alpha=0.5)


def reduction_trial(sharp, model, scale):
    order = Order("upscale", model, {"scale": scale})
    return tasks.named("upscale").trial(sharp, order.method, order.settings, ())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_trial_scores_luma_with_the_border_cut(cat, scale):
    trial = running.finish(reduction_trial(cat, "lanczos", scale))
    height, width = (side // scale * scale for side in (cat.height, cat.width))
    sharp = cat.tensor((slice(0, height), slice(0, width)))
    assert (trial.restored.height, trial.restored.width) == (height, width)
    assert trial.after.psnr == pytest.approx(float(psnr_y(trial.restored.tensor(), sharp, scale)), abs=1e-4)
    assert trial.before.psnr == pytest.approx(float(psnr_y(trial.damaged.tensor(), sharp, scale)), abs=1e-4)
    assert 0.5 < trial.before.ssim < 1


def test_a_trial_needs_a_few_pixels(photo):
    tiny = Image(to_8_bit(photo).samples[:20, :20])
    with pytest.raises(ValueError, match="at least 32 pixels"):
        running.finish(reduction_trial(tiny, "bicubic", 4))
