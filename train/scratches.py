"""Scratches and dust drawn on pictures from a seed: how much is found, and how much is taken for them that is none.

    python -m train.scratches --data FOLDER                  # all figures, on BSD100
    python -m train.scratches --data FOLDER --fit scratches  # writes what tells scratches from a picture's own lines
    python -m train.scratches --data FOLDER --fit dust       # writes what tells dust from a picture's own specks

Fitting takes only pictures whose licences allow anything to be made of them, and some minutes.
"""

import argparse
import json
import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import nn

from restoration import dust
from restoration.degradations import Jpeg
from restoration.files import read
from restoration.image import Image, fitted, from_tensor
from restoration.regression import Regression
from restoration.ridges import Points, points_of
from restoration.scratches import WEIGHTS, Judge, Lines, company, find_scratches, lines_of

FITTED_ON = ("a/cid22_*", "b/elementary_*", "b/deepin_*", "b/popos_*", "c/clic2025_*", "d/[!u]*[!a]_*")
FITTED_FILES = {"scratches": 90, "dust": 450}  # at most so many of them, and a few more
SIDES = 384, 512  # of the pictures that are fitted on
MOST_MARKED = 0.005
DAMAGED = 40  # pictures
WIDTHS, OFFSETS, COUNT, GRAIN, QUALITY = (1, 4), (20, 80), (4, 12), (2, 10), 75
ACROSS, SPECKS = (1, 8), (8, 40)  # pixels across a speck, and specks in 100,000 pixels
PLAIN = 2, 2  # pixels across a speck that is plain to see, and times that it is off the deviation of what is around
ON_LINE, BESIDE, SLANT = 2.0, 6.0, 0.3  # a point is a scratch's within so many pixels and radians, no one's nearer than


@dataclass(frozen=True)
class Scratch:
    """A scratch: rows and columns (N, 2) of its middle, half a pixel apart, its width, and its offset in levels."""

    path: np.ndarray
    width: float
    offset: float


def scratched(image: Image, seed: int) -> tuple[Image, list[Scratch]]:
    """An image of 8 bits with scratches, straight and bent, light and dark, with grain, and saved as a JPEG."""
    random = np.random.default_rng(seed)
    height, width = image.height, image.width
    samples, scratches = image.samples.astype(np.float32), []
    for _ in range(random.integers(COUNT[0], COUNT[1] + 1)):
        path = _path(random, height, width)
        scratch = Scratch(path, random.uniform(*WIDTHS), random.uniform(*OFFSETS) * random.choice([-1, 1]))
        if len(path) > 60:
            samples += scratch.offset * _covered(scratch, height, width)[..., None]
            scratches.append(scratch)
    return _worn(image, samples, random), scratches


def _worn(image: Image, samples: np.ndarray, random: np.random.Generator) -> Image:
    """An image of other levels (H, W, C), with grain, and saved as a JPEG."""
    samples = samples.clip(0, 255)
    planes = random.choice([1, image.channels])
    samples += random.normal(0, random.uniform(*GRAIN), (*samples.shape[:2], planes)).astype(np.float32)
    noisy = replace(image, samples=np.rint(samples.clip(0, 255)).astype(np.uint8))
    return from_tensor(Jpeg(QUALITY)(noisy.tensor()), image.name)


@dataclass(frozen=True)
class Speck:
    """A speck of dust: row and column of its middle, pixels across, offset in levels, and its pixels' indices.

    And the deviation, in levels, of the picture around it as that was without dust and grain.
    """

    middle: np.ndarray
    across: float
    offset: float
    pixels: tuple[np.ndarray, np.ndarray]
    around: float

    @property
    def plain(self) -> bool:
        """Whether it has some size and stands out from the picture."""
        return self.across >= PLAIN[0] and abs(self.offset) >= PLAIN[1] * self.around


def dusty(image: Image, seed: int) -> tuple[Image, list[Speck]]:
    """An image of 8 bits with specks of dust, round and bent, light and dark, with grain, and saved as a JPEG."""
    random = np.random.default_rng(seed)
    height, width = image.height, image.width
    samples, specks = image.samples.astype(np.float32), []
    for _ in range(round(random.uniform(*SPECKS) * height * width / 1e5)):
        middle = random.uniform(0, 1, 2) * (height - 1, width - 1)
        across, offset = random.uniform(*ACROSS), random.uniform(*OFFSETS) * random.choice([-1, 1])
        if not 0 <= samples[tuple(np.rint(middle).astype(int))].mean() + offset <= 255:
            offset = -offset  # for a white speck on white would be none
        lobes = random.uniform(0, 0.25, 2), random.uniform(0, 2 * math.pi, 2)
        top, left = np.maximum(np.floor(middle - across).astype(int) - 1, 0)
        y, x = np.mgrid[top : min(height, top + 20), left : min(width, left + 20)]
        down, right = y - middle[0], x - middle[1]
        angle, radius = np.arctan2(down, right), across / 2
        for number, (lobe, turn) in enumerate(zip(*lobes, strict=True), start=2):
            radius = radius * (1 + lobe * np.cos(number * angle + turn))
        covered = (radius + 0.5 - np.hypot(down, right)).clip(0, 1)
        samples[y, x] += offset * covered[..., None].astype(np.float32)
        own = covered >= min(0.5, covered.max())
        around = image.samples[max(0, top - 6) : top + 26, max(0, left - 6) : left + 26].mean(2).std()
        specks.append(Speck(middle, across, offset, (y[own], x[own]), float(around)))
    return _worn(image, samples, random), specks


def _path(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The part inside the picture of a line that bends, half of them not at all."""
    length = random.uniform(60, min(height, width) + 80)
    count = round(2 * length)
    bend = random.choice([0, random.uniform(0.2, 1.5)])
    place = np.linspace(-0.5, 0.5, count)
    angle = random.uniform(0, 2 * math.pi) + bend * random.uniform(-1, 1) * place
    angle += 0.3 * bend * random.uniform(-1, 1) * np.sin(2 * math.pi * place)
    path = np.cumsum(np.stack([np.sin(angle), np.cos(angle)], 1), axis=0) / 2
    path += random.uniform(0, 1, 2) * (height, width) - path[count // 2]
    return path[((path >= 0) & (path <= (height - 1, width - 1))).all(1)]


def _covered(scratch: Scratch, height: int, width: int) -> np.ndarray:
    """How much of each pixel (H, W) a scratch covers."""
    grid = np.mgrid[:height, :width].reshape(2, -1).T
    near, _ = cKDTree(scratch.path).query(grid, distance_upper_bound=scratch.width)
    return np.clip(scratch.width / 2 + 0.5 - near, 0, 1).reshape(height, width).astype(np.float32)


def found_share(image: Image, scratches: list[Scratch]) -> tuple[float, float]:
    """Pixels of scratches' length that are found in an image, and all of them."""
    marks = find_scratches(image).marks
    places = np.rint(np.concatenate([scratch.path for scratch in scratches])).astype(int)
    return marks[tuple(places.T)].sum() / 2, len(places) / 2


def specks_found(image: Image, specks: list[Speck]) -> np.ndarray:
    """Which specks (N,) are found in an image, each at least by half."""
    marks = find_scratches(image).marks
    return np.array([marks[speck.pixels].mean() >= 0.5 for speck in specks])


# Fitting --------------------------------------------------------------------------------------------------------------


def fitted_on(file: Path, number: int) -> Image:
    """The middle of a picture, that of every second after it was made smaller, that of every fifth without colour."""
    image = read(file)
    if number % 2:
        image = fitted(image, SIDES[1])
    top, left = (max(0, side - most) // 2 for side, most in zip((image.height, image.width), SIDES, strict=True))
    samples = image.samples[top : top + SIDES[0], left : left + SIDES[1]]
    if number % 5 == 0:
        samples = np.rint(samples.mean(2, keepdims=True)).astype(np.uint8)
    return replace(image, samples=samples, alpha=None)


@dataclass(frozen=True)
class Example:
    """The points of a picture: which are on scratches, and which near none, bool (N,)."""

    points: Points
    scratch: np.ndarray
    away: np.ndarray


def example(file: Path, number: int, damaged: bool) -> Example:
    """A picture's points, with or without scratches."""
    image, scratches = fitted_on(file, number), []
    if damaged:
        image, scratches = scratched(image, number)
    elif number % 3 == 0:
        image = from_tensor(Jpeg(QUALITY)(image.tensor()))
    points = points_of(image.samples)
    places = np.stack([points.rows, points.columns], 1)
    scratch, away = np.zeros(len(places), bool), np.ones(len(places), bool)
    for drawn in scratches:
        near, which = cKDTree(drawn.path).query(places)
        course = np.gradient(drawn.path, axis=0)[which]
        slant = np.arctan2(course[:, 0], course[:, 1]) - points.angles
        slant = np.abs((slant + math.pi / 2) % math.pi - math.pi / 2)
        scratch |= (near < ON_LINE) & (slant < SLANT) & (points.signs == np.sign(drawn.offset))
        away &= near > BESIDE
    return Example(points, scratch, away & ~scratch)


def regression(
    traits: np.ndarray, true: np.ndarray, weights: np.ndarray | None = None, products: bool = False, decay: float = 1e-4
) -> Regression:
    """A logistic regression fitted to traits (N, K) that are true or not, weighted (N,)."""
    known = traits[~np.isnan(traits).any(1)]
    fit = Regression(known.mean(0), known.std(0) + 1e-6, np.zeros(0), products)
    terms, target = torch.from_numpy(fit.terms(traits).astype(np.float32)), torch.from_numpy(true.astype(np.float32))
    share = None if weights is None else torch.from_numpy((weights / weights.mean()).astype(np.float32))
    found = torch.zeros(terms.shape[1] + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([found], max_iter=150, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = terms @ found[:-1] + found[-1]
        value = nn.functional.binary_cross_entropy_with_logits(logits, target, weight=share)
        value = value + decay * (found[:-1] ** 2).sum()
        value.backward()
        return value

    optimizer.step(loss)
    return replace(fit, weights=found.detach().numpy())


def fit(examples: list[Example], random: np.random.Generator) -> Judge:
    """All three regressions: of points, of the lines that those make, and of the lines' company."""
    traits = np.concatenate([each.points.traits[each.scratch | each.away] for each in examples])
    true = np.concatenate([each.scratch[each.scratch | each.away] for each in examples])
    some = random.permutation(len(true))[:100_000]
    points = regression(traits[some], true[some], products=True)
    made = [lines_of(each.points, points.scores(each.points.traits)) for each in examples]
    labels = [_labels(each, lines) for each, lines in zip(examples, made, strict=True)]
    clear = np.concatenate([known for _, known in labels])
    true = np.concatenate([line for line, _ in labels])[clear]
    lengths = np.concatenate([lines.lengths for lines in made])[clear].clip(0, 80)
    lines = regression(np.concatenate([lines.traits for lines in made])[clear], true, lengths, decay=1e-3)
    sizes = [each.points.size for each in examples]
    beside = [company(lines.scores(m.traits), m.lengths, size) for m, size in zip(made, sizes, strict=True)]
    return Judge(points, lines, regression(np.concatenate(beside)[clear], true, lengths))


def _labels(each: Example, lines: Lines) -> tuple[np.ndarray, np.ndarray]:
    """Which lines are scratches, and of which lines that is clear."""
    count = len(lines.lengths)
    scratch, away = (
        np.bincount(lines.owner, part[lines.chosen], count) / lines.lengths for part in (each.scratch, each.away)
    )
    return scratch > 0.5, (scratch > 0.5) | (away > 0.7)


@dataclass(frozen=True)
class SpeckExample:
    """What may be specks in a picture: traits (N, K), which of them are dust, bool (N,), and its size."""

    traits: np.ndarray
    dust: np.ndarray
    size: tuple[int, int]


def speck_example(file: Path, number: int, damage: str) -> SpeckExample:
    """A picture's specks, with dust, with scratches, or as it is; those of which it is clear what they are."""
    image, drawn = fitted_on(file, number), []
    if damage == "dust":
        image, drawn = dusty(image, number)
    elif damage == "scratches":
        image, _ = scratched(image, number)
    elif number % 3 == 0:
        image = _worn(image, image.samples.astype(np.float32), np.random.default_rng(number))
    specks = dust.specks_of(image.samples)
    true, away = np.zeros(len(specks.rows), bool), np.ones(len(specks.rows), bool)
    for speck in drawn:
        distance = np.hypot(specks.rows - speck.middle[0], specks.columns - speck.middle[1])
        true |= (distance < max(1.5, speck.across / 2)) & (specks.signs == np.sign(speck.offset))
        away &= distance > speck.across / 2 + BESIDE
    return SpeckExample(specks.traits[true | away], true[true | away], specks.size)


def fit_dust(examples: list[SpeckExample], random: np.random.Generator) -> dust.Judge:
    """Both regressions: of specks, and of their scores with those of a picture's others."""
    traits, true = (np.concatenate([getattr(each, name) for each in examples]) for name in ("traits", "dust"))
    some = random.permutation(len(true))[:150_000]
    specks = regression(traits[some], true[some], products=True)
    beside = [dust.company(specks.scores(each.traits), each.size) for each in examples]
    return dust.Judge(specks, regression(np.concatenate(beside), true, products=True))


def stored(judge) -> str:
    """The regressions of a dataclass as JSON."""

    def plain(part: Regression) -> dict:
        rounded = {n: [float(f"{v:.5g}") for v in getattr(part, n)] for n in ("mean", "deviation", "weights")}
        return {**rounded, "products": part.products}

    return json.dumps({field.name: plain(getattr(judge, field.name)) for field in fields(judge)}) + "\n"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.scratches", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds train/ and test/")
    parser.add_argument("--fit", choices=list(FITTED_FILES), help="write what tells it anew")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args(argv)
    with ProcessPoolExecutor(arguments.processes) as pool:
        if arguments.fit:
            files = [file for part in FITTED_ON for file in sorted((arguments.data / "train").glob(part))]
            files = list(enumerate(files[:: max(1, len(files) // FITTED_FILES[arguments.fit])]))
            random = np.random.default_rng(0)
            if arguments.fit == "dust":
                cases = [(file, number, damage) for number, file in files for damage in ("none", "dust", "scratches")]
                examples = list(pool.map(speck_example, *zip(*cases, strict=True)))
                dust.WEIGHTS.write_text(stored(fit_dust(examples, random)), encoding="utf-8")
            else:
                cases = [(file, number, damaged) for number, file in files for damaged in (False, True)]
                examples = list(pool.map(example, *zip(*cases, strict=True)))
                WEIGHTS.write_text(stored(fit(examples, random)), encoding="utf-8")
            return print(f"fitted to {len(files)} pictures, each with and without {arguments.fit}")
        photos = sorted((arguments.data / "test" / "BSD100").glob("*"))
        marked, told = np.array(list(pool.map(unharmed, photos))).T
        few = (marked < MOST_MARKED).sum()
        print(f"less than {100 * MOST_MARKED} % marked on {few} of {len(photos)} pictures without scratches and dust")
        print(f"dust told of {int(told.sum())} of them")
        scratches = np.array(list(pool.map(scratched_case, photos[:DAMAGED], range(DAMAGED))))
        every, plain = np.moveaxis(np.array(list(pool.map(dusty_case, photos[:DAMAGED], range(DAMAGED)))), 1, 0)
        kinds = {"the length of scratches": scratches, "all specks of dust": every, "those plain to see": plain}
        for kind, counts in kinds.items():
            (found, there), each = counts.sum(0), counts[counts[:, 1] > 0]
            middle = np.median(each[:, 0] / each[:, 1])
            print(f"{100 * found / there:.1f} % of {kind} found, {100 * middle:.1f} % in the median picture")


def unharmed(file: Path) -> tuple[float, bool]:
    """The share of a picture that is taken for scratches and dust, and whether dust is told of it."""
    found = find_scratches(read(file))
    return float(found.marks.mean()), found.specks > 0


def scratched_case(file: Path, seed: int) -> tuple[float, float]:
    """See `found_share`, of a picture with scratches."""
    return found_share(*scratched(read(file), seed))


def dusty_case(file: Path, seed: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many specks are found in a picture with dust and how many it has: of all, and of those plain to see."""
    damaged, specks = dusty(read(file), seed)
    found, plain = specks_found(damaged, specks), np.array([speck.plain for speck in specks])
    return (found.sum(), len(found)), (found[plain].sum(), plain.sum())


if __name__ == "__main__":
    main()
