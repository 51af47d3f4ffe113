"""The library as a package: one call for pictures of any kind, its types, and what its modules show."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

import restoration
from restoration.files import write
from restoration.image import Image, from_tensor
from restoration.orders import Order
from restoration.running import finish

ROOT = Path(__file__).parent.parent


@pytest.fixture
def expected(photo) -> np.ndarray:
    """What an order makes of the picture."""
    return finish(Order("denoise", "mean", {"sigma_255": 25}).run(photo)).picture.samples


def test_a_picture_of_any_kind_comes_back_as_that_kind(photo, expected, tmp_path):
    write(photo, tmp_path / "photo.png")
    content = (tmp_path / "photo.png").read_bytes()
    for picture in (photo, tmp_path / "photo.png", str(tmp_path / "photo.png"), content):
        restored = restoration.restore(picture, "denoise", "mean", sigma=25 / 255)
        assert isinstance(restored, Image)
        np.testing.assert_array_equal(restored.samples, expected)
    for array in (photo.samples, photo.samples.astype(np.uint16) * 257, photo.samples / 255, photo.samples[..., 0]):
        restored = restoration.restore(array, "denoise", "mean", sigma=25 / 255)
        assert (restored.dtype, restored.shape) == (array.dtype, array.shape)
        unit = 1 if array.dtype == np.uint8 else 257 if array.dtype == np.uint16 else 1 / 255
        wanted = expected if array.ndim == 3 else expected[..., 0]
        assert np.abs(restored / unit - wanted).max() <= (0 if array.dtype == np.uint8 else 0.51)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_come_back_in_their_type_and_shape(photo, expected, kind):
    tensor = photo.tensor().to(kind)
    for given in (tensor, tensor[0], torch.cat([tensor, tensor.flip(3)])):
        restored = restoration.restore(given, "denoise", "mean", sigma=25 / 255)
        assert (restored.dtype, restored.shape) == (kind, given.shape)
        first = restored.reshape(-1, *tensor.shape[1:])[0]
        assert np.abs(255 * first.double().permute(1, 2, 0).numpy() - expected).max() < (2 if kind.itemsize == 2 else 1)
    large = restoration.restore(tensor, "upscale", "bicubic", scale=3)
    assert large.shape == (1, 3, 3 * photo.height, 3 * photo.width)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "F"])
def test_pictures_of_pillow_come_back_as_such(mode):
    grey = Pillow.effect_noise((20, 12), 60)
    picture = {
        "I;16": lambda: Pillow.fromarray(np.asarray(grey).astype(np.uint16) * 257),
        "F": lambda: Pillow.fromarray(np.asarray(grey).astype(np.float32) / 255),
        "LAB": lambda: Pillow.merge("LAB", [grey, grey, grey]),
    }.get(mode, lambda: grey.convert("RGB").convert(mode))()
    restored = restoration.restore(picture, "upscale", "nearest", scale=2)
    assert isinstance(restored, Pillow.Image)
    assert restored.size == (40, 24)


def test_a_picture_of_pillow_is_turned_upright_and_keeps_what_it_tells():
    picture = Pillow.new("RGB", (20, 12), "red")
    exif = picture.getexif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    restored = restoration.restore(picture, "denoise", "mean", sigma=0)
    assert restored.size == (12, 20)
    assert restored.getexif()[0x010F] == "Maker"


def test_masks_may_be_of_any_kind_too(photo):
    hole = np.zeros((photo.height, photo.width), np.uint8)
    hole[10:14, 20:26] = 255
    photo = replace(photo, samples=np.where(hole[..., None] > 0, np.uint8(0), photo.samples))
    results = [
        restoration.restore(photo, "inpaint", "biharmonic", mask=mask, grow=0, feather=0).samples
        for mask in (hole, Image(hole), Pillow.fromarray(hole), torch.from_numpy(hole / 255.0)[None])
    ]
    for result in results:
        np.testing.assert_array_equal(result, results[0])
        assert (result[hole == 0] == photo.samples[hole == 0]).all()
        assert (result[hole > 0] != photo.samples[hole > 0]).any()


@pytest.mark.parametrize("wrong, words", [
    (lambda photo: restoration.restore(photo, "colourise"), "no task called 'colourise'"),
    (lambda photo: restoration.restore(photo, "denoise", "nothing"), "no denoise model called 'nothing'"),
    (lambda photo: restoration.restore(photo, "denoise", level=3), "level is not a setting of denoise"),
    (lambda photo: restoration.restore(photo, "denoise", sigma=25), "goes from 0 to 100, not 6375"),
    (lambda photo: restoration.restore(photo.samples.astype(int), "denoise"), "not int64"),
    (lambda photo: restoration.restore(255 * photo.tensor(), "denoise"), "divide by 255"),
    (lambda photo: restoration.restore("missing.png", "denoise"), "no file called missing.png"),
    (lambda photo: restoration.restore(3, "denoise"), "not from a int"),
])  # fmt: skip
def test_what_does_not_fit_gets_a_sentence(photo, wrong, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        wrong(photo)


def test_the_package_shows_its_public_names():
    assert set(dir(restoration)) == {*restoration.__all__, "__version__"}
    for name in dir(restoration):
        assert hasattr(restoration, name)


def test_an_image_is_shown_in_a_line(photo):
    assert repr(from_tensor(torch.zeros(1, 1, 3, 4), "dot", 16)) == "<Image 'dot': 4 × 3 px, grey, 16 bits>"
    opaque = np.full(photo.samples.shape[:2], 255, np.uint8)
    assert "RGB with alpha, 8 bits>" in repr(replace(photo, alpha=opaque))


@pytest.mark.slow
def test_the_page_writes_nothing_beside_its_modules(tmp_path):
    for name in ("restoration", "checkpoints", "app.py"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    for stub in tmp_path.rglob("*.pyi"):
        stub.unlink()
    before = {path for path in tmp_path.rglob("*") if path.suffix != ".pyc" and path.name != "__pycache__"}
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    code = "from restoration.page.layout import build; build()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=300)
    after = {path for path in tmp_path.rglob("*") if path.suffix != ".pyc" and path.name != "__pycache__"}
    assert after == before


# Types ---------------------------------------------------------------------------------------------------------------

SCRIPT = """
import numpy as np
import PIL.Image
import torch
from torch import Tensor

import restoration

image, mask = torch.rand(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
noisy = small = blocky = image
picture = restoration.read("photo.png")
{readme}
reveal: Tensor = restoration.load("median").to("cpu").restore(noisy, sigma=0.1)
levels: Tensor = restoration.load("drunet-fast").restore(noisy, [0.1])
name: str = restoration.methods("denoise")[0].name
of_image: restoration.Image = restoration.restore(picture)
of_path: restoration.Image = restoration.restore("photo.png", "denoise", sigma=0.1)
of_pillow: PIL.Image.Image = restoration.restore(PIL.Image.new("L", (9, 9)), "upscale", scale=2)
of_array: np.ndarray = restoration.restore(np.zeros((9, 9), np.uint8), "artifacts", "drunet-jpeg")
of_tensor: Tensor = restoration.restore(image, "inpaint", mask=mask)
restoration.write(of_image, "out.png", metadata="all")
size: tuple[int, int] = (of_image.width, of_image.height)
for step in restoration.denoise(picture):
    share: float = step.share
for row in restoration.restore_files(["photo.png"], "out"):
    outcome: str = row.outcome
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "checker", [pytest.param("mypy", marks=pytest.mark.load), "pyright"]
)  # mypy reads all of torch
def test_the_lines_of_the_readme_and_the_public_functions_are_typed(checker, tmp_path):
    pytest.importorskip(checker, reason="the test extra brings it")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = "\n".join(block for block in blocks if "restoration" in block and "gradio_client" not in block)
    (tmp_path / "script.py").write_text(SCRIPT.format(readme=lines))
    options = {
        "mypy": ["--strict", "--no-error-summary", "--follow-imports=silent"],
        "pyright": ["--pythonpath", sys.executable],
    }[checker]
    command = [sys.executable, "-m", checker, *options, "script.py"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)
    found = [line for line in done.stdout.splitlines() if "script.py" in line and "error" in line]
    assert not found and done.returncode == 0, done.stdout + done.stderr
