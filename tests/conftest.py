"""What several test files need: threads, and pictures made on the spot."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import numpy as np
import pytest
import torch

from restoration.image import Image

torch.set_num_threads(2)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def photo(rng) -> Image:
    """A 90 x 70 colour picture with flat areas, edges and texture."""
    y, x = np.mgrid[:70, :90]
    planes = [0.5 + 0.4 * np.sin(x / 9), (x > 40) * 0.6 + 0.2, ((x // 6 + y // 6) % 2) * 0.5 + 0.25]
    return Image(np.rint(np.stack(planes, axis=-1) * 255).astype(np.uint8), name="photo")
