"""Tasks: one that lies in the folder is everywhere, and imports go downwards only."""

import gc
import importlib
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
import torch

import app
import restoration
from restoration import catalog, classical, models, tasks, weights
from restoration.__main__ import main as command_line
from restoration.bakeoff import bake_off, bake_off_damaged
from restoration.files import read, write
from restoration.image import Image
from restoration.orders import Order, replay
from restoration.page.api import list_models
from restoration.page.layout import tab_of
from restoration.page.parts import checked_format
from restoration.running import finish
from tests.conftest import by_api
from train import benchmarks, evaluate

SHARPEN = """
from torch.nn import functional as F

from restoration.classical import listed
from restoration.running import restored
from restoration.tasks._task import STRENGTH, Setting, Task, Test


@listed("sharpen", "Unsharp mask", "Classical: adds what a blur takes away.", 1)
def unsharp(image, amount):
    return (image + amount * (image - F.avg_pool2d(image, 3, 1, 1, count_include_pad=False))).clamp(0, 1)


class Sharpen(Task):
    name, title, verb, place, ending = "sharpen", "Sharpen", "Sharpen", 9, "sharp"
    help, about = "sharpen", "Sharpen an image file."
    settings = (Setting("amount", float, 0.5, "how much", "Amount", limits=(0, 3), step=0.1), STRENGTH)
    test = Test("Test", "Blurs.", "Sharp pictures", "Blur and sharpen", "Both", ("Blurred", "Sharpened"))

    def run(self, image, method, settings, hole=None):
        return restored(image, method, settings["amount"], found=lambda _: "sharpened")

    def metrics(self, result):
        return {}

    def typical(self, side):
        return (1.0,)

    def damaged(self, clean, scale):
        return F.avg_pool2d(clean, 3, 1, 1, count_include_pad=False)


TASK = Sharpen()
"""
SHARPEN_BENCHMARK = """
from torch.nn import functional as F

from train.benchmarks._sets import Benchmark, Row
from train.benchmarks.denoise import NoisySet


class BlurredSet(NoisySet):
    def degraded(self, clean, index, data):
        return (F.avg_pool2d(clean, 3, 1, 1, count_include_pad=False),)

    def rows(self, method):
        return [Row(method.name, (1.0,))]


def of_folder(folder, masks):
    return (BlurredSet("blurred", (str(folder.resolve()),), 3, None, 0.0),)


BENCHMARK = Benchmark((), of_folder, ())
"""
SMOOTH = """
from torch import nn
from torch.nn import functional as F

from restoration.classical import listed
from restoration.restorer import Checkpoint, Denoiser


@listed("denoise", "Box", "Classical: the mean of 3x3 pixels.", 1)
def box(noisy, sigma=None):
    return F.avg_pool2d(noisy, 3, 1, 1, count_include_pad=False)


class Smooth(Denoiser, paper_url="https://example.org"):
    checkpoints = (Checkpoint("smooth", "Smooth", "Everything.", "Nothing."),)

    def __init__(self, channels: int = 3):
        super().__init__()
        self.channels, self.receptive_field = channels, 1
        self.layer = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, noisy):
        return self.layer(noisy)
"""


def laid_into(package, folder: Path, name: str, text: str, monkeypatch) -> None:
    """A file that lies in a registry's folder as far as Python knows."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    monkeypatch.delitem(sys.modules, f"{package.__name__}.{name}", raising=False)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    importlib.invalidate_caches()


@pytest.fixture
def sharpen(tmp_path, monkeypatch):
    """A task with its only method and its benchmark, as if their files lay in the folders."""
    laid_into(tasks, tmp_path / "tasks", "sharpen", SHARPEN, monkeypatch)
    laid_into(benchmarks, tmp_path / "benchmarks", "sharpen", SHARPEN_BENCHMARK, monkeypatch)
    monkeypatch.setattr(classical, "ENTRIES", list(classical.ENTRIES))
    tasks.every.cache_clear()
    yield "sharpen"
    tasks.every.cache_clear()


@pytest.fixture
def smooth(tmp_path, monkeypatch):
    """A denoiser's architecture with its checkpoint and a classical method, as if their file lay in the folder."""
    laid_into(models, tmp_path / "models", "smooth", SMOOTH, monkeypatch)
    monkeypatch.setattr(classical, "ENTRIES", list(classical.ENTRIES))
    catalog.architectures.cache_clear()
    model = catalog.architectures()["Smooth"]()
    with torch.no_grad():
        model.layer.weight.zero_()
        model.layer.bias.fill_(0.5)
    model.save_pretrained(tmp_path / "smooth")
    monkeypatch.setitem(weights._places, "smooth", weights.Place(tmp_path / "smooth", "bundled"))
    yield "smooth", "box"
    catalog.architectures.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1], ids=["architecture", "classical"])
def test_an_architecture_and_a_classical_method_in_the_folder_are_everywhere(smooth, index, photo, tmp_path, capsys):
    name = smooth[index]
    write(photo, tmp_path / "photo.png")
    path = str(tmp_path / "photo.png")
    assert command_line(["denoise", path, "-o", str(tmp_path / "one.png"), "--model", name]) == 0
    assert command_line(["denoise", path, path, "-o", str(tmp_path / "many"), "--model", name]) == 0
    assert command_line(["models"]) == 0
    assert name in capsys.readouterr().out
    content = (tmp_path / "one.png").read_bytes()
    assert (tmp_path / "many" / "photo_denoised.png").read_bytes() == content
    assert not (read(tmp_path / "one.png").samples == photo.samples).all()
    assert Path(by_api("denoise", path, name)[0]).read_bytes() == content
    assert name in [listed["name"] for listed in list_models()]
    tab = tab_of(tasks.named("denoise"))
    steps = tab.runs.run(lambda *_, **__: None, path, name, True, 25, 100, "png", 95)
    assert [Path(step[1]["value"]).read_bytes() for step in steps if isinstance(step[1].get("value"), str)] == [content]
    done = finish(Order("denoise", name).run(read(path)))
    assert done.receipt["model"] == name
    assert bool(done.receipt["weights"]) == (index == 0)
    assert finish(replay(done.receipt, read(path))).same
    assert name in [entry.name for entry in bake_off("denoise", photo, (40, 30))]
    (tmp_path / "pictures").mkdir()
    write(photo, tmp_path / "pictures" / "photo.png")
    flags = ["--task", "denoise", "--folder", str(tmp_path / "pictures"), "--methods", name]
    assert evaluate.main(flags) == 0
    assert f"| {name} |" in capsys.readouterr().out
    drawn = [block for block in app.build().blocks.values() if block.elem_id == "denoise-model"]
    gc.collect()
    assert name in [value for _, value in drawn[0].choices]


@pytest.mark.slow
def test_a_task_that_lies_in_the_folder_is_everywhere(sharpen, photo, tmp_path, capsys):
    assert list(tasks.every())[-1] == sharpen
    write(photo, tmp_path / "photo.png")
    path, flags = str(tmp_path / "photo.png"), ["--amount", "2", "--strength", "0.5"]
    assert command_line([sharpen, path, "-o", str(tmp_path / "one.png"), *flags]) == 0
    assert command_line([sharpen, path, path, "-o", str(tmp_path / "many"), *flags]) == 0
    assert command_line(["models"]) == 0
    assert "unsharp" in capsys.readouterr().out
    content = (tmp_path / "one.png").read_bytes()
    assert (tmp_path / "many" / "photo_sharp.png").read_bytes() == content
    assert Path(by_api(sharpen, path, "unsharp", 2, 0.5)[0]).read_bytes() == content
    runs = tab_of(tasks.named(sharpen)).runs
    shown = [step for step in runs.run(lambda *_, **__: None, path, "unsharp", 2.0, 50, "png", 95)][-1]
    assert "**Unsharp mask**" in shown[3]
    done = finish(Order(sharpen, "", {"amount": 2.0, "strength": 0.5}).run(read(path)))
    assert finish(replay(done.receipt, read(path))).same
    entries = list(bake_off_damaged(sharpen, photo))
    assert [entry.name for entry in entries] == ["", "unsharp"]
    assert entries[1].score.psnr > entries[0].score.psnr
    order = Order(sharpen)
    trial = finish(tasks.named(sharpen).trial(photo, order.method, order.settings, ()))
    assert trial.after.psnr > trial.before.psnr
    (tmp_path / "pictures").mkdir()
    write(photo, tmp_path / "pictures" / "photo.png")
    assert evaluate.main(["--task", sharpen, "--folder", str(tmp_path / "pictures")]) == 0
    assert "| unsharp |" in capsys.readouterr().out
    found = {block.elem_id for block in app.build().blocks.values()}
    gc.collect()  # the event loop that gradio leaves open, before anything else runs
    assert {"sharpen-input", "sharpen-amount", "sharpen-run", "sharpen-trial-run"} <= found


@pytest.mark.parametrize("name", tasks.every())
def test_every_task_fulfils_its_contract(name):
    kind = tasks.named(name)
    assert kind.name == name
    for text in (
        kind.title,
        kind.verb,
        kind.help,
        kind.about,
        kind.suffix(restoration.methods(name)[0]),
        kind.compared,
        kind.hint,
    ):
        assert text
    for setting in (*kind.settings, *kind.damages):
        assert setting.label
        assert setting.help
        assert setting.choices or setting.kind is bool or setting.checked(setting.default) == setting.default
    method = restoration.methods(name)[0]
    completed = kind.completed({}, method)
    assert Order(name).settings == completed == Order(name, method.name, completed).settings
    assert isinstance(kind.guide(method), str)
    facts, advice = kind.facts(Image(np.zeros((40, 40, 3), np.uint8)), method)
    assert all(isinstance(line, str) for line in (*facts, *advice))


def imports(file: Path, nested: bool = True) -> set[str]:
    """The modules that a file imports, with `nested` also in functions and for type hints."""
    start = r"^ *" if nested else "^"
    text = file.read_text(encoding="utf-8")
    found = set(re.findall(rf"{start}import ([\w.]+)", text, re.MULTILINE))
    for place, names in re.findall(rf"{start}from ([\w.]+) import (\([^)]*\)|.*$)", text, re.MULTILINE):
        found |= {place, *(f"{place}.{name}" for name in re.findall(r"\w+", names.partition(" as ")[0]))}
    return found


def test_the_page_alone_imports_gradio_and_nothing_but_the_start_imports_the_page():
    package = Path(restoration.__file__).parent
    for file in package.rglob("*.py"):
        modules, inside = imports(file), file.is_relative_to(package / "page")
        tops = {module.partition(".")[0] for module in modules}
        assert "train" not in tops, file
        assert "app" not in tops, file
        assert inside or not tops & {"gradio", "starlette", "pandas"}, file
        assert inside or not any(module.startswith("restoration.page") for module in modules), file


def test_imports_go_downwards_only():
    package = Path(restoration.__file__).parent
    modules = {
        ".".join(file.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for top in (package, package.parent / "train")
        for file in top.rglob("*.py")
    }
    del modules["restoration"]  # the public face, which everything below it is imported for
    graph = {name: imports(file, nested=False) & modules.keys() for name, file in modules.items()}
    order = TopologicalSorter(graph).static_order()
    assert set(order) == set(modules)  # a circle would have been a CycleError


def test_no_file_is_too_long_to_be_read():
    root = Path(restoration.__file__).parent.parent
    files = [root / "app.py", *(root / "restoration").rglob("*.py"), *(root / "train").rglob("*.py")]
    assert {file.name for file in files if len(file.read_text(encoding="utf-8").splitlines()) > 450} == set()


@pytest.mark.parametrize("task, name, given, meant", [
    ("denoise", "sigma_255", "Auto", None), ("denoise", "sigma_255", " AUTO ", None),
    ("denoise", "sigma_255", "25", 25), ("artifacts", "quality", "80", 80), ("artifacts", "quality", 80.0, 80),
    ("artifacts", "quality", "80.5", ValueError),
    ("artifacts", "quality", 80.5, ValueError), ("artifacts", "quality", "high", ValueError),
    ("upscale", "stay_true", "Yes", True), ("upscale", "stay_true", "false", False),
    ("upscale", "stay_true", True, True), ("upscale", "stay_true", "perhaps", ValueError),
    ("inpaint", "grow", "2.0", 2), ("inpaint", "grow", 2.5, ValueError), ("photo", "denoise", "auto", None),
])  # fmt: skip
def test_what_a_program_writes_is_understood_or_refused(task, name, given, meant):
    setting = next(setting for setting in tasks.named(task).settings if setting.name == name)
    if meant is ValueError:
        with pytest.raises(ValueError, match=r"^[^\n]{10,100}\.$"):
            setting.checked(setting.parsed(given))
        return
    found = setting.checked(setting.parsed(given))
    assert found == meant and type(found) is not (int if setting.kind is float else float)


@pytest.mark.parametrize("given, meant", [
    ("PNG", "png"), ("jpg", "jpeg"), (".JPG", "jpeg"), ("jpe", "jpeg"), ("tif", "tiff"), ("WebP", "webp"),
    ("bmp", None), ("gif", None), ("exe", None), ("", None), (3, None),
])  # fmt: skip
def test_a_format_is_known_by_name_and_by_ending(given, meant):
    if meant:
        assert checked_format(given) == meant
        return
    with pytest.raises(ValueError, match="format is one of png, jpeg, webp, tiff"):
        checked_format(given)
