"""Image files to tensors and back, with nothing lost: the only module that knows files, integers and colour spaces.

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
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import ExifTags, ImageCms
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from scipy import ndimage
from torch import Tensor

from restoration.jpeg import quality_of_table
from restoration.resampling import resample

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
Metadata = Literal["private", "all", "none"]
FORMATS: dict[str, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tiff"}

_READABLE = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_KINDS = "a JPEG, PNG, WebP, BMP, TIFF or GIF image"
_GREY = np.array([0.2989, 0.5870, 0.1140])  # BT.601, full range, as MATLAB's rgb2gray


class ImageError(ValueError):
    """One sentence, fit for a visitor, on why an image cannot be read or written."""


@dataclass(frozen=True)
class Image:
    """A decoded image file.

    Args:
        samples: uint8 or uint16, (H, W, C) with 1 (grey) or 3 (sRGB) channels.
        alpha: opacity (H, W) of the same type, or None for an opaque image.
        name: file name without folder and ending.
        icc: colour profile of the samples.
        exif: EXIF block as it was read, its orientation already applied.
        dpi: pixels per inch, across and down.
        notes: what reading changed, one sentence each.
        jpeg_quality: that the file was saved with, by its tables; None for other files.
        file_digest: sha256 of the file that was read, in hexadecimal.
        receipt: how the picture was made, as JSON, to be written into its file; never read from one.
    """

    samples: np.ndarray
    alpha: np.ndarray | None = None
    name: str = "image"
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = field(default=())
    jpeg_quality: int | None = None
    file_digest: str = ""
    receipt: str | None = None

    @property
    def height(self) -> int:
        return self.samples.shape[0]

    @property
    def width(self) -> int:
        return self.samples.shape[1]

    @property
    def channels(self) -> int:
        return self.samples.shape[2]

    @property
    def bits(self) -> int:
        return self.samples.itemsize * 8

    @property
    def planes(self) -> np.ndarray:
        """Colours and, where there is one, alpha: (H, W, 1 to 4)."""
        return self.samples if self.alpha is None else np.dstack([self.samples, self.alpha])

    @property
    def digest(self) -> str:
        """sha256 of size, bit depth and all samples, in hexadecimal: what a picture shows, whatever file holds it."""
        planes = self.planes
        hashed = hashlib.sha256(f"{planes.shape} {planes.dtype}".encode())
        hashed.update(np.ascontiguousarray(planes))
        return hashed.hexdigest()

    def tensor(self, window: tuple[slice, slice] = (slice(None), slice(None))) -> Tensor:
        """The colours as float32 (1, C, H, W) in [0, 1], of the whole image or of a (rows, columns) window."""
        part = self.samples[window].astype(np.float32) / np.float32(np.iinfo(self.samples.dtype).max)
        return torch.from_numpy(part).permute(2, 0, 1)[None].contiguous()

    def bytes(self, channels: int) -> Tensor:
        """The colours as uint8 (channels, H, W): colour made grey for 1 channel, grey repeated for 3."""
        samples = to_8_bit(self).samples
        if channels == 1 and self.channels == 3:
            samples = np.rint(samples @ _GREY).astype(np.uint8)[..., None]
        return torch.from_numpy(np.repeat(samples, channels // samples.shape[2], axis=2)).permute(2, 0, 1).contiguous()


def from_tensor(tensor: Tensor, name: str = "image", bits: Literal[8, 16] = 8) -> Image:
    """An image of a float tensor (1, C, H, W) or (C, H, W): clamped to [0, 1] and rounded."""
    highest = 2**bits - 1
    planes = tensor.detach().reshape(-1, *tensor.shape[-2:]).clamp(0, 1).double().cpu()
    samples = (planes * highest).round().permute(1, 2, 0).numpy().astype(np.uint8 if bits == 8 else np.uint16)
    return Image(np.ascontiguousarray(samples), name=name)


def to_8_bit(image: Image) -> Image:
    """The image with 8 bits a sample, rounded."""
    if image.bits == 8:
        return image

    def rounded(samples: np.ndarray) -> np.ndarray:
        return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)

    alpha = None if image.alpha is None else rounded(image.alpha)
    return replace(image, samples=rounded(image.samples), alpha=alpha)


def enlarged(image: Image, scale: int) -> Image:
    """The image at `scale` times the size, all its planes resampled bicubically."""
    return _resized(image, (scale * image.height, scale * image.width), scale)


def reduced(image: Image, factor: int) -> Image:
    """The image at 1 / `factor` of the size, rounded up, all its planes resampled bicubically."""
    return _resized(image, (-(-image.height // factor), -(-image.width // factor)), 1 / factor)


def fitted(image: Image, side: int) -> Image:
    """The image, reduced by a whole factor so that its longer side is at most `side`."""
    factor = -(-max(image.height, image.width) // side)
    return image if factor == 1 else reduced(image, factor)


def _resized(image: Image, size: tuple[int, int], scale: float) -> Image:
    planes = [_resized_plane(image.samples[..., channel], size, scale) for channel in range(image.channels)]
    alpha = None if image.alpha is None else _resized_plane(image.alpha, size, scale)
    return replace(image, samples=np.dstack(planes), alpha=alpha)


def _resized_plane(plane: np.ndarray, size: tuple[int, int], scale: float) -> np.ndarray:
    highest = np.iinfo(plane.dtype).max
    resized = resample(torch.from_numpy(plane.astype(np.float32))[None, None], size, scale)
    return resized.round_().clamp_(0, highest)[0, 0].numpy().astype(plane.dtype)


def visible_colours(image: Image) -> Image:
    """The image with the colours of fully transparent pixels replaced by those of the nearest visible pixel.

    What lies hidden there, often black, would otherwise bleed into the visible edge when the image is enlarged.
    """
    if image.alpha is None or image.alpha.all() or not image.alpha.any():
        return image
    rows, columns = ndimage.distance_transform_edt(image.alpha == 0, return_distances=False, return_indices=True)
    return replace(image, samples=image.samples[rows, columns])


class Canvas:
    """A restored version of an image, filled window by window and blended with the original afterwards.

    The restored values are kept as 16-bit codes, so that blending again never needs the model again.  For an 8-bit
    image the codes are 8.8 fixed point with a half added: the upper byte is the correctly rounded sample.

    Args:
        original: the image that is restored.
        scale: size of the restored version / size of the original.
    """

    def __init__(self, original: Image, scale: int = 1):
        self.original, self.scale = original, scale
        self.codes = np.zeros((scale * original.height, scale * original.width, original.channels), np.uint16)

    def put(self, tile: Tensor, top: int, left: int) -> None:
        """Write a restored tile (1, C, h, w) in [0, 1] at a position."""
        height, width = tile.shape[-2:]
        self.codes[top : top + height, left : left + width] = self._encode(tile[0].permute(1, 2, 0))

    def plane(self, channel: int) -> Tensor:
        """One channel of the restored version, float32 (1, 1, H, W)."""
        codes = self.codes[..., channel].astype(np.float32)
        values = (codes - 128) / 65280 if self.original.bits == 8 else codes / 65535
        return torch.from_numpy(values)[None, None]

    def put_plane(self, channel: int, plane: Tensor) -> None:
        """Replace one channel of the restored version by values (1, 1, H, W) in [0, 1]."""
        for top in range(0, plane.shape[2], 256):  # bounds the memory
            self.codes[top : top + 256, :, channel] = self._encode(plane[0, 0, top : top + 256])

    def _encode(self, values: Tensor) -> np.ndarray:
        values = values.double().cpu().numpy()
        return np.floor(values * 65280 + 128) if self.original.bits == 8 else np.rint(values * 65535)

    def image(self, strength: float = 1.0) -> Image:
        """The restored version; of an unscaled one, the original moved by `strength` of the way to it.

        Strength 0 gives the original bit for bit.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"strength is a share from 0 to 1, got {strength}")
        if self.scale != 1 and strength != 1:
            raise ValueError("an enlarged image cannot be blended with its original")
        original = self.original
        if strength == 0:
            return original
        samples = np.empty(self.codes.shape, original.samples.dtype)
        for rows in (slice(top, top + 256) for top in range(0, len(samples), 256)):  # bounds the memory
            codes = self.codes[rows]
            if strength == 1:
                samples[rows] = codes >> 8 if original.bits == 8 else codes
                continue
            restored = (codes - 128.0) / 256 if original.bits == 8 else codes.astype(np.float64)
            samples[rows] = np.rint(original.samples[rows] + strength * (restored - original.samples[rows]))
        alpha = original.alpha
        if alpha is not None and self.scale != 1:
            alpha = _resized_plane(alpha, samples.shape[:2], self.scale)
        return replace(original, samples=samples, alpha=alpha)


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
                return file.info.get(_RECEIPT)
            packet = file.tag_v2.get(ExifTags.Base.XMLPacket) if file.format == "TIFF" else file.info.get("xmp")
    except Exception:  # decoders raise nearly anything on damaged files
        return None
    found = re.search(rf'{_RECEIPT}:receipt="([^"]*)"', (packet or b"").decode("utf-8", "replace"))
    return html.unescape(found[1]) if found else None


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        megapixels = math.ceil(width * height / 100_000) / 10
        raise ImageError(f"This image has {megapixels:g} megapixels; the limit is {MAX_MEGAPIXELS}.")


def _decode(file: Pillow.Image) -> Image:
    notes = []
    if getattr(file, "n_frames", 1) > 1:
        notes.append("Only the first frame is used.")
    icc, dpi = file.info.get("icc_profile"), _dpi(file.info.get("dpi"))
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
        file, note = _to_grey_or_rgb(file, icc)
        notes += note
        samples = np.asarray(file)
        if file.mode.startswith("RGB") and icc is not None and not _profile_fits(icc, "GRAY"):
            icc = icc if _is_srgb(icc) else ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
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
            samples = _planes(file)
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


_LAYOUT = ("ImageWidth", "ImageLength", "Compression", "Predictor", "RowsPerStrip", "TileWidth", "TileLength")


def _planes(file: Pillow.Image) -> np.ndarray:
    """uint16 (H, W, 3 or 4) of a TIFF that holds one plane after the other: each is read as a grey TIFF of its own."""
    tags = file.tag_v2
    kind = "Tile" if ExifTags.Base.TileOffsets in tags else "Strip"
    offsets, counts = (tags[ExifTags.Base[f"{kind}{tag}"]] for tag in ("Offsets", "ByteCounts"))
    file.fp.seek(0)
    content = file.fp.read()
    if sum(counts) > len(content):  # of parts that overlap, a small file could hold any number
        raise ValueError("the parts of the picture overlap")
    parts = [content[offset : offset + count] for offset, count in zip(offsets, counts, strict=True)]
    each = len(parts) // tags[ExifTags.Base.SamplesPerPixel]
    planes = []
    for first in range(0, each * len(file.mode), each):
        directory = ImageFileDirectory_v2(prefix=tags.prefix)
        for name in _LAYOUT:
            if (value := tags.get(ExifTags.Base[name])) is not None:
                directory[ExifTags.Base[name]] = value
        directory[ExifTags.Base.BitsPerSample] = 16
        directory[ExifTags.Base.PhotometricInterpretation] = 1
        plane = _tiff(directory, parts[first : first + each], kind)
        planes.append(np.asarray(Pillow.open(io.BytesIO(plane), formats=("TIFF",))).astype(np.uint16))
    return np.dstack(planes)


def _to_grey_or_rgb(file: Pillow.Image, icc: bytes | None) -> tuple[Pillow.Image, list[str]]:
    """An 8-bit file as L, LA, RGB or RGBA in sRGB, and notes on what that changed."""
    if file.mode == "P":
        grey = file.palette is not None and all(len(set(c[:3])) == 1 for c in file.palette.colors)
        transparent = "transparency" in file.info
        file = file.convert(("LA" if transparent else "L") if grey else ("RGBA" if transparent else "RGB"))
    elif file.mode in ("L", "RGB") and "transparency" in file.info:
        file = file.convert({"L": "LA", "RGB": "RGBA"}[file.mode])
    elif file.mode in ("1", "L"):
        file = file.convert("L")
    elif file.mode in ("LA", "La", "PA"):
        file = file.convert("RGBA").convert("LA") if file.mode == "La" else file.convert("LA")
    elif file.mode in ("RGBA", "RGBa"):
        file = file.convert("RGBA")
    elif file.mode == "LAB" or (file.mode == "CMYK" and _profile_fits(icc, "CMYK")):
        profile = ImageCms.createProfile("LAB") if file.mode == "LAB" else io.BytesIO(icc)
        file = ImageCms.profileToProfile(file, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        return file, ["Converted to sRGB."]
    elif file.mode != "RGB":
        file, icc = file.convert("RGB"), None
        return file, ["Converted to sRGB."]
    if file.mode.startswith("RGB") and icc is not None and not _is_srgb(icc):
        if not _profile_fits(icc, "RGB "):
            return file, ["The damaged colour profile was ignored."]
        colours = file.convert("RGB")
        ImageCms.profileToProfile(colours, io.BytesIO(icc), ImageCms.createProfile("sRGB"), inPlace=True)
        if file.mode == "RGBA":
            colours.putalpha(file.getchannel("A"))
        return colours, ["Converted to sRGB."]
    return file, []


def _profile_fits(icc: bytes | None, space: str) -> bool:
    try:
        return icc is not None and ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space == space
    except (OSError, ImageCms.PyCMSError):
        return False


def _is_srgb(icc: bytes) -> bool:
    """Whether a profile leaves sRGB samples alone, up to two levels of rounding in the profile's own tables."""
    if not _profile_fits(icc, "RGB "):
        return False
    levels = np.arange(0, 256, 51, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(6, 36, 3)
    profile, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    converted = np.asarray(ImageCms.profileToProfile(Pillow.fromarray(colours), profile, srgb))
    return int(np.abs(converted.astype(int) - colours).max()) <= 2


def _dpi(value: object) -> tuple[float, float] | None:
    try:
        # PNG counts whole pixels a metre; a tenth of a pixel an inch gives 300 back where 299.9994 was read.
        across, down = (round(float(side), 1) for side in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(math.isfinite(side) and 1 <= side <= 100_000 for side in (across, down)) else None


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
    exif = _exif(image.exif, metadata)
    if metadata == "none":
        image = replace(image, receipt=None)
    if image.bits == 16 and format == "png":
        return _encode_16_bit_png(image, exif)
    if format != "tiff":
        image = to_8_bit(image)
    check_holds(format, image)
    try:
        return _encode_tiff(image, exif) if format == "tiff" else _encode_8_bit(image, exif, format, quality)
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
    if image.icc and (format != "webp" or not _profile_fits(image.icc, "GRAY")):  # WebP has no grey samples
        options["icc_profile"] = image.icc
    if image.receipt:
        if format == "png":
            options["pnginfo"] = PngInfo()
            options["pnginfo"].add_text(_RECEIPT, image.receipt)
        else:
            options["xmp"] = _xmp(image.receipt)
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


_RECEIPT = "restoration"


def _xmp(receipt: str) -> bytes:
    """A packet of XMP (ISO 16684-1) with a receipt in it."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:{_RECEIPT}="urn:{_RECEIPT}:1" {_RECEIPT}:receipt="{html.escape(receipt)}"/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


_DESCRIPTIVE = (
    *("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist", "Copyright"),
    *("XPTitle", "XPComment", "XPAuthor", "XPKeywords", "XPSubject"),
)


def _exif(block: bytes | None, metadata: Metadata) -> Pillow.Exif | None:
    """The EXIF to write: upright, without a thumbnail, and private unless all of it is wanted."""
    if block is None or metadata == "none":
        return None
    old, new = Pillow.Exif(), Pillow.Exif()
    old.load(block)
    for name in _DESCRIPTIVE:
        if (value := old.get(ExifTags.Base[name])) is not None:
            new[ExifTags.Base[name]] = value
    camera = dict(old.get_ifd(ExifTags.IFD.Exif))
    camera.pop(ExifTags.IFD.Interop, None)  # an address in the file that was read
    if metadata == "private":
        camera.pop(ExifTags.Base.MakerNote, None)
        for owner in ("BodySerialNumber", "LensSerialNumber", "CameraOwnerName"):
            camera.pop(ExifTags.Base[owner], None)
    elif place := old.get_ifd(ExifTags.IFD.GPSInfo):
        new[ExifTags.IFD.GPSInfo] = dict(place)
    if camera:
        new[ExifTags.IFD.Exif] = camera
    return new if len(new) else None


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
        chunks.append((b"tEXt", f"{_RECEIPT}\0{image.receipt}".encode("latin-1")))
    chunks += [(b"IDAT", zlib.compress(filtered.tobytes(), 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _encode_tiff(image: Image, exif: Pillow.Exif | None) -> bytes:
    """TIFF with 8 or 16 bits a sample, of which Pillow writes 16 for grey alone (Adobe, "TIFF", revision 6.0)."""
    planes = image.planes
    if image.bits == 16 and planes.shape[2] == 2:  # few programs, Pillow not among them, open 16-bit grey with alpha
        planes = planes[..., [0, 0, 0, 1]]
    samples = planes.shape[2]
    tags = dict(exif or {}) | {
        ExifTags.Base.ImageWidth: image.width,
        ExifTags.Base.ImageLength: image.height,
        ExifTags.Base.BitsPerSample: (image.bits,) * samples,
        ExifTags.Base.Compression: 8,  # zlib
        ExifTags.Base.PhotometricInterpretation: 2 if samples >= 3 else 1,
        ExifTags.Base.SamplesPerPixel: samples,
        ExifTags.Base.RowsPerStrip: 64,
        ExifTags.Base.Predictor: 2,  # the difference to the pixel on the left
    }
    if image.alpha is not None:
        tags[ExifTags.Base.ExtraSamples] = 2
    if image.dpi:
        tags |= {ExifTags.Base.XResolution: image.dpi[0], ExifTags.Base.YResolution: image.dpi[1]}
        tags[ExifTags.Base.ResolutionUnit] = 2  # inches
    if image.icc:
        tags[ExifTags.Base.InterColorProfile] = image.icc
    if image.receipt:
        tags[ExifTags.Base.XMLPacket] = _xmp(image.receipt)
    directory = ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[tag] = value
    strips = []
    for top in range(0, image.height, 64):
        rows = planes[top : top + 64].astype(planes.dtype.newbyteorder("<"))
        rows[:, 1:] -= rows[:, :-1].copy()
        strips.append(zlib.compress(rows.tobytes(), 1))
    return _tiff(directory, strips, "Strip")


def _tiff(directory: ImageFileDirectory_v2, parts: Sequence[bytes], kind: Literal["Strip", "Tile"]) -> bytes:
    """A TIFF of one picture: its tags, and its compressed strips or tiles."""
    offsets = tuple(accumulate(map(len, parts[:-1]), initial=0))
    directory[ExifTags.Base[f"{kind}ByteCounts"]] = tuple(map(len, parts))
    directory[ExifTags.Base[f"{kind}Offsets"]] = offsets
    if kind == "Tile":  # Pillow counts from the end of the tags for strips alone
        start = 8 + len(directory.tobytes(8))
        directory[ExifTags.Base.TileOffsets] = tuple(start + offset for offset in offsets)
    buffer = io.BytesIO()
    directory.save(buffer)
    buffer.writelines(parts)
    return buffer.getvalue()


def write_grid(path: str | Path, rows: Sequence[Sequence[Tensor]]) -> None:
    """Write rows of equally large tensors (1, C, H, W) as one picture."""
    write(from_tensor(torch.cat([torch.cat(tuple(row), dim=3) for row in rows], dim=2)), path)
