"""Run a restore function over overlapping tiles: bounded memory, progress, and the same pixels as in one piece.

Every tile is read with a halo as wide as the function's receptive field, on a grid that the function's strides
divide, so that its middle comes out as it would from the whole image (Gradio demos and Real-ESRGAN use a narrower
halo and show seams).
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Window = tuple[slice, slice]
Step, Told, Outcome = TypeVar("Step"), TypeVar("Told"), TypeVar("Outcome")

SMALLEST = 32  # sides below this are not halved again when memory runs out


@dataclass(frozen=True)
class Progress:
    """How far a job has come, for a tiled run in input pixels.

    Args:
        so_far: what stopping now would give, for a job that improves its result step by step; else None.
        seconds_left: estimated, for a job that can tell.
    """

    done: int
    total: int
    so_far: object = None
    seconds_left: float | None = None

    @property
    def share(self) -> float:
        return self.done / self.total


def relayed(work: Generator[Step, None, Outcome], tell: Callable[[Step], Told]) -> Generator[Told, None, Outcome]:
    """The same work, which gives the same result, with what it yields turned into something else."""
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            return end.value
        yield tell(step)


def default_tile(receptive_field: int) -> int:
    """A side that keeps the work done twice for the halos near a half, and a tile short enough to cancel after."""
    return min(1024, max(256, 8 * receptive_field))


def run_tiled(
    restore: Callable[[Tensor], Tensor],
    read: Callable[[Window], Tensor],
    write: Callable[[Tensor, int, int], None],
    size: tuple[int, int],
    *,
    receptive_field: int,
    multiple_of: int = 1,
    scale: int = 1,
    tile: int | None = None,
) -> Generator[Progress, None, None]:
    """Restore an image tile by tile; yields before the first tile and after each, and may be dropped at any yield.

    Args:
        restore: (1, C, h, w) to (1, C, scale * h, scale * w).
        read: gives the (rows, columns) window of the input.
        write: takes a restored tile with its top and left in the output.
        size: height and width of the input.
        receptive_field: radius in input pixels that an output pixel depends on.
        multiple_of: what the strides of `restore` divide.
        tile: side of a tile in input pixels without its halo; halved when memory runs out.

    Raises:
        MemoryError: even the smallest tile does not fit.
    """
    height, width = size
    step = _up(tile or default_tile(receptive_field), multiple_of)
    halo = _up(receptive_field, multiple_of)
    waiting = [
        (top, left, min(step, height - top), min(step, width - left))
        for top in range(0, height, step)
        for left in range(0, width, step)
    ]
    waiting.reverse()
    done, total = 0, height * width
    yield Progress(0, total)
    while waiting:
        top, left, rows, columns = waiting.pop()
        first_row, first_column = max(0, top - halo), max(0, left - halo)
        window = slice(first_row, top + rows + halo), slice(first_column, left + columns + halo)
        try:
            restored = restore(read(window))
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            restored = None  # leaves the except block first, so that the failed tensors are freed
        if restored is None:
            waiting += _quarters(top, left, rows, columns, multiple_of)
            continue
        inside = restored[
            ...,
            scale * (top - first_row) : scale * (top - first_row + rows),
            scale * (left - first_column) : scale * (left - first_column + columns),
        ]
        write(inside, scale * top, scale * left)
        done += rows * columns
        yield Progress(done, total)


def restore_tiled(
    restore: Callable[[Tensor], Tensor],
    image: Tensor,
    *,
    receptive_field: int,
    multiple_of: int = 1,
    scale: int = 1,
    tile: int | None = None,
) -> Tensor:
    """`restore(image)` computed tile by tile, for images (1, C, H, W) that are tensors already."""
    height, width = image.shape[-2:]
    result = image.new_empty(*image.shape[:-2], scale * height, scale * width)

    def write(part: Tensor, top: int, left: int) -> None:
        result[..., top : top + part.shape[-2], left : left + part.shape[-1]] = part

    for _ in run_tiled(
        restore,
        lambda window: image[(..., *window)],
        write,
        (height, width),
        receptive_field=receptive_field,
        multiple_of=multiple_of,
        scale=scale,
        tile=tile,
    ):
        pass
    return result


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that there is not enough memory."""
    # The CPU allocator of PyTorch raises a plain RuntimeError.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _quarters(top: int, left: int, rows: int, columns: int, multiple: int) -> list[tuple[int, int, int, int]]:
    if max(rows, columns) <= max(SMALLEST, multiple):
        raise MemoryError("This image needs more memory than there is, even in small pieces.")
    tall, wide = _up(-(-rows // 2), multiple), _up(-(-columns // 2), multiple)
    return [
        (top + y, left + x, min(tall, rows - y), min(wide, columns - x))
        for y in range(0, rows, tall)
        for x in range(0, columns, wide)
    ][::-1]
