"""What `auto` takes, that it says so, and that its receipt takes the same again."""

import json

import numpy as np
import pytest
from skimage import data

from restoration.fill_choice import STRAINED, Choice, choose
from restoration.graph_cut import finished
from restoration.image import Image
from restoration.inpainting import Mask, inpaint
from restoration.offset_fill import Solved
from restoration.orders import Order, replay
from restoration.running import finish


def box(side: int, size: int = 160) -> np.ndarray:
    missing = np.zeros((size, size), bool)
    missing[20 : 20 + side, 30 : 30 + side] = True
    return missing


def cross(width: int, size: int = 160) -> np.ndarray:
    missing = np.zeros((size, size), bool)
    for part in (missing, missing.T):
        part[(size - width) // 2 : (size + width) // 2, 4:-4] = True
    return missing


def chosen(missing: np.ndarray, cost: float = 0.0) -> Choice:
    def solve():
        yield
        return Solved([], np.zeros((0, 2), int), np.zeros(missing.shape, int), cost)

    return finished(choose(missing, solve))


@pytest.mark.parametrize("missing, cost, name, texture", [
    (box(3), 0.0, "fourier-fill", False),
    (box(20), 0.0, "fourier-fill", True),
    (box(100), 0.0, "offset-fill", True),
    (cross(24), 0.0, "fourier-fill", True),  # of strokes, though wide
    (cross(24) | box(100), 0.0, "offset-fill", True),
    (box(100), STRAINED * 2, "fourier-fill", True),
    (box(100), np.inf, "fourier-fill", True),
])  # fmt: skip
def test_thin_holes_large_ones_and_those_without_anything_alike(missing, cost, name, texture):
    choice = chosen(missing, cost)
    assert (choice.name, choice.texture) == (name, texture)
    assert choice.reason.startswith("Chosen: ")


def test_what_copies_cost_is_not_asked_for_thin_holes():
    def solve():
        raise AssertionError
        yield

    assert finished(choose(box(5), solve)).name == "fourier-fill"


@pytest.mark.slow
@pytest.mark.parametrize("side", [4, 100])
def test_the_default_says_what_it_took_and_its_receipt_takes_the_same(side):
    image = Image(np.ascontiguousarray(data.grass()[:160, :160, None]), name="grass")
    hole = Mask(box(side).astype(np.float32))
    order = Order("inpaint", settings={"grow": 0, "feather": 0})
    assert order.model == "auto"
    done = finish(order.run(image, hole))
    assert done.order.model == ("fourier-fill" if side == 4 else "offset-fill")
    assert done.notes[0].startswith("Chosen: ")
    receipt = json.loads(json.dumps(done.receipt))
    assert receipt["asked"]["model"] == "auto"
    content = done.files()[1]
    again = finish(replay(json.loads(content), image))
    assert again.same
    assert again.result.order == done.order
    by_name = Order("inpaint", done.order.model, done.order.settings)
    assert finish(by_name.run(image, hole)).picture.digest == done.picture.digest


@pytest.mark.slow
def test_variants_are_other_fills_of_the_same_hole():
    image = Image(np.ascontiguousarray(data.grass()[:160, :160, None]), name="grass")
    hole = Mask(box(100).astype(np.float32))
    fills = [finish(inpaint(image, hole, variant=variant)).image().digest for variant in range(4)]
    assert len(set(fills)) == 4
    with pytest.raises(ValueError, match="variant goes from 0 to 3, not 4"):
        Order("inpaint", settings={"variant": 4})
