"""Stacks of feature maps of which rows are computed when they are asked for, and the layers that work on them.

A network's `forward` takes `Rows` as it takes tensors, and so notes what is done to its inputs.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from math import inf

import torch
from torch import Tensor
from torch.nn import functional as F

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
        kind: the type of its values.
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

    __radd__ = __add__

    def __sub__(self, other):
        return rowwise(torch.sub, self, other)

    def __rsub__(self, other):
        return rowwise(torch.rsub, self, other)

    def __mul__(self, other):
        return rowwise(torch.mul, self, other)

    __rmul__ = __mul__

    def __truediv__(self, other):
        return rowwise(torch.div, self, other)

    def __lt__(self, other):
        return rowwise(torch.lt, self, other)

    def to(self, kind: torch.dtype):
        return self if kind == self.kind else rowwise(partial(Tensor.to, dtype=kind), self, into=_copied)

    def float(self):
        return self.to(torch.float32)

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
            self.kind,
        )


def same(first: int, end: int) -> Span:
    return first, end


def _copied(part: Tensor, out: Tensor) -> Tensor:
    return out.copy_(part)


def _added(first: Tensor, second: Tensor | float, out: Tensor) -> Tensor:
    """PyTorch's own sum of bf16 and fp32 takes twice as long as to copy the one and add the other."""
    if not isinstance(second, Tensor) or first.dtype == second.dtype:
        return torch.add(first, second, out=out)
    few, full = (first, second) if second.dtype == out.dtype else (second, first)
    return out.copy_(few).add_(full)


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
        same,
        lambda parts, first, end: made(parts),
        sample.dtype,
        into and (lambda parts, place: made(parts, partial(into, out=place))),
    )


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, str):
        raise UnsupportedError("padding by name")
    return (value, value) if isinstance(value, int) else tuple(value)


def _kind_of_the_moment(weight: Tensor) -> torch.dtype:
    """That a layer computes in."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else weight.dtype


def _in_the_kind_of_the_moment(*weights: Tensor | None) -> Callable[[], Sequence[Tensor | None]]:
    """A layer's weights as autocast would have them, which are brought to it once and not for every strip."""

    @lru_cache
    def brought(kind: torch.dtype) -> Sequence[Tensor | None]:
        return [each if each is None else each.to(kind) for each in weights]

    return lambda: brought(_kind_of_the_moment(weights[0]))


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
    return Rows((x.shape[0], weight.shape[0], height, width), [x], needs, make, _kind_of_the_moment(weight))


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
    return Rows((x.shape[0], weight.shape[1] * groups, height, width), [x], needs, make, _kind_of_the_moment(weight))


def _scaled_up(function: Callable[[Tensor], Tensor], channels: int, factor: int, x: Rows) -> Rows:
    def make(parts: list[Tensor], first: int, end: int) -> Tensor:
        top = first // factor * factor
        return function(parts[0])[..., first - top : end - top, :]

    shape = (x.shape[0], channels, factor * x.height, factor * x.shape[-1])
    return Rows(shape, [x], lambda first, end: (first // factor, -(-end // factor)), make, x.kind)


def _scaled_down(function: Callable[[Tensor], Tensor], channels: int, factor: int, x: Rows) -> Rows:
    shape = (x.shape[0], channels, x.height // factor, x.shape[-1] // factor)
    return Rows(
        shape,
        [x],
        lambda first, end: (first * factor, end * factor),
        lambda parts, first, end: function(parts[0]),
        x.kind,
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
_INTO = {torch.add: _added, **dict.fromkeys((torch.relu, F.relu), partial(torch.clamp_min, min=0))}
_ROWWISE = {
    torch.cat, torch.stack, torch.where, torch.relu, torch.sigmoid, torch.tanh, F.relu, F.leaky_relu, F.softplus,
}  # fmt: skip
