"""Metrics against algebra, scikit-image and published values."""

import math

import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restoration.metrics import luma, psnr, psnr_y, ssim, text


def pair(channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.from_numpy(data.astronaut()[:90, :120].copy()).permute(2, 0, 1)[None, :channels] / 255
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0)) * 0.05
    return (image + noise).clamp(0, 1), image


def test_psnr_of_a_constant_error_of_one_tenth_is_20_db():
    clean = torch.zeros(2, 3, 8, 8)
    assert psnr(clean + 0.1, clean).tolist() == pytest.approx([20.0, 20.0], abs=1e-5)


def test_psnr_of_sigma_25_is_the_papers_20_17_db():
    # 20 log10(255 / 25), the noisy input of every denoising table
    noise = torch.randn(1, 3, 500, 500, generator=torch.Generator().manual_seed(0)) * 25 / 255
    assert psnr(noise, torch.zeros_like(noise)).item() == pytest.approx(20.17, abs=0.02)


def test_equal_images_are_identical():
    image = torch.rand(1, 3, 12, 12)
    assert psnr(image, image).item() == math.inf
    assert ssim(image, image).item() == pytest.approx(1)
    assert text(math.inf) == "identical"
    assert text(31.239) == "31.24 dB"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("border", [0, 4])
def test_psnr_and_ssim_agree_with_scikit_image(channels, border):
    image, clean = pair(channels)
    inside = (0, slice(None), slice(border, 90 - border), slice(border, 120 - border))
    a, b = (x[inside].permute(1, 2, 0).double().numpy() for x in (image, clean))
    assert psnr(image, clean, border).item() == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1), abs=1e-4)
    # The settings that scikit-image's documentation names for Wang et al. 2004.
    reference = structural_similarity(
        b, a, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(image, clean, border).item() == pytest.approx(reference, abs=1e-5)


def test_luma_is_matlabs_studio_range():
    # rgb2ycbcr of white, black and pure red in MATLAB: 235, 16 and 81.481
    colours = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0]]).T.reshape(1, 3, 1, 3)
    assert (255 * luma(colours)).flatten().tolist() == pytest.approx([235, 16, 81.481], abs=1e-3)
    assert torch.allclose(luma(torch.full((1, 1, 2, 2), 0.5)), luma(torch.full((1, 3, 2, 2), 0.5)))


def test_psnr_y_ignores_errors_in_the_border():
    clean = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    image = clean.clone()
    image[..., 0, :] = 0
    assert psnr_y(image, clean, border=4).item() == math.inf
    assert psnr_y(image, clean).item() < 30


def test_unequal_shapes_and_empty_insides_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        psnr(torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8))
    with pytest.raises(ValueError, match="leaves nothing"):
        psnr(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8), border=4)
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(torch.rand(1, 3, 10, 30), torch.rand(1, 3, 10, 30))
