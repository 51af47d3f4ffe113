"""Weigh the signs of grain: how often it is found in photos with noise, and in photos without.

    python -m train.grain --data FOLDER...

Middles of the photos are saved as they are, and with a camera's noise or white noise, as PNG and as JPEG; a logistic
regression on the signs of `restoration.grain` tells them apart, for JPEGs that lost little and for those that lost
more.  Printed are its weights, for `restoration.diagnosis`, and what it finds in photos that it was not fitted on.
"""

import argparse
from collections.abc import Iterator
from dataclasses import astuple

import numpy as np
from scipy.optimize import minimize
from torch import Generator, Tensor, rand

from restoration.degradations import CameraNoise, Degradation, GaussianNoise, Jpeg
from restoration.diagnosis import SLIGHT_BELOW
from restoration.grain import measured_grain
from restoration.image import from_tensor
from train.data import centre_crop, samples

SIDE = 384
FALSE = {"slight": 0.04, "lossy": 0.06}  # share of the photos without noise that pass for grainy
LEAST = {"slight": 2.5, "lossy": 4.0}  # level of noise that should be found
PARTS = 5  # of the photos, each of which is looked at by what the others tell
RIDGE = 1e-3
BINS = ((2.5, 4), (4, 6), (6, 9), (9, 30))


def variants(clean: Tensor, generator: Generator) -> Iterator[tuple[str, float, Tensor]]:
    """Of a photo (1, 3, H, W) pictures of a kind with their level of noise of 255, 0 for none."""
    for kind, qualities in {"slight": (SLIGHT_BELOW, 99), "lossy": (25, SLIGHT_BELOW)}.items():
        shot, smooth, white, *jpegs = rand(6, generator=generator).tolist()
        smooth *= 1.4  # deviation in pixels
        noises: dict[str, Degradation | None] = {
            "none": None,
            "camera": CameraNoise(
                10 ** (1.4 * shot - 3.6), 1e-5, smoothing=1.4 * smooth, colour_smoothing=1.4 * smooth + 0.5
            ),
            "white": GaussianNoise((4 + 16 * white) / 255),
        }
        for (name, noise), chosen in zip(noises.items(), jpegs, strict=True):
            noisy = noise(clean, generator).clamp(0, 1) if noise else clean
            level = 255 * float((noisy - clean).square().mean().sqrt())
            quality = round(qualities[0] + chosen * (qualities[1] - qualities[0] - 1))
            if kind == "slight":
                yield f"{kind} {name}", level, noisy
            if name != "camera" or quality >= 60:
                yield f"{kind} {name} JPEG", level, Jpeg(quality)(noisy)


def fitted(signs: np.ndarray, grainy: np.ndarray) -> np.ndarray:
    """Weights of a constant and of every sign (count, signs), by which grainy ones have odds over 1."""
    mean, spread = signs.mean(0), signs.std(0)
    scaled = np.c_[np.ones(len(signs)), (signs - mean) / spread]
    share = np.where(grainy, 0.5 / grainy.sum(), 0.5 / (~grainy).sum())
    towards = np.where(grainy, 1.0, -1.0)

    def loss(weights: np.ndarray) -> float:
        return float(share @ np.logaddexp(0, -towards * (scaled @ weights)) + RIDGE * (weights[1:] ** 2).sum())

    found = minimize(loss, np.zeros(scaled.shape[1])).x
    return np.r_[found[0] - (found[1:] * mean / spread).sum(), found[1:] / spread]


def scored(signs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights[0] + signs @ weights[1:]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.grain", description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", required=True, help="folders with clean photos")
    arguments = parser.parse_args(argv)
    rows: list[tuple[int, str, float, tuple[float, ...]]] = []
    for index, sample in enumerate(samples(arguments.data, 3, True, [])):
        if min(sample.image.shape[1:]) < SIDE:
            continue
        clean = centre_crop(sample.image, SIDE)[None].float() / 255
        for kind, level, picture in variants(clean, Generator().manual_seed(index)):
            if found := measured_grain(from_tensor(picture, sample.name)).signs:
                rows.append((index, kind, level, astuple(found)))
    photos, kinds = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    levels, signs = np.array([row[2] for row in rows]), np.array([row[3] for row in rows])
    for kind, share in FALSE.items():
        of_kind = np.char.startswith(kinds, kind)
        clean, grainy = of_kind & (levels == 0), of_kind & (levels >= LEAST[kind])
        scores = np.zeros(len(rows))
        for part in range(PARTS):
            own = photos % PARTS == part
            others = (clean | grainy) & ~own
            scores[own] = scored(signs[own], fitted(signs[others], grainy[others]))
        weights = fitted(signs[clean | grainy], grainy[clean | grainy])
        weights[0] -= np.quantile(scored(signs[clean], weights), 1 - share)
        threshold = np.quantile(scores[clean], 1 - share)
        print(f"{kind}: weights ({', '.join(f'{weight:.2f}' for weight in weights)})")
        print(f"  {clean.sum()} without noise, {100 * share:.0f} % found grainy")
        for name in sorted(set(kinds[grainy])):
            for low, high in BINS:
                chosen = (kinds == name) & (levels >= low) & (levels < high)
                if chosen.sum() >= 10:
                    found = 100 * (scores[chosen] > threshold).mean()
                    print(f"  {name:22} level {low:g} to {high:g}: {found:3.0f} % of {chosen.sum()} found grainy")


if __name__ == "__main__":
    main()
