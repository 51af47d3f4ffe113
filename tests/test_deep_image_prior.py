"""Deep Image Prior: it restores, reports, repeats itself, and stops when dropped."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from skimage import data

from restoration import deep_image_prior, denoising, inpainting, precision, running, upscaling
from restoration.deep_image_prior import Attempt, Hourglass, _seconds_per_pixel_and_step
from restoration.degradations import GaussianNoise
from restoration.image import Image
from restoration.inpainting import Mask
from restoration.metrics import psnr
from restoration.orders import Order
from restoration.random_holes import PixelHoles
from restoration.resampling import enlarge, resample

FAST = {"steps": 120, "width": 16}


@pytest.fixture(scope="module")
def clean() -> torch.Tensor:
    return torch.from_numpy(data.camera()[100:148, 200:256].copy())[None, None] / 255


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def last(attempts) -> torch.Tensor:
    while True:
        try:
            next(attempts)
        except StopIteration as end:
            return end.value


@pytest.mark.slow
def test_missing_pixels_are_filled_and_known_ones_stay(clean):
    mask = PixelHoles(0.5)(1, clean.shape[-2:], seeded())
    filled = last(deep_image_prior.inpaint(clean * (1 - mask), mask, **FAST))
    assert torch.equal(torch.where(mask.bool(), 0, filled), clean * (1 - mask))
    mean = torch.where(mask.bool(), clean.mean(), clean)
    assert psnr(filled, clean) > psnr(mean, clean) + 3


@pytest.mark.slow
def test_noise_goes_before_it_is_learned(clean):
    noisy = GaussianNoise(0.15)(clean, seeded())
    assert psnr(last(deep_image_prior.denoise(noisy, **FAST)), clean) > psnr(noisy.clamp(0, 1), clean) + 2


@pytest.mark.slow
def test_an_enlargement_reduces_to_what_was_observed(clean):
    lr = resample(clean, (24, 28), 1 / 2)
    large = last(deep_image_prior.upscale(lr, 2, steps=300, width=16))
    assert large.shape == clean.shape
    assert psnr(resample(large, (24, 28), 1 / 2), lr) > 24
    assert psnr(large, enlarge(lr, 2)) > 20


def test_equal_seeds_give_equal_pictures_and_leave_the_global_generator_alone(clean):
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, second, other = (last(deep_image_prior.denoise(clean, steps=8, width=8, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.slow
def test_fits_at_once_give_what_each_gives_alone(clean):
    images = clean[..., :16, :16], clean[..., :24, 16:40]

    def fitted(image: torch.Tensor) -> torch.Tensor:
        return last(deep_image_prior.denoise(image, steps=3, width=8))

    alone = [fitted(image) for image in images]
    with ThreadPoolExecutor(4) as threads:
        for image, found in zip(images * 10, threads.map(fitted, images * 10), strict=True):
            assert torch.equal(found, alone[image is images[1]])


def test_progress_is_reported_and_dropping_it_stops_the_work(clean, monkeypatch):
    monkeypatch.setattr(deep_image_prior, "PREVIEW_EVERY", 0.0)
    attempts = list(deep_image_prior.denoise(clean, steps=5, width=8))
    assert [attempt.step for attempt in attempts] == [1, 2, 3, 4, 5]
    assert attempts[-1].seconds_left == 0
    assert attempts[0].seconds_left > 0
    assert all(isinstance(attempt, Attempt) and attempt.image.shape == clean.shape for attempt in attempts)
    assert not torch.equal(attempts[0].image, attempts[-1].image)
    calls = []
    monkeypatch.setattr(Hourglass, "forward", lambda self, noise: calls.append(1) or self.head(noise[:, :8]))
    running = deep_image_prior.denoise(clean, steps=100, width=8)
    next(running), next(running)
    running.close()
    assert len(calls) == 2


def jobs(image: Image) -> dict:
    hole = np.zeros((image.height, image.width), np.float32)
    hole[5:9, 5:9] = 1
    return {
        "denoise": lambda: denoising.denoise(image, "deep-image-prior"),
        "upscale": lambda: upscaling.upscale(image, "deep-image-prior", 2),
        "inpaint": lambda: inpainting.inpaint(image, Mask(hole), "deep-image-prior"),
    }


@pytest.mark.parametrize("task", ["denoise", "upscale", "inpaint"])
def test_every_job_shows_what_it_has_so_far_and_how_long_it_will_take(photo, task, monkeypatch):
    monkeypatch.setattr(deep_image_prior, "PREVIEW_EVERY", 0.0)
    steps = list(jobs(photo)[task]())
    assert [step.done for step in steps] == [0, 1, 2, 3, 4]
    assert steps[0].seconds_left > 0
    assert steps[0].so_far is None
    size = (180, 140) if task == "upscale" else (90, 70)
    for step in steps[1:]:
        shown = step.so_far.image()
        assert (shown.width, shown.height) == size


@pytest.mark.parametrize("task", ["denoise", "upscale", "inpaint"])
def test_a_job_of_hours_is_refused_with_a_size_that_would_do(photo, task, monkeypatch):
    monkeypatch.setattr(deep_image_prior, "STEPS", dict.fromkeys(deep_image_prior.STEPS, 10**7))
    with pytest.raises(ValueError, match=r"would take about \d+ minutes for this picture here; crop it to about \d+"):
        next(jobs(photo)[task]())


def test_the_time_is_measured_after_the_first_steps_which_take_longer(monkeypatch):
    now, pauses = [0.0], iter([3.0, 3.0])
    monkeypatch.setattr(deep_image_prior.time, "monotonic", lambda: now[0])
    real = Hourglass.forward

    def timed(self, noise):
        now[0] += next(pauses, 0.5)
        return real(self, noise)

    monkeypatch.setattr(Hourglass, "forward", timed)
    assert _seconds_per_pixel_and_step.__wrapped__() == pytest.approx(0.5 / 96**2)


def test_an_interrupt_keeps_the_best_so_far(photo, monkeypatch):
    monkeypatch.setattr(deep_image_prior, "PREVIEW_EVERY", 0.0)
    finished = running.finish(jobs(photo)["denoise"]())
    real, calls = Hourglass.forward, []

    def interrupted(self, noise):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, noise)

    monkeypatch.setattr(Hourglass, "forward", interrupted)
    kept = running.finish(jobs(photo)["denoise"]())
    assert kept.image().samples.shape == photo.samples.shape
    assert not np.array_equal(kept.image().samples, finished.image().samples)
    calls[:] = [1, 1]
    with pytest.raises(KeyboardInterrupt):  # nothing there yet
        running.finish(jobs(photo)["denoise"]())


@pytest.mark.parametrize("size", [(16, 16), (33, 47)])
def test_any_size_and_colour(size):
    image = torch.rand(1, 3, *size, generator=seeded())
    assert last(deep_image_prior.denoise(image, steps=2, width=8)).shape == image.shape


def test_half_the_bits_give_nearly_the_same_picture_and_repeat_it(clean):
    exact, fast, again = (
        last(deep_image_prior.denoise(clean, steps=1, width=8, precision=bits)) for bits in ("fp32", "bf16", "bf16")
    )
    assert fast.dtype == torch.float32
    assert torch.equal(fast, again)
    assert 0 < (fast - exact).abs().mean() < 2 / 255


@pytest.mark.parametrize(
    ("flag", "chosen", "expected"), [(True, "auto", "bf16"), (True, "fp32", "fp32"), (False, "auto", "fp32")]
)
def test_it_computes_in_bf16_where_the_processor_can_and_the_receipt_tells(photo, monkeypatch, flag, chosen, expected):
    monkeypatch.setenv(precision.VARIABLE, chosen)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": flag}, raising=False)
    seen, real = [], Hourglass.forward

    def watched(self, noise):
        seen.append(torch.is_autocast_enabled("cpu"))
        return real(self, noise)

    monkeypatch.setattr(Hourglass, "forward", watched)
    done = running.finish(Order("denoise", "deep-image-prior", {}).run(photo))
    assert done.receipt["precision"] == expected
    assert set(seen) == {expected == "bf16"}
