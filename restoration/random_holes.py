"""Holes drawn at random: masks (count, 1, H, W), 1 where pixels are missing."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor


class Holes(Protocol):
    """Draws masks (count, 1, H, W), 1 where pixels are missing, with randomness from `generator`."""

    def __call__(self, count: int, size: tuple[int, int], generator: Generator) -> Tensor: ...


@dataclass(frozen=True)
class StrokeHoles:
    """Free-form holes: winding brush strokes that cover exactly the share that is drawn.

    Args:
        low, high: range of the share of missing pixels, uniform.
        strokes: how many, each of `corners` straight pieces.
        reach: mean length of a piece, as a share of the longer side; short ones on many strokes look like writing.
    """

    low: float
    high: float
    strokes: int = 4
    corners: int = 6
    reach: float = 0.2

    def __post_init__(self):
        _check_share(self.low, self.high)

    def __call__(self, count: int, size: tuple[int, int], generator: Generator) -> Tensor:
        device, side = generator.device, max(size)
        draw = torch.rand(4, count, self.strokes, self.corners, generator=generator, device=device)
        start = draw[:2, ..., :1] * torch.tensor(size, device=device).view(2, 1, 1, 1)
        heading = (2 * math.pi * draw[2, ..., :1]) + (2.4 * (draw[2, ..., 1:] - 0.5)).cumsum(-1)
        length = 2 * self.reach * side * draw[3, ..., 1:]
        steps = torch.stack([heading.sin(), heading.cos()]) * length
        points = torch.cat([start, start + steps.cumsum(-1)], dim=-1)  # (2, count, strokes, corners)
        thickness = draw[3, ..., :1] * side / 16
        rows = torch.arange(size[0], device=device).view(1, -1, 1).float()
        columns = torch.arange(size[1], device=device).view(1, 1, -1).float()
        nearest = torch.full((count, *size), math.inf, device=device)
        for stroke in range(self.strokes):
            for piece in range(self.corners - 1):
                y, x = points[:, :, stroke, piece].reshape(2, count, 1, 1)
                dy, dx = (points[:, :, stroke, piece + 1] - points[:, :, stroke, piece]).reshape(2, count, 1, 1)
                along = (((rows - y) * dy + (columns - x) * dx) / (dy**2 + dx**2 + 1e-6)).clamp(0, 1)
                distance = torch.hypot(rows - y - along * dy, columns - x - along * dx)
                nearest = torch.minimum(nearest, distance - thickness[:, stroke].view(count, 1, 1))
        share = self.low + (self.high - self.low) * torch.rand(count, generator=generator, device=device)
        return _nearest_share(nearest, share)


@dataclass(frozen=True)
class BoxHoles:
    """One rectangle anywhere that covers the share that is drawn, from `low` to `high`."""

    low: float
    high: float

    def __post_init__(self):
        _check_share(self.low, self.high)

    def __call__(self, count: int, size: tuple[int, int], generator: Generator) -> Tensor:
        device = generator.device
        draw = torch.rand(4, count, 1, 1, 1, generator=generator, device=device)
        area = (self.low + (self.high - self.low) * draw[0]) * size[0] * size[1]
        height = (area.sqrt() * torch.exp(draw[1] - 0.5)).clamp(max=size[0])
        width = (area / height).clamp(max=size[1])
        height = (area / width).clamp(max=size[0])
        top, left = draw[2] * (size[0] - height), draw[3] * (size[1] - width)
        rows = torch.arange(size[0], device=device).view(-1, 1) + 0.5
        columns = torch.arange(size[1], device=device) + 0.5
        inside = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
        return inside.float()


@dataclass(frozen=True)
class PixelHoles:
    """Every pixel is missing with probability `share`."""

    share: float

    def __post_init__(self):
        _check_share(self.share, self.share)

    def __call__(self, count: int, size: tuple[int, int], generator: Generator) -> Tensor:
        draw = torch.rand(count, 1, *size, generator=generator, device=generator.device)
        return (draw < self.share).float()


def _check_share(low: float, high: float) -> None:
    if not 0 < low <= high < 1:
        raise ValueError(f"a share of missing pixels must lie between 0 and 1, got {low} to {high}")


def _nearest_share(distance: Tensor, share: Tensor) -> Tensor:
    """Masks (B, 1, H, W) of the pixels with the smallest distances (B, H, W), as many as the share (B,) says."""
    flat = distance.flatten(1)
    order = flat.argsort(1).argsort(1)
    kept = order < (share * flat.shape[1]).round().clamp(min=1).view(-1, 1)
    return kept.view(len(distance), 1, *distance.shape[1:]).float()
