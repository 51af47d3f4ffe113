"""Run a network over an image from top to bottom in strips, in which every layer keeps the rows that it needs again.

Tiles compute their halos twice; here no layer computes a row twice, the memory holds a few rows of each, and the
result is that of the whole image.  `forward` is called once with a `Rows` for each of its inputs, which notes what is
done to it; then the last is asked for strips, and each asks those that it was made of.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from math import inf

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration.padding import padded
from restoration.restorer import Restorer

Span = tuple[int, int]


class UnsupportedError(Exception):
    """A network does something that cannot be done strip by strip."""


class Rows:
    """A stack of feature maps (..., H, W), of which rows are computed when they are asked for, from top to bottom.

    Args:
        shape: of all of it.
        inputs: what it is made of.
        needs: the rows of every input that some rows are made of; may go beyond the input's.
        make: some rows, of those of the inputs that there are.
        kind: the type of its values, roughly: half the bits or all of them.
        fill: writes what `make` gives into a place of the same shape, where that can be done without a copy.
    """

    device = torch.device("cpu")

    def __init__(
        self,
        shape: Sequence[int],
        inputs: Sequence["Rows"],
        needs: Callable[[int, int], Span],
        make: Callable[[list[Tensor], int, int], Tensor],
        kind: torch.dtype = torch.float32,
        fill: Callable[[list[Tensor], Tensor], object] | None = None,
    ):
        self.kind, self.fill = kind, fill
        self.shape, self.inputs, self.needs, self.make = torch.Size(shape), inputs, needs, make
        self.half = torch.is_autocast_enabled("cpu")
        self.users: list[Rows] = []
        for each in inputs:
            each.users.append(self)
        self.kept: Tensor | None = None
        self.first = self.end = 0  # rows that are kept

    @property
    def height(self) -> int:
        return self.shape[-2]

    def dim(self) -> int:
        return len(self.shape)

    def rows(self, first: int, end: int) -> Tensor:
        """Rows that were computed and not let go."""
        return self.kept[..., max(0, first) - self.first : min(end, self.height) - self.first, :]

    def go_on(self, end: int) -> None:
        """Compute the rows up to one, of which the inputs are there, and let the inputs go that are done with."""
        if end > self.end:
            parts = [each.rows(*self.needs(self.end, end)) for each in self.inputs]
            with torch.autocast("cpu", enabled=self.half and torch.is_autocast_enabled("cpu")):
                new = self._joined(parts, end)
            del parts
            self.kept, self.first, self.end = new, end - new.shape[-2], end
        for each in self.inputs:
            each.let_go()

    def _joined(self, parts: list[Tensor], end: int) -> Tensor:
        """The rows that are kept and those up to one, made of those of the inputs."""
        if self.kept is None:
            return self.make(parts, self.end, end)
        if self.fill is None or self.kept.dim() != 4:
            return torch.cat([self.kept, self.make(parts, self.end, end)], dim=-2)
        *outer, already, width = self.kept.shape
        shape = (*outer, already + end - self.end, width)
        whole = torch.empty(shape, dtype=self.kept.dtype, memory_format=torch.channels_last)
        whole[..., :already, :] = self.kept
        self.fill(parts, whole[..., already:, :])
        return whole

    def let_go(self) -> None:
        """Drop the rows that nobody will ask for again."""
        least = min(user.least for user in self.users)
        if self.kept is None or least <= self.first:
            return
        if least >= self.end:
            self.kept, self.first = None, self.end
            return
        few = 2 * (self.end - least) < self.end - self.first
        rest = self.rows(least, self.end)
        self.kept, self.first = rest.clone() if few else rest, least  # a part would hold the memory of the whole

    @property
    def least(self) -> float:
        """The first row of its inputs that it will still ask for."""
        return inf if self.end == self.height else max(0, self.needs(self.end, self.end + 1)[0])

    # What networks do with tensors

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in _SPECIAL:
            return _SPECIAL[function](*args, **kwargs)
        if function not in _ROWWISE:
            raise UnsupportedError(getattr(function, "__name__", str(function)))
        kwargs.pop("inplace", None)
        return rowwise(partial(function, **kwargs) if kwargs else function, *args)

    def __add__(self, other):
        return rowwise(torch.add, self, other)

    def __radd__(self, other):
        return rowwise(torch.add, self, other)

    def __sub__(self, other):
        return rowwise(torch.sub, self, other)

    def __rsub__(self, other):
        return rowwise(torch.rsub, self, other)

    def __mul__(self, other):
        return rowwise(torch.mul, self, other)

    def __rmul__(self, other):
        return rowwise(torch.mul, self, other)

    def __truediv__(self, other):
        return rowwise(torch.div, self, other)

    def __lt__(self, other):
        return rowwise(torch.lt, self, other)

    def float(self):
        return rowwise(Tensor.float, self)

    def clamp(self, min=None, max=None):
        return rowwise(partial(torch.clamp, min=min, max=max), self)

    def detach(self):
        return self

    def flatten(self, start: int, end: int):
        return rowwise(partial(torch.flatten, start_dim=start, end_dim=end), self)

    def repeat_interleave(self, repeats: int, dim: int):
        if dim != 1:
            raise UnsupportedError("repeat_interleave")
        return rowwise(partial(torch.repeat_interleave, repeats=repeats, dim=1), self)

    def chunk(self, count: int, dim: int):
        if dim != 1:
            raise UnsupportedError("chunk")
        return tuple(rowwise(lambda x, index=index: x.chunk(count, 1)[index], self) for index in range(count))

    def __getitem__(self, index):
        if not isinstance(index, tuple) or index[0] is not Ellipsis or len(index) not in (2, 3):
            raise UnsupportedError("an index")
        down, across = index[1:] if len(index) == 3 else (slice(None), index[1])
        if down.stop is not None or across.stop is not None:
            raise UnsupportedError("an index")
        start, step = down.start or 0, down.step or 1
        shape = (*self.shape[:-2], len(range(self.height)[down]), len(range(self.shape[-1])[across]))
        return Rows(
            shape,
            [self],
            lambda first, end: (first * step + start, (end - 1) * step + start + 1),
            lambda parts, first, end: parts[0][..., ::step, across],
        )


def _same(first: int, end: int) -> Span:
    return first, end


def rowwise(function: Callable[..., Tensor], *values: object, into: Callable[..., Tensor] | None = None) -> Rows:
    """What a function gives that treats every row, and within one every pixel, by itself.

    Args:
        values: its arguments, of which some are `Rows`, or lists of them.
        into: the same function with an `out`, if it has one.
    """
    inputs = [part for value in values for part in (value if isinstance(value, list | tuple) else [value])]
    inputs = [part for part in inputs if isinstance(part, Rows)]
    if len({each.shape[-2:] for each in inputs}) != 1:
        raise UnsupportedError("sizes that differ")
    into = into or _INTO.get(function)

    def made(parts: Sequence[Tensor], function: Callable[..., Tensor] = function) -> Tensor:
        found = iter(parts)

        def real(value: object) -> object:
            return next(found) if isinstance(value, Rows) else value

        return function(*([real(p) for p in v] if isinstance(v, list | tuple) else real(v) for v in values))

    sample = made([torch.zeros(*each.shape[:-2], 1, 1, dtype=each.kind) for each in inputs])
    if sample.shape[-2:] != (1, 1):
        raise UnsupportedError("something across rows")
    return Rows(
        (*sample.shape[:-2], *inputs[0].shape[-2:]),
        inputs,
        _same,
        lambda parts, first, end: made(parts),
        sample.dtype,
        into and (lambda parts, place: made(parts, partial(into, out=place))),
    )


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, str):
        raise UnsupportedError("padding by name")
    return (value, value) if isinstance(value, int) else tuple(value)


def _in_the_kind_of_the_moment(*weights: Tensor | None) -> Callable[[], Sequence[Tensor | None]]:
    """A layer's weights as autocast would have them, which are brought to it once and not for every strip."""

    @lru_cache
    def brought(kind: torch.dtype) -> Sequence[Tensor | None]:
        return [each if each is None else each.to(kind) for each in weights]

    return lambda: brought(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else weights


def _convolved(x: Rows, weight: Tensor, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Rows:
    (step, across), (above, beside), (apart, wide) = _pair(stride), _pair(padding), _pair(dilation)
    reach = apart * (weight.shape[2] - 1) + 1
    width = (x.shape[-1] + 2 * beside - wide * (weight.shape[3] - 1) - 1) // across + 1
    weights = _in_the_kind_of_the_moment(weight, bias)

    def needs(first: int, end: int) -> Span:
        return first * step - above, (end - 1) * step - above + reach

    def make(parts: list[Tensor], first: int, end: int) -> Tensor:
        start, stop = needs(first, end)
        outside = max(0, -start), max(0, stop - x.height)
        part = F.pad(parts[0], (0, 0, *outside)) if any(outside) else parts[0]
        return F.conv2d(part, *weights(), (step, across), (0, beside), (apart, wide), groups)

    height = (x.height + 2 * above - reach) // step + 1
    return Rows((x.shape[0], weight.shape[0], height, width), [x], needs, make)


def _grown(x: Rows, weight: Tensor, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1) -> Rows:
    """A transposed convolution."""
    (step, across), (above, beside), (more, wide) = _pair(stride), _pair(padding), _pair(output_padding)
    reach, weights = weight.shape[2], _in_the_kind_of_the_moment(weight, bias)
    if _pair(dilation) != (1, 1) or more > above:
        raise UnsupportedError("a transposed convolution")

    def needs(first: int, end: int) -> Span:
        return -(-(first + above - reach + 1) // step), (end - 1 + above) // step + 1

    def make(parts: list[Tensor], first: int, end: int) -> Tensor:
        top = max(0, needs(first, end)[0]) * step - above
        rows = F.conv_transpose2d(parts[0], *weights(), (step, across), (0, beside), (0, wide), groups)
        return rows[..., first - top : end - top, :]

    height = (x.height - 1) * step - 2 * above + reach + more
    width = (x.shape[-1] - 1) * across - 2 * beside + weight.shape[3] + wide
    return Rows((x.shape[0], weight.shape[1] * groups, height, width), [x], needs, make)


def _scaled_up(function: Callable[[Tensor], Tensor], channels: int, factor: int, x: Rows) -> Rows:
    def make(parts: list[Tensor], first: int, end: int) -> Tensor:
        top = first // factor * factor
        return function(parts[0])[..., first - top : end - top, :]

    shape = (x.shape[0], channels, factor * x.height, factor * x.shape[-1])
    return Rows(shape, [x], lambda first, end: (first // factor, -(-end // factor)), make)


def _scaled_down(function: Callable[[Tensor], Tensor], channels: int, factor: int, x: Rows) -> Rows:
    shape = (x.shape[0], channels, x.height // factor, x.shape[-1] // factor)
    return Rows(
        shape, [x], lambda first, end: (first * factor, end * factor), lambda parts, first, end: function(parts[0])
    )


def _shuffled(x: Rows, factor: int) -> Rows:
    return _scaled_up(partial(F.pixel_shuffle, upscale_factor=factor), x.shape[1] // factor**2, factor, x)


def _unshuffled(x: Rows, factor: int) -> Rows:
    return _scaled_down(partial(F.pixel_unshuffle, downscale_factor=factor), x.shape[1] * factor**2, factor, x)


def _repeated(x: Rows, size=None, scale_factor=None, mode="nearest", **more) -> Rows:
    if size is not None or mode != "nearest" or scale_factor != int(scale_factor):
        raise UnsupportedError("interpolation")
    nearest = partial(F.interpolate, scale_factor=int(scale_factor), mode="nearest")
    return _scaled_up(nearest, x.shape[1], int(scale_factor), x)


def _pooled(pool: Callable[..., Tensor], x: Rows, kernel_size, stride=None, padding=0, **more) -> Rows:
    factor, _ = _pair(kernel_size)
    if _pair(kernel_size) != _pair(stride or kernel_size) or _pair(padding) != (0, 0) or len({*_pair(kernel_size)}) > 1:
        raise UnsupportedError("pooling")
    return _scaled_down(partial(pool, kernel_size=factor), x.shape[1], factor, x)


def _bent(x: Rows, weight: Tensor) -> Rows:
    """PReLU as the larger of two, which it is where no slope is over 1; PyTorch's own is five times as slow in bf16."""
    if float(weight.max()) > 1:
        return rowwise(F.prelu, x, weight)
    slopes = weight.view(-1, 1, 1)

    def larger(part: Tensor, out: Tensor | None = None) -> Tensor:
        steep = torch.mul(part, slopes.to(part.dtype), out=out)
        return torch.maximum(part, steep, out=steep)

    return rowwise(larger, x, into=larger)


_SPECIAL = {
    F.conv2d: _convolved,
    F.prelu: _bent,
    F.conv_transpose2d: _grown,
    F.pixel_shuffle: _shuffled,
    F.pixel_unshuffle: _unshuffled,
    F.interpolate: _repeated,
    F.max_pool2d: partial(_pooled, F.max_pool2d),
    torch.max_pool2d: partial(_pooled, F.max_pool2d),
    F.avg_pool2d: partial(_pooled, F.avg_pool2d),
}
_INTO = {torch.add: torch.add, **dict.fromkeys((torch.relu, F.relu), partial(torch.clamp_min, min=0))}
_ROWWISE = {
    torch.cat, torch.stack, torch.where, torch.relu, torch.sigmoid, torch.tanh, F.relu, F.leaky_relu, F.softplus,
}  # fmt: skip


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
        part = padded(part.to(restorer.own_kind(part.dtype)), (left, right, 0, 0), restorer.padding)
        return part.contiguous(memory_format=torch.channels_last)

    def constant(plane: Tensor) -> Rows:
        level = plane[..., :1, :1].to(restorer.own_kind(plane.dtype))
        shape = (len(plane), 1, len(place), wide)
        return Rows(shape, [], _same, lambda parts, first, end: level.expand(*shape[:2], end - first, wide))

    with torch.no_grad():
        sample = read(slice(0, 1))
        planes = [constant(plane) for plane in restorer.told(sample, *levels)]
        result = restorer(Rows((*sample.shape[:2], len(place), wide), [], _same, image), *planes)
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
