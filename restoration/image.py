"""What a picture is: its samples, what its file told beside them, and what can be done with both.

Grey stays grey, 16 bits stay 16 bits, and transparency is carried beside the colours.  `restoration.files` reads and
writes them.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from restoration.contract import FAR_OUT
from restoration.resampling import resample_in_bands

_GREY = np.array([0.2989, 0.5870, 0.1140])  # BT.601, full range, as MATLAB's rgb2gray


class ImageError(ValueError):
    """One sentence, fit for a visitor, on why an image cannot be read or written."""


@dataclass(frozen=True, repr=False)
class Image:
    """A decoded image file.

    Args:
        samples: uint8 or uint16, (H, W, C) with 1 (grey) or 3 (sRGB) channels; those of a float type, in [0, 1], are
            made 16 bits, and (H, W) is grey.
        alpha: opacity (H, W) of the same type, or None for an opaque image.
        name: file name without folder and ending.
        icc: colour profile of the samples.
        exif: EXIF block as it was read, its orientation already applied.
        xmp: packet of XMP as it was read.
        iptc: records of IPTC as they were read.
        texts: of a PNG, or the comment of a JPEG: pairs of a key and a text.
        dpi: pixels per inch, across and down.
        notes: what reading changed, one sentence each.
        jpeg_quality: that the file was saved with, by its tables; None for other files.
        file_digest: sha256 of the file that was read, in hexadecimal.
        receipt: how the picture was made, as JSON, to be written into its file; never read from one.

    Raises:
        ValueError: samples of another type or shape.
    """

    samples: np.ndarray
    alpha: np.ndarray | None = None
    name: str = "image"
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    texts: tuple[tuple[str, str], ...] = ()
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = field(default=())
    jpeg_quality: int | None = None
    file_digest: str = ""
    receipt: str | None = None

    def __post_init__(self):
        for name in ("samples", "alpha"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, _whole_numbers(name, given))
        if self.samples.ndim == 2:
            object.__setattr__(self, "samples", self.samples[..., None])
        if self.samples.ndim != 3 or self.samples.shape[2] not in (1, 3) or 0 in self.samples.shape:
            raise ValueError(f"samples are (H, W, 1 or 3), with alpha apart, not {self.samples.shape}")
        if self.alpha is None:
            return
        wanted, came = (self.samples.shape[:2], self.samples.dtype), (self.alpha.shape, self.alpha.dtype)
        if wanted != came:
            raise ValueError(f"alpha is {wanted[0]} of {wanted[1]} as the samples are, not {came[0]} of {came[1]}")

    def __repr__(self) -> str:
        channels = {1: "grey", 3: "RGB"}[self.channels] + (" with alpha" if self.alpha is not None else "")
        return f"<Image {self.name!r}: {self.width} × {self.height} px, {channels}, {self.bits} bits>"

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
    def opaque(self) -> bool:
        """Whether nothing shines through."""
        return self.alpha is None or bool((self.alpha == np.iinfo(self.alpha.dtype).max).all())

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
        return torch.from_numpy(samples.transpose(2, 0, 1).copy()).repeat(channels // samples.shape[2], 1, 1)


def _whole_numbers(name: str, values: np.ndarray) -> np.ndarray:
    """Samples of 8 or 16 bits as they are, and such of a float type, from 0 to 1, with 16 bits.

    Raises:
        ValueError: another type, or values outside of that.
    """
    if not isinstance(values, np.ndarray):
        kind = f"{type(values).__module__}.{type(values).__qualname__}"
        raise ValueError(f"{name} are a numpy array, not a {kind.removeprefix('builtins.')}")
    if values.dtype in (np.uint8, np.uint16):
        return values
    if values.dtype.kind != "f":
        raise ValueError(f"{name} are uint8, uint16, or of a float type in [0, 1], not {values.dtype}")
    lowest, highest = (values.min(), values.max()) if values.size else (0, 0)
    if not (lowest >= 0 and highest <= 1):  # also where one is no number
        raise ValueError(f"{name} of a float type lie in [0, 1], not from {lowest:g} to {highest:g}")
    return np.rint(values.astype(np.float64) * 65535).astype(np.uint16)


def from_tensor(tensor: Tensor, name: str = "image", bits: Literal[8, 16] = 8) -> Image:
    """An image of a float tensor (1, C, H, W) or (C, H, W): clamped to [0, 1] and rounded.

    Raises:
        ValueError: another type, or values that lie nowhere near.
    """
    if not tensor.is_floating_point():
        raise ValueError(f"an image is made of a float tensor in [0, 1], not of {tensor.dtype}")
    lowest, highest = tensor.detach().aminmax()
    if not (lowest > -FAR_OUT and highest < FAR_OUT):  # also where one is no number
        raise ValueError("an image is made of a float tensor in [0, 1], and this one lies far outside; divide by 255?")
    planes = tensor.detach().reshape(-1, *tensor.shape[-2:])
    samples = np.empty((*planes.shape[1:], len(planes)), np.uint8 if bits == 8 else np.uint16)
    for rows in bands_of(len(samples)):
        part = planes[:, rows].clamp(0, 1).double().cpu() * (2**bits - 1)
        samples[rows] = part.round_().permute(1, 2, 0).numpy()
    return Image(samples, name=name)


def bands_of(height: int, rows: int = 256) -> Iterator[slice]:
    """The rows of a picture, so many at once, which bounds the memory of what is done with them."""
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


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


def within(image: Image, pixels: int) -> Image:
    """The image, reduced so that it has at most so many pixels, or nearly: one row or column stays."""
    scale = math.sqrt(pixels / (image.height * image.width))
    size = (max(1, int(image.height * scale)), max(1, int(image.width * scale)))
    return image if scale >= 1 else _resized(image, size, scale)


def _resized(image: Image, size: tuple[int, int], scale: float) -> Image:
    samples = np.empty((*size, image.channels), image.samples.dtype)
    for channel in range(image.channels):
        _resize_plane(image.samples[..., channel], samples[..., channel], scale)
    return replace(image, samples=samples, alpha=None if image.alpha is None else _resized_alpha(image, size, scale))


def _resized_alpha(image: Image, size: tuple[int, int], scale: float) -> np.ndarray:
    alpha = np.empty(size, image.alpha.dtype)
    _resize_plane(image.alpha, alpha, scale)
    return alpha


def _resize_plane(plane: np.ndarray, result: np.ndarray, scale: float) -> None:
    """Write a plane (H, W) into one of another size, resampled."""
    highest = np.iinfo(plane.dtype).max

    def read(rows: slice) -> Tensor:
        return torch.from_numpy(plane[rows].astype(np.float32))[None, None]

    for rows, part in resample_in_bands(read, len(plane), result.shape, scale):
        result[rows] = part.round_().clamp_(0, highest)[0, 0].numpy()


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
        self._put(tile[0].permute(1, 2, 0), self.codes[top : top + height, left : left + width])

    def plane(self, channel: int) -> Tensor:
        """One channel of the restored version, float32 (1, 1, H, W)."""
        plane = torch.empty(1, 1, *self.codes.shape[:2])
        for rows in bands_of(len(self.codes)):
            plane[..., rows, :] = self.rows(channel, rows)
        return plane

    def rows(self, channel: int, rows: slice) -> Tensor:
        """Some rows of it."""
        codes = self.codes[rows, :, channel].astype(np.float32)
        values = (codes - 128) / 65280 if self.original.bits == 8 else codes / 65535
        return torch.from_numpy(values)[None, None]

    def put_plane(self, channel: int, plane: Tensor) -> None:
        """Replace one channel of the restored version by values (1, 1, H, W) in [0, 1]."""
        self._put(plane[0, 0], self.codes[..., channel])

    def _put(self, values: Tensor, codes: np.ndarray) -> None:
        """Write values in [0, 1] as codes, both of (H, W) or (H, W, C)."""
        values = values.cpu()
        for rows in bands_of(len(codes), 16):  # which the processor's cache holds
            part = values[rows].contiguous().numpy()
            if self.original.bits == 8:
                part = part * np.float32(65280)
                part += 128
                codes[rows] = part  # without what lies behind the point
            else:
                codes[rows] = np.rint(np.multiply(part, 65535, dtype=np.float64))

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
        for rows in bands_of(len(samples)):
            codes = self.codes[rows]
            if strength == 1:
                samples[rows] = codes >> 8 if original.bits == 8 else codes
                continue
            restored = (codes - 128.0) / 256 if original.bits == 8 else codes.astype(np.float64)
            samples[rows] = np.rint(original.samples[rows] + strength * (restored - original.samples[rows]))
        alpha = original.alpha
        if alpha is not None and self.scale != 1:
            alpha = _resized_alpha(original, samples.shape[:2], self.scale)
        return replace(original, samples=samples, alpha=alpha)
