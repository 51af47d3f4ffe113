"""What several test files need: threads, and pictures made on the spot."""

import asyncio
import gc
import importlib.machinery
import os
import socket
import subprocess
import sys
import time
import types
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("RESTORATION_PRECISION", "fp32")  # else results would depend on the processor
os.environ.setdefault("OMP_NUM_THREADS", "1")  # in a server's threads as in this one: others round in another order
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is there; else waiting threads spin

import numpy as np
import pytest
import safetensors.torch
import torch

import restoration
from restoration import catalog, deep_image_prior, receipts
from restoration.files import write
from restoration.image import Image
from restoration.restorer import Restorer
from restoration.running import loaded
from tests.begun import CHECKOUT, Copied, begun
from tests.hub import START_UPS

torch.set_num_threads(1)  # several workers share the cores

# Every checkpoint is read once, however many tests ask for it in turn.
catalog._read = lru_cache(maxsize=None)(catalog._read.__wrapped__)
receipts.loaded = restoration.running.loaded = lru_cache(maxsize=None)(loaded.__wrapped__)


def pytest_terminal_summary(terminalreporter):
    """Print how long every start-up with a failing Hub took."""
    if START_UPS:
        terminalreporter.section("start-up with the Hub in each state")
    for case, taken, deadline, place in START_UPS:
        said = f"{place.origin}: {place.note}" if place.note else place.origin
        terminalreporter.write_line(f"{taken:5.1f} s of {deadline:g}  {case}: {said}")


API = "/gradio_api"
QUICK = {  # what every endpoint is asked for where only the answer's form counts
    "photo": {"artifacts": True, "denoise": False},
    "denoise": {"model": "median"},
    "artifacts": {"model": "deblocking-tv"},
    "upscale": {"model": "bicubic-x2"},
    "inpaint": {"model": "diffusion"},
}


def by_api(task: str, *values: object, **named: object) -> tuple[str, dict]:
    """What the endpoint of a task gives: the path of its file, and its report."""
    from restoration import tasks
    from restoration.page.api import endpoint
    from restoration.page.inputs import inputs_of

    kind = tasks.named(task)
    return asyncio.run(endpoint(kind, inputs_of(kind))(*values, progress=lambda *_, **__: None, **named))


SERVED = {"server", "serve", "trusting", "tools"}  # fixtures that start a process


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark as `slow` what asks for a server, and leave out what is marked `load` unless it is asked for.

    Files that take long come first: a worker that began one of them last would have it for itself, the others nothing.
    """
    for item in items:
        if not SERVED.isdisjoint(item.fixturenames):
            item.add_marker("slow")
    named = config.option.keyword or any("::" in argument for argument in config.args)
    if "load" not in config.option.markexpr and not named:
        heavy = [item for item in items if item.get_closest_marker("load")]
        items[:] = [item for item in items if not item.get_closest_marker("load")]
        config.hook.pytest_deselected(items=heavy)
    browsing = {item.path for item in items if "browser" in item.fixturenames}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in browsing, item.path not in slow))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One more than there are cores, as many tests wait for a server or for time to pass; two more are slower."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each file to one worker, so that what its tests share, a server for instance, is made once."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # by the number of tests, which says little of their time
    return LoadFileScheduling(config, log)


@cache
def built():
    """The page, for tests that look at it and change nothing."""
    import app

    page = app.build()
    gc.collect()  # the event loop that gradio leaves open, before anything else runs
    return page


def narrow(name: str, most: int = 8, **others: int) -> Restorer:
    """A network as a checkpoint has it, but with few channels, with other arguments if it has them, and untrained.

    Args:
        most: channels of a layer.
    """
    trained = restoration.load(name)
    given = dict(trained._hub_mixin_config)
    given |= {key: value for key, value in others.items() if key in given}
    for key, value in given.items():
        if "width" in key or key == "growth":
            given[key] = [min(each, most) for each in value] if isinstance(value, list | tuple) else min(value, most)
    torch.manual_seed(0)
    return type(trained)(**given).eval()


def in_pairs(names: Iterable[str]) -> list[tuple[str, int, int]]:
    """Names, bits and channels, so that every two values of different kinds meet, but not all three."""
    return [(name, bits, (1, 3)[(index + bits // 8) % 2]) for index, name in enumerate(names) for bits in (8, 16)]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def photo(rng) -> Image:
    """A 90 x 70 colour picture with flat areas, edges and texture."""
    y, x = np.mgrid[:70, :90]
    planes = [0.5 + 0.4 * np.sin(x / 9), (x > 40) * 0.6 + 0.2, ((x // 6 + y // 6) % 2) * 0.5 + 0.25]
    return Image(np.rint(np.stack(planes, axis=-1) * 255).astype(np.uint8), name="photo")


@pytest.fixture
def noise_folder(tmp_path, rng):
    """Makes a folder of 40 pictures of noise of one size to train on."""

    def make(height: int, width: int) -> Path:
        folder = tmp_path / "photos"
        folder.mkdir()
        for index in range(40):
            write(Image(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)), folder / f"cid22_{index:02}.png")
        return folder

    return make


@pytest.fixture(autouse=True)
def one_precision(monkeypatch):
    """Trainings in fp32: which precision is faster changes with the load, and the weights with it."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)


@pytest.fixture(autouse=True)
def quick_prior(monkeypatch):
    """A few iterations of Deep Image Prior with a narrow network instead of minutes, which are not measured first."""
    monkeypatch.setattr(deep_image_prior, "STEPS", dict.fromkeys(deep_image_prior.STEPS, 4))
    monkeypatch.setitem(deep_image_prior.fit.__kwdefaults__, "width", 8)
    monkeypatch.setattr(deep_image_prior, "_seconds_per_pixel_and_step", lambda: 1e-6)


@pytest.fixture(scope="session")
def vgg_file(tmp_path_factory):
    """Random weights in the layout of VGG19's file."""
    channels = (3, 64, 64, 128, 128, 256, 256, 256, 256)
    torch.manual_seed(0)
    weights = {}
    for index, (inputs, outputs) in zip((0, 2, 5, 7, 10, 12, 14, 16), pairwise(channels), strict=True):
        weights[f"features.{index}.weight"] = torch.randn(outputs, inputs, 3, 3) * (2 / (9 * inputs)) ** 0.5
        weights[f"features.{index}.bias"] = torch.randn(outputs) * 0.1
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    safetensors.torch.save_file(weights, path)
    return path


@pytest.fixture(scope="session")
def lpips_folder(tmp_path_factory):
    """Random weights in the layout of the files of LPIPS."""
    folder = tmp_path_factory.mktemp("lpips")
    torch.manual_seed(0)
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    features = {}
    for index, shape in shapes.items():
        features[f"features.{index}.weight"] = torch.randn(shape) * 0.03
        features[f"features.{index}.bias"] = torch.zeros(shape[0])
    linear = {f"lin{i}.model.1.weight": torch.rand(1, s[0], 1, 1) for i, s in enumerate(shapes.values())}
    safetensors.torch.save_file(features, folder / "alexnet_features.safetensors")
    safetensors.torch.save_file(linear, folder / "lpips_lin_alex_v0.1.safetensors")

    features = {"features.0.weight": torch.randn(64, 3, 3, 3) * 0.2, "features.0.bias": torch.zeros(64)}
    fires = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128), 9: (256, 48, 192)}
    fires |= {10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}
    for index, (inputs, narrow, outputs) in fires.items():
        shapes = {"squeeze": (narrow, inputs, 1, 1), "expand1x1": (outputs, narrow, 1, 1)}
        for part, shape in (shapes | {"expand3x3": (outputs, narrow, 3, 3)}).items():
            fan_in = shape[1] * shape[2] * shape[3]
            features[f"features.{index}.{part}.weight"] = torch.randn(shape) * (2 / fan_in) ** 0.5
            features[f"features.{index}.{part}.bias"] = torch.zeros(shape[0])
    widths = (64, 128, 256, 384, 384, 512, 512)
    linear = {f"lin{level}.model.1.weight": torch.rand(1, width, 1, 1) for level, width in enumerate(widths)}
    safetensors.torch.save_file(features, folder / "squeezenet1_1_features.safetensors")
    safetensors.torch.save_file(linear, folder / "lpips_lin_squeeze_v0.1.safetensors")
    return folder


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def reached(address: str, process: Copied | subprocess.Popen, log: Path) -> str:
    """The address of a server, once it answers."""
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return address
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
    raise TimeoutError(log.read_text())


@contextmanager
def running(
    scratch: Path, settings: dict[str, str], command: tuple[str, ...] = ("app.py",), folder: Path = CHECKOUT
) -> Iterator[tuple[str, Copied | subprocess.Popen]]:
    """A server in a process of its own, which is killed in the end; gives its address too.

    Args:
        scratch: where its records, its log and what it keeps for a while lie.
        command: what Python runs, in the folder.
    """
    port = free_port()
    settings = {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "RESTORATION_RECORDS": str(scratch / "records.sqlite"),
        "TMPDIR": str(scratch),
        **settings,
    }
    log = scratch / f"server-{port}.txt"
    with begun(command, settings, folder, log) as server:
        try:
            yield reached(f"http://127.0.0.1:{port}", server, log), server
        finally:
            server.kill()


@contextmanager
def serving(
    folder: Path, scratch: Path, settings: dict[str, str], *, arguments: tuple[str, ...] = (), traceless: bool = True
) -> Iterator[str]:
    """The page of a folder, served on loopback in a process of its own until it is told to end; gives its address.

    Args:
        arguments: of the command.
        traceless: whether its log must be without a traceback in the end.
    """
    settings = {"GRADIO_TEMP_DIR": str(scratch / "uploads"), **settings}
    with running(scratch, settings, ("app.py", *arguments), folder) as (address, server):
        yield address
        server.terminate()
        server.wait()
    logs = "".join(log.read_text() for log in scratch.glob("server-*.txt"))
    assert not traceless or "Traceback" not in logs, logs


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory):
    """Where the page of this checkout keeps its records."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def server(server_folder):
    """The page of this checkout; gives its address."""
    with serving(CHECKOUT, server_folder, {"HF_HUB_OFFLINE": "1"}) as address:
        yield address


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """The page started with `--mcp`; gives its address."""
    pytest.importorskip("mcp")
    scratch = tmp_path_factory.mktemp("tools")
    with serving(CHECKOUT, scratch, {"HF_HUB_OFFLINE": "1"}, arguments=("--mcp",)) as address:
        yield address


@pytest.fixture
def serve(tmp_path_factory):
    """Serves the page of another folder with other settings; gives its address."""
    with ExitStack() as running:

        def start(folder: Path, settings: dict[str, str]) -> str:
            return running.enter_context(serving(folder, tmp_path_factory.mktemp("served"), settings))

        yield start


@pytest.fixture
def spandrel(monkeypatch):
    """spandrel, with a stand-in for torchvision, two functions of which it imports and our models never call."""
    pytest.importorskip("einops")
    for name in ("torchvision", "torchvision.transforms", "torchvision.ops", "torchvision.transforms.functional"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__path__ = []
        module.__getattr__ = lambda attribute: object
        if name not in sys.modules:
            monkeypatch.setitem(sys.modules, name, module)
    return pytest.importorskip("spandrel")
