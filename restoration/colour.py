"""Colours of image files, whatever their mode and profile, brought to grey or sRGB (IEC 61966-2-1).

Profiles of 8-bit files are applied by littleCMS, which Pillow brings; it has no 16-bit colours, so for these the
profiles that are made of primaries and curves are applied here, and so are the colours that a PNG tells in chunks.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms

WHITE_D65, WHITE_D50 = (0.3127, 0.3290), (0.3457, 0.3585)
SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
# Rec. ITU-T H.273, table 2: primaries of red, green and blue, and white.
PRIMARIES = {
    1: (*SRGB_PRIMARIES, WHITE_D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), WHITE_D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), WHITE_D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), WHITE_D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), WHITE_D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), WHITE_D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), WHITE_D65),
}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_WHITE_NITS = 203  # of a picture's white in HDR, Report ITU-R BT.2408
CONVERTED = "Converted to sRGB."
_ROWS = 256  # at a time, which bounds the memory


# Light and samples ---------------------------------------------------------------------------------------------------


def srgb_light(samples: np.ndarray) -> np.ndarray:
    """Light, 0 to 1, of sRGB samples."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def srgb_samples(light: np.ndarray) -> np.ndarray:
    """sRGB samples, 0 to 1, of light, which is clipped to what sRGB has."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _bt709(samples: np.ndarray) -> np.ndarray:
    return np.where(samples < 4.5 * 0.018054, samples / 4.5, ((samples + 0.099297) / 1.099297) ** (1 / 0.45))


def _pq(samples: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084, in units of a picture's white."""
    power = samples ** (1 / 78.84375)
    return (
        10_000
        / _WHITE_NITS
        * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    )


def _hlg(samples: np.ndarray) -> np.ndarray:
    """ARIB STD-B67, in units of a picture's white, which is 3/4 of the signal."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light = np.where(samples <= 0.5, samples**2 / 3, (np.exp((samples - c) / a) + b) / 12)
    return light / ((np.exp((0.75 - c) / a) + b) / 12)


# Rec. ITU-T H.273, table 3: light of samples.
TRANSFERS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: _bt709,
    4: lambda samples: samples**2.2,
    5: lambda samples: samples**2.8,
    6: _bt709,
    8: lambda samples: samples,
    13: srgb_light,
    14: _bt709,
    15: _bt709,
    16: _pq,
    17: lambda samples: samples**2.6 * 52.37 / 48,
    18: _hlg,
}
HDR = (16, 18)


def to_xyz(primaries: tuple[tuple[float, float], ...], white: tuple[float, float]) -> np.ndarray:
    """The matrix from light of three primaries to XYZ, all given as x and y (SMPTE RP 177)."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    return columns * np.linalg.solve(columns, _xyz(white))


def adapted(matrix: np.ndarray, white: tuple[float, float], to: tuple[float, float] = WHITE_D65) -> np.ndarray:
    """A matrix to XYZ seen under another white, by the method of Bradford."""
    gains = (_BRADFORD @ _xyz(to)) / (_BRADFORD @ _xyz(white))
    return np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ matrix


def _xyz(white: tuple[float, float]) -> np.ndarray:
    x, y = white
    return np.array([x / y, 1, (1 - x - y) / y])


_FROM_XYZ = np.linalg.inv(to_xyz(SRGB_PRIMARIES, WHITE_D65))


@dataclass(frozen=True)
class Space:
    """An RGB space made of curves and primaries.

    Args:
        light: of the samples of each channel, one curve for all or three; both from 0 to 1.
        matrix: from its light to that of sRGB, (3, 3).
    """

    light: tuple[Callable[[np.ndarray], np.ndarray], ...]
    matrix: np.ndarray

    @classmethod
    def of(cls, light: Callable[[np.ndarray], np.ndarray], red, green, blue, white) -> "Space":
        """A space of one curve, with primaries and white as x and y."""
        matrix = _FROM_XYZ @ adapted(to_xyz((red, green, blue), white), white)
        return cls((light,), matrix)

    def converted(self, samples: np.ndarray) -> np.ndarray:
        """Samples (H, W, 1 or 3) of 8 or 16 bits in sRGB; grey stays grey."""
        highest, channels = np.iinfo(samples.dtype).max, samples.shape[2]
        levels = np.arange(highest + 1) / highest
        tables = [curve(levels) for curve in self.light]
        result = np.empty_like(samples)
        if channels == 1:
            table = np.stack([tables[k % len(tables)] for k in range(3)], axis=-1) @ self.matrix.T
            result[:] = np.rint(srgb_samples(table[:, 1]) * highest).astype(samples.dtype)[samples]
            return result
        for rows in (slice(top, top + _ROWS) for top in range(0, len(samples), _ROWS)):
            light = np.stack([tables[k % len(tables)][samples[rows, :, k]] for k in range(3)], axis=-1)
            result[rows] = np.rint(srgb_samples(light @ self.matrix.T) * highest)
        return result

    def is_srgb(self) -> bool:
        """Whether it leaves samples alone, up to two levels of 8 bits."""
        steps = np.arange(0, 256, 51, dtype=np.uint8)
        colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(6, 36, 3)
        return int(np.abs(self.converted(colours).astype(int) - colours).max()) <= 2


def lab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """sRGB, 0 to 1, of CIE L*a*b* under D50: L from 0 to 100 (CIE 15:2004); (..., 3)."""
    f_y = (lab[..., 0] + 16) / 116
    f = np.stack([f_y + lab[..., 1] / 500, f_y, f_y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _xyz(WHITE_D50)
    return srgb_samples(xyz @ (_FROM_XYZ @ adapted(np.eye(3), WHITE_D50)).T)


def unmultiplied(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours (H, W, C) that were stored times alpha (H, W), as they were; black where nothing is left of them."""
    highest, result = np.iinfo(colours.dtype).max, np.empty_like(colours)
    opacity = alpha.astype(np.uint32)
    for channel in range(colours.shape[2]):
        product = colours[..., channel] * np.uint32(highest) + opacity // 2
        result[..., channel] = np.minimum(product // np.maximum(opacity, 1), highest)
    return result


# Modes of Pillow -----------------------------------------------------------------------------------------------------


def to_planes(file: Pillow.Image, icc: bytes | None) -> tuple[np.ndarray, bytes | None, list[str]]:
    """An 8-bit file as grey or RGB, with alpha where it has one: (H, W, 1 to 4), its profile, and what that changed."""
    notes = []
    if file.mode in ("P", "PA"):
        grey = file.palette is not None and all(len(set(c[:3])) == 1 for c in file.palette.colors)
        alpha = file.mode == "PA" or "transparency" in file.info
        file = file.convert("RGBA" if alpha else "RGB")
        if grey:
            file = file.convert("LA" if alpha else "L")
    elif file.mode in ("L", "RGB") and "transparency" in file.info:
        file = file.convert({"L": "LA", "RGB": "RGBA"}[file.mode])
    elif file.mode in ("La", "RGBa"):
        planes = np.asarray(file)
        return np.dstack([unmultiplied(planes[..., :-1], planes[..., -1]), planes[..., -1]]), icc, notes
    elif file.mode == "1":
        file = file.convert("L")
    elif file.mode == "CMYK":
        return cmyk_to_rgb(file, icc), None, [CONVERTED]
    elif file.mode == "LAB":
        file, icc, notes = (
            ImageCms.profileToProfile(file, *_profiles("LAB", "sRGB"), outputMode="RGB"),
            None,
            [CONVERTED],
        )
    elif file.mode not in ("L", "LA", "RGB", "RGBA"):
        file, icc, notes = file.convert("RGB"), None, [CONVERTED]
    planes = np.asarray(file)
    return (planes[..., None] if planes.ndim == 2 else planes), icc, notes


def cmyk_to_rgb(file: Pillow.Image, icc: bytes | None) -> np.ndarray:
    """A CMYK picture as sRGB (H, W, 3), by its profile where it has a good one."""
    if profile_fits(icc, "CMYK"):
        file = ImageCms.profileToProfile(file, io.BytesIO(icc), ImageCms.createProfile("sRGB"), outputMode="RGB")
    return np.asarray(file.convert("RGB"))


def _profiles(*names: str) -> list:
    return [ImageCms.createProfile(name) for name in names]


# Profiles ------------------------------------------------------------------------------------------------------------


def apply_profile(samples: np.ndarray, icc: bytes) -> tuple[np.ndarray, bytes | None, list[str]]:
    """Samples (H, W, 1 or 3) in sRGB, or grey in a grey profile; the profile that they have then, and notes."""
    grey = samples.shape[2] == 1
    if grey and profile_fits(icc, "GRAY"):
        return samples, icc, []
    if not profile_fits(icc, "RGB "):
        return samples, None, ["The damaged colour profile was ignored."]
    if is_srgb(icc):
        return samples, None if grey else icc, []
    kept = None if grey else srgb_profile()
    if samples.dtype == np.uint8:
        colours = Pillow.fromarray(np.ascontiguousarray(np.repeat(samples, 3, axis=2) if grey else samples))
        ImageCms.profileToProfile(colours, io.BytesIO(icc), ImageCms.createProfile("sRGB"), inPlace=True)
        converted = np.asarray(colours)
        return converted[..., 1:2] if grey else converted, kept, [CONVERTED]
    space = _space_of(icc)
    if space is None:
        note = "Its colour profile is made of tables, which were not applied to 16 bits"
        return samples, None if grey else icc, [f"{note}." if grey else f"{note}: it was kept."]
    return space.converted(samples), kept, [CONVERTED]


def grey_as_srgb(samples: np.ndarray, icc: bytes) -> np.ndarray:
    """uint8 samples (H, W, 1) of a grey profile as those of sRGB."""
    grey = Pillow.fromarray(np.ascontiguousarray(samples[..., 0]))
    profiles, exact = (io.BytesIO(icc), ImageCms.createProfile("sRGB")), ImageCms.Flags.NOOPTIMIZE
    return np.asarray(ImageCms.profileToProfile(grey, *profiles, outputMode="RGB", flags=exact))[..., 1:2]


def srgb_profile() -> bytes:
    """The profile of sRGB, the same bytes every time: littleCMS writes into it when it was made."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    struct.pack_into(">6H", icc, 24, 2000, 1, 1, 0, 0, 0)
    return bytes(icc)


def profile_fits(icc: bytes | None, space: str) -> bool:
    """Whether a profile is a good one of a colour space, named as the ICC does."""
    try:
        return icc is not None and ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space == space
    except (OSError, ImageCms.PyCMSError):
        return False


def is_srgb(icc: bytes) -> bool:
    """Whether a profile leaves sRGB samples alone, up to two levels of rounding in the profile's own tables."""
    if not profile_fits(icc, "RGB "):
        return False
    levels = np.arange(0, 256, 51, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(6, 36, 3)
    profile, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    converted = np.asarray(ImageCms.profileToProfile(Pillow.fromarray(colours), profile, srgb))
    return int(np.abs(converted.astype(int) - colours).max()) <= 2


def _space_of(icc: bytes) -> Space | None:
    """The space of a profile that is made of primaries and curves alone (ICC.1:2022); None for another."""
    count = struct.unpack_from(">I", icc, 128)[0]
    entries = (struct.unpack_from(">4sII", icc, 132 + 12 * k) for k in range(min(count, 100)))
    tags = {name: icc[offset : offset + size] for name, offset, size in entries}
    if b"A2B0" in tags:
        return None
    try:
        columns = [np.array(struct.unpack_from(">3i", tags[name], 8)) / 65536 for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (KeyError, struct.error, ValueError):
        return None
    return Space(curves, _FROM_XYZ @ adapted(np.stack(columns, axis=1), WHITE_D50))


def _curve(tag: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Light of samples as a `curv` or `para` tag tells it.

    Raises:
        ValueError: it is neither.
    """
    if tag[:4] == b"curv":
        count = struct.unpack_from(">I", tag, 8)[0]
        values = np.frombuffer(tag, ">u2", count, 12).astype(float)
        if count == 0:
            return lambda samples: samples
        if count == 1:
            return lambda samples: samples ** (values[0] / 256)
        return lambda samples: np.interp(samples, np.linspace(0, 1, count), values / 65535)
    if tag[:4] != b"para":
        raise ValueError("an unknown kind of curve")
    kind = struct.unpack_from(">H", tag, 8)[0]
    if kind > 4:
        raise ValueError("an unknown kind of curve")
    given = [value / 65536 for value in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    g, a, b, c, d, e, f = {
        0: lambda g: (g, 1, 0, 0, 0, 0, 0),
        1: lambda g, a, b: (g, a, b, 0, -b / a, 0, 0),
        2: lambda g, a, b, c: (g, a, b, 0, -b / a, c, c),
        3: lambda g, a, b, c, d: (g, a, b, c, d, 0, 0),
        4: lambda *all_seven: all_seven,
    }[kind](*given)
    return lambda samples: np.where(samples >= d, np.maximum(a * samples + b, 0) ** g + e, c * samples + f)
