"""Score every method on the standard test sets, and let a new checkpoint replace a bundled one only if it is better.

    python -m train.evaluate --task denoise                          # everything: prints, scores.json, tables, cards
    python -m train.evaluate --task upscale --methods srcnn-x2       # only these; the other scores stay
    python -m train.evaluate --task upscale --folder FOLDER          # any images: prints, and writes nothing
    python -m train.evaluate --task inpaint --folder FOLDER --masks FOLDER
    python -m train.evaluate --task denoise --seconds                # what the methods cost, anew: scores.json, tables
    python -m train.evaluate --task denoise --costs                  # seconds and memory, beside yardsticks: prints
    python -m train.evaluate --promote runs/mwcnn-gray --train-data FOLDER...

The protocols are those of the papers; `train.benchmarks` has them.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from restoration import manifest, memory, tasks
from restoration.catalog import Filter, methods
from restoration.denoising import denoise
from restoration.files import read, write_grid
from restoration.gallery import NOISY, examples
from restoration.gallery import noisy as noisy_example
from restoration.image import ImageError
from restoration.metrics import Lpips
from restoration.resampling import enlarge
from restoration.restorer import Restorer
from restoration.running import finish, typical, with_channels
from restoration.weights import bundled
from train import benchmarks, costs
from train.benchmarks._sets import TestSet
from train.costs import SIDE
from train.manifest import write_card
from train.ratchet import promote
from train.tables import SCORES, best_classical, content, describe, table
from train.tables import write as write_tables

FEW = 5  # pictures that tell what a method costs


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("--task", choices=list(benchmarks.every()), default="denoise")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds test/, medical/, cifar10/")
    parser.add_argument("--folder", type=Path, help="score on these images instead, and only print")
    parser.add_argument(
        "--masks", type=Path, help="with --folder: holes to fill, white is missing; DATA/masks if not given"
    )
    parser.add_argument("--backbones", type=Path, metavar="FOLDER", help="weights of LPIPS; DATA/backbones if there")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="score only these")
    parser.add_argument("--sets", nargs="+", metavar="PREFIX", help="score only sets whose name starts so")
    parser.add_argument("--json", type=Path, default=SCORES, help="where the scores are kept")
    parser.add_argument("--promote", type=Path, metavar="FOLDER", help="bundle this checkpoint if it wins")
    parser.add_argument("--train-data", nargs="+", metavar="FOLDER", help="with --promote: its training data")
    parser.add_argument(
        "--against", nargs="+", type=Path, default=[], metavar="FOLDER", help="with --promote: other recipes to beat"
    )
    parser.add_argument(
        "--seconds", action="store_true", help="only tell anew what the methods cost, by a few pictures"
    )
    costs.add_arguments(parser)
    arguments = parser.parse_args(argv)
    memory.keep()
    if arguments.costs:
        try:
            kinds = costs.chosen(arguments.task, arguments.methods)
        except ValueError as error:
            parser.error(str(error))
        costs.print_costs(kinds, arguments.megapixels)
        return 0
    if arguments.masks and not (arguments.folder and arguments.task == "inpaint"):
        parser.error("--masks goes with --task inpaint --folder")
    lpips, benchmark = _lpips(arguments), benchmarks.every()[arguments.task]
    if arguments.promote:
        if not arguments.train_data:
            parser.error("--promote needs --train-data, whose held-out images decide")
        if not promote(arguments.promote, arguments.train_data, lpips, arguments.against, arguments.data):
            return 1
        forget(arguments.json, json.loads((arguments.promote / "run.json").read_text())["model"])
        return 0
    if arguments.folder:
        sets = benchmark.of_folder(arguments.folder, arguments.masks)
        try:
            scores = score_all(arguments, sets, lpips)
        except (FileNotFoundError, ImageError) as error:
            raise SystemExit(f"error: {error}") from None
        print(table(scores, [test_set.name for test_set in sets]))
        return 0
    sets = [s for s in benchmark.sets if not arguments.sets or s.name.startswith(tuple(arguments.sets))]
    scores = score_all(arguments, sets[:1] if arguments.seconds else sets, lpips)
    scores = merged(arguments.json, {**scores, "sets": {}} if arguments.seconds else scores)
    print(content(scores, arguments.task))
    if arguments.json == SCORES:
        write_cards(scores)
        write_tables()
        if arguments.task == "denoise":
            write_picture(SCORES.parent / "example.jpg")
    return 0


def _lpips(arguments: argparse.Namespace) -> Lpips | None:
    folder = arguments.backbones or arguments.data / "backbones"
    return Lpips(folder) if folder.is_dir() else None


# Scoring ------------------------------------------------------------------------------------------------------------


def score_all(arguments: argparse.Namespace, sets: list[TestSet], lpips: Lpips | None) -> dict:
    """The scores of the chosen methods on the sets, and what the methods cost."""
    scores: dict = {"methods": {}, "sets": {}}
    chosen = [
        method
        for method in methods(arguments.task)
        if (method.name in arguments.methods if arguments.methods else not method.prior)  # minutes for each image
    ]
    loaded = {method.name: (method.load(), method) for method in chosen}
    for name, (restorer, method) in loaded.items():
        if not method.prior:
            scores["methods"][name] = cost(restorer, arguments.task)
    for test_set in sets:
        clean = list(test_set.images(arguments.data))[: FEW if arguments.seconds else None]
        if not clean:
            raise FileNotFoundError(f"there is no image for {test_set.name}")
        given = [test_set.degraded(image, index, arguments.data) for index, image in enumerate(clean)]
        results = scores["sets"][test_set.name] = {}
        if test_set.baseline:
            results[test_set.baseline] = test_set.summary([image for image, *_ in given], clean, given, lpips)
        for restorer, method in loaded.values():
            for row, settings, before, after in test_set.rows(method):
                apart = method.prior or before is not None or after is not None  # from `cost`
                restored = []
                started = time.process_time()
                with one_thread() if apart else nullcontext():
                    pairs = zip(given, clean, strict=True)
                    for (image, *extra), truth in tqdm(
                        pairs, desc=f"{test_set.name}, {row}", total=len(clean), leave=False, disable=None
                    ):
                        told = settings(image, truth) if callable(settings) else settings
                        result = with_channels(restorer, before(image) if before else image, *extra, *told).cpu()
                        restored.append(after(result, *extra) if after else result)
                if apart:
                    seconds = (time.process_time() - started) / sum(image[0, 0].numel() for image in restored) * 1e6
                    price = scores["methods"].get(method.name, {"parameters": 0, "macs_per_pixel": 0})
                    scores["methods"][row] = {**price, "seconds_per_megapixel": seconds}
                results[row] = test_set.summary(restored, clean, given, lpips)
                print(f"{test_set.name:<24}{row:<24}{describe(results[row])}", flush=True)
    return scores


def merged(path: Path, new: dict) -> dict:
    """Put new scores beside those in the file, which may have come from another run meanwhile; gives all of them."""
    scores = json.loads(path.read_text()) if path.exists() else {"methods": {}, "sets": {}}
    scores["methods"].update(new["methods"])
    for name, results in new["sets"].items():
        scores["sets"].setdefault(name, {}).update(results)
    path.write_text(json.dumps(scores, indent=1) + "\n")
    return scores


def forget(path: Path, name: str) -> None:
    """Take the scores of a method out of the file, since its weights are others now."""
    scores = json.loads(path.read_text()) if path.exists() else {"methods": {}, "sets": {}}
    for test_set, results in scores["sets"].items():
        scores["sets"][test_set] = {row: score for row, score in results.items() if row.split()[0] != name}
    path.write_text(json.dumps(scores, indent=1) + "\n")


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def cost(restorer: Restorer | Filter, task: str) -> dict:
    """Parameters, multiply-accumulates per output pixel, seconds of one thread per output megapixel, best of 3.

    By another side it is told how many of these seconds a picture takes whatever its size: by half of it, for holes by
    twice as much, as fills that solve a problem at low resolution first take as long for all that are not small.
    """
    taken, other = {}, 2 * SIDE if tasks.named(task).holes else SIDE // 2
    for side in (other, SIDE):
        given = typical_picture(restorer, task, side // restorer.scale)
        with one_thread():
            taken[side] = costs.seconds_of(partial(restorer.restore, *given))
    pixels = (SIDE // restorer.scale * restorer.scale) ** 2
    small, large = taken[min(taken)], taken[max(taken)]
    overhead = max(0.0, (4 * small - large) / 3)
    result = {"seconds_per_megapixel": taken[SIDE] / pixels * 1e6, "overhead_seconds": overhead}
    result |= {"parameters": 0, "macs_per_pixel": 0}
    if isinstance(restorer, Restorer):
        with FlopCounterMode(display=False) as counter:
            restorer.restore(*given)
        result["parameters"] = sum(parameter.numel() for parameter in restorer.parameters())
        result["macs_per_pixel"] = counter.get_total_flops() / 2 / pixels
    return result


def typical_picture(restorer: Restorer | Filter, task: str, side: int) -> tuple[Tensor, ...]:
    """A square of a photo (1, C, side, side), and what a task takes with it."""
    photo = read(next(example.picture for example in examples("inpaint"))).tensor()[..., :SIDE, :SIDE]
    photo = enlarge(photo, 2).clamp(0, 1) if side > SIDE else photo[..., :side, :side]
    return photo.mean(1, keepdim=True) if restorer.channels == 1 else photo, *typical(task, side)


# Showing ------------------------------------------------------------------------------------------------------------


def write_cards(scores: dict) -> None:
    """Put the scores into the bundled checkpoints' records and write their cards anew."""
    for method in methods():
        record = bundled() / method.name / "run.json"
        if not method.learned or not record.exists():
            continue
        rows = []
        scored = [set_name for set_name, results in scores["sets"].items() if method.name in results]
        for set_name in benchmarks.every()[method.task].at_home(method.name, scored):
            results = scores["sets"][set_name]
            best, best_psnr = best_classical(scores, set_name)
            row = {"set": set_name, **results[method.name], "best_classical": best, "best_classical_psnr": best_psnr}
            for baseline in ("noisy", "jpeg", f"bicubic-x{method.scale}", "biharmonic"):
                if baseline in results:
                    row["baseline"] = {"name": baseline, **results[baseline]}
            rows.append(row)
        run = json.loads(record.read_text())
        run["scores"] = rows
        record.write_text(json.dumps(run, indent=1) + "\n")
        manifest.write(bundled(), [method.name])
        write_card(method.name)
        manifest.write(bundled(), [method.name])


def write_picture(path: Path) -> None:
    """The README's picture: left halves of examples with noise, right halves as the flagship restores them."""
    columns = []
    for noisy in (read(noisy_example(name)) for name in list(NOISY)[:3]):
        restored = finish(denoise(noisy)).image().tensor()[..., :300, :400]
        halves = noisy.tensor()[..., :300, :200], restored[..., 200:]
        columns.append(torch.cat(halves, dim=3))
    write_grid(path, [columns], quality=85)


if __name__ == "__main__":
    sys.exit(main())
