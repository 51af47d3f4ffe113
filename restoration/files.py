"""Image files to pictures and back, with nothing lost: the only module that reads and writes them.

Reading goes by content, not by name.  The picture is turned upright, colours become sRGB, grey stays grey, 16 bits stay
16 bits, and transparency is carried beside the colours; a note tells whatever else that changed.  Every failure is an
`ImageError` with one sentence that can be shown to a visitor.
"""

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from restoration import colour, png, tiff
from restoration.decoding import MAX_MEGAPIXELS, NO_HEIF, decode, kind_of, opened, readable
from restoration.image import Image, ImageError, from_tensor, to_8_bit
from restoration.metadata import (
    PHOTOSHOP,
    RECEIPT,
    Exif,
    Metadata,
    Texts,
    as_comment,
    iptc_resource,
    receipt_in,
    xmp_fits,
    xmp_to_write,
)
from restoration.saving import save

ENDINGS = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".jfif": "jpeg",
    ".png": "png",
    ".webp": "webp",
    ".bmp": "bmp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".gif": "gif",
}

Format = Literal["png", "jpeg", "webp", "tiff"]
FORMATS: dict[str, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tiff"}

_KINDS = "a JPEG, PNG, WebP, BMP, TIFF or GIF image"
HEAD = 64  # bytes at the start of a file, which tell its kind


# Reading ------------------------------------------------------------------------------------------------------------


def read(
    source: str | os.PathLike | bytes | BinaryIO,
    name: str | None = None,
    limit: float | None = MAX_MEGAPIXELS,
    thin: bool = False,
) -> Image:
    """The image in a file, in the bytes of one, or in an open one, which is read once.

    Args:
        name: what to call it in messages and for the result's file name; the file's own name by default.
        limit: megapixels that it may have; None is any number.
        thin: whether one may cost as much as that limit which is a line of pixels, filled up to many for networks.

    Raises:
        ImageError: no such file, not an image of an accepted kind, damaged, or over the limit.
    """
    title = Path(os.fsdecode(name or _name_of(source))).name or "The file"
    try:
        content = _content(source)
        kind = kind_of(content[:HEAD])
        if kind is None:
            raise ImageError(f"{title} is not {_KINDS}.")
        if not readable(kind):
            raise ImageError(f"{title} {NO_HEIF}.")
        image = decode(kind, content, limit, thin)
        return replace(image, name=Path(title).stem or "image", file_digest=hashlib.sha256(content).hexdigest())
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"There is no file called {title}.") from None
    except IsADirectoryError:
        raise ImageError(f"{title} is a folder, not an image.") from None
    except PermissionError:
        raise ImageError(f"{title} may not be read.") from None
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        raise ImageError("This image is far larger than can be read.") from None
    except MemoryError:
        raise ImageError("This image needs more memory than there is.") from None
    except Exception:  # decoders raise nearly anything on damaged files
        raise ImageError(f"{title} is damaged or cut short.") from None


def _name_of(source: object) -> str | bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return "image"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)  # an open file's may be a number
    return name if isinstance(name, str | bytes) else "image"


def _content(source: object) -> bytes:
    """The bytes of a file; of one that is no picture only the first."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            return _content(file)
    if not callable(getattr(source, "read", None)):
        raise ImageError(f"An image is read from a path, bytes or an open file, not from a {type(source).__name__}.")
    head = source.read(HEAD)
    if not isinstance(head, bytes):
        raise ImageError("A file must be opened in binary mode to read an image from it.")
    while 0 < len(head) < HEAD and (more := source.read(HEAD - len(head))):  # of a pipe
        head += more
    return head if kind_of(head) is None else head + source.read()


def file_size(path: str | Path) -> tuple[int, int]:
    """Width and height that a picture's file tells, before it is turned upright; reads nothing else.

    Raises:
        ImageError: it is no picture of an accepted kind.
    """
    try:
        with open(path, "rb") as file:
            kind = kind_of(file.read(HEAD))
            file.seek(0)
            if kind == "tiff" and (found := tiff.first_page(file)):
                return found[0].imagewidth, found[0].imagelength
            return opened(kind, file).size
    except Exception:  # decoders raise nearly anything on damaged files
        raise ImageError("This is not an image that can be read.") from None


def embedded_receipt(source: str | Path) -> str | None:
    """The receipt in a picture's file, as `encode` wrote it; None without one, or if it is no picture."""
    try:
        with open(source, "rb") as file:
            kind = kind_of(file.read(HEAD))
            file.seek(0)
            if kind == "tiff":
                return receipt_in(tiff.xmp(tiff.first_page(file)[0]))
            info = opened(kind, file).info
            return info.get(RECEIPT) if kind == "png" else receipt_in(info.get("xmp"))
    except Exception:  # decoders raise nearly anything on damaged files
        return None


# Writing ------------------------------------------------------------------------------------------------------------


def output_name(image: Image, suffix: str, format: Format = "png") -> str:
    """The result's file name, `<stem>_<suffix>.<ending>`."""
    return f"{image.name}_{suffix}{FORMATS[format]}"


def write(
    image: Image | np.ndarray | Tensor, path: str | Path, quality: int = 95, metadata: Metadata = "private"
) -> None:
    """Write an image in the format that the path's ending names; a failure leaves no half-written file.

    Args:
        image: also an array (H, W) or (H, W, 1 or 3), see `Image`, or a float tensor (1, C, H, W) in [0, 1].
        quality: of a JPEG, 1 to 100.  PNG, WebP and TIFF are lossless.
        metadata: EXIF without place, thumbnail and maker notes ("private"), "all" of it with XMP and texts, or "none".

    Raises:
        ImageError: an unknown ending, transparency in a JPEG, a size that the format cannot hold, or no room.
    """
    if isinstance(image, Tensor):
        image = from_tensor(image)
    elif isinstance(image, np.ndarray):
        image = Image(image)
    save(encode(image, format_of(Path(path)), quality, metadata), Path(path))


_LONGEST_SIDE = {"jpeg": 65_500, "webp": 16_383, "png": 2**31 - 1, "tiff": 2**32 - 1}  # libjpeg, libwebp, W3C, Adobe
_MARKER = 65_533  # bytes that a JPEG holds of EXIF, of XMP and of a comment
_ROOM = 4_000  # of these, for the receipt and the header of its packet


def check_holds(
    format: Format, image: Image, quality: int = 95, metadata: Metadata = "private", scale: int = 1
) -> None:
    """Refuse a format that cannot hold the result for a picture, which is known before it is restored.

    Args:
        scale: size of the result / size of the picture.

    Raises:
        ImageError: a quality that there is not; transparency in a JPEG, too much EXIF or XMP; too long a side.
    """
    if not 1 <= quality <= 100:
        raise ImageError(f"JPEG quality goes from 1 to 100, not {quality}.")
    width, height = scale * image.width, scale * image.height
    if max(width, height) > _LONGEST_SIDE[format]:
        longest, name = f"{_LONGEST_SIDE[format]:,}", {"webp": "WebP"}.get(format, format.upper())
        raise ImageError(f"{name} holds sides of up to {longest} pixels, not {width}x{height}; choose PNG.")
    if format != "jpeg":
        return
    if not image.opaque:
        raise ImageError("JPEG cannot hold transparency; choose PNG, WebP or TIFF.")
    if len(_exif(image, metadata).block()) > _MARKER:
        raise ImageError(
            "The EXIF of this picture is too large for a JPEG; choose PNG, WebP or TIFF, or keep less of it."
        )
    if metadata != "all":
        return
    sizes = {
        "XMP": len(image.xmp or b"") + _ROOM,
        "IPTC": len(image.iptc or b"") + _ROOM,
        "text": len(as_comment(image.texts)),
    }
    for name, size in sizes.items():
        if size > _MARKER:
            raise ImageError(
                f"The {name} of this picture is too large for a JPEG; choose PNG, WebP or TIFF, or keep less of it."
            )


def _exif(image: Image, metadata: Metadata) -> Exif:
    """The EXIF that a picture's file gets."""
    exif = Exif.read(image.exif) if image.exif else Exif()
    return exif.to_write(metadata, (image.width, image.height))


def left_out(format: Format, image: Image, metadata: Metadata = "private") -> tuple[str, ...]:
    """What of a picture a format has no place for, of what is to be kept, one sentence each."""
    name = {"webp": "WebP"}.get(format, format.upper())
    sentences = []
    if image.bits == 16 and format in ("jpeg", "webp"):
        sentences.append(f"Rounded to 8 bits a sample: {name} holds no more.")
    if metadata == "all":
        if not xmp_fits(image.xmp):
            sentences.append("Its damaged XMP was left out.")
        if image.iptc and format == "webp":
            sentences.append("Its IPTC was left out: WebP has no place for it.")
        if image.texts and format in ("webp", "tiff") and _exif(image, metadata).described:
            sentences.append(f"Its texts were left out: {name} has a place for one description, which it has.")
    return tuple(sentences)


def format_of(path: Path) -> Format:
    """The format that a file's ending names.

    Raises:
        ImageError: one that cannot be written.
    """
    format = ENDINGS.get(path.suffix.lower())
    if format not in FORMATS:
        raise ImageError(f"{path.name} should end in {', '.join(FORMATS.values())}.")
    return format


def encode(image: Image, format: Format = "png", quality: int = 95, metadata: Metadata = "private") -> bytes:
    """The bytes of the image's file; see `write`.  JPEG and WebP hold 8 bits, so 16-bit samples are rounded."""
    check_holds(format, image, quality, metadata)
    exif, receipt = _exif(image, metadata), image.receipt if metadata != "none" else None
    texts, iptc = (image.texts, image.iptc) if metadata == "all" else ((), None)
    size = image.width, image.height
    packet = xmp_to_write(image.xmp, receipt if format != "png" else None, metadata, size)
    fits = colour.profile_fits(image.icc, "GRAY" if image.channels == 1 else "RGB ")
    icc = image.icc if fits else None
    try:
        if format == "png":
            return png.encoded(image.planes, _chunks(image, exif, icc, receipt, texts, packet, iptc))
        if format == "tiff":
            exif = exif.with_texts(texts)
            return tiff.encoded(image.planes, image.alpha is not None, exif, image.dpi, icc, packet, iptc)
        image = to_8_bit(image)
        exif = exif.with_texts(texts) if format == "webp" else exif
        options = {"exif": exif.block(), "icc_profile": icc, "xmp": packet}
        if format == "jpeg":
            options |= {"quality": quality, "subsampling": "4:4:4", "comment": as_comment(texts), "dpi": image.dpi}
            options["extra"] = _segment(0xED, PHOTOSHOP + iptc_resource(iptc)) if iptc else b""
            planes = image.samples
        else:
            options |= {"lossless": True, "exact": True, "method": 2}
            planes = image.planes
            if image.channels == 1:  # WebP has no grey samples
                options["icc_profile"] = None
                if icc:
                    planes = np.dstack([colour.grey_as_srgb(image.samples, icc), *planes[..., 1:].transpose(2, 0, 1)])
        buffer = io.BytesIO()
        picture = Pillow.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes)
        picture.save(buffer, format, **{name: value for name, value in options.items() if value})
        return buffer.getvalue()
    except (OSError, ValueError, SystemError, struct.error):
        raise ImageError(f"{format.upper()} cannot hold {image.width}x{image.height} pixels; choose PNG.") from None


def _segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def _chunks(
    image: Image,
    exif: Exif,
    icc: bytes | None,
    receipt: str | None,
    texts: Texts,
    packet: bytes | None,
    iptc: bytes | None,
) -> list[tuple[bytes, bytes]]:
    """What a PNG tells beside its samples."""
    chunks = []
    if icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if image.dpi:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(side / 0.0254) for side in image.dpi), 1)))
    if block := exif.block():
        chunks.append((b"eXIf", block.removeprefix(b"Exif\0\0")))
    if packet:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
    if receipt:
        chunks.append(png.text_chunk(RECEIPT, receipt))
    if iptc:
        chunks.append(png.raw_as_text("iptc", iptc_resource(iptc)))
    return [*chunks, *(png.text_chunk(key, text) for key, text in texts)]


def write_grid(path: str | Path, rows: Sequence[Sequence[Tensor]], quality: int = 95) -> None:
    """Write rows of equally large tensors (1, C, H, W) as one picture; see `write`."""
    write(from_tensor(torch.cat([torch.cat(tuple(row), dim=3) for row in rows], dim=2)), path, quality)
