"""Inpainters: holes of the wanted share, the contract on known pixels, contextual attention that copies texture."""

import dataclasses
from functools import partial

import pytest
import torch

import restoration
from restoration.classical import diffusion
from restoration.models import deepfill
from restoration.models.deepfill import ContextualAttention, DeepFill
from restoration.models.fourier_fill import Enlarge, FourierFill, SpectralTransform
from restoration.random_holes import BoxHoles, PixelHoles, StrokeHoles
from train import inpaint
from train.critics import PatchCritic, around, gradient_penalty, off_grid
from train.losses import discounted_l1
from train.recipes.inpaint import RECIPES as INPAINT


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("holes", [
    StrokeHoles(0.1, 0.3), StrokeHoles(0.03, 0.08, strokes=24, corners=5, reach=0.03), BoxHoles(0.1, 0.3),
    PixelHoles(0.5),
], ids=["strokes", "writing", "box", "pixels"])  # fmt: skip
def test_holes_are_binary_and_cover_the_share(holes):
    masks = holes(20, (96, 64), seeded())
    assert masks.shape == (20, 1, 96, 64)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    share = masks.mean((1, 2, 3))
    low, high = getattr(holes, "low", 0.47), getattr(holes, "high", 0.53)
    assert low - 0.02 <= share.min() < share.max() <= high + 0.02
    assert torch.equal(masks, holes(20, (96, 64), seeded()))
    assert (masks[0] != masks[1]).any()


def test_a_box_is_one_rectangle():
    for mask in BoxHoles(0.2, 0.4)(8, (50, 70), seeded()):
        rows, columns = mask[0].amax(1), mask[0].amax(0)
        assert torch.equal(mask[0], rows[:, None] * columns)
        assert (rows.diff() != 0).sum() <= 2


def test_strokes_are_wide_and_connected_unlike_single_pixels():
    strokes, pixels = StrokeHoles(0.2, 0.2)(4, (64, 64), seeded()), PixelHoles(0.2)(4, (64, 64), seeded())

    def edges(masks):
        return (masks.diff(dim=2) != 0).float().mean() + (masks.diff(dim=3) != 0).float().mean()

    assert edges(strokes) < 0.3 * edges(pixels)


@pytest.mark.parametrize("make", [
    lambda: StrokeHoles(0.3, 0.2), lambda: BoxHoles(0, 0.5), lambda: PixelHoles(1.0),
])  # fmt: skip
def test_impossible_shares_are_refused(make):
    with pytest.raises(ValueError, match="share of missing pixels"):
        make()


@pytest.fixture(params=[partial(DeepFill, 4), partial(FourierFill, (4, 6, 8), 1)], ids=["deepfill", "fourier-fill"])
def model(request):
    torch.manual_seed(0)
    return request.param().eval()


@pytest.mark.parametrize("size", [(64, 64), (37, 51), (1, 1)])
def test_known_pixels_come_back_bit_for_bit_and_holes_are_filled_whatever_they_held(model, size):
    image = torch.rand(2, 3, *size)
    mask = PixelHoles(0.5)(2, size, seeded())
    restored = model.restore(image, mask)
    known = (mask == 0).expand_as(image)
    assert torch.equal(restored[known], image[known])
    assert restored.min() >= 0
    assert restored.max() <= 1
    assert torch.equal(model.restore(torch.where(known, image, 0.9), mask), restored)


@pytest.mark.parametrize("mask", [torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 9), torch.full((1, 1, 8, 8), 0.5)])
def test_wrong_masks_are_refused(model, mask):
    with pytest.raises(ValueError, match="mask"):
        model.restore(torch.rand(1, 3, 8, 8), mask)


def test_weights_survive_a_folder(model, tmp_path):
    model.save_pretrained(tmp_path)
    image, mask = torch.rand(1, 3, 32, 32), BoxHoles(0.2, 0.3)(1, (32, 32), seeded())
    assert torch.allclose(restoration.load(tmp_path).restore(image, mask), model.restore(image, mask), atol=1e-5)


def textured() -> tuple[torch.Tensor, torch.Tensor]:
    """Features with a periodic texture on the left, noise on the right, and a hole in the texture."""
    generator = seeded()
    features = torch.randn(1, 6, 8, 8, generator=generator).repeat(1, 1, 4, 4)
    features[..., 16:] = torch.randn(1, 6, 32, 16, generator=generator)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:20, 4:12] = 1
    return features, mask


def test_attention_copies_a_known_texture_into_the_hole():
    features, mask = textured()
    guess = features + 0.3 * torch.randn(features.shape, generator=seeded())  # what a coarse fill would give
    rebuilt = ContextualAttention()(guess, features * (1 - mask), mask)
    inside = (..., slice(10, 18), slice(6, 10))
    assert (guess - features)[inside].abs().mean() > 0.2
    assert (rebuilt - features)[inside].abs().mean() < 0.06


def test_attention_never_copies_from_the_hole():
    features, mask = textured()
    spoilt = torch.where(mask.bool(), torch.tensor(100.0), features)
    rebuilt = ContextualAttention()(features, spoilt, mask)
    assert rebuilt.abs().max() < 10
    everything = ContextualAttention()(features, features, torch.ones_like(mask))
    assert everything.isfinite().all()


def test_attention_treats_the_images_of_a_batch_by_themselves():
    features, mask = textured()
    others = torch.randn(features.shape, generator=seeded())
    together = ContextualAttention()(
        torch.cat([features, others]), torch.cat([features, others]), torch.cat([mask, 1 - mask])
    )
    alone = ContextualAttention()(others, others, 1 - mask)
    assert torch.allclose(together[1:], alone, atol=1e-5)


def test_propagation_adds_along_the_diagonals_of_both_axes():
    similarity = torch.rand(1, 12, 3, 4, generator=seeded())  # 3 x 4 places against 3 x 4 places
    table = similarity.view(3, 4, 3, 4)  # background row, column, then foreground row, column
    expected = torch.zeros(3, 4, 3, 4)
    flat_shift = {(0, 0): 1, (0, 1): 1, (0, -1): 1}
    for (_, step), weight in flat_shift.items():  # along the rows, as the flattened places follow each other
        for background in range(12):
            for place in range(12):
                if 0 <= background + step < 12 and 0 <= place + step < 12:
                    value = similarity.view(12, 12)[background + step, place + step]
                    expected.view(12, 12)[background, place] += weight * value
    table = expected.permute(1, 0, 3, 2).reshape(12, 12)
    second = torch.zeros(12, 12)
    for step in (0, 1, -1):
        for background in range(12):
            for place in range(12):
                if 0 <= background + step < 12 and 0 <= place + step < 12:
                    second[background, place] += table[background + step, place + step]
    expected = second.view(4, 3, 4, 3).permute(1, 0, 3, 2).reshape(1, 12, 3, 4)
    assert torch.allclose(deepfill._propagated(similarity), expected, atol=1e-6)


@pytest.fixture
def photos(noise_folder):
    return noise_folder(80, 72)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "build", "first"), [
    ("deepfill", partial(DeepFill, 4), 6), ("fourier-fill", partial(FourierFill, (4, 4, 4), 1), 3),
])  # fmt: skip
def test_a_training_run_brings_in_the_critic_and_goes_on_after_a_kill(
    name, build, first, tmp_path, photos, lpips_folder, vgg_file, monkeypatch
):
    small = dataclasses.replace(INPAINT[name], build=build, crop=32, late_crop=32, critic_width=4)
    monkeypatch.setitem(INPAINT, name, small)
    common = [name, "--data", str(photos), "--batch", "2", "--validate-every", "2", "--save-every", "0"]
    common += ["--backbones", str(lpips_folder), "--vgg", str(vgg_file), "--steps", "6"]
    judged = []
    kind = inpaint.CRITICS[small.critic]
    real = kind.likeness

    def counted(*arguments):
        judged.append(1)
        return real(*arguments)

    monkeypatch.setattr(kind, "likeness", counted)
    inpaint.main([*common, "--out", str(tmp_path / "whole")])
    assert len(judged) == first  # steps of the second part of the run
    with monkeypatch.context() as killed:
        killed.setattr(kind, "likeness", lambda *a: 1 / 0 if len(judged) > first else counted(*a))
        with pytest.raises(ZeroDivisionError):
            inpaint.main([*common, "--out", str(tmp_path / "killed")])
    inpaint.main([*common, "--out", str(tmp_path / "killed")])
    whole, again = (restoration.load(tmp_path / name).state_dict() for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    judged.clear()
    inpaint.main([*common, "--out", str(tmp_path / "continued"), "--init", str(tmp_path / "whole")])
    assert len(judged) == 6


@pytest.mark.slow
@pytest.mark.parametrize("kind", inpaint.CRITICS)
def test_a_critic_learns_to_tell_and_its_inpainter_to_please_it(kind):
    torch.manual_seed(0)
    critic = inpaint.CRITICS[kind](3, 8)
    clean, filled = torch.rand(4, 3, 32, 32), torch.full((4, 3, 32, 32), 0.5)
    mask = torch.zeros(4, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    filled = torch.where(mask.bool(), filled, clean)
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = critic(clean, filled, mask, seeded())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.1
    assert critic.likeness(clean, clean, mask) < critic.likeness(clean, filled, mask)


def test_the_patch_critic_looks_only_where_something_is_missing():
    critic = PatchCritic(3, 4).eval()
    clean = torch.rand(1, 3, 128, 128, generator=seeded())
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., :16, :16] = 1
    spoilt = clean.clone()
    spoilt[..., 64:, 64:] = 0
    assert critic.likeness(clean, spoilt, mask) == critic.likeness(clean, clean, mask)
    assert critic.likeness(clean, spoilt, 1 - mask) != critic.likeness(clean, clean, 1 - mask)


def test_untrained_enlarging_repeats_no_pixel():
    torch.manual_seed(0)
    enlarge = Enlarge(3, 2)
    slope = torch.arange(8.0).expand(1, 3, 8, 8)
    steps = enlarge(slope).diff(dim=-1)[..., 2:-2]  # the outermost pixels have no neighbour to lean on
    assert torch.allclose(steps, steps.mean((2, 3), keepdim=True).expand_as(steps), atol=1e-5)
    assert enlarge(slope).shape == (1, 2, 16, 16)
    assert steps.abs().min() > 1e-3
    with torch.no_grad():
        enlarge.detail[0].bias[0] = 1.0  # its first output goes to every other pixel of every other row
    assert torch.isclose(enlarge(slope).diff(dim=-1)[0, 0, 4, 4] - steps[0, 0, 4, 2], torch.tensor(-1.0), atol=1e-4)


def test_the_untrained_fourier_fill_is_the_diffusion_fill():
    image, mask = torch.rand(1, 3, 40, 32), StrokeHoles(0.2, 0.3)(1, (40, 32), seeded())
    assert torch.allclose(FourierFill((4, 4, 4), 1).eval().restore(image, mask), diffusion(image, mask), atol=1e-6)


def test_a_spectral_transform_sees_the_whole_picture():
    torch.manual_seed(0)
    layer = SpectralTransform(4)
    x = torch.rand(1, 4, 16, 16)
    other = x.clone()
    other[..., 0, 0] += 1
    assert (layer(x) - layer(other))[..., 8:, 8:].abs().max() > 1e-5


def test_the_loss_is_discounted_with_the_distance_to_known_pixels():
    mask = torch.zeros(1, 1, 9, 9)
    mask[..., 2:7, 2:7] = 1
    ones, zeros = torch.ones(1, 3, 9, 9), torch.zeros(1, 3, 9, 9)
    weights = 56 * 1 + 16 * 0.9 + 8 * 0.9**2 + 1 * 0.9**3
    assert discounted_l1(ones, zeros, mask, discount=0.9).item() == pytest.approx(weights / 81)


def test_the_penalty_wants_a_slope_of_one():
    real, fake = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    for slope in (1.0, 3.0):
        length = (3 * 8 * 8) ** 0.5

        def critic(image, factor=slope / length):
            return factor * image.flatten(1).sum(1, keepdim=True)

        penalty = gradient_penalty(critic, real, fake, seeded())
        assert penalty.item() == pytest.approx((slope - 1) ** 2, abs=1e-4)


def test_what_judges_sees_the_same_window_of_everything_at_every_offset():
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(40.0), indexing="ij")
    place = torch.stack([rows, columns])[None]
    seen = set()
    generator = seeded()
    for _ in range(500):
        first, second = off_grid(place, 2 * place, generator=generator)
        assert first.shape == (1, 2, 16, 32)
        assert torch.equal(2 * first, second)
        seen.add((int(first[0, 0, 0, 0]), int(first[0, 1, 0, 0])))
    assert seen == {(row, column) for row in range(8) for column in range(8)}


def test_a_hole_outside_the_window_still_has_a_local_view():
    image = torch.rand(1, 3, 16, 16)
    assert around(image, torch.zeros(1, 1, 16, 16)).shape == (1, 3, 8, 8)


def test_the_window_of_the_local_critic_lies_around_the_hole():
    mask = torch.zeros(2, 1, 16, 16)
    mask[0, :, 12:, 12:] = 1
    mask[1, :, 7:9, 7:9] = 1
    image = torch.arange(256.0).view(1, 1, 16, 16).expand(2, -1, -1, -1)
    windows = around(image, mask)
    assert windows.shape == (2, 1, 8, 8)
    assert windows[0, 0, -1, -1] == 255
    assert windows[1, 0, 0, 0] == 16 * 3 + 3
