"""Scratches: which lines are taken for some, how the regressions add up, and how they are filled once that is asked."""

import json

import numpy as np
import pytest
from scipy import ndimage

from restoration import scratches as search
from restoration.__main__ import main
from restoration.diagnosis import scratches
from restoration.files import read, write
from restoration.image import Image, enlarged
from restoration.inpainting import Mask
from restoration.orders import Order, replay
from restoration.page.masks import strokes
from restoration.page.photo_tab import ChainRuns, ChainTab
from restoration.receipts import read_receipt
from restoration.regression import Regression
from restoration.ridges import points_of
from restoration.running import finish
from restoration.scratches import find_scratches
from restoration.tasks import named
from restoration.tasks.photo import UNSCRATCHED
from train.scratches import scratched


def landscape(height: int = 200, width: int = 300) -> np.ndarray:
    """Smooth ground with some grain and one strong edge, (H, W, 3) in levels."""
    random = np.random.default_rng(0)
    ground = ndimage.gaussian_filter(random.normal(0, 1, (height, width, 3)), (25, 25, 0))
    ground = 120 + 30 * ground / ground.std()
    ground[height // 2 :] += 60
    return ground + random.normal(0, 4, ground.shape)


def line(height: int, width: int) -> np.ndarray:
    """The pixels (H, W) of a slanted line 2 px wide that begins and ends inside the picture."""
    y, x = np.mgrid[:height, :width]
    return (np.abs(y - 0.4 * x - 20) < 1.1) & (x > width // 10) & (x < 0.9 * width) & (y < height - 10)


def picture(samples: np.ndarray) -> Image:
    return Image(samples.clip(0, 255).round().astype(np.uint8))


@pytest.fixture(scope="module")
def clean() -> Image:
    return picture(landscape())


@pytest.fixture(scope="module")
def hurt() -> Image:
    return picture(landscape() + 50 * line(200, 300)[..., None])


def test_a_line_is_told_what_else_is_in_the_picture_for_its_area():
    scores, lengths = np.array([9.0, 9.0, -1.0, -9.0]), np.array([10.0, 30.0, 50.0, 70.0])
    clear = lengths / (1 + np.exp(1.5 * (1 - scores)))
    for height, width in ((150, 100), (600, 400)):
        share = height * width / 15_000
        told = search.company(scores, lengths, (height, width))
        assert np.allclose(told[:, 0], scores)
        assert np.allclose(np.expm1(told[:, 1]) * share, clear.sum() - clear)
        assert np.allclose(told[:, 2], scores * told[:, 1])
        assert np.allclose(np.expm1(told[:, 3]) * share, 50)  # the one that is doubtful


@pytest.mark.parametrize("offset", [50, -50])
def test_a_light_or_dark_line_is_found_over_an_edge_and_little_else(offset):
    found = find_scratches(picture(landscape() + offset * line(200, 300)[..., None]))
    assert found.marks[line(200, 300)].mean() > 0.9
    assert found.marks[~ndimage.binary_dilation(line(200, 300), iterations=4)].mean() < 0.002
    assert found.count in (1, 2)


@pytest.mark.parametrize("offset", [60, -60])
def test_a_scratch_with_gaps_is_one_and_neighbours_are_two(offset):
    y, x = np.mgrid[:300, :400]
    ways = [np.abs(y - slope * x - start) < 1.1 for slope, start in ((0.1, 40), (0.1, 52), (0.2, 180))]
    seen = np.any(ways, 0) & (x % 130 > 22)
    found = find_scratches(picture(landscape(300, 400) + offset * seen[..., None]))
    assert found.marks[seen].mean() > 0.9
    assert found.count == 3


def test_an_edge_and_many_equal_lines_are_no_scratches(clean):
    assert find_scratches(clean).count == 0
    grating = landscape() + 40 * (np.arange(300) % 8 < 2)[None, :, None]
    assert find_scratches(picture(grating)).marks.mean() < 0.005


@pytest.mark.parametrize("size", [(640, 960), (660, 1000), (900, 1400)])  # within the limit, just over it, twice over
def test_scratches_and_dust_of_larger_pictures_are_found_at_nearly_their_size(size):
    y, x = np.mgrid[: size[0], : size[1]]
    scratch = (np.abs(y - 0.2 * x - 60) < 1.4) & (x > 100) & (x < size[1] - 100)
    specks = np.zeros(size, bool)
    rows, columns = np.random.default_rng(1).integers(20, np.array(size)[:, None] - 20, (2, 60))
    specks[rows, columns] = True
    specks = ndimage.binary_dilation(specks, ndimage.generate_binary_structure(2, 1), iterations=2)
    found = find_scratches(picture(landscape(*size) + 50 * (scratch | specks)[..., None]))
    assert found.marks.shape == size
    assert found.marks[scratch].mean() > 0.9
    assert found.marks[specks].mean() > 0.7
    assert found.marks[~ndimage.binary_dilation(scratch | specks, iterations=6)].mean() < 0.002


def test_depth_and_grey_make_no_difference_in_kind(hurt):
    deep = Image(hurt.samples.astype(np.uint16) * 257)
    np.testing.assert_array_equal(find_scratches(deep).marks, find_scratches(hurt).marks)
    grey = Image(hurt.samples[..., 1:2])
    assert find_scratches(grey).marks[line(200, 300)].mean() > 0.9


def test_a_picture_is_searched_once(hurt, monkeypatch):
    first, searched = find_scratches(hurt), []
    monkeypatch.setattr(search, "points_of", lambda samples: searched.append(samples.shape) or points_of(samples))
    again = find_scratches(Image(hurt.samples.copy()))
    assert not searched and again.count == first.count
    np.testing.assert_array_equal(again.marks, first.marks)
    assert find_scratches(Image(np.ascontiguousarray(hurt.samples.swapaxes(0, 1)))).marks.shape == (300, 200)
    assert searched == [(300, 200, 3)]
    for number in range(search.REMEMBERED):
        find_scratches(Image(np.full((4, 4, 3), number, np.uint8)))
    find_scratches(hurt)
    assert searched[-1] == (200, 300, 3), "what was not asked for is forgotten"


def test_a_large_picture_is_searched_at_a_fraction_and_marked_at_its_size(hurt):
    large = enlarged(hurt, 4)
    found = find_scratches(large)
    assert found.marks.shape == (800, 1200)
    there = line(200, 300).repeat(4, 0).repeat(4, 1)
    assert found.marks[there].mean() > 0.8


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (40, 8), (30, 30)])
def test_a_picture_of_any_size_can_be_searched(size):
    found = find_scratches(Image(np.full((*size, 3), 90, np.uint8)))
    assert found.marks.shape == size
    assert found.count == 0


def test_a_regression_adds_weighted_traits_their_knees_and_products():
    traits = np.array([[2.0, 4.0], [np.nan, 3.0]])
    weights = np.zeros(2 * 4 + 3 + 1)
    weights[0], weights[-1] = 3.0, 0.5  # the first trait, and the constant
    weights[6] = 10.0  # what the first has above the knee at 1
    weights[9] = 7.0  # the product of the two
    judge = Regression(np.array([0.0, 3.0]), np.array([1.0, 2.0]), weights, products=True)
    assert judge.scores(traits) == pytest.approx([3 * 2 + 10 * 1 + 7 * 2 * 0.5 + 0.5, 0.5])


def test_drawn_scratches_lie_where_they_are_said_to(clean):
    damaged, drawn = scratched(clean, 3)
    assert len(drawn) >= 3
    again, _ = scratched(clean, 3)
    np.testing.assert_array_equal(damaged.samples, again.samples)
    strong = max(drawn, key=lambda each: abs(each.offset))
    places = tuple(np.rint(strong.path).astype(int).T)
    change = (damaged.samples.astype(float) - clean.samples)[places].mean()
    assert np.sign(change) == np.sign(strong.offset) and abs(change) > 15
    for each in drawn:
        assert 1 <= each.width <= 4 and 20 <= abs(each.offset) <= 80


def test_scratches_are_told_and_never_filled_unasked(hurt, clean):
    finding, hole = scratches(hurt)
    assert finding.words in ("scratches: 1 thin line", "scratches: 2 thin lines")
    assert finding.offered and not finding.advised and hole.share > 0
    assert not scratches(clean)[0].offered
    unasked = finish(Order("photo", settings={"denoise": False, "artifacts": False}).run(hurt))
    np.testing.assert_array_equal(unasked.picture.samples, hurt.samples)


ALONE = {"denoise": False, "artifacts": False, "scratches": True}


def test_asked_for_they_are_filled_and_the_receipt_repeats_it(hurt, clean):
    done = finish(Order("photo", settings=ALONE).run(hurt))
    there = line(200, 300)
    before, after = (
        np.abs(image.samples.astype(float) - clean.samples)[there].mean() for image in (hurt, done.picture)
    )
    assert after < before / 3
    receipt = json.loads(done.files()[1])
    assert [(part["task"], part["model"]) for part in receipt["chain"]] == [("inpaint", "fourier-fill")]
    assert "hole_sha256" in receipt["chain"][0]
    assert finish(replay(receipt, hurt)).same


def test_what_somebody_marked_is_filled_instead_and_repeated(hurt):
    marked = np.zeros((200, 300), np.float32)
    marked[20:24, 30:200] = 1
    done = finish(Order("photo", settings=ALONE).run(hurt, Mask(marked)))
    changed = (done.picture.samples != hurt.samples).any(2)
    assert changed[20:24, 30:200].mean() > 0.5
    assert not changed[60:].any()
    receipt = json.loads(done.files()[1])
    assert finish(replay(receipt, hurt)).same
    inside = json.loads(done.signed.receipt)
    with pytest.raises(ValueError, match="does not hold the mask"):
        finish(replay(inside, hurt))


def test_nothing_found_or_everything_erased_is_said(hurt, clean):
    for image, hole in ((clean, None), (hurt, Mask(np.zeros((200, 300), np.float32)))):
        done = finish(Order("photo", settings=ALONE).run(image, hole))
        assert done.notes == (UNSCRATCHED,)
        np.testing.assert_array_equal(done.picture.samples, image.samples)
        assert done.receipt["settings"]["scratches"] is False


def test_the_command_line_asks_for_it(hurt, tmp_path, capsys):
    write(hurt, tmp_path / "photo.png")
    arguments = ["photo", str(tmp_path / "photo.png"), "-o", str(tmp_path / "a.png"), "--no-denoise", "--no-artifacts"]
    assert main([*arguments, "--scratches"]) == 0
    assert "scratches and dust removed" in capsys.readouterr().out
    assert read_receipt(tmp_path / "a.png")["settings"]["scratches"] is True


def test_the_page_shows_what_would_be_filled_and_fills_what_is_left(hurt, tmp_path):
    write(hurt, tmp_path / "photo.png")
    path = str(tmp_path / "photo.png")
    tab = ChainTab(named("photo"))
    marking = tab.mark(path, True)  # whose files go with it
    canvas, marked_in = next(marking)
    assert marked_in == path
    shown = read(canvas["value"]["background"]).samples.astype(int)
    found = find_scratches(hurt).marks
    reddened = (shown != hurt.samples).any(2)
    np.testing.assert_array_equal(reddened, found)
    assert (shown[found] - hurt.samples[found])[:, 0].mean() > 40
    kept, nothing = (np.arange(300) >= 150) & np.ones((200, 1), bool), np.zeros((200, 300), np.float32)
    layer = tmp_path / "layer.png"
    write(strokes(Mask(nothing, avoided=kept), hurt), layer)  # painted blue
    runs = ChainRuns(named("photo"))
    values = (False, False, True, 0, "png", 95, {**canvas["value"], "layers": [str(layer)]}, path, path)
    running = runs.run(lambda *_, **__: None, path, "steps", *values)  # whose files go with it
    shown = next(step for step in running if isinstance(step[0], tuple))
    result = read(shown[0][1])
    changed = (result.samples != hurt.samples).any(2)
    assert changed[:, :140].any()
    assert not changed[:, 160:].any()


def test_ticking_counts_for_its_own_picture_alone():
    runs = ChainRuns(named("photo"))
    assert runs.ordered("steps", (False, False, True, 0, "a.png", "a.png")).settings["scratches"] is True
    assert runs.ordered("steps", (False, False, True, 0, "a.png", "b.png")).settings["scratches"] is False
    hidden = next(ChainTab(named("photo")).mark("a.png", False))
    assert hidden[0]["visible"] is False
