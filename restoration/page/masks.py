"""Masks on the page: painted, uploaded, or the transparent pixels."""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np

from restoration import gallery
from restoration.files import read
from restoration.image import Image, ImageError, fitted, to_8_bit
from restoration.inpainting import Mask, adjusted, hole_of, mask_from, mask_image, transparent_pixels, union
from restoration.page.parts import opened, preview, sentences, tidy

SEEN = ("#f43f5e", 0.6), ("#2563eb", 0.6)  # to paint holes, and what is avoided: seen on white and on black
PAINTED_SIDE = 1024  # the longer side of the picture that is painted on


def painter(name: str, label: str = "Paint here", *, kept: bool = True) -> gr.ImageEditor:
    """The editor in which masks are painted, hidden until there is a picture.

    Args:
        kept: whether every picture gets it, so that its place is kept from when one was chosen.
    """
    classes = ["coming", "kept"] if kept else ["coming"]
    gr.Markdown("Loading the picture …", elem_id=f"{name}-coming", elem_classes=classes)
    return gr.ImageEditor(
        visible=False,
        label=label,
        type="filepath",
        sources=(),
        transforms=(),
        layers=False,
        brush=gr.Brush(default_size=24, colors=list(SEEN), default_color=SEEN[0], color_mode="fixed"),
        eraser=gr.Eraser(default_size=24),
        format="png",
        buttons=["fullscreen"],
        elem_id=f"{name}-editor",
        elem_classes="paint",
    )


def spare(page: gr.Blocks) -> None:
    """Let no editor show the progress of a run, nor anything that holds one, nor what shows no progress anyway.

    At every news of a run Gradio's page asks all that ever showed progress for its value, and what lies inside; an
    editor then draws its whole picture anew, compresses it and uploads it, dozens of times in a run.
    """
    held = {id(block) for editor in page.blocks.values() if isinstance(editor, gr.ImageEditor) for block in up(editor)}
    for function in page.fns.values():
        shown = function.outputs if function.show_progress_on is None else function.show_progress_on
        shown = [] if function.show_progress == "hidden" else shown
        function.show_progress_on = [block for block in shown if id(block) not in held]


def up(block: gr.blocks.Block) -> Iterator[gr.blocks.Block]:
    """A block, what it lies in, what that lies in, and so on."""
    above: gr.blocks.Block | None = block
    while above is not None:
        yield above
        above = above.parent


@tidy
def canvas(path: str | None) -> Generator:
    """The picture to paint on: the upload, reduced so that painting is quick."""
    image = None
    if path:
        with suppress(ImageError):  # the facts below the picture say what is wrong with it
            image = opened(path)
    if image is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.png"
        file.write_bytes(preview(fitted(image, PAINTED_SIDE)))
        yield {"background": str(file), "layers": [], "composite": None}


def painted_on(layer: str) -> tuple[Image, Image | None]:
    """Pictures of what a layer of the editor marks, white there: what is missing, and what may not be copied, if any.

    The latter is what is painted bluer than red, see `SEEN`; any other colour is a hole.
    """
    drawn = read(layer)
    if drawn.alpha is None:
        return drawn, None
    red, _, blue = drawn.bytes(3).numpy().astype(int)
    alpha = drawn.alpha.astype(int)
    painted, avoided = 3 * alpha > alpha.max(), blue > red  # what was erased is left faint along its edges
    missing, kept_out = (
        Image(np.where(painted & of, 255, 0).astype(np.uint8)[..., None]) for of in (~avoided, avoided)
    )
    return missing, kept_out if kept_out.samples.any() else None


def painted(drawing: dict | None) -> list[tuple[Image, Image | None]]:
    """What each layer of the editor marks, see `painted_on`."""
    return [painted_on(layer) for layer in (drawing or {}).get("layers") or [] if layer]


def marked_canvas(picture: dict, hole: Mask, folder: str) -> dict:
    """A canvas with a hole painted on it; the layer is a file in a folder."""
    layer = Path(folder) / "marked.png"
    layer.write_bytes(preview(strokes(hole, read(picture["background"]))))
    return {**picture, "layers": [str(layer)]}


def shaded(picture: Image, hole: Mask) -> Image:
    """A picture of any size with a hole drawn over it in colour."""
    marks = strokes(hole, picture)
    share = marks.alpha[..., None] / 255
    colours = to_8_bit(picture).samples * (1 - share) + marks.samples * share
    return Image(np.rint(colours).astype(np.uint8), name=picture.name)


def corrected(hole: Mask, image: Image, drawing: dict | None) -> Mask:
    """A hole with what was painted red over it, and without what was painted blue."""
    drawn = union(image, [hole_of(image, *marks) for marks in painted(drawing)])
    opacity = np.maximum(hole.opacity, drawn.opacity)
    if drawn.avoided is not None:
        opacity[drawn.avoided] = 0
    return Mask(opacity)


def strokes(hole: Mask, picture: Image) -> Image:
    """A hole, and what it avoids, as if they had been painted on a picture of any size."""
    marks = np.zeros((picture.height, picture.width), np.uint8)
    for number, opacity in enumerate((hole.opacity, hole.avoided), start=1):
        if opacity is not None:
            scaled = mask_from(mask_image(replace(hole, opacity=opacity.astype(np.float32))), picture)
            marks[scaled.opacity > 0.5] = number
    colours = [(0, 0, 0), *(tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5)) for colour, _ in SEEN)]
    opacities = [0, *(round(255 * opacity) for _, opacity in SEEN)]
    return Image(np.uint8(colours)[marks], np.uint8(opacities)[marks])


def chosen_hole(image: Image, drawing: dict | None, uploaded: str | None, transparent: bool) -> Mask:
    """All that was painted, uploaded and chosen, as it is before it is inverted, grown and feathered."""
    masks = [replace(hole_of(image, *marks), notes=()) for marks in painted(drawing)]
    if uploaded:
        masks.append(mask_from(read(uploaded, "The mask"), image))
    if transparent:
        masks.append(transparent_pixels(image))
    return union(image, masks)


def mask_for_all(drawing: dict | None, uploaded: str | None) -> tuple[Image | None, Image | None]:
    """The masks for files of any size: what is missing in each, uploaded or else painted, and what is avoided."""
    missing, avoided = next(iter(painted(drawing)), (None, None))
    if uploaded:
        return read(uploaded, "The mask"), avoided
    return missing if missing and missing.samples.any() else None, avoided


@tidy
def show_mask(
    path: str | None,
    drawing: dict | None,
    uploaded: str | None,
    transparent: bool,
    invert: bool,
    grow: float,
    feather: float,
) -> Generator:
    """The mask as a picture to look at and to download."""
    with sentences(), tempfile.TemporaryDirectory() as folder:
        image = opened(path)
        hole = chosen_hole(image, drawing, uploaded, transparent)
        file = Path(folder) / f"{image.name}_mask.png"
        mask = adjusted(hole, invert=invert, grow=round(grow), feather=round(feather))
        file.write_bytes(preview(mask_image(mask)))
        yield str(file)


def own_mask(uploaded: str | None) -> object:
    """The uploaded mask, which stays when another picture comes, unless it is that of an example."""
    return None if uploaded and Path(uploaded).name in gallery.mask_names() else gr.skip()
