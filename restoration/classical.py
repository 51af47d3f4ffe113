"""Classical methods, as plain functions: denoisers from scikit-image, upscalers by interpolation, fills of holes.

A denoiser takes a float image (B, C, H, W) in [0, 1] and the noise level on [0, 1] (None: estimated from the image)
and gives an image of the same size in [0, 1]; an upscaler takes the image and a whole factor and gives `scale` times
the size; a fill takes the image and a mask (B, 1, H, W) with 1 = missing and changes only the holes.  They are the
yardstick for every learned model.  The denoisers' settings are the best of a small grid on training photos with sigma
15 to 50 / 255.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage
from skimage import filters
from skimage import restoration as skimage_restoration
from torch import Tensor

from restoration import resampling
from restoration.jpeg import estimated_quality


def estimate_sigma(image: Tensor) -> float:
    """Standard deviation of the noise on [0, 1], from the median of the finest wavelet details, mean over channels.

    Donoho, Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 1994.  Texture counts as noise: a
    clean photo reads about 0.01.  An image with a side under 3 pixels has too few details and reads 0.
    """
    if min(image.shape[-2:]) < 3:
        return 0.0
    planes = image.flatten(0, 1).permute(1, 2, 0).double().cpu().numpy()  # (H, W, B*C)
    return float(np.nan_to_num(skimage_restoration.estimate_sigma(planes, average_sigmas=True, channel_axis=-1)))


def gaussian(noisy: Tensor, sigma: float | None = None) -> Tensor:
    """Gaussian blur; stronger noise gets a wider one, 0.5 to 1.6 pixels."""
    width = min(1.6, 0.5 + 7 * _level(noisy, sigma))
    return _each(noisy, lambda image: filters.gaussian(image, width, channel_axis=-1, truncate=4))


def mean(noisy: Tensor, sigma: float | None = None) -> Tensor:
    """Mean of 3x3 pixels."""
    return _each(noisy, lambda image: ndimage.uniform_filter(image, (3, 3, 1), mode="nearest"))


def median(noisy: Tensor, sigma: float | None = None) -> Tensor:
    """Median of 3x3 pixels, of 5x5 where the noise is strong (above 0.12)."""
    side = 5 if _level(noisy, sigma) > 0.12 else 3
    return _each(noisy, lambda image: ndimage.median_filter(image, (side, side, 1), mode="nearest"))


def bilateral(noisy: Tensor, sigma: float | None = None) -> Tensor:
    """Edge-preserving mean of 11x11 pixels.  Tomasi, Manduchi, "Bilateral filtering", ICCV 1998."""
    level = max(0.01, _level(noisy, sigma))

    def smooth(image: np.ndarray) -> np.ndarray:
        grey = image.shape[-1] == 1  # skimage wants one channel without an axis of its own
        return skimage_restoration.denoise_bilateral(
            np.clip(image[..., 0] if grey else image, 0, None),
            win_size=11,
            sigma_color=2 * level,
            sigma_spatial=2.2,
            mode="edge",
            channel_axis=None if grey else -1,
        )

    return _each(noisy, smooth)


def non_local_means(noisy: Tensor, sigma: float | None = None) -> Tensor:
    """Mean of similar 5x5 patches within 6 pixels.  Buades, Coll, Morel, CVPR 2005; h = 0.6 sigma."""
    level = max(1e-3, _level(noisy, sigma))
    return _each(
        noisy,
        lambda image: skimage_restoration.denoise_nl_means(
            image, patch_size=5, patch_distance=6, h=0.6 * level, sigma=level, fast_mode=True, channel_axis=-1
        ),
    )


def total_variation(noisy: Tensor, sigma: float | None = None) -> Tensor:
    """Total-variation minimisation.  Chambolle, J. Math. Imaging Vision 2004."""
    weight = max(1e-3, 0.9 * _level(noisy, sigma))
    return _each(noisy, lambda image: skimage_restoration.denoise_tv_chambolle(image, weight=weight, channel_axis=-1))


def wavelet(noisy: Tensor, sigma: float | None = None) -> Tensor:
    """Wavelet thresholds by BayesShrink.  Chang, Yu, Vetterli, IEEE TIP 2000; colour in YCbCr."""
    level = max(1e-3, _level(noisy, sigma))
    if min(noisy.shape[-2:]) < 2:
        return noisy.clamp(0, 1)
    return _each(
        noisy,
        lambda image: skimage_restoration.denoise_wavelet(
            image, sigma=level, channel_axis=-1, convert2ycbcr=image.shape[-1] == 3, rescale_sigma=True
        ),
    )


def deblocking_tv(image: Tensor, quality: float | None = None) -> Tensor:
    """JPEG artifacts smoothed by total-variation minimisation, the more the lower the quality, 1 to 100."""
    level = _jpeg_level(image, quality)
    return total_variation(image, level) if level else image.clamp(0, 1)


def deblocking_wavelet(image: Tensor, quality: float | None = None) -> Tensor:
    """JPEG artifacts smoothed by wavelet thresholds, the more the lower the quality, 1 to 100."""
    level = _jpeg_level(image, quality)
    return wavelet(image, level) if level else image.clamp(0, 1)


def nearest(lr: Tensor, scale: int) -> Tensor:
    """Every pixel repeated."""
    return resampling.enlarge(lr, scale, resampling.NEAREST)


def bilinear(lr: Tensor, scale: int) -> Tensor:
    """Linear interpolation along both axes."""
    return resampling.enlarge(lr, scale, resampling.BILINEAR)


def bicubic(lr: Tensor, scale: int) -> Tensor:
    """Cubic convolution.  Keys, IEEE TASSP 1981, a = -0.5, as MATLAB's `imresize`."""
    return resampling.enlarge(lr, scale, resampling.BICUBIC).clamp(0, 1)


def lanczos(lr: Tensor, scale: int) -> Tensor:
    """Windowed sinc of three lobes.  Duchon, "Lanczos filtering", J. Appl. Meteorology 1979."""
    return resampling.enlarge(lr, scale, resampling.LANCZOS).clamp(0, 1)


def diffusion(image: Tensor, mask: Tensor) -> Tensor:
    """Smooth fill of holes of any size: known pixels spread inwards, coarse to fine."""
    return resampling.pull_push(image, mask)


def biharmonic(image: Tensor, mask: Tensor) -> Tensor:
    """Smooth fill whose slopes go on across the edge of the hole; slow for large holes.

    Damelin, Hoang, "On surface completion and image inpainting by biharmonic functions", 2018, arXiv:1707.06567.
    """
    filled = [
        skimage_restoration.inpaint_biharmonic(picture, hole, channel_axis=-1, split_into_regions=True)
        for picture, hole in zip(
            image.permute(0, 2, 3, 1).double().cpu().numpy(), mask[:, 0].bool().cpu().numpy(), strict=True
        )
    ]
    result = torch.from_numpy(np.stack(filled)).permute(0, 3, 1, 2).to(image).clamp(0, 1)
    return torch.where(mask.bool(), result, image)


def _level(noisy: Tensor, sigma: float | None) -> float:
    return estimate_sigma(noisy) if sigma is None else float(sigma)


def _jpeg_level(image: Tensor, quality: float | None) -> float:
    """The noise level that fits a quality, 0 without traces of JPEG; the formula was fitted to what filters best."""
    if quality is None:
        samples = (image[0] * 255).round().clamp(0, 255).to(torch.uint8).cpu()
        quality = estimated_quality(samples) or 100
    return 0.114 * quality**-0.66 * (1 - (quality / 100) ** 8)


def _each(noisy: Tensor, smooth: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """Apply a function of one (H, W, C) float64 array to every image of a batch."""
    images = noisy.permute(0, 2, 3, 1).double().cpu().numpy()
    restored = np.stack([smooth(image).reshape(image.shape) for image in images])
    return torch.from_numpy(restored).permute(0, 3, 1, 2).to(noisy).clamp(0, 1).contiguous()
