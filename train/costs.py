"""What every method costs here and now, beside two yardsticks that are built and measured in the same run.

    python -m train.evaluate --costs [--task denoise] [--methods NAME...] [--megapixels 0.25 1 12 40]

Seconds differ from machine to machine and with what else runs there, so ratios are what counts: of a whole run, from
file to file, to a plain fp32 forward pass of the method's own network, and of that to the yardsticks.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log

import numpy as np
import torch
from torch import nn

from restoration import memory, tasks
from restoration.catalog import Method, method, methods
from restoration.files import encode, read
from restoration.image import Image
from restoration.inpainting import Mask
from restoration.limits import MAX_OUTPUT_MEGAPIXELS
from restoration.orders import Order
from restoration.running import finish, typical

SIZES = (0.25, 1.0, 12.0, 40.0)
SIDE = 512  # of the image that a forward pass is measured on


def dncnn() -> nn.Module:
    """17 layers of 64 features: Zhang et al., "Beyond a Gaussian Denoiser", IEEE TIP 2017, as it is run."""
    return _chain([3, *[64] * 16, 3])


def srvgg() -> nn.Module:
    """16 hidden layers of 64 features at low resolution, for a scale of 4: Real-ESRGAN's small network."""
    return nn.Sequential(_chain([3, *[64] * 17, 48]), nn.PixelShuffle(4))


def _chain(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


YARDSTICKS = {"DnCNN, 17 x 64": dncnn, "SRVGG, 16 x 64": srvgg}


def seconds_of(call: Callable[[], object], tries: int = 3) -> float:
    """The processor's seconds for a call, the least of some tries after one to warm up."""
    call()
    taken = []
    for _ in range(tries):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return min(taken)


@torch.inference_mode()
def forward_seconds(network: nn.Module) -> float:
    """For a megapixel of input in fp32."""
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    image = image.contiguous(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last).eval()
    return seconds_of(lambda: network(image)) / SIDE**2 * 1e6


def own_seconds(kind: Method) -> float:
    """A method's own, for a megapixel of input in fp32, on one image in one piece."""
    restorer = kind.load()
    image = torch.rand(1, restorer.channels or 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    told = typical(kind.task, SIDE)
    return seconds_of(lambda: restorer.restore(image, *told)) / SIDE**2 * 1e6


def whole_run(task: str, name: str, megapixels: float) -> dict[str, float]:
    """Seconds of a run from file to file, by part, and the most memory of this process in MiB."""
    memory.keep()
    file = encode(noisy_waves(round((megapixels * 1e6 * 3 / 4) ** 0.5)), "jpeg", 92)
    order, marks = Order(task, name), [time.process_time()]
    image = read(file, limit=None)
    hole = [middle(image)] if tasks.named(task).holes else []
    marks.append(time.process_time())
    done = finish(order.run(image, *hole))
    marks.append(time.process_time())
    done.files()
    marks.append(time.process_time())
    parts = dict(zip(("reading", "restoring", "writing"), np.diff(marks).tolist(), strict=True))
    return {**parts, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def middle(image: Image) -> Mask:
    """What is missing of a picture whose holes are filled: an ellipse of a quarter of its pixels."""
    y, x = (np.linspace(-1, 1, side) for side in (image.height, image.width))
    return Mask((y[:, None] ** 2 + x**2 < 1 / np.pi).astype(np.float32))


def noisy_waves(height: int) -> Image:
    """A picture of 4 : 3 with slow waves of colour and some noise, made in little memory."""
    rng, width = np.random.default_rng(0), height * 4 // 3
    samples = np.empty((height, width, 3), np.uint8)
    across = np.sin(np.arange(width) / 37)[:, None] * (60, 40, 20) + (120, 110, 100)
    for row in range(height):
        values = across + 30 * np.cos(row / 23) + rng.normal(0, 6, (width, 3))
        samples[row] = values.clip(0, 255)
    return Image(samples)


def in_a_process(task: str, name: str, megapixels: float) -> dict[str, float]:
    """The same in a process of its own, on one thread."""
    code = (
        "import json, torch; torch.set_num_threads(1); from train.costs import whole_run; "
        f"print(json.dumps(whole_run({task!r}, {name!r}, {megapixels!r})))"
    )
    with tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=errors, text=True)
        if done.returncode:
            errors.seek(0)
            raise RuntimeError(errors.read())
    return json.loads(done.stdout.splitlines()[-1])


def slope(seconds: dict[float, float]) -> float:
    """Of the seconds over the megapixels, both logarithmic: 1 is a cost in proportion."""
    if len(seconds) < 2:
        return float("nan")
    return float(np.polyfit([log(size) for size in seconds], [log(taken) for taken in seconds.values()], 1)[0])


def chosen(task: str, names: Sequence[str] | None = None) -> list[Method]:
    """The methods of these names, by default all that are not fitted to each picture.

    Raises:
        ValueError: the task has no method of such a name.
    """
    return [method(task, name) for name in names or [each.name for each in methods(task) if not each.prior]]


def print_costs(kinds: Sequence[Method], sizes: Sequence[float] = SIZES) -> None:
    """Measure methods and print a line for each."""
    torch.set_num_threads(1)
    yardsticks = {title: forward_seconds(build()) for title, build in YARDSTICKS.items()}
    for title, seconds in yardsticks.items():
        print(f"{title:20} {seconds:8.3f} CPU s a megapixel of input, fp32", flush=True)
    print(
        f"{'method':20} {'forward':>8} {'/ DnCNN':>8} {'/ SRVGG':>8}  "
        + "  ".join(f"{f'{size:g} MP: s':>11} {'/ fwd':>6} {'MiB':>5}" for size in sizes)
        + "  slope"
    )
    for kind in kinds:
        forward = own_seconds(kind)
        cells, taken = [], {}
        for size in sizes:
            if size * kind.scale**2 > (MAX_OUTPUT_MEGAPIXELS if kind.scale > 1 else float("inf")):
                cells.append(f"{'':>11} {'':>6} {'':>5}")
                continue
            run = in_a_process(kind.task, kind.name, size)
            taken[size] = run["reading"] + run["restoring"] + run["writing"]
            cells.append(f"{taken[size]:11.2f} {taken[size] / size / forward:6.2f} {run['peak']:5.0f}")
        shares = " ".join(f"{forward / seconds:8.2f}" for seconds in yardsticks.values())
        print(f"{kind.name:20} {forward:8.3f} {shares}  {'  '.join(cells)}  {slope(taken):5.2f}", flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--costs", action="store_true", help="measure what the methods cost instead, and print it")
    parser.add_argument("--megapixels", nargs="+", type=float, default=SIZES, metavar="MP", help="with --costs")
