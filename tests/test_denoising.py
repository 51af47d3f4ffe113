"""The function behind page, API and command line, with filters and with the bundled models."""

import numpy as np
import pytest
import torch
from skimage import data

import restoration
from restoration import catalog, denoising, running, tasks
from restoration.degradations import CameraNoise
from restoration.grain import measured_grain
from restoration.image import Image, from_tensor
from restoration.metrics import psnr
from restoration.models.photo_drunet import Coarse, PhotoDRUNet
from restoration.orders import Order
from tests.conftest import in_pairs

LEARNED = [method.name for method in restoration.methods("denoise") if method.learned]


def noisy_version(image: Image, sigma_255: float = 25) -> Image:
    noise = torch.randn(image.tensor().shape, generator=torch.Generator().manual_seed(0)) * sigma_255 / 255
    return from_tensor(image.tensor() + noise, image.name, image.bits)


@pytest.mark.parametrize("told, found, asked", [
    (-0.2, 0.03, 0.03),  # blind
    (0.0, 0.03, 0.0), (0.02, 0.03, 0.02), (0.03, 0.03, 0.03),  # no more than there is
    (0.06, 0.03, 0.12), (0.2, 0.1, 0.4), (0.09, 0.001, 0.4), (0.02, 0.0, 0.1),  # more, and where that ends
])  # fmt: skip
def test_who_tells_a_photo_denoiser_more_than_it_finds_gets_more(told, found, asked):
    model = PhotoDRUNet(widths=(4, 6), blocks=1)
    given = model.asked(torch.full((1, 1, 4, 8), told), torch.full((1, 1, 4, 8), found))
    torch.testing.assert_close(given, torch.full((1, 1, 4, 8), asked))


def test_the_flagship_comes_first_and_is_the_only_one():
    offered = restoration.methods("denoise")
    assert [method.flagship for method in offered] == [True] + [False] * (len(offered) - 1)
    assert offered[0].name == "drunet-photo"
    assert all(method.summary.endswith(".") and len(method.summary) < 120 for method in offered)


@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
@pytest.mark.parametrize("model", LEARNED)
def test_every_bundled_model_beats_the_noise_on_a_natural_picture(model, grey):
    cat = torch.from_numpy(data.chelsea()[60:188, 100:260].copy()).permute(2, 0, 1) / 255
    clean = from_tensor(cat[:1] if grey else cat)
    noisy = noisy_version(clean)
    restored = running.finish(denoising.denoise(noisy, model)).image()
    gain = psnr(restored.tensor(), clean.tensor()) - psnr(noisy.tensor(), clean.tensor())
    assert gain > 3


@pytest.mark.parametrize("model, bits, channels", in_pairs([*LEARNED, "non-local-means", "median"]))
def test_grey_colour_depth_and_transparency_survive_every_model(rng, model, bits, channels):
    kind = np.uint8 if bits == 8 else np.uint16
    samples = rng.integers(0, 2**bits, (19, 23, channels)).astype(kind)
    alpha = rng.integers(0, 2**bits, (19, 23)).astype(kind)
    result = running.finish(denoising.denoise(Image(samples, alpha), model)).image()
    assert result.samples.shape == samples.shape
    assert result.samples.dtype == samples.dtype
    np.testing.assert_array_equal(result.alpha, alpha)


def test_small_tiles_give_the_same_file(photo):
    whole, tiled = (
        running.finish(denoising.denoise(noisy_version(photo), "drunet-fast", tile=tile)) for tile in (None, 32)
    )
    difference = whole.image().samples.astype(int) - tiled.image().samples
    assert np.abs(difference).max() <= 1


def test_strength_moves_without_another_run_of_the_model(photo, monkeypatch):
    restored = running.finish(denoising.denoise(noisy_version(photo), "median"))
    monkeypatch.setattr(running, "run_tiled", None)
    full, half = restored.image().samples.astype(float), restored.image(0.5).samples.astype(float)
    start = restored.image(0).samples.astype(float)
    np.testing.assert_array_equal(start, noisy_version(photo).samples)
    assert np.abs(half - (start + full) / 2).max() <= 1


def test_auto_measures_and_says_so_and_a_given_level_is_used():
    noisy = noisy_version(Image(np.ascontiguousarray(data.astronaut()[:96, 100:220])))
    measured = running.finish(denoising.denoise(noisy, "gaussian"))
    assert measured.found.measured
    assert 255 * measured.found.sigma == pytest.approx(25, rel=0.2)
    given = running.finish(denoising.denoise(noisy, "gaussian", 60 / 255))
    assert not given.found.measured
    assert given.found.sigma == 60 / 255
    assert not np.array_equal(given.image().samples, measured.image().samples)


def test_a_level_that_is_measured_can_be_set(rng):
    dots = Image((rng.random((64, 64, 1)) < 0.5).astype(np.uint8) * 255)
    level = denoising.measured_sigma(dots)
    assert 255 * level == denoising.MAX_SIGMA_255
    assert denoising._measured_levels(dots, denoising.FEW_SAMPLES).max() > level
    assert 255 * measured_grain(dots).level == pytest.approx(denoising.MAX_SIGMA_255)
    assert running.finish(denoising.denoise(dots, "median", level)).found.sigma == level


@pytest.mark.parametrize("arguments", [("nothing",), ("median", 2.0), ("median", -0.1)])
def test_wrong_settings_are_answered_in_a_sentence(photo, arguments):
    with pytest.raises(ValueError, match=r"There is no denoise model|noise level goes from 0 to 100"):
        running.finish(denoising.denoise(photo, *arguments))


def test_progress_reaches_one_and_dropping_the_job_stops_it(photo, monkeypatch):
    shares = [step.share for step in denoising.denoise(photo, "median", tile=16)]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)
    calls = []
    monkeypatch.setitem(running.RUNNERS, "fp32", lambda restorer, noisy, sigma: calls.append(1) or noisy)
    work = denoising.denoise(photo, "median", 0.1, tile=16)
    next(work), next(work)
    work.close()
    assert len(calls) == 1


def noise_trial(clean, kind, level):
    order = Order("denoise", "median")
    return tasks.named("denoise").trial(clean, order.method, order.settings, (kind, level, 0))


@pytest.mark.parametrize("kind", denoising.NOISES)
def test_a_trial_scores_what_is_shown(photo, kind):
    trial = running.finish(noise_trial(photo, kind, 20))
    assert trial.before.psnr == pytest.approx(psnr(trial.damaged.tensor(), photo.tensor()).item())
    assert trial.after.psnr == pytest.approx(psnr(trial.restored.tensor(), photo.tensor()).item())
    assert trial.before.ssim < 1
    again = running.finish(noise_trial(photo, kind, 20))
    np.testing.assert_array_equal(again.damaged.samples, trial.damaged.samples)


@pytest.mark.parametrize("level", [1, 12, 40, 100])
@pytest.mark.parametrize(("kind", "at"), [("Gaussian", 0.5), ("Camera", 0.5), ("Film grain", 0.5), ("Uniform", 0.5),
                                          ("Poisson", 1.0), ("Speckle", 1.0)])  # fmt: skip
def test_the_level_of_a_kind_of_noise_is_its_deviation(kind, at, level):
    flat = torch.full((1, 3, 256, 256), at)
    noise = denoising.NOISES[kind](level)(flat, torch.Generator().manual_seed(0)) - flat
    assert 255 * noise.std().item() == pytest.approx(level, rel=0.04)


def test_noise_beyond_the_highest_level_is_tried_at_that_level(photo):
    trial = running.finish(noise_trial(photo, "Salt and pepper", 100))
    assert float((trial.damaged.tensor() - photo.tensor()).std()) > denoising.MAX_SIGMA_255 / 255
    told = running.finish(denoising.denoise(trial.damaged, "median", denoising.MAX_SIGMA_255 / 255)).image()
    np.testing.assert_array_equal(trial.restored.samples, told.samples)


def test_a_trial_refuses_unknown_noise(photo):
    with pytest.raises(ValueError, match="Choose one of Gaussian"):
        running.finish(noise_trial(photo, "snow", 20))


def test_a_decorator_decides_where_the_network_runs_and_is_told_for_how_long(photo, monkeypatch):
    monkeypatch.setattr(running, "_runner", running._runner)  # put back afterwards
    expected = running.finish(denoising.denoise(photo, "drunet-fast")).image()
    calls = []

    def decorate(function):
        def elsewhere(*arguments):
            calls.append(running.gpu_seconds(*arguments))
            return function(*arguments)

        return elsewhere

    running.use_gpu(decorate)
    there = running.finish(denoising.denoise(photo, "drunet-fast")).image()
    np.testing.assert_array_equal(there.samples, expected.samples)
    assert calls == [10]
    method = catalog.method("upscale", "compact-x4")
    assert running.gpu_seconds(method, 1.0, torch.zeros(1, 3, 500, 1000)) == 90


def smooth_noise(like: torch.Tensor, sigma_255: float) -> torch.Tensor:
    """Noise of that level whose neighbouring pixels are alike, as a camera's are."""
    camera = CameraNoise(2e-3, 1e-5, smoothing=0.4, colour_smoothing=0.8)
    grey = torch.full_like(like, 0.5)
    noise = camera(grey, torch.Generator().manual_seed(0)) - grey
    return noise * (sigma_255 / 255 / noise.std())


@pytest.mark.parametrize("sigma_255", [6, 12, 25])
@pytest.mark.parametrize("kind", ["white", "smooth"])
@pytest.mark.parametrize("beside", ["nothing", "flat", "white"])
def test_the_level_is_that_of_the_noise_where_there_is_any(sigma_255, kind, beside):
    clean = torch.from_numpy(data.astronaut()[:192, 150:342].copy()).permute(2, 0, 1)[None] / 255
    white = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)) * sigma_255 / 255
    noisy = clean + (white if kind == "white" else smooth_noise(clean, sigma_255))
    if beside != "nothing":  # a border, a drawing, a blown sky: more than half of the picture
        other = torch.full((1, 3, 192, 280), 128 / 255 if beside == "flat" else 1.0)
        noisy = torch.cat([noisy, other], dim=3)
    assert 255 * denoising.measured_sigma(from_tensor(noisy)) == pytest.approx(
        sigma_255, rel=0.33, abs=2.5
    )  # texture counts, and strong smooth noise passes for texture


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (200, 9), (64, 64)])
def test_a_flat_picture_has_no_noise_whatever_its_size(level, size):
    assert denoising.measured_sigma(from_tensor(torch.full((1, 3, *size), level))) == 0


def test_a_large_picture_is_measured_in_samples_of_all_of_it(monkeypatch):
    samples = np.full((64, 5000, 3), 128, np.uint8)
    noise = np.random.default_rng(0).normal(0, 20, (64, 1000, 3))
    samples[:, 4000:] = np.clip(128 + noise, 0, 255)  # far from the middle
    assert 255 * denoising.measured_sigma(Image(samples)) == pytest.approx(20, rel=0.3)


@pytest.mark.parametrize("side", [1, 4])
def test_extremes_are_those_of_pooling(side):
    part = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    lowest, highest = denoising._extremes(part, side)
    assert torch.equal(highest, torch.nn.functional.max_pool2d(part, side))
    assert torch.equal(lowest, -torch.nn.functional.max_pool2d(-part, side))


def test_parts_of_one_size_are_measured_as_one_by_one():
    parts = list(torch.rand(3, 1, 3, 40, 44, generator=torch.Generator().manual_seed(0)))
    estimator = denoising._estimator()
    together = denoising._all_noisy_cells(estimator, parts)
    torch.testing.assert_close(together, torch.cat([denoising._all_noisy_cells(estimator, [part]) for part in parts]))


def test_slow_changes_are_what_a_mean_over_far_more_pixels_than_grain_has_leaves(rng):
    coarse = Coarse(3)
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 256, 256)
    inside = (..., slice(coarse.receptive_field, -coarse.receptive_field), slice(64, -64))
    assert (coarse(ramp) - ramp)[inside].abs().max() < 1e-5
    assert coarse(torch.from_numpy(rng.normal(size=(1, 3, 256, 256))).float()).std() < 0.02


@pytest.mark.parametrize("tint, left", [(0.5 / 255, 0.0), (5 / 255, 4 / 255)])
def test_a_denoiser_may_move_colours_only_by_more_than_a_level(monkeypatch, tint, left):
    model = PhotoDRUNet(widths=(4, 6), blocks=1).eval()
    monkeypatch.setattr(model.denoiser, "forward", lambda noisy, sigma: noisy - tint)
    picture = torch.full((1, 3, 256, 256), 0.5)
    moved = picture - model.restore(picture)
    assert moved[..., 100:156, 100:156].sub(left).abs().max() < 1e-5
