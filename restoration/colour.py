"""Colour modes and profiles of image files, to grey or sRGB."""

import io

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms


def to_grey_or_rgb(file: Pillow.Image, icc: bytes | None) -> tuple[Pillow.Image, list[str]]:
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
    elif file.mode == "LAB" or (file.mode == "CMYK" and profile_fits(icc, "CMYK")):
        profile = ImageCms.createProfile("LAB") if file.mode == "LAB" else io.BytesIO(icc)
        file = ImageCms.profileToProfile(file, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        return file, ["Converted to sRGB."]
    elif file.mode != "RGB":
        file, icc = file.convert("RGB"), None
        return file, ["Converted to sRGB."]
    if file.mode.startswith("RGB") and icc is not None and not is_srgb(icc):
        if not profile_fits(icc, "RGB "):
            return file, ["The damaged colour profile was ignored."]
        colours = file.convert("RGB")
        ImageCms.profileToProfile(colours, io.BytesIO(icc), ImageCms.createProfile("sRGB"), inPlace=True)
        if file.mode == "RGBA":
            colours.putalpha(file.getchannel("A"))
        return colours, ["Converted to sRGB."]
    return file, []


def profile_fits(icc: bytes | None, space: str) -> bool:
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
