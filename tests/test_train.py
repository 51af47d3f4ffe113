"""Training: the data, equal seeds, going on after a kill, two processes, and the ratchet."""

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import restoration
import restoration.weights
from restoration import manifest
from restoration.degradations import GaussianNoise, UniformNoise
from restoration.files import write
from restoration.image import Image
from restoration.models.compact import Compact
from restoration.models.drunet import DRUNet
from restoration.models.mwcnn import MWCNN
from restoration.models.photo_compact import PhotoCompact
from restoration.models.photo_drunet import PhotoDRUNet
from restoration.weights import place
from train import artifacts, denoise, esrgan, evaluate, inpaint, precision, ratchet, upscale
from train.arguments import command as run_command
from train.arguments import run_arguments
from train.data import Crops, Sample, TrainingError, flat_page, samples
from train.losses import build_loss
from train.optimizers import Ema, Optimizers, learning_rate_factor, revive, step_generator
from train.precision import PRECISIONS
from train.recipes.artifacts import RECIPES as ARTIFACTS
from train.recipes.denoise import RECIPES as DENOISE
from train.recipes.denoise import DenoiseRecipe, PhotoNoise, RandomNoise
from train.recipes.esrgan import RECIPES as ESRGAN
from train.recipes.inpaint import RECIPES as INPAINT
from train.recipes.upscale import RECIPES as UPSCALE
from train.run import Run, ends
from train.state import load_tensors, save_tensors

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty smooth grey pictures, of which some are held out."""
    path = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:144, :136]
    for index in range(40):
        wave = np.sin(x / rng.uniform(4, 30) + rng.uniform(0, 6)) * np.cos(y / rng.uniform(4, 30))
        samples = np.rint(127 + 100 * wave).astype(np.uint8)[..., None]
        write(Image(samples), path / f"cid22_{index:02}.png")
    return path


def command(folder: Path, out: Path, *more: str) -> list[str]:
    given = [
        "mwcnn-gray",
        "--data",
        str(folder),
        "--out",
        str(out),
        "--batch",
        "1",
        "--crop",
        "32",
        "--validate-every",
        "6",
    ]
    precise = [] if "--precision" in more else ["--precision", "fp32"]  # which one is faster changes with the load
    return [*given, *precise, *more]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return restoration.load(out).state_dict()


def test_held_out_images_depend_on_their_name_alone():
    image = torch.zeros(1, 8, 8, dtype=torch.uint8)
    chosen = [index for index in range(2000) if Sample(f"{index}.png", "x", image).held_out]
    assert len(chosen) == pytest.approx(100, abs=30)
    assert [index for index in chosen if Sample(f"{index}.png", "y", image + 1).held_out] == chosen


def test_samples_read_folders_and_both_kinds_of_cifar_batches(folder, tmp_path):
    first = next(iter(samples([folder], channels=3)))
    assert (first.name, first.source, tuple(first.image.shape)) == ("cid22_00.png", "cid22", (3, 144, 136))
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    np.savez(tmp_path / "train.npz", images=pictures)
    records = np.concatenate([np.zeros((4, 1), np.uint8), pictures.transpose(0, 3, 1, 2).reshape(4, -1)], axis=1)
    records.tofile(tmp_path / "data_batch_1.bin")  # CIFAR-10's own layout: a label, then the three planes
    read = [sample.image for sample in samples([tmp_path], channels=3)]
    assert len(read) == 8
    for index in range(4):
        np.testing.assert_array_equal(read[index].permute(1, 2, 0), pictures[index])
        assert torch.equal(read[index], read[4 + index])
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        next(iter(samples([tmp_path / "nothing"], channels=3)))


def test_crops_are_windows_of_the_images_in_all_eight_orientations():
    image = torch.arange(3 * 5 * 7, dtype=torch.uint8).view(3, 5, 7)
    crops = Crops([torch.zeros(3, 4, 9, dtype=torch.uint8), image], 5, "cpu")
    assert len(crops) == 1  # the first is too low
    drawn = (crops(400, 5, torch.Generator().manual_seed(0)) * 255).round().to(torch.uint8)
    windows = [image[:, :, left : left + 5] for left in range(3)]
    turned = [torch.rot90(w, turns, (1, 2)) for w in windows for turns in range(4)]
    possible = {tuple(view.flatten().tolist()) for w in turned for view in (w, w.flip(2))}
    assert len(possible) == 24
    assert {tuple(crop.flatten().tolist()) for crop in drawn} == possible
    with pytest.raises(ValueError, match="at least 6 pixels"):
        Crops([image], 6, "cpu")


def test_random_noise_tells_the_level_it_drew():
    clean = torch.zeros(64, 1, 64, 64)
    _, noisy, sigma, white = RandomNoise(0.05, 0.2, uniform_share=0.5)(clean, torch.Generator().manual_seed(0))
    assert white.all() and white.shape == sigma.shape
    assert 0.05 <= sigma.min() < 0.08
    assert 0.17 < sigma.max() <= 0.2
    assert torch.allclose(noisy.std((1, 2, 3)), sigma.flatten(), rtol=0.06)
    bounded = noisy.abs().amax((1, 2, 3)) <= sigma.flatten() * 3**0.5 + 1e-6
    assert 20 < bounded.sum() < 44  # about half is uniform


def test_photo_noise_is_white_of_film_of_a_camera_or_none_in_the_shares_asked_for():
    clean = torch.full((600, 3, 16, 16), 0.5)
    noise = PhotoNoise(white_share=0.2, film_share=0.3, clean_share=0.1, jpeg_share=0, grey_share=0)
    _, noisy, sigma, white = noise(clean, torch.Generator().manual_seed(0))
    added = noisy - clean
    level = added.std((1, 2, 3))
    alike = (added - added[:, :1]).abs().amax((1, 2, 3)) == 0  # grain of film without colours, or no noise
    assert white.float().mean() == pytest.approx(0.2, abs=0.04)
    assert (alike & (level > 0)).float().mean() == pytest.approx(0.15, abs=0.04)  # half of that of film
    assert (level == 0).float().mean() == pytest.approx(0.1, abs=0.03)
    assert not (alike & white.flatten()).any() and level[alike].max() < 25 / 255
    assert torch.corrcoef(torch.stack([sigma.mean((1, 2, 3)), level]))[0, 1] > 0.98


def test_told_too_much_an_image_shall_look_as_a_noisier_one_does():
    seen = []

    def network(noisy, told):  # gives back the noise that it was shown, and remembers it
        seen.append((noisy, told))
        return told, noisy

    sigma = torch.tensor([0.01, 0.04, 0.1]).view(3, 1, 1, 1)
    told, wanted = denoise.told_more(network, torch.zeros(3, 3, 128, 128), sigma, torch.Generator().manual_seed(0))
    assert (told > 1.2 * sigma).all() and (told <= 0.2).all() and told.shape == (3, 1, 128, 128)
    added = wanted.square().mean((1, 2, 3), keepdim=True)
    aim = (told * told / sigma).clamp(max=0.4)[:, :, :1, :1]
    torch.testing.assert_close(added + sigma**2, aim**2, rtol=0.05, atol=0)
    assert torch.equal(seen[0][1], aim.expand_as(told))


@pytest.mark.parametrize("white", [True, False])
def test_smooth_noise_is_told_lower_than_white_noise_of_its_level(white):
    recipe = dataclasses.replace(
        DENOISE["drunet-photo"], told_factors=(0.9, 1.1), smooth_factors=(0.5, 0.6), blind_from=0.5, kept_share=0.0
    )
    sigma, generator = torch.full((500, 1, 8, 8), 0.1), torch.Generator().manual_seed(0)
    whites = torch.full((500, 1, 1, 1), white)
    told = recipe.level_given(sigma, whites, 0.0, generator)
    low, high = (0.09, 0.11) if white else (0.05, 0.06)
    assert low <= told.min() < low + 0.001 and high - 0.001 < told.max() <= high
    assert (recipe.level_given(sigma, whites, 0.5, generator) < 0).float().mean() == pytest.approx(0.4, abs=0.1)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_share_of_the_images_is_told_too_much(share):
    recipe = dataclasses.replace(DENOISE["drunet-photo"], over_share=share)
    chosen = recipe.told_too_much(4000, torch.Generator().manual_seed(0))
    assert chosen.dtype is torch.bool
    assert float(chosen.float().mean()) == pytest.approx(share, abs=0.02)


def test_the_learning_rate_warms_up_and_ends_at_zero():
    assert learning_rate_factor(0, 0) == pytest.approx(0.01)
    assert learning_rate_factor(0, 99) == 1
    assert learning_rate_factor(0.5, 1000) == pytest.approx(0.5)
    assert learning_rate_factor(1, 5000) == pytest.approx(0)


def test_step_generators_repeat_and_differ():
    draws = [torch.rand(3, generator=step_generator("cpu", 0, step, 0)) for step in (5, *range(5, 20))]
    assert torch.equal(draws[0], draws[1])
    assert len(torch.stack(draws).unique(dim=0)) == len(draws) - 1


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_optimizers_step_every_weight_and_their_state_survives_a_file(name, tmp_path):
    def step(model, optimizers):
        model(torch.ones(1, 1, 8, 8)).square().mean().backward()
        optimizers.step(1.0)

    def build():
        torch.manual_seed(0)
        model = torch.nn.Sequential(*(torch.nn.Conv2d(1 if i == 0 else 2, 2, 3) for i in range(3)))
        return model, Optimizers(model, name, 1e-2, 0)

    model, optimizers = build()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    step(model, optimizers)
    assert all(not torch.equal(before[key], value) for key, value in model.state_dict().items())
    save_tensors(tmp_path / "state", {**model.state_dict()}, {})
    save_tensors(tmp_path / "optimizers", optimizers.state(), {"step": 1})
    other, others = build()
    other.load_state_dict(load_tensors(tmp_path / "state")[0])
    loaded, facts = load_tensors(tmp_path / "optimizers")
    others.load_state(loaded)
    assert facts == {"step": 1}
    step(model, optimizers), step(other, others)
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])


def test_the_average_forgets_the_start():
    model = torch.nn.Linear(1, 1)
    ema = Ema(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(7)
    for step in range(200):
        ema.update(model, step)
    assert ema.weights["weight"].item() == pytest.approx(7, abs=1e-3)


@pytest.mark.slow
def test_equal_seeds_give_equal_weights_and_everything_is_written(folder, tmp_path):
    for out, seed in (("one", "3"), ("two", "3"), ("three", "4")):
        denoise.main(command(folder, tmp_path / out, "--steps", "8", "--seed", seed))
    one, two, three = (weights(tmp_path / out) for out in ("one", "two", "three"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], three[name]) for name in one)
    written = {path.name for path in (tmp_path / "one").iterdir()}
    assert written == {"model.safetensors", "config.json", "README.md", "run.json", "curve.png", "grid.png"}
    run = json.loads((tmp_path / "one" / "run.json").read_text())
    assert run["steps"] == 8
    assert run["data"]["sources"] == {"cid22": 40}
    assert run["data"]["trained_on"] + run["data"]["validated_on"] == 40
    assert [point["step"] for point in run["curve"]] == [6, 8]


def step_of(state: Path) -> int:
    """The step a state was saved at, of a file that a running training may replace at any moment.

    `safe_open` opens it twice, first for the header and then for the tensors: what it finds may not belong together.
    """
    with state.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return json.loads(header["__metadata__"]["facts"])["step"]


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(folder, tmp_path, capsys):
    denoise.main(command(folder, tmp_path / "whole", "--steps", "40"))
    argv = [sys.executable, "-m", "train.denoise"]
    argv += command(folder, tmp_path / "killed", "--steps", "40", "--save-every", "0")
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # other sums are enough for Muon's bfloat16
    process = subprocess.Popen(argv, cwd=ROOT, env=env, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    state = tmp_path / "killed" / "state.safetensors"
    for _ in range(3000):
        if state.exists() and step_of(state) >= 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 2 <= step_of(state) < 40
    with pytest.raises(ValueError, match="another recipe, seed;"):
        denoise.main([*argv[3:], "--learning-rate", "1e-3", "--seed", "5"])
    (tmp_path / "killed" / "run.json").write_text('{"model": "mwcnn-gray"}')
    with pytest.raises(SystemExit, match="its training has not ended"):
        evaluate.main(["--promote", str(tmp_path / "killed"), "--train-data", str(folder)])
    capsys.readouterr()
    denoise.main(argv[3:])
    assert "going on from step" in capsys.readouterr().out
    assert not state.exists()
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    for name, value in whole.items():
        torch.testing.assert_close(value, killed[name], rtol=1e-4, atol=1e-5)


def in_halves(draw):
    """A method that draws a batch, made to draw a half of it by each of two processes' generators."""

    def drawn(it, batch, *others):
        *others, generators = others
        if isinstance(generators, torch.Generator):
            return draw(it, batch, *others, generators)
        halves = batch.chunk(2) if isinstance(batch, torch.Tensor) else [batch // 2] * 2
        found = [draw(it, half, *others, own) for half, own in zip(halves, generators, strict=True)]
        return torch.cat(found) if isinstance(found[0], torch.Tensor) else [*map(torch.cat, zip(*found, strict=True))]

    return drawn


@pytest.mark.slow
def test_two_processes_train_one_model_as_one_with_twice_the_batch_does(folder, tmp_path, monkeypatch):
    more = ("--steps", "4", "--batch", "4", "--crop", "64")
    # accelerate starts several local processes under this flag alone; the variable makes them use the CPU.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    done = subprocess.run(
        [*launch, "-m", "train.denoise", *command(folder, tmp_path / "two", *more)],
        cwd=ROOT,
        env={**os.environ, "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run = json.loads((tmp_path / "two" / "run.json").read_text())
    assert run["processes"] == 2
    assert run["steps"] == 4
    denoise.main(command(folder, tmp_path / "one", *more))

    for drawn in (Crops, RandomNoise):
        monkeypatch.setattr(drawn, "__call__", in_halves(drawn.__call__))
    monkeypatch.setattr(
        Run, "generator", lambda run: [step_generator(run.device, run.arguments.seed, run.step, own) for own in (0, 1)]
    )
    denoise.main(command(folder, tmp_path / "twice", *more, "--batch", "8"))
    two, one, twice = (weights(tmp_path / name) for name in ("two", "one", "twice"))

    def apart(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
        return sum(float((some[name] - others[name]).square().sum()) for name in some) ** 0.5

    # Sums come in another order, which Muon's bfloat16 turns into more at every step.
    assert apart(two, twice) < 0.2 * apart(one, twice)


@pytest.mark.slow
def test_starting_from_a_checkpoint_keeps_what_it_computes(folder, tmp_path):
    denoise.main(command(folder, tmp_path / "first", "--steps", "2"))
    record = tmp_path / "first" / "run.json"
    facts = json.loads(record.read_text())
    facts["data"]["sources"]["elsewhere"] = 7
    record.write_text(json.dumps(facts))
    denoise.main(command(folder, tmp_path / "second", "--steps", "1", "--init", str(tmp_path / "first"), "--seed", "9"))
    first, second = restoration.load(tmp_path / "first"), restoration.load(tmp_path / "second")
    image = torch.rand(1, first.channels, 24, 24)
    assert (first.restore(image) - second.restore(image)).abs().max() < 0.02  # one warm-up step away
    run = json.loads((tmp_path / "second" / "run.json").read_text())
    assert run["init"] == "first"
    assert {"elsewhere": 7}.items() <= run["data"]["sources"].items()  # the first weights' data counts as well
    record.unlink()
    denoise.main(command(folder, tmp_path / "third", "--steps", "1", "--init", str(tmp_path / "first")))
    card = (tmp_path / "third" / "README.md").read_text()
    assert "license: cc-by-nc-4.0" in card  # unknown images may not allow more
    assert "\n- images of the weights that the training started from, which tell nothing of them (unknown)\n" in card


@pytest.mark.slow
def test_a_model_starts_from_those_that_are_its_parts(folder, tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    parts = {"cleaner": PhotoDRUNet(3, (4, 8), blocks=1), "upscaler": Compact(2, width=4, depth=1)}
    for name, part in parts.items():
        part.save_pretrained(tmp_path / name)
    build = partial(PhotoCompact, 2, 4, 1, cleaner_widths=(4, 8), cleaner_blocks=1)
    recipe = dataclasses.replace(UPSCALE["photo-x2"], build=build, optimizer="adam", learning_rate=1e-9)
    monkeypatch.setitem(UPSCALE, "photo-x2", recipe)
    monkeypatch.setattr("train.run.revive", lambda *_: 0)  # what random weights have dead stays
    given = ["photo-x2", *command(folder, tmp_path / "whole", "--steps", "1")[1:], "--crop", "16", "--init"]
    upscale.main([*given, *(str(tmp_path / name) for name in parts)])
    assert "starts from nothing" not in capsys.readouterr().out
    run = json.loads((tmp_path / "whole" / "run.json").read_text())
    assert run["init"] == "cleaner and upscaler"
    whole = weights(tmp_path / "whole")
    for name, part in parts.items():
        for key, value in part.state_dict().items():
            torch.testing.assert_close(whole[f"{name}.{key}"], value, rtol=0, atol=1e-3)
    upscale.main([*given[:4], str(tmp_path / "half"), *given[5:], str(tmp_path / "cleaner")])
    assert "starts from nothing: upscaler\n" in capsys.readouterr().out
    Compact(2, width=5, depth=1).save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match=r"other does not fit photo-x2: upscaler\.body"):
        upscale.main([*given[:4], str(tmp_path / "none"), *given[5:], str(tmp_path / "other")])


def test_pictures_of_one_colour_are_drawn_with_the_corners_of_the_colour_cube():
    pages = [flat_page(seed, 5) for seed in range(300)]
    assert all(page.dtype == torch.uint8 and (page == page[:, :1, :1]).all() for page in pages)
    colours = {tuple(page[:, 0, 0].tolist()) for page in pages}
    assert {(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)} <= colours
    assert len(colours) > 60


@pytest.mark.parametrize(("script", "model"), [
    (denoise, "mwcnn-gray"), (artifacts, "mwcnn-jpeg"), (esrgan, "esrgan-x4"), (inpaint, "deepfill"),
])  # fmt: skip
@pytest.mark.parametrize("loss", ["psnr", "combined"])
def test_a_loss_that_a_script_cannot_use_is_refused(script, model, loss, capsys):
    needed = ["--backbones", "none"] if script in (esrgan, inpaint) else []
    with pytest.raises(SystemExit):
        script.main([model, "--data", "none", *needed, "--loss", loss])
    assert "--loss" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_the_first_third_of_a_run_may_have_another_loss(folder, tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(denoise, "build_loss", lambda name: names.append(name) or build_loss(name))
    monkeypatch.setitem(DENOISE, "mwcnn-gray", dataclasses.replace(DENOISE["mwcnn-gray"], first_loss="mse"))
    denoise.main(command(folder, tmp_path / "one", "--steps", "3"))
    assert names == ["mse", "l1", "l1"]
    denoise.main(command(folder, tmp_path / "two", "--steps", "3", "--loss", "psnr-rgb"))
    assert names[3:] == ["psnr-rgb"] * 3


def test_denoisers_are_validated_told_and_blind_and_with_every_kind_of_noise():
    class Watched(DRUNet):
        def restore(self, noisy, sigma=None):
            seen.append((sigma, float((noisy - 128 / 255).abs().max()) <= 0.1 * 3**0.5 + 1e-6))
            return super().restore(noisy, sigma)

    seen = []
    recipe = dataclasses.replace(
        DENOISE["drunet-fast"], noise=RandomNoise(0, 0.2, 0.5), scored=(GaussianNoise(0.1), UniformNoise(0.1 * 3**0.5))
    )
    image = torch.full((3, 16, 16), 128, dtype=torch.uint8)
    recipe.validate(Watched(3, (4, 6), blocks=1).eval(), [image])
    told = pytest.approx(0.1, rel=0.1)  # what was really added to so few pixels
    assert seen == [(told, False), (None, False), (told, True), (None, True)]


@pytest.mark.slow
def test_a_run_that_starts_anew_leaves_no_record_of_an_earlier_one(folder, tmp_path, monkeypatch):
    denoise.main(command(folder, tmp_path, "--steps", "1"))
    monkeypatch.setattr(Run, "learn", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        denoise.main(command(folder, tmp_path, "--steps", "1"))
    assert not (tmp_path / "run.json").exists()


@pytest.mark.slow
def test_the_best_weights_of_a_run_that_is_cut_tell_what_they_were_trained_on(folder, tmp_path, monkeypatch):
    learn, steps = Run.learn, iter(range(3))
    with monkeypatch.context() as cut, pytest.raises(ZeroDivisionError):
        cut.setattr(Run, "learn", lambda *given: learn(*given) if next(steps, None) is not None else 1 / 0)
        denoise.main([*command(folder, tmp_path / "cut", "--steps", "9"), "--validate-every", "2"])
    assert restoration.load(tmp_path / "cut").run["data"]["sources"] == {"cid22": 40}
    denoise.main(command(folder, tmp_path / "next", "--steps", "1", "--init", str(tmp_path / "cut")))
    assert "unknown" not in json.loads((tmp_path / "next" / "run.json").read_text())["data"]["sources"]


@pytest.mark.slow
def test_a_network_of_equal_shapes_that_computes_something_else_is_no_start(folder, tmp_path):
    MWCNN(channels=1, widths=(32, 64, 96), depth=3, rectified=True).save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match="other has rectified=True, but mwcnn-gray is built with rectified=False"):
        denoise.main(command(folder, tmp_path / "run", "--steps", "1", "--init", str(tmp_path / "other")))


RECIPES = {**DENOISE, **ARTIFACTS, **UPSCALE, **ESRGAN, **INPAINT}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RECIPES if place(name)])
def test_recipes_build_what_is_bundled_and_leave_its_outer_layers_to_adamw(name):
    built, bundled = RECIPES[name].build(), restoration.load(name)
    assert type(built) is type(bundled)
    kernels = [key for key, value in built.named_parameters() if value.ndim == 4]
    last = "up.0.4.weight" if "mwcnn" in name else kernels[-1]  # whose way up is made from its end
    assert [f"{layer}.weight" for layer in ends(built.eval())] == [kernels[0], last]
    left = {id(kernel) for kernel in Optimizers(built, "muon", 1e-3, 0, ends(built)).kernels}
    assert {key for key, value in built.named_parameters() if value.ndim == 4 and id(value) not in left} == {
        kernels[0], last,
    }  # fmt: skip
    assert json.dumps(built._hub_mixin_config) == json.dumps({**built._hub_mixin_config, **bundled._hub_mixin_config})


@pytest.mark.slow
def test_the_ratchet_bundles_a_winner_and_refuses_a_loser(folder, tmp_path, monkeypatch, capsys):
    bundled = tmp_path / "checkpoints"
    for module in (restoration.weights, evaluate, ratchet):
        monkeypatch.setattr(module, "bundled", lambda: bundled)
    model = DENOISE["mwcnn-gray"].build()
    with torch.no_grad():  # a network that gives its input back: noise predicted as zero
        for parameter in model.up[0].parameters():
            parameter.zero_()
    facts = {"model": "mwcnn-gray", "steps": 1, "minutes": 0, "device": "cpu", "seed": 0, "validation_psnr": 0.0}
    model.run = {**facts, "data": {"sources": {"cid22": 40}}}
    model.save_pretrained(tmp_path / "identity")
    with torch.no_grad():
        model.up[0][-1].bias.fill_(0.3)
    model.save_pretrained(tmp_path / "worse")
    scores = tmp_path / "scores.json"
    rows = {f"mwcnn-gray{way}": {"psnr": 1.0} for way in ("", " blind", " textured")} | {"drunet-fast": {"psnr": 2.0}}
    scores.write_text(json.dumps({"methods": {}, "sets": {"Set12 σ25": rows}}))
    arguments = ["--train-data", str(folder), "--json", str(scores)]
    assert evaluate.main(["--promote", str(tmp_path / "worse"), *arguments]) == 0  # nothing was bundled
    assert manifest.write(bundled) == []  # it is up to date already
    assert evaluate.main(["--promote", str(tmp_path / "identity"), *arguments]) == 0
    assert manifest.write(bundled) == []
    assert evaluate.main(["--promote", str(tmp_path / "worse"), *arguments]) == 1
    assert "does not beat the bundled mwcnn-gray" in capsys.readouterr().err
    assert json.loads(scores.read_text())["sets"] == {"Set12 σ25": {"drunet-fast": {"psnr": 2.0}}}  # others' alone
    record = bundled / "mwcnn-gray" / "run.json"
    run = json.loads(record.read_text())
    run["ratchet"]["score"] += 1  # as if the architecture had changed since
    record.write_text(json.dumps(run))
    assert manifest.write(bundled) == ["mwcnn-gray/run.json"]
    assert evaluate.main(["--promote", str(tmp_path / "identity"), *arguments]) == 1
    assert evaluate.main(["--promote", str(tmp_path / "identity"), "--train-data", str(folder), str(folder)]) == 1
    assert f"new {run['ratchet']['score'] - 1:.3f} dB, bundled {run['ratchet']['score'] - 1:.3f}" in (
        capsys.readouterr().out
    )
    run["ratchet"]["score"] -= 1
    record.write_text(json.dumps({**run, "ratchet": {"score": 0.0}}))
    (tmp_path / "identity" / "run.json").write_text(json.dumps({**model.run, "data": {"sources": {"unknown": 0}}}))
    manifest.write(bundled)
    monkeypatch.setattr(ratchet, "standing", lambda *_: 0.0)
    assert evaluate.main(["--promote", str(tmp_path / "identity"), *arguments]) == 1
    assert "is not for commercial use" in capsys.readouterr().err
    record.write_text(json.dumps(run))
    manifest.write(bundled)
    kept = restoration.load("mwcnn-gray")
    assert kept.up[0][-1].bias.abs().max() == 0
    assert kept.run["ratchet"]["score"] > kept.run["ratchet"]["beaten"]
    assert {path.name for path in (bundled / "mwcnn-gray").iterdir()} == {
        "model.safetensors", "config.json", "README.md", "run.json",
    }  # fmt: skip


def test_the_ratchet_asks_other_recipes_as_well_and_the_card_tells_of_those_beaten(folder, tmp_path, monkeypatch):
    for module in (restoration.weights, evaluate, ratchet):
        monkeypatch.setattr(module, "bundled", lambda: tmp_path / "checkpoints")
    model = UPSCALE["srcnn-x2"].build()
    recipe = {"loss": "mse", "optimizer": "muon", "learning_rate": 2e-3}
    facts = {"model": "srcnn-x2", "steps": 1, "minutes": 0, "device": "cpu", "seed": 0, "validation_psnr": 0.0}
    for name, weight in (("bicubic", 0.0), ("worse", 0.5)):
        torch.nn.init.constant_(model.conv3.bias, weight)
        torch.nn.init.zeros_(model.conv3.weight)
        loss = "mse" if name == "bicubic" else "combined"
        model.run = {**facts, "data": {"sources": {"cid22": 40}}, "recipe": {**recipe, "loss": loss}}
        model.save_pretrained(tmp_path / name)
    bicubic, worse = str(tmp_path / "bicubic"), str(tmp_path / "worse")
    data = ["--train-data", str(folder), "--json", str(tmp_path / "scores.json")]
    assert evaluate.main(["--promote", worse, *data, "--against", bicubic]) == 1
    assert not (tmp_path / "checkpoints" / "srcnn-x2").exists()
    assert evaluate.main(["--promote", bicubic, *data, "--against", worse]) == 0
    card = (tmp_path / "checkpoints" / "srcnn-x2" / "README.md").read_text()
    assert "Tried as well: the combined loss with muon at 0.002" in card


def test_dead_channels_are_revived_without_a_change_of_what_the_model_computes():
    torch.manual_seed(0)
    model = DRUNet(1, (4, 6), blocks=1).eval()
    block = model.body[0].res
    with torch.no_grad():
        block[0].weight[1:3].zero_()
    image = torch.rand(1, 1, 16, 16)
    before = model.restore(image)
    assert revive(model, lambda model: model.restore(image)) >= 2
    assert torch.equal(model.restore(image), before)
    model(image, torch.full_like(image, 0.1)).square().mean().backward()
    assert block[2].weight.grad[:, 1:3].abs().max() > 0
    assert revive(model.eval(), lambda model: model.restore(image)) == 0


@pytest.mark.slow
def test_a_run_tells_its_precision_and_goes_on_in_it(folder, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    for chosen in PRECISIONS:
        out = tmp_path / chosen
        denoise.main(command(folder, out, "--steps", "1", "--precision", chosen))
        assert json.loads((out / "run.json").read_text())["precision"] == chosen
        assert all(value.dtype == torch.float32 for value in weights(out).values())
        with monkeypatch.context() as broken:
            broken.setattr(Run, "learn", stopped)
            with pytest.raises(KeyboardInterrupt):
                denoise.main(command(folder, out, "--steps", "3", "--save-every", "0", "--precision", chosen))
        monkeypatch.setattr(precision, "faster", lambda recipe: pytest.fail("the run that goes on has one"))
        arguments = run_arguments("x", "x", DENOISE).parse_args(["mwcnn-gray", "--data", "x", "--out", str(out)])
        assert precision.precision_of(precision.prepared(DENOISE["mwcnn-gray"], arguments)) == chosen


@pytest.mark.slow
@pytest.mark.parametrize("chosen", PRECISIONS)
def test_equal_seeds_and_precision_give_equal_weights(chosen, folder, tmp_path):
    for name in ("one", "two"):
        denoise.main(command(folder, tmp_path / name, "--steps", "2", "--precision", chosen))
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_processors_without_units_for_bf16_train_in_fp32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    monkeypatch.setattr(precision, "step_seconds", lambda *_: pytest.fail("there is nothing to choose from"))
    assert precision.faster(DENOISE["mwcnn-gray"]) == "fp32"


def test_the_precision_with_the_faster_step_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    for seconds in ({"bf16": 1.0, "fp32": 2.0}, {"bf16": 2.0, "fp32": 1.0}):
        monkeypatch.setattr(precision, "step_seconds", lambda _, name, seconds=seconds: seconds[name])
        assert precision.faster(DENOISE["mwcnn-gray"]) == min(seconds, key=seconds.get)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, of what it compiles with
def test_a_compiled_network_trains_to_the_same_weights_within_rounding(folder, tmp_path):
    plain, compiled = tmp_path / "plain", tmp_path / "compiled"
    for out, flag in ((plain, "--no-compile"), (compiled, "--compile")):
        denoise.main(command(folder, out, "--steps", "3", flag))
        assert json.loads((out / "run.json").read_text())["compiled"] is (flag == "--compile")
    first, second = weights(plain), weights(compiled)
    assert all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)


@pytest.mark.parametrize(
    ("more", "half", "compiler", "compiles"),
    [
        (["--minutes", "60"], True, "/bin/g++", True),
        (["--minutes", "60"], False, "/bin/g++", False),
        (["--minutes", "60"], True, None, False),
        (["--minutes", "5"], True, "/bin/g++", False),
        (["--steps", "9"], True, "/bin/g++", False),  # equal weights, whatever is installed
        (["--steps", "9", "--compile"], False, None, True),
        (["--minutes", "60", "--no-compile"], True, "/bin/g++", False),
    ],
)
def test_a_network_is_compiled_where_it_pays(more, half, compiler, compiles, monkeypatch):
    monkeypatch.setattr(precision, "precision_of", lambda _: "bf16" if half else "fp32")
    monkeypatch.setattr(shutil, "which", lambda _: compiler)
    arguments = run_arguments("", "train", DENOISE).parse_args(["drunet-fast", "--data", "x", *more])
    processor = SimpleNamespace(device=torch.device("cpu"))
    assert precision.compiles(arguments, processor) is compiles


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_of_every_recipe_can_be_timed(name, monkeypatch):
    monkeypatch.setattr(precision, "TIMED_STEPS", 0)
    recipe = dataclasses.replace(RECIPES[name], batch=1, crop=32)
    assert precision.step_seconds(recipe, "fp32") > 0


@pytest.mark.parametrize("flag, value", [
    *product(
        ["--minutes", "--steps", "--batch", "--crop", "--validate-every", "--learning-rate"],
        ["0", "-1", "nan", "inf", "many"],
    ),
    *product(["--save-every"], ["-1", "nan", "inf", "many"]),
])  # fmt: skip
def test_numbers_that_make_no_sense_are_refused_in_one_line(flag, value, capsys):
    with pytest.raises(SystemExit):
        denoise.main(["mwcnn-gray", "--data", "none", flag, value])
    last = capsys.readouterr().err.splitlines()[-1]
    assert flag in last


def few(folder: Path, out: Path, held_out: bool) -> list[str]:
    """The files of a folder that are or are not held out for validation."""
    image = torch.zeros(1, 8, 8, dtype=torch.uint8)
    chosen = [str(path) for path in folder.iterdir() if Sample(path.name, "", image).held_out == held_out]
    return ["mwcnn-gray", "--data", *chosen, "--out", str(out), "--steps", "2"]


@pytest.mark.slow
def test_a_run_that_cannot_work_ends_in_one_sentence(folder, tmp_path):
    cases = {
        "none of the .* images is held out": few(folder, tmp_path, held_out=False),
        "no training image with sides of at least": few(folder, tmp_path, held_out=True),
        "no file or folder called": ["mwcnn-gray", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path)],
        "at least 160 pixels": command(folder, tmp_path, "--steps", "1", "--crop", "160"),
    }
    for sentence, argv in cases.items():
        with pytest.raises(TrainingError, match=sentence):
            denoise.main(argv)
        with pytest.raises(SystemExit, match=f"^error: .*{sentence}"):
            run_command(lambda argv=argv: denoise.main(argv))


@pytest.mark.slow
def test_damaged_and_foreign_files_are_left_out_and_counted(folder, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    (data / "cut.png").write_bytes(next(folder.iterdir()).read_bytes()[:60])
    (data / "empty.jpg").touch()
    (data / "other.npz").write_bytes(b"no archive")
    (data / "notes.txt").write_text("no image")
    denoise.main(command(data, tmp_path / "out", "--steps", "1"))
    assert "left out 3 files" in capsys.readouterr().out
    facts = json.loads((tmp_path / "out" / "run.json").read_text())["data"]
    assert (facts["skipped"], facts["sources"]) == (3, {"cid22": 40})


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_best(folder, tmp_path, monkeypatch, capsys):
    def poisoned(after: int):
        def loss(name):
            calls.append(name)
            return lambda *pair: build_loss(name)(*pair) * (math.nan if len(calls) > after else 1)

        return loss

    calls: list[str] = []
    monkeypatch.setattr(denoise, "build_loss", poisoned(after=8))
    denoise.main(command(folder, tmp_path / "late", "--steps", "40"))
    assert "no finite number" in capsys.readouterr().out
    run = json.loads((tmp_path / "late" / "run.json").read_text())
    assert run["steps"] == 9
    assert math.isfinite(run["validation_psnr"])
    assert all(value.isfinite().all() for value in weights(tmp_path / "late").values())
    calls.clear()
    monkeypatch.setattr(denoise, "build_loss", poisoned(after=0))
    with pytest.raises(TrainingError, match="loss is no finite number"):
        denoise.main(command(folder, tmp_path / "early", "--steps", "40"))


@pytest.mark.slow
def test_a_validation_that_is_no_number_never_wins(folder, tmp_path, monkeypatch):
    scores = iter([30.0, math.nan, 31.0])
    monkeypatch.setattr(DenoiseRecipe, "validate", lambda *_: next(scores))
    denoise.main(command(folder, tmp_path, "--steps", "18"))
    assert json.loads((tmp_path / "run.json").read_text())["validation_psnr"] == 30
    monkeypatch.setattr(DenoiseRecipe, "validate", lambda *_: math.nan)
    with pytest.raises(TrainingError, match="validation score is no finite number"):
        denoise.main(command(folder, tmp_path, "--steps", "18"))


@pytest.mark.slow
def test_a_run_goes_on_only_with_its_own_images_and_a_whole_state(folder, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(Run, "learn", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            denoise.main(command(folder, tmp_path / "out", "--steps", "2", "--save-every", "0"))
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    write(Image(np.full((144, 144, 1), 9, np.uint8)), other / "cid22_99.png")
    argv = command(other, tmp_path / "out", "--steps", "2")
    with pytest.raises(TrainingError, match="another data;"):
        denoise.main(argv)
    state = tmp_path / "out" / "state.safetensors"
    for content in (b"", state.read_bytes()[:500], b"{}" * 40):
        state.write_bytes(content)
        with pytest.raises(TrainingError, match="is damaged"):
            denoise.main(command(folder, tmp_path / "out", "--steps", "2"))


def test_every_fourth_validation_picture_is_the_grey_of_its_red_channel_with_the_noise_of_one_seed():
    class Watched(DRUNet):
        def restore(self, noisy, sigma=None):
            seen.append(noisy)
            return super().restore(noisy, sigma)

    seen = []
    noise = GaussianNoise(0.1)
    recipe = dataclasses.replace(DENOISE["drunet-fast"], noise=RandomNoise(0, 0.2, grey_share=0.5), scored=(noise,))
    images = [torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8) for _ in range(5)]
    recipe.validate(Watched(3, (4, 6), blocks=1).eval(), images)
    for index, noisy in enumerate(seen[::2]):  # told, then blind
        clean = images[index][None].float() / 255
        expected = noise(clean[:, :1] if index == 3 else clean, torch.Generator().manual_seed(0))
        assert torch.equal(noisy, expected.expand_as(noisy))
    assert len(seen) == 10
