"""Make the gallery's pictures from the free ones of the data folder: `python -m train.gallery --data FOLDER`.

Where a picture has no damage of its own it is given some, as a phone, a web site or a scanner does it, from a seed.
Their origins, licences, captions and tabs lie beside them, in `origins.tsv`, which this script writes too.
"""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter, ImageFont
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


def screen() -> Tensor:
    """A page of text as a screen shows it."""
    ink, paper, accent = (30, 41, 59), (255, 255, 255), (67, 56, 202)
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
    return from_pillow(page)


# From "Alice's Adventures in Wonderland" by Lewis Carroll.
TEXT = """Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do:
once or twice she had peeped into the book her sister was reading, but it had no pictures or conversations
in it, “and what is the use of a book,” thought Alice, “without pictures or conversations?” So she was
considering in her own mind, as well as she could, for the hot day made her feel very sleepy and stupid,
whether the pleasure of making a daisy-chain would be worth the trouble of getting up and picking the
daisies, when suddenly a White Rabbit with pink eyes ran close by her."""


def printed() -> Tensor:
    """A printed page on a table, a little askew, in the light of a lamp."""
    wood, paper, ink = (92, 68, 52), (238, 234, 224), (40, 38, 40)
    table = Pillow.new("RGB", (1024, 1280), wood)
    draw, head, body = ImageDraw.Draw(table), ImageFont.load_default(60), ImageFont.load_default(40)
    draw.rectangle((72, 50, 952, 1230), fill=paper)
    draw.text((162, 130), "Down the Rabbit-Hole", font=head, fill=ink)
    for number, line in enumerate(textwrap.wrap(TEXT.replace("\n", " "), 38)):
        draw.text((162, 240 + 58 * number), line, font=body, fill=ink)
    seen = table.rotate(-1.7, Pillow.Resampling.BICUBIC, fillcolor=wood)
    y, x = torch.meshgrid(torch.linspace(0, 1, 1280), torch.linspace(0, 1, 1024), indexing="ij")
    lamp = (0.9 - 0.24 * x - 0.16 * y) * torch.tensor([1.0, 0.95, 0.86]).view(1, 3, 1, 1)
    return lamp * from_pillow(seen)


def portrait(image: Tensor) -> Tensor:
    """A head, cut out and reduced as web sites do it."""
    return from_pillow(to_pillow(image).crop((250, 20, 506, 276)).resize((160, 160), Pillow.Resampling.BOX))


def dated(image: Tensor) -> Tensor:
    """With the date in its corner, as cameras of film burnt it in."""
    photo = to_pillow(image).resize((480, 480), Pillow.Resampling.LANCZOS)
    light, font = Pillow.new("L", photo.size), ImageFont.load_default(28)
    ImageDraw.Draw(light).text((370, 446), "12    8   '03", font=font, fill=255, anchor="mm", stroke_width=1)
    for glow, colour in ((light.filter(ImageFilter.GaussianBlur(3)), (200, 70, 0)), (light, (255, 150, 40))):
        photo.paste(colour, mask=glow)
    return from_pillow(photo)


def to_pillow(image: Tensor) -> Pillow.Image:
    return Pillow.fromarray(from_tensor(image).samples)


def from_pillow(image: Pillow.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


PHONE = CameraNoise(0.0025, 0.00025, smoothing=0.5, colour_smoothing=0.7)
LAMP = CameraNoise(0.003, 0.0003, smoothing=0.5, colour_smoothing=0.7)
CARROLL = ("drawn here, text by Lewis Carroll in the public domain", "Apache-2.0")


class Made(NamedTuple):
    """A picture of the gallery.

    Args:
        source: file below the data folder, or what draws it.
        title: its caption.
        damage: what is done to it.
        said: of that; nothing where nothing was.
        quality: of the JPEG, None for a lossless file.
        tabs: where it is an example.
        hole: ellipses over what is to be removed: column, row and half axes in pixels.
        origin: of what is drawn, and its licence.
    """

    source: str | Callable[[], Tensor]
    title: str
    damage: Callable[[Tensor], Tensor]
    said: str
    quality: int | None
    tabs: str
    hole: str = ""
    origin: tuple[str, str] = ("drawn here", "Apache-2.0")


BIRD = "408 92 48 46 388 235 90 125 345 370 50 62 388 325 40 40 440 150 36 48"
FILM, BIRDS, SHARP = "train/d/mateczero_001_2.jpg", "train/d/budgieczero_010_1.jpg", by(side=512)
PICTURES: dict[str, Made] = {
    "night": Made(FILM, "Phone at night", by(PHONE, Rounding(), Jpeg(82)), "a camera's noise", 82, "photo denoise"),
    "bottles": Made("realnoise/furrybsd_03_real.webp", "Indoors, ISO 1600", as_it_is, "", None, "photo denoise"),
    "print": Made(BIRDS, "Old print", old_print, "aged by program", 88, "photo denoise"),
    "story": Made(
        printed, "Page by lamplight", by(Blur(0.6), LAMP, Rounding(), Jpeg(82), side=600),
        "a text page, with a phone's noise and quality 82", 82, "photo denoise", origin=CARROLL,
    ),
    "otter": Made(
        "train/d/budgieczero_009_2.jpg", "From a web site", saved(28, 480, 2), "saved twice at quality 28", 28,
        "photo artifacts",
    ),
    "arena": Made(
        "train/d/budgieczero_012_1.jpg", "Small picture", saved(55, 220), "reduced, quality 55", 55,
        "photo artifacts upscale",
    ),
    "screen": Made(screen, "Screenshot", by(Jpeg(30)), "saved as JPEG, quality 30", 30, "photo artifacts"),
    "market": Made(
        "train/d/budgieczero_015_2.jpg", "Sent by messenger", saved(45, 400), "reduced, quality 45", 45,
        "photo artifacts upscale",
    ),
    "bottle": Made("realnoise/furrybsd_02_real.webp", "Kitchen, ISO 1600", as_it_is, "", None, "photo denoise"),
    "lake": Made("train/d/budgieczero_008_1.jpg", "Nothing wrong", SHARP, "", 93, "photo"),
    "face": Made(BIRDS, "Profile picture", portrait, "reduced, quality 70", 70, "upscale"),
    "bird": Made(BIRDS, "Somebody in the way", as_it_is, "", 80, "inpaint", BIRD),
    "stamp": Made(FILM, "Date in the picture", dated, "a date as cameras print it", 80, "inpaint", "370 446 84 24"),
}  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.gallery", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds realnoise/ and train/")
    arguments = parser.parse_args(argv)
    FOLDER.mkdir(exist_ok=True)
    lines = ["file\ttitle\torigin\tlicence\tdamage\ttabs\thole"]
    for name, made in PICTURES.items():
        drawn = callable(made.source)
        image = made.damage(made.source() if drawn else read(arguments.data / made.source).tensor())
        # What a JPEG holds is saved without another loss: the same quality gives the same file again, nearly.
        file = FOLDER / f"{name}{'.webp' if made.quality is None else '.jpg'}"
        picture: Image = from_tensor(image, name)
        write(picture, file, made.quality or 95)
        origin = made.origin if drawn else REPOSITORIES[Path(made.source).name.split("_")[0]]
        damage = f"made: {made.said}" if made.said else "its own or none"
        lines.append("\t".join([file.name, made.title, *origin, damage, made.tabs, made.hole]))
    (FOLDER / "origins.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
