"""Half precision, as on a GPU."""

import pytest
import torch

import restoration
from restoration import catalog, gallery, running
from restoration.degradations import Downscale, GaussianNoise
from restoration.files import read
from restoration.jpeg import compressed
from restoration.metrics import psnr

SIDE = 96


def given_and_wanted(task: str, scale: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a method of a task is given, and the original."""
    clean = read(gallery.clean("astronaut.png")).tensor()[..., 60 : 60 + SIDE, 160 : 160 + SIDE]
    if task == "denoise":
        return GaussianNoise(0.1)(clean, torch.Generator().manual_seed(0)), clean
    if task == "artifacts":
        return compressed((clean[0] * 255).round().to(torch.uint8), 10, "4:2:0")[None].float() / 255, clean
    return (Downscale(scale)(clean) if task == "upscale" else clean), clean


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [method for method in restoration.methods() if method.learned], ids=lambda method: method.name
)
def test_half_precision_costs_less_than_a_fiftieth_of_a_decibel(method):
    given, clean = given_and_wanted(method.task, method.scale)
    settings = running.typical(method.task, SIDE)
    full = running.with_channels(method.load(), given, *settings)
    half = running.in_fp16(method.load(), given, *settings)
    assert not torch.equal(half, full)
    assert abs(float(psnr(half, clean) - psnr(full, clean))) < 0.02


def test_what_overflows_in_fp16_precision_is_computed_in_full():
    model = restoration.load("mwcnn-gray")
    with torch.no_grad():
        model.down[0][0].weight *= 1e9
        model.down[0][2].weight /= 1e9
    image = torch.rand(1, 1, 16, 16)
    assert torch.equal(running.in_fp16(model, image), running.with_channels(model, image))


def test_the_speed_is_measured_where_the_runs_are(monkeypatch):
    runs = []

    def decorate(function):
        def counted(*arguments):
            runs.append(arguments)
            return function(*arguments)

        return counted

    monkeypatch.setattr(running, "_runner", running._runner)
    running.use_gpu(decorate)
    assert running.seconds_per_megapixel(restoration.methods("denoise")[0], 64) > 0
    assert len(runs) == 2


@pytest.mark.parametrize("task, model, given, made", [
    ("denoise", "median", 64, 64), ("upscale", "bicubic-x2", 32, 64), ("upscale", "bicubic-x3", 21, 63),
])  # fmt: skip
def test_a_speed_is_that_of_the_second_run_for_what_it_makes(monkeypatch, task, model, given, made):
    method, clock, sides = catalog.method(task, model), iter([0.0, 9.0, 10.0, 12.0]), []
    monkeypatch.setattr(running, "infer", lambda method, alpha, image, *_: sides.append(image.shape[2:]))
    monkeypatch.setattr(running.time, "perf_counter", lambda: next(clock))
    assert running.seconds_per_megapixel(method, 64) == pytest.approx(2e6 / made**2)
    assert sides == [(32, 32), (given, given)]
