"""The noise has the statistics that its name promises, and comes from the generator alone."""

import dataclasses
import math

import pytest
import torch

from restoration import photo_damage
from restoration.degradations import (
    Blur,
    CameraNoise,
    Chain,
    Downscale,
    FilmGrain,
    GaussianNoise,
    Jpeg,
    PoissonNoise,
    Rounding,
    SaltAndPepperNoise,
    Scratches,
    SpeckleNoise,
    UniformNoise,
    encoded_light,
    linear_light,
)
from restoration.photo_damage import PhotoDamage
from restoration.random_holes import StrokeHoles
from restoration.resampling import resample

ALL = [
    GaussianNoise(0.1),
    UniformNoise(0.1),
    PoissonNoise(50),
    SaltAndPepperNoise(0.2),
    SpeckleNoise(0.1),
    CameraNoise(1e-3, 1e-5, smoothing=0.5, colour_smoothing=1.0),
    FilmGrain(0.05, 1.0, 0.3),
    Chain((Blur(1.0), GaussianNoise(0.1), Jpeg(60))),
    PhotoDamage(4),
]


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
        setattr(noise, dataclasses.fields(noise)[0].name, 1)


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


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("size", [0.0, 0.8, 1.5])
def test_film_grain_is_as_coarse_as_its_size_and_fades_towards_black_and_white(level, size):
    noise = (FilmGrain(0.1, size)(grey(level), seeded()) - level)[0]
    assert noise.std().item() == pytest.approx(0.1 * 2 * (level * (1 - level)) ** 0.5, rel=0.02)
    assert torch.equal(noise[0], noise[1])
    together = (noise[0, :, 1:] * noise[0, :, :-1]).mean() / noise[0].square().mean()
    # A Gaussian's correlation with itself a pixel further on.
    assert together.item() == pytest.approx(math.exp(-1 / (4 * size**2)) if size else 0, abs=0.03)


@pytest.mark.parametrize("colour", [0.0, 0.3, 1.0])
def test_a_share_of_film_grain_is_each_channels_own(colour):
    noise = (FilmGrain(0.1, 0.8, colour)(grey(), seeded()) - 0.5)[0]
    assert torch.corrcoef(noise.flatten(1))[0, 2].item() == pytest.approx(1 - colour, abs=0.03)
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("make", [
    lambda: GaussianNoise(-0.1), lambda: UniformNoise(-1), lambda: PoissonNoise(0), lambda: SaltAndPepperNoise(1.1),
    lambda: SpeckleNoise(float("nan")), lambda: FilmGrain(-0.1), lambda: FilmGrain(0.1, -1),
    lambda: FilmGrain(0.1, colour=1.1),
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


def slope(level: float) -> float:
    """The derivative of the sRGB curve at an amount of light above its straight part, from its formula."""
    return 1.055 / 2.4 * level ** (1 / 2.4 - 1)


def test_the_srgb_curve_is_that_of_the_standard_and_comes_back():
    # Values of IEC 61966-2-1: black, the end of the straight part, mid grey, white.
    assert linear_light(torch.tensor([0, 0.04045, 0.5, 1.0])).tolist() == pytest.approx(
        [0, 0.0031308, 0.21404, 1], 1e-3
    )
    values = torch.linspace(-1, 1, 101)
    assert torch.allclose(encoded_light(linear_light(values)), values, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_variance_of_camera_noise_is_linear_in_the_light(channels):
    shot, read = 2e-4, 4e-6
    for light in (0.05, 0.2, 0.5, 0.9):
        clean = encoded_light(torch.full((1, channels, 512, 512), light))
        noise = CameraNoise(shot, read, red_gain=1, blue_gain=1)(clean, seeded()) - clean
        # Of green half of the values are sensed and half are means of four: (1 + 1/4) / 2; a grey sensor senses all.
        kept = 1 if channels == 1 else (1 + 1 / 4) / 2
        variance = noise[:, channels // 2].var().item() / slope(light) ** 2
        assert variance == pytest.approx(kept * (shot * light + read), rel=0.05)


@pytest.mark.parametrize(("smoothing", "low", "high"), [(0.0, 0.35, 0.7), (0.4, 0.4, 0.8)])
def test_neighbours_in_camera_noise_are_as_alike_as_in_real_files(smoothing, low, high):
    clean = torch.full((1, 3, 256, 256), 0.6)
    noise = CameraNoise(2e-3, 1e-5, smoothing=smoothing)(clean, seeded()) - clean
    for channel in noise[0]:
        correlation = (channel[:, 1:] * channel[:, :-1]).mean() / channel.var()
        assert low < correlation < high


@pytest.mark.parametrize("level", [0.02, 0.1, 0.5, 0.98])
@pytest.mark.parametrize("channels", [1, 3])
def test_camera_noise_leaves_the_mean_brightness(level, channels):
    clean = torch.full((1, channels, 512, 512), level)
    noisy = CameraNoise(5e-4, 1e-5, smoothing=0.5, colour_smoothing=1.0)(clean, seeded())
    assert (noisy - clean).mean((0, 2, 3)).abs().max() < 0.2 / 255


def test_camera_noise_takes_numbers_for_each_image_and_refuses_negative_ones():
    strength = torch.tensor([0.0, 1e-2]).view(2, 1, 1, 1)
    noisy = CameraNoise(strength, strength * 0, smoothing=strength)(torch.full((2, 3, 64, 64), 0.5), seeded())
    assert noisy[0].std() < 1e-6
    assert noisy[1].std() > 0.02
    with pytest.raises(ValueError, match="shot"):
        CameraNoise(-1e-3, 0)


def test_rounding_is_that_of_a_file_and_blur_keeps_the_mean():
    assert (Rounding()(torch.tensor([-1.0, 0.5, 2.0])) * 255).tolist() == pytest.approx([0, 128, 255])
    picture = torch.rand(2, 3, 64, 64, generator=seeded())
    blurred = Blur(torch.tensor([0.0, 1.5]).view(2, 1, 1, 1))(picture)
    assert torch.allclose(blurred[0], picture[0], atol=1e-6)
    assert blurred[1].std() < 0.5 * picture[1].std()
    assert blurred[1].mean().item() == pytest.approx(picture[1].mean().item(), abs=2e-3)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_photo_damage_reduces_without_a_shift_of_place_or_colour(scale, channels):
    y, x = torch.meshgrid(torch.linspace(0, 1, 48 * scale), torch.linspace(0, 1, 60 * scale), indexing="ij")
    ramp = (0.2 + 0.3 * y + 0.3 * x).expand(24, channels, -1, -1)
    small = PhotoDamage(scale)(ramp, seeded())
    assert small.shape == (24, channels, 48, 60)
    assert torch.equal(small, Rounding()(small))
    wanted = torch.nn.functional.avg_pool2d(ramp, scale)
    assert (small - wanted).mean(0)[..., 4:-4, 4:-4].abs().mean() < 3 / 255
    assert (small - wanted).mean((0, 2, 3)).abs().max() < 1 / 255


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kernel", photo_damage.REDUCTIONS)
def test_kernels_of_reductions_lie_in_the_middle_and_sum_to_1(kernel, scale):
    found = photo_damage._reduction(kernel, scale)
    assert float(found.sum()) == pytest.approx(1)
    for turned in (found.flip(0), found.flip(1), found.T):
        assert torch.allclose(found, turned, atol=1e-9)


@pytest.mark.parametrize("angle, along", [(0.0, 1), (math.pi / 2, 0)])
def test_a_blurs_two_axes_have_the_widths_that_they_should(angle, along):
    (found,) = photo_damage._gaussians(*(torch.tensor([value]) for value in (1.5, 0.5, angle)))
    place = torch.arange(len(found)) - len(found) // 2
    for axis, sigma in ((along, 1.5), (1 - along, 0.5)):
        profile = found.sum(1 - axis)
        wanted = torch.exp(-0.5 * (place / sigma) ** 2)
        assert torch.allclose(profile, wanted / wanted.sum(), atol=1e-4)


def test_photo_damage_leaves_its_plain_share_to_bicubic_reduction():
    clean = torch.rand(8, 3, 64, 64, generator=seeded())
    assert torch.equal(PhotoDamage(4, plain_share=1)(clean, seeded()), Downscale(4)(clean))
    with pytest.raises(ValueError, match="scale"):
        PhotoDamage(1)


def test_fine_jpegs_are_drawn_from_the_upper_quarter_of_the_range_and_nothing_else_changes(monkeypatch):
    drawn = []
    monkeypatch.setattr(photo_damage, "Jpeg", lambda quality, half: drawn.append(quality) or Rounding())
    clean = torch.rand(64, 3, 16, 16, generator=seeded())
    for share, least in ((0.0, 30), (1.0, 79)):
        drawn.clear()
        small = PhotoDamage(2, plain_share=0, twice_share=0, fine_share=share)(clean, seeded())
        assert min(drawn) in range(least, least + 5)
        assert max(drawn) in range(91, 96)
        assert torch.equal(small, PhotoDamage(2, plain_share=0, twice_share=0)(clean, seeded()))


def test_film_grain_comes_upon_those_photos_alone_that_have_no_other_noise():
    grey = torch.full((64, 3, 32, 32), 0.5)
    without, half, always = (
        PhotoDamage(2, plain_share=0, twice_share=0, qualities=(95, 95), film_share=share)(grey, seeded())
        for share in (0.0, 0.5, 1.0)
    )
    calm = (without.std(dim=(1, 2, 3)) < 1e-3).flatten()
    assert 20 < calm.sum() < 40  # 47 % in the mean
    assert torch.equal(without[~calm], always[~calm])
    assert (always[calm].std(dim=(1, 2, 3)) > 1e-3).all()
    assert 0.25 < (half[calm].std(dim=(1, 2, 3)) > 1e-3).float().mean() < 0.75


def test_scratches_are_as_wide_and_as_deep_as_they_are_told_and_leave_the_rest_alone():
    lines = Scratches((2, 2), (3, 3), (0.2, 0.3), (0.8, 0.9))
    added, middles = lines.drawn((90, 120), torch.Generator().manual_seed(1))
    assert 0.2 <= added.abs().max() <= 0.61  # two may cross
    assert middles.sum() > 60
    assert 2 <= (added != 0).sum() / middles.sum() <= 6
    grey = torch.full((1, 3, 90, 120), 0.5)
    scratched = lines(grey, torch.Generator().manual_seed(1))
    torch.testing.assert_close(scratched, (grey + added).clamp(0, 1))


def test_every_scratch_is_drawn_and_as_long_as_it_was_meant_to_be():
    one, lengths, drawn = Scratches((1, 1), (1, 1), (0.2, 0.2), (0.5, 0.5)), [], 0
    for seed in range(80):
        _, middles = one.drawn((200, 200), torch.Generator().manual_seed(seed))
        rows, columns = middles.nonzero().T
        drawn += middles.any()
        if middles.any() and not {0, 199} & {
            int(rows.min()),
            int(rows.max()),
            int(columns.min()),
            int(columns.max()),
        }:  # not cut off
            lengths.append(math.hypot(*(float(line.max() - line.min()) for line in (rows, columns))))
    assert len(lengths) > 20
    assert min(lengths) > 90
    assert max(lengths) < 106  # bent by at most 0.15 of its length


@pytest.mark.parametrize("reach", [0.05, 0.3])
def test_a_pieces_length_is_its_reach_on_average_and_twice_that_at_most(reach):
    holes = StrokeHoles(0.002, 0.002, strokes=1, corners=2, reach=reach)
    masks = holes(100, (160, 160), torch.Generator().manual_seed(0))
    lengths = []
    for mask in masks:
        rows, columns = mask[0].nonzero().T
        if not {0, 159} & {int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())}:  # not cut off
            lengths.append(float(torch.hypot(*(line.max() - line.min() + 1.0 for line in (rows, columns)))))
    assert max(lengths) <= 2 * reach * 160 + 12  # and as thick as 51 pixels make it
    assert max(lengths) > 1.5 * reach * 160
