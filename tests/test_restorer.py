"""The contract: what every model refuses, and what its card says."""

import json
import re
from functools import partial

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors import safe_open
from torch import nn

import restoration
from restoration.card import FREE
from restoration.models.fourier_fill import FourierFill
from restoration.models.mwcnn import MWCNN
from restoration.models.srcnn import SRCNN
from restoration.models.xray_unet import XrayUNet
from restoration.restorer import Denoiser, Restorer
from restoration.weights import bundled

RUN = {
    "model": "mwcnn-color",
    "steps": 1000,
    "minutes": 3.5,
    "device": "cpu",
    "seed": 0,
    "validation_psnr": 30.5,
    "data": {"sources": {"bsds": 398, "cid22": 160}},
    "scores": [
        {
            "set": "CBSD68 σ25",
            "psnr": 30.0,
            "ssim": 0.85,
            "median_psnr": 29.5,
            "median_ssim": 0.86,
            "baseline": {"name": "noisy", "median_psnr": 20.2, "median_ssim": 0.4},
            "best_classical": "non-local-means",
            "best_classical_psnr": 30.25,
        }
    ],
}


class Identity(Denoiser):
    channels = 3
    multiple_of = 8
    receptive_field = 0

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, noisy):
        assert noisy.shape[-2] % 8 == noisy.shape[-1] % 8 == 0
        return noisy


def test_restore_pads_crops_and_clamps():
    image = torch.rand(1, 3, 5, 13) * 3 - 1
    assert torch.equal(Identity().eval().restore(image), image.clamp(0, 1))


def test_a_model_in_training_mode_refuses_to_restore():
    with pytest.raises(RuntimeError, match="training mode"):
        Identity().restore(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("image", [
    torch.rand(3, 8, 8), torch.rand(1, 1, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.rand(1, 3, 0, 8),
])  # fmt: skip
def test_wrong_images_are_refused_in_words(image):
    with pytest.raises(ValueError, match=r"expected a float image|at least one pixel"):
        Identity().eval().restore(image)


@pytest.mark.parametrize("sigma", [25, -0.1, torch.tensor([0.1, 2.0])])
def test_a_sigma_in_8_bit_units_is_noticed(sigma):
    with pytest.raises(ValueError, match="25 / 255"):
        Identity().eval().restore(torch.rand(2, 3, 8, 8), sigma)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    MWCNN(1, (4, 4), 2).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="holds a MWCNN, not a XrayUNet"):
        XrayUNet.from_pretrained(tmp_path)


def test_a_folder_without_config_or_weights_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        restoration.load(tmp_path)
    (tmp_path / "config.json").write_text('{"architecture": "MWCNN"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle that must not be opened")
    with pytest.raises(ValueError, match=rf"^{tmp_path.name} holds no model\.safetensors$"):
        restoration.load(tmp_path)
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(ValueError, match=rf"^{tmp_path.name} holds a damaged model\.safetensors$"):
        restoration.load(tmp_path)
    (tmp_path / "config.json").write_text('{"architecture": "os.system"}')
    with pytest.raises(ValueError, match="unknown architecture"):
        restoration.load(tmp_path)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no method called nothing; there are .*drunet-fast.*median"):
        restoration.load("nothing")
    with pytest.raises(ValueError, match="no task called 'colourise'"):
        restoration.methods("colourise")


@pytest.mark.parametrize("method", restoration.methods(), ids=lambda method: f"{method.task} {method.name}")
def test_every_name_that_is_listed_loads(method):
    alone = sum(other.name == method.name for other in restoration.methods()) == 1
    model = restoration.load(method.name) if alone else restoration.load(method.name, task=method.task)
    assert isinstance(model, Restorer)
    assert (model.task, model.scale) == (method.task, method.scale)
    if method.learned:
        return
    with pytest.raises(ValueError, match=f"{method.name} has no weights to save"):
        model.save_pretrained("nowhere")
    if method.prior or method.chained:
        return
    image = torch.rand(1, 3, 9, 12)
    mask = torch.zeros(1, 1, 9, 12)
    mask[..., 3:5, 4:7] = 1
    restored = model.restore(image, mask) if method.task == "inpaint" else model.restore(image)
    assert restored.shape == (1, 3, 9 * method.scale, 12 * method.scale)


def test_a_name_of_several_tasks_is_asked_about():
    with pytest.raises(ValueError, match=r'several tasks; add task="\.\.\.", one of denoise, artifacts, inpaint$'):
        restoration.load("deep-image-prior")


def test_the_files_of_a_checkpoint_are_read_once_but_every_model_is_its_own(monkeypatch):
    first = restoration.load("drunet-fast")
    monkeypatch.setattr("safetensors.torch.load_file", lambda *_: pytest.fail("read again"))
    second = restoration.load("drunet-fast")
    for kernel in second.train().half().parameters():
        kernel.data.zero_()
    third = restoration.load("drunet-fast")
    assert not third.training
    for kernel, same in zip(first.parameters(), third.parameters(), strict=True):
        assert torch.equal(kernel, same)
        assert kernel.stride() == same.stride()


@pytest.mark.parametrize("place, words", [
    ("checkpoints/drunet-fast", "no folder checkpoints/drunet-fast here; a bundled checkpoint is called by its name"),
    ("checkpoints/drunet-fist", "a bundled checkpoint is called by its name alone"),
    ("./drunet-fast", "no folder ./drunet-fast here"), ("../x", "no folder ../x here"), ("~/x", "no folder ~/x here"),
    ("a/b/c", "no folder a/b/c here"), ("/nowhere/x", "no folder /nowhere/x here"), ("there/x", "no folder there/x"),
])  # fmt: skip
@pytest.mark.parametrize(
    "load", [restoration.load, SRCNN.from_pretrained, partial(SRCNN.from_pretrained, revision="a")]
)
def test_a_folder_that_is_not_there_is_never_asked_of_the_hub(place, words, load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for where in ("socket.create_connection", "socket.getaddrinfo"):
        monkeypatch.setattr(where, lambda *_, **__: pytest.fail("the Hub was asked"))
    with pytest.raises(ValueError, match=re.escape(words)):
        load(place)


def test_the_card_says_what_was_measured_also_when_it_is_a_loss(tmp_path):
    model = MWCNN(3, (4, 4), 2)
    model.run = RUN
    model.save_pretrained(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "cc-by-nc-4.0"  # BSDS500 is for research
    assert {result.metric_type: result.metric_value for result in card.data.eval_results} == {
        "psnr": 30.0,
        "ssim": 0.85,
    }
    assert "loses to non-local-means by 0.25 dB" in card.text
    assert "BSDS500" in card.text
    assert "arxiv.org/abs/1805.07071" in card.text
    run = dict(restoration.load(tmp_path).run)
    assert run.pop("probe")
    assert run == RUN


def test_the_card_of_an_upscaler_has_ranges_beside_bicubic():
    figures = {"psnr": 31.0, "psnr_range": [25.0, 35.0], "ssim": 0.88, "ssim_range": [0.8, 0.9], "mse": 0.001,
               "mse_range": [0.0003, 0.003], "lpips": 0.2, "lpips_range": [0.1, 0.3]}  # fmt: skip
    bicubic = {**figures, "psnr": 28.43, "name": "bicubic-x4"}
    model = SRCNN(4, widths=(4, 4))
    score = {"set": "Set5 x4", **figures, "baseline": bicubic}
    model.run = {**RUN, "scores": [{**score, "best_classical": "lanczos-x4", "best_classical_psnr": 28.81}]}
    card = str(model.generate_model_card())
    assert "| Set5 x4 | 31.00 (25.00 to 35.00) | 0.8800 (0.8000 to 0.9000) | 1.00 (0.30 to 3.00) | 0.200 (0" in card
    assert "| Set5 x4, bicubic | 28.43" in card
    assert "+2.19 dB over lanczos-x4" in card
    assert "type: lpips" in card


def test_weights_from_free_images_alone_are_apache_licensed(tmp_path):
    model = MWCNN(3, (4, 4), 2)
    model.run = {**RUN, "data": {"sources": {"cid22": 160, "clic2025": 26}}}
    model.save_pretrained(tmp_path)
    assert ModelCard.load(tmp_path / "README.md").data.license == "apache-2.0"


def test_the_card_of_an_inpainter_has_holes_beside_biharmonic_and_says_where_it_loses():
    score = {"set": "BSD100 20-30 %", "images": 12, "hole_psnr": 18.1, "psnr": 24.1, "ssim": 0.88, "lpips": 0.16}
    compared = {"baseline": {"name": "biharmonic", "lpips": 0.15}, "best_classical": "diffusion"}
    model = FourierFill((4, 4, 4), 1)
    model.run = {**RUN, "scores": [{**score, **compared, "best_classical_psnr": 24.6}]}
    card = str(model.generate_model_card())
    assert "| BSD100 20-30 % | 18.10 | 24.10 | 0.8800 | **0.160** | 0.150 | **loses to diffusion by 0.50 dB** |" in card
    assert "model.restore(image, mask)" in card
    assert "may depend on any input pixel" in card
    assert "away" not in card


def test_the_weights_file_names_architecture_licence_data_and_commit(tmp_path):
    model = MWCNN(3, (4, 4), 2)
    model.run = {**RUN, "commit": "abc123"}
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        header = file.metadata()
    assert header == {
        "format": "pt",
        "architecture": "MWCNN",
        "licence": "cc-by-nc-4.0",
        "training_data": "bsds, cid22",
        "commit": "abc123",
    }


@pytest.mark.parametrize("name", [method.name for method in restoration.methods() if method.learned])
def test_every_bundled_file_says_what_it_is(name):
    folder = bundled() / name
    with safe_open(folder / "model.safetensors", "pt") as file:
        header = file.metadata()
    assert header["architecture"] == json.loads((folder / "config.json").read_text())["architecture"]
    assert header["licence"] == ModelCard.load(folder / "README.md").data.license
    assert header["training_data"]
    assert len(header["commit"]) == 40


@pytest.mark.parametrize("name", ["drunet-photo", "photo-x2", "photo-x4", "photo-gan-x4"])
def test_the_photo_models_are_for_every_use(name):
    assert ModelCard.load(bundled() / name / "README.md").data.license == FREE


@pytest.mark.parametrize("name", [method.name for method in restoration.methods() if method.learned])
def test_every_bundled_card_is_that_of_its_record(name):
    made = str(restoration.load(name).generate_model_card())
    stored = (bundled() / name / "README.md").read_text(encoding="utf-8")
    assert stored == made, "python -m train.manifest --cards brings it up to date"


def test_a_card_names_the_data_and_what_the_training_started_from():
    model = SRCNN(4, widths=(4, 4))
    model.run = {**RUN, "data": {"sources": {"cifar10": 9, "text": 3, "mine": 2}}, "init": "compact-x4", "model": "new"}
    card = ModelCard(str(model.generate_model_card("me/own", "me/page")))
    assert (card.data.datasets, card.data.base_model) == (["uoft-cs/cifar10", "mine"], "me/compact-x4")
    assert 'restoration.load("me/own")' in card.text and "hf download me/page" in card.text
    for first in (None, "new", "a-run-of-mine"):
        model.run["init"] = first
        assert ModelCard(str(model.generate_model_card())).data.base_model is None


def test_sides_are_filled_up_with_mirrored_pixels_and_by_repeating_them_where_jpeg_does():
    class Seen(Denoiser):
        channels, multiple_of, receptive_field = 1, 4, 1

        def forward(self, image):
            self.seen = image
            return image

    class Repeating(Seen):
        padding = "replicate"

    row = torch.arange(1, 7).view(1, 1, 1, 6).expand(1, 1, 6, 6) / 10
    for model, expected in ((Seen(), [5, 4]), (Repeating(), [6, 6])):
        model.eval().restore(row)
        assert (10 * model.seen[0, 0, 0, 6:]).round().tolist() == expected
    tiny = Seen().eval()
    tiny.restore(torch.rand(1, 1, 1, 2))  # too small to be mirrored
    assert tiny.seen.shape == (1, 1, 4, 4)


@pytest.mark.parametrize("keys", [{"width": 4}, {"widths": [4, 4], "auto_map": "x"}, {"_target_": "os.system"}])
def test_unknown_keys_of_a_config_are_refused(tmp_path, keys):
    MWCNN(1, (4, 4), 2).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | keys))
    with pytest.raises(ValueError, match=f"unknown keys: {list(keys)[-1]}"):
        restoration.load(tmp_path)


@pytest.mark.parametrize("size, refused", [(1_000_000, False), (1_000_001, True)])
def test_a_record_of_over_a_megabyte_is_refused(tmp_path, size, refused):
    MWCNN(1, (4, 4), 2).save_pretrained(tmp_path)
    (tmp_path / "run.json").write_text('{"seed": 0}'.ljust(size))
    if not refused:
        assert restoration.load(tmp_path).run == {"seed": 0}
        return
    with pytest.raises(ValueError, match=r"run\.json of .* is larger than any"):
        restoration.load(tmp_path)
