"""The classical filters: they help, they keep any size, and the estimate of the noise is near the truth."""

import pytest
import torch
from skimage import data

from restoration import classical
from restoration.metrics import psnr

FILTERS = [
    classical.gaussian, classical.mean, classical.median, classical.bilateral,
    classical.non_local_means, classical.total_variation, classical.wavelet,
]  # fmt: skip


def cat(channels: int, sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    clean = torch.from_numpy(data.chelsea()[60:188, 100:260].copy()).permute(2, 0, 1)[None, :channels] / 255
    return clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)), clean


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("filter", FILTERS, ids=lambda filter: filter.__name__)
def test_every_filter_gains_3_db_at_sigma_25(filter, channels):
    noisy, clean = cat(channels, 25 / 255)
    restored = filter(noisy, 25 / 255)
    assert restored.shape == clean.shape
    assert restored.dtype == torch.float32
    assert 0 <= restored.min() <= restored.max() <= 1
    assert psnr(restored, clean) > psnr(noisy, clean) + 3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 5), (8, 30)])
@pytest.mark.parametrize("filter", FILTERS, ids=lambda filter: filter.__name__)
@pytest.mark.filterwarnings("ignore:Level value of .* is too high:UserWarning")
def test_any_size_passes(filter, size, channels):
    restored = filter(torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(0)))
    assert restored.shape == (2, channels, *size)
    assert restored.isfinite().all()


@pytest.mark.parametrize("sigma_255", [5, 15, 25, 50])
def test_the_estimated_sigma_is_near_the_true_one(sigma_255):
    noisy, _ = cat(3, sigma_255 / 255)
    assert 255 * classical.estimate_sigma(noisy) == pytest.approx(sigma_255, rel=0.1, abs=2)


def test_a_flat_image_has_no_noise():
    assert classical.estimate_sigma(torch.full((1, 3, 32, 32), 0.5)) == pytest.approx(0, abs=1e-9)
    assert classical.estimate_sigma(torch.rand(1, 3, 1, 1)) == 0


def test_the_median_removes_single_white_pixels():
    image = torch.full((1, 1, 9, 9), 0.25)
    image[..., 4, 4] = 1
    assert torch.allclose(classical.median(image, 0.05), torch.full((1, 1, 9, 9), 0.25))
