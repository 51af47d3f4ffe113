"""Example pictures: scikit-image's own, as they are, noisy, saved as JPEG, and reduced; written on the first call."""

import tempfile
from dataclasses import replace
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


COMPRESSED = {
    "astronaut.png": 15,
    "chelsea.png": 10,
    "coffee.png": 25,
    "page.png": 20,
    "logo.png": 30,
    "camera.png": 10,
}


@cache
def clean() -> list[str]:
    """Paths of example pictures as they are."""
    return [_file(_middle(name)) for name in NOISY]


@cache
def noisy() -> list[str]:
    """Paths of example pictures with noise."""
    return [
        _file(from_tensor(noise(_middle(name).tensor(), Generator().manual_seed(0)), f"{Path(name).stem}_noisy"))
        for name, noise in NOISY.items()
    ]


@cache
def compressed() -> list[str]:
    """Paths of example pictures that were saved as JPEG."""
    return [
        _file(replace(_middle(name), name=f"{Path(name).stem}_jpeg"), ".jpg", quality)
        for name, quality in COMPRESSED.items()
    ]


@cache
def small() -> list[str]:
    """Paths of example pictures that were reduced."""
    return [
        _file(replace(reduced(_original(name), factor), name=f"{Path(name).stem}_small"))
        for name, factor in SMALL.items()
    ]


def _original(name: str) -> Image:
    return read(Path(skimage.data.__file__).parent / name)


def _middle(name: str) -> Image:
    image = _original(name)
    top, left = (max(0, side - _SIDE) // 2 for side in (image.height, image.width))
    window = (slice(top, top + _SIDE), slice(left, left + _SIDE))
    return from_tensor(image.tensor(window), image.name)


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="examples-"))


def _file(image: Image, ending: str = ".png", quality: int = 95) -> str:
    path = _folder() / f"{image.name}{ending}"
    write(image, path, quality)
    return str(path)
