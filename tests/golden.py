"""What must stay as it is while the code behind it is rearranged: results, receipts, and every public face.

python -m tests.golden write             # store them anew in tests/golden, after a change that was meant
python tests/golden.py compare OLD NEW   # two checkouts on this machine: everything, byte for byte
"""

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from difflib import unified_diff
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import numpy as np

STORED = Path(__file__).parent / "golden"
TASKS = ("photo", "denoise", "artifacts", "upscale", "inpaint")


@dataclass(frozen=True)
class Case:
    """One order, as the command line, the API and the page have it.

    Args:
        flags: of the command line, besides model and files.
        api: arguments of the endpoint.
        page: values by the part of an `elem_id` after the task.
    """

    task: str
    model: str
    flags: tuple[str, ...] = ()
    api: dict = field(default_factory=dict)
    page: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.task}_{self.model}"


_EDGES = (("--grow", "1", "--feather", "2"), *2 * ({"grow": 1, "feather": 2},))
_SMOOTH = {"grow": 0, "feather": 0, "texture": False}
_TRUE = {"model": "lanczos", "scale": 2, "true": True}
CASES = (
    Case("denoise", "drunet-fast", ("--strength", "0.8"), {"strength": 0.8}, {"strength": 80}),
    Case("denoise", "mwcnn-color"),
    Case("denoise", "median", ("--sigma", "25"), {"sigma": "25"}, {"auto": False, "sigma": 25}),
    Case("artifacts", "drunet-jpeg"),
    Case("artifacts", "deblocking-tv", ("--quality", "20"), {"quality": "20"}, {"auto": False, "quality": 20}),
    Case("upscale", "compact-x4", (), {}, {"model": "compact", "scale": 4}),
    Case("upscale", "esrgan-x4", ("--alpha", "0.3"), {"alpha": 0.3}, {"model": "esrgan", "scale": 4, "alpha": 0.3}),
    Case("upscale", "lanczos-x2", ("--stay-true",), {"stay_true": True}, _TRUE),
    Case("inpaint", "fourier-fill", *_EDGES),
    Case("inpaint", "diffusion", *_EDGES),
    Case("inpaint", "deepfill", ("--no-texture", "--grow", "0", "--feather", "0"), _SMOOTH, _SMOOTH),
)


def inputs(folder: Path) -> tuple[Path, Path]:
    """Files of a picture of 60 x 44 pixels with texture and edges, and of a mask."""
    from restoration.files import write
    from restoration.image import Image

    y, x = np.mgrid[:44, :60]
    planes = [0.5 + 0.4 * np.sin(x / 5), (x > 30) * 0.6 + 0.2, ((x // 4 + y // 4) % 2) * 0.5 + 0.25]
    noise = np.random.default_rng(0).normal(0, 0.06, (44, 60, 3))
    samples = np.rint((np.stack(planes, axis=-1) + noise).clip(0, 1) * 255).astype(np.uint8)
    mask = np.where((abs(y - 20) < 5) & (abs(x - 28) < 8), 255, 0).astype(np.uint8)[..., None]
    write(Image(samples), folder / "picture.png")
    write(Image(mask), folder / "mask.png")
    return folder / "picture.png", folder / "mask.png"


def by_command_line(task: str, model: str, flags: tuple[str, ...], folder: Path) -> Path:
    """The result's file."""
    from restoration.__main__ import main

    picture, mask = inputs(folder)
    holes = ("--mask", str(mask)) if task == "inpaint" else ()
    output = folder / "out"
    with redirect_stdout(StringIO()):
        assert main([task, str(picture), "-o", str(output), "--model", model, *flags, *holes]) == 0
    return next(output.glob("*.png"))


def by_api(page, case: Case, folder: Path) -> bytes:
    """The bytes of the file that the endpoint gives."""
    (event,) = (event for event in page.fns.values() if event.api_name == case.task)
    picture, mask = inputs(folder)
    given = {"image": str(picture), "model": case.model, **case.api}
    if case.task == "inpaint":
        given["mask"] = str(mask)
    names = [component.label for component in event.inputs]
    given = {**{name: component.value for name, component in zip(names, event.inputs, strict=True)}, **given}
    file, _ = asyncio.run(event.fn(**given, progress=lambda *_, **__: None))
    return Path(file).read_bytes()


def by_page(page, case: Case, folder: Path) -> bytes:
    """The bytes of the file that the page offers after its button was pressed."""
    (button,) = (block for block in page.blocks.values() if block.elem_id == f"{case.task}-run")
    (event,) = (event for event in page.fns.values() if (button._id, "click") in event.targets and event.queue)
    picture, mask = inputs(folder)
    given = {"input": str(picture), "model": case.model, **case.page}
    if case.task == "inpaint":
        given["mask"] = str(mask)
    given = {f"{case.task}-{name}": value for name, value in given.items()}
    values = [given.get(component.elem_id, component.value) for component in event.inputs]
    names = [component.elem_id for component in event.outputs]
    where = names.index(f"{case.task}-download")
    return _bytes_of(event.fn, values, lambda outputs: outputs[where].get("value"))


def _bytes_of(function, values: list, file) -> bytes:
    from gradio.helpers import special_args

    given, *_ = special_args(function, list(values))
    content = b""
    for outputs in function(*given):
        with suppress(TypeError, AttributeError, OSError):  # no change yet
            content = Path(file(outputs)).read_bytes()
    assert content, "there was no file"
    return content


# Faces --------------------------------------------------------------------------------------------------------------


def faces(page) -> dict[str, object]:
    """What users and programs see, as JSON; the names of the defaults, which are replaced often, left out."""
    import restoration
    from restoration import database
    from restoration.__main__ import main

    helps = {}
    for command in ("", "models", *TASKS, "replay"):
        text = StringIO()
        wide = patch.dict(os.environ, COLUMNS="500")  # no line is broken
        with wide, redirect_stdout(text), suppress(SystemExit):
            main([*command.split(), "--help"])
        helps[command] = text.getvalue().splitlines()
    shared = {}
    for event in page.fns.values():
        if found := re.search(r'\[("\w+"), \.\.\.values\].*?set\((\[.*?\])\[index\]', event.js or "", re.DOTALL):
            shared[json.loads(found[1])] = json.loads(found[2])
    found = {
        "help": helps,
        "api": {name: _signature(endpoint) for name, endpoint in page.get_api_info()["named_endpoints"].items()},
        "elem_ids": sorted(block.elem_id for block in page.blocks.values() if getattr(block, "elem_id", None)),
        "shared": shared,
        "all": restoration.__all__,
        "records": database.SCHEMA,
    }
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
    for task in TASKS:
        name = restoration.methods(task)[0].name
        text = text.replace(f"model: <names> = '{name}'", "model: <names> = '<default>'")
        text = text.replace(f"default {name}", "default <default>")
    return json.loads(text)


def _signature(endpoint: dict) -> list[str]:
    """An endpoint's inputs and outputs, a line each."""
    lines = []
    for given in endpoint["parameters"]:
        default = f" = {given['parameter_default']!r}" if given["parameter_has_default"] else ""
        kind = "<names>" if given["parameter_name"] == "model" else given["python_type"]["type"]
        lines.append(f"{given['parameter_name']}: {kind}{default}")
    return [*lines, *(f"-> {made['label']}: {made['python_type']['type']}" for made in endpoint["returns"])]


def keys(value: object, above: str = "") -> list[str]:
    """The keys of nested objects, those within others after a point."""
    if isinstance(value, list):
        return keys(value[0], above) if value else []
    if not isinstance(value, dict):
        return []
    return [name for key, inner in value.items() for name in (above + key, *keys(inner, f"{above}{key}."))]


# Traits --------------------------------------------------------------------------------------------------------------


def worn(channels: int) -> np.ndarray:
    """A made picture (160, 240, channels), uint8, with grain, an edge, two scratches and some dust."""
    y, x = np.mgrid[:160, :240]
    light = 120 + 30 * np.sin(x / 40) + 20 * np.cos(y / 23) + 40 * (x > 170)
    light += 45 * ((abs(y - 0.4 * x - 15) < 1) & (x > 20)) - 50 * ((abs(x - 0.2 * y - 60) < 1.2) & (y > 40))
    for row, column in np.random.default_rng(1).integers(10, 150, (24, 2)):
        light += (40 if row % 2 else -40) * (np.hypot(y - row, x - column - 60) < 1 + column % 3)
    tinted = light[..., None] * np.array([1.0, 0.95, 0.85])[:channels]
    grain = np.random.default_rng(0).normal(0, 3, tinted.shape)
    return np.rint((tinted + grain).clip(0, 255)).astype(np.uint8)


def traits() -> dict[str, list[list[float]]]:
    """What points, lines and specks are judged by, in a made picture: by trait, what a tenth to nine tenths exceed.

    The regressions that judge were fitted to them, and tell nothing of any others.
    """
    from restoration.dust import specks_of
    from restoration.ridges import points_of
    from restoration.scratches import judge, lines_of

    found = {}
    for kind, channels in (("colour", 3), ("grey", 1)):
        points, specks = points_of(worn(channels)), specks_of(worn(channels))
        lines = lines_of(points, judge().points.scores(points.traits))
        for name, each in (("points", points), ("lines", lines), ("specks", specks)):
            table = np.quantile(each.traits, [0.1, 0.25, 0.5, 0.75, 0.9], axis=0).T
            found[f"{name}, {kind}"] = [[len(each.traits)], *np.nan_to_num(table, nan=-99.0).round(4).tolist()]
    return found


# Copies --------------------------------------------------------------------------------------------------------------

HOLE = slice(45, 105), slice(60, 132)


def copied() -> np.ndarray:
    """What the fill that copies puts into a hole in a wall (150, 190, 3) of bricks of four tones, uint8 (60, 72, 3)."""
    from restoration import offset_fill
    from restoration.image import Image
    from restoration.inpainting import Mask
    from restoration.orders import Order
    from restoration.running import finish

    random = np.random.default_rng(0)
    y, x = np.mgrid[:150, :190]
    row = y // 13
    column, inside = np.divmod(x + 10 * (row % 2), 21)  # odd: half the size does not tell them to a pixel
    light = np.array([100, 120, 145, 160])[random.integers(0, 4, (13, 11))[row, column]]
    light[(y % 13 < 2) | (inside < 2)] = 60
    grain = 6 * random.integers(-2, 3, light.shape)
    samples = (light + grain)[..., None] * np.array([1.0, 0.8, 0.7])
    missing = np.zeros(light.shape, np.float32)
    missing[HOLE] = np.hypot((y - 75) / 30, (x - 96) / 36)[HOLE] < 1
    order = Order("inpaint", "offset-fill", {"grow": 0, "feather": 0, "texture": False})
    with patch.object(offset_fill, "SIDE", 100):  # so that it begins at half the size
        filled = finish(order.run(Image(np.rint(samples).astype(np.uint8)), Mask(missing)))
    return filled.picture.samples[HOLE]


def write_stored() -> None:
    """Store faces, receipts' keys, results, traits and copies anew."""
    import app
    from restoration.files import read, write
    from restoration.image import Image

    STORED.mkdir(exist_ok=True)
    receipts = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            file = by_command_line(case.task, case.model, case.flags, Path(folder))
            write(read(file), STORED / f"{case.name}.png")
            receipts[case.name] = " ".join(keys(json.loads(Path(f"{file}.receipt.json").read_text())))
    write(Image(copied()), STORED / "copies.png")
    for name, found in (("receipts", receipts), ("faces", faces(app.build())), ("traits", traits())):
        text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
        (STORED / f"{name}.json").write_text(text + "\n", encoding="utf-8")


# Two checkouts ------------------------------------------------------------------------------------------------------


def everything() -> dict[str, object]:
    """Faces, and of every method and every case the hash of its file and its receipt."""
    import app
    import restoration

    page = app.build()
    found: dict[str, object] = {"faces": faces(page)}
    orders = {(case.task, case.model, case.flags) for case in CASES}
    orders |= {(method.task, method.name, ()) for method in restoration.methods() if not method.prior}
    for task, model, flags in sorted(orders):
        with tempfile.TemporaryDirectory() as folder:
            file = by_command_line(task, model, flags, Path(folder))
            receipt = json.loads(Path(f"{file}.receipt.json").read_text())
            found[" ".join([task, model, *flags])] = {"sha256": _digest(file.read_bytes()), "receipt": receipt}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            both = _digest(by_api(page, case, Path(folder))), _digest(by_page(page, case, Path(folder)))
            found[f"{case.name} by API and page"] = both
    return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def compare(old: str, new: str) -> int:
    """Print what differs between two checkouts; gives the exit code."""
    texts = []
    for checkout in (old, new):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "everything.json"
            environment = {**os.environ, "PYTHONPATH": str(Path(checkout).resolve()), "HF_HUB_OFFLINE": "1"}
            command = [sys.executable, str(Path(__file__).resolve()), "dump", str(file)]
            subprocess.run(command, cwd=checkout, env=environment, check=True)
            texts.append(file.read_text(encoding="utf-8").splitlines())
    differences = list(unified_diff(*texts, old, new, lineterm="", n=6))
    print("\n".join(differences) or "equal, byte for byte")
    return 1 if differences else 0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["write"]:
            with patch.dict(os.environ, RESTORATION_PRECISION="fp32"):  # which every processor has
                write_stored()
        case ["dump", file]:
            text = json.dumps(everything(), indent=1, sort_keys=True, ensure_ascii=False)
            Path(file).write_text(text, encoding="utf-8")
        case ["compare", old, new]:
            return compare(old, new)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
