"""The lines to copy, run as they are printed by the programs that they are for, on files with strange names."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import restoration
from restoration import catalog, tasks
from restoration.files import read, write
from restoration.image import Image
from restoration.page.models import about_model
from restoration.page.snippets import snippets
from tests.conftest import CHECKOUT

NAMES = {"photo.jpg": "my photo (1), new; 100%.jpg", "mask.png": "mask's [a].png"}
METHODS = [f"{task}/{catalog.method(task, '').name}" for task in tasks.every()] + ["upscale/bicubic-x2"]
CLIENT = "@gradio/client@2.7.0"


@pytest.fixture
def folder(photo, tmp_path) -> Path:
    """Where the files of the snippets lie."""
    write(photo, tmp_path / NAMES["photo.jpg"])
    hole = np.zeros((70, 90, 1), np.uint8)
    hole[20:30, 20:30] = 255
    write(Image(hole), tmp_path / NAMES["mask.png"])
    return tmp_path


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory) -> Path:
    """A folder in which Node finds Gradio's client."""
    if not (npm := shutil.which("npm")):
        pytest.skip("npm is not there")
    folder = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), CLIENT]
    if (installed := subprocess.run(command, capture_output=True, text=True)).returncode:
        pytest.skip(f"npm cannot install {CLIENT}: {installed.stderr[-200:]}")
    return folder


def printed(method: str, server: str) -> list[str]:
    """The snippets of a method, for the files of the test."""
    request = SimpleNamespace(request=SimpleNamespace(base_url=f"{server}/"))
    texts = snippets(method, request)
    for name, strange in NAMES.items():
        texts = [text.replace(f'"{name}"', f'"{strange}"') for text in texts]
    return texts


def size(method: str) -> tuple[int, int]:
    """Width and height of what a method makes of the picture."""
    scale = catalog.method(*method.split("/")).scale
    return 90 * scale, 70 * scale


@pytest.fixture
def run(folder) -> Callable[..., str]:
    """Runs a program in the folder of the files; gives what it printed."""

    def ran(*command: str, **environment: str) -> str:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment}, timeout=300
        )
        assert done.returncode == 0, done
        return done.stdout.strip()

    return ran


def test_every_method_is_told_of_and_has_its_lines():
    for method in restoration.methods():
        name = f"{method.task}/{method.name}"
        assert method.summary in about_model(name)
        for text in snippets(name):
            assert f'"{method.name}"' in text
            assert method.task in text or method.learned


# Programs, one after the other in one process that has imported what they need, each on its own otherwise.
ONE_BY_ONE = """
import runpy, sys
for file in sys.argv[1:]:
    runpy.run_path(file)
"""


@pytest.mark.slow
def test_the_lines_for_python_run(run, folder):
    files = [folder / f"lines{number}.py" for number in range(len(METHODS))]
    for method, file in zip(METHODS, files, strict=True):
        learned = catalog.method(*method.split("/")).learned
        shown = "print(*restored.shape[:1:-1])" if learned else "print(restored.width, restored.height)"
        file.write_text(f"{printed(method, '')[0]}{shown}\n", encoding="utf-8")
    said = run(sys.executable, "-c", ONE_BY_ONE, *files, PYTHONPATH=str(CHECKOUT))
    assert said.splitlines() == ["{} {}".format(*size(method)) for method in METHODS]
    assert (folder / "restored.png").is_file()


def test_the_lines_for_gradio_client_run(server, run, folder):
    files = [folder / f"lines{number}.py" for number in range(len(METHODS))]
    for method, file in zip(METHODS, files, strict=True):
        file.write_text(printed(method, server)[1], encoding="utf-8")
    said = run(sys.executable, "-c", ONE_BY_ONE, *files, GRADIO_TEMP_DIR=str(folder / "downloads"))
    results = [line.partition("} ") for line in said.splitlines() if "} " in line]
    assert all(metrics.startswith("{") for metrics, *_ in results)
    made = [read(path) for *_, path in results]
    assert [(picture.width, picture.height) for picture in made] == [size(method) for method in METHODS]


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("method", METHODS)
def test_the_lines_for_curl_run_and_leave_the_result(server, run, folder, method, shell):
    if not shutil.which("curl"):
        pytest.skip("curl is not there")
    assert run(shell, "-c", printed(method, server)[2]) == "restored.png"
    made = read(folder / "restored.png")
    assert (made.width, made.height) == size(method)


def test_the_lines_for_curl_say_what_was_refused(server, run, folder):
    if not shutil.which("curl"):
        pytest.skip("curl is not there")
    lines = printed("denoise/median", server)[2]
    assert "no denoise model called" in run("bash", "-c", lines.replace('"median"', '"no such"'))
    (folder / NAMES["photo.jpg"]).write_bytes(b"no picture")
    assert "is not a JPEG" in run("bash", "-c", lines)


@pytest.mark.parametrize("method", METHODS)
def test_the_lines_for_javascript_run(server, run, folder, node_modules, method):
    (folder / "node_modules").symlink_to(node_modules / "node_modules")
    (folder / "lines.mjs").write_text(printed(method, server)[3], encoding="utf-8")
    said = run("node", "lines.mjs")
    assert f"{server}/gradio_api/file=" in said.splitlines()[-1]
