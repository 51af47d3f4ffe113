"""PNG beyond what Pillow reads and writes: 16-bit colours, transparent levels, colour spaces (W3C, third edition)."""

import io
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from PIL.PngImagePlugin import PngImageFile

from restoration.colour import CONVERTED, HDR, PRIMARIES, SRGB_PRIMARIES, TRANSFERS, WHITE_D65, Space, srgb_light

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def header(content: bytes) -> dict[bytes, bytes]:
    """The chunks before the picture's data, by kind; of several of one kind, the first."""
    chunks: dict[bytes, bytes] = {}
    at = len(SIGNATURE)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"IDAT":
            break
        chunks.setdefault(kind, content[at + 8 : at + 8 + length])
        at += 12 + length
    return chunks


def sound(content: bytes) -> bytes:
    """A PNG without chunks beside the picture's that are damaged, by their sums: which browsers leave out too."""
    parts, at = [content[: len(SIGNATURE)]], len(SIGNATURE)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        chunk = content[at : at + 12 + length]
        if not kind.isalpha():
            break
        ancillary = kind[0] & 0x20 and kind not in (b"acTL", b"fcTL", b"fdAT")  # frames, which are not read anyway
        if not ancillary or chunk[8 + length :] == struct.pack(">I", zlib.crc32(chunk[4 : 8 + length])):
            parts.append(chunk)
        at += 12 + length
    whole = b"".join([*parts, content[at:]])
    return content if len(whole) == len(content) else whole


# Reading -------------------------------------------------------------------------------------------------------------


def planes_of(file: PngImageFile, chunks: Mapping[bytes, bytes]) -> np.ndarray | None:
    """Samples (H, W, 1 to 4) of the grey and RGB that Pillow does not give as they are; None for the others.

    These are 16 bits, and grey with a level that is transparent.
    """
    depth, kind = chunks[b"IHDR"][8:10]
    if depth == 16:
        planes = _sixteen_bits(file)
    elif kind in (0, 2) and b"tRNS" in chunks:
        planes = np.asarray(file.convert("L") if file.mode == "1" else file)
        planes = planes[..., None] if planes.ndim == 2 else planes
    else:
        return None
    if kind in (0, 2) and (levels := chunks.get(b"tRNS")):
        mask, steps = 2**depth - 1, max(1, 255 // (2**depth - 1)) if depth < 8 else 1
        hidden = [(level & mask) * steps for level in struct.unpack(f">{planes.shape[2]}H", levels)]
        opaque = (planes != np.array(hidden, planes.dtype)).any(axis=2, keepdims=True)
        planes = np.concatenate([planes, opaque * planes.dtype.type(np.iinfo(planes.dtype).max)], axis=2)
    return planes


def _sixteen_bits(file: PngImageFile) -> np.ndarray:
    """uint16 (H, W, 1 to 4).

    Pillow has 16-bit modes for grey alone and drops the low bytes of colours.  Asking its decoder for the other byte
    order brings exactly those low bytes, so two passes give both halves.
    """
    if file.mode.startswith("I"):
        return np.asarray(file).astype(np.uint16)[..., None]
    raw_mode = file.tile[0].args if isinstance(file.tile[0].args, str) else file.tile[0].args[0]
    if raw_mode == "LA;16B":  # four bytes a pixel, which the 8-bit RGBA mode hands over as they are
        halves = _with_raw_mode(file, "RGBA").astype(np.uint16)
        return halves[..., ::2] << 8 | halves[..., 1::2]
    low = _with_raw_mode(file, raw_mode.replace("16B", "16L"))
    return np.asarray(file).astype(np.uint16) << 8 | low


def _with_raw_mode(file: PngImageFile, raw_mode: str) -> np.ndarray:
    """The samples of an opened, not yet decoded file as its decoder gives them in another raw mode."""
    file.fp.seek(0)
    again = PngImageFile(io.BytesIO(file.fp.read()))
    again.tile = [
        tile._replace(args=raw_mode if isinstance(tile.args, str) else (raw_mode, *tile.args[1:]))
        for tile in again.tile
    ]
    return np.asarray(again)


def colours_of(chunks: Mapping[bytes, bytes]) -> tuple[Space | None, str]:
    """The colour space that chunks other than a profile tell, and a sentence on its conversion; None for sRGB.

    Of several, cICP goes before iCCP, sRGB, and gAMA with cHRM.
    """
    if len(code := chunks.get(b"cICP", b"")) == 4:
        primaries, transfer, matrix, full = code
        if primaries not in PRIMARIES or transfer not in TRANSFERS or matrix != 0:
            return None, "Its colour space (cICP) is unknown here and was taken for sRGB."
        light = TRANSFERS[transfer]
        space = Space.of(light if full else lambda samples: light(_full(samples)), *PRIMARIES[primaries])
        note = "Converted from HDR to sRGB: what is brighter than white was clipped." if transfer in HDR else CONVERTED
    elif b"iCCP" in chunks or b"sRGB" in chunks:
        return None, ""
    else:
        light, primaries, note = srgb_light, (*SRGB_PRIMARIES, WHITE_D65), CONVERTED
        gamma = chunks.get(b"gAMA", b"")
        exponent = struct.unpack(">I", gamma)[0] / 100_000 if len(gamma) == 4 else 0
        if exponent and not 0.1 <= exponent <= 10:
            return None, "Its damaged gamma was ignored."
        if exponent and abs(exponent * 2.2 - 1) > 0.02:  # 1 / 2.2 is how sRGB is written there
            light = lambda samples: samples ** (1 / exponent)  # noqa: E731
        if len(points := chunks.get(b"cHRM", b"")) == 32:
            white, *given = [tuple(pair) for pair in np.array(struct.unpack(">8I", points)).reshape(4, 2) / 100_000]
            if all(y > 0 for _, y in (white, *given)):
                primaries = (*given, white)
        try:
            space = Space.of(light, *primaries)
        except np.linalg.LinAlgError:
            return None, "Its damaged primaries were ignored."
    return (None, "") if space.is_srgb() else (space, note)


def _full(samples: np.ndarray) -> np.ndarray:
    """Samples of full range of such of narrow range, 16 to 235 of 255."""
    return np.clip((samples * 255 - 16) / 219, 0, 1)


_RAW = "Raw profile type"


def raw_in_text(texts: Mapping[str, str], name: str) -> bytes | None:
    """EXIF or IPTC as ImageMagick writes it, in hexadecimal under a line each of its name and length."""
    try:
        return bytes.fromhex("".join(texts[f"{_RAW} {name}"].split("\n")[3:])) or None
    except (KeyError, ValueError):
        return None


def raw_as_text(name: str, content: bytes) -> tuple[bytes, bytes]:
    """A chunk with such a text."""
    digits = content.hex()
    lines = [digits[at : at + 72] for at in range(0, len(digits), 72)]
    return text_chunk(f"{_RAW} {name}", "\n".join(["", name, f"{len(content):8}", *lines, ""]))


# Writing -------------------------------------------------------------------------------------------------------------


def encoded(planes: np.ndarray, chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG of planes (H, W, 1 to 4) of 8 or 16 bits, with further chunks.

    Pillow writes 16 bits for grey alone, and takes twice as long for files that are a tenth larger: of every row it
    tries all filters, and of what a filter left of a photo it looks for repetitions, of which there are none.
    """
    height, width, channels = planes.shape
    header = struct.pack(">IIBBBBB", width, height, 8 * planes.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    every = [(b"IHDR", header), *chunks, (b"IDAT", _packed(planes, _best_way(planes))), (b"IEND", b"")]
    return SIGNATURE + b"".join(part for each in every for part in _parts(*each))


class _Way(NamedTuple):
    """How rows are filtered, 0 (not) or 4 (Paeth), and what zlib looks for."""

    filter: int
    strategy: int


_WAYS = (  # from the fastest
    _Way(4, zlib.Z_HUFFMAN_ONLY),  # noise: of what Paeth's filter leaves, nothing repeats
    _Way(4, zlib.Z_RLE),  # photos: nothing but runs
    _Way(4, zlib.Z_DEFAULT_STRATEGY),  # gradients
    _Way(0, zlib.Z_DEFAULT_STRATEGY),  # writing
)
_TOO_LARGE = 1.03  # times the smallest
_BAND = 1 << 17  # bytes that are filtered at once, which the processor's cache holds
_SAMPLES, _SAMPLE = 4, 1 << 15  # parts of a picture that tell which way is best, and about how many bytes of each


def _best_way(planes: np.ndarray) -> _Way:
    """The fastest way in which some parts of a picture become about as small as they can."""
    rows = -(-_SAMPLE // planes[0].nbytes)
    last = max(0, len(planes) - rows)
    tops = sorted({last * part // (_SAMPLES - 1) for part in range(_SAMPLES)}) if last else [0]
    parts = [planes[top : top + rows] for top in tops]
    sizes = {way: sum(len(_packed(part, way)) for part in parts) for way in _WAYS}
    return next(way for way, size in sizes.items() if size <= _TOO_LARGE * min(sizes.values()))


def _packed(planes: np.ndarray, way: _Way) -> bytes:
    """The compressed data of planes."""
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, way.strategy)
    packed, apart, above = [], planes[0, 0].nbytes, np.zeros(planes[0].nbytes, np.uint8)
    step = max(1, _BAND // len(above))
    for top in range(0, len(planes), step):
        part = planes[top : top + step]
        part = part.astype(">u2") if part.itemsize == 2 else np.ascontiguousarray(part)
        rows = part.reshape(len(part), -1).view(np.uint8)
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = way.filter
        filtered[:, 1:] = _less_what_paeth_expects(rows, above, apart) if way.filter else rows
        above = rows[-1]
        packed.append(packer.compress(filtered))
    return b"".join([*packed, packer.flush()])


def _less_what_paeth_expects(rows: np.ndarray, above: np.ndarray, apart: int) -> np.ndarray:
    """The rows (H, N), uint8, without what Paeth's filter expects after the bytes to the left, above, and both.

    Of these it takes the one nearest to left + above - corner.  With the lower and the higher of left and above that
    is the lower where the corner is in the highest third between them or above, the higher where it is in the lowest
    third or below, and the corner in between: numbers of 8 bits tell that, of which processors take many at once.

    Args:
        above: the row (N) over the first.
        apart: bytes from a sample to the one to its left.
    """
    wide = np.zeros((1 + len(rows), apart + rows.shape[1]), np.uint8)
    wide[0, apart:], wide[1:, apart:] = above, rows
    left, up, corner = wide[1:, :-apart], wide[:-1, apart:], wide[:-1, :-apart]
    low, high = np.minimum(left, up), np.maximum(left, up)
    inside = np.clip(corner, low, high)
    below, over = inside - low, high - inside
    expected = _chosen(over <= below >> 1, low, corner)
    return rows - _chosen(below <= over >> 1, high, expected)


def _chosen(where: np.ndarray, these: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Bytes by a condition, several times as fast as `np.where`."""
    mask = np.negative(where.view(np.int8)).view(np.uint8)
    return others ^ (others ^ these) & mask


def _parts(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    """Length, kind, data and check sum of a chunk."""
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def text_chunk(key: str, text: str) -> tuple[bytes, bytes]:
    """A chunk with a text under a key: tEXt where Latin-1 has its letters, else iTXt."""
    name = key.encode("latin-1", "replace")[:79] or b"Comment"
    try:
        return b"tEXt", name + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", name + b"\0\0\0\0\0" + text.encode("utf-8", "replace")
