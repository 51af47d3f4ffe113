"""TIFF, of which Pillow reads and writes a part only (Adobe, "TIFF", revision 6.0, and its supplements).

tifffile tells what the first page holds, and nothing else of the file is touched.  Pillow unpacks what was compressed
with more than zlib, and reads by itself what holds a JPEG or a fax.
"""

import io
import lzma
import struct
import zlib
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import ExifTags
from PIL import Image as Pillow
from PIL.TiffImagePlugin import TiffImageFile
from tifffile import TiffPage

from restoration.colour import CONVERTED, cmyk_to_rgb, lab_to_srgb, unmultiplied
from restoration.image import ImageError
from restoration.metadata import IPTC_TAG, LONG, SHORT, UNDEFINED, Exif, Tag

tifffile.logger().disabled = True  # it warns of what is said better here

_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3, 8: 3, 9: 3}  # channels, by PhotometricInterpretation
_LZW, _PACKBITS, _ZLIB, _LZMA = 5, 32773, (8, 32946), 34925
_NEEDED = {  # tags without which the picture would be another
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 347, 530),
}
_UNREADABLE = {
    32803: "raw data of a camera",
    34892: "raw data of a camera",
    32844: "LogL samples",
    32845: "LogLuv samples",
    10: "ITU L*a*b* samples",
}


def first_page(content: bytes | BinaryIO) -> tuple[TiffPage, bool] | None:
    """The first page, and whether more follow; None where tifffile cannot tell."""
    try:
        opened = io.BytesIO(content) if isinstance(content, bytes) else content
        file = tifffile.TiffFile(opened, is_lsm=False, is_scanimage=False, is_ndpi=False)
        page = file.pages.first
    except Exception:  # it raises nearly anything on damaged files
        return None
    try:
        more = file.pages.is_multipage
    except Exception:  # a damaged page takes nothing from the first
        more = True
    return page, more


def planes_of(page: TiffPage, content: bytes, icc: bytes | None, notes: list[str]) -> np.ndarray | None:
    """The page as uint8 or uint16 (H, W, 1 to 4), grey or RGB with alpha where it has one; None to leave it to Pillow.

    Args:
        icc: profile of the page; that of CMYK is applied.
        notes: are added to.

    Raises:
        ImageError: it holds what cannot be read.
        ValueError: it is damaged.
    """
    if lost := _NEEDED & (_named(page, content) - set(page.tags.keys())):
        raise ValueError(f"tags are damaged: {sorted(lost)}")
    photometric, bits = int(page.photometric), page.bitspersample
    if photometric in _UNREADABLE:
        raise ImageError(f"This TIFF holds {_UNREADABLE[photometric]}, which cannot be used; save it as RGB.")
    packed = int(page.compression)
    if packed not in (1, _LZW, _PACKBITS, _LZMA, *_ZLIB) or photometric not in _COLOURS or not isinstance(bits, int):
        return None
    extra = page.samplesperpixel - _COLOURS[photometric]
    if extra < 0 or page.imagedepth != 1 or (photometric == 5 and _tag(page, 332, 1) != 1):
        return None
    samples = _light(_samples(page, content), page, notes) if photometric != 3 else _samples(page, content)
    colours, others = samples[..., : samples.shape[2] - extra], samples[..., samples.shape[2] - extra :]
    meanings = [*page.extrasamples, *(0,) * extra][:extra]
    which = next((k for k, meaning in enumerate(meanings) if meaning in (1, 2)), None)
    if dropped := extra - (which is not None):
        what = "An extra channel" if dropped == 1 else f"{dropped} extra channels"
        notes.append(f"{what} of unknown meaning {'was' if dropped == 1 else 'were'} dropped.")
    if which is not None:
        if meanings[which] == 1 and photometric in (0, 1, 2):
            colours = unmultiplied(colours, others[..., which])
        alpha = others[..., which]
        if photometric == 3:
            alpha = _scaled(alpha, bits)
    colours = _in_rgb(colours, page, icc, notes)
    if which is None:
        return colours
    if colours.dtype != alpha.dtype:
        alpha = (
            ((alpha.astype(np.uint32) + 128) // 257).astype(np.uint8)
            if colours.dtype == np.uint8
            else alpha * np.uint16(257)
        )
    return np.dstack([colours, alpha])


def _named(page: TiffPage, content: bytes) -> set[int]:
    """The tags that the page's directory names, readable or not."""
    kind = page.parent.tiff
    count = struct.unpack_from(kind.tagnoformat, content, page.offset)[0]
    start = page.offset + kind.tagnosize
    places = range(start, min(start + count * kind.tagsize, len(content) - 1), kind.tagsize)
    return {struct.unpack_from(f"{page.parent.byteorder}H", content, place)[0] for place in places}


def _in_rgb(colours: np.ndarray, page: TiffPage, icc: bytes | None, notes: list[str]) -> np.ndarray:
    """Samples of any meaning as grey or RGB."""
    photometric, highest = int(page.photometric), np.iinfo(colours.dtype).max
    if photometric == 0:  # white is zero
        return highest - colours
    if photometric == 3:
        table = np.asarray(page.colormap)
        table = (table >> 8 if table.max() > 255 else table).astype(np.uint8).T
        colours = table[np.minimum(colours[..., 0], len(table) - 1)]
        return colours[..., :1] if (table == table[:, :1]).all() else colours
    if photometric == 5:
        if colours.dtype != np.uint8:
            colours = ((colours.astype(np.uint32) + 128) // 257).astype(np.uint8)
            notes.append("Reduced to 8 bits a sample.")
        notes.append(CONVERTED)
        return cmyk_to_rgb(Pillow.fromarray(np.ascontiguousarray(colours), "CMYK"), icc)
    if photometric in (8, 9):
        notes.append(CONVERTED)
        return _lab(colours, signed=photometric == 8)
    if photometric == 6:
        notes.append(CONVERTED)
        return _ycbcr(colours, page)
    return colours


def _lab(samples: np.ndarray, signed: bool) -> np.ndarray:
    """CIE L*a*b*, whose a and b are signed, or ICC L*a*b*, whose are offset, as sRGB."""
    wide = samples.dtype == np.uint16
    kind, unit, result = (np.int16, 256, np.empty_like(samples)) if wide else (np.int8, 1, np.empty_like(samples))
    highest = np.iinfo(samples.dtype).max
    for rows in (slice(top, top + 256) for top in range(0, len(samples), 256)):  # bounds the memory
        part = samples[rows]
        luma = part[..., :1] * 100.0 / (highest if signed or not wide else 65280)
        chroma = part[..., 1:].view(kind) / unit if signed else part[..., 1:].astype(float) / unit - 128
        result[rows] = np.rint(lab_to_srgb(np.concatenate([luma, chroma], axis=2)) * highest)
    return result


def _ycbcr(samples: np.ndarray, page: TiffPage) -> np.ndarray:
    """Luma and chroma as RGB, by the coefficients and the range that the file tells or those of the specification."""
    red, green, blue = _fractions(page, 529, (0.299, 0.587, 0.114))
    black_white = np.reshape(_fractions(page, 532, (0, 255, 128, 255, 128, 255)), (3, 2))
    span = np.array([255, 127, 127]) / np.maximum(black_white[:, 1] - black_white[:, 0], 1)
    y, cb, cr = np.moveaxis((samples - black_white[:, 0]) * span, 2, 0)
    r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
    rgb = np.stack([r, (y - blue * b - red * r) / green, b], axis=-1)
    return np.rint(rgb.clip(0, 255)).astype(np.uint8)


def _fractions(page: TiffPage, tag: int, default: tuple[float, ...]) -> tuple[float, ...]:
    value = _tag(page, tag)
    if value is None or len(value) != 2 * len(default) or 0 in value[1::2]:
        return default
    return tuple(above / below for above, below in zip(value[::2], value[1::2], strict=True))


def _light(samples: np.ndarray, page: TiffPage, notes: list[str]) -> np.ndarray:
    """Samples of any type as uint8 or uint16.

    Raises:
        ImageError: there is no telling what is black and white in them.
    """
    kind, bits = samples.dtype.kind, page.bitspersample
    if kind == "u":
        if bits <= 16:
            return _scaled(samples, bits)
        notes.append("Reduced to 16 bits a sample.")
        if samples.max() <= 65535:  # 16 bits, stored in more
            return samples.astype(np.uint16)
        return (samples >> (bits - 16)).astype(np.uint16)
    lowest, highest = samples.min(), samples.max()
    if kind == "i":
        if bits > 8 and lowest >= 0 and highest <= 65535 and bits == 32:
            return samples.astype(np.uint16)
        raise ImageError(
            f"This TIFF holds signed integers (int{bits}), of which black and white are unknown; "
            "save it with unsigned ones."
        )
    if not (lowest >= 0 and highest <= 1):  # also where one is no number
        raise ImageError(
            f"Floating-point samples must lie between 0 and 1, and these go from {lowest:g} to {highest:g}; scale them."
        )
    if bits > 16:
        notes.append("Reduced to 16 bits a sample.")
    return np.rint(samples.astype(np.float64) * 65535).astype(np.uint16)


def _scaled(samples: np.ndarray, bits: int) -> np.ndarray:
    """Unsigned samples of so many bits at the full range of 8 or 16."""
    kind = np.uint8 if bits <= 8 else np.uint16
    if bits in (8, 16):
        return samples.astype(kind, copy=False)
    table = np.rint(np.arange(2**bits) * (np.iinfo(kind).max / (2**bits - 1))).astype(kind)
    return table[samples]


# Strips and tiles ----------------------------------------------------------------------------------------------------


def _samples(page: TiffPage, content: bytes) -> np.ndarray:
    """What is stored: (H, W, S) of the page's own type.

    Raises:
        ImageError: a type that cannot be read.
        ValueError: the file is damaged.
    """
    if sum(page.databytecounts) > len(content):  # of parts that overlap, a small file could hold any number
        raise ValueError("the parts of the picture overlap")
    kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(int(page.sampleformat))
    bits, apart = page.bitspersample, int(page.planarconfig) == 2
    if (
        kind is None
        or bits > 64
        or (kind != "u" and bits not in (8, 16, 32, 64))
        or (bits > 16 and bits not in (32, 64))
    ):
        raise ImageError(f"This TIFF has samples of a type that cannot be used, of {bits} bits; save it with 8 or 16.")
    width, height = page.imagewidth, page.imagelength
    channels = 1 if apart else page.samplesperpixel
    across, down = (
        (page.tilewidth, page.tilelength) if page.is_tiled else (width, min(page.rowsperstrip or height, height))
    )
    columns, rows = -(-width // across), -(-height // down)
    count = columns * rows * (page.samplesperpixel if apart else 1)
    if min(len(page.dataoffsets), len(page.databytecounts)) < count:
        raise ValueError("parts of the picture are missing")
    stored = np.dtype(f"{kind}{max(1, 1 << (bits - 1).bit_length() >> 3) if bits > 8 else 1}")
    result = np.zeros((height, width, page.samplesperpixel), stored)
    steps = _subsampling(page)
    for index in range(count):
        plane, position = divmod(index, columns * rows)
        top, left = position // columns * down, position % columns * across
        tall = down if page.is_tiled else min(down, height - top)
        start = page.dataoffsets[index]
        data = content[start : start + page.databytecounts[index]]
        part = _unpacked(data, page, (tall, across, channels), stored, steps)[: height - top, : width - left]
        result[top : top + tall, left : left + across, plane if apart else slice(None)] = (
            part[..., 0] if apart else part
        )
    return result


def _subsampling(page: TiffPage) -> tuple[int, int]:
    """How many samples of luma share one of chroma, across and down."""
    if int(page.photometric) != 6:
        return 1, 1
    across, down = _tag(page, 530, (2, 2))
    if across not in (1, 2, 4) or down not in (1, 2, 4) or page.bitspersample != 8 or page.samplesperpixel != 3:
        raise ImageError("This TIFF holds YCbCr samples of an unusual layout; save it as RGB.")
    return across, down


def _unpacked(data: bytes, page: TiffPage, shape: tuple, stored: np.dtype, steps: tuple[int, int]) -> np.ndarray:
    """A strip or tile (h, w, c) of its compressed bytes."""
    height, width, channels = shape
    bits, predictor, packed = page.bitspersample, int(page.predictor), int(page.compression)
    order = page.parent.byteorder
    if steps != (1, 1):
        across, down = steps
        unit = across * down + 2  # so many of luma, then one each of the two of chroma
        blocks = -(-height // down), -(-width // across)
        line = blocks[1] * unit
        plain = np.frombuffer(_decompressed(data, page, line * blocks[0], line), np.uint8, line * blocks[0])
        plain = plain.reshape(*blocks, unit)
        luma = plain[..., :-2].reshape(*blocks, down, across).transpose(0, 2, 1, 3).reshape(blocks[0] * down, -1)
        chroma = [plain[..., k].repeat(down, axis=0).repeat(across, axis=1) for k in (-2, -1)]
        return np.dstack([luma, *chroma])[:height, :width]
    line = -(-width * channels * bits // 8)
    plain = _decompressed(data, page, line * height, line)
    if bits not in (8, 16, 32, 64):
        values = np.empty((height, width * channels), stored)
        weights = (1 << np.arange(bits)[::-1]).astype(stored)
        lines = np.frombuffer(plain, np.uint8, line * height).reshape(height, line)
        for row, packed_row in zip(values, lines, strict=True):
            row[:] = np.unpackbits(packed_row)[: width * channels * bits].reshape(-1, bits) @ weights
        return values.reshape(shape)
    if predictor == 3 and packed != 1:  # bytes of equal weight lie together, the highest first (Adobe, technote 3)
        lines = np.frombuffer(plain, np.uint8, line * height).reshape(height, width * bits // 8, channels)
        lines = np.cumsum(lines, axis=1, dtype=np.uint8).reshape(height, bits // 8, width * channels)
        return lines.transpose(0, 2, 1).copy().view(f">f{bits // 8}")[..., 0].reshape(shape).astype(stored)
    unsigned = np.frombuffer(plain, f"{order}u{bits // 8}", height * width * channels).reshape(shape)
    unsigned = unsigned.astype(f"=u{bits // 8}")
    if predictor == 2 and packed != 1:
        unsigned = np.cumsum(unsigned, axis=1, dtype=unsigned.dtype)
    return unsigned.view(stored)


def _decompressed(data: bytes, page: TiffPage, size: int, line: int) -> bytes:
    """At least `size` bytes of a strip or tile, of which `line` make a row.

    Raises:
        ValueError: there are fewer.
    """
    packed = int(page.compression)
    if int(page.fillorder) == 2:  # the lowest bit of a byte comes first
        data = np.packbits(np.unpackbits(np.frombuffer(data, np.uint8)).reshape(-1, 8)[:, ::-1]).tobytes()
    if packed in _ZLIB:
        plain = zlib.decompressobj()
        data = plain.decompress(data, size)
    elif packed == _LZMA:
        data = lzma.LZMADecompressor().decompress(data, size)
    elif packed in (_LZW, _PACKBITS):
        data = _by_libtiff(data, packed, size, line)
    if len(data) < size:
        raise ValueError("a part of the picture is cut short")
    return data


def _by_libtiff(data: bytes, compression: int, size: int, line: int) -> bytes:
    """What Pillow's libtiff unpacks of a strip, which is given to it as one of an 8-bit picture of the same bytes."""
    channels = next(count for count in (4, 3, 1) if line % count == 0)
    strip = np.empty((size // line, line // channels, channels), np.uint8)
    wrapped = _file(strip, [data], {ExifTags.Base.Compression: (SHORT, (compression,))})
    return np.asarray(TiffImageFile(io.BytesIO(wrapped))).tobytes()


# Tags ----------------------------------------------------------------------------------------------------------------


def _tag(page: TiffPage, code: int, default: object = None) -> object:
    tag = page.tags.get(code)
    return default if tag is None else tag.value


def profile(page: TiffPage) -> bytes | None:
    """The page's ICC profile."""
    value = _tag(page, ExifTags.Base.InterColorProfile)
    return bytes(value) if isinstance(value, bytes) else None


def dots_per_inch(page: TiffPage) -> tuple[float, float] | None:
    """Pixels per inch, across and down, as the page tells them."""
    unit = {2: 1, 3: 2.54}.get(int(_tag(page, ExifTags.Base.ResolutionUnit, 2) or 0))
    across, down = _tag(page, ExifTags.Base.XResolution), _tag(page, ExifTags.Base.YResolution)
    if unit is None or across is None or down is None:
        return None
    try:
        return across[0] / across[1] * unit, down[0] / down[1] * unit
    except (TypeError, IndexError, ZeroDivisionError):
        return None


def xmp(page: TiffPage) -> bytes | None:
    """The page's packet of XMP."""
    value = _tag(page, ExifTags.Base.XMLPacket)
    return value.encode() if isinstance(value, str) else bytes(value) if isinstance(value, bytes) else None


# Writing -------------------------------------------------------------------------------------------------------------


def encoded(
    planes: np.ndarray,
    alpha: bool,
    exif: Exif,
    dpi: tuple[float, float] | None = None,
    icc: bytes | None = None,
    packet: bytes | None = None,
    iptc: bytes | None = None,
) -> bytes:
    """A TIFF of planes (H, W, 1 to 4) of 8 or 16 bits, the last of them perhaps alpha.

    Args:
        packet: of XMP.
        iptc: records of IPTC.
    """
    if planes.dtype == np.uint16 and planes.shape[2] == 2:  # few programs open 16-bit grey with alpha
        planes = planes[..., [0, 0, 0, 1]]
    strips = []
    for top in range(0, len(planes), _ROWS):
        rows = planes[top : top + _ROWS].astype(planes.dtype.newbyteorder(exif.order))
        rows[:, 1:] -= rows[:, :-1].copy()
        strips.append(zlib.compress(rows.tobytes(), 1))
    tags = {
        ExifTags.Base.Compression: (SHORT, (_ZLIB[0],)),
        ExifTags.Base.Predictor: (SHORT, (2,)),  # the difference to the pixel on the left
        ExifTags.Base.RowsPerStrip: (LONG, (_ROWS,)),
    }
    if alpha:
        tags[ExifTags.Base.ExtraSamples] = (SHORT, (2,))
    if dpi:
        for name, side in zip((ExifTags.Base.XResolution, ExifTags.Base.YResolution), dpi, strict=True):
            tags[name] = (5, (round(side * 10), 10))
        tags[ExifTags.Base.ResolutionUnit] = (SHORT, (2,))  # inches
    if icc:
        tags[ExifTags.Base.InterColorProfile] = (UNDEFINED, icc)
    if packet:
        tags[ExifTags.Base.XMLPacket] = (1, packet)
    if iptc:
        tags[IPTC_TAG] = (UNDEFINED, iptc)
    return _file(planes, strips, tags, exif)


_ROWS = 64  # of a strip


def _file(planes: np.ndarray, strips: Sequence[bytes], tags: dict[int, tuple], exif: Exif | None = None) -> bytes:
    """A TIFF of compressed strips of planes (H, W, 1 to 4)."""
    exif = exif or Exif()
    height, width, channels = planes.shape
    extra = channels in (2, 4)
    every = {
        ExifTags.Base.ImageWidth: (LONG, (width,)),
        ExifTags.Base.ImageLength: (LONG, (height,)),
        ExifTags.Base.BitsPerSample: (SHORT, (8 * planes.itemsize,) * channels),
        ExifTags.Base.PhotometricInterpretation: (SHORT, (2 if channels >= 3 else 1,)),
        ExifTags.Base.SamplesPerPixel: (SHORT, (channels,)),
        ExifTags.Base.RowsPerStrip: (LONG, (height,)),
        ExifTags.Base.StripByteCounts: (LONG, tuple(map(len, strips))),
        **({ExifTags.Base.ExtraSamples: (SHORT, (2,))} if extra else {}),
        **tags,
    }
    starts = [0] * len(strips)
    for _ in range(2):  # the first time to see how long the directories are
        every[ExifTags.Base.StripOffsets] = (LONG, tuple(starts))
        main = exif.main | {int(name): _packed(kind, values, exif.order) for name, (kind, values) in every.items()}
        directories = Exif(exif.order, main, exif.camera, exif.place).directories()
        begin = 8 + len(directories)
        starts = list(accumulate(map(len, strips[:-1]), initial=begin))
    mark = {"<": b"II", ">": b"MM"}[exif.order] + struct.pack(f"{exif.order}HI", 42, 8)
    return mark + directories + b"".join(strips)


def _packed(kind: int, values: tuple | bytes, order: str) -> Tag:
    if isinstance(values, bytes):
        return Tag(kind, len(values), values)
    letter = {SHORT: "H", LONG: "I", 5: "I"}[kind]
    return Tag(kind, len(values) // (2 if kind == 5 else 1), struct.pack(f"{order}{len(values)}{letter}", *values))
