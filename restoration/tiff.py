"""TIFF beyond what Pillow reads and writes: 16 bits in planes, and 16-bit colours."""

import io
import zlib
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

import numpy as np
from PIL import ExifTags
from PIL import Image as Pillow
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from restoration.image import Image
from restoration.metadata import xmp

_LAYOUT = ("ImageWidth", "ImageLength", "Compression", "Predictor", "RowsPerStrip", "TileWidth", "TileLength")


def planes_of(file: Pillow.Image) -> np.ndarray:
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


def encode_tiff(image: Image, exif: Pillow.Exif | None) -> bytes:
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
        tags[ExifTags.Base.XMLPacket] = xmp(image.receipt)
    directory = ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[tag] = value
    strips = []
    for top in range(0, image.height, 64):
        rows = planes[top : top + 64].astype(planes.dtype.newbyteorder("<"))
        rows[:, 1:] -= rows[:, :-1].copy()
        strips.append(zlib.compress(rows.tobytes(), 1))
    return _tiff(directory, strips, "Strip")
