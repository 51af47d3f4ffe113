"""On paper: what a million photos cost, where the time goes, and how long the page's visitors wait.

    python -m train.capacity
    python -m train.capacity --write                      # into train/SCALE.md, with its plot
    python -m train.capacity --photos 50000 --megapixels 24

Seconds are those of the bundled scores (`train.evaluate`); reading and writing are timed here and now.  Prices are
arguments: what a processor and a GPU cost an hour, as public clouds list them to about a factor of two.
"""

import argparse
import heapq
import io
import json
import math
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skimage import data

from restoration import catalog, limits
from restoration.files import encode, read
from restoration.image import Image
from train.tables import SCORES

SCALE = Path(__file__).with_name("SCALE.md")
START, END = "<!-- figures: written by train.capacity -->", "<!-- end of figures -->"
GPU_TIMES = 40  # that a GPU is faster than a processor core; assumed, none was at hand
STEPS = {  # of the tasks that take whole archives, what does the work
    "photo": ("drunet-jpeg", "drunet-photo"),
    "denoise": ("drunet-photo",),
    "artifacts": ("drunet-jpeg",),
    "upscale": ("photo-x4",),
}
STORE_BYTES = 1e9  # a second that shared storage moves; a common figure of network file systems and object stores


@dataclass(frozen=True)
class Photo:
    """What a photo costs but for its model.

    Args:
        read, write: CPU seconds.
        bytes_in, bytes_out: of the JPEG and of the PNG.
    """

    read: float
    write: float
    bytes_in: int
    bytes_out: int


def photo_of(megapixels: float) -> Photo:
    """Times a photo of so many megapixels, a mosaic of scikit-image's cat, saved as JPEG of quality 90."""
    tile = data.chelsea()
    side = round((megapixels * 1e6) ** 0.5)
    times = -(-side // min(tile.shape[:2]))
    image = Image(np.ascontiguousarray(np.tile(tile, (times, times, 1))[:side, :side]))
    content = encode(image, "jpeg", 90)
    started = time.process_time()
    image = read(io.BytesIO(content), limit=None)
    middle = time.process_time()
    written = encode(image, "png")
    return Photo(middle - started, time.process_time() - middle, len(content), len(written))


def costs(photo: Photo, photos: int, megapixels: float, core_price: float, gpu_price: float) -> list[str]:
    """A table with a line for every task's default."""
    lines = [
        f"{photos:,} photos of {megapixels:g} megapixels: {photos * photo.bytes_in / 1e12:.1f} TB to read, "
        f"{photos * photo.bytes_out / 1e12:.1f} TB to write as PNG; reading takes {photo.read:.2f} CPU-s each, "
        f"writing {photo.write:.2f}",
        "",
        "| task | method | CPU-s a photo | core hours | dollars, cores | dollars, GPUs | cores that fill storage |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, pace in paces().items():
        files = photo.read + photo.write
        seconds = files + pace * megapixels
        hours = photos * seconds / 3600
        on_gpu = photos * (files * core_price + pace * megapixels / GPU_TIMES * gpu_price) / 3600
        moved = photo.bytes_in + photo.bytes_out * catalog.method(task, "").scale ** 2
        lines.append(
            f"| {task} | {' + '.join(STEPS[task])} | {seconds:.1f} | {hours:,.0f} "
            f"| {hours * core_price:,.0f} | {on_gpu:,.0f} | {STORE_BYTES / (moved / seconds):,.0f} |"
        )
    return lines


def paces() -> dict[str, float]:
    """CPU seconds a megapixel of every task's default, as they were scored."""
    scored = json.loads(SCORES.read_text(encoding="utf-8"))["methods"]
    return {task: sum(scored[name]["seconds_per_megapixel"] for name in names) for task, names in STEPS.items()}


def waits(visitors_an_hour: float, workers: int, seconds: list[float], hours: float, seed: int) -> list[float]:
    """How long each visitor waits for a worker, who comes at random times with a job of one of the lengths.

    Who finds the queue full is turned away: infinity.
    """
    draw = random.Random(seed)
    free, starts, now, waited = [0.0] * workers, [], 0.0, []
    while (now := now + draw.expovariate(visitors_an_hour / 3600)) < hours * 3600:
        starts = [start for start in starts if start > now]
        if len(starts) >= limits.WAITING:
            waited.append(math.inf)
            continue
        starts.append(max(now, heapq.heappop(free)))
        waited.append(starts[-1] - now)
        heapq.heappush(free, starts[-1] + draw.choice(seconds))
    return waited


def jobs(seed: int = 0, count: int = 1000) -> list[float]:
    """Seconds of the page's jobs: photos of 0.25 to 12 megapixels, logarithmically uniform, through the defaults."""
    draw = random.Random(seed)
    tasks = list(paces().values())
    lengths = (0.5 + draw.choice(tasks) * 0.25 * 48 ** draw.random() for _ in range(count))
    return [min(length, limits.PUBLIC.deadline) for length in lengths]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.capacity", description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--core-price", type=float, default=0.04, help="dollars an hour; spot machines cost a third")
    parser.add_argument("--gpu-price", type=float, default=0.8, help="dollars an hour, of a small one")
    parser.add_argument("--hours", type=float, default=200.0, help="that are simulated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help=f"into {SCALE.name}, with its plot")
    arguments = parser.parse_args(argv)
    photo = photo_of(arguments.megapixels)
    lines = costs(photo, arguments.photos, arguments.megapixels, arguments.core_price, arguments.gpu_price)
    lengths = jobs(arguments.seed)
    lines += [
        "",
        f"The page, jobs of {statistics.median(lengths):.1f} s (mean {statistics.mean(lengths):.1f} s):",
        "",
        "| visitors an hour | workers | median wait, s | 90 % of those let in, s | turned away | busy |",
        "|---|---|---|---|---|---|",
    ]
    curves: dict[int, list[tuple[float, float]]] = {}
    for workers in (1, 2, 4):
        for visitors in (10, 30, 100, 300, 1000):
            waited = waits(visitors, workers, lengths, arguments.hours, arguments.seed)
            let_in = sorted(wait for wait in waited if wait < math.inf)
            middle, high = let_in[len(let_in) // 2], let_in[len(let_in) * 9 // 10]
            away = 1 - len(let_in) / len(waited)
            busy = len(let_in) / len(waited) * visitors * statistics.mean(lengths) / 3600 / workers
            lines.append(f"| {visitors} | {workers} | {middle:.1f} | {high:.1f} | {away:.0%} | {busy:.0%} |")
            curves.setdefault(workers, []).append((visitors, high))
    print("\n".join(lines))
    if arguments.write:
        text = SCALE.read_text(encoding="utf-8")
        before, start, rest = text.partition(START)
        SCALE.write_text(
            before + start + "\n\n" + "\n".join(lines) + "\n\n" + END + rest.partition(END)[2], encoding="utf-8"
        )
        draw(curves, SCALE.with_name("capacity.png"))


def draw(curves: dict[int, list[tuple[float, float]]], file: Path) -> None:
    """Waiting of nine in ten against visitors, a line for each number of workers."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for workers, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=f"{workers} worker{'s' if workers > 1 else ''}")
    axes.set(xscale="log", yscale="symlog", xlabel="visitors an hour", ylabel="nine in ten wait less than, s")
    axes.legend()
    figure.savefig(file, dpi=80)


if __name__ == "__main__":
    main()
