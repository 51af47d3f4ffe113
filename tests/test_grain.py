"""Grain, and what tells it from fine texture."""

import numpy as np
import pytest
import torch
from skimage import data

from restoration.degradations import CameraNoise, FilmGrain, Jpeg
from restoration.diagnosis import Finding, diagnosed
from restoration.grain import LEAST, LEAST_CONTRAST, measured_grain, signs_of
from restoration.image import Image, from_tensor
from restoration.jpeg import brightness
from train.grain import fitted, moved, pictures, variants

NONE = torch.zeros(0, 1)  # traits


def test_even_levels_have_no_signs_of_texture():
    brightness = torch.linspace(0.1, 0.9, 500)
    contrast = torch.rand(500, generator=torch.Generator().manual_seed(0))
    signs = signs_of(torch.full((500,), 0.02), brightness, contrast, NONE)
    assert signs.most == pytest.approx(np.log(0.02 + LEAST))
    assert (signs.fall, signs.rise, signs.bond) == pytest.approx((0, 0, 0), abs=5e-3)


def test_levels_that_follow_brightness_alone_are_grain_and_those_that_follow_contrast_are_texture():
    generator = torch.Generator().manual_seed(0)
    brightness, contrast = torch.rand(2, 4000, generator=generator)
    signs = signs_of((0.02 * (1 + brightness - brightness**2).exp()) - LEAST, brightness, contrast, NONE)
    assert (signs.rise, signs.bond) == pytest.approx((0, 0), abs=5e-3)
    signs = signs_of(0.05 * (contrast + LEAST_CONTRAST).sqrt() - LEAST, brightness, contrast, NONE)
    assert (signs.rise, signs.bond) == pytest.approx((0.5, 1), abs=1e-3)
    assert signs.fall == pytest.approx(0.5 * np.log(5), rel=0.1)  # from a tenth of an even distribution to its half


def grain_of(image: Image) -> Finding:
    return next(finding for finding in diagnosed(image) if finding.step == "denoise")


def ground(rng) -> np.ndarray:
    """A smooth ground in levels, float (300, 400, 3)."""
    y, x = np.mgrid[:300, :400]
    return (110 + 50 * np.sin(x / 70) + 30 * np.cos(y / 50))[..., None] * np.array([1.0, 0.9, 0.8])


@pytest.mark.parametrize("noisy", [0.3, 0.85, 1.0])
def test_noise_all_over_a_picture_is_grain_and_in_a_part_of_it_texture(rng, noisy):
    there = np.arange(400)[None, :, None] < noisy * 400
    image = Image(np.rint((ground(rng) + rng.normal(0, 9, (300, 400, 3)) * there).clip(0, 255)).astype(np.uint8))
    found = grain_of(image)
    assert found.advised == (noisy == 1.0)
    if noisy == 0.85:  # of which the words say why
        assert found.words.startswith("texture rather than grain: level ")


def test_a_picture_too_small_for_signs_is_grainy_by_its_level(rng):
    noise = rng.normal(0, 25, (24, 24, 3))
    image = Image(np.rint((ground(rng)[:24, :24] + noise).clip(0, 255)).astype(np.uint8))
    assert measured_grain(image).signs is None
    assert grain_of(image).words.startswith(("grainy", "very grainy"))
    assert measured_grain(Image(np.full((300, 300, 1), 90, np.uint8))).level == 0


def test_what_the_estimator_tells_by_is_among_the_signs_in_the_mean(rng):
    levels, brightness, contrast = torch.rand(3, 400, generator=torch.Generator().manual_seed(0))
    traits = torch.stack([brightness, 2 * contrast])
    signs = signs_of(levels, brightness, contrast, traits)
    np.testing.assert_allclose(signs.numbers()[4:], [brightness.mean(), 2 * contrast.mean()], rtol=1e-5)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "rocket"])
def test_photos_are_not_grainy_and_the_noise_of_a_camera_in_them_is_found(name):
    photo = from_tensor(torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None] / 255)
    noise = CameraNoise(5e-3, 1e-5, smoothing=0.6, colour_smoothing=1.2)
    noisy = noise(photo.tensor(), torch.Generator().manual_seed(0)).clamp(0, 1)
    level = 255 * float((noisy - photo.tensor()).square().mean().sqrt())
    assert 5 < level < 8
    for clean, worn in (
        (photo, from_tensor(noisy)),
        (from_tensor(Jpeg(80)(photo.tensor())), from_tensor(Jpeg(80)(noisy))),
    ):
        assert not grain_of(clean).advised
        assert grain_of(worn).advised


@pytest.mark.parametrize("tint", [(1, 1, 1), (1, 0.92, 0.76)], ids=["grey", "brown"])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "rocket"])
def test_the_grain_of_an_old_print_is_found_and_prints_without_it_are_not_grainy(name, tint):
    photo = brightness(torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None] / 255)
    print_ = photo * torch.tensor(tint).view(1, 3, 1, 1)
    worn = FilmGrain(12 / 255, 1.1)(print_, torch.Generator().manual_seed(0)).clamp(0, 1)
    assert not grain_of(from_tensor(print_)).advised
    assert grain_of(from_tensor(worn)).advised
    assert grain_of(from_tensor(Jpeg(90)(worn))).advised


def test_what_can_be_parted_is_parted_whatever_its_units_and_the_threshold_moves(rng):
    grainy = np.arange(400) % 2 == 0
    signs = rng.normal(size=(400, 3)) + np.where(grainy, 3.0, 0.0)[:, None] * (1.0, 0.0, -1.0)
    for units in (np.ones(3), np.array([1e-3, 1.0, 500.0])):
        fit = fitted(signs * units, grainy)
        scores = fit.scores(signs * units)
        assert ((scores > 0) == grainy).mean() > 0.97
        first, second, third = ((fit.scores((signs + step) * units) - scores).mean() for step in np.eye(3) / 2)
        assert first > 1 and third < -1 and abs(second) < 0.5
        np.testing.assert_allclose(moved(fit, -1.5).scores(signs * units), scores - 1.5, rtol=1e-5, atol=1e-5)


def test_of_every_second_photo_there_is_an_old_print_without_colours_of_its_own():
    photo = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    prints, tints = 0, set()
    for seed in range(60):
        (_, first), (_, second), *_ = pictures(photo, torch.Generator().manual_seed(seed), False)
        assert torch.equal(first, photo)
        if not torch.equal(second, photo):
            prints += 1
            shares = second / brightness(photo)
            torch.testing.assert_close(shares, shares[..., :1, :1].expand_as(shares))
            red, green, blue = shares[0, :, 0, 0].tolist()
            assert pytest.approx(red) == 1 and red >= green >= blue > 0.74
            tints.add("grey" if blue == red else "brown")
    assert 20 <= prints <= 40 and tints == {"grey", "brown"}


def test_variants_of_a_photo_are_of_both_kinds_and_know_their_noise():
    clean = torch.full((1, 3, 48, 48), 0.5)
    found = list(variants(clean, torch.Generator().manual_seed(3)))
    assert {kind.split()[0] for kind, *_ in found} == {"slight", "lossy"}
    assert [level for kind, level, _ in found if " none" in kind] == [0, 0, 0]
    assert all(level > 0 for kind, level, _ in found if " none" not in kind)
    for kind, level, picture in found:
        if kind == "slight white":
            assert 255 * float((picture - clean).std()) == pytest.approx(level, rel=0.02)
