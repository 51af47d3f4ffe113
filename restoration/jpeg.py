"""What JPEG does to a picture: compressing, and the quality that it was saved with, from its tables or its pixels.

Qualities are those of the Independent JPEG Group's library, 1 to 100, which Pillow and most programs use.
"""

import io
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from PIL import Image as Pillow
from scipy import fft
from torch import Tensor

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

# Annex K of ITU-T T.81, for luma; other qualities scale it.
_LUMA = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip

# Standard deviation that has come upon a coefficient since, in levels: by rounding the pixels to 8 bits, with margin,
# or by saving them again, as JPEG of a high quality or as WebP.
ROUNDINGS = (0.35, 0.8, 1.6, 3.0)
INFORMATIVE = 4.0  # a coefficient under so many roundings may be zero whatever the quality
LOWEST_ESTIMATE = 5  # below, the steps are so large that they explain any coefficient that was saved again
LEAST_EVIDENCE = 40.0  # logarithm of the odds against chance that an estimate needs
HIGHEST_ESTIMATE = 92  # above, the steps are too small to tell from rounding
MOST_BLOCKS = 4096  # that are looked at for the first of the roundings, fewer for the others
SKETCH, SHORTLIST = 2048, 8  # so many coefficients first tell which few qualities are tried on all of them
GRID_SIDE = 512  # rows and columns, evenly apart, that tell where the blocks begin


def luma_table(quality: int) -> np.ndarray:
    """The 8x8 steps of luma at a quality."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    return np.clip(np.floor((_LUMA * int(scale) + 50) / 100), 1, 255)


LUMA = (0.299, 0.587, 0.114)  # of R, G and B: ITU-R BT.601, full range
_TABLES = np.stack([luma_table(quality) for quality in range(1, 101)])
_LOW = np.isin(np.add.outer(np.arange(8), np.arange(8)), range(1, 6))  # the low frequencies, which tell the steps
_STEPS = _TABLES[:, _LOW].astype(np.float32)


def brightness(image: Tensor) -> Tensor:
    """Luma as JPEG stores it, (B, 1, H, W), of an RGB image (B, 3, H, W)."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def compressed(image: Tensor, quality: int, subsampling: Subsampling = "4:2:0") -> Tensor:
    """A uint8 image (C, H, W), grey or RGB, after being saved as JPEG and read again."""
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    picture = Pillow.fromarray(pixels[..., 0] if len(image) == 1 else pixels)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, **({} if len(image) == 1 else {"subsampling": subsampling}))
    read = np.array(Pillow.open(buffer))
    return torch.from_numpy(read if read.ndim == 3 else read[..., None]).permute(2, 0, 1).contiguous()


_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # that ends the data of a scan
_END = b"\xff\xd9"


def closed(content: bytes) -> bytes:
    """A JPEG file with an end: as it is where it has one, else ended after its last whole segment (ITU-T T.81, B.1)."""
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF or content[at + 1] == 0xFF:  # filling
            at += 1
            continue
        marker = content[at + 1]
        if marker == 0xD9:
            return content
        if marker in (0, 1) or 0xD0 <= marker <= 0xD8:  # without a length
            at += 2
            continue
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if end > len(content):
            break
        at = end
        if marker == 0xDA:
            found = _MARKER.search(content, at)
            at = found.start() if found else len(content)
    else:
        if content[at:].startswith(_END):
            return content
    return content[:at].rstrip(b"\xff") + _END


def quality_of_table(table: list[int]) -> int:
    """The quality of a luma table of 64 steps, row by row; the nearest one for a table of another encoder."""
    steps = np.clip(np.asarray(table, dtype=float).reshape(8, 8), 1, None)
    return int(np.abs(np.log(_TABLES / steps)).sum((1, 2)).argmin()) + 1


def estimated_quality(image: Tensor) -> int | None:
    """The lowest quality that an image was saved with as JPEG, if it was not resized since; None without traces of one.

    Differs from the literature on double compression in that no first-digit statistics are needed: after decoding,
    every coefficient is a multiple of its step but for the rounding of the pixels, or for what saving again has left
    on it.  The quality whose steps explain the coefficients best is taken, on the grid of a whole picture or of one
    that was cut.

    Args:
        image: uint8 (C, H, W), grey or RGB.
    """
    planes = image.numpy()
    pixels = luma_levels(image)
    clipped = ((planes == 0) | (planes == 255)).any(axis=0)
    if min(pixels.shape) < 24:
        return None
    grids = [_coefficients(pixels[top:, left:], clipped[top:, left:]) for top, left in {(0, 0), _grid(pixels)}]
    found = []
    for rounding in ROUNDINGS:
        exact = rounding == ROUNDINGS[0]
        best, most = None, LEAST_EVIDENCE
        every = range(1 if exact else LOWEST_ESTIMATE, HIGHEST_ESTIMATE + 1)
        for coefficients in grids:
            few = coefficients if exact else coefficients[:: -(-len(coefficients) // (MOST_BLOCKS // 4)) or 1]
            telling = np.abs(few) > INFORMATIVE * rounding
            values, places = few[telling], np.nonzero(telling)[1]
            for quality in _shortlist(values, places, every, rounding):
                evidence = _evidence(values, places, quality, rounding)
                if evidence > most:
                    best, most = quality, evidence
        found.append(best)
    return min((quality for quality in found if quality), default=None)


def luma_levels(image: Tensor) -> np.ndarray:
    """The luma (H, W) of a uint8 image (C, H, W), grey or RGB, in levels up to 255, as JPEG has it."""
    shares = LUMA if len(image) == 3 else (1,)
    return sum(np.float32(share) * plane for share, plane in zip(shares, image.numpy(), strict=True))


def _grid(pixels: np.ndarray) -> tuple[int, int]:
    """Where the first whole block begins: where the steps between neighbours stand out most."""
    offsets = []
    for axis in (0, 1):
        apart = -(-pixels.shape[1 - axis] // GRID_SIDE)
        slope = np.abs(np.diff(pixels[:, ::apart] if axis == 0 else pixels[::apart], axis=axis))
        before, after = np.roll(slope, 1, axis), np.roll(slope, -1, axis)
        excess = np.clip(slope - (before + after) / 2, -8, 8).mean(1 - axis)
        excess[[0, -1]] = 0
        offsets.append(int(np.argmax([excess[phase::8].mean() for phase in range(8)]) + 1) % 8)
    return offsets[0], offsets[1]


def _coefficients(pixels: np.ndarray, clipped: np.ndarray) -> np.ndarray:
    """The cosine coefficients (count, 20) at `_LOW` of at most `MOST_BLOCKS` blocks in which nothing is clipped."""
    height, width = (side // 8 * 8 for side in pixels.shape)
    blocks, spoilt = (
        plane[:height, :width].reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
        for plane in (pixels, clipped)
    )
    blocks = blocks[~spoilt.any((1, 2))]
    return fft.dctn(blocks[:: max(1, len(blocks) // MOST_BLOCKS)], axes=(1, 2), norm="ortho")[:, _LOW]


def _shortlist(values: np.ndarray, places: np.ndarray, qualities: Sequence[int], rounding: float) -> Sequence[int]:
    """The qualities, or where there are many coefficients the few that a part of these speaks for most, in order."""
    apart = len(values) // SKETCH
    if apart < 2:
        return qualities
    few, where = values[::apart], places[::apart]
    told = np.array([_evidence(few, where, quality, rounding) for quality in qualities])
    return [qualities[index] for index in np.sort(told.argsort()[-SHORTLIST:])]


def _evidence(values: np.ndarray, places: np.ndarray, quality: int, rounding: float) -> float:
    """Log-likelihood ratio of "multiples of a quality's steps, rounded" to "any value", over coefficients (count,).

    Args:
        places: of the coefficients among `_LOW`.
    """
    steps = _STEPS[quality - 1][places]
    error = values - steps * np.rint(values / steps)
    fitting = steps / np.float32(rounding * np.sqrt(2 * np.pi)) * np.exp(-0.5 * (error / np.float32(rounding)) ** 2)
    return float(np.log(0.99 * fitting + 0.01).sum(dtype=float))
