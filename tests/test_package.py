"""The package as others install it: from a wheel and from git, in a foreign folder, with and without some weights."""

import email
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest

import restoration
from restoration.card import licence
from restoration.files import write
from restoration.image import Image
from tests.hub import Hub
from train.requirements import ROOT, project

pytestmark = pytest.mark.slow

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
PREAMBLE = """
import numpy, torch
import restoration
assert restoration.__file__.startswith({place!r}), restoration.__file__
noisy = small = blocky = image = picture = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))
mask = torch.zeros(1, 1, 32, 40)
mask[..., 10:14, 10:20] = 1
for name in ("photos/a.png", "photos/b.png"):
    restoration.write(restoration.Image(numpy.full((20, 30, 3), 90, numpy.uint8)), name)
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**settings, "HF_HUB_OFFLINE": "1", **environment}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of what git tracks, as a repository of its own: a build writes into its folder."""
    folder = tmp_path_factory.mktemp("source")
    for name in run("git", "ls-files", "-z", cwd=ROOT).split("\0"):
        if name and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run("git", "init", "-q", cwd=folder)
    run("git", "add", "-A", cwd=folder)
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    run("git", *who, "commit", "-q", "-m", "as it is", cwd=folder)
    return folder


def wheel(source: Path, folder: Path, **environment: str) -> Path:
    building = ("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source)
    run(sys.executable, "-m", "pip", *building, cwd=source, **environment)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheels(source, tmp_path_factory) -> dict[str, Path]:
    """A wheel by each choice of weights, built in one folder, which keeps what the first build left."""
    return {
        choice: wheel(source, tmp_path_factory.mktemp(choice), RESTORATION_WEIGHTS=choice)
        for choice in ("commercial", "all")
    }


def installed(what: str | Path, folder: Path) -> Path:
    """The Python of a new environment with this package, the rest being that of the one that the tests run in."""
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    scheme = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    rest = "\n".join(dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")))
    (Path(sysconfig.get_path("purelib", "venv", scheme)) / "rest.pth").write_text(rest + "\n")
    there = ("install", "-q", "--no-deps", "--no-build-isolation", "--no-cache-dir", str(what))
    run(sys.executable, "-m", "pip", "--python", python, *there, cwd=folder)
    return python


def test_the_readmes_lines_run_where_a_wheel_was_installed(wheels, tmp_path):
    python = installed(wheels["all"], tmp_path)
    foreign = tmp_path / "foreign"
    (foreign / "photos").mkdir(parents=True)
    lines = [block for block in BLOCKS if "restoration." in block and "gradio_client" not in block]
    assert len(lines) >= 3
    script = "\n".join([PREAMBLE.format(place=str(tmp_path)), *lines, "print(clean.shape, large.shape, better.shape)"])
    printed = run(python, "-c", script, cwd=foreign)
    assert printed.splitlines()[-1] == (
        "torch.Size([1, 3, 32, 40]) torch.Size([1, 3, 128, 160]) torch.Size([1, 3, 32, 40])"
    )
    assert (foreign / "restored" / "a_denoised.png").is_file()


def test_the_command_line_runs_where_it_was_installed_from_git(source, tmp_path):
    python = installed(f"git+file://{source}", tmp_path)
    write(Image(np.full((20, 30, 3), 90, np.uint8)), tmp_path / "a.png")
    assert "drunet-photo" in run(python, "-m", "restoration", "models", cwd=tmp_path)
    run(python, "-m", "restoration", "denoise", "a.png", "-o", "b.png", cwd=tmp_path)
    assert (tmp_path / "b.png").is_file()


def test_a_wheel_says_the_licences_of_what_is_in_it(wheels):
    names = {folder.parent.name: licence(restoration.weights.record(folder.parent.name))
             for folder in (ROOT / "checkpoints").glob("*/model.safetensors")}  # fmt: skip
    free = {name for name, terms in names.items() if terms == "apache-2.0"}
    assert free and names.keys() - free
    found = {}
    for choice, file in wheels.items():
        with zipfile.ZipFile(file) as archive:
            listed = archive.namelist()
            manifest = json.loads(archive.read("restoration/checkpoints/manifest.json"))
            metadata = email.message_from_bytes(
                archive.read(next(name for name in listed if name.endswith("/METADATA")))
            )
        inside = {name.split("/")[2] for name in listed if name.endswith("/model.safetensors")}
        assert manifest.keys() == inside
        assert metadata["Name"] == project()["name"]
        found[choice] = (inside, metadata["License-Expression"])
    assert found == {
        "commercial": (free, "Apache-2.0"), "all": (set(names), "Apache-2.0 AND CC-BY-NC-4.0"),
    }  # fmt: skip


def test_without_the_weights_for_non_commercial_use_all_tasks_run_and_the_rest_is_a_sentence(wheels, tmp_path):
    python = installed(wheels["commercial"], tmp_path)
    script = """
import restoration
from functools import partial
from restoration import catalog, tasks
from restoration.models.drunet import DRUNet
assert catalog.warnings() == []
left_out = 0
for architecture in catalog.architectures().values():
    for checkpoint in architecture.checkpoints:
        if restoration.weights.place(checkpoint.name):
            continue
        left_out += 1
        for load in (restoration.load, architecture.from_pretrained, partial(catalog.method, architecture.task)):
            try:
                load(checkpoint.name)
            except ValueError as reason:
                assert str(reason).startswith(f"{checkpoint.name} is not in this installation: "), reason
            else:
                raise AssertionError(checkpoint.name)
assert left_out > 3
for task in tasks.every():
    settings = {"mask": mask[0, 0].numpy()} if task == "inpaint" else {}
    print(task, catalog.method(task, "").name, tuple(restoration.restore(picture, task, **settings).shape))
"""
    (tmp_path / "photos").mkdir()
    printed = run(python, "-c", PREAMBLE.format(place=str(tmp_path)) + script, cwd=tmp_path)
    assert [line.split()[0] for line in printed.splitlines()] == list(restoration.tasks.every())


def test_every_card_lets_a_stranger_install_and_use_its_weights(photo, tmp_path):
    hub = Hub()
    settings = {
        "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_test", "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
    }  # fmt: skip
    try:
        publish = (sys.executable, "-m", "train.publish", "--all", "me", "--space", "me/page")
        learned = [method.name for method in restoration.methods() if method.learned]
        assert {line.partition(":")[0] for line in run(*publish, cwd=ROOT, **settings).splitlines()} >= set(learned)
        cards = {name: hub.files(f"me/{name}")["README.md"].decode() for name in learned}
        assert not [name for name, card in cards.items() if re.search(r"\buser/", card)]
        commands = {re.search(r"```bash\n(.*?)```", card, re.DOTALL)[1] for card in cards.values()}
        first, download, install = commands.pop().splitlines()
        assert not commands and first == "pip install huggingface_hub"
        foreign = tmp_path / "foreign"
        foreign.mkdir()
        hf = [Path(sysconfig.get_path("scripts")) / "hf", *download.split()[1:]]
        run(*hf, cwd=foreign, **settings)
        assert install == "pip install ./restoration-source"
        python = installed(foreign / "restoration-source", tmp_path)
        write(photo, foreign / "photo.jpg")
        write(Image((photo.samples[..., :1] > 200) * np.uint8(255)), foreign / "mask.png")
        uses = {name: re.search(r"```python\n(.*?)```", card, re.DOTALL)[1] for name, card in cards.items()}
        report = "print({name!r}, *restored.shape, (restored - model.restore(image, *rest)).abs().max().item())"
        bundled = "rest = [mask] if 'mask' in globals() else []\nmodel = restoration.load({name!r})\n"
        script = "".join(
            uses[name] + (bundled + report).format(name=name) + "\nmask = None; del mask\n" for name in learned
        )
        printed = run(python, "-c", script, cwd=foreign, **settings).splitlines()
    finally:
        hub.close()
    for name, line in zip(learned, printed, strict=True):
        model = restoration.load(name)
        height, width = (model.scale * side for side in photo.samples.shape[:2])
        assert line.split() == [name, "1", str(model.channels), str(height), str(width), "0.0"]
        assert any(line.startswith(f"GET /me/{name}/resolve/") for line in hub.log)


def test_a_choice_of_weights_that_there_is_not_ends_the_build(source, tmp_path):
    with pytest.raises(AssertionError, match="RESTORATION_WEIGHTS is all or commercial, not some"):
        wheel(source, tmp_path, RESTORATION_WEIGHTS="some")
