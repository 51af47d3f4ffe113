"""Logistic regressions of traits, whose weights change at knees: what tells damage from what belongs to a picture."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

KNEES = (-1, 0, 1)  # where the weight of a trait may change, in its standard deviations
FAR = 4  # traits of more standard deviations are taken for so many


@dataclass(frozen=True)
class Regression:
    """A logistic regression of traits, with a weight for each, that changes at knees, and perhaps for their products.

    Args:
        mean, deviation: of the traits, by which they are scaled.
        weights: of the terms, see `terms`; the last is the constant.
        products: whether products of two traits are among them.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray
    products: bool = False

    def terms(self, traits: np.ndarray) -> np.ndarray:
        """The terms (N, T) of traits (N, K); a trait that is unknown is taken for usual."""
        scaled = np.nan_to_num((traits - self.mean) / self.deviation).clip(-FAR, FAR)
        parts = [scaled, *(np.maximum(scaled - knee, 0) for knee in KNEES)]
        if self.products:
            first, second = np.triu_indices(scaled.shape[1])
            parts.append((scaled[:, first] * scaled[:, second]).clip(-9, 9))
        return np.concatenate(parts, 1)

    def scores(self, traits: np.ndarray) -> np.ndarray:
        """Logarithms of the odds (N,)."""
        return self.terms(traits) @ self.weights[:-1] + self.weights[-1]


def stored_in(file: Path) -> dict[str, Regression]:
    """The regressions that a JSON file holds, by their names."""

    def regression(part: dict) -> Regression:
        arrays = (np.array(part[name], np.float32) for name in ("mean", "deviation", "weights"))
        return Regression(*arrays, products=part["products"])

    return {name: regression(part) for name, part in json.loads(file.read_text(encoding="utf-8")).items()}
