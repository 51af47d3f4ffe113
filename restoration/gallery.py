"""Example pictures: free photos that lie in `assets/gallery`, and scikit-image's own, damaged in every way.

The latter are made on the first call; nothing is downloaded.  `python -m restoration.gallery` draws the thumbnails.
"""

import atexit
import csv
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import skimage.data
import torch
from torch import Generator, Tensor

from restoration import tasks
from restoration.bakeoff import around, patch
from restoration.degradations import Degradation, GaussianNoise, PoissonNoise, SaltAndPepperNoise
from restoration.files import read, write
from restoration.image import Image, enlarged, fitted, from_tensor, reduced
from restoration.inpainting import mask_from
from restoration.orders import Order
from restoration.random_holes import StrokeHoles
from restoration.resampling import NEAREST, enlarge
from restoration.running import finish

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


SCRATCHED = ("astronaut.png", "chelsea.png", "coffee.png", "retina.jpg")


@cache
def clean(name: str) -> str:
    """Path of an example picture, one of `NOISY`, as it is."""
    return _file(_middle(name))


@cache
def noisy(name: str) -> str:
    """Path of the same with the noise of `NOISY`."""
    damaged = NOISY[name](_middle(name).tensor(), Generator().manual_seed(0))
    return _file(from_tensor(damaged, f"{Path(name).stem}_noisy"))


@cache
def compressed(name: str) -> str:
    """Path of an example picture that was saved as JPEG, of the quality of `COMPRESSED`."""
    return _file(replace(_middle(name), name=f"{Path(name).stem}_jpeg"), ".jpg", COMPRESSED[name])


@cache
def small(name: str) -> str:
    """Path of an example picture that was reduced by the factor of `SMALL`."""
    return _file(replace(reduced(_original(name), SMALL[name]), name=f"{Path(name).stem}_small"))


@cache
def mask(name: str) -> str:
    """Path of a mask for one of `SCRATCHED`, like strokes of a brush."""
    size = _middle(name).samples.shape[:2]
    strokes = StrokeHoles(0.06, 0.1)(1, size, Generator().manual_seed(SCRATCHED.index(name)))
    return _file(from_tensor(strokes[0], f"{Path(name).stem}_mask"))


@cache
def scratched(name: str) -> str:
    """Path of one of `SCRATCHED` with white strokes where its `mask` has them."""
    image = _middle(name)
    samples = image.samples.copy()
    samples[mask_from(read(mask(name)), image).opacity > 0] = 255
    return _file(replace(image, samples=samples, name=f"{image.name}_scratched"))


@dataclass(frozen=True)
class Example:
    """A picture with settings that suit it.

    Args:
        thumbnail: file with a part of the picture on the left and what becomes of it on the right.
        title: what it is.
        order: what becomes of it.
        make: gives the picture's file, which is made when it is first asked for.
        make_mask: gives the file of what is missing, for "inpaint".
    """

    thumbnail: str
    title: str
    order: Order
    make: Callable[[], str]
    make_mask: Callable[[], str] | None = None

    @property
    def picture(self) -> str:
        return self.make()

    @property
    def mask(self) -> str | None:
        return self.make_mask() if self.make_mask else None


@cache
def examples(task: str) -> list[Example]:
    """Examples of a task, the most telling one first; none for a task without, or of a model that is off."""
    found = []
    for file, model, settings, *makers in _ORDERS[task]() if task in _ORDERS else []:
        with suppress(ValueError):
            found.append(_example(file, Order(task, model, settings), *makers))
    return found


@cache
def free() -> dict[str, dict[str, str]]:
    """The photos of the gallery by file name, each with its title, origin, licence and damage."""
    with (_PHOTOS / "origins.tsv").open(encoding="utf-8", newline="") as table:
        return {row.pop("file"): row for row in csv.DictReader(table, delimiter="\t")}


def mask_names() -> set[str]:
    """How the files of the examples' masks are called."""
    marked = [file for file, row in free().items() if row["hole"]]
    return {f"{Path(name).stem}_mask.png" for name in (*SCRATCHED, *marked)}


def _real(task: str, **settings: object) -> list[tuple]:
    """Of every photo of a tab its name, the model, the settings, what gives its file, and for holes its mask."""
    rows = [(file, row) for file, row in free().items() if task in row["tabs"].split()]
    return [
        (file, "", settings, partial(str, _PHOTOS / file), *([partial(_drawn, file)] if row["hole"] else []))
        for file, row in rows
    ]


def _made(make: Callable[[str], str], models: dict[str, str]) -> list[tuple]:
    """The same of pictures that are made, each with its model."""
    return [(name, model, {}, partial(make, name)) for name, model in models.items()]


def _denoise() -> list[tuple]:
    models = {"astronaut.png": "", "camera.png": "median", "phantom.png": "total-variation"}
    return [*_real("denoise"), *_made(noisy, models)]


def _artifacts() -> list[tuple]:
    return [*_real("artifacts"), *_made(compressed, {"page.png": "", "chelsea.png": ""})]


def _upscale() -> list[tuple]:
    families = {"page.png": "compact", "astronaut.png": "compact", "logo.png": "lanczos"}
    known = [(name, family, {"scale": SMALL[name]}, partial(small, name)) for name, family in families.items()]
    return [*_real("upscale", scale=2), *known]


def _inpaint() -> list[tuple]:
    exact = {"grow": 0, "feather": 0}  # the masks are where the scratches are
    made = [(name, "", exact, partial(scratched, name), partial(mask, name)) for name in SCRATCHED]
    return [*_real("inpaint"), *made]


@cache
def _drawn(file: str) -> str:
    """The mask of a photo: ellipses, as a brush would draw them, by middles and half axes."""
    image, numbers = read(_PHOTOS / file), np.array(free()[file]["hole"].split(), int)
    y, x = np.mgrid[: image.height, : image.width]
    missing = np.zeros(x.shape, bool)
    for column, row, wide, high in numbers.reshape(-1, 4):
        missing |= ((x - column) / wide) ** 2 + ((y - row) / high) ** 2 <= 1
    return _file(Image(np.uint8(255 * missing)[..., None], name=f"{image.name}_mask"))


_ORDERS: dict[str, Callable[[], list[tuple]]] = {
    "photo": lambda: _real("photo"),
    "denoise": _denoise,
    "artifacts": _artifacts,
    "upscale": _upscale,
    "inpaint": _inpaint,
}
_ASSETS = Path(__file__).parent / "assets" / "examples"
_PAIRS = Path(__file__).parent / "assets" / "pairs"
_PHOTOS = Path(__file__).parent / "assets" / "gallery"
_THUMBNAIL = 144  # side in pixels


def _example(file: str, order: Order, *makers: Callable[[], str]) -> Example:
    name, told = Path(file).stem.split("_")[0], free().get(file)
    title = told["title"] + (" (made)" if told["damage"].startswith("made") else "") if told else name.capitalize()
    return Example(str(_ASSETS / f"{order.task}_{name}.jpg"), title, order, *makers)


def draw(example: Example) -> Image:
    """An example's thumbnail: the left half of its middle as it is, the right half as it becomes."""
    image, order = read(example.picture), example.order
    scale = order.method.scale
    if order.method.chained:  # photos, of which more is shown
        side = min(image.width, image.height) // _THUMBNAIL * _THUMBNAIL
        whole = patch(image, around(image, (image.width // 2, image.height // 2), side))
        before, after = (
            reduced(each, side // _THUMBNAIL).tensor() for each in (whole, finish(order.run(whole)).picture)
        )
        return _halved(before, after)
    middle, hole = (image.width // 2, image.height // 2), None
    if example.mask:
        large = Path(example.picture).parent == _PHOTOS  # what is removed is larger than a scratch
        image = reduced(image, 2) if large else image
        hole = mask_from(read(example.mask), image)
        if large:
            middle = tuple(int(places.mean()) for places in np.nonzero(hole.opacity)[::-1])
    window = around(image, middle, _THUMBNAIL // scale)
    part = patch(image, window)
    before = enlarge(part.tensor(), scale, NEAREST)
    if hole:
        hole = replace(hole, opacity=hole.opacity[window])
    after = finish(order.run(part, hole)).picture.tensor() if hole is None or hole.share else before
    return _halved(before, after)


def _halved(before: Tensor, after: Tensor) -> Image:
    """The left half of an image (1, C, H, W) before, the right half after."""
    middle = before.shape[-1] // 2
    both = torch.cat([before[..., :middle], after[..., middle:]], dim=3)
    both[..., middle - 1 : middle + 1] = 1
    return from_tensor(both)


def pair(task: str) -> tuple[str, str] | None:
    """Files of a task's first example before and after, to be looked at before there is a result; None without."""
    files = tuple(_PAIRS / f"{task}_{side}.jpg" for side in ("before", "after"))
    return tuple(map(str, files)) if all(file.exists() for file in files) else None


def handle(pair: tuple[str, str]) -> float:
    """Where the handle of a slider parts what changed in two halves, in per cent of the width."""
    before, after = (read(file).tensor() for file in pair)
    return halved_at((before - after).abs().mean((0, 1, 2)).numpy())


def halved_at(columns: np.ndarray) -> float:
    """Up to where columns hold half of all that they hold (W,), in per cent of the width."""
    along = columns.cumsum()
    return 100 * float((along < along[-1] / 2).mean())


def draw_pair(example: Example) -> tuple[Image, Image]:
    """A whole example before and after."""
    image, order = read(example.picture), example.order
    hole = mask_from(read(example.mask), image) if example.mask else None
    before = tasks.named(order.task).before(image, order.method, order.settings)
    return before, finish(order.run(image, hole)).picture


def draw_card() -> Image:
    """What other sites show beside a link to the page: the first example, half as it is, half restored, 1.91 : 1."""
    before, after = (image.tensor() for image in draw_pair(examples(next(iter(tasks.every())))[0]))
    height = round(before.shape[-1] / 1.91)
    top = (before.shape[-2] - height) // 2
    halved = _halved(*(each[..., top : top + height, :] for each in (before, after)))
    return enlarged(halved, 2)


def main() -> None:
    """Draw the thumbnails of tasks anew, by default of all: `python -m restoration.gallery [TASK...]`."""
    _ASSETS.mkdir(exist_ok=True)
    _PAIRS.mkdir(exist_ok=True)
    for task in sys.argv[1:] or tasks.every():
        for example in examples(task):
            write(draw(example), example.thumbnail, quality=90)
        for image, side in zip(draw_pair(examples(task)[0]), ("before", "after"), strict=True):
            write(fitted(image, 480), _PAIRS / f"{task}_{side}.jpg", quality=80)
    write(draw_card(), _ASSETS.parent / "card.jpg", quality=85)


def _original(name: str) -> Image:
    return read(Path(skimage.data.__file__).parent / name)


def _middle(name: str) -> Image:
    image = _original(name)
    top, left = (max(0, side - _SIDE) // 2 for side in (image.height, image.width))
    window = (slice(top, top + _SIDE), slice(left, left + _SIDE))
    return from_tensor(image.tensor(window), image.name)


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="examples-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _file(image: Image, ending: str = ".png", quality: int = 95) -> str:
    path = _folder() / f"{image.name}{ending}"
    write(image, path, quality)
    return str(path)


if __name__ == "__main__":
    main()
