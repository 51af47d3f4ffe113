"""What a model makes of a small picture: by this weights are recognised as those that were published.

The answer is computed when a model is saved and lies in its `run.json`.  It notices what a checksum would, where there
is none to be trusted: weights that are zero, scaled, noise, or hit in an exponent.
"""

import copy

import numpy as np
import torch
from torch import nn

KEY = "probe"  # in run.json
SIDE = 24  # of the picture, in pixels
PLACES = 128  # of the result that are kept
LEAST_PSNR = 60.0  # dB between two machines' answers; rounding costs far less
CLOSE = 1e-8  # relative difference of two machines' sums


def answer(model: nn.Module) -> str:
    """The sum of the weights' sizes, and some samples of the result for the picture, as text."""
    return " ".join([f"{_sum(model):.12g}", *(f"{value:.5f}" for value in _samples(model))])


def matches(model: nn.Module, expected: object) -> bool:
    """Whether a model answers as it did when it was saved.

    Args:
        expected: what `answer` gave then.
    """
    try:
        values = np.array(str(expected).split(), dtype=float)
    except ValueError:
        return False
    if len(values) != PLACES + 1 or not np.isfinite(values).all():
        return False
    if not abs(values[0] - _sum(model)) <= CLOSE * values[0]:
        return False
    return float(np.square(values[1:] - _samples(model)).mean()) <= 10 ** (-LEAST_PSNR / 10)


def _sum(model: nn.Module) -> float:
    return sum(float(kernel.detach().double().abs().sum()) for kernel in model.parameters())


def _samples(model: nn.Module) -> np.ndarray:
    model = copy.deepcopy(model).cpu().float().eval()  # as it is loaded
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = [0.5 + 0.3 * np.sin(9 * rows + (4 + channel) * columns) for channel in range(model.channels)]
    noise = np.random.default_rng(0).normal(0, 0.1, (model.channels, SIDE, SIDE))
    image = torch.from_numpy((np.stack(waves) + noise).clip(0, 1).astype(np.float32))[None]
    if model.task == "inpaint":
        mask = torch.zeros(1, 1, SIDE, SIDE)
        hole = (..., slice(8, 16), slice(8, 16))
        mask[hole] = 1
        result = model.restore(image, mask)[hole]
    else:
        told = {"denoise": {"sigma": 0.1}, "artifacts": {"quality": 40}}.get(model.task, {})
        result = model.restore(image, **told)
    values = result.flatten().double().numpy()
    return values[np.linspace(0, len(values) - 1, PLACES).round().astype(int)]
