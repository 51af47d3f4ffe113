"""The bytes of image files to pictures, by content: upright, in grey or sRGB, with what else they tell, and notes."""

import io
import math
import struct
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from PIL import Image as Pillow
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from restoration import colour, jpeg, png, tiff
from restoration.image import Image, ImageError
from restoration.metadata import (
    COMMENT,
    IPTC_TAG,
    PHOTOSHOP,
    PHOTOSHOP_TAG,
    Exif,
    Texts,
    decoded,
    density,
    iptc_in_resources,
    orientation_in,
    texts_of,
)

MAX_MEGAPIXELS = 40
BLOCK = 16  # pixels; networks fill pictures up to multiples of it, so that a line of pixels costs as much as 16 lines
THIN_PIXELS = 500_000  # that a picture may come to when it is filled up, if that is over twice its own
_READERS: dict[str, Callable[[BinaryIO], Pillow.Image]] = {
    "bmp": BmpImageFile,
    "gif": GifImageFile,
    "jpeg": JpegImageFile,
    "png": PngImageFile,
    "tiff": TiffImageFile,
    "webp": WebPImageFile,
}


with suppress(ImportError):  # the extra [heif]
    from PIL.AvifImagePlugin import AvifImageFile
    from pillow_heif.as_plugin import HeifImageFile

    _READERS |= {"avif": AvifImageFile, "heif": HeifImageFile}
_BRANDS = {"heif": (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"), "avif": (b"avif", b"avis")}
NO_HEIF = "is a HEIC or AVIF picture, which is not read here; save it as JPEG or PNG"  # or install the extra [heif]

_opening = threading.Lock()


def opened(kind: str, file: BinaryIO) -> Pillow.Image:
    """A file of a kind as Pillow opens it, not yet decoded, and without its warnings: notes tell what matters."""
    with _opening, warnings.catch_warnings():  # which threads share
        warnings.simplefilter("ignore")
        return _READERS[kind](file)


def kind_of(head: bytes) -> str | None:
    """What kind of picture a file is, by its first bytes; None for what cannot be read."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(png.SIGNATURE):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    for kind, brands in _BRANDS.items():
        if head[4:8] == b"ftyp" and head[8:12] in brands:
            return kind
    if head[:2] == b"BM" and head[14:18] in (struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124)):
        return "bmp"
    return None


def readable(kind: str) -> bool:
    """Whether this installation has what reads a kind."""
    return kind in _READERS


def check_size(width: int, height: int, limit: float | None, thin: bool = False) -> None:
    """Refuse a picture of a size that is too large, or too thin to be worth its cost.

    Raises:
        ImageError: it is.
    """
    if limit is not None and width * height > limit * 1_000_000:
        megapixels = math.ceil(width * height / 100_000) / 10
        raise ImageError(
            f"This image has {megapixels:g} megapixels; the limit is {limit:g}. Scale it down"
            + (", or use the command line." if limit == MAX_MEGAPIXELS else " or raise the limit.")
        )
    filled = math.prod(-(-side // BLOCK) * BLOCK for side in (width, height))
    most = THIN_PIXELS if not thin or limit is None else limit * 1_000_000
    if limit is not None and filled > max(2 * width * height, most):
        raise ImageError(
            f"An image of {width} × {height} px takes as long as one of {filled / 1e6:.1f} megapixels; "
            f"cut it into pieces of at most {most // BLOCK**2 * BLOCK:.0f} px, "
            f"or use the command line with --limit {math.ceil(filled / 1e6)}."
        )


def decode(kind: str, content: bytes, limit: float | None, thin: bool = False) -> Image:
    """The image in the bytes of a file of a kind.

    Args:
        limit, thin: see `files.read`.

    Raises:
        ImageError: what it holds cannot be used, or is over the limit.
        Exception: of nearly any kind, for damaged files.
    """
    notes: list[str] = []
    upright = False
    if kind == "tiff" and (found := tiff.first_page(content)):
        page, more = found
        check_size(page.imagewidth, page.imagelength, limit, thin)
        icc, dpi, packet, texts, block = tiff.profile(page), tiff.dots_per_inch(page), tiff.xmp(page), (), content
        if more:
            notes.append("Only the first page is used.")
        planes = tiff.planes_of(page, content, icc, notes)
        quality = None
        if planes is None:
            file = opened("tiff", io.BytesIO(content))
            planes, icc, changes = colour.to_planes(file, icc)
            notes += changes
            upright = True  # Pillow turns them
        elif int(page.photometric) in (5, 6, 8, 9):  # is sRGB by now
            icc = None
    else:
        if kind == "jpeg" and (whole := jpeg.closed(content)) is not content:
            notes.append("This JPEG is cut short and was read as far as it goes.")
            content = whole
        if kind == "png" and (whole := png.sound(content)) is not content:
            notes.append("A damaged part beside the picture was left out.")
            content = whole
        file = opened(kind, io.BytesIO(content))
        check_size(*file.size, limit, thin)
        icc, dpi, packet = file.info.get("icc_profile"), file.info.get("dpi"), file.info.get("xmp")
        quality = _jpeg_quality(file)
        planes, changes, icc = _planes(kind, file, content, icc)
        notes += changes
        notes += _left_out(kind, file)
        texts, iptc = _texts(kind, file), _iptc(kind, file)
        block = file.info.get("exif") or (png.raw_in_text(file.text, "exif") if kind == "png" else None)
    exif = Exif()
    if block:
        try:
            exif = Exif.read(block)
        except ValueError:
            exif = replace(exif, damaged=True)
    if kind == "tiff":
        kept, resources = exif.main.get(IPTC_TAG), exif.main.get(PHOTOSHOP_TAG)
        iptc = kept.data if kept else iptc_in_resources(resources.data) if resources else None
    if exif.damaged:
        notes.append("Some of its EXIF is damaged and was ignored.")
    dpi = density(dpi)
    orientation = exif.orientation or orientation_in(packet) or 1
    if orientation in _UPRIGHT:
        planes = planes if upright else _UPRIGHT[orientation](planes)
        notes.append("Turned upright.")
        if dpi and orientation > 4:
            dpi = dpi[::-1]
    colours = 1 if planes.shape[2] < 3 else 3
    samples = np.ascontiguousarray(planes[..., :colours])
    if icc is not None:
        samples, icc, changes = colour.apply_profile(samples, icc)
        notes += changes
    return Image(
        samples,
        np.ascontiguousarray(planes[..., -1]) if planes.shape[2] in (2, 4) else None,
        icc=icc,
        exif=exif.to_write("all").block() or None,
        xmp=packet.encode() if isinstance(packet, str) else packet or None,
        iptc=iptc,
        texts=texts,
        dpi=dpi,
        notes=tuple(dict.fromkeys(notes)),
        jpeg_quality=quality,
    )


def _planes(
    kind: str, file: Pillow.Image, content: bytes, icc: bytes | None
) -> tuple[np.ndarray, list[str], bytes | None]:
    """What Pillow has opened as (H, W, 1 to 4), what that changed, and the profile that it has then."""
    if kind != "png":
        planes, icc, notes = colour.to_planes(file, icc)
        return planes, notes, icc
    chunks = png.header(content)
    planes, notes = png.planes_of(file, chunks), []
    if planes is None:
        planes, icc, notes = colour.to_planes(file, icc)
    space, note = png.colours_of(chunks)
    if note:
        notes, icc = [*notes, note], None
    if space is not None:
        colours = 1 if planes.shape[2] < 3 else 3
        planes = np.dstack([space.converted(planes[..., :colours]), planes[..., colours:]])
    return planes, notes, icc


def _texts(kind: str, file: Pillow.Image) -> Texts:
    """The texts of a PNG, or the comments of a JPEG or a GIF as one."""
    if kind == "png":
        return texts_of(file.text)
    comments = [data for name, data in getattr(file, "applist", ()) if name == "COM"] or [file.info.get("comment")]
    comments = [decoded(comment) for comment in comments if comment and isinstance(comment, bytes)]
    return ((COMMENT, "\n".join(comments)),) if comments else ()


def _iptc(kind: str, file: Pillow.Image) -> bytes | None:
    """The records of IPTC of a JPEG or a PNG."""
    if kind == "png":
        raw = png.raw_in_text(file.text, "iptc")
        return raw and (iptc_in_resources(raw) if raw.startswith(b"8BIM") else raw)
    parts = [data for name, data in getattr(file, "applist", ()) if name == "APP13" and data.startswith(PHOTOSHOP)]
    return iptc_in_resources(b"".join(part.removeprefix(PHOTOSHOP) for part in parts))


def _left_out(kind: str, file: Pillow.Image) -> list[str]:
    """What there is in a file beside its first picture, which is decoded by now."""
    if kind == "jpeg":
        if b"hdrgm:" in (file.info.get("xmp") or b""):
            return ["Its brighter version for HDR displays was left out."]
        more = any(name == "APP2" and data.startswith(b"MPF\0") for name, data in file.applist)
        return ["Only the first of its pictures is used."] if more else []
    if kind == "gif":
        try:
            file.seek(1)
        except EOFError:
            return []
        except Exception:  # a damaged frame takes nothing from the first
            return ["What follows the first frame is damaged and was left out."]
        return ["Only the first frame is used."]
    if (bits := file.info.get("bit_depth", 8)) > 8:
        return [f"Its {bits} bits became 8."]
    return ["Only the first frame is used."] if getattr(file, "n_frames", 1) > 1 else []


def _jpeg_quality(file: Pillow.Image) -> int | None:
    tables = getattr(file, "quantization", None) if file.format == "JPEG" else None
    return jpeg.quality_of_table(tables[0]) if tables and len(tables.get(0, ())) == 64 else None


_UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
