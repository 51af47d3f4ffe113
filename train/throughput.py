"""How fast folders are restored here: one process beside several; and what many files cost at the start and in memory.

    python -m train.throughput                           # one process of 1 and of 2 threads, then 2 processes
    python -m train.throughput --workers 4 --pictures 64
    python -m train.throughput --files 100000            # the start, and memory, of a run over so many small files

Seconds are true only of a machine with nothing else to do, so the load is printed with them.  CPU seconds hardly depend
on it; "alone" is what they come to with a processor for every process, threads not counted.
"""

import argparse
import math
import os
import resource
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from skimage import data

import restoration
from restoration import memory
from restoration.files import encode, write
from restoration.image import Image


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Args:
        wall: seconds.
        first: seconds until the first row, which the start of processes and the loading of weights delay.
        pace: seconds a picture after that.
        own, others: CPU seconds of this process, and of those that it started.
    """

    wall: float
    first: float
    pace: float
    own: float
    others: float


def cost(folder: Path, model: str, workers: int, threads: int) -> Cost:
    """Restores the pictures of a folder by so many processes, or by this one with so many threads."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as out:
        before, started = _cpu(), time.monotonic()
        ended = []
        for row in restoration.restore_files(folder, out, "denoise", model, workers=workers):
            if row.outcome != "done":
                raise RuntimeError(row.reason)
            ended.append(time.monotonic() - started)
        after = _cpu()
    pace = (ended[-1] - ended[0]) / max(1, len(ended) - workers)  # the first of each worker come together
    return Cost(ended[-1], ended[0], pace, after[0] - before[0], after[1] - before[1])


def _cpu() -> tuple[float, float]:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return tuple(usage.ru_utime + usage.ru_stime for usage in usages)


def compare(model: str, workers: int, pictures: int, megapixels: float, repeats: int) -> list[str]:
    """A table of one process with a thread and with as many as there are workers, and of the workers."""
    with tempfile.TemporaryDirectory() as folder:
        tile, side = data.chelsea(), round((megapixels * 1e6) ** 0.5)
        times = -(-side // min(tile.shape[:2]))
        samples = np.tile(tile, (times, times, 1))[:side, :side]
        for index in range(pictures):
            write(Image(np.ascontiguousarray(np.roll(samples, 31 * index, 1))), Path(folder) / f"{index:04}.png")
        ways = {"1 process, 1 thread": (1, 1), f"1 process, {workers} threads": (1, workers)}
        ways[f"{workers} processes"] = (workers, 1)
        best: dict[str, Cost] = {}
        for _ in range(repeats):  # one after the other, so that all meet the same load
            for way, (size, threads) in ways.items():
                found = cost(Path(folder), model, size, threads)
                best[way] = min(best.get(way, found), found, key=lambda each: each.wall)
    lines = [
        "| way | s | first picture, s | then a picture, s | times as fast | CPU-s | alone, s |",
        "|---|---|---|---|---|---|---|",
    ]
    slowest = next(iter(best.values()))
    for way, found in best.items():
        times, alone = slowest.pace / (found.pace or math.inf), found.own + found.others / workers
        lines.append(
            f"| {way} | {found.wall:.1f} | {found.first:.1f} | {found.pace:.2f} | {times:.2f} "
            f"| {found.own + found.others:.1f} | {alone:.1f} |"
        )
    return lines


def many(files: int, rows: int) -> list[str]:
    """A table of seconds to the first row and of memory, for so many small files and for parts of them.

    Args:
        rows: after so many the work is stopped.
    """
    lines = [
        "| files | first row, s | CPU-s | memory there, MB | memory at the last row | most |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as place:
        content = encode(Image(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)), "png")
        for index in range(files):
            file = Path(place) / "in" / f"{index // 1000:04}" / f"{index:07}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            if index + 1 not in (files // 100, files // 10, files):
                continue
            started, busy = time.monotonic(), time.process_time()
            work = restoration.restore_files(f"{place}/in", f"{place}/out", "denoise", "mean", resume=True)
            told = [(time.monotonic(), time.process_time(), (memory.held() or 0) / 1e6) for _ in islice(work, rows)]
            wall, cpu, held = told[0][0] - started, told[0][1] - busy, [megabytes for *_, megabytes in told]
            memories = f"{held[0]:.0f} | {held[-1]:.0f} | {max(held):.0f}"
            lines.append(f"| {index + 1:,} | {wall:.1f} | {cpu:.1f} | {memories} |")
    return lines


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.throughput", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="drunet-photo", help="a denoiser")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=2, help="of which the fastest counts")
    parser.add_argument("--files", type=int, help="instead: begin with so many small files")
    parser.add_argument("--rows", type=int, default=500, help="with --files: how many of them are restored")
    arguments = parser.parse_args(argv)
    memory.keep()
    print(f"load before the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    if arguments.files:
        print("\n".join(many(arguments.files, arguments.rows)))
    else:
        given = (arguments.workers, arguments.pictures, arguments.megapixels, arguments.repeats)
        print("\n".join(compare(arguments.model, *given)))


if __name__ == "__main__":
    main()
