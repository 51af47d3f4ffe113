"""Upscalers: the contract, the layout that other tools load, and the training pairs."""

import dataclasses
import json
from functools import partial

import pytest
import torch

import restoration
from restoration.degradations import Downscale
from restoration.models.compact import Compact
from restoration.models.rrdb import RRDBNet
from restoration.models.srcnn import SRCNN
from restoration.models.unet_sr import UNetSR
from restoration.tiling import restore_tiled
from restoration.weights import bundled
from train import esrgan, upscale
from train.data import samples
from train.recipes.esrgan import RECIPES as ESRGAN
from train.recipes.upscale import RECIPES as UPSCALE
from train.recipes.upscale import UpscaleRecipe

SMALL = {
    **{f"compact-x{scale}": partial(Compact, scale, width=6, depth=3) for scale in (2, 3, 4)},
    **{f"srcnn-x{scale}": partial(SRCNN, scale, widths=(8, 4)) for scale in (2, 3, 4)},
    "unet-x4": partial(UNetSR, 4, widths=(4, 6, 8, 8, 8)),
    "unet-x3": partial(UNetSR, 3, widths=(4, 6, 8)),
    "rrdb-x4": partial(RRDBNet, 4, width=8, blocks=1, growth=4),
    "rrdb-x2": partial(RRDBNet, 2, width=8, blocks=1, growth=4),
}


@pytest.fixture(params=SMALL)
def model(request):
    torch.manual_seed(0)
    return SMALL[request.param]().eval()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 7)])
def test_any_size_comes_back_scale_times_as_large(model, size):
    restored = model.restore(torch.rand(2, 3, *size))
    assert restored.shape == (2, 3, model.scale * size[0], model.scale * size[1])


def test_tiles_equal_the_whole(model):
    image = torch.rand(1, 3, 61, 47)
    tiled = restore_tiled(
        model.restore,
        image,
        receptive_field=model.receptive_field,
        multiple_of=model.multiple_of,
        scale=model.scale,
        tile=20,
    )
    assert (tiled - model.restore(image)).abs().max() < 1e-4


def test_no_pixel_outside_the_receptive_field_matters_and_the_bound_is_not_idle(model):
    reach = model.receptive_field - model.holds_colours * (model.NEIGHBOURHOOD + 2)  # that of `forward`
    side = -(-2 * (reach + 4) // model.multiple_of) * model.multiple_of
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_().mul_(0.3)  # nothing cancels and no ReLU is off, so every path shows
            parameter.requires_grad_(False)  # that of the picture is wanted
    furthest = 0
    lr = torch.rand(1, 3, side, side, dtype=torch.double, requires_grad=True)
    restored = model.double()(lr)
    for offset in range(model.multiple_of):
        row = side // 2 + offset
        place = restored[0, 1, model.scale * row : model.scale * (row + 1), model.scale * side // 2].sum()
        (gradient,) = torch.autograd.grad(place, lr, retain_graph=True)
        rows = gradient[0].abs().sum((0, 2)).nonzero().flatten() - row
        furthest = max(furthest, int(rows.abs().max()))
    assert 0.5 * reach < furthest <= reach


def test_weights_survive_a_folder(model, tmp_path):
    model.save_pretrained(tmp_path)
    again = restoration.load(tmp_path)
    assert again.scale == model.scale
    image = torch.rand(1, 3, 9, 9)
    assert torch.allclose(again.restore(image), model.restore(image), atol=1e-5)


@pytest.mark.parametrize("name", [method.name for method in restoration.methods() if method.learned])
def test_spandrel_loads_the_files_whose_card_says_so_and_computes_the_same_pixels(name, spandrel):
    model = restoration.load(name)
    assert ("ComfyUI" in str(model.generate_model_card())) == model.spandrel
    if not model.spandrel:
        with pytest.raises(spandrel.UnsupportedModelError):
            spandrel.ModelLoader().load_from_file(bundled() / name / "model.safetensors")
        return
    other = spandrel.ModelLoader().load_from_file(bundled() / name / "model.safetensors")
    assert other.architecture.id == ("ESRGAN" if name.startswith(("rrdb", "esrgan")) else "Compact")
    assert other.scale == model.scale
    image = torch.rand(1, 3, 12, 10)
    with torch.inference_mode():
        assert torch.allclose(other(image).clamp(0, 1), model(image).clamp(0, 1), atol=1e-5)  # without our borders


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_training_pairs_equal_the_reduced_whole_image(scale):
    image = torch.randint(0, 256, (1, 3, 40 * scale, 40 * scale), generator=torch.Generator().manual_seed(0)) / 255
    lr, hr = upscale.pairs(image, scale)
    whole = Downscale(scale)(image)
    edge = upscale.MARGIN
    assert torch.equal(lr, whole[..., edge:-edge, edge:-edge])
    part, _ = upscale.pairs(image[..., 5 * scale : 30 * scale, 5 * scale : 30 * scale], scale)
    assert torch.equal(part, whole[..., 5 + edge : 30 - edge, 5 + edge : 30 - edge])
    assert hr.shape[-1] == scale * lr.shape[-1]


@pytest.fixture
def photos(noise_folder):
    return noise_folder(300, 290)


@pytest.mark.slow
def test_the_adversarial_stage_starts_from_weights_and_goes_on_after_a_kill(
    tmp_path, photos, vgg_file, lpips_folder, capsys, monkeypatch
):
    RRDBNet(4, width=4, blocks=1, growth=2).save_pretrained(tmp_path / "start")
    small = dataclasses.replace(
        ESRGAN["esrgan-x4"], build=partial(RRDBNet, 4, width=4, blocks=1, growth=2), critic_width=4, crop=12
    )
    monkeypatch.setitem(ESRGAN, "esrgan-x4", small)
    common = ["esrgan-x4", "--data", str(photos), "--batch", "1", "--validate-every", "2", "--save-every", "0"]
    common += ["--vgg", str(vgg_file), "--backbones", str(lpips_folder), "--steps", "4"]
    with pytest.raises(SystemExit):
        esrgan.main([*common, "--out", str(tmp_path / "out")])
    assert "--init is needed" in capsys.readouterr().err
    common += ["--init", str(tmp_path / "start")]
    esrgan.main([*common, "--out", str(tmp_path / "whole")])
    with monkeypatch.context() as killed:
        calls = iter(range(100))
        real = esrgan.FeatureCritic.forward  # after the generator's step of the same turn
        killed.setattr(esrgan.FeatureCritic, "forward", lambda *a: 1 / 0 if next(calls) == 2 else real(*a))
        with pytest.raises(ZeroDivisionError):
            esrgan.main([*common, "--out", str(tmp_path / "killed")])
    esrgan.main([*common, "--out", str(tmp_path / "killed")])
    whole, again = (restoration.load(tmp_path / name).state_dict() for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    run = json.loads((tmp_path / "whole" / "run.json").read_text())
    assert run["validation_lpips"] == min(point["lpips"] for point in run["curve"])
    assert run["recipe"]["loss"] is None  # the stage has its own
    assert "LPIPS is" in (tmp_path / "whole" / "README.md").read_text()


@pytest.mark.slow
def test_a_run_without_progress_stops_early(tmp_path, photos, monkeypatch):
    scores = iter([3.0, 5.0, 4.0, 4.5, 5.0, 9.0])
    monkeypatch.setattr(UpscaleRecipe, "validate", lambda *_: next(scores))
    recipe = dataclasses.replace(UPSCALE["srcnn-x2"], patience=2)
    monkeypatch.setitem(UPSCALE, "srcnn-x2", recipe)
    common = ["srcnn-x2", "--data", str(photos), "--batch", "1", "--validate-every", "1", "--steps", "50"]
    upscale.main([*common, "--out", str(tmp_path / "out")])
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (run["steps"], run["validation_psnr"]) == (4, 5.0)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["combined", "vgg+mse"])
def test_perceptual_losses_train(tmp_path, photos, vgg_file, loss):
    common = ["--data", str(photos), "--batch", "1", "--crop", "8", "--steps", "2", "--vgg", str(vgg_file)]
    upscale.main(["srcnn-x2", *common, "--loss", loss, "--out", str(tmp_path / "out")])
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["recipe"]["loss"] == loss
    assert run["recipe"]["first_loss"] is None


@pytest.mark.slow
def test_a_training_run_writes_a_checkpoint_and_another_scale_starts_from_it(tmp_path, photos):
    common = ["--data", str(photos), "--batch", "1", "--validate-every", "2", "--steps", "2"]
    upscale.main(["compact-x4", *common, "--out", str(tmp_path / "x4")])
    upscale.main(["compact-x2", *common, "--out", str(tmp_path / "x2"), "--init", str(tmp_path / "x4")])
    x4, x2 = (restoration.load(tmp_path / name) for name in ("x4", "x2"))
    assert (x4.scale, x2.scale) == (4, 2)
    assert (x4.body[0].weight - x2.body[0].weight).abs().max() < 0.01
    run = json.loads((tmp_path / "x2" / "run.json").read_text())
    assert run["validation_psnr"] > 5
    assert len(list(samples([tmp_path / "x4"], 3))) >= 1  # the curve and the grid are pictures
