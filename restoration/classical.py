"""Classical methods, as plain functions: denoisers from scikit-image, upscalers by interpolation, fills of holes.

A denoiser takes an image (B, C, H, W) in [0, 1] of any float type and the noise level on [0, 1], one number, one for
each image, or a map (B, 1, H, W) (None: estimated from each image), and gives images of the same size and type in
[0, 1]; an upscaler takes the image and a whole factor and gives `scale` times the size; a fill takes the image and a
mask (B, 1, H, W) with 1 = missing and changes only the holes.  All refuse what does not fit with a ValueError of one
sentence.  They are the yardstick for every learned model.  The denoisers' settings are the best of a small grid on
training photos with sigma 15 to 50 / 255.  What stands above a function is its entry in the catalog.
"""

import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy import ndimage
from skimage import filters
from skimage import restoration as skimage_restoration
from torch import Tensor

from restoration import resampling
from restoration.contract import Level, check_image, missing_pixels, quality_map, sigma_map
from restoration.jpeg import estimated_quality

SCALES = (2, 3, 4)
LEVELS = 5  # at most so many noise levels of a map are computed, each on the whole image

Smoothing = Callable[[np.ndarray, float], np.ndarray]  # of samples (H, W, C), float64, at a level


@dataclass(frozen=True)
class Filter:
    """A classical function that stands where a trained model does: no weights, any number of channels.

    Args:
        function: (B, C, H, W) in [0, 1] and what its task's contract takes besides to the restored image.
        receptive_field: radius in pixels that an output pixel depends on.
        scale: output size / input size.
        steps: of a fill that takes holes of any size at the picture's own resolution, see `offset_fill.filling`.
    """

    function: Callable[..., Tensor]
    receptive_field: int
    multiple_of: int = 1
    channels: int | None = None
    scale: int = 1
    steps: Callable[..., Generator] | None = None

    def restore(self, *inputs: Level | None, **named: Level | None) -> Tensor:
        """The restored image; takes what its task's contract takes, by position or by name."""
        return self.function(*inputs, **named)


ENTRIES: list[dict] = []  # of the catalog, in the order of this file


def listed(
    task: str,
    title: str,
    summary: str,
    receptive_field: int,
    takes: str = "",
    *,
    multiple_of: int = 1,
    scales: tuple[int, ...] = (),
    purpose: str = "",
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Lists the function below as a method, by its own name; see `catalog.Method` and `Filter`.

    Args:
        takes: "sigma" or "quality", where it makes a difference.
        scales: for a function that takes one, a method for each.
        purpose: see `catalog.Method`.
    """

    def enter(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        for scale in scales or (1,):
            made = partial(function, scale=scale) if scales else function
            source = Filter(made, receptive_field, multiple_of, scale=scale)
            name = function.__name__.replace("_", "-") + (f"-x{scale}" if scales else "")
            facts = {"name": name, "task": task, "title": title, "summary": summary, "source": source, "scale": scale}
            ENTRIES.append({**facts, "purpose": purpose} | ({f"takes_{takes}": True} if takes else {}))
        return function

    return enter


def estimate_sigma(image: Tensor) -> float:
    """Standard deviation of the noise on [0, 1], from the median of the finest wavelet details, mean over channels.

    Donoho, Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 1994.  Texture counts as noise: a
    clean photo reads about 0.01.  An image with a side under 3 pixels has too few details and reads 0.
    """
    if min(image.shape[-2:]) < 3:
        return 0.0
    planes = image.flatten(0, 1).permute(1, 2, 0).double().cpu().numpy()  # (H, W, B*C)
    with warnings.catch_warnings():  # a plane without any details has no median
        warnings.simplefilter("ignore", RuntimeWarning)
        levels = skimage_restoration.estimate_sigma(planes, channel_axis=-1)
    return float(np.nan_to_num(levels).mean())


# patch distance 6 and patch radius 2
@listed(
    "denoise",
    "Non-local means",
    "Classical: averages similar patches; the strongest of the classical filters.",
    8,
    "sigma",
    purpose="Mathematical, no network",
)
def non_local_means(noisy: Tensor, sigma: Level | None = None) -> Tensor:
    """Mean of similar 5x5 patches within 6 pixels.  Buades, Coll, Morel, CVPR 2005; h = 0.6 sigma."""

    def smooth(image: np.ndarray, level: float) -> np.ndarray:
        level = max(1e-3, level)
        return skimage_restoration.denoise_nl_means(
            image, patch_size=5, patch_distance=6, h=0.6 * level, sigma=level, fast_mode=True, channel_axis=-1
        )

    return _denoised(noisy, sigma, smooth)


# Not local: the influence of a pixel fades over some tens of pixels.
@listed("denoise", "Total variation", "Classical: flat areas and sharp edges; cartoons and phantoms.", 64, "sigma")
def total_variation(noisy: Tensor, sigma: Level | None = None) -> Tensor:
    """Total-variation minimisation.  Chambolle, J. Math. Imaging Vision 2004."""
    return _denoised(noisy, sigma, _total_variation)


# Not local: thresholds are set from a whole tile.
@listed("denoise", "Wavelet", "Classical: shrinks wavelet details; fast and mild.", 64, "sigma", multiple_of=16)
def wavelet(noisy: Tensor, sigma: Level | None = None) -> Tensor:
    """Wavelet thresholds by BayesShrink.  Chang, Yu, Vetterli, IEEE TIP 2000; colour in YCbCr."""
    return _denoised(noisy, sigma, _wavelet)


@listed("denoise", "Bilateral", "Classical: smooths while keeping edges.", 5, "sigma")
def bilateral(noisy: Tensor, sigma: Level | None = None) -> Tensor:
    """Edge-preserving mean of 11x11 pixels.  Tomasi, Manduchi, "Bilateral filtering", ICCV 1998."""

    def smooth(image: np.ndarray, level: float) -> np.ndarray:
        grey = image.shape[-1] == 1  # skimage wants one channel without an axis of its own
        return skimage_restoration.denoise_bilateral(
            np.clip(image[..., 0] if grey else image, 0, None),
            win_size=11,
            sigma_color=2 * max(0.01, level),
            sigma_spatial=2.2,
            mode="edge",
            channel_axis=None if grey else -1,
        )

    return _denoised(noisy, sigma, smooth)


@listed(
    "denoise",
    "Median",
    "Classical: removes isolated black and white dots (salt and pepper).",
    2,
    "sigma",
    purpose="Black and white dots",
)
def median(noisy: Tensor, sigma: Level | None = None) -> Tensor:
    """Median of 3x3 pixels, of 5x5 where the noise is strong (above 0.12)."""

    def smooth(image: np.ndarray, level: float) -> np.ndarray:
        side = 5 if level > 0.12 else 3
        return ndimage.median_filter(image, (side, side, 1), mode="nearest")

    return _denoised(noisy, sigma, smooth)


@listed("denoise", "Gaussian blur", "Classical: plain blur, for comparison.", 7, "sigma")
def gaussian(noisy: Tensor, sigma: Level | None = None) -> Tensor:
    """Gaussian blur; stronger noise gets a wider one, 0.5 to 1.6 pixels."""

    def smooth(image: np.ndarray, level: float) -> np.ndarray:
        return filters.gaussian(image, min(1.6, 0.5 + 7 * level), channel_axis=-1, truncate=4)

    return _denoised(noisy, sigma, smooth)


@listed("denoise", "Mean", "Classical: 3x3 average, for comparison.", 1)
def mean(noisy: Tensor, sigma: Level | None = None) -> Tensor:
    """Mean of 3x3 pixels, whatever the noise."""
    check_image(noisy)
    sigma_map(sigma, noisy)  # of no influence, but to be right
    return _each(noisy, None, lambda _: 0.0, lambda image, _: ndimage.uniform_filter(image, (3, 3, 1), mode="nearest"))


@listed(
    "artifacts",
    "Total variation",
    "Classical: smooths blocks away where the picture is flat, as strongly as the quality asks for.",
    64,
    "quality",
    purpose="Mathematical, no network",
)
def deblocking_tv(image: Tensor, quality: Level | None = None) -> Tensor:
    """JPEG artifacts smoothed by total-variation minimisation, the more the lower the quality, 1 to 100."""
    return _deblocked(image, quality, _total_variation)


@listed("artifacts", "Wavelet", "Classical: shrinks wavelet details; fast and mild.", 64, "quality", multiple_of=16)
def deblocking_wavelet(image: Tensor, quality: Level | None = None) -> Tensor:
    """JPEG artifacts smoothed by wavelet thresholds, the more the lower the quality, 1 to 100."""
    return _deblocked(image, quality, _wavelet)


@listed(
    "upscale",
    "Lanczos",
    "Classical: the sharpest interpolation, with slight ringing.",
    4,
    scales=SCALES,
    purpose="Exact, mathematical",
)
def lanczos(lr: Tensor, scale: int) -> Tensor:
    """Windowed sinc of three lobes.  Duchon, "Lanczos filtering", J. Appl. Meteorology 1979."""
    return _enlarged(lr, scale, resampling.LANCZOS)


@listed("upscale", "Bicubic", "Classical: what most programs do.", 3, scales=SCALES)
def bicubic(lr: Tensor, scale: int) -> Tensor:
    """Cubic convolution.  Keys, IEEE TASSP 1981, a = -0.5, as MATLAB's `imresize`."""
    return _enlarged(lr, scale, resampling.BICUBIC)


@listed("upscale", "Bilinear", "Classical: soft, without ringing.", 2, scales=SCALES)
def bilinear(lr: Tensor, scale: int) -> Tensor:
    """Linear interpolation along both axes."""
    return _enlarged(lr, scale, resampling.BILINEAR)


@listed("upscale", "Nearest", "Classical: repeats pixels; pixel art and screenshots.", 1, scales=SCALES)
def nearest(lr: Tensor, scale: int) -> Tensor:
    """Every pixel repeated."""
    return _enlarged(lr, scale, resampling.NEAREST)


# A fill reaches into a hole from wherever known pixels are: jobs cut out each hole with its surroundings.
@listed(
    "inpaint", "Diffusion", "Classical: spreads the colours around a hole into it; instant, also for large holes.", 512
)
def diffusion(image: Tensor, mask: Tensor) -> Tensor:
    """Smooth fill of holes of any size: known pixels spread inwards, coarse to fine."""
    return _filled(image, mask, resampling.pull_push)


@listed("inpaint", "Biharmonic", "Classical: goes on smoothly from the hole's edge; scratches and small spots.", 512)
def biharmonic(image: Tensor, mask: Tensor) -> Tensor:
    """Smooth fill whose slopes go on across the edge of the hole; slow for large holes.

    Damelin, Hoang, "On surface completion and image inpainting by biharmonic functions", 2018, arXiv:1707.06567.
    """

    def fill(image: Tensor, mask: Tensor) -> Tensor:
        pictures, holes = image.permute(0, 2, 3, 1).double().cpu().numpy(), mask[:, 0].bool().cpu().numpy()
        filled = [
            skimage_restoration.inpaint_biharmonic(picture, hole, channel_axis=-1, split_into_regions=True)
            for picture, hole in zip(pictures, holes, strict=True)
        ]
        return torch.from_numpy(np.stack(filled)).permute(0, 3, 1, 2).to(image)

    return _filled(image, mask, fill)


# The contract: checked inputs, every image of a batch by itself, the input's float type ------------------------------


def _denoised(noisy: Tensor, sigma: Level | None, smooth: Smoothing) -> Tensor:
    """A batch denoised; an unknown level is estimated from each image."""
    check_image(noisy)
    return _each(noisy, sigma_map(sigma, noisy), estimate_sigma, smooth)


def _deblocked(image: Tensor, quality: Level | None, smooth: Smoothing) -> Tensor:
    """A batch without JPEG artifacts; an unknown quality is estimated from each image.

    The noise level that fits a quality, 0 without traces of JPEG, has a formula that was fitted to what filters best.
    """
    check_image(image)

    def estimated(picture: Tensor) -> float:
        return estimated_quality((picture[0] * 255).round().clamp(0, 255).to(torch.uint8).cpu()) or 100

    def deblocked(picture: np.ndarray, quality: float) -> np.ndarray:
        level = 0.114 * quality**-0.66 * (1 - (quality / 100) ** 8)
        return smooth(picture, level) if level else picture

    return _each(image, quality_map(quality, image), estimated, deblocked)


def _total_variation(image: np.ndarray, level: float) -> np.ndarray:
    return skimage_restoration.denoise_tv_chambolle(image, weight=max(1e-3, 0.9 * level), channel_axis=-1)


def _wavelet(image: np.ndarray, level: float) -> np.ndarray:
    if min(image.shape[:2]) < 2:
        return image
    return skimage_restoration.denoise_wavelet(
        image, sigma=max(1e-3, level), channel_axis=-1, convert2ycbcr=image.shape[-1] == 3, rescale_sigma=True
    )


def _each(image: Tensor, levels: Tensor | None, estimated: Callable[[Tensor], float], smooth: Smoothing) -> Tensor:
    """Smooth every image of a batch (B, C, H, W) by itself.

    Args:
        levels: for every pixel, broadcasting to (B, 1, H, W); None for unknown ones.
        estimated: the level of an image (1, C, H, W).
    """
    restored = []
    for index, picture in enumerate(image.split(1)):
        samples = picture[0].permute(1, 2, 0).double().cpu().numpy()  # (H, W, C)
        if levels is None:
            smoothed = smooth(samples, estimated(picture))
        else:
            smoothed = _varied(samples, levels[index % len(levels), 0].numpy(), smooth)
        restored.append(smoothed.reshape(samples.shape))
    return torch.from_numpy(np.stack(restored)).permute(0, 3, 1, 2).to(image).clamp(0, 1).contiguous()


def _varied(samples: np.ndarray, levels: np.ndarray, smooth: Smoothing) -> np.ndarray:
    """Samples (H, W, C) smoothed at levels that broadcast to (H, W).

    Where the levels differ, the whole is smoothed at each of them, or, of more than `LEVELS`, at so many between the
    extremes, and the results are mixed linearly from pixel to pixel.
    """
    steps = np.unique(levels)
    if len(steps) > LEVELS:
        steps = np.linspace(steps[0], steps[-1], LEVELS)
    if len(steps) == 1:
        return smooth(samples, float(steps[0]))
    mixed = np.zeros_like(samples)
    for step, peak in zip(steps, np.eye(len(steps)), strict=True):
        share = np.interp(levels, steps, peak)[..., None]  # 1 at this step, 0 from the next ones on
        mixed += share * smooth(samples, float(step)).reshape(samples.shape)
    return mixed


def _enlarged(lr: Tensor, scale: int, kernel: resampling.Kernel) -> Tensor:
    check_image(lr)
    return resampling.enlarge(_precise(lr), scale, kernel).clamp(0, 1).to(lr.dtype)


def _filled(image: Tensor, mask: Tensor, fill: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """An image whose holes `fill` filled; known pixels stay bit for bit."""
    missing = missing_pixels(image, mask)
    given = _precise(image).masked_fill(missing, 0)
    return torch.where(missing, fill(given, missing.to(given)).clamp(0, 1).to(image), image)


def _precise(image: Tensor) -> Tensor:
    """The image in float32 at least: sums of half-precision samples would lose what 8 bits hold."""
    return image.to(torch.promote_types(image.dtype, torch.float32))
