"""Strips: no layer computes a row twice, and what comes of them is what comes of the whole image."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from restoration import catalog, running
from restoration.image import Image
from restoration.orders import Order
from restoration.restorer import Denoiser, in_full, in_half
from restoration.running import finish, loaded
from restoration.streaming import UnsupportedError, strips, works_in_strips

NETWORKS = [method for method in catalog.methods() if method.learned and works_in_strips(loaded(method))]
LEVELS = {"denoise": 0.1, "artifacts": 30}


def test_the_defaults_of_denoising_artifacts_and_upscaling_work_in_strips():
    assert {method.task for method in NETWORKS if method.flagship} == {"denoise", "artifacts", "upscale"}


@pytest.mark.parametrize("method, told", [
    pytest.param(
        method, told, id=f"{method.name}{' told' * told}", marks=[] if method.flagship else [pytest.mark.slow]
    )
    for method in NETWORKS for told in (False, True)[: 1 + (method.task in LEVELS)]
])  # fmt: skip
def test_strips_are_the_rows_of_the_whole(method, told):
    model = loaded(method)
    height, width = (131, 83) if method.scale == 1 else (61, 43)
    image = torch.rand(1, model.channels, height, width, generator=torch.Generator().manual_seed(0))
    levels = [LEVELS[method.task] if told else None] if method.task in LEVELS else []
    whole = model.restore(image, *levels)
    for rows in (16, 48, 1000):
        parts = list(strips(model, lambda rows: image[..., rows, :], (height, width), *levels, rows=rows))
        assert [part.shape[-2] for part in parts[:-1]] == [model.scale * rows] * (len(parts) - 1)
        assert torch.allclose(torch.cat(parts, dim=-2), whole, atol=1e-5)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("slopes", [(-0.3, 0.2, 1.0), (0.5, 1.5, -2.0)])
def test_prelu_is_pytorchs_bit_for_bit_whatever_its_slopes(slopes, half):
    class Bent(Denoiser):
        channels, receptive_field = 3, 1

        def __init__(self):
            super().__init__()
            self.mix, self.bend = nn.Conv2d(3, 3, 1), nn.PReLU(3)
            self.mix.weight = nn.Parameter(torch.eye(3).view(3, 3, 1, 1))
            self.mix.bias = nn.Parameter(torch.full((3,), -0.5))
            self.bend.weight = nn.Parameter(torch.tensor(slopes))

        def forward(self, x):
            return self.bend(self.mix(x)).float()

    model = Bent().eval()
    image = torch.rand(1, 3, 40, 30, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        whole = model(image).clamp(0, 1)
        parts = list(strips(model, lambda rows: image[..., rows, :], (40, 30), rows=16))
    assert torch.equal(torch.cat(parts, dim=-2), whole)
    assert 0 < whole.mean() < 1


class Sums(Denoiser):
    """Of what is computed in fp32 and in half the bits, either first, and of a number."""

    channels, receptive_field = 3, 1

    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        full = in_full(self.head, x)
        half = self.body(in_half(full))
        return (full + half) + (half + full) + half.float() + 0.5


@pytest.mark.parametrize("half", [False, True])
def test_sums_of_both_kinds_are_pytorchs_bit_for_bit(half):
    torch.manual_seed(0)
    model = Sums().eval()
    image = torch.rand(1, 3, 40, 24)
    with torch.autocast("cpu", enabled=half):
        whole = model.restore(image)
        parts = list(strips(model, lambda rows: image[..., rows, :], (40, 24), rows=16))
    assert torch.equal(torch.cat(parts, dim=-2), whole)


def test_no_row_of_the_image_is_read_twice_but_where_it_is_mirrored():
    model, seen = loaded(catalog.method("denoise", "drunet-fast")), []
    image = torch.rand(1, 3, 200, 64, generator=torch.Generator().manual_seed(0))

    def read(rows: slice) -> torch.Tensor:
        seen.extend(range(rows.start, rows.stop))
        return image[..., rows, :]

    list(strips(model, read, (200, 64), None, rows=16))
    assert sorted(seen[1:]) == list(range(200))  # the first tells the shape


@pytest.mark.parametrize("task, model", [("denoise", "drunet-fast"), ("upscale", "compact-x2")])
def test_no_row_is_read_long_before_it_is_needed(task, model):
    model, read = loaded(catalog.method(task, model)), [0]
    image = torch.rand(1, model.channels, 240, 24, generator=torch.Generator().manual_seed(0))

    def rows_of(rows: slice) -> torch.Tensor:
        read.append(rows.stop)
        return image[..., rows, :]

    levels, needed = [None] if task == "denoise" else [], model.receptive_field + model.multiple_of
    for number, _ in enumerate(strips(model, rows_of, (240, 24), *levels, rows=16)):
        assert max(read) <= 16 * (number + 1) + needed


def test_nothing_holds_the_image_when_it_is_done():
    model, image = loaded(catalog.method("denoise", "drunet-fast")), torch.zeros(1, 3, 80, 64)
    held = weakref.ref(image)
    gc.disable()  # which would find circles
    try:
        for parts in (80, 1):  # to the end, and dropped on the way
            made = strips(model, lambda rows, image=image: image[..., rows, :], (80, 64), None, rows=16)
            for _ in zip(range(parts), made, strict=False):
                pass
            made.close()
        del made, image
        assert held() is None
    finally:
        gc.enable()


class Other(Denoiser):
    """Does something to the whole that no strip tells."""

    channels, receptive_field = 3, 1

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, noisy):
        return self.how(self.layer(noisy))


@pytest.mark.parametrize("how", [
    lambda x: x / F.adaptive_avg_pool2d(x, 1), lambda x: x.mean((2, 3), keepdim=True) + x, lambda x: x.flip(-2),
    lambda x: torch.cat([x, x], dim=-2), lambda x: torch.cat([x, x], 2), lambda x: x[..., 4:8, :],
    lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), lambda x: F.avg_pool2d(x, 3, 1), torch.fft.rfft2,
    lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: x.transpose(2, 3), lambda x: torch.softmax(x, dim=-2),
])  # fmt: skip
def test_a_network_that_sees_the_whole_is_left_to_tiles(how):
    assert not works_in_strips(Other(how).eval())


def test_what_strips_cannot_do_is_said_before_the_first():
    model = Other(lambda x: torch.cat([x, x], -2)).eval()
    with pytest.raises(UnsupportedError):
        strips(model, lambda rows: torch.zeros(1, 3, 9, 9), (9, 9), None, rows=9)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("task, model", [("denoise", ""), ("denoise", "mwcnn-gray"), ("artifacts", ""),
                                         ("artifacts", "mwcnn-jpeg"), ("upscale", "compact-x2")])  # fmt: skip
def test_an_order_gives_the_same_in_strips_as_in_tiles(rng, monkeypatch, task, model, channels):
    image = Image(rng.integers(0, 256, (150, 131, channels)).astype("uint8"))
    monkeypatch.setattr(running, "STRIP_PIXELS", 48 * 131)
    steps = []
    in_strips = finish(Order(task, model).run(image), steps.append)
    monkeypatch.setattr(running, "in_strips", lambda method: False)
    in_tiles = finish(Order(task, model).run(image))
    assert [step.done for step in steps] == [0, *(131 * rows for rows in (48, 96, 144, 150))]
    assert abs(in_strips.picture.samples.astype(int) - in_tiles.picture.samples.astype(int)).max() <= 1


def test_where_memory_runs_out_tiles_go_on(rng, monkeypatch):
    image = Image(rng.integers(0, 256, (150, 131, 3)).astype("uint8"))

    def greedy(*_, **__):
        yield from ()
        raise MemoryError

    expected = finish(Order("denoise", "drunet-fast").run(image))
    monkeypatch.setattr(running, "strips", greedy)
    done = finish(Order("denoise", "drunet-fast").run(image))
    assert abs(done.picture.samples.astype(int) - expected.picture.samples.astype(int)).max() <= 1
