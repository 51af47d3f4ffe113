"""JPEG artifacts: compression, the quality that a picture was saved with, models, training, jobs, scores."""

import dataclasses
import io

import gradio as gr
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image as Pillow
from torch import nn

import restoration
from restoration import jpeg, metrics, running, tasks
from restoration.artifacts import Quality, measured_quality, remove_artifacts
from restoration.classical import deblocking_tv
from restoration.degradations import Jpeg
from restoration.files import read, write
from restoration.image import Image, from_tensor
from restoration.models.drunet_artifacts import DRUNetArtifacts
from restoration.models.mwcnn import MWCNN, MWCNNArtifacts
from restoration.orders import Order
from restoration.padding import padded
from restoration.page.before import facts
from restoration.page.runs import Runs
from tests.conftest import in_pairs
from train import artifacts as training
from train import benchmarks
from train.recipes.artifacts import RECIPES as ARTIFACTS
from train.recipes.artifacts import RandomJpeg


@pytest.fixture(scope="module")
def cat() -> torch.Tensor:
    """A clean photo, uint8 (3, 200, 240)."""
    return torch.from_numpy(skimage.data.chelsea()[40:240, 100:340].copy()).permute(2, 0, 1).contiguous()


def bytes_of(picture: torch.Tensor, quality: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(picture.permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


# Compression and quality ---------------------------------------------------------------------------------------------


def test_compressing_is_what_pillow_does(cat):
    saved = torch.from_numpy(np.array(Pillow.open(io.BytesIO(bytes_of(cat, 30))))).permute(2, 0, 1)
    assert torch.equal(jpeg.compressed(cat, 30), saved)
    assert torch.equal(Jpeg(30)(cat[None] / 255)[0], saved / 255)
    assert not torch.equal(jpeg.compressed(cat, 30, "4:4:4"), saved)
    assert jpeg.compressed(cat[:1], 30).shape == cat[:1].shape


@pytest.mark.parametrize("quality", [0, 101])
def test_impossible_qualities_are_refused(quality):
    with pytest.raises(ValueError, match="quality must lie"):
        Jpeg(quality)


def test_the_tables_of_a_file_tell_its_quality():
    for quality in range(1, 101):
        assert read(bytes_of(torch.zeros(3, 16, 16, dtype=torch.uint8), quality)).jpeg_quality == quality


def test_tables_of_another_encoder_give_the_nearest_quality():
    table = jpeg.luma_table(60)
    table[3:, 3:] += 2
    assert abs(jpeg.quality_of_table(table.flatten().tolist()) - 60) <= 2


@pytest.mark.parametrize("quality", [5, 20, 50, 75, 90])
def test_the_pixels_of_a_saved_picture_tell_its_quality(cat, quality):
    assert jpeg.estimated_quality(jpeg.compressed(cat, quality)) == quality
    assert jpeg.estimated_quality(jpeg.compressed(cat[:1], quality)) == quality


def test_the_pixels_of_a_cut_picture_tell_its_quality(cat):
    assert jpeg.estimated_quality(jpeg.compressed(cat, 30)[:, 3:, 5:]) == 30


@pytest.mark.parametrize("quality", [12, 45, 85])
def test_a_part_of_a_large_picture_tells_the_quality_that_all_of_it_tells(quality, monkeypatch):
    large = torch.from_numpy(skimage.data.astronaut().transpose(2, 0, 1).copy()).repeat(1, 3, 3)
    cut = jpeg.compressed(large, quality)[:, 2:, 7:]
    assert jpeg.estimated_quality(cut) == quality
    monkeypatch.setattr(jpeg, "SKETCH", 10**9)
    monkeypatch.setattr(jpeg, "GRID_SIDE", 10**9)
    assert jpeg.estimated_quality(cut) == quality


def test_a_few_coefficients_that_tell_something_else_mislead_nobody():
    places = np.random.default_rng(0).integers(0, jpeg._STEPS.shape[1], 20_000)
    quality = 37
    steps = jpeg._STEPS[quality - 1][places]
    values = steps * np.random.default_rng(1).integers(1, 4, len(places))
    values[:: len(values) - jpeg.SKETCH] = 0.6 * steps[:: len(values) - jpeg.SKETCH]
    qualities = range(1, 101)
    assert quality in jpeg._shortlist(values, places, qualities, 0.1)
    assert len(jpeg._shortlist(values, places, qualities, 0.1)) == jpeg.SHORTLIST


@pytest.mark.parametrize("frame", [(3, 5, 2, 7), (8, 8, 8, 8), (1, 0, 0, 0)])
def test_the_pixels_of_a_picture_in_a_frame_tell_its_quality(cat, frame):
    framed = nn.functional.pad(jpeg.compressed(cat, 30).float(), frame, value=255).to(torch.uint8)
    assert jpeg.estimated_quality(framed) == 30


@pytest.mark.parametrize("make", [
    lambda cat: cat,
    lambda cat: (nn.functional.avg_pool2d(jpeg.compressed(cat, 20).float(), 2)).round().to(torch.uint8),
    lambda cat: torch.randint(0, 256, cat.shape, dtype=torch.uint8),
    lambda cat: torch.full_like(cat, 90),
    lambda cat: cat[:, :10, :10],
], ids=["clean", "reduced after JPEG", "noise", "flat", "tiny"])  # fmt: skip
def test_a_picture_without_traces_of_jpeg_has_no_quality(cat, make):
    assert jpeg.estimated_quality(make(cat)) is None


@pytest.mark.parametrize("again", [("JPEG", 85), ("JPEG", 95), ("WEBP", 90)], ids=str)
@pytest.mark.parametrize("first", [10, 30, 60])
def test_a_picture_that_was_saved_again_tells_its_first_quality(cat, first, again, tmp_path):
    """As JPEG on the same grid or as lossy WebP, in a file of any name."""
    kind, quality = again
    once = Pillow.fromarray(jpeg.compressed(cat, first).permute(1, 2, 0).numpy())
    once.save(tmp_path / "again", kind, quality=quality)
    found = measured_quality(read(tmp_path / "again"))
    assert found.value == pytest.approx(first, abs=3)
    assert found.origin == "pixels"
    assert found.file == (quality if kind == "JPEG" else None)


@pytest.mark.parametrize("quality", [50, 80, 95])
def test_a_picture_that_was_never_jpeg_is_not_taken_for_one_in_webp(cat, quality, tmp_path):
    Pillow.fromarray(cat.permute(1, 2, 0).numpy()).save(tmp_path / "a.webp", quality=quality)
    assert measured_quality(read(tmp_path / "a.webp")).value is None


def test_a_file_of_several_jpegs_has_the_quality_of_the_first(cat, tmp_path):
    pictures = [Pillow.fromarray(cat.permute(1, 2, 0).numpy()) for _ in range(2)]
    pictures[0].save(tmp_path / "a.mpo", "MPO", save_all=True, append_images=pictures[1:], quality=77)
    assert measured_quality(read(tmp_path / "a.mpo")) == Quality(77, "file")


def test_the_quality_of_an_image_comes_from_its_file_or_else_from_its_pixels(cat, tmp_path):
    (tmp_path / "a.jpg").write_bytes(bytes_of(cat, 42))
    assert measured_quality(read(tmp_path / "a.jpg")) == Quality(42, "file")
    write(read(tmp_path / "a.jpg"), tmp_path / "a.png")
    assert measured_quality(read(tmp_path / "a.png")) == Quality(42, "pixels")
    deep = Image(cat.permute(1, 2, 0).numpy().astype(np.uint16) * 257)
    assert measured_quality(deep).value is None


def test_psnr_b_counts_block_edges():
    flat = torch.full((1, 1, 32, 32), 0.5)
    blocks = flat.clone()
    blocks[..., 8:16] += 0.1
    # 8 of 32 columns differ by 0.1; of the steps between neighbours, two of three columns at block edges are 0.1 high.
    error = 0.01 * 8 / 32
    excess = (2 * 32 * 0.01) / (2 * 3 * 32) * 3 / 5
    assert metrics.psnr_b(blocks, flat).item() == pytest.approx(-10 * np.log10(error + excess), abs=1e-4)
    shifted = flat.clone()
    shifted[..., 4:12] += 0.1
    assert metrics.psnr_b(shifted, flat).item() == pytest.approx(-10 * np.log10(error), abs=1e-4)
    with pytest.raises(ValueError, match="at least 9 pixels"):
        metrics.psnr_b(flat[..., :8], flat[..., :8])


# Models --------------------------------------------------------------------------------------------------------------


def test_spandrel_runs_the_same_weights_blind(spandrel):
    model = DRUNetArtifacts(3, (8, 12, 16, 20), blocks=2).eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.05)
    other = spandrel.ModelLoader().load_from_state_dict(dict(model.state_dict())).eval()
    image = torch.rand(1, 3, 40, 48)
    within = (..., slice(8, -8), slice(8, -8))
    with torch.inference_mode():
        expected = other(padded(image, (8, 8, 8, 8), "symmetric"))[within].clamp(0, 1)
        assert torch.allclose(expected, model.restore(image), atol=1e-5)
        assert not torch.allclose(model.restore(image, 20), model.restore(image), atol=1e-3)


def test_the_flagship_cleans_a_jpeg_and_leaves_a_clean_photo_alone(cat):
    clean = cat[None] / 255
    damaged = Jpeg(20)(clean)
    for told in (None, 20):
        restored = restoration.load("drunet-jpeg").restore(damaged, told)
        assert metrics.psnr(restored, clean) > metrics.psnr(damaged, clean) + 0.5
    assert metrics.psnr(restoration.load("drunet-jpeg").restore(clean), clean) > 40


def test_the_untrained_network_gives_its_input_back():
    image = torch.rand(1, 3, 21, 34)
    assert torch.allclose(DRUNetArtifacts(3, (8, 12, 16, 20), blocks=1).eval().restore(image), image, atol=1e-6)


def test_the_wavelet_network_is_that_of_the_denoiser():
    denoiser, remover = MWCNN(1, (4, 8), 2), MWCNNArtifacts(1, (4, 8), 2)
    remover.load_state_dict(denoiser.state_dict())
    image = torch.rand(1, 1, 20, 24)
    assert torch.equal(remover.eval().restore(image), denoiser.eval().restore(image))


@pytest.mark.parametrize("quality", [0.5, 101, torch.tensor([30.0, 200.0])])
def test_a_quality_out_of_range_is_refused(quality):
    with pytest.raises(ValueError, match="quality goes from 1 to 100"):
        DRUNetArtifacts(3, (4, 4, 4, 4), 1).eval().restore(torch.rand(2, 3, 8, 8), quality)


def test_a_grey_model_corrects_the_brightness_of_a_colour_picture_alone():
    model = MWCNNArtifacts(1, (4, 4), 2).eval()
    image = 0.4 + 0.2 * torch.rand(1, 3, 16, 16)
    change = running.with_channels(model, image) - image
    assert change.abs().max() > 1e-4
    assert torch.allclose(change, change[:, :1].expand_as(change), atol=1e-6)


def test_filters_smooth_more_at_lower_quality_and_leave_clean_pictures_alone(cat):
    image = cat[None] / 255
    weak, strong = (deblocking_tv(image, quality) for quality in (80, 10))
    assert (strong - image).abs().mean() > 2 * (weak - image).abs().mean() > 0
    assert torch.equal(deblocking_tv(image), image)
    damaged = Jpeg(15)(image)
    assert torch.allclose(deblocking_tv(damaged), deblocking_tv(damaged, 15))


# Training ------------------------------------------------------------------------------------------------------------


def test_removers_are_validated_told_and_blind(cat):
    class Watched(DRUNetArtifacts):
        def restore(self, image, quality=None):
            told.append(quality)
            return super().restore(image, quality)

    told = []
    recipe = dataclasses.replace(ARTIFACTS["drunet-jpeg"], scored=((10, 1.0), (30, 1.5)))
    recipe.validate(Watched(3, (4, 4, 4, 4), 1).eval(), [cat[:, :32, :32]])
    assert told == [10, None, None]  # what was resized has no quality to be told


def test_damage_keeps_pictures_in_place_and_tells_the_lowest_quality(cat):
    clean = (cat[None, :, :72, :72] / 255).repeat(40, 1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    wanted, damaged, quality = RandomJpeg(5, 95, clean_share=0.2, grey_share=0.3)(clean, generator)
    assert wanted.shape == damaged.shape == (40, 3, 64, 64)
    error = (wanted - damaged).square().mean((1, 2, 3))
    untouched = quality.flatten() == 100
    assert 0 < untouched.sum() < 20
    assert error[untouched].max() == 0
    assert error[~untouched].min() > 0
    assert -10 * error.max().log10() > 20  # a shift by one pixel alone would cost more
    assert quality.min() >= 5
    grey = (wanted[:, :1] == wanted).all(dim=3).all(dim=2).all(dim=1)
    assert 0 < grey.sum() < 40
    assert ((damaged[:, :1] == damaged).flatten(1).all(1) == grey).all()


@pytest.fixture
def damaged_with(cat):
    """What comes of 80 clean crops when one share is 1 and the others are 0."""
    clean = (cat[None, :, :72, :72] / 255).repeat(80, 1, 1, 1)

    def damaged(low: int = 5, high: int = 5, **share: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        shares = {field.name: 0.0 for field in dataclasses.fields(RandomJpeg) if field.name.endswith("_share")}
        return RandomJpeg(low, high, **{**shares, **share})(clean, torch.Generator().manual_seed(0))

    return damaged


def test_the_share_whose_grid_begins_elsewhere_shows_its_blocks_elsewhere(damaged_with):
    def edges(**share: float) -> float:
        """How much larger steps are where blocks of the corner's grid meet."""
        steps = damaged_with(**share)[1].diff(dim=-1).abs().mean((0, 1, 2))
        return float(steps[7::8].mean() / steps.mean())

    assert edges() > 2
    assert edges(shifted_share=1) < 1.2


def test_the_share_that_was_saved_twice_has_the_lower_of_two_qualities(damaged_with):
    once, twice = (damaged_with(5, 95, double_share=share)[2].float().mean() for share in (0, 1))
    assert once == pytest.approx(50, abs=8)
    assert twice == pytest.approx(35, abs=8)  # a third of the range, as the lower of two uniform numbers


@pytest.mark.parametrize("size", [0.5, 0.75, 1.5, 2.0])
def test_the_share_that_was_resized_has_blocks_of_that_size(size, cat, monkeypatch):
    monkeypatch.setattr(RandomJpeg, "SIZES", (size, size))
    monkeypatch.setattr(RandomJpeg, "AGAIN", 100)
    damage = RandomJpeg(1, 1, clean_share=0, resized_share=1, full_colour_share=1)
    side = damage.source(64)
    clean = (cat[None, :, :side, :side] / 255).repeat(8, 1, 1, 1)
    wanted, damaged, quality = damage(clean, torch.Generator().manual_seed(0))
    assert wanted.shape == damaged.shape == (8, 3, 64, 64)
    assert (quality == 1).all()
    assert wanted.sub(damaged).mean().abs() < 0.01  # in place
    spectrum = torch.fft.rfft(damaged.diff(dim=-1).abs().mean((0, 1, 2)), 1024).abs()
    assert spectrum[40:].argmax().item() + 40 == pytest.approx(1024 / (8 * size), rel=0.1)


def test_the_shares_of_full_colour_of_grey_and_of_clean_are_so(damaged_with):
    def lost(**share: float) -> float:
        """Of the colours: differences of channels."""
        wanted, damaged, _ = damaged_with(60, 60, **share)
        return float((wanted - damaged).diff(dim=1).square().mean())

    assert lost(full_colour_share=1) < 0.8 * lost()
    assert lost(grey_share=1) == 0
    wanted, damaged, quality = damaged_with(clean_share=1)
    assert torch.equal(wanted, damaged)
    assert (quality == 100).all()


@pytest.mark.slow
@pytest.mark.parametrize("name, build", [
    ("mwcnn-jpeg", lambda: MWCNNArtifacts(1, (4, 4), 2)),
    ("drunet-jpeg", lambda: DRUNetArtifacts(3, (4, 4, 4, 4), 1)),
])  # fmt: skip
def test_a_training_run_goes_on_after_a_kill_as_if_unbroken(name, build, tmp_path, noise_folder, monkeypatch):
    small = dataclasses.replace(ARTIFACTS[name], build=build, crop=32, late_crop=32)
    monkeypatch.setitem(ARTIFACTS, name, small)
    common = [name, "--data", str(noise_folder(80, 72)), "--batch", "2", "--validate-every", "2", "--save-every", "0"]
    common += ["--steps", "5"]
    training.main([*common, "--out", str(tmp_path / "whole")])
    steps = []
    real = RandomJpeg.__call__

    def counted(self, *arguments):
        steps.append(1)
        return 1 / 0 if len(steps) == 4 else real(self, *arguments)

    with monkeypatch.context() as killed:
        killed.setattr(RandomJpeg, "__call__", counted)
        with pytest.raises(ZeroDivisionError):
            training.main([*common, "--out", str(tmp_path / "killed")])
    training.main([*common, "--out", str(tmp_path / "killed")])
    whole, again = (restoration.load(tmp_path / where).state_dict() for where in ("whole", "killed"))
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    fresh = build().state_dict()
    assert any(not torch.equal(whole[key], fresh[key]) for key in whole)


# Jobs, page, command line ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model, bits, channels", in_pairs([method.name for method in restoration.methods("artifacts")])
)
def test_grey_colour_depth_and_transparency_survive_every_model(rng, model, bits, channels):
    kind = np.uint8 if bits == 8 else np.uint16
    samples = rng.integers(0, 2**bits, (19, 23, channels)).astype(kind)
    alpha = rng.integers(0, 2**bits, (19, 23)).astype(kind)
    image = Image(samples, alpha)
    cleaned = running.finish(remove_artifacts(image, model))
    assert cleaned.image().samples.shape == samples.shape
    assert cleaned.image().samples.dtype == samples.dtype
    np.testing.assert_array_equal(cleaned.image().alpha, alpha)
    np.testing.assert_array_equal(cleaned.image(0).samples, samples)


def test_a_filter_is_told_the_measured_quality(cat):
    image = from_tensor(Jpeg(12)(cat[None] / 255))
    auto, told = (running.finish(remove_artifacts(image, "deblocking-tv", quality)) for quality in (None, 12))
    np.testing.assert_array_equal(auto.image().samples, told.image().samples)
    assert (str(auto.found), str(told.found)) == ("JPEG quality 12, from its pixels", "JPEG quality 12")


def compression_trial(clean, quality):
    order = Order("artifacts", "deblocking-tv")
    return tasks.named("artifacts").trial(clean, order.method, order.settings, (quality,))


@pytest.mark.parametrize("quality", [4, 96])
def test_jobs_refuse_a_quality_out_of_range(photo, quality):
    with pytest.raises(ValueError, match="goes from 5 to 95"):
        running.finish(remove_artifacts(photo, "deblocking-tv", quality))
    with pytest.raises(ValueError, match="goes from 5 to 95"):
        running.finish(compression_trial(photo, quality))


def test_a_trial_scores_the_jpeg_and_the_result(cat):
    clean = cat[None] / 255
    trial = running.finish(compression_trial(from_tensor(clean), 15))
    damaged = Jpeg(15)(clean)
    assert trial.before.psnr == pytest.approx(float(metrics.psnr(damaged, clean)), abs=1e-4)
    assert trial.before.psnr_b == pytest.approx(float(metrics.psnr_b(damaged, clean)), abs=1e-4)
    assert trial.after.psnr_b > trial.before.psnr_b + 0.3


@pytest.mark.parametrize("quality, words", [
    (20, "removing them is worth a run"), (80, "compare closely"), (95, "leave it alone"),
])  # fmt: skip
def test_facts_tell_the_quality_and_whether_a_run_is_worth_it(cat, tmp_path, quality, words):
    (tmp_path / "a.jpg").write_bytes(bytes_of(cat, quality))
    known = facts("artifacts", str(tmp_path / "a.jpg"))
    assert f"JPEG quality {quality}" in known
    assert words in known
    assert ("remove its artifacts" in facts("denoise", str(tmp_path / "a.jpg"))) == (quality == 20)


def test_a_picture_that_never_was_a_jpeg_is_better_left_alone(cat, tmp_path):
    write(from_tensor(cat / 255.0), tmp_path / "a.png")
    known = facts("artifacts", str(tmp_path / "a.png"))
    assert "no trace of JPEG" in known
    assert "leave it alone" in known


def test_a_trial_on_the_page_shows_all_three_scores_and_warns_of_a_picture_that_is_no_reference(
    cat, tmp_path, monkeypatch
):
    (tmp_path / "a.jpg").write_bytes(bytes_of(cat, 30))
    warnings = []
    monkeypatch.setattr(gr, "Warning", warnings.append)

    def silent(*_, **__):
        """Progress that nobody watches."""

    runs = Runs(tasks.named("artifacts"))
    *_, (pair, rows) = runs.try_out(silent, str(tmp_path / "a.jpg"), "deblocking-tv", True, 30, 100, 10)
    assert len(warnings) == 1
    assert [row[0] for row in rows] == ["JPEG", "Cleaned"]
    assert all(len(row) == 4 and row[3].endswith("dB") for row in rows)
    assert len(pair) == 2


# Scores --------------------------------------------------------------------------------------------------------------


def test_compressed_sets_are_scored_over_all_channels_and_say_what_was_kept(cat, tmp_path):
    write(from_tensor(cat / 255.0), tmp_path / "a.png")
    (test_set,) = (s for s in benchmarks.every()["artifacts"].of_folder(tmp_path, None) if s.quality == 10)
    (clean,) = test_set.images(tmp_path)
    (damaged,) = test_set.degraded(clean, 0, tmp_path)
    score = test_set.summary([damaged], [clean], [(damaged,)], None)
    assert score["psnr"] == pytest.approx(float(metrics.psnr(damaged, clean)), abs=1e-4)
    assert score["psnr_b"] < score["psnr"] - 0.5
    assert score["kept"] == 99
    half = (damaged + clean) / 2
    kept = test_set.summary([half], [clean], [(damaged,)], None)["kept"]
    assert kept == pytest.approx(score["psnr"] + 6.02, abs=0.1)
