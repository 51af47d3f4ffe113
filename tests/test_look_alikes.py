"""What looks like what is removed is not set in its place again."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from skimage import data as pictures

from restoration import inpainting
from restoration.files import read
from restoration.image import Image
from restoration.inpainting import Mask, inpaint, mask_from
from restoration.look_alikes import look_alikes
from restoration.running import finish
from train.holes import OBJECTS

SIZE = 160, 220
MIDDLES = [(row, column) for row in (30, 80, 130) for column in (30, 70, 110, 150, 190)]


def rough(size: tuple[int, int], seed: int) -> np.ndarray:
    """Texture (H, W) with a mean of 0 and a standard deviation of 1."""
    values = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=size), 1.2)
    return values / values.std()


def disc(middle: tuple[int, int], radius: int) -> np.ndarray:
    return (
        np.hypot(*(axis - place for axis, place in zip(np.ogrid[: SIZE[0], : SIZE[1]], middle, strict=True))) < radius
    )


OTHERS = np.any([disc(middle, 13) for middle in MIDDLES if middle != (80, 110)], 0)
ONE = disc((80, 110), 15)


def coins(channels: int = 3, bits: int = 8) -> Image:
    """Bright coins, all different, on a dark cloth; `ONE` is the hole of one of them."""
    light = 50 + 4 * rough(SIZE, 0)
    for number, middle in enumerate(MIDDLES):
        here = disc(middle, 13)
        light[here] = (170 + 25 * rough(SIZE, number + 1))[here]
    samples = np.repeat(light.clip(0, 255)[..., None], channels, 2)
    return Image(samples.astype(np.uint8) if bits == 8 else (257 * samples).astype(np.uint16))


@pytest.mark.parametrize(("channels", "bits"), [(3, 8), (1, 8), (3, 16)])
def test_the_other_coins_are_found_and_the_cloth_is_not(channels, bits):
    found = look_alikes(coins(channels, bits).samples, ONE, ~ONE)
    assert found[OTHERS].mean() > 0.95
    cloth = ~ndimage.binary_dilation(OTHERS | ONE, iterations=6)
    assert found[cloth].mean() < 0.05
    assert not found[ONE].any()


def test_no_coin_is_set_where_one_was_removed(monkeypatch):
    photo = Image(pictures.coins()[..., None])
    hole = mask_from(read(OBJECTS / "coins.png"), photo)

    def filled() -> np.ndarray:
        return finish(inpaint(photo, hole, "offset-fill")).image().samples[hole.opacity == 1]

    assert filled().mean() < 60  # cloth is between 30 and 60 there, coins between 100 and 200
    monkeypatch.setattr(inpainting, "look_alikes", lambda samples, hole, usable: np.zeros_like(hole))
    assert filled().mean() > 80


@pytest.mark.parametrize("seed", range(3))
def test_a_hole_in_what_is_the_same_all_around_has_none(seed):
    texture = (120 + 30 * rough(SIZE, seed)).clip(0, 255).astype(np.uint8)[..., None]
    assert not look_alikes(texture, ONE, ~ONE).any()


@pytest.mark.parametrize("hole", [disc((80, 110), 3), np.zeros(SIZE, bool), ~disc((80, 110), 3)])
def test_too_little_tells_nothing(hole):
    assert not look_alikes(coins().samples, hole, ~hole).any()


def test_what_may_not_be_copied_anyway_is_no_surroundings():
    left = np.zeros(SIZE, bool)
    left[:, :100] = True
    found = look_alikes(coins().samples, ONE, ~(ONE | left))
    assert not found[left].any() and found[OTHERS & ~left].mean() > 0.95


def test_nobody_knows_what_is_transparent():
    shown, alpha = coins(), np.where(ONE, 0, 255).astype(np.uint8)
    hidden = replace(shown, samples=np.where(ONE[..., None], 0, shown.samples).astype(np.uint8))
    fills = [
        finish(inpaint(replace(image, alpha=alpha), Mask(ONE.astype(np.float32)), "offset-fill")).image().samples
        for image in (shown, hidden)
    ]
    np.testing.assert_array_equal(*fills)
