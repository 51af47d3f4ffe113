"""What methods cost: yardsticks of the sizes that they are known by, and figures of a run."""

import pytest
import torch

from restoration.files import encode
from restoration.image import Image
from train import capacity, costs, evaluate


@pytest.mark.parametrize("title, parameters, scale", [("DnCNN, 17 x 64", 557_443, 1), ("SRVGG, 16 x 64", 620_336, 4)])
def test_the_yardsticks_are_what_they_are_called(title, parameters, scale):
    network = costs.YARDSTICKS[title]()
    # DnCNN: 3*9*64+64, 15 layers of 64*9*64+64, 64*9*3+3; SRVGG: 16 of these, and 64*9*48+48 at the end
    assert sum(each.numel() for each in network.parameters()) == parameters
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 8, 10)).shape == (1, 3, 8 * scale, 10 * scale)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.7])
def test_the_slope_is_the_power_of_the_size(power):
    assert costs.slope({size: 3 * size**power for size in (0.25, 1, 12)}) == pytest.approx(power)


@pytest.mark.parametrize("task, name", [("upscale", "nearest-x2"), ("inpaint", "diffusion")])
def test_a_run_is_measured_by_parts_with_its_memory(task, name):
    found = costs.whole_run(task, name, 0.02)
    assert set(found) == {"reading", "restoring", "writing", "peak"}
    assert all(value >= 0 for value in found.values())
    assert found["peak"] > 50


def test_a_quarter_of_a_picture_is_missing_where_holes_are_filled():
    assert costs.middle(costs.noisy_waves(300)).share == pytest.approx(0.25, abs=2e-3)


def test_a_forward_pass_is_told_for_a_megapixel(monkeypatch):
    monkeypatch.setattr(costs, "SIDE", 100)
    monkeypatch.setattr(costs, "seconds_of", lambda call: call() is not None and 0.5)
    assert costs.forward_seconds(torch.nn.Conv2d(3, 3, 1)) == pytest.approx(50)
    assert costs.own_seconds(costs.method("denoise", "median")) == pytest.approx(50)


def test_the_photos_that_are_counted_with_have_their_megapixels(monkeypatch):
    shapes = []

    def encoded(image: Image, *rest: object) -> bytes:
        shapes.append(image.samples.shape)
        return encode(image, *rest)

    monkeypatch.setattr(capacity, "encode", encoded)
    photo = capacity.photo_of(0.16)
    assert shapes == [(400, 400, 3)] * 2  # larger than the cat, so that it stands there twice
    assert 0 < photo.bytes_in < photo.bytes_out < 3 * 400 * 400
    assert min(photo.read, photo.write) >= 0


def test_lines_are_printed_with_ratios(monkeypatch, capsys):
    monkeypatch.setattr(costs, "forward_seconds", lambda network: 2.0)
    monkeypatch.setattr(costs, "own_seconds", lambda kind: 0.5)
    run = {"reading": 0.1, "restoring": 0.8, "writing": 0.1, "peak": 300.0}
    monkeypatch.setattr(costs, "in_a_process", lambda *_: run)
    costs.print_costs(costs.chosen("denoise", ["median"]), [0.5, 1])
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert line == ["median", "0.500", "0.25", "0.25", "1.00", "4.00", "300", "1.00", "2.00", "300", "0.00"]


def test_a_method_of_another_task_is_refused_before_anything_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(costs, "forward_seconds", lambda network: pytest.fail("measured"))
    with pytest.raises(SystemExit):
        evaluate.main(["--costs", "--task", "denoise", "--methods", "compact-x4"])
    assert "There is no denoise model called 'compact-x4'" in capsys.readouterr().err
