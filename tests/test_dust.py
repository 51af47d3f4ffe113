"""Dust: which specks are taken for some and told with the scratches, and what is none."""

import json

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import ndimage

from restoration import dust
from restoration.diagnosis import scratches
from restoration.dust import LEAST, TRAITS, find_dust, regular, specks_of
from restoration.image import Image
from restoration.orders import Order
from restoration.running import finish
from restoration.scratches import find_scratches
from train.scratches import dusty, specks_found

SIZE = 240, 320


def ground(texture: float, seed: int = 0) -> np.ndarray:
    """Smooth ground of some colour with an edge and grain (H, W, 3); texture is the deviation of soft clouds on it."""
    random = np.random.default_rng(seed)
    soft, fine = (ndimage.gaussian_filter(random.normal(0, 1, (*SIZE, 1)), (sigma, sigma, 0)) for sigma in (25, 2.5))
    levels = np.array([130, 115, 95]) + 20 * soft / soft.std() + texture * fine / fine.std()
    levels[:, SIZE[1] // 2 :] += 30
    return levels + random.normal(0, 3, levels.shape)


def specks(count: int, across: tuple[float, float], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """How much specks that do not touch cover (H, W), and their middles (N, 2)."""
    random = np.random.default_rng(seed)
    covered, middles = np.zeros(SIZE), []
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    while len(middles) < count:
        middle = random.uniform(12, np.array(SIZE) - 12)
        if all(np.hypot(*(middle - other)) > 22 for other in middles) and abs(middle[1] - SIZE[1] / 2) > 8:
            far = np.hypot(y - middle[0], x - middle[1])
            covered = np.maximum(covered, (random.uniform(*across) / 2 + 0.5 - far).clip(0, 1))
            middles.append(middle)
    return covered, np.rint(middles).astype(int)


def picture(levels: np.ndarray) -> Image:
    return Image(levels.clip(0, 255).round().astype(np.uint8))


def found_in(samples: np.ndarray) -> tuple[np.ndarray, int]:
    return find_dust(samples, np.zeros(samples.shape[:2], bool))[:2]


@pytest.mark.parametrize("texture", [0, 6])
@pytest.mark.parametrize("across", [(2, 4), (4, 8)])
@pytest.mark.parametrize("offset", [45, -45])
@pytest.mark.parametrize("grey", [False, True])
def test_light_and_dark_specks_are_found_and_little_else(texture, across, offset, grey):
    covered, middles = specks(30, across)
    levels = ground(texture) + offset * covered[..., None]
    samples = picture(levels[..., 1:2] if grey else levels).samples
    marks, count = found_in(samples)
    assert marks[tuple(middles.T)].mean() >= 0.8
    assert marks[covered > 0.5].mean() > 0.75
    assert marks[~ndimage.binary_dilation(covered > 0, iterations=3)].mean() < 0.002
    assert 24 <= count <= 34


def text() -> np.ndarray:
    """Black letters on white."""
    page = Pillow.new("L", (SIZE[1], SIZE[0]), 245)
    draw = ImageDraw.Draw(page)
    for line in range(12):
        draw.text((10, 6 + 19 * line), "Dust, i.e. it is: all ... in, on; a film. Why? - No. 12." * 2, fill=20)
    return np.array(page)[..., None]


def dots(spacing: int, across: float, turn: float = 0.0) -> np.ndarray:
    """Dots at equal distances, in rows that may be turned."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    down, right = y * np.cos(turn) - x * np.sin(turn), y * np.sin(turn) + x * np.cos(turn)
    off = np.hypot((down + spacing / 2) % spacing - spacing / 2, (right + spacing / 2) % spacing - spacing / 2)
    return (across / 2 + 0.5 - off).clip(0, 1)[..., None]


NONE = {
    "flat": np.full((*SIZE, 3), 128.0),
    "plain": ground(0),
    "rough": ground(15),
    "grainy": ground(0)[..., :1] + np.random.default_rng(2).normal(0, 10, (*SIZE, 1)),
    "text": text(),
    "scanned text": text() + np.random.default_rng(2).normal(0, 5, (*SIZE, 1)),
    "halftone": ground(0) - 60 * dots(6, 4, 0.4),
    "coarse halftone": ground(0) - 60 * dots(10, 5, 0.26),
    "grid": 15 + 100 * dots(20, 3),
    "bright grid": ground(0) + 60 * dots(30, 4),
    "sparse grid": ground(0) + 50 * dots(48, 5, 0.3),
    "squares": ground(0) + 40.0 * (np.indices(SIZE).sum(0) // 12 % 2)[..., None],
    "three specks": ground(0) + 50 * specks(3, (3, 6))[0][..., None],
}


@pytest.mark.parametrize("name", NONE)
def test_nothing_is_dust_in(name):
    assert found_in(picture(NONE[name]).samples)[1] == 0


def test_places_at_equal_distances_are_regular_and_others_not():
    grid = np.mgrid[5:200:25, 5:200:25].reshape(2, -1)
    assert regular(*grid)
    assert regular(*(grid + np.random.default_rng(0).integers(-1, 2, grid.shape)))
    assert not regular(*np.random.default_rng(0).integers(0, 200, grid.shape))


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (12, 12)])
def test_a_picture_of_any_size_has_traits_for_every_speck(size):
    random = np.random.default_rng(0)
    for channels in (1, 3):
        found = specks_of(random.integers(0, 256, (*size, channels), np.uint8))
        assert found.traits.shape == (len(found.rows), len(TRAITS)) and found.size == size


def test_traits_say_which_way_a_speck_is_off_and_how_large_it_is():
    covered, middles = specks(8, (6, 6))
    for sign in (1, -1):
        found = specks_of(picture(ground(0) + sign * 60 * covered[..., None]).samples)
        near = np.hypot(*(np.stack([found.rows, found.columns], 1)[:, None] - middles).transpose(2, 0, 1)).min(1) < 3
        assert near.sum() >= 8 and (found.signs[near] == sign).all()
        height = np.exp(found.traits[near, TRAITS.index("height")])
        assert np.median(height) == pytest.approx(50, abs=6), "a little blurred"
        assert np.median(np.exp(found.traits[near, TRAITS.index("area")])) == pytest.approx(30, abs=12)


def test_drawn_dust_lies_where_it_is_said_to_and_most_of_it_is_found():
    clean = picture(ground(0))
    damaged, drawn = dusty(clean, 3)
    np.testing.assert_array_equal(dusty(clean, 3)[0].samples, damaged.samples)
    large = [speck for speck in drawn if speck.across > 3]
    changes = [(damaged.samples.astype(float) - clean.samples)[speck.pixels].mean() / speck.offset for speck in large]
    assert np.median(changes) == pytest.approx(0.95, abs=0.2)
    assert all(1 <= speck.across <= 8 and 20 <= abs(speck.offset) <= 80 for speck in drawn)
    found = specks_found(damaged, drawn)
    assert len(found) == len(drawn) and found.mean() > 0.6
    assert found[[speck.plain for speck in drawn]].mean() > 0.75


@pytest.fixture(scope="module")
def hurt() -> Image:
    """A picture with dust and a scratch."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    line = np.abs(y - 0.4 * x - 40) < 1.1
    return picture(ground(0) + 50 * np.maximum(specks(30, (3, 6))[0], line)[..., None])


def test_scratches_and_dust_are_told_together_and_marked_as_one(hurt):
    found = find_scratches(hurt)
    finding, hole = scratches(hurt)
    assert found.count > 0 and 20 <= found.specks <= 34
    assert finding.words.startswith("scratches: ") and finding.words.endswith(f"; dust: {found.specks} specks")
    assert finding.offered and not finding.advised
    np.testing.assert_array_equal(hole.opacity > 0, found.marks)
    dust, *_ = find_dust(hurt.samples, np.zeros(SIZE, bool))
    assert found.marks[dust].mean() > 0.8, "what lies on the scratch is marked with it"


def test_dust_alone_is_offered_and_filled_once_that_is_asked():
    covered, _ = specks(30, (3, 6))
    hurt, clean = picture(ground(0) + 50 * covered[..., None]), picture(ground(0))
    finding, _ = scratches(hurt)
    assert finding.offered and finding.words.startswith("dust: ")
    assert scratches(clean)[0].words == "no scratches, no dust"
    steps = {"denoise": False, "artifacts": False}
    unasked = finish(Order("photo", settings=steps).run(hurt))
    np.testing.assert_array_equal(unasked.picture.samples, hurt.samples)
    done = finish(Order("photo", settings={**steps, "scratches": True}).run(hurt))
    before, after = (
        np.abs(image.samples.astype(float) - clean.samples)[covered > 0.5].mean() for image in (hurt, done.picture)
    )
    assert after < before / 2.5
    assert json.loads(done.files()[1])["settings"]["scratches"] is True


def crack(seed: int = 3) -> np.ndarray:
    """The pixels (H, W) of a jagged line across half of the picture."""
    random = np.random.default_rng(seed)
    height, width = SIZE
    columns = np.arange(width // 4, 3 * width // 4)
    rows = np.rint(height / 2 + np.cumsum(random.integers(-2, 3, len(columns)))).astype(int).clip(5, height - 6)
    drawn = np.zeros(SIZE, bool)
    drawn[rows, columns] = True
    return ndimage.binary_dilation(drawn, iterations=1)


@pytest.mark.parametrize("colour", [(245, 236, 213), (12, 10, 9)])
def test_cracks_of_the_colour_that_dust_has_are_found_however_jagged(colour):
    covered, _ = specks(50, (4, 7))
    levels = ground(4)
    other = np.zeros(SIZE, bool)  # as thin and as strong, of another colour
    other[20:26, 40:-40] = True
    levels[other] = (200, 40, 40)
    whole = np.maximum(covered, crack())[..., None]
    hurt = picture(levels * (1 - whole) + np.array(colour) * whole)
    found = find_scratches(hurt)
    assert found.marks[crack()].mean() > 0.9
    assert found.count >= 1
    assert found.marks[other & ~ndimage.binary_dilation(whole[..., 0] > 0, iterations=4)].mean() < 0.05
    assert found.marks.mean() < 1.6 * ndimage.binary_dilation(whole[..., 0] > 0.3, iterations=1).mean()


def test_fewer_specks_than_tell_of_dust_are_none():
    covered, middles = specks(3 * LEAST, (4, 6))
    samples = picture(ground(0) + 60 * covered[..., None]).samples
    lines = np.zeros(SIZE, bool)
    assert found_in(samples)[1] > LEAST
    lines[tuple(middles[LEAST // 2 :].T)] = True
    assert find_dust(samples, ndimage.binary_dilation(lines, iterations=6))[1] == 0


def test_where_there_are_too_many_the_clearest_are_looked_at(monkeypatch):
    monkeypatch.setattr(dust, "LIMIT", 2)
    covered, middles = specks(6, (4, 5))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    clear = sum(np.hypot(y - row, x - column) < 8 for row, column in middles[2:4])
    found = specks_of(picture(ground(0) + covered[..., None] * np.where(clear, 70, 25)[..., None]).samples)
    assert len(found.rows) == 2
    for row, column in middles[2:4]:
        assert np.hypot(found.rows - row, found.columns - column).min() < 3
