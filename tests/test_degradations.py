"""The noise has the statistics that its name promises, and comes from the generator alone."""

import dataclasses

import pytest
import torch

from restoration.degradations import (
    Downscale,
    GaussianNoise,
    PoissonNoise,
    SaltAndPepperNoise,
    SpeckleNoise,
    UniformNoise,
)
from restoration.resampling import resample

ALL = [GaussianNoise(0.1), UniformNoise(0.1), PoissonNoise(50), SaltAndPepperNoise(0.2), SpeckleNoise(0.1)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(level: float = 0.5) -> torch.Tensor:
    return torch.full((1, 3, 200, 200), float(level))


@pytest.mark.parametrize("noise", ALL, ids=lambda noise: type(noise).__name__)
def test_equal_seeds_give_equal_noise_and_the_clean_image_stays(noise):
    clean = grey()
    first, second, other = noise(clean, seeded()), noise(clean, seeded()), noise(clean, seeded(1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(clean, grey())
    with pytest.raises(dataclasses.FrozenInstanceError):
        noise.sigma = 1


def test_gaussian_noise_has_its_sigma_and_is_not_clipped():
    noise = GaussianNoise(25 / 255)(grey(0), seeded())
    assert noise.std().item() == pytest.approx(25 / 255, rel=0.01)
    assert noise.mean().item() == pytest.approx(0, abs=1e-3)
    assert noise.min() < 0


def test_gaussian_noise_takes_a_sigma_for_each_image():
    noisy = GaussianNoise(torch.tensor([0.0, 0.2]).view(2, 1, 1, 1))(grey(0).expand(2, -1, -1, -1), seeded())
    assert noisy[0].std() == 0
    assert noisy[1].std().item() == pytest.approx(0.2, rel=0.01)


def test_uniform_noise_stays_within_its_amplitude():
    noise = UniformNoise(0.3)(grey(0), seeded())
    assert 0.299 < noise.max() <= 0.3
    assert -0.3 <= noise.min() < -0.299
    assert noise.std().item() == pytest.approx(0.3 / 3**0.5, rel=0.01)


def test_poisson_noise_has_the_mean_of_the_image_and_the_variance_of_counts():
    noisy = PoissonNoise(100)(grey(0.25), seeded())
    assert noisy.mean().item() == pytest.approx(0.25, rel=0.01)
    assert noisy.var().item() == pytest.approx(0.25 / 100, rel=0.02)  # mean / peak


def test_salt_and_pepper_hits_whole_pixels_half_black_half_white():
    noisy = SaltAndPepperNoise(0.2)(grey(), seeded())
    assert ((noisy == 0) | (noisy == 1)).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert (noisy == 0).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(noisy[:, 0], noisy[:, 1])


def test_speckle_grows_with_brightness():
    assert SpeckleNoise(0.1)(grey(0), seeded()).abs().max() == 0
    assert SpeckleNoise(0.1)(grey(0.8), seeded()).std().item() == pytest.approx(0.08, rel=0.02)


@pytest.mark.parametrize("make", [
    lambda: GaussianNoise(-0.1), lambda: UniformNoise(-1), lambda: PoissonNoise(0), lambda: SaltAndPepperNoise(1.1),
    lambda: SpeckleNoise(float("nan")),
])  # fmt: skip
def test_impossible_levels_are_refused(make):
    with pytest.raises(ValueError, match="must"):
        make()


def test_downscaled_images_are_8_bit_after_each_pass_rows_first():
    clean = torch.randint(0, 256, (1, 3, 37, 50), generator=seeded()).double() / 255
    small = Downscale(4)(clean)
    assert small.shape == (1, 3, 10, 13)
    assert torch.equal(small, (small * 255).round() / 255)

    def pass_of_eight_bits(image, size):
        return (resample(image, size, 1 / 4) * 255).add(0.5).floor().clamp(0, 255) / 255

    rows_of = torch.cat([pass_of_eight_bits(column, (10, 1))[..., :1] for column in clean.split(1, dim=-1)], dim=-1)
    # One column by itself cannot be reduced sideways without changing it: it is constant that way.
    expected = torch.cat([pass_of_eight_bits(row.contiguous(), (1, 13)) for row in rows_of.split(1, dim=-2)], dim=-2)
    assert torch.equal(small, expected)
    assert not torch.equal(small, (resample(clean, (10, 13), 1 / 4) * 255).round().clamp(0, 255) / 255)
    with pytest.raises(ValueError, match="scale must be"):
        Downscale(0)
