"""What models compute in, by the processor, by what was measured, and by what one says."""

import json
from types import SimpleNamespace

import pytest
import skimage.data
import torch

import restoration
from restoration import precision, running
from restoration.files import write
from restoration.image import Image
from restoration.metrics import psnr
from restoration.orders import Order, replay
from restoration.restorer import in_full
from restoration.running import finish
from train import bf16
from train.benchmarks._sets import Row
from train.benchmarks.upscale import ReducedSet


@pytest.fixture
def units(monkeypatch):
    """A processor with units for bf16, or without."""
    monkeypatch.delenv(precision.VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def given(flag: bool):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": flag}, raising=False)

    return given


@pytest.mark.parametrize(
    ("flag", "loss", "chosen", "expected"),
    [
        (True, 0.001, None, "bf16"),
        (True, 0.001, "auto", "bf16"),
        (True, -0.01, None, "bf16"),
        (True, 0.02, None, "fp32"),
        (True, None, None, "fp32"),
        (False, 0.001, None, "fp32"),
        (True, 0.001, "fp32", "fp32"),
    ],
)
def test_bf16_is_for_processors_that_have_it_and_models_that_lose_nothing(
    units, monkeypatch, flag, loss, chosen, expected
):
    units(flag)
    if chosen:
        monkeypatch.setenv(precision.VARIABLE, chosen)
    model = restoration.load("compact-x2")
    model.run = {} if loss is None else {"bf16_loss": loss}
    assert precision.precision_of(model) == expected


def test_filters_are_exact(units):
    units(True)
    assert precision.precision_of(restoration.methods("denoise")[-1].load()) == "fp32"


def test_a_wrong_word_is_refused_with_the_right_ones(monkeypatch):
    monkeypatch.setenv(precision.VARIABLE, "fp8")
    with pytest.raises(ValueError, match="RESTORATION_PRECISION is auto or fp32, not fp8"):
        precision.choice()


def test_the_first_layer_sees_every_level_in_bf16():
    layer = torch.nn.Conv2d(1, 1, 1, bias=False)
    levels = (torch.arange(256) / 255).view(1, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert len(layer(levels).unique()) < 256
        assert torch.equal(in_full(layer, levels), layer.weight * levels)


@pytest.fixture
def noisy(rng):
    return Image(rng.integers(0, 256, (40, 56, 3), dtype="uint8"))


def test_what_passes_a_network_by_keeps_its_levels_in_bf16():
    model = restoration.load("drunet-jpeg")
    image = torch.from_numpy(skimage.data.chelsea()[:96, :96]).permute(2, 0, 1)[None] / 255
    with torch.autocast("cpu", torch.bfloat16):
        fast = model.restore(image)
    assert psnr(fast, model.restore(image)) > 65  # 57 if the layer beside the identity were made in bf16


def in_bf16(monkeypatch):
    monkeypatch.setattr(running, "precision_of", lambda _: "bf16")
    monkeypatch.setattr("restoration.receipts.precision_of", lambda _: "bf16")


def test_bf16_is_within_a_level_or_so_tiled_too_and_the_receipt_tells(noisy, monkeypatch):
    order = Order("denoise", "drunet-photo", {"sigma_255": 10.0})
    exact = finish(order.run(noisy))
    assert exact.receipt["precision"] == "fp32"
    in_bf16(monkeypatch)
    fast = finish(order.run(noisy))
    assert fast.receipt["precision"] == "bf16"
    difference = (fast.picture.tensor() - exact.picture.tensor()).abs()
    assert 0 < difference.mean() < 0.5 / 255
    monkeypatch.setattr(running, "tile_side", lambda *_: 24)
    tiled = finish(order.run(noisy))
    assert (tiled.picture.tensor() - fast.picture.tensor()).abs().max() <= 1.001 / 255


def test_a_replay_in_another_precision_says_so_instead_of_that_the_result_differs(noisy, monkeypatch):
    order = Order("denoise", "drunet-photo", {"sigma_255": 10.0})
    receipt = json.loads(json.dumps(finish(order.run(noisy)).receipt))
    in_bf16(monkeypatch)
    replayed = finish(replay(receipt, noisy))
    assert not replayed.same
    assert replayed.differences == ("It was computed in fp32 then and in bf16 now, so samples may differ by a level.",)


def test_what_bf16_costs_is_the_mean_of_decibels_lost_on_the_models_first_sets(tmp_path, rng, monkeypatch):
    folder = tmp_path / "test" / "Set5"
    folder.mkdir(parents=True)
    write(Image(rng.integers(0, 256, (24, 24, 3), dtype="uint8")), folder / "a.png")
    method = next(method for method in restoration.methods("upscale") if method.name == "compact-x2")
    benchmark = SimpleNamespace(sets=(ReducedSet("Set5 x2", ("test/Set5",), 2),), at_home=lambda _, names: names)
    monkeypatch.setattr(bf16.benchmarks, "every", lambda: {"upscale": benchmark})
    assert 0 < abs(bf16.bf16_loss(method, tmp_path)) < 0.2
    monkeypatch.setattr(bf16, "in_bf16", bf16.with_channels)
    assert bf16.bf16_loss(method, tmp_path) == 0


def test_how_much_faster_deep_image_prior_is_is_the_ratio_of_its_seconds(monkeypatch):
    taken = iter([3.0, 2.0])
    monkeypatch.setattr(bf16, "seconds_of", lambda call: next(taken))
    assert bf16.prior_pace() == 1.5


def test_what_bf16_costs_deep_image_prior_is_decibels_of_fits(monkeypatch, capsys):
    clean = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    sets = [
        SimpleNamespace(
            name=bf16.PRIOR_SETS["denoise"],
            images=lambda data: [clean],
            degraded=lambda image, index, data: (image,),
            rows=lambda method: [Row("deep-image-prior", (0.1,))],
        )
    ]
    monkeypatch.setattr(bf16.benchmarks, "every", lambda: {"denoise": SimpleNamespace(sets=sets)})
    method = next(method for method in restoration.methods("denoise") if method.prior)
    assert 0 < abs(bf16.prior_loss(method, None)) < 3
    assert "dB in fp32" in capsys.readouterr().out
