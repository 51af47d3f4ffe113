"""Perceptual losses, LPIPS and the discriminator, with random weights in the real files' layout."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from restoration.metrics import Lpips, ssim
from train.critics import Discriminator, FeatureCritic, relativistic
from train.losses import PERCEPTUAL, SqueezeLpips, Vgg19, build_loss, coarse_negative_psnr, grid


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(2, 3, 48, 48, generator=generator)
    return (clean + 0.1 * torch.randn(clean.shape, generator=generator)).clamp(0, 1), clean


def test_vgg19_is_the_plain_chain_of_its_layers_before_the_activations(vgg_file, pair):
    weights, (_, image) = load_file(vgg_file), pair
    x = (image - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(
        1, 3, 1, 1
    )
    expected = []
    for index in Vgg19.CONVOLUTIONS:
        x = F.relu(x) if index else x
        if index in (5, 10):
            x = F.max_pool2d(x, 2)
        x = F.conv2d(x, weights[f"features.{index}.weight"], weights[f"features.{index}.bias"], padding=1)
        if index in (2, 7, 16):
            expected.append(x)
    features = Vgg19(vgg_file)(image)
    assert [part.shape for part in features] == [(2, 64, 48, 48), (2, 128, 24, 24), (2, 256, 12, 12)]
    for part, wanted in zip(features, expected, strict=True):
        assert torch.allclose(part, wanted, rtol=1e-3, atol=1e-3)
        assert part.min() < 0


def test_weights_for_bgr_input_see_the_same_picture(tmp_path, vgg_file, pair):
    weights = load_file(vgg_file)
    save_file(weights, tmp_path / "bgr.safetensors", {"input": "BGR, 0..255 minus mean"})
    _, image = pair
    x = 255 * image.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    first = F.conv2d(x, weights["features.0.weight"], weights["features.0.bias"], padding=1)
    vgg = Vgg19(tmp_path / "bgr.safetensors")
    ours = F.conv2d((image - vgg.mean) / vgg.scale, vgg.weight0, vgg.bias0, padding=1)
    assert torch.allclose(ours, first, rtol=1e-3, atol=1e-2)


def test_the_vgg_distance_is_relative_and_has_a_gradient_for_the_image_alone(vgg_file, pair):
    vgg = Vgg19(vgg_file)
    image, clean = pair
    assert vgg.distance(clean, clean) == 0
    assert list(vgg.parameters()) == []
    blocks = [vgg.distance(image, clean, blocks=(block,)) for block in (1, 2, 3)]
    assert len(set(blocks)) == 3
    assert vgg.distance(image, clean) == blocks[2]
    assert torch.isclose(vgg.distance(image, clean, blocks=(1, 3)), (blocks[0] + blocks[2]) / 2)
    image.requires_grad_(True)
    clean.requires_grad_(True)
    vgg.distance(image, clean, power=1).backward()
    assert image.grad.abs().sum() > 0
    assert clean.grad is None


def test_the_combined_loss_is_the_formula(vgg_file, pair):
    vgg, (image, clean) = Vgg19(vgg_file), pair
    parts = [F.mse_loss(image, clean), ssim(image, clean).mean().float(), vgg.distance(image, clean)]
    expected = 0.8 * parts[0].sigmoid() + 0.1 * (1 - (1 + parts[1]) / 2) + 0.1 * parts[2].sigmoid()
    assert torch.allclose(build_loss("combined", vgg)(image, clean), expected)
    assert set(PERCEPTUAL) == {"combined", "vgg+mse"}
    assert torch.allclose(build_loss("vgg+mse", vgg)(image, clean), parts[0] + 0.01 * parts[2])


@pytest.mark.parametrize("kind", [Lpips, SqueezeLpips])
def test_lpips_is_zero_for_equal_images_grows_with_damage_and_takes_grey(kind, lpips_folder, pair):
    lpips, (noisy, clean) = kind(lpips_folder), pair
    assert lpips(clean, clean).abs().max() == 0
    worse = (clean + 3 * (noisy - clean)).clamp(0, 1)
    slight, strong = lpips(noisy, clean), lpips(worse, clean)
    assert slight.shape == (2,)
    assert (strong > slight).all()
    assert (slight > 0).all()
    assert torch.allclose(lpips(noisy[:, :1], clean[:, :1]), lpips(noisy[:, :1].expand(-1, 3, -1, -1),
                                                                   clean[:, :1].expand(-1, 3, -1, -1)))  # fmt: skip


def test_squeezenet_is_that_of_version_1_1_and_its_lpips_can_be_trained_with(lpips_folder, pair):
    lpips, (image, clean) = SqueezeLpips(lpips_folder), pair
    shapes = [tuple(level.shape[1:]) for level in lpips.features(torch.rand(1, 3, 224, 224))]
    assert shapes == [(64, 111, 111), (128, 55, 55), (256, 27, 27), *[(384, 13, 13)] * 2, *[(512, 13, 13)] * 2]
    assert not list(lpips.parameters())
    image.requires_grad_(True)
    lpips(image, clean).mean().backward()
    assert image.grad.isfinite().all()
    nearer = image.detach() - 0.05 * image.grad / image.grad.norm()
    assert lpips(nearer, clean).mean() < lpips(image, clean).mean()
    black = torch.zeros(1, 3, 48, 48, requires_grad=True)
    lpips(black, torch.zeros(1, 3, 48, 48)).sum().backward()
    assert black.grad.isfinite().all()


def test_the_coarse_loss_is_the_decibels_of_the_hole_and_blind_to_what_is_finer(pair):
    _, clean = pair
    mask = torch.zeros(2, 1, 48, 48)
    mask[..., :16, :24] = 1
    off = coarse_negative_psnr(clean + 0.1 * mask, clean, mask)
    assert off == pytest.approx(-20, abs=0.01)
    stripes = 0.1 * torch.tensor([1.0, -1.0]).repeat(24) * mask
    assert coarse_negative_psnr(clean + stripes, clean, mask) == pytest.approx(-50, abs=0.01)
    assert coarse_negative_psnr(clean, clean, torch.zeros_like(mask)) == pytest.approx(-50)  # nothing is missing


@pytest.mark.slow
def test_the_discriminator_maps_any_size_and_learns_to_tell_bright_from_dark():
    torch.manual_seed(0)
    critic = Discriminator(3, width=4)
    assert critic(torch.rand(2, 3, 40, 24)).shape == (2, 1, 5, 3)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        real, fake = torch.rand(4, 3, 16, 16) * 0.3 + 0.7, torch.rand(4, 3, 16, 16) * 0.3
        loss = relativistic(critic(real), critic(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(0.69, abs=0.2)  # log 2: no idea
    assert losses[-1] < 0.2
    assert relativistic(critic(fake), critic(real)) > 1


@pytest.mark.slow
def test_the_feature_critic_learns_to_tell_and_its_generator_to_please_it(vgg_file, pair):
    torch.manual_seed(0)
    vgg, critic = Vgg19(vgg_file), FeatureCritic(width=4)
    noisy, clean = pair
    noisy.requires_grad_(True)
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        loss = critic(*vgg.pair(clean, noisy))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(0.69, abs=0.2)  # log 2: no idea
    assert losses[-1] < losses[0] - 0.1
    assert noisy.grad is None  # what it judges does not move to make its work easier
    likeness = critic.likeness(*vgg.pair(clean, noisy))
    likeness.backward()
    nearer = noisy.detach() - 0.1 * noisy.grad / noisy.grad.norm()
    assert critic.likeness(*vgg.pair(clean, nearer)) < likeness
    assert critic.likeness(*vgg.pair(clean, clean)) < likeness


def test_the_grid_loss_sees_what_repeats_and_no_more(pair):
    image, clean = pair
    stripes = 0.1 * (torch.arange(50) % 4 == 0).float()
    assert torch.isclose(grid(clean + stripes[:48], clean, 4), stripes[:4].sub(0.025).abs().mean())
    assert grid(clean + stripes[:48], clean, 3) < 1e-3  # 48 pixels hold whole periods of 3 and 4
    assert grid(clean + 0.1, clean, 4) < 1e-6
    odd = F.pad(clean, (0, 2, 0, 3))
    assert torch.isclose(grid(odd + stripes, odd, 4), stripes[:4].sub(0.025).abs().mean())
    clean.requires_grad_(True)
    grid(clean, image, 4).backward()
    assert clean.grad.abs().sum() > 0


def test_vgg19_in_bf16_judges_as_in_fp32_and_gives_floats(vgg_file, pair):
    image, clean = pair
    exact, fast = (Vgg19(vgg_file, bf16).distance(image, clean) for bf16 in (False, True))
    assert fast.dtype == torch.float32
    assert float(fast) == pytest.approx(float(exact), rel=0.02)
    assert float(fast) != float(exact)
