"""Score every method on the standard test sets, and let a new checkpoint replace a bundled one only if it is better.

    python -m train.evaluate --task denoise                          # everything: prints, scores.json, README, cards
    python -m train.evaluate --task denoise --methods mwcnn-gray     # only these; the other scores stay
    python -m train.evaluate --promote runs/mwcnn-gray --train-data FOLDER...

Protocol of the denoising papers (DnCNN, FFDNet, DRUNet): Gaussian noise in float, neither clipped nor rounded, the
same seed for every image; the result clipped and rounded to 8 bits; PSNR over all channels; no border cut.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

import restoration
from restoration.catalog import Filter, Method, bundled, methods
from restoration.degradations import Degradation, GaussianNoise, UniformNoise
from restoration.denoising import denoise
from restoration.gallery import examples
from restoration.image import read, write_grid
from restoration.job import finish, with_channels
from restoration.metrics import psnr, ssim
from restoration.restorer import Restorer
from train.data import centre_crop, samples
from train.denoise import validate
from train.recipe import DENOISE

SCORES = Path(restoration.__file__).parent / "assets" / "scores.json"
README = Path(restoration.__file__).parent.parent / "README.md"
MARGIN = 0.01  # dB that rounding the weights to 16 bits may cost


@dataclass(frozen=True)
class TestSet:
    """Clean images and the noise to take off again.

    Args:
        folders: below the data folder.
        channels: 3 for colour; 1 turns colour images grey as MATLAB's rgb2gray does.
        sigma: the noise's standard deviation on [0, 1], which methods that take one are told.
        listed_in: a file below the data folder that names the images to use.
    """

    name: str
    folders: tuple[str, ...]
    channels: int
    noise: Degradation
    sigma: float
    listed_in: str | None = None

    def images(self, data: Path) -> Iterable[Tensor]:
        """The clean images, float32 (1, C, H, W)."""
        listed = (data / self.listed_in).read_text().split() if self.listed_in else None
        wanted = None if listed is None else {Path(name).stem for name in listed}
        for sample in samples([data / folder for folder in self.folders], self.channels):
            if wanted is None or Path(sample.name).stem in wanted:
                yield sample.image[None].float() / 255


def _gaussian(name: str, folder: str, channels: int, listed_in: str | None = None) -> list[TestSet]:
    return [
        TestSet(f"{name} σ{s}", (folder,), channels, GaussianNoise(s / 255), s / 255, listed_in) for s in (15, 25, 50)
    ]


_XRAY = ("medical/dental_panoramic/test", "medical/chest_xray/test")
SETS: tuple[TestSet, ...] = (
    *_gaussian("CBSD68", "test/BSD100", 3, "test/CBSD68.txt"),
    *_gaussian("BSD68", "test/BSD100", 1, "test/CBSD68.txt"),
    *_gaussian("Set12", "test/Set12", 1),
    TestSet("X-ray Gaussian 0.1", _XRAY, 1, GaussianNoise(0.1), 0.1),
    TestSet("X-ray uniform ±0.17", _XRAY, 1, UniformNoise(0.1 * 3**0.5), 0.1),
    TestSet("CT Gaussian 0.07", ("medical/ct_covid/test",), 1, GaussianNoise(0.07), 0.07),
    TestSet("CIFAR-10 Gaussian 0.2", ("cifar10/test.npz",), 3, GaussianNoise(0.2), 0.2),
)

# The sets that a model was made for, which its card reports; the prefixes of their names.
HOME = {
    "drunet-fast": ("CBSD68",),
    "mwcnn-color": ("CBSD68",),
    "mwcnn-gray": ("BSD68", "Set12"),
    "xray-unet": ("X-ray",),
    "ct-autoencoder": ("CT",),
    "cifar-autoencoder": ("CIFAR",),
}

# What a release must reach and what we are here for: (method, set, floor, aim).  None is "1 or 3 dB above the best
# classical filter" for the medical models and "above it" for CIFAR.
TARGETS = (
    ("drunet-fast", "CBSD68 σ15", 33.5, 34.0),
    ("drunet-fast", "CBSD68 σ25", 30.8, 31.3),
    ("drunet-fast", "CBSD68 σ50", 27.6, 28.1),
    ("mwcnn-gray", "Set12 σ25", 29.8, 30.6),
    ("mwcnn-color", "CBSD68 σ25", 30.5, 31.3),
)
MARGIN_TARGETS = (
    ("xray-unet", "X-ray Gaussian 0.1", 1.0, 3.0),
    ("xray-unet", "X-ray uniform ±0.17", 1.0, 3.0),
    ("ct-autoencoder", "CT Gaussian 0.07", 1.0, 3.0),
    ("cifar-autoencoder", "CIFAR-10 Gaussian 0.2", 0.0, 3.0),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("--task", choices=("denoise",), default="denoise")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds test/, medical/, cifar10/")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="score only these")
    parser.add_argument("--sets", nargs="+", metavar="PREFIX", help="score only sets whose name starts so")
    parser.add_argument("--json", type=Path, default=SCORES, help="where the scores are kept")
    parser.add_argument("--promote", type=Path, metavar="FOLDER", help="bundle this checkpoint if it wins")
    parser.add_argument("--train-data", nargs="+", metavar="FOLDER", help="with --promote: its training data")
    arguments = parser.parse_args(argv)
    if arguments.promote:
        if not arguments.train_data:
            parser.error("--promote needs --train-data, whose held-out images decide")
        return 0 if promote(arguments.promote, arguments.train_data) else 1
    scores = merged(arguments.json, score_all(arguments))
    print(table(scores, [test_set.name for test_set in SETS]))
    print(targets(scores))
    if arguments.json == SCORES:
        write_cards(scores)
        write_readme(scores)
        write_picture(SCORES.parent / "example.png")
    return 0


# Scoring ------------------------------------------------------------------------------------------------------------


def score_all(arguments: argparse.Namespace) -> dict:
    """The scores of the chosen methods on the chosen sets, and what the methods cost."""
    scores: dict = {"methods": {}, "sets": {}}
    chosen = [method for method in methods(arguments.task) if not arguments.methods or method.name in arguments.methods]
    loaded = {method.name: (method.load(), method) for method in chosen}
    for name, (restorer, _) in loaded.items():
        scores["methods"][name] = cost(restorer)
    for test_set in SETS:
        if arguments.sets and not test_set.name.startswith(tuple(arguments.sets)):
            continue
        clean = list(test_set.images(arguments.data))
        noisy = [test_set.noise(image, torch.Generator().manual_seed(0)) for image in clean]
        results = scores["sets"][test_set.name] = {"noisy": summary(noisy, clean)}
        for restorer, method in loaded.values():
            for row, sigma in _rows(method, test_set.sigma):
                restored = [
                    with_channels(restorer, image, sigma)
                    for image in tqdm(noisy, desc=f"{test_set.name}, {row}", leave=False, disable=None)
                ]
                results[row] = summary(restored, clean)
                found = f"{results[row]['psnr']:6.2f} dB  {results[row]['ssim']:.4f}"
                print(f"{test_set.name:<24}{row:<24}{found}", flush=True)
    return scores


def merged(path: Path, new: dict) -> dict:
    """Put new scores beside those in the file, which may have come from another run meanwhile; gives all of them."""
    scores = json.loads(path.read_text()) if path.exists() else {"methods": {}, "sets": {}}
    scores["methods"].update(new["methods"])
    for name, results in new["sets"].items():
        scores["sets"].setdefault(name, {}).update(results)
    path.write_text(json.dumps(scores, indent=1) + "\n")
    return scores


def _rows(method: Method, sigma: float) -> list[tuple[str, float | None]]:
    """What a method is told: the noise level, and for a model that can do without, nothing as well."""
    if method.learned and method.takes_sigma:
        return [(method.name, sigma), (f"{method.name} blind", None)]
    return [(method.name, sigma)]


def summary(images: list[Tensor], clean: list[Tensor]) -> dict:
    """Mean and median PSNR and SSIM of images rounded to 8 bits."""
    rounded = [(image * 255).round().clamp(0, 255) / 255 for image in images]
    decibels = [float(psnr(image, reference)) for image, reference in zip(rounded, clean, strict=True)]
    similarity = [float(ssim(image, reference)) for image, reference in zip(rounded, clean, strict=True)]
    return {
        "psnr": statistics.fmean(decibels),
        "ssim": statistics.fmean(similarity),
        "median_psnr": statistics.median(decibels),
        "median_ssim": statistics.median(similarity),
        "images": len(images),
    }


def cost(restorer: Restorer | Filter) -> dict:
    """Parameters, multiply-accumulates per pixel, and seconds per megapixel on one thread (best of 3)."""
    channels = restorer.channels or 3
    image = torch.rand(1, channels, 512, 512, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = []
        for _ in range(3):
            started = time.perf_counter()
            restorer.restore(image, 0.1)
            times.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    result = {"seconds_per_megapixel": min(times) / (512 * 512 / 1e6), "parameters": 0, "macs_per_pixel": 0}
    if isinstance(restorer, Restorer):
        with FlopCounterMode(display=False) as counter:
            restorer.restore(image, 0.1)
        result["parameters"] = sum(parameter.numel() for parameter in restorer.parameters())
        result["macs_per_pixel"] = counter.get_total_flops() / 2 / (512 * 512)
    return result


# Showing ------------------------------------------------------------------------------------------------------------


def table(scores: dict, sets: list[str]) -> str:
    """A Markdown table with a row for each method: PSNR / SSIM on every set, then what it costs."""
    known = [name for name in sets if name in scores["sets"]]
    rows = list(dict.fromkeys(row for name in known for row in scores["sets"][name]))
    lines = [
        "| method | " + " | ".join(known) + " | s/MP | parameters | kMAC/px |",
        "|---" * (len(known) + 4) + "|",
    ]
    for row in rows:
        cells = []
        for name in known:
            score = scores["sets"][name].get(row)
            cells.append(f"{score['psnr']:.2f} / {score['ssim']:.3f}" if score else "")
        price = scores["methods"].get(row.removesuffix(" blind"))
        if price is None:
            cells += ["", "", ""]
        else:
            cells.append(f"{price['seconds_per_megapixel']:.2f}")
            cells.append(f"{price['parameters'] / 1e6:.2f} M" if price["parameters"] else "-")
            cells.append(f"{price['macs_per_pixel'] / 1e3:.0f}" if price["macs_per_pixel"] else "-")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def targets(scores: dict) -> str:
    """Every floor and aim with what was measured."""
    lines = ["", "| method | set | measured | floor | aim | |", "|---|---|---|---|---|---|"]
    for method, name, floor, aim in TARGETS:
        if measured := scores["sets"].get(name, {}).get(method):
            value = measured["psnr"]
            mark = _reached(value, floor, aim)
            lines.append(f"| {method} | {name} | {value:.2f} | {floor:.2f} | {aim:.2f} | {mark} |")
    for method, name, floor, aim in MARGIN_TARGETS:
        if measured := scores["sets"].get(name, {}).get(method):
            best, best_psnr = best_classical(scores, name)
            gain = measured["psnr"] - best_psnr
            mark = _reached(gain, floor, aim)
            lines.append(f"| {method} | {name} | {gain:+.2f} over {best} | {floor:+.2f} | {aim:+.2f} | {mark} |")
    return "\n".join(lines)


def _reached(value: float, floor: float, aim: float) -> str:
    if value >= aim:
        return "aim reached"
    return f"floor reached, {aim - value:.2f} to the aim" if value >= floor else f"{floor - value:.2f} below the floor"


def best_classical(scores: dict, set_name: str) -> tuple[str, float]:
    """The classical filter with the highest PSNR on a set, and that PSNR."""
    results = scores["sets"][set_name]
    filters = [method.name for method in methods("denoise") if not method.learned and method.name in results]
    best = max(filters, key=lambda name: results[name]["psnr"])
    return best, results[best]["psnr"]


def write_cards(scores: dict) -> None:
    """Put the scores into the bundled checkpoints' records and write their cards anew."""
    for name, prefixes in HOME.items():
        folder = bundled() / name
        if not (folder / "run.json").exists():
            continue
        rows = []
        for set_name, results in scores["sets"].items():
            if set_name.startswith(prefixes) and name in results:
                best, best_psnr = best_classical(scores, set_name)
                row = {key: results[name][key] for key in ("psnr", "ssim", "median_psnr", "median_ssim")}
                noisy = {f"noisy_{key}": results["noisy"][key] for key in ("median_psnr", "median_ssim")}
                rows.append({"set": set_name, **row, **noisy, "best_classical": best, "best_classical_psnr": best_psnr})
        run = json.loads((folder / "run.json").read_text())
        run["scores"] = rows
        (folder / "run.json").write_text(json.dumps(run, indent=1) + "\n")
        restoration.load(name).generate_model_card().save(folder / "README.md")


def write_readme(scores: dict) -> None:
    """Put the tables between the README's marks."""
    photos = ["CBSD68 σ15", "CBSD68 σ25", "CBSD68 σ50", "BSD68 σ25", "Set12 σ25"]
    medical = [test_set.name for test_set in SETS if not test_set.name.startswith(("CBSD68", "BSD68", "Set12"))]
    content = "\n\n".join((table(scores, photos), table(scores, medical), targets(scores).strip()))
    start, end = "<!-- scores: written by train.evaluate -->", "<!-- end of scores -->"
    text = README.read_text()
    before, rest = text.split(start)
    after = rest.split(end)[1]
    README.write_text(f"{before}{start}\n\n{content}\n\n{end}{after}")


def write_picture(path: Path) -> None:
    """The README's picture: left halves of examples with noise, right halves as the flagship restores them."""
    columns = []
    for name in ("astronaut", "chelsea", "coffee"):
        noisy = read(next(example for example in examples()[1] if Path(example).stem == f"{name}_noisy"))
        restored = finish(denoise(noisy)).image().tensor()[..., :300, :400]
        halves = noisy.tensor()[..., :300, :200], restored[..., 200:]
        columns.append(torch.cat(halves, dim=3))
    write_grid(path, [columns])


# The ratchet --------------------------------------------------------------------------------------------------------


def promote(candidate: Path, train_data: list[str]) -> bool:
    """Bundle `candidate` if it beats the bundled checkpoint of its name on the held-out training images."""
    if not (candidate / "run.json").exists():
        raise SystemExit(f"error: {candidate} holds no run.json: has its training ended?")
    run = json.loads((candidate / "run.json").read_text())
    name = run["model"]
    recipe = DENOISE[name]
    new = restoration.load(candidate)
    images = [centre_crop(sample.image, 256) for sample in samples(train_data, new.channels) if sample.held_out]
    if not images:
        raise SystemExit("error: the training data holds no held-out image")
    score = validate(recipe, new, images)
    old_score = None
    if (bundled() / name / "model.safetensors").exists():
        old_score = validate(recipe, restoration.load(name), images)
    beside = "nothing bundled yet" if old_score is None else f"bundled {old_score:.3f} dB"
    print(f"{name} on {len(images)} held-out images: new {score:.3f} dB, {beside}")
    if old_score is not None and score <= old_score:
        print(f"refused: {candidate} does not beat the bundled {name}", file=sys.stderr)
        return False
    halved = restoration.load(candidate).half().float()
    if abs(validate(recipe, halved, images) - score) < MARGIN:
        new = halved.half()
    new.run = {**run, "ratchet": {"psnr": score, "beaten": old_score, "images": len(images)}}
    fresh, target = bundled() / f".{name}", bundled() / name
    new.save_pretrained(fresh)  # whole before the old one goes
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    print(f"bundled {name}")
    return True


if __name__ == "__main__":
    sys.exit(main())
