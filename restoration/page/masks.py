"""Masks on the page: painted, uploaded, or the transparent pixels."""

import tempfile
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np

from restoration import gallery
from restoration.files import read
from restoration.image import Image, ImageError, fitted
from restoration.inpainting import Mask, adjusted, mask_from, mask_image, transparent_pixels, union
from restoration.page.parts import opened, preview, sentences, tidy

PAINTED_SIDE = 1024  # the longer side of the picture that is painted on


@tidy
def canvas(path: str | None) -> Generator:
    """The picture to paint on: the upload, reduced so that painting is quick."""
    image = None
    if path:
        with suppress(ImageError):  # the facts below the picture say what is wrong with it
            image = read(path)
    if image is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.png"
        file.write_bytes(preview(fitted(image, PAINTED_SIDE)))
        yield {"background": str(file), "layers": [], "composite": None}


def painted_on(layer: str, image: Image) -> Mask:
    """What is painted on a layer of the editor, in whatever colour, at the size of an image."""
    drawn = read(layer)
    if drawn.alpha is not None:
        highest = np.iinfo(drawn.samples.dtype).max
        opaque = np.where(drawn.alpha > 0, highest, 0).astype(drawn.alpha.dtype)
        drawn = replace(drawn, samples=np.full_like(drawn.samples, highest), alpha=opaque)
    return replace(mask_from(drawn, image), notes=())


def chosen_hole(image: Image, painted: dict | None, uploaded: str | None, transparent: bool) -> Mask:
    """All that was painted, uploaded and chosen, as it is before it is inverted, grown and feathered."""
    masks = [painted_on(layer, image) for layer in (painted or {}).get("layers") or [] if layer]
    if uploaded:
        masks.append(mask_from(read(uploaded, "The mask"), image))
    if transparent:
        masks.append(transparent_pixels(image))
    return union(image, masks)


@tidy
def show_mask(
    path: str | None,
    painted: dict | None,
    uploaded: str | None,
    transparent: bool,
    invert: bool,
    grow: float,
    feather: float,
) -> Generator:
    """The mask as a picture to look at and to download."""
    with sentences(), tempfile.TemporaryDirectory() as folder:
        image = opened(path)
        hole = chosen_hole(image, painted, uploaded, transparent)
        file = Path(folder) / f"{image.name}_mask.png"
        mask = adjusted(hole, invert=invert, grow=round(grow), feather=round(feather))
        file.write_bytes(preview(mask_image(mask)))
        yield str(file)


def own_mask(uploaded: str | None) -> object:
    """The uploaded mask, which stays when another picture comes, unless it is that of an example."""
    names = {Path(example.mask).name for example in gallery.examples("inpaint") if example.mask}
    return None if uploaded and Path(uploaded).name in names else gr.skip()


def mask_is_painted(layer: str) -> bool:
    """Whether anything was painted on a layer of the editor."""
    return bool(painted_on(layer, read(layer)).share)
