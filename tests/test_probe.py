"""Weights are recognised by what they make of a small picture."""

import copy
import json
import shutil

import pytest
import torch

import restoration
from restoration import catalog, fetch, probe
from restoration.models.srcnn import SRCNN
from restoration.weights import bundled
from tests.test_restorer import RUN

NAMES = [method.name for method in catalog.methods() if method.learned]


@pytest.mark.parametrize("name", NAMES)
def test_every_bundled_checkpoint_answers_as_it_did_when_it_was_saved(name):
    model = restoration.load(name)
    assert probe.matches(model, model.run[probe.KEY])


def zeroed(kernel: torch.Tensor) -> None:
    kernel.zero_()


def scaled(kernel: torch.Tensor) -> None:
    kernel.mul_(100)


def noise(kernel: torch.Tensor) -> None:
    kernel.copy_(torch.randn(kernel.shape, generator=torch.Generator().manual_seed(0)) * kernel.std())


def flipped_exponent(kernel: torch.Tensor) -> None:
    """The highest bit of the exponent of one weight (IEEE 754), a typical one."""
    flat = kernel.flatten()
    place = int(flat.abs().argsort()[len(flat) // 2])
    flat[place : place + 1].view(torch.int32).bitwise_xor_(1 << 30)
    kernel.copy_(flat.view(kernel.shape))


@pytest.mark.parametrize("damage", [zeroed, scaled, noise, flipped_exponent])
@pytest.mark.parametrize("name", ["srcnn-x2", "compact-x2", "xray-unet", "drunet-fast", "drunet-jpeg", "deepfill"])
def test_damaged_weights_answer_otherwise(name, damage):
    model = copy.deepcopy(restoration.load(name))
    largest = max((kernel for kernel in model.parameters() if kernel.ndim == 4), key=torch.numel)
    with torch.no_grad():
        for kernel in model.parameters() if damage is not flipped_exponent else [largest]:
            if kernel.ndim == 4:
                damage(kernel)
    assert not probe.matches(model, model.run[probe.KEY])


@pytest.mark.parametrize("kind, accepted", [
    ("the bundled files", True), ("their weights alone", True), ("others that tell their answer", True),
    ("others with the bundled answer", False), ("others without an answer", False), ("others without a record", False),
])  # fmt: skip
def test_what_the_hub_has_is_listed_or_answers_as_when_it_was_published(tmp_path, kind, accepted):
    """As the process that fetches decides; `tests.test_weights` goes all the way."""
    folder = shutil.copytree(bundled() / "srcnn-x2", tmp_path / "srcnn-x2")
    model, record = restoration.load(folder), json.loads((folder / "run.json").read_text())
    if kind.startswith("others"):
        with torch.no_grad():
            next(model.parameters()).view(-1)[0] += 0.5
        model.save_pretrained(folder)
        if kind == "others with the bundled answer":
            (folder / "run.json").write_text(json.dumps(record))
        elif kind == "others without an answer":
            del record[probe.KEY]
            (folder / "run.json").write_text(json.dumps(record))
    if kind in ("others without a record", "their weights alone"):
        (folder / "run.json").unlink()
    if accepted:
        return fetch.tried(folder, "srcnn-x2")
    with pytest.raises(fetch.RefusedError, match="does not do what it did"):
        fetch.tried(folder, "srcnn-x2")


@pytest.mark.parametrize("expected", [None, "", "0.5", "a b c", " ".join(["nan"] * probe.PLACES), 3, [0.5]])
def test_no_answer_and_nonsense_match_nothing(expected):
    assert not probe.matches(restoration.load("srcnn-x2"), expected)


def test_a_saved_model_holds_its_answer_and_half_the_bits_change_nothing(tmp_path):
    torch.manual_seed(0)
    model = SRCNN(2)
    model.run = {**RUN, "seed": 0}
    model.train().half().save_pretrained(tmp_path)
    again = restoration.load(tmp_path)
    assert again.run["seed"] == 0
    assert probe.matches(again, again.run[probe.KEY])
    assert probe.KEY not in model.run
