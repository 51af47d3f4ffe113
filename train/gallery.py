"""Make the gallery's pictures from the free ones of the data folder: `python -m train.gallery --data FOLDER`.

Where a picture has no damage of its own it is given some, as a phone, a web site or a scanner does it, from a seed.
Their origins, licences and captions lie beside them, in `origins.tsv`, which this script writes too.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from torch import Generator, Tensor

import restoration
from restoration.degradations import Blur, CameraNoise, Chain, Degradation, GaussianNoise, Jpeg, Rounding, Scratches
from restoration.files import read, write
from restoration.image import Image, from_tensor
from restoration.jpeg import brightness
from restoration.resampling import resample

FOLDER = Path(restoration.__file__).parent / "assets" / "gallery"
REPOSITORIES = {
    "furrybsd": ("github.com/Stemanz/furry-broccoli", "BSD 3-clause"),
    "budgieczero": ("github.com/BuddiesOfBudgie/budgie-backgrounds", "CC0 1.0"),
    "mateczero": ("github.com/ubuntu-mate/ubuntu-mate-artwork", "CC0 1.0"),
    "soluspd": ("github.com/getsolus/artwork, by NASA", "public domain"),
}


def reduced(image: Tensor, side: int) -> Tensor:
    """An image (1, C, H, W) whose longer side has so many pixels."""
    scale = side / max(image.shape[-2:])
    size = tuple(round(scale * length) for length in image.shape[-2:])
    return resample(image, size, scale).clamp(0, 1)


def as_it_is(image: Tensor) -> Tensor:
    return image


def saved(quality: int, side: int, times: int = 1) -> Callable[[Tensor], Tensor]:
    """As a web site shows it: reduced and compressed, some more than once."""

    def damage(image: Tensor) -> Tensor:
        for time in range(times):
            image = Jpeg(quality)(reduced(image, side - 8 * (times - 1 - time)))
        return image

    return damage


def by(*steps: Degradation, side: int = 512) -> Callable[[Tensor], Tensor]:
    """Reduced, then damaged by what follows, from a seed."""
    return lambda image: Chain(steps)(reduced(image, side), Generator().manual_seed(3)).clamp(0, 1)


def old_print(image: Tensor) -> Tensor:
    """Faded to brown, soft, with grain and scratches, then scanned."""
    generator = Generator().manual_seed(11)
    grey = Blur(0.8)(brightness(reduced(image, 560)))
    grey = 0.14 + 0.72 * grey + Blur(0.6)(GaussianNoise(16 / 255)(torch.zeros_like(grey), generator))
    grey = Scratches((5, 7), (1, 3), (50 / 255, 90 / 255))(grey, generator)
    return Jpeg(88)((grey * torch.tensor([1.0, 0.93, 0.78]).view(1, 3, 1, 1)).clamp(0, 1))


def screen(dark: bool) -> Tensor:
    """A page of text as a screen shows it."""
    ink, paper, accent = ((226, 232, 240), (15, 23, 42), (129, 140, 248)) if dark else (
        (30, 41, 59), (255, 255, 255), (67, 56, 202)
    )  # fmt: skip
    page = Pillow.new("RGB", (512, 384), paper)
    draw, head, body = ImageDraw.Draw(page), ImageFont.load_default(26), ImageFont.load_default(15)
    draw.rectangle((0, 0, 512, 40), fill=accent)
    draw.text((16, 6), "Timetable, winter", font=head, fill=paper)
    rows = [("06:12", "Harbour", "on time"), ("06:47", "Old Town", "4 min late"), ("07:05", "University", "on time"),
            ("07:31", "Airport", "cancelled"), ("07:58", "Harbour", "on time"), ("08:20", "Museum", "on time"),
            ("08:44", "Old Town", "2 min late"), ("09:10", "Stadium", "on time")]  # fmt: skip
    for number, row in enumerate(rows):
        for column, text in zip((16, 120, 340), row, strict=True):
            draw.text((column, 60 + 38 * number), text, font=body, fill=ink)
        draw.line((16, 86 + 38 * number, 496, 86 + 38 * number), fill=accent)
    return torch.from_numpy(np.array(page)).permute(2, 0, 1)[None] / 255


PHONE = CameraNoise(0.0025, 0.00025, smoothing=0.5, colour_smoothing=0.7)
# Name: file below the data folder ("" for text drawn here), caption, what is done, what is said of that, quality.
PICTURES: dict[str, tuple[str, str, Callable[[Tensor], Tensor], str, int | None]] = {
    "night": ("train/d/mateczero_001_2.jpg", "Phone at night", by(PHONE, Rounding(), Jpeg(82)), "a camera's noise", 82),
    "bottles": ("realnoise/furrybsd_03_real.webp", "Indoors, ISO 1600", as_it_is, "", None),
    "print": ("train/d/budgieczero_010_1.jpg", "Old print", old_print, "aged by program", 88),
    "otter": ("train/d/budgieczero_009_2.jpg", "From a web site", saved(28, 480, 2), "saved twice at quality 28", 28),
    "arena": ("train/d/budgieczero_012_1.jpg", "Small picture", saved(55, 220), "reduced, quality 55", 55),
    "screen": ("", "Screenshot", by(Jpeg(30)), "saved as JPEG, quality 30", 30),
    "market": ("train/d/budgieczero_015_2.jpg", "Sent by messenger", saved(45, 400), "reduced, quality 45", 45),
    "bottle": ("realnoise/furrybsd_02_real.webp", "Kitchen, ISO 1600", as_it_is, "", None),
    "lake": ("train/d/budgieczero_008_1.jpg", "Nothing wrong", by(side=512), "", 93),
}  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.gallery", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds realnoise/ and train/")
    arguments = parser.parse_args(argv)
    FOLDER.mkdir(exist_ok=True)
    lines = ["file\ttitle\torigin\tlicence\tdamage"]
    for name, (source, title, damage, said, quality) in PICTURES.items():
        image = damage(read(arguments.data / source).tensor() if source else screen(dark=False))
        # What a JPEG holds is saved without another loss: the same quality gives the same file again, nearly.
        file = FOLDER / f"{name}{'.webp' if quality is None else '.jpg'}"
        picture: Image = from_tensor(image, name)
        write(picture, file, quality or 95)
        origin, licence = REPOSITORIES[Path(source).name.split("_")[0]] if source else ("drawn here", "Apache-2.0")
        lines.append("\t".join([file.name, title, origin, licence, f"made: {said}" if said else "its own or none"]))
    (FOLDER / "origins.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
