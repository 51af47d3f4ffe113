"""Bake-off: one patch of a picture through every method of a task, and through none."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from restoration import catalog, tasks
from restoration.image import Image, from_tensor, to_8_bit
from restoration.inpainting import Mask
from restoration.orders import Order
from restoration.running import Score, finish, score

SIDE = 192  # of the patch that comes out, in pixels
DISC = 20  # radius in pixels of the hole that is made at a spot without one


@dataclass(frozen=True)
class Entry:
    """What one method made of the patch.

    Args:
        name: of the method; empty for the patch as it is.
        title: what people call it.
        score: against the original, where that is known.
    """

    name: str
    title: str
    image: Image
    seconds: float
    score: Score | None = None


def around(image: Image, spot: tuple[int, int], side: int) -> tuple[slice, slice]:
    """The window (rows, columns) of at most `side` pixels a side whose middle is as near to a spot as can be.

    Args:
        spot: column and row.
    """
    starts = (
        min(max(0, place - side // 2), max(0, length - side))
        for place, length in zip(reversed(spot), (image.height, image.width), strict=True)
    )
    return tuple(slice(start, start + side) for start in starts)


def patch(image: Image, window: tuple[slice, slice]) -> Image:
    """A window of an image."""
    alpha = None if image.alpha is None else image.alpha[window]
    return replace(image, samples=np.ascontiguousarray(image.samples[window]), alpha=alpha)


def bake_off(
    task: str,
    image: Image,
    spot: tuple[int, int],
    *,
    scale: int | None = None,
    settings: dict | None = None,
    hole: Mask | None = None,
    original: Image | None = None,
) -> Iterator[Entry]:
    """What every method but the prior makes of the patch around a spot, one by one, the patch itself first.

    Args:
        spot: column and row in the picture.
        scale: for "upscale": methods of this scale take part.
        settings: of all orders, a noise level measured on the whole picture for instance.
        hole: for "inpaint"; where there is none at the spot a disc is taken out, whose original is known.
        original: of the patch alone, where it is known, to score against.

    Raises:
        ValueError: the spot is not in the picture.
    """
    if not (0 <= spot[0] < image.width and 0 <= spot[1] < image.height):
        raise ValueError("Tap a spot inside the picture.")
    offered = [method for method in catalog.methods(task) if not (method.prior or method.chooses)]
    offered = [method for method in offered if scale in (None, method.scale)]
    window = around(image, spot, SIDE // (scale or 1))
    given, missing = patch(image, window), None
    if tasks.named(task).holes:
        missing = None if hole is None else hole.opacity[window]
        if missing is None or not 0 < missing.mean() < 0.9:
            missing, original = _disc(given, (spot[0] - window[1].start, spot[1] - window[0].start)), given
        shown = replace(given, samples=given.samples.copy())
        shown.samples[missing > 0] = np.iinfo(given.samples.dtype).max
        yield Entry("", "The hole", shown, 0.0)
        settings = {"grow": 0, "feather": 0, **(settings or {})}  # the hole as it is shown
    elif scale is None:
        yield Entry("", "As it is", given, 0.0, _scored(given, original))
    for method in offered:
        started = time.monotonic()
        order = Order(task, method.name, settings or {})
        done = finish(order.run(given, None if missing is None else Mask(missing)))
        seconds = time.monotonic() - started
        yield Entry(method.name, method.title, done.picture, seconds, _scored(done.picture, original))


def bake_off_damaged(task: str, clean: Image, how: Sequence[object] = (), scale: int | None = None) -> Iterator[Entry]:
    """The middle of a clean picture, damaged, through every method of a task, scored.

    Args:
        how: see `Task.damaged`.
        scale: see `bake_off`.
    """
    kind, original = tasks.named(task), _middle(clean, scale or 1)
    damaged = from_tensor(kind.damaged(original.tensor(), scale or 1, *how))
    known = kind.known(damaged.tensor(), original.tensor(), *how)
    middle = (damaged.width // 2, damaged.height // 2)
    yield from bake_off(task, damaged, middle, scale=scale, settings=known, original=original)


def _middle(image: Image, multiple_of: int = 1) -> Image:
    """The middle of a picture, whose sides a number divides."""
    side = min(SIDE, image.width, image.height) // multiple_of * multiple_of
    if not side:
        raise ValueError("This picture is too small for that.")
    middle = patch(image, around(image, (image.width // 2, image.height // 2), side))
    return to_8_bit(replace(middle, alpha=None))


def _disc(image: Image, middle: tuple[int, int]) -> np.ndarray:
    rows, columns = np.ogrid[: image.height, : image.width]
    near = (rows - middle[1]) ** 2 + (columns - middle[0]) ** 2 <= DISC**2
    return near.astype(np.float32)


def _scored(image: Image, original: Image | None) -> Score | None:
    if original is None or original.samples.shape != image.samples.shape:
        return None
    return score(image.tensor(), original.tensor())
