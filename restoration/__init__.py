"""Image restoration: denoising and super-resolution with trained models and classical methods.

import restoration

model = restoration.load("drunet-fast")           # bundled name | "user/repo[@revision]" | folder
clean = model.restore(noisy, sigma=25 / 255)      # (B, C, H, W) float32 in [0, 1]; sigma=None is blind
large = restoration.load("compact-x4").restore(small)  # (B, C, 4 * H, 4 * W)
"""

from restoration.catalog import Method, load, methods
from restoration.denoising import Restored, denoise
from restoration.image import Image, ImageError, read, write
from restoration.restorer import Denoiser, Upscaler
from restoration.upscaling import Upscaled, upscale

__all__ = [
    "Denoiser",
    "Image",
    "ImageError",
    "Method",
    "Restored",
    "Upscaled",
    "Upscaler",
    "denoise",
    "load",
    "methods",
    "read",
    "upscale",
    "write",
]
__version__ = "0.1.0"
