"""The promises of a denoiser's controls, by models whose answers are known."""

import re

import pytest
import torch
from torch.nn import functional as F

from restoration.restorer import Denoiser
from train import controls


class Fake(Denoiser):
    """A denoiser that blurs by what it is told, times `obedience`, and reads the level `reading`."""

    takes_sigma = estimates_sigma = True
    channels, multiple_of, receptive_field, CELL = 3, 4, 1, 4

    def __init__(self, obedience: float = 1.0, reading: float = 8 / 255, shift: float = 0.0):
        super().__init__()
        self.obedience, self.reading, self.shift = obedience, reading, shift
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.eval()

    def forward(self, noisy, sigma):
        level = torch.where(sigma < 0, self.reading, sigma)
        share = (1 - self.obedience) * 0.5 + self.obedience * (10 * level).clamp(max=1)
        return self.level(noisy), torch.lerp(
            noisy, F.avg_pool2d(noisy, 3, 1, 1, count_include_pad=False), share
        ) + self.shift

    def level(self, noisy):
        return torch.full_like(noisy[:, :1], self.reading)


@pytest.fixture(scope="module")
def pairs():
    generator = torch.Generator().manual_seed(0)
    clean = [
        F.interpolate(torch.rand(1, 3, 4, 4, generator=generator), 64, mode="bicubic").clamp(0.1, 0.9) for _ in "123"
    ]
    return [(image + 8 / 255 * torch.randn(image.shape, generator=generator), image) for image in clean]


def found(promises):
    return {promise.words: promise.kept for promise in promises}


def test_a_model_that_obeys_keeps_its_promise_and_one_that_does_not_breaks_it(pairs):
    noisy = [image for image, _ in pairs]
    assert list(found(controls.obeys(Fake(), noisy)).values()) == [True, True]
    assert list(found(controls.obeys(Fake(obedience=0.0), noisy)).values()) == [False, False]


def test_a_wrong_level_costs_the_blind_promise(pairs):
    clean = [image for _, image in pairs]
    *_, blind = controls.believes(Fake(), pairs, clean)
    assert blind.kept
    *_, blind = controls.believes(Fake(reading=0.0), pairs, clean)
    assert not blind.kept


def test_a_shift_of_colour_is_found(pairs):
    clean = [image for _, image in pairs]
    colour, _ = controls.spares(Fake(reading=0.0), clean, clean)
    assert colour.kept
    colour, _ = controls.spares(Fake(reading=0.0, shift=1 / 255), clean, clean)
    assert not colour.kept


@pytest.mark.parametrize(("reading", "kept"), [(8, [True, True]), (3, [False, True]), (13, [False, False])])
def test_the_level_is_compared_with_the_true_one(pairs, reading, kept, monkeypatch):
    monkeypatch.setattr(controls, "level_by", lambda model, parts: model.reading)
    clean = [image for _, image in pairs]
    assert [promise.kept for promise in controls.measures(Fake(reading=reading / 255), pairs, clean)] == kept


def test_the_truth_may_be_worse_than_the_best_word_by_a_margin_and_no_more(pairs):
    def told(margin: float) -> controls.Promise:
        return controls._best("noise", Fake(), pairs, lambda *_: 20 / 255, margin)

    scores = [float(number) for number in re.findall(r"-?\d+\.\d\d", told(1).found)]
    behind = scores[1] - scores[0]
    assert behind > 0.05
    assert told(behind + 0.03).kept
    assert not told(behind - 0.03).kept
