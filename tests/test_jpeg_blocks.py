"""Pictures that were saved as JPEG and resized or edited since: found and told; others are left alone."""

import numpy as np
import pytest
import skimage.data
import torch

from restoration.artifacts import Quality, measured_quality, remove_artifacts
from restoration.degradations import Blur, Jpeg
from restoration.diagnosis import diagnosed
from restoration.files import write
from restoration.image import from_tensor
from restoration.jpeg_blocks import blocks
from restoration.metrics import psnr
from restoration.page.before import facts
from restoration.resampling import BILINEAR, resized
from restoration.running import finish

SIZES = (0.75, 0.8, 0.9, 1.2, 4 / 3, 1.6, 2.0)


@pytest.fixture(scope="module")
def clean() -> torch.Tensor:
    """A photo without traces of JPEG, (1, 3, 500, 436): reduced, so that those it may have had are gone."""
    photo = torch.from_numpy(skimage.data.hubble_deep_field().copy()).permute(2, 0, 1)[None] / 255
    return resized(photo, 0.5)


def levels(image: torch.Tensor) -> torch.Tensor:
    return (image[0] * 255).round().to(torch.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("start", [0, 3])
def test_the_size_since_it_was_saved_is_found_also_in_a_part(size, start, clean):
    saved = resized(Jpeg(30)(clean), size)[..., start:, start:]
    assert blocks(levels(saved)).size == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize("size", [1, *SIZES, 0.6, 1.1, 1.5, 2.5, 8 / 3])
@pytest.mark.parametrize("kernel", [None, BILINEAR])
def test_a_picture_that_was_only_resized_is_not_taken_for_one(size, kernel, clean):
    larger = resized(clean, size, kernel) if kernel else resized(clean, size)
    assert measured_quality(from_tensor(larger)) == Quality(None, "pixels")


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_a_jpeg_that_kept_its_size_has_blocks_of_that_size_or_none(quality, clean):
    for saved in (Jpeg(quality)(clean), Jpeg(quality)(clean)[..., 5:, 2:]):
        assert (blocks(levels(saved)) or (1.0,))[0] == 1
        known = measured_quality(from_tensor(saved))
        assert known.resized is None
        assert known.value == quality or quality == 90


def test_a_jpeg_that_was_sharpened_since_is_told_from_one_that_was_not(clean):
    def sharpened(image: torch.Tensor) -> torch.Tensor:
        return (image + 0.9 * (image - Blur(1.0)(image))).clamp(0, 1)

    for again in (lambda image: image, Jpeg(96)):
        assert measured_quality(from_tensor(again(sharpened(clean)))).resized is None
        known = measured_quality(from_tensor(again(sharpened(Jpeg(30)(clean)))))
        assert known.resized == 1
        assert "edited" in str(known)


@pytest.mark.parametrize("picture", [
    np.zeros((400, 400, 3)), np.full((300, 500, 1), 255), np.indices((400, 400)).sum(0)[..., None] // 12 % 2 * 255,
    np.tile(np.arange(400) // 11 % 2 * 200, (400, 1))[..., None], np.zeros((20, 900, 3)), np.ones((1, 1, 1)),
])  # fmt: skip
def test_flat_small_and_striped_pictures_are_not_either(picture):
    assert blocks(torch.from_numpy(picture.astype(np.uint8)).permute(2, 0, 1)) is None


def test_it_is_told_advised_and_worth_it(clean, tmp_path):
    original, damaged = (from_tensor(resized(each, 0.8)[..., :400, :400]) for each in (clean, Jpeg(30)(clean)))
    write(damaged, tmp_path / "a.png")
    quality = measured_quality(damaged)
    assert quality.value is None
    assert str(quality) == "JPEG, then resized to about 80 %"
    assert "JPEG and then resized: removing" in facts("artifacts", str(tmp_path / "a.png"))
    assert "remove its artifacts" in facts("denoise", str(tmp_path / "a.png"))
    advised = {finding.step: finding for finding in diagnosed(damaged)}["artifacts"]
    assert advised.advised
    assert "resized to about 80 %" in advised.words
    assert not {finding.step: finding for finding in diagnosed(original)}["artifacts"].advised
    cleaned = finish(remove_artifacts(damaged)).image().tensor()
    assert psnr(cleaned, original.tensor()) > psnr(damaged.tensor(), original.tensor()) + 0.2


def test_a_jpeg_of_high_quality_tells_of_the_one_before(clean):
    again = measured_quality(from_tensor(Jpeg(92)(resized(Jpeg(30)(clean), 1.5))))
    assert again.value == 92
    assert again.blocky
    assert str(again).endswith(", after an earlier one that was resized to about 150 %")
