"""Training images: decoded once to uint8 on the device, cropped and augmented there in batches."""

import hashlib
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from huggingface_hub import snapshot_download
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from torch import Generator, Tensor
from tqdm import tqdm

from restoration.files import read
from restoration.folders import is_picture
from restoration.image import Image, ImageError

VALIDATION_IMAGES = 24
HELD_OUT_SHARE = 20  # one file in twenty is never trained on
LETTERS = "abcdefghijklmnopqrstuvwxyzetaoinsetaoinABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?()/-+=%&@#"


class TrainingError(ValueError):
    """A training that cannot work; the message is the one sentence that its user reads."""


@dataclass(frozen=True)
class Sample:
    """One image of a data set.

    Args:
        name: of its file, with the position in it for a batch of images.
        source: what the data set calls itself: the letters before "_" in the file's name, else its folder's name.
        image: uint8 (C, H, W).
    """

    name: str
    source: str
    image: Tensor

    @property
    def held_out(self) -> bool:
        """Whether this image is for validation: decided by its name alone, so always the same."""
        return int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % HELD_OUT_SHARE == 0


def samples(
    sources: Iterable[str | Path], channels: int, progress: bool = False, skipped: list[str] | None = None
) -> Iterable[Sample]:
    """Every image of the sources in a fixed order.

    Args:
        sources: image files, folders (searched in depth), CIFAR-10 batches (`.npz` with `images`, `.bin`), or data sets
            on the Hub written `hub:user/name`.
        channels: 1 makes colour images grey, 3 repeats grey ones.
        skipped: gets the names of files that cannot be read; without it the first of them ends the reading.

    Raises:
        FileNotFoundError: a source does not exist.
        ImageError: a file cannot be read, and `skipped` is None.
    """
    for source in map(str, sources):
        if source.startswith("hub:"):
            source = snapshot_download(source.removeprefix("hub:"), repo_type="dataset")
        path = Path(source).resolve()
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder called {source}")
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in tqdm(files, desc=f"reading {path.name}", disable=not progress or len(files) == 1, leave=False):
            try:
                if file.suffix in (".npz", ".bin"):
                    images = [(f"{file.name}/{index}", Image(image)) for index, image in enumerate(_cifar_batch(file))]
                elif is_picture(file):
                    images = [(file.name, read(file))]
                else:
                    continue
            except (ImageError, OSError, ValueError, KeyError, zipfile.BadZipFile):
                if skipped is None:
                    raise
                skipped.append(file.name)
                continue
            for name, image in images:
                yield Sample(name, _source(file), image.bytes(channels))


def _source(file: Path) -> str:
    prefix, separator, _ = file.stem.partition("_")
    if separator:
        return prefix
    return file.parent.parent.name if file.parent.name in ("train", "test") else file.parent.name


def _cifar_batch(file: Path) -> np.ndarray:
    """CIFAR images as uint8 (N, 32, 32, 3): our `.npz` of that shape, or CIFAR-10's own binary batches."""
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            return arrays["images"]
    records = np.fromfile(file, dtype=np.uint8).reshape(-1, 1 + 3 * 32 * 32)  # one label byte, then the planes
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


class Crops:
    """Random square crops of images that live on one device as one flat array of bytes.

    Args:
        images: uint8 (C, H, W) each; those with a side under `largest` are left out.
        largest: side of the largest crops that will be asked for, in pixels.

    Raises:
        TrainingError: no image is large enough.
    """

    def __init__(self, images: Iterable[Tensor], largest: int, device: torch.device | str):
        kept = [image for image in images if min(image.shape[1:]) >= largest]
        if not kept:
            raise TrainingError(f"found no training image with sides of at least {largest} pixels")
        self.channels = kept[0].shape[0]
        self.pixels = torch.cat([image.flatten() for image in kept]).to(device)
        self.heights = torch.tensor([image.shape[1] for image in kept], device=device)
        self.widths = torch.tensor([image.shape[2] for image in kept], device=device)
        lengths = torch.tensor([image.numel() for image in kept])
        self.starts = (lengths.cumsum(0) - lengths).to(device)

    def __len__(self) -> int:
        return len(self.heights)

    def __call__(self, count: int, size: int, generator: Generator) -> Tensor:
        """`count` crops in one of the eight orientations, float32 (count, C, size, size) in [0, 1]."""
        device = self.pixels.device
        chosen = torch.randint(len(self), (count,), generator=generator, device=device)
        height, width = self.heights[chosen], self.widths[chosen]
        draw = torch.rand(5, count, generator=generator, device=device)
        top = (draw[0] * (height - size + 1)).long()
        left = (draw[1] * (width - size + 1)).long()
        flip_y, flip_x, transpose = ((row < 0.5).view(-1, 1, 1) for row in draw[2:])

        line = torch.arange(size, device=device)
        rows, columns = line.view(1, -1, 1), line.view(1, 1, -1)
        y, x = torch.where(transpose, columns, rows), torch.where(transpose, rows, columns)
        y = torch.where(flip_y, size - 1 - y, y) + top.view(-1, 1, 1)
        x = torch.where(flip_x, size - 1 - x, x) + left.view(-1, 1, 1)
        index = (self.starts.view(-1, 1, 1)[chosen] + y * width.view(-1, 1, 1) + x).unsqueeze(1)  # (B, 1, size, size)
        plane = (height * width).view(-1, 1, 1, 1) * torch.arange(self.channels, device=device).view(1, -1, 1, 1)
        return self.pixels[index + plane].float() / 255


def divisible(image: Tensor, scale: int) -> Tensor:
    """A uint8 image (C, H, W) cut to sides that the scale divides, as (1, C, H, W) in [0, 1]."""
    height, width = (side // scale * scale for side in image.shape[-2:])
    return image[None, :, :height, :width].float() / 255


def centre_crop(image: Tensor, size: int) -> Tensor:
    """The middle of an image, at most `size` pixels a side, with sides that 8 divides."""
    height, width = (min(side, size) // 8 * 8 for side in image.shape[1:])
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]


def text_page(seed: int, side: int = 512) -> Tensor:
    """A page of text and interface, uint8 (3, side, side): lines of words, buttons, rules, in few colours and sizes."""
    rng = np.random.default_rng(seed)

    def colour(low: int, high: int) -> tuple[int, int, int]:
        return tuple(int(value) for value in rng.integers(low, high, 3))

    dark = rng.random() < 0.3
    paper, ink = ((0, 70), (170, 256)) if dark else ((190, 256), (0, 110))
    page = Pillow.new("RGB", (side, side), colour(*paper))
    opposite = tuple(255 - value for value in page.getpixel((0, 0)))
    pen = ImageDraw.Draw(page)
    y = int(rng.integers(0, 16))
    while y < side:
        size = int(rng.choice([9, 11, 12, 13, 14, 16, 20, 28, 44]))
        font = ImageFont.load_default(size)
        x = int(rng.integers(0, 40))
        while x < side:
            kind = rng.random()
            letters = "".join(rng.choice(list(LETTERS), rng.integers(1, 10)))
            width = int(pen.textlength(letters, font))
            if kind < 0.06:
                box = (x, y - 2, x + width + 14, y + size + 6)
                pen.rounded_rectangle(
                    box, int(rng.integers(0, 8)), colour(0, 256), colour(*ink), int(rng.integers(0, 3))
                )
                x += 7
            pen.text((x, y), letters, colour(*ink) if kind < 0.3 else opposite, font)
            x += width + size // 3 + (7 if kind < 0.06 else 0)
            if kind > 0.97:
                x += int(rng.integers(20, 200))
        y += int(size * rng.uniform(1.15, 1.9))
        if rng.random() < 0.12:
            pen.line((0, y, side, y), colour(0, 256), int(rng.integers(1, 4)))
            y += 6
    return torch.from_numpy(np.array(page)).permute(2, 0, 1).contiguous()


def flat_page(seed: int, side: int) -> Tensor:
    """One colour, uint8 (3, side, side), the corners of the colour cube among them, which no photo comes near."""
    rng = np.random.default_rng(seed)
    colour = np.where(rng.random(3) < 0.2, rng.integers(0, 256, 3), rng.choice([0, 255], 3))
    return torch.from_numpy(colour.astype(np.uint8)).view(3, 1, 1).expand(3, side, side)


def split(
    sources: Iterable[str],
    channels: int,
    largest: int,
    side: int,
    accelerator: Accelerator,
    text_share: float = 0.0,
    flat_share: float = 0.0,
) -> tuple[Crops, list[Tensor], dict]:
    """The training crops, the validation images, and what `run.json` says of both.

    Args:
        largest: side of the largest crops that will be asked for.
        side: validation images are cut to at most this, and thinned to about 24.
        text_share: of the training images, pages of text that are drawn for it; some are held out like files.
        flat_share: of them, images of one colour.

    Raises:
        TrainingError: nothing to train on or nothing to validate on.
    """
    skipped: list[str] = []
    try:
        read = list(samples(sources, channels, accelerator.is_main_process, skipped))
    except FileNotFoundError as missing:
        raise TrainingError(str(missing)) from None
    if skipped:
        few = ", ".join(skipped[:3]) + (", ..." if len(skipped) > 3 else "")
        accelerator.print(f"left out {len(skipped)} files that are no images or damaged: {few}")
    whole = len(read) / (1 - text_share - flat_share)
    pages = [text_page(index, max(512, largest)) for index in range(round(text_share * whole))]
    read += [Sample(f"text_{index}", "text", page) for index, page in enumerate(pages)]
    flat = [flat_page(index, largest) for index in range(round(flat_share * whole))]
    crops = Crops([*(sample.image for sample in read if not sample.held_out), *flat], largest, accelerator.device)
    validation = [centre_crop(sample.image, side).clone() for sample in read if sample.held_out]
    validation = [image for image in validation if min(image.shape[1:]) >= 8]
    if not validation:
        raise TrainingError(
            f"none of the {len(read)} images is held out for validation, which takes one name in {HELD_OUT_SHARE}; "
            "give more images, 60 or so"
        )
    validation = validation[:: max(1, len(validation) // VALIDATION_IMAGES)]
    names = "\n".join(f"{sample.source} {sample.name} {tuple(sample.image.shape)}" for sample in read)
    data = {
        "sources": dict(Counter(sample.source for sample in read)),
        "trained_on": len(crops),
        "validated_on": len(validation),
        "skipped": len(skipped),
        "names_sha256": hashlib.sha256(names.encode()).hexdigest(),
    }
    return crops, validation, data
