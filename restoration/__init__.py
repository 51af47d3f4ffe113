"""Image restoration: denoising with trained models and classical filters.

import restoration

model = restoration.load("drunet-fast")           # bundled name | "user/repo[@revision]" | folder
clean = model.restore(noisy, sigma=25 / 255)      # (B, C, H, W) float32 in [0, 1]; sigma=None is blind
"""

from restoration.catalog import Method, load, methods
from restoration.image import Image, ImageError, read, write
from restoration.job import Restored, denoise
from restoration.restorer import Denoiser

__all__ = ["Denoiser", "Image", "ImageError", "Method", "Restored", "denoise", "load", "methods", "read", "write"]
__version__ = "0.1.0"
