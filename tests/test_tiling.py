"""Tiles: bounded, exact, stoppable, and smaller when memory runs out."""

import pytest
import torch
from torch.nn import functional as F

from restoration.tiling import restore_tiled, run_tiled


def blur(image: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(image, 7, stride=1, padding=3)


@pytest.mark.parametrize("size", [(1, 1), (50, 3), (101, 77), (128, 64)])
@pytest.mark.parametrize("tile", [16, 33, 500])
def test_a_local_function_gives_the_same_pixels_in_tiles(size, tile):
    image = torch.rand(1, 3, *size)
    assert torch.allclose(restore_tiled(blur, image, receptive_field=3, tile=tile), blur(image), atol=1e-6)


def test_too_narrow_a_halo_shows():
    image = torch.rand(1, 1, 64, 64)
    assert (restore_tiled(blur, image, receptive_field=2, tile=16) - blur(image)).abs().max() > 1e-3


def test_an_upscaler_lands_where_it_should():
    image = torch.rand(1, 3, 30, 45)
    double = lambda part: F.interpolate(part, scale_factor=2)  # noqa: E731
    assert torch.equal(restore_tiled(double, image, receptive_field=0, scale=2, tile=16), double(image))


def test_windows_start_on_the_grid_of_the_strides():
    starts = []
    image = torch.rand(1, 1, 100, 100)

    def read(window):
        starts.append((window[0].start, window[1].start))
        return image[(..., *window)]

    for _ in run_tiled(lambda part: part, read, lambda *_: None, (100, 100), receptive_field=5, multiple_of=8, tile=20):
        pass
    assert len(starts) == 25
    assert all(start % 8 == 0 for pair in starts for start in pair)


def test_progress_is_yielded_for_every_tile_and_dropping_the_generator_stops():
    calls = []
    image = torch.zeros(1, 1, 64, 64)
    job = run_tiled(
        lambda part: calls.append(part.shape) or part,
        lambda window: image[(..., *window)],
        lambda *_: None,
        (64, 64),
        receptive_field=0,
        tile=16,
    )
    shares = [next(job).share for _ in range(4)]
    assert shares == pytest.approx([0, 1 / 16, 2 / 16, 3 / 16])
    job.close()
    assert len(calls) == 3


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")])  # fmt: skip
def test_out_of_memory_halves_the_tile_and_the_result_stays_exact(error):
    sizes = []

    def tight(part):
        sizes.append(max(part.shape[-2:]))
        if sizes[-1] > 50:
            raise error
        return blur(part)

    image = torch.rand(1, 1, 130, 90)
    assert torch.allclose(restore_tiled(tight, image, receptive_field=3, tile=128), blur(image), atol=1e-6)
    assert max(sizes) > 50 >= min(sizes)


def test_no_memory_at_all_ends_in_a_sentence():
    def full(_):
        raise MemoryError

    with pytest.raises(MemoryError, match="more memory than there is"):
        restore_tiled(full, torch.rand(1, 1, 100, 100), receptive_field=3, tile=64)


def test_other_errors_pass():
    def broken(_):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        restore_tiled(broken, torch.rand(1, 1, 10, 10), receptive_field=3)
