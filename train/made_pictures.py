"""Twelve pictures with holes, behind which it is plain what goes on, so that the error of a fill can be told."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

SIDE = 384  # of the pictures, in pixels
FINER = 4  # they are drawn so many times as large and averaged, so that edges are smooth
_INK, _PAPER = np.array([0.15, 0.2, 0.3]), np.array([0.9, 0.85, 0.75])


@cache
def made_pictures() -> list[tuple[str, Tensor, Tensor]]:
    """Names, pictures (1, 3, H, W) in [0, 1] and masks (1, 1, H, W), 1 = missing."""
    y, x = np.mgrid[: SIDE * FINER, : SIDE * FINER].astype(np.float32) / FINER
    drawn = [
        *((f"stripes {angle}", _stripes(y, x, angle, period), hole) for angle, period, hole in _STRIPES),
        ("bricks", _bricks(y, x, 32, 16), (128, 96)),
        ("large bricks", _bricks(y, x, 56, 24), (160, 160)),
        ("edge of a ramp", _ramp(y, x, 12), (160, 120)),
        ("edge of a steep ramp", _ramp(y, x, 35), (100, 140)),
        ("crossing lines", _lines(y, x, (30, -40)), (96, 96)),
        ("crossing bars", _lines(y, x, (0, 90), 9), (128, 128)),
        ("rows of text", _text(y, x, 24), (72, 160)),
        ("rows of small text", _text(y, x, 16), (64, 200)),
    ]
    found = []
    for name, ink, hole in drawn:
        ink = ink.reshape(SIDE, FINER, SIDE, FINER).mean((1, 3))[..., None]
        picture = torch.from_numpy(_PAPER + (_INK - _PAPER) * ink).permute(2, 0, 1)[None].float()
        mask = torch.zeros(1, 1, SIDE, SIDE)
        top, left = (SIDE - hole[0]) // 2, (SIDE - hole[1]) // 2
        mask[..., top : top + hole[0], left : left + hole[1]] = 1
        found.append((name, picture, mask))
    return found


_STRIPES = ((0, 22, (128, 128)), (25, 18, (200, 120)), (60, 26, (160, 160)), (90, 15, (64, 200)))


def _stripes(y: np.ndarray, x: np.ndarray, angle: float, period: float) -> np.ndarray:
    across = x * np.sin(np.deg2rad(angle)) + y * np.cos(np.deg2rad(angle))
    return (across / period % 1 < 0.4).astype(np.float32)


def _bricks(y: np.ndarray, x: np.ndarray, width: int, height: int) -> np.ndarray:
    row = y // height
    joint = (y % height < 3) | ((x + row % 2 * width / 2) % width < 3)
    return np.where(joint, 0.1, 0.75).astype(np.float32)


def _ramp(y: np.ndarray, x: np.ndarray, angle: float) -> np.ndarray:
    """Dark below a straight edge, above it the lighter the higher."""
    below = (y - SIDE / 2) * np.cos(np.deg2rad(angle)) + (x - SIDE / 2) * np.sin(np.deg2rad(angle))
    return np.where(below > 0, 0.9, 0.5 * y / SIDE).astype(np.float32)


def _lines(y: np.ndarray, x: np.ndarray, angles: tuple[float, float], width: float = 5) -> np.ndarray:
    ink = np.zeros_like(y)
    for angle in angles:
        across = (x - SIDE / 2) * np.sin(np.deg2rad(angle)) + (y - SIDE / 2) * np.cos(np.deg2rad(angle))
        ink = np.maximum(ink, np.abs(across) < width / 2)
    return ink.astype(np.float32)


def _text(y: np.ndarray, x: np.ndarray, height: int) -> np.ndarray:
    """The same word of six letters, again and again in every row, with a blank after it."""
    dots = np.random.default_rng(3).random((5, 6, 4)) < 0.55  # letters of 5 x 3 dots, a column apart
    dots[..., 3] = False
    word = np.concatenate([*dots.transpose(1, 0, 2), np.zeros((5, 3), bool)], axis=1)
    dot = height / 8
    row, column = (y % height // dot).astype(int), (x // dot).astype(int) % word.shape[1]
    return np.where(row < 5, word[row.clip(0, 4), column], False).astype(np.float32)
