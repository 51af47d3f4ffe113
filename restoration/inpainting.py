"""Inpainting jobs: masks, and filling holes at the picture's own resolution."""

import math
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from restoration import catalog
from restoration.catalog import Filter, Method
from restoration.fill_choice import AMONG, Choice, choose
from restoration.image import Image
from restoration.look_alikes import look_alikes
from restoration.offset_fill import Solved, solve
from restoration.resampling import enlarge
from restoration.running import Job, Result, improving, infer
from restoration.texture import finer_patches, finer_texture, found_texture, no_patches
from restoration.tiling import Progress, relayed, run_tiled

WHOLE = 512  # holes with their surroundings up to this side are filled in one piece
CONTEXT = 64  # at least so many known pixels around a hole are shown to the method
COPIED_FROM = 128  # at least so many around a hole are what a fill of any size may copy
THIN = 32  # in a larger hole, pixels within this distance of known ones are filled at full resolution
GROUPED = 32  # holes closer than this are filled together
BAND = 256  # rows that are pasted at a time


# Masks --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mask:
    """Which pixels of an image are missing.

    Args:
        opacity: float32 (H, W), 1 where the fill replaces the image, 0 where the image stays, between where they blend.
        notes: what was done to the mask, one sentence each.
        avoided: bool (H, W), what may not be copied into the fill; None is nothing.
    """

    opacity: np.ndarray
    notes: tuple[str, ...] = ()
    avoided: np.ndarray | None = None

    @property
    def share(self) -> float:
        """Share of the pixels that change."""
        return float((self.opacity > 0).mean())

    @cached_property
    def worked(self) -> float:
        """Pixels of the windows in which the holes are filled over those of the picture: what the time goes by."""
        missing = self.opacity > 0
        windows = (_surroundings(box, missing.shape) for box in _grouped(missing)[1])
        return sum(math.prod(side.stop - side.start for side in window) for window in windows) / missing.size

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} % filled, every other pixel untouched"


def mask_from(picture: Image, image: Image) -> Mask:
    """The mask that a picture shows: white is missing.  Another size is brought to the image's, pixel by pixel.

    A picture with transparency is a drawing: what is opaque and white is missing.
    """
    grey = picture.bytes(1)[0].numpy() > 127
    if picture.alpha is not None:
        grey &= picture.alpha > np.iinfo(picture.alpha.dtype).max // 2
    if grey.shape == (image.height, image.width):
        return Mask(grey.astype(np.float32))
    rows = (np.arange(image.height) * 2 + 1) * grey.shape[0] // (2 * image.height)
    columns = (np.arange(image.width) * 2 + 1) * grey.shape[1] // (2 * image.width)
    note = f"The mask was resized from {grey.shape[1]} × {grey.shape[0]} to {image.width} × {image.height} px."
    return Mask(grey[rows[:, None], columns].astype(np.float32), (note,))


def transparent_pixels(image: Image) -> Mask:
    """The mask of the fully transparent pixels; empty for an opaque image."""
    missing = np.zeros((image.height, image.width), bool) if image.alpha is None else image.alpha == 0
    return Mask(missing.astype(np.float32))


def hole_of(image: Image, mask: Image | None, avoided: Image | None = None) -> Mask | None:
    """What is missing in an image by pictures of that and of what may not be copied, white there; None for neither.

    Without the first, the transparent pixels are missing.
    """
    if avoided is None:
        return None if mask is None else mask_from(mask, image)
    hole = transparent_pixels(image) if mask is None else mask_from(mask, image)
    return replace(hole, avoided=mask_from(avoided, image).opacity > 0)


def union(image: Image, masks: Iterable[Mask]) -> Mask:
    """What any of the masks marks; nothing without masks."""
    opacity, notes, avoided = np.zeros((image.height, image.width), np.float32), [], None
    for mask in masks:
        opacity = np.maximum(opacity, mask.opacity)
        notes += mask.notes
        if mask.avoided is not None:
            avoided = mask.avoided if avoided is None else avoided | mask.avoided
    return Mask(opacity, tuple(notes), avoided)


def adjusted(mask: Mask, *, invert: bool = False, grow: int = 0, feather: int = 0) -> Mask:
    """A mask inverted, then grown (or shrunk, for a negative number) and feathered, in pixels.

    Feathering adds a soft edge of that width outside the hole; inside, the fill stays opaque.
    """
    missing = mask.opacity > 0.5
    if invert:
        missing = ~missing
    if grow > 0:
        missing = ndimage.distance_transform_edt(~missing) <= grow if missing.any() else missing
    elif grow < 0 and not missing.all():
        missing = ndimage.distance_transform_edt(missing) > -grow
    opacity = missing.astype(np.float32)
    if feather > 0 and missing.any():
        distance = ndimage.distance_transform_edt(~missing)
        opacity = np.clip(1 - distance / (feather + 1), 0, 1).astype(np.float32)
    return replace(mask, opacity=opacity)


def mask_image(mask: Mask, name: str = "mask") -> Image:
    """The mask as a grey picture, white where pixels are missing."""
    return Image(np.rint(mask.opacity * 255).astype(np.uint8)[..., None], name=name)


# Filling ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Painting:
    """A picture that is painted on; pixels of opacity 0 equal the original's bit for bit."""

    picture: Image

    def image(self) -> Image:
        """The picture as it is now."""
        return self.picture


def inpaint(image: Image, mask: Mask, model: str = "", texture: bool = True, variant: int = 0) -> Job[Result]:
    """Fill the holes of an image one after the other; yields progress before the first and after each, finds the mask.

    Every hole is cut out with its surroundings, filled at the image's own resolution and pasted back.  A hole that is
    larger than the method handles is filled coarse to fine.  Copies are never of what looks like what is removed.

    Args:
        model: name of a method in `methods("inpaint")`; the default for none.
        texture: whether the fill, smooth by nature, is given fine detail from the rest of the picture; Deep Image
            Prior's stays as it is, and `offset-fill` is detail already.
        variant: other numbers than 0 give fills that differ, made of other copies.

    Raises:
        ValueError: no such model, or a mask that is empty, covers everything, or is of another size.
    """
    method = catalog.method("inpaint", model)
    missing = mask.opacity > 0
    if missing.shape != (image.height, image.width):
        raise ValueError("The mask and the picture differ in size.")
    if not missing.any():
        raise ValueError("Nothing is marked: paint over what should be filled.")
    if missing.all():
        raise ValueError("Everything is marked: leave something to make the fill from.")
    started = time.monotonic()
    painting = replace(image, samples=image.samples.copy(), alpha=None if image.alpha is None else image.alpha.copy())
    notes = list(mask.notes)

    groups, boxes = _grouped(missing)
    chosen, solved = {}, None
    avoided = np.zeros_like(missing) if mask.avoided is None else mask.avoided
    if method.chooses:
        work = _choice(image, missing, avoided, groups, boxes, variant)
        choice = yield from relayed(work, lambda _: Progress(0, 1))
        method, texture, solved = catalog.method("inpaint", choice.name), texture and choice.texture, choice.solved
        chosen["texture"] = texture
        notes.append(choice.reason)
    if avoided.any() and method.name != AMONG[0]:
        notes.append(f"{method.title} does not copy whole parts, so what to avoid makes no difference.")

    def outcome() -> Result:
        seconds = time.monotonic() - started
        return Result(Painting(painting), method, seconds, mask, tuple(dict.fromkeys(notes)), chosen)

    if method.prior:
        (box,) = ndimage.find_objects(missing.astype(np.uint8))
        cut = _surroundings(box, missing.shape)
        hole = _plane(missing[cut])

        def fitted(picture: Tensor) -> Result:
            _paste(painting, picture, cut, image, mask.opacity[cut])
            return outcome()

        attempts = method.source.fit(image.tensor(cut), hole)
        return (yield from improving(attempts, "inpaint", hole.numel(), fitted))

    done, total = 0, int(missing.sum())
    steps = method.source.steps if isinstance(method.source, Filter) else None
    for number, box in enumerate(boxes, start=1):
        cut = _surroundings(box, missing.shape, *(() if steps is None else (COPIED_FROM, 1)))
        own = (groups[cut] == number) & missing[cut]
        so_far = Progress(done, total)
        yield so_far
        if steps is None:
            filling = _fill(method, painting.tensor(cut), _plane(missing[cut]), variant if texture else None)
            filled, _, coarse = yield from relayed(filling, lambda _, so_far=so_far: so_far)
            if coarse and not texture:
                notes.append("A large hole was filled at a lower resolution first, so its middle is soft.")
        else:
            others = None if solved else _marks(_not_copied(image, cut, own, missing, avoided))  # what is solved knows
            filling = steps(painting.tensor(cut), _marks(own), others, variant, solved)
            solved = None
            copied = yield from relayed(filling, lambda _, so_far=so_far: so_far)
            filled = copied.picture
            if not copied.found:
                notes.append("There is too little around a hole that it could be filled with, so its fill is smooth.")
        _paste(painting, filled, cut, image, mask.opacity[cut] * own)
        missing[cut] &= ~own  # the next holes may draw on it
        done += int(own.sum())
    yield Progress(total, total)
    return outcome()


def _grouped(missing: np.ndarray) -> tuple[np.ndarray, list[tuple[slice, slice]]]:
    """Numbers (H, W) of holes that are filled together, from 1 on, the largest first, and boxes of those."""
    groups, count = ndimage.label(ndimage.binary_dilation(missing, iterations=GROUPED // 2))
    order = np.argsort(-np.bincount(groups[missing], minlength=count + 1)[1:], kind="stable")
    number = np.zeros(count + 1, np.min_scalar_type(count))
    number[1 + order] = np.arange(1, count + 1)
    groups = number[groups]
    return groups, ndimage.find_objects(groups, count)


def _not_copied(
    image: Image, cut: tuple[slice, slice], own: np.ndarray, missing: np.ndarray, avoided: np.ndarray
) -> np.ndarray:
    """What in the window `cut` is not copied into a hole (h, w) of it besides the hole itself, bool (h, w).

    Other holes, what is avoided, and what looks like what is removed, unless that is transparent and nobody knows it.
    """
    others = missing[cut] & ~own | avoided[cut]
    if image.alpha is not None and not image.alpha[cut][own].any():
        return others
    return others | look_alikes(image.samples[cut], own, ~(own | others))


def _choice(
    image: Image,
    missing: np.ndarray,
    avoided: np.ndarray,
    groups: np.ndarray,
    boxes: list[tuple[slice, slice]],
    variant: int,
) -> Generator[None, None, Choice]:
    """The method for all holes (H, W), of which the largest, the first of the groups, says what copies would cost."""

    def coarse() -> Generator[None, None, Solved]:
        cut = _surroundings(boxes[0], missing.shape, COPIED_FROM, 1)
        own = (groups[cut] == 1) & missing[cut]
        others = _not_copied(image, cut, own, missing, avoided)
        return (yield from solve(image.tensor(cut), _marks(own), _marks(others), variant))

    return (yield from choose(missing, coarse))


def _paste(painting: Image, fill: Tensor, cut: tuple[slice, slice], image: Image, opacity: np.ndarray) -> None:
    """Blend a fill (1, C, h, w) of the window `cut` over the image, into `painting`, where opacity (h, w) is."""
    highest = np.iinfo(image.samples.dtype).max
    rows = np.flatnonzero((opacity > 0).any(1))
    for first in range(rows[0], rows[-1] + 1, BAND):  # in bands, as a large picture in double precision is huge
        band = slice(first, min(first + BAND, rows[-1] + 1))
        place = (slice(cut[0].start + band.start, cut[0].start + band.stop), cut[1])
        changed = opacity[band] > 0
        share = opacity[band][changed][:, None]
        values = fill[0, :, band].permute(1, 2, 0).cpu().numpy()[changed].astype(np.float64) * highest
        blended = image.samples[place][changed] * (1 - share) + values * share
        painting.samples[place][changed] = np.rint(blended).astype(image.samples.dtype)
        if image.alpha is not None:
            opaque = np.rint(opacity[band] * highest).astype(image.alpha.dtype)
            painting.alpha[place][changed] = np.maximum(image.alpha[place], opaque)[changed]


def _plane(region: np.ndarray) -> Tensor:
    """A region (H, W) as a mask (1, 1, H, W)."""
    return _marks(region).float()


def _marks(region: np.ndarray) -> Tensor:
    """The same in a quarter of the memory, as booleans."""
    return torch.from_numpy(region)[None, None]


def _surroundings(
    box: tuple[slice, slice], size: tuple[int, int], least: int = CONTEXT, share: float = 0.5
) -> tuple[slice, slice]:
    """A box with as much around it as a share of its longer side, at least so many pixels, within the image."""
    context = max(least, int(share * max(side.stop - side.start for side in box)))
    return tuple(
        slice(max(0, side.start - context), min(length, side.stop + context))
        for side, length in zip(box, size, strict=True)
    )


def _fill(
    method: Method, picture: Tensor, hole: Tensor, seed: int | None
) -> Generator[None, None, tuple[Tensor, Tensor, bool]]:
    """Fill holes of any size; yields between pieces.

    Args:
        seed: of the search for detail to copy; None copies none.

    Returns:
        The picture (1, C, H, W) without its holes, the patches (1, 3, H, W) that were copied, as `found_texture` gives
        them, and whether the resolution was lowered on the way.
    """
    depth = torch.from_numpy(ndimage.distance_transform_edt(hole[0, 0].numpy()))[None, None]
    if max(picture.shape[-2:]) <= WHOLE:
        return *_filled(method, picture, hole, seed), False
    if depth.max() <= THIN:
        return *(yield from _fill_in_pieces(method, picture, hole, seed)), False
    height, width = picture.shape[-2:]
    padding = (0, width % 2, 0, height % 2)
    weight = F.avg_pool2d(F.pad(1 - hole, padding), 2)
    half = F.avg_pool2d(F.pad(picture * (1 - hole), padding), 2) / weight.clamp(min=1e-6)
    half, patches, _ = yield from _fill(method, half, (weight == 0).float(), seed)
    patches = finer_patches(patches, (height, width))
    picture = torch.where(hole.bool(), enlarge(half, 2)[..., :height, :width].clamp(0, 1), picture)
    edge = (depth > 0) & (depth <= THIN)  # what lies next to known pixels can be filled sharply
    picture, near = yield from _fill_in_pieces(method, picture, edge.float(), seed)
    if seed is not None:
        picture = yield from finer_texture(picture, (depth > THIN).float(), patches)
    return picture, torch.where(edge, near, patches), True


def _filled(method: Method, picture: Tensor, hole: Tensor, seed: int | None) -> tuple[Tensor, Tensor]:
    """A picture of at most `WHOLE` pixels a side without its holes, and the patches that were copied."""
    fill = infer(method, 1.0, picture, hole)
    return found_texture(fill, hole, seed) if seed is not None else (fill, no_patches(fill))


def _fill_in_pieces(
    method: Method, picture: Tensor, hole: Tensor, seed: int | None
) -> Generator[None, None, tuple[Tensor, Tensor]]:
    """Fill holes that are thin everywhere, window by window, as `_filled` does; yields between windows."""
    both, channels = torch.cat([picture, hole], dim=1), picture.shape[1]
    result = torch.cat([picture, no_patches(picture)], dim=1)

    def fill(part: Tensor) -> Tensor:
        part, inside = part[:, :-1], part[:, -1:]
        return torch.cat(_filled(method, part, inside, seed) if inside.any() else (part, no_patches(part)), dim=1)

    def paste(part: Tensor, top: int, left: int) -> None:
        result[..., top : top + part.shape[-2], left : left + part.shape[-1]] = part

    for _ in run_tiled(
        fill, lambda window: both[(..., *window)], paste, picture.shape[-2:], receptive_field=CONTEXT, tile=WHOLE // 2
    ):
        yield
    return result[:, :channels], result[:, channels:]
