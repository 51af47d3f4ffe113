"""Image files to pictures and back, with nothing lost: the only module that reads and writes them.

Reading goes by content, not by name.  The picture is turned upright, colour profiles become sRGB, grey stays grey,
16 bits stay 16 bits, and transparency is carried beside the colours.  Every failure is an `ImageError` with one
sentence that can be shown to a visitor.
"""

import hashlib
import html
import io
import math
import os
import re
import secrets
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import ExifTags, ImageCms
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from restoration.colour import is_srgb, profile_fits, to_grey_or_rgb
from restoration.image import Image, ImageError, from_tensor, to_8_bit
from restoration.jpeg import quality_of_table
from restoration.metadata import RECEIPT, Metadata, density, exif_to_write, xmp
from restoration.tiff import encode_tiff, planes_of

MAX_MEGAPIXELS = 40
ENDINGS = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".png": "png",
    ".webp": "webp",
    ".bmp": "bmp",
    ".tif": "tiff",
    ".tiff": "tiff",
}

Format = Literal["png", "jpeg", "webp", "tiff"]
FORMATS: dict[str, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tiff"}

_READABLE = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_KINDS = "a JPEG, PNG, WebP, BMP, TIFF or GIF image"


# Reading ------------------------------------------------------------------------------------------------------------


def read(source: str | Path | bytes, name: str | None = None) -> Image:
    """The image in a file or in the bytes of one.

    Args:
        name: what to call it in messages and for the result's file name; the file's own name by default.

    Raises:
        ImageError: no such file, not an image of an accepted kind, damaged, or over 40 megapixels.
    """
    title = Path(name or (source if not isinstance(source, bytes) else "image")).name
    try:
        with Pillow.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_READABLE) as file:
            _check_size(*file.size)
            content = source if isinstance(source, bytes) else Path(source).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            return replace(_decode(file), name=Path(title).stem or "image", file_digest=digest)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"There is no file called {title}.") from None
    except IsADirectoryError:
        raise ImageError(f"{title} is a folder, not an image.") from None
    except PermissionError:
        raise ImageError(f"{title} may not be read.") from None
    except Pillow.UnidentifiedImageError:
        raise ImageError(f"{title} is not {_KINDS}.") from None
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        raise ImageError(f"This image is far larger than the limit of {MAX_MEGAPIXELS} megapixels.") from None
    except MemoryError:
        raise ImageError("This image needs more memory than there is.") from None
    except Exception:  # decoders raise nearly anything on damaged files
        raise ImageError(f"{title} is damaged or cut short.") from None


def file_size(path: str | Path) -> tuple[int, int]:
    """Width and height that a picture's file tells, before it is turned upright; reads nothing else.

    Raises:
        ImageError: it is no picture of an accepted kind.
    """
    try:
        with Pillow.open(path, formats=_READABLE) as file:
            return file.size
    except Exception:  # decoders raise nearly anything on damaged files
        raise ImageError("This is not an image that can be read.") from None


def embedded_receipt(source: str | Path) -> str | None:
    """The receipt in a picture's file, as `encode` wrote it; None without one, or if it is no picture."""
    try:
        with Pillow.open(source, formats=_READABLE) as file:
            if file.format == "PNG":
                return file.info.get(RECEIPT)
            packet = file.tag_v2.get(ExifTags.Base.XMLPacket) if file.format == "TIFF" else file.info.get("xmp")
    except Exception:  # decoders raise nearly anything on damaged files
        return None
    found = re.search(rf'{RECEIPT}:receipt="([^"]*)"', (packet or b"").decode("utf-8", "replace"))
    return html.unescape(found[1]) if found else None


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        megapixels = math.ceil(width * height / 100_000) / 10
        raise ImageError(f"This image has {megapixels:g} megapixels; the limit is {MAX_MEGAPIXELS}.")


def _decode(file: Pillow.Image) -> Image:
    notes = []
    if getattr(file, "n_frames", 1) > 1:
        notes.append("Only the first frame is used.")
    icc, dpi = file.info.get("icc_profile"), density(file.info.get("dpi"))
    jpeg_quality = _jpeg_quality(file)
    samples = _decode_16_bit(file)
    exif = file.getexif()  # not before: for a PNG this decodes the file, the 8-bit way
    exif.bigtiff = False  # EXIF of a BigTIFF too is written as that of a plain one
    try:
        exif_block = exif.tobytes() if len(exif) else None
    except Exception:  # Pillow raises nearly anything on a tag of another type than it expects
        exif_block = None
        notes.append("The damaged EXIF was ignored.")
    if file.format == "TIFF":
        if 0 in file.tag_v2.get(ExifTags.Base.ExtraSamples, ()):
            notes.append("An extra channel of unknown meaning was dropped.")
        if samples is None and max(file.tag_v2.get(ExifTags.Base.BitsPerSample, (1,))) > 8:
            notes.append("Reduced to 8 bits a sample.")
    if samples is None:
        file, note = to_grey_or_rgb(file, icc)
        notes += note
        samples = np.asarray(file)
        if file.mode.startswith("RGB") and icc is not None and not profile_fits(icc, "GRAY"):
            icc = icc if is_srgb(icc) else ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if samples.ndim == 2:
        samples = samples[..., None]
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    if orientation in _UPRIGHT:
        samples = _UPRIGHT[orientation](samples)
        notes.append("Turned upright.")
    if orientation in (5, 6, 7, 8) and dpi:
        dpi = dpi[::-1]
    colours = 1 if samples.shape[2] < 3 else 3
    alpha = samples[..., -1] if samples.shape[2] in (2, 4) else None
    return Image(
        np.ascontiguousarray(samples[..., :colours]),
        None if alpha is None else np.ascontiguousarray(alpha),
        icc=icc,
        exif=exif_block,
        dpi=dpi,
        notes=tuple(notes),
        jpeg_quality=jpeg_quality,
    )


def _jpeg_quality(file: Pillow.Image) -> int | None:
    tables = getattr(file, "quantization", None) if file.format in ("JPEG", "MPO") else None
    return quality_of_table(tables[0]) if tables and len(tables.get(0, ())) == 64 else None


_UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def _decode_16_bit(file: Pillow.Image) -> np.ndarray | None:
    """uint16 (H, W) or (H, W, 2..4) of a file with more than 8 bits a sample, None for any other file.

    Pillow has 16-bit modes for grey alone and drops the low bytes of colours.  Asking its decoder for the other byte
    order brings exactly those low bytes, so two passes give both halves.
    """
    tags = file.tag_v2 if file.format == "TIFF" else {}
    if file.mode.startswith("I;16"):
        samples = np.asarray(file).astype(np.uint16)
    elif file.mode == "I":
        samples = np.asarray(file)
        if samples.min() < 0 or samples.max() > 65535:
            raise ImageError("Images with 32 bits a sample cannot be used; save it with 16 bits.")
        samples = samples.astype(np.uint16)
    elif file.mode == "F":
        samples = np.asarray(file)
        if not (np.isfinite(samples).all() and samples.min() >= 0 and samples.max() <= 1):
            raise ImageError("Floating-point images must lie between 0 and 1; save it as a 16-bit TIFF.")
        samples = np.rint(samples.astype(np.float64) * 65535).astype(np.uint16)
    else:
        raw_modes = {tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0] for tile in file.tile}
        raw_mode = raw_modes.pop() if len(raw_modes) == 1 else None
        if raw_mode == "LA;16B":  # four bytes a pixel, which the 8-bit RGBA mode hands over as they are
            halves = _with_raw_mode(file, "RGBA").astype(np.uint16)
            return halves[..., ::2] << 8 | halves[..., 1::2]
        planar = tags.get(ExifTags.Base.PlanarConfiguration) == 2
        if planar and tags[ExifTags.Base.BitsPerSample][0] == 16 and file.mode in ("RGB", "RGBA"):
            samples = planes_of(file)
        elif isinstance(raw_mode, str) and re.fullmatch("RGB[AaX]?;16[BLN]", raw_mode):
            if "a" in raw_mode:  # Pillow would divide by alpha with 8 bits
                raw_mode = raw_mode.replace("a", "A")
                file.tile = [tile._replace(args=(raw_mode, *tile.args[1:])) for tile in file.tile]
            native = "L" if np.little_endian else "B"
            order = raw_mode[-1].replace("N", native)
            low = _with_raw_mode(file, raw_mode[:-1] + ("L" if order == "B" else "B"))
            high = np.asarray(file)
            samples = high.astype(np.uint16) << 8 | low
        else:
            return None
        if samples.shape[2] == 4 and tags.get(ExifTags.Base.ExtraSamples) == (1,):  # colours times alpha
            alpha = samples[..., 3].astype(np.uint32)
            for channel in range(3):
                product = samples[..., channel] * np.uint32(65535) + alpha // 2
                samples[..., channel] = np.minimum(product // np.maximum(alpha, 1), 65535)
    if samples.ndim == 2 and tags.get(ExifTags.Base.PhotometricInterpretation) == 0:  # white is zero
        samples = 65535 - samples
    transparent = file.info.get("transparency")
    if isinstance(transparent, int | tuple):
        planes = samples if samples.ndim == 3 else samples[..., None]
        opaque = (planes != np.array(transparent, dtype=np.uint16)).any(axis=2, keepdims=True)
        samples = np.concatenate([planes, opaque * np.uint16(65535)], axis=2)
    return samples


def _with_raw_mode(file: Pillow.Image, raw_mode: str) -> np.ndarray:
    """The samples of an opened, not yet decoded file as its decoder gives them in another raw mode."""
    file.fp.seek(0)
    again = Pillow.open(io.BytesIO(file.fp.read()), formats=(file.format,))
    for index, tile in enumerate(again.tile):
        again.tile[index] = tile._replace(args=raw_mode if isinstance(tile.args, str) else (raw_mode, *tile.args[1:]))
    return np.asarray(again)


# Writing ------------------------------------------------------------------------------------------------------------


def output_name(image: Image, suffix: str, format: Format = "png") -> str:
    """The result's file name, `<stem>_<suffix>.<ending>`."""
    return f"{image.name}_{suffix}{FORMATS[format]}"


def write(image: Image, path: str | Path, quality: int = 95, metadata: Metadata = "private") -> None:
    """Write an image in the format that the path's ending names; a failure leaves no half-written file.

    Args:
        quality: of a JPEG, 1 to 100.  PNG, WebP and TIFF are lossless.
        metadata: EXIF without place, thumbnail and maker notes ("private"), "all" of it, or "none".

    Raises:
        ImageError: an unknown ending, transparency in a JPEG, a size that the format cannot hold, or no room.
    """
    save(encode(image, format_of(Path(path)), quality, metadata), Path(path))


def check_holds(format: Format, image: Image) -> None:
    """Refuse a format that cannot hold a picture, which is known before it is restored.

    Raises:
        ImageError: transparency in a JPEG.
    """
    if format == "jpeg" and image.alpha is not None:
        raise ImageError("JPEG cannot hold transparency; choose PNG, WebP or TIFF.")


def format_of(path: Path) -> Format:
    """The format that a file's ending names.

    Raises:
        ImageError: one that cannot be written.
    """
    format = ENDINGS.get(path.suffix.lower())
    if format not in FORMATS:
        raise ImageError(f"{path.name} should end in {', '.join(FORMATS.values())}.")
    return format


def save(content: bytes, path: Path, *, overwrite: bool = True) -> None:
    """Write a file; a failure leaves no half-written one.

    Args:
        overwrite: whether one that is there is replaced.

    Raises:
        ImageError: no such folder, no room, or a file that is not to be replaced.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        if overwrite:
            os.replace(temporary, path)
        else:
            _publish(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise ImageError(f"There is a {path.name} already.") from None
        raise ImageError(f"{path.name} could not be written: is there such a folder, and room in it?") from None


def _publish(temporary: Path, path: Path) -> None:
    """Give a file its name, unless something has it already.

    Raises:
        FileExistsError: something has.
    """
    try:
        os.link(temporary, path)  # in one step, unlike a look and a rename
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError from None
        os.replace(temporary, path)
    else:
        temporary.unlink()


def encode(image: Image, format: Format = "png", quality: int = 95, metadata: Metadata = "private") -> bytes:
    """The bytes of the image's file; see `write`.  JPEG and WebP hold 8 bits, so 16-bit samples are rounded."""
    if not 1 <= quality <= 100:
        raise ImageError(f"JPEG quality goes from 1 to 100, not {quality}.")
    exif = exif_to_write(image.exif, metadata)
    if metadata == "none":
        image = replace(image, receipt=None)
    if image.bits == 16 and format == "png":
        return _encode_16_bit_png(image, exif)
    if format != "tiff":
        image = to_8_bit(image)
    check_holds(format, image)
    try:
        return encode_tiff(image, exif) if format == "tiff" else _encode_8_bit(image, exif, format, quality)
    except (OSError, ValueError, SystemError, struct.error):
        raise ImageError(f"{format.upper()} cannot hold {image.width}x{image.height} pixels; choose PNG.") from None


def _encode_8_bit(image: Image, exif: Pillow.Exif | None, format: Format, quality: int) -> bytes:
    planes = image.planes
    picture = Pillow.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes)
    options: dict = {
        "png": {"compress_level": 1},
        "jpeg": {"quality": quality, "subsampling": 0},
        "webp": {"lossless": True, "exact": True, "method": 2},
    }[format]
    if image.dpi and format != "webp":
        options["dpi"] = image.dpi
    if exif:
        options["exif"] = exif.tobytes()
    if image.icc and (format != "webp" or not profile_fits(image.icc, "GRAY")):  # WebP has no grey samples
        options["icc_profile"] = image.icc
    if image.receipt:
        if format == "png":
            options["pnginfo"] = PngInfo()
            options["pnginfo"].add_text(RECEIPT, image.receipt)
        else:
            options["xmp"] = xmp(image.receipt)
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def _encode_16_bit_png(image: Image, exif: Pillow.Exif | None) -> bytes:
    """PNG with 16 bits a sample, which Pillow writes for grey alone (W3C, "PNG Specification", third edition)."""
    planes = image.planes
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[planes.shape[2]]
    rows = planes.astype(">u2").reshape(image.height, -1).view(np.uint8)
    # Filter 2, the difference to the row above, byte by byte: cheap, and far smaller than no filter.
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = np.hstack([np.full((image.height, 1), 2, np.uint8), rows - above])
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", image.width, image.height, 16, colour_type, 0, 0, 0))]
    if image.icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(image.icc)))
    if image.dpi:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(side / 0.0254) for side in image.dpi), 1)))
    if exif:
        chunks.append((b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    if image.receipt:
        chunks.append((b"tEXt", f"{RECEIPT}\0{image.receipt}".encode("latin-1")))
    chunks += [(b"IDAT", zlib.compress(filtered.tobytes(), 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def write_grid(path: str | Path, rows: Sequence[Sequence[Tensor]]) -> None:
    """Write rows of equally large tensors (1, C, H, W) as one picture."""
    write(from_tensor(torch.cat([torch.cat(tuple(row), dim=3) for row in rows], dim=2)), path)
