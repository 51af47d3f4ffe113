"""The ratchet: a new checkpoint replaces a bundled one only if it is better on images held out from training."""

import json
import shutil
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from torch import Tensor

import restoration
from restoration import manifest
from restoration.card import FREE, licence
from restoration.catalog import methods
from restoration.metrics import Lpips
from restoration.restorer import Restorer
from restoration.running import with_channels
from restoration.weights import bundled
from train import benchmarks, recipes
from train.data import centre_crop, samples
from train.state import STATE

MARGIN = 0.01  # dB, or hundredths of LPIPS, that rounding the weights to 16 bits may cost


def promote(candidate: Path, train_data: list[str], lpips: Lpips | None, rivals: list[Path], data: Path) -> bool:
    """Bundle `candidate` if it beats the bundled checkpoint of its name on the held-out training images.

    One that is its task's default must not be worse on photos with real damage either, and none may be less free.

    Args:
        rivals: runs of the same model by other recipes, which it must beat as well; its card then tells of them.
        data: folder of the test sets.
    """
    if not (candidate / "run.json").exists():
        raise SystemExit(f"error: {candidate} holds no run.json: has its training ended?")
    if (candidate / STATE).exists():
        raise SystemExit(f"error: {candidate} holds a state.safetensors: its training has not ended")
    run = json.loads((candidate / "run.json").read_text())
    name = run["model"]
    new = restoration.load(candidate)
    images = [centre_crop(sample.image, 256) for sample in samples(train_data, new.channels) if sample.held_out]
    if not images:
        raise SystemExit("error: the training data holds no held-out image")
    quality, unit = judge(name, lpips)
    score = quality(new, images)
    old_score = standing(name, quality, images, run.get("recipe", {}).get("scored"))
    beside = "nothing bundled yet" if old_score is None else f"bundled {old_score:.3f} {unit}"
    print(f"{name} on {len(images)} held-out images: new {score:.3f} {unit}, {beside}")
    if old_score is not None and score <= old_score:
        print(f"refused: {candidate} does not beat the bundled {name}", file=sys.stderr)
        return False
    if old_score is not None and licence(_record(name)) == FREE != licence(run):
        print(f"refused: {candidate} is not for commercial use, as the bundled {name} is", file=sys.stderr)
        return False
    if old_score is not None and any(method.flagship and method.name == name for method in methods(new.task)):
        now, before = (on_photos(model, data) for model in (new, restoration.load(name)))
        print(f"{name} on photos with real damage: new {now:.3f} dB, bundled {before:.3f} dB")
        if now < before:
            print(f"refused: {candidate} is worse than the default {name} on photos with real damage", file=sys.stderr)
            return False
    beaten = []
    for rival in rivals:
        recipe = json.loads((rival / "run.json").read_text())["recipe"]
        rival_score = quality(restoration.load(rival), images)
        print(f"{rival.name}: {rival_score:.3f} {unit}")
        if rival_score > score:
            print(f"refused: {rival} is better than {candidate}", file=sys.stderr)
            return False
        beaten.append({**{key: recipe[key] for key in ("loss", "optimizer", "learning_rate")}, "score": rival_score})
    halved = restoration.load(candidate).half().float()
    if abs(quality(halved, images) - score) < MARGIN:
        new = halved.half()
    new.run = {**run, "ratchet": {"score": score, "unit": unit, "beaten": old_score, "images": len(images)}}
    if beaten:
        new.run["other_recipes"] = beaten
    fresh, target = bundled() / f".{name}", bundled() / name
    new.save_pretrained(fresh)  # whole before the old one goes
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    manifest.write(bundled(), [name])
    print(f"bundled {name}")
    if getattr(new, "estimates_sigma", False):
        print("what tells grain goes by this model: python -m train.grain --write writes that anew")
    return True


def on_photos(model: Restorer, data: Path, count: int = 20) -> float:
    """Mean PSNR in dB of a blind model over the first images of its task's sets with real damage.

    Raises:
        SystemExit: there are no such sets below `data`.
    """
    scores = []
    for test_set in benchmarks.every()[model.task].sets:
        if not test_set.real or getattr(test_set, "scale", 1) != model.scale:
            continue
        try:
            clean = list(islice(test_set.images(data), count))
        except FileNotFoundError as missing:
            raise SystemExit(f"error: a default is judged on photos with real damage: {missing}") from None
        given = [test_set.degraded(image, index, data) for index, image in enumerate(clean)]
        restored = [with_channels(model, image).cpu() for image, *_ in given]
        scores.append(test_set.summary(restored, clean, given, None)["psnr"])
    return sum(scores) / len(scores)


def standing(
    name: str, quality: Callable[[Restorer, list[Tensor]], float], images: list[Tensor], scored: object
) -> float | None:
    """The score to beat: of the bundled checkpoint, or when it was bundled, if that is higher and comparable.

    An architecture that has changed since may get less out of the old weights than they were worth, or not take them.

    Args:
        scored: what the images are damaged by, as a record has it; scores of other damages or of another number of
            images are not comparable.
    """
    if not (bundled() / name / "model.safetensors").exists():
        return None
    record = _record(name)
    ratchet, damages = record.get("ratchet", {}), record.get("recipe", {}).get("scored", scored)
    scores = [ratchet["score"]] if ratchet.get("images") == len(images) and damages == scored else []
    try:
        scores.append(quality(restoration.load(name), images))
    except ValueError:
        if not scores:
            raise
    return max(scores)


def _record(name: str) -> dict:
    """How the bundled checkpoint came about."""
    return json.loads((bundled() / name / "run.json").read_text())


def judge(name: str, lpips: Lpips | None) -> tuple[Callable[[Restorer, list[Tensor]], float], str]:
    """The score that decides whether a checkpoint of that name is bundled, higher is better, and its unit."""
    recipe = recipes.every()[name]
    if recipe.metric == "psnr":
        return recipe.validate, "dB"
    if lpips is None:
        raise SystemExit("error: this model is judged by LPIPS, whose weights --backbones names")
    return lambda model, images: -100 * recipe.validate(model, images, lpips), "-100 LPIPS"
