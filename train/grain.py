"""Weigh the signs of grain: how often it is found in photos with noise, and in photos without.

    python -m train.grain --data FOLDER... [--write]

Middles of the photos, some of them without colours or in brown, and what is as smooth as a photo out of focus or a
gradient, are saved as they are, and with a camera's noise, white noise or the grain of film, as PNG and as JPEG; a
logistic regression on the signs of `restoration.grain` tells them apart, for JPEGs that lost little and for those that
lost more.  Printed is what it finds in photos that it was not fitted on.  It goes with the default denoiser, whose
estimator gives the signs: after another is bundled, write it anew.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor, rand
from torch.nn import functional as F

from restoration.degradations import CameraNoise, Degradation, FilmGrain, GaussianNoise, Jpeg
from restoration.diagnosis import SLIGHT_BELOW
from restoration.grain import WEIGHTS, Judge, measured_grain
from restoration.image import from_tensor
from restoration.jpeg import brightness
from restoration.regression import Regression
from train.data import centre_crop, samples
from train.scratches import regression, stored

SIDE = 384
FALSE = {"slight": 0.04, "lossy": 0.1}  # share of photos without noise that pass for grainy: to leave noise costs more
LEAST = {"slight": 2.5, "lossy": 4.0}  # level of noise that should be found
PARTS = 5  # of the photos, each of which is looked at by what the others tell
DECAY = 3e-4
WAVES = 3  # with every such photo come waves of colour
BINS = ((2.5, 4), (4, 6), (6, 9), (9, 30))


def pictures(photo: Tensor, generator: Generator, waves: bool) -> Iterator[tuple[bool, Tensor]]:
    """Clean pictures (1, 3, H, W), and whether they are the photo: twice; out of focus; perhaps waves of colour.

    The second time it is, in half of the cases, that of an old print.
    """
    yield True, photo
    yield True, printed(photo, generator) if float(torch.rand((), generator=generator)) < 0.5 else photo
    blocks = 2 ** int(torch.randint(1, 6, (1,), generator=generator))
    coarse = F.avg_pool2d(photo, blocks)
    yield False, F.interpolate(coarse, photo.shape[-2:], mode="bicubic").clamp(0, 1)
    if waves:
        yield False, slow_waves(photo.shape[-2:], generator)


def printed(photo: Tensor, generator: Generator) -> Tensor:
    """A photo (1, 3, H, W) as one without colours, and perhaps as a brown one."""
    green, blue = (0.75 + 0.25 * torch.rand(2, generator=generator)).sort(descending=True).values.tolist()
    tint = photo.new_tensor([1, green, blue]) if float(torch.rand((), generator=generator)) < 0.5 else photo.new_ones(3)
    return brightness(photo) * tint.view(1, 3, 1, 1)


def slow_waves(size: tuple[int, int], generator: Generator) -> Tensor:
    """A picture (1, 3, H, W) without any detail."""
    y, x = torch.meshgrid(*(torch.arange(side).float() for side in size), indexing="ij")
    (down, across, apart), *colours = torch.rand(5, 3, generator=generator)
    middle, height, first, second = (colour.view(3, 1, 1) for colour in colours)
    lengths = [10 ** (1 + 0.9 * float(drawn)) for drawn in (down, across)]
    waves = torch.sin(x / lengths[0] + 6 * apart * first) * torch.cos(y / lengths[1] + 6 * apart * second)
    return (0.3 + 0.4 * middle + (0.1 + 0.2 * height) * waves)[None].clamp(0, 1)


def variants(clean: Tensor, generator: Generator) -> Iterator[tuple[str, float, Tensor]]:
    """Of a photo (1, 3, H, W) pictures of a kind with their level of noise of 255, 0 for none."""
    for kind, qualities in {"slight": (SLIGHT_BELOW, 99), "lossy": (15, SLIGHT_BELOW)}.items():
        shot, smooth, white, coarse, colour, *jpegs = rand(9, generator=generator).tolist()
        smooth *= 1.4  # deviation in pixels
        noises: dict[str, Degradation | None] = {
            "none": None,
            "camera": CameraNoise(
                10 ** (1.4 * shot - 3.6), 1e-5, smoothing=1.4 * smooth, colour_smoothing=1.4 * smooth + 0.5
            ),
            "white": GaussianNoise((4 + 21 * white) / 255),
            "film": FilmGrain((4 + 16 * white) / 255, 0.4 + coarse, max(0, 2 * colour - 1)),
        }
        for (name, noise), chosen in zip(noises.items(), jpegs, strict=True):
            noisy = noise(clean, generator).clamp(0, 1) if noise else clean
            level = 255 * float((noisy - clean).square().mean().sqrt())
            quality = round(qualities[0] + chosen * (qualities[1] - qualities[0] - 1))
            if kind == "slight":
                yield f"{kind} {name}", level, noisy
            if name in ("none", "white") or quality >= 45:
                yield f"{kind} {name} JPEG", level, Jpeg(quality)(noisy)


def fitted(signs: np.ndarray, grainy: np.ndarray) -> Regression:
    """What tells signs (count, signs) of grain from others, which weigh as much together."""
    shares = np.where(grainy, 0.5 / grainy.sum(), 0.5 / (~grainy).sum())
    return regression(signs, grainy, shares, decay=DECAY)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.grain", description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", required=True, help="folders with clean photos")
    parser.add_argument("--write", action="store_true", help="use what was fitted from now on")
    arguments = parser.parse_args(argv)
    rows: list[tuple[int, bool, str, float, np.ndarray]] = []
    for index, sample in enumerate(samples(arguments.data, 3, True, [])):
        if min(sample.image.shape[1:]) < SIDE:
            continue
        clean = centre_crop(sample.image, SIDE)[None].float() / 255
        generator = Generator().manual_seed(index)
        for is_photo, picture in pictures(clean, generator, index % WAVES == 0):
            for kind, level, variant in variants(picture, generator):
                if found := measured_grain(from_tensor(variant, sample.name)).signs:
                    rows.append((index, is_photo, kind, level, found.numbers()))
    photos, are_photos, kinds, levels, signs = (np.array(column) for column in zip(*rows, strict=True))
    judges = {}
    for kind, share in FALSE.items():
        of_kind = np.char.startswith(kinds, kind)
        clean, grainy = of_kind & (levels == 0), of_kind & (levels >= LEAST[kind])
        scores = np.zeros(len(rows))
        for part in range(PARTS):
            own = photos % PARTS == part
            others = (clean | grainy) & ~own
            scores[own] = fitted(signs[others], grainy[others]).scores(signs[own])
        threshold = np.quantile(scores[clean & are_photos], 1 - share)
        judges[kind] = moved(fitted(signs[clean | grainy], grainy[clean | grainy]), -threshold)
        smooth = 100 * (scores[clean & ~are_photos] > threshold).mean()
        print(f"{kind}: of photos without noise {100 * share:.0f} % found grainy, {smooth:.1f} % of what is smooth")
        for name in sorted(set(kinds[grainy])):
            for low, high in BINS:
                chosen = are_photos & (kinds == name) & (levels >= low) & (levels < high)
                if chosen.sum() >= 10:
                    found = 100 * (scores[chosen] > threshold).mean()
                    print(f"  {name:22} level {low:g} to {high:g}: {found:3.0f} % of {chosen.sum()} found grainy")
    if arguments.write:
        WEIGHTS.write_text(stored(Judge(**judges)), encoding="utf-8")


def moved(fit: Regression, by: float) -> Regression:
    """A regression whose scores are higher by so much."""
    return replace(fit, weights=np.append(fit.weights[:-1], fit.weights[-1] + np.float32(by)))


if __name__ == "__main__":
    main()
