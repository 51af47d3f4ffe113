"""Resampling: weights worked out by hand, constants and ramps, and agreement with Pillow's filters."""

import math

import pytest
import torch
from PIL import Image as Pillow

from restoration.image import from_tensor
from restoration.resampling import BICUBIC, BILINEAR, LANCZOS, NEAREST, enlarge, resample, resample_in_bands


def test_halving_has_the_weights_that_follow_from_the_cubic_kernel():
    # cubic(x / 2) / 2 at 0.5, 1.5, 2.5, 3.5 with a = -0.5, worked out by hand
    expected = [-3 / 256, -9 / 256, 29 / 256, 111 / 256, 111 / 256, 29 / 256, -9 / 256, -3 / 256]
    impulses = torch.eye(40, dtype=torch.double).view(40, 1, 1, 40)
    response = resample(impulses, (1, 20), 1 / 2)[:, 0, 0, 10]
    assert response.nonzero().flatten().tolist() == list(range(17, 25))
    assert response[17:25].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_reducing_keeps_constants_and_ramps(scale):
    ramp = torch.linspace(0, 1, 24 * scale, dtype=torch.double).expand(1, 1, 12 * scale, -1)
    small = resample(ramp, (12, 24), 1 / scale)
    expected = ramp[0, 0, 0].view(24, scale).mean(1)
    assert torch.allclose(small[0, 0, :, 3:-3], expected[3:-3].expand(12, -1), atol=1e-12)
    assert torch.allclose(resample(torch.full((1, 3, 9, 9), 0.3), (3, 3), 1 / 3), torch.tensor(0.3))


def test_enlarging_a_ramp_keeps_it_a_ramp_and_pixel_centres_align():
    ramp = torch.arange(20, dtype=torch.double).expand(1, 1, 20, 20) / 20
    large = resample(ramp, (40, 40), 2)
    assert torch.allclose(large[0, 0, 0, 6:-6], (torch.arange(40, dtype=torch.double)[6:-6] / 2 - 0.25) / 20)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_nearest_repeats_pixels(scale):
    image = torch.rand(1, 3, 5, 7)
    repeated = image.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert torch.equal(enlarge(image, scale, NEAREST), repeated)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kernel, filter", [(BILINEAR, Pillow.Resampling.BILINEAR),
                                            (BICUBIC, Pillow.Resampling.BICUBIC),
                                            (LANCZOS, Pillow.Resampling.LANCZOS)])  # fmt: skip
def test_enlarging_agrees_with_pillow_away_from_the_edges(scale, kernel, filter):
    image = torch.randint(0, 256, (1, 1, 30, 24), generator=torch.Generator().manual_seed(0)) / 255
    expected = (
        Pillow.fromarray(from_tensor(image).samples[..., 0]).convert("F").resize((24 * scale, 30 * scale), filter)
    )
    expected = torch.tensor(expected.get_flattened_data()).view(30 * scale, 24 * scale) / 255
    edge = slice(3 * scale, -3 * scale)
    assert torch.allclose(enlarge(image, scale, kernel)[0, 0, edge, edge], expected[edge, edge], atol=1e-5)


def test_a_window_with_a_halo_gives_the_pixels_of_the_whole():
    image = torch.rand(1, 1, 20, 20)
    part = enlarge(image[..., 5:15, 3:17], 3)[..., 6:-6, 6:-6]
    assert torch.allclose(part, enlarge(image, 3)[..., 21:39, 15:45], atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 1 / 2, 1 / 3, 0.37])
def test_bands_are_the_rows_of_the_whole(scale):
    image = torch.rand(1, 2, 700, 23, generator=torch.Generator().manual_seed(0))
    size = math.ceil(700 * scale), math.ceil(23 * scale)
    whole, seen = resample(image, size, scale), []
    for rows, part in resample_in_bands(lambda rows: image[..., rows, :], 700, size, scale):
        assert part.shape[-2] <= 256
        assert torch.equal(part, whole[..., rows, :])
        seen += range(rows.start, rows.stop)
    assert seen == list(range(size[0]))
