"""Run a network over an image from top to bottom in strips, in which every layer keeps the rows that it needs again.

Tiles compute their halos twice; here no layer computes a row twice, the memory holds a few rows of each, and the
result is that of the whole image.  `forward` is called once with a `Rows` for each of its inputs, which notes what is
done to it; then the last is asked for strips, and each asks those that it was made of.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from restoration.padding import padded
from restoration.restorer import Restorer
from restoration.rows import Rows, UnsupportedError, same


def _asked(result: Rows, ends: Iterable[int]) -> Iterator[Tensor]:
    """The rows up to each of some, from the last one on.

    Every layer goes on once for a strip, as far as those after it need: rows one by one would take far longer.
    """
    order, seen = [], set()

    def add(node: Rows) -> None:
        stack = [(node, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack.extend((each, False) for each in node.inputs)

    add(result)
    try:
        for end in ends:
            first, wanted = result.end, {id(result): end}
            for node in reversed(order):
                asked = wanted.setdefault(id(node), 0)
                if asked > node.end:
                    most = node.needs(node.end, asked)[1]
                    for each in node.inputs:
                        wanted[id(each)] = max(wanted.get(id(each), 0), min(most, each.height))
            for node in order:
                node.go_on(max(node.end, wanted[id(node)]))
            part = result.rows(first, end)
            result.kept, result.first = None, result.end
            yield part
    finally:
        for node in order:  # which would hold the image until somebody looks for circles
            node.users, node.inputs, node.kept = [], [], None


def strips(
    restorer: Restorer, read: Callable[[slice], Tensor], size: tuple[int, int], *levels: float | None, rows: int
) -> Iterator[Tensor]:
    """What a model's `restore` gives, as strips (B, C, scale * h, scale * W) from top to bottom.

    Args:
        read: gives some rows (B, C, h, W) of the image as `restore` takes it.
        size: height and width of the image, each larger than what the network pads.
        levels: what else `restore` takes.
        rows: of the image in a strip.

    Raises:
        UnsupportedError: the network cannot work so; before the first strip.
    """
    if getattr(restorer, "holds_colours", False):
        raise UnsupportedError("a look at the whole result")
    height, width = size
    left, right, top, bottom = restorer.sides(height, width)
    place = torch.arange(height, dtype=torch.float32).view(1, 1, -1, 1).expand(-1, -1, -1, top + bottom + 1)
    place = padded(place, (0, 0, top, bottom), restorer.padding)[0, 0, :, 0].long()
    wide = left + width + right

    def image(parts: list[Tensor], first: int, end: int) -> Tensor:
        wanted = place[first:end]  # beyond a border they go back
        least = int(wanted.min())
        part = read(slice(least, int(wanted.max()) + 1)).index_select(-2, wanted - least)
        return padded(part.to(kind), (left, right, 0, 0), restorer.padding)

    def constant(plane: Tensor) -> Rows:
        level = plane[..., :1, :1].to(kind)
        shape = (len(plane), 1, len(place), wide)
        return Rows(shape, [], same, lambda parts, first, end: level.expand(*shape[:2], end - first, wide), kind)

    with torch.no_grad():
        sample = read(slice(0, 1))
        kind = restorer.own_kind(sample.dtype)
        planes = [constant(plane) for plane in restorer.told(sample, *levels)]
        result = restorer(Rows((*sample.shape[:2], len(place), wide), [], same, image, kind), *planes)
    result = result[-1] if isinstance(result, tuple) else result
    if not isinstance(result, Rows):
        raise UnsupportedError("what it gives")
    scale, lasts = restorer.scale, [min(first + rows, height) for first in range(0, height, rows)]
    above, columns = scale * top, slice(scale * left, scale * (left + width))

    parts = _asked(result, [above + scale * last for last in lasts])

    def cut() -> Iterator[Tensor]:
        skipped = above
        while True:
            with torch.no_grad():  # not around a yield
                part = next(parts, None)
                if part is None:
                    return
                inside = part[..., skipped:, columns].clamp(0, 1).to(sample.dtype)
            skipped = 0
            yield inside

    return cut()


@lru_cache(maxsize=16)
def works_in_strips(restorer: Restorer) -> bool:
    """Whether a network can work in strips."""
    try:
        strips(restorer, lambda rows: torch.zeros(1, restorer.channels, rows.stop - rows.start, 64), (64, 64), rows=64)
    except Exception:  # whatever a network tries with what is no tensor
        return False
    return True
