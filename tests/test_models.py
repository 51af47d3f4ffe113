"""Every architecture, in a small variant: sizes, receptive field, tiles, the round trip through a folder."""

import json

import pytest
import safetensors.torch
import torch

from restoration import catalog
from restoration.models.cifar_autoencoder import CifarAutoencoder
from restoration.models.ct_autoencoder import CtAutoencoder
from restoration.models.drunet import DRUNet
from restoration.models.mwcnn import MWCNN, haar, inverse_haar
from restoration.models.xray_unet import XrayUNet
from restoration.tiling import restore_tiled

SMALL = {
    "drunet": lambda: DRUNet(3, (4, 6, 8), blocks=1, unshuffle=2),
    "drunet of the paper's shape": lambda: DRUNet(1, (4, 4, 4, 4), blocks=1),
    "mwcnn": lambda: MWCNN(3, (6, 8), depth=2),
    "mwcnn grey": lambda: MWCNN(1, (6, 8, 8), depth=2),
    "mwcnn rectified": lambda: MWCNN(1, (6, 8), depth=2, rectified=True),
    "xray-unet": lambda: XrayUNet((4, 6, 8), 1),
    "ct-autoencoder": lambda: CtAutoencoder(4, depth=2),
    "cifar-autoencoder": lambda: CifarAutoencoder(4),
}


@pytest.fixture(params=SMALL)
def model(request):
    torch.manual_seed(0)
    model = SMALL[request.param]().eval()
    for kernel in model.parameters():
        if kernel.ndim == 4:
            torch.nn.init.kaiming_normal_(kernel).data.mul_(0.8)  # keeps the signal alive, and off the limits 0 and 1
    return model


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 2), (31, 33), (40, 64)])
def test_any_size_comes_back_the_same_size_within_0_and_1(model, size):
    restored = model.restore(torch.rand(2, model.channels, *size))
    assert restored.shape == (2, model.channels, *size)
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_no_pixel_outside_the_receptive_field_matters_and_the_bound_is_not_idle(model):
    side, centre = 2 * (model.receptive_field + 16), model.receptive_field + 16
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_().mul_(0.1)  # nothing cancels and no ReLU is off, so every path shows
            parameter.requires_grad_(False)  # that of the picture is wanted
    reach = 0
    noisy = torch.rand(1, model.channels, side // 8 * 8, side // 8 * 8, dtype=torch.double, requires_grad=True)
    planes = (torch.rand_like(noisy[:, :1]),) if model.takes_sigma else ()
    restored = model.double()(noisy, *planes)
    for offset in range(model.multiple_of):
        (gradient,) = torch.autograd.grad(restored[0, 0, centre + offset, centre], noisy, retain_graph=True)
        rows = gradient[0].abs().sum((0, 2)).nonzero().flatten() - centre - offset
        reach = max(reach, int(rows.abs().max()))
    assert model.receptive_field * 0.6 < reach <= model.receptive_field


@pytest.mark.parametrize("size, tile", [((97, 131), 40), ((64, 203), 24)])
def test_tiles_equal_the_whole(model, size, tile):
    image = torch.rand(1, model.channels, *size)
    whole = model.restore(image, 0.1)
    tiled = restore_tiled(
        lambda part: model.restore(part, 0.1),
        image,
        receptive_field=model.receptive_field,
        multiple_of=model.multiple_of,
        tile=tile,
    )
    assert (whole - tiled).abs().max() < 1e-4
    assert whole.std() > 1e-3  # a constant output would make this test idle


def test_weights_and_constructor_arguments_survive_a_folder(model, tmp_path):
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    again = catalog.load(tmp_path)
    image = torch.rand(1, model.channels, 20, 22)
    assert type(again) is type(model)
    assert torch.allclose(again.restore(image), model.restore(image), atol=1e-5)
    assert all(torch.equal(again.state_dict()[name], value) for name, value in model.state_dict().items())


def test_missing_extra_and_misshapen_weights_are_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    first = next(iter(weights))
    broken = [
        {name: value for name, value in weights.items() if name != first},
        {**weights, "surplus": torch.zeros(1)},
        {**weights, first: torch.zeros(1)},
    ]
    for variant in broken:
        safetensors.torch.save_file(variant, tmp_path / "model.safetensors")
        with pytest.raises(ValueError, match="holds other weights"):
            type(model).from_pretrained(tmp_path)
    safetensors.torch.save_file({**weights, first: weights[first] * float("nan")}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="not finite"):
        type(model).from_pretrained(tmp_path)


def test_haar_is_orthonormal_and_exactly_invertible():
    image = torch.rand(2, 3, 16, 24, dtype=torch.double)
    subbands = haar(image)
    assert subbands.shape == (2, 12, 8, 12)
    assert torch.allclose(inverse_haar(subbands), image, atol=1e-14)
    assert subbands.square().sum().item() == pytest.approx(image.square().sum().item())
    eighths = torch.randint(0, 256, (1, 1, 8, 8)) / 256  # dyadic numbers leave no rounding at all
    assert torch.equal(inverse_haar(haar(eighths)), eighths)


def test_haar_separates_flat_horizontal_vertical_and_diagonal():
    flat, columns = torch.ones(1, 1, 2, 2), torch.tensor([[[[0.0, 1], [0, 1]]]])
    assert haar(flat).flatten().tolist() == [2, 0, 0, 0]
    assert haar(columns).flatten().tolist() == [1, 1, 0, 0]
    assert haar(columns.mT).flatten().tolist() == [1, 0, 1, 0]
    assert haar(torch.eye(2)[None, None]).flatten().tolist() == [1, 0, 0, 1]


def test_haar_agrees_with_pywavelets():
    import pywt

    image = torch.rand(8, 10, dtype=torch.double)
    low, details = pywt.dwt2(image.numpy(), "haar")
    ours = haar(image[None, None])[0].numpy()
    assert abs(ours[0] - low).max() < 1e-12
    for plane in details:  # PyWavelets differs in the order and the sign of the details
        assert min(abs(abs(other) - abs(plane)).max() for other in ours[1:]) < 1e-12


def test_cifar_autoencoder_goes_from_28_to_7_as_its_source_says():
    sizes = []
    model = CifarAutoencoder(4)
    for layer in model.encoder:
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda *call: sizes.append(call[2].shape[-1]))
    model(torch.rand(1, 3, 32, 32))
    assert sizes == [28, 14, 14, 7]


def test_a_conditional_model_sees_the_level_and_its_absence():
    torch.manual_seed(0)
    model = SMALL["drunet"]().eval()
    image = torch.rand(1, 3, 16, 16)
    results = [model.restore(image, sigma) for sigma in (None, 0.0, 0.2)]
    assert not torch.equal(results[0], results[1])
    assert not torch.equal(results[1], results[2])
    both = model.restore(image.expand(2, -1, -1, -1), torch.tensor([0.0, 0.2]))
    assert torch.allclose(both[1:], results[2], atol=1e-6)


def test_impossible_constructor_arguments_are_refused():
    for make in (
        lambda: DRUNet(widths=(8,)),
        lambda: MWCNN(depth=1),
        lambda: XrayUNet((4, 4)),
        lambda: CtAutoencoder(0),
    ):
        with pytest.raises(ValueError, match=r"need|must"):
            make()


def test_every_architecture_is_registered_and_names_are_unique():
    found = catalog.architectures()
    assert {"DRUNet", "MWCNN", "XrayUNet", "CtAutoencoder", "CifarAutoencoder"} <= set(found)
    names = [checkpoint.name for architecture in found.values() for checkpoint in architecture.checkpoints]
    assert len(names) == len(set(names))


def test_the_config_is_plain_json(tmp_path):
    DRUNet(1, (4, 4), 1, 2).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config == {"architecture": "DRUNet", "blocks": 1, "channels": 1, "unshuffle": 2, "widths": [4, 4]}
