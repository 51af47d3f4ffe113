"""Image restoration with trained models and classical methods: noise, JPEG artifacts, size and holes.

import restoration

model = restoration.load("drunet-photo")          # bundled name | "user/repo[@revision]" | folder
clean = model.restore(noisy, sigma=25 / 255)      # (B, C, H, W) of any float type in [0, 1]; sigma=None is blind
sharp = restoration.load("drunet-jpeg").restore(blocky)  # quality=30 where it is known
large = restoration.load("compact-x4").restore(small)  # (B, C, 4 * H, 4 * W)
filled = restoration.load("fourier-fill").restore(image, mask)  # mask (B, 1, H, W), 1 = missing
better = restoration.restore(picture, "photo")    # a path, an Image, one of Pillow's, an array or a tensor
"""

import logging
import os
import sys

if sys.argv[:1] == ["-m"]:  # as the command line: threads that wait spin no longer, see app.py; before torch loads
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from restoration.artifacts import remove_artifacts
from restoration.catalog import Method, load, methods
from restoration.denoising import denoise
from restoration.files import read, write
from restoration.image import Image, ImageError
from restoration.inpainting import inpaint
from restoration.library import restore
from restoration.many import restore_files
from restoration.restorer import ArtifactRemover, Denoiser, Inpainter, Restorer, Upscaler
from restoration.running import Result
from restoration.upscaling import upscale

__all__ = [
    "ArtifactRemover",
    "Denoiser",
    "Image",
    "ImageError",
    "Inpainter",
    "Method",
    "Restorer",
    "Result",
    "Upscaler",
    "denoise",
    "inpaint",
    "load",
    "methods",
    "read",
    "remove_artifacts",
    "restore",
    "restore_files",
    "upscale",
    "write",
]
__version__ = "0.1.0"


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


logging.getLogger(__name__).addHandler(logging.NullHandler())  # the page shows its log, the command line none
