"""Bundled files that are not what they were: named, their method off, and the rest goes on."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from gradio_client import Client

import restoration
from restoration import catalog, gallery, manifest, tasks, weights
from restoration.__main__ import main
from restoration.files import write
from restoration.models.srcnn import SRCNN
from restoration.orders import Order
from restoration.page.layout import build
from train import evaluate, tables

ROOT = Path(__file__).parent.parent


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


def pointer(file: Path) -> None:
    """What git leaves of a large file where its storage for these was not asked."""
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


DAMAGE = {
    "cut": cut,
    "one bit": flipped,
    "empty": lambda file: file.write_bytes(b""),
    "missing": Path.unlink,
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b" "),
    "pointer": pointer,
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


SLOW = pytest.mark.slow


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of the bundled checkpoints, in use."""
    folder = shutil.copytree(weights.bundled(), tmp_path / "checkpoints")
    monkeypatch.setattr(weights, "bundled", lambda: folder)
    gallery.examples.cache_clear()
    yield folder
    gallery.examples.cache_clear()


def test_the_manifest_names_every_bundled_file_by_its_digest():
    folder = weights.bundled()
    files = [path for path in folder.glob("*/*") if path.is_file()]
    listed = json.loads((folder / manifest.NAME).read_text())
    assert {f"{name}/{file}" for name, files in listed.items() for file in files} == {
        path.relative_to(folder).as_posix() for path in files
    }
    for path in files:
        assert listed[path.parent.name][path.name] == hashlib.sha256(path.read_bytes()).hexdigest(), path
    assert catalog.warnings() == []


@pytest.mark.parametrize(("damage", "file"), [
    pytest.param(damage, file, marks=[] if file == manifest.READ[0] or damage in ("one bit", "missing") else SLOW)
    for damage in DAMAGE
    for file in manifest.READ
])  # fmt: skip
def test_a_damaged_file_is_named_and_its_method_is_off(copy, damage, file, capsys):
    DAMAGE[damage](copy / "drunet-fast" / file)
    said = {"missing": "missing", "a folder": "missing"}.get(damage, "damaged")
    sentence = f"drunet-fast is off: its file {file} is {said}. Install it again to get it back."
    assert catalog.warnings() == [sentence]
    assert "drunet-fast" not in [method.name for method in restoration.methods()]
    for load in (
        lambda: restoration.load("drunet-fast"),
        lambda: restoration.load(copy / "drunet-fast"),
        lambda: catalog.method("denoise", "drunet-fast"),
        lambda: Order("denoise", "drunet-fast"),
    ):
        with pytest.raises(ValueError) as caught:
            load()
        assert str(caught.value) == sentence
    assert main(["models"]) == 0
    assert capsys.readouterr().err == f"warning: {sentence}\n"
    image = torch.rand(1, 3, 8, 8)
    assert restoration.load("mwcnn-color").restore(image).isfinite().all()


def test_the_other_scales_of_a_family_stay(copy):
    cut(copy / "compact-x4" / "model.safetensors")
    assert catalog.method("upscale", "compact").name == "compact-x3"
    assert catalog.method("upscale", "compact-x2", 3).name == "compact-x3"
    for name, scale in (("compact", 4), ("compact-x4", None), ("compact-x2", 4)):
        with pytest.raises(ValueError, match=r"compact-x4 is off: its file model\.safetensors is damaged"):
            catalog.method("upscale", name, scale)


def test_a_model_that_blends_with_a_damaged_one_runs_without_it(copy):
    cut(copy / "rrdb-x4" / "model.safetensors")
    assert not catalog.method("upscale", "esrgan-x4").blends
    assert Order("upscale", "esrgan-x4", {"alpha": 0.5}).settings["alpha"] == 1
    with pytest.raises(ValueError, match=r"rrdb-x4 is off: its file"):
        restoration.load("esrgan-x4", alpha=0.5)


@SLOW  # the page is built
def test_with_every_checkpoint_damaged_the_classical_methods_are_left(copy, photo, tmp_path):
    for file in copy.glob("*/model.safetensors"):
        pointer(file)
    assert not [method for method in restoration.methods() if method.learned]
    assert build().fns
    for task in tasks.every():
        assert Order(task).method.task == task
        assert gallery.examples(task)
    write(photo, tmp_path / "photo.png")
    assert main(["denoise", str(tmp_path / "photo.png"), "-o", str(tmp_path / "clean.png")]) == 0


@pytest.mark.parametrize("damage, fault", [
    (lambda file: file.write_text("{"), "damaged"), (lambda file: file.write_text("[]"), "damaged"),
    (lambda file: file.write_bytes(b"\xff"), "damaged"), (Path.unlink, "missing"),
])  # fmt: skip
def test_the_manifest_may_be_damaged_itself(copy, capsys, damage, fault):
    damage(copy / manifest.NAME)
    assert main(["models"]) == 0
    assert capsys.readouterr().err == (
        f"warning: manifest.json is {fault}, so the bundled checkpoints could not be checked. Install it again.\n"
    )
    assert restoration.load("drunet-fast")


@pytest.mark.parametrize("task", [kind for kind in tasks.every() if catalog.method(kind, "").learned])
def test_where_the_flagship_is_off_another_trained_model_for_photos_is_the_default(copy, task):
    flagship = catalog.method(task, "")
    cut(copy / flagship.name / "model.safetensors")
    second = catalog.method(task, "")
    assert second.learned
    assert second.name not in (flagship.name, "cifar-autoencoder", "ct-autoencoder", "xray-unet")


def test_a_damaged_file_elsewhere_is_told_in_a_sentence_too(tmp_path):
    SRCNN(2, widths=(4, 4)).save_pretrained(tmp_path / "mine")
    cut(tmp_path / "mine" / "model.safetensors")
    with pytest.raises(ValueError, match=r"\Amine holds a damaged model\.safetensors\Z"):
        restoration.load(tmp_path / "mine")
    (tmp_path / "mine" / "config.json").write_text("[1")
    with pytest.raises(ValueError, match=r"\Amine holds a damaged config\.json\Z"):
        restoration.load(tmp_path / "mine")


def test_only_what_was_written_is_taken_for_new(copy):
    flipped(copy / "drunet-fast" / "model.safetensors")
    (copy / "srcnn-x2" / "README.md").write_text("another card")
    assert manifest.write(copy, ["srcnn-x2"]) == ["srcnn-x2/README.md"]
    assert list(catalog.off()) == ["drunet-fast"]
    assert manifest.write(copy) == ["drunet-fast/model.safetensors"]
    assert catalog.off() == {}
    shutil.rmtree(copy / "srcnn-x2")
    assert set(manifest.write(copy)) == {f"srcnn-x2/{name}" for name in (*manifest.READ, "README.md")}


@SLOW  # every card is written
def test_new_scores_keep_the_manifest_up_to_date(copy, monkeypatch):
    monkeypatch.setattr(evaluate, "bundled", lambda: copy)
    scores = json.loads(tables.SCORES.read_text())
    changed = next(rows["srcnn-x2"] for rows in scores["sets"].values() if "srcnn-x2" in rows)
    changed["psnr"] += 1
    evaluate.write_cards(scores)
    assert json.loads((copy / "srcnn-x2" / "run.json").read_text())["scores"]
    assert manifest.write(copy) == []
    assert catalog.warnings() == []


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The program with checkpoints of its own, one of which is cut."""
    folder = tmp_path / "program"
    folder.mkdir()
    shutil.copy(ROOT / "app.py", folder)
    (folder / "restoration").symlink_to(ROOT / "restoration")
    shutil.copytree(ROOT / "checkpoints", folder / "checkpoints")
    cut(folder / "checkpoints" / "drunet-fast" / "model.safetensors")
    return folder


@SLOW
def test_page_and_command_line_start_with_a_cut_checkpoint(checkout, serve, photo, tmp_path):
    sentence = "drunet-fast is off: its file model.safetensors is damaged. Install it again to get it back."
    write(photo, tmp_path / "photo.png")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "restoration", "denoise", tmp_path / "photo.png", "-o", tmp_path / "clean.png"]
    ran = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.startswith(f"warning: {sentence}\n")
    client = Client(serve(checkout, {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(checkout)}), verbose=False)
    assert sentence in json.dumps(client.config)
    assert "drunet-fast" not in [method["name"] for method in client.predict(api_name="/models")]
