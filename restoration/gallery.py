"""Example pictures: scikit-image's own, as they are, with noise added, and reduced."""

import tempfile
from functools import cache
from pathlib import Path

import skimage.data
from torch import Generator

from restoration.degradations import Degradation, GaussianNoise, PoissonNoise, SaltAndPepperNoise
from restoration.image import Image, from_tensor, read, reduced, write

_SIDE = 512  # larger examples are cut to their middle

NOISY: dict[str, Degradation] = {
    "astronaut.png": GaussianNoise(25 / 255),
    "chelsea.png": GaussianNoise(40 / 255),
    "coffee.png": PoissonNoise(60),
    "retina.jpg": GaussianNoise(15 / 255),
    "rocket.jpg": GaussianNoise(50 / 255),
    "moon.png": GaussianNoise(20 / 255),
    "camera.png": SaltAndPepperNoise(0.05),
    "phantom.png": GaussianNoise(0.1),
}

SMALL = {"astronaut.png": 2, "chelsea.png": 2, "coffee.png": 3, "rocket.jpg": 3, "page.png": 2, "logo.png": 4}


@cache
def examples() -> tuple[list[str], list[str], list[str]]:
    """Paths of the clean, the noisy and the small example pictures, written to a temporary folder on the first call."""
    folder = Path(tempfile.mkdtemp(prefix="examples-"))
    clean, noisy = [], []
    for name, noise in NOISY.items():
        image = _middle(read(Path(skimage.data.__file__).parent / name))
        path = folder / f"{image.name}.png"
        write(image, path)
        clean.append(str(path))
        degraded = noise(image.tensor(), Generator().manual_seed(0))
        path = folder / f"{image.name}_noisy.png"
        write(from_tensor(degraded), path)
        noisy.append(str(path))
    small = []
    for name, factor in SMALL.items():
        image = read(Path(skimage.data.__file__).parent / name)
        path = folder / f"{image.name}_small.png"
        write(reduced(image, factor), path)
        small.append(str(path))
    return clean, noisy, small


def _middle(image: Image) -> Image:
    top, left = (max(0, side - _SIDE) // 2 for side in (image.height, image.width))
    window = (slice(top, top + _SIDE), slice(left, left + _SIDE))
    return from_tensor(image.tensor(window), image.name)
