"""Where weights come from at start-up: a Hub on this machine that works, and all the ways in which one does not."""

import hashlib
import json
import os
import pickle
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import restoration
from restoration import catalog, probe, weights
from restoration.weights import bundled
from tests.hub import START_UPS, Hub

pytestmark = pytest.mark.slow

NAME = "srcnn-x2"
WEIGHT = "conv1.weight"
LEARNED = [method.name for method in restoration.methods() if method.learned]
DEADLINE = 20.0


@pytest.fixture
def hub(monkeypatch, tmp_path):
    running = Hub()
    monkeypatch.setenv("HF_ENDPOINT", running.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    yield running
    running.close()
    weights._places.clear()


def files(name: str = NAME) -> dict[str, bytes]:
    return {file: (bundled() / name / file).read_bytes() for file in ("model.safetensors", "config.json", "run.json")}


def changed(value: float, name: str = NAME) -> bytes:
    """A checkpoint's weights with one of them replaced."""
    tensors = safetensors.torch.load(files(name)["model.safetensors"])
    tensors[WEIGHT if name == NAME else min(tensors)].view(-1)[0] = value
    return safetensors.torch.save(tensors)


def published(value: float) -> dict[str, bytes]:
    """The files of a checkpoint with one weight replaced, and with what it answers then."""
    model = restoration.load(bundled() / NAME)
    model.state_dict()[WEIGHT].view(-1)[0] = value
    record = {**model.run, probe.KEY: probe.answer(model)}
    return {**files(), "model.safetensors": changed(value), "run.json": json.dumps(record).encode()}


def prepared(name: str = NAME, deadline: float = DEADLINE) -> weights.Place:
    """What `prepare` decides, well within the deadline, and that it runs."""
    started = time.monotonic()
    place = weights.prepare([name], "me", deadline)[name.partition("@")[0]]
    taken = time.monotonic() - started
    assert taken < deadline
    case = os.environ["PYTEST_CURRENT_TEST"].partition("::test_")[2].removesuffix(" (call)")
    START_UPS.append((case, taken, deadline, place))
    model = restoration.load(name.partition("@")[0])
    assert model.restore(torch.rand(1, 3, 8, 8)).isfinite().all()
    return place


def first_weight() -> float:
    return float(restoration.load(NAME).state_dict()[WEIGHT].flatten()[0])


def test_without_a_namespace_nothing_is_asked(hub, monkeypatch):
    for variable in ("RESTORATION_NAMESPACE", "SPACE_AUTHOR_NAME"):
        monkeypatch.delenv(variable, raising=False)
    assert weights.prepare([NAME]) == {}
    assert hub.log == []
    assert weights.namespace({"SPACE_AUTHOR_NAME": "owner"}) == "owner"
    assert weights.namespace({"SPACE_AUTHOR_NAME": "owner", "RESTORATION_NAMESPACE": "me"}) == "me"


def test_a_healthy_hub_gives_its_weights_and_the_cache_serves_when_it_is_gone(hub):
    commit = hub.put(f"me/{NAME}", published(0.125))
    place = prepared()
    assert (place.origin, place.source, place.note) == ("hub", f"me/{NAME}@{commit}", "")
    assert first_weight() == 0.125
    hub.fault = 500
    place = prepared()
    assert (place.origin, place.source) == ("cache", f"me/{NAME}@{commit}")
    assert place.note
    assert first_weight() == 0.125


def test_a_pinned_revision_stays_when_the_hub_goes_on(hub):
    commit = hub.put(f"me/{NAME}", published(0.125))
    hub.put(f"me/{NAME}", {"model.safetensors": changed(0.25)})
    assert prepared(f"{NAME}@{commit}").source.endswith(commit)
    assert first_weight() == 0.125
    assert weights.pinned({"RESTORATION_REVISIONS": f"{NAME}={commit}, other=abc"}) == {NAME: commit, "other": "abc"}


def each(hub: Hub, contents: dict[str, dict[str, bytes]]) -> dict[str, weights.Place]:
    """What one start-up decides of many checkpoints, each with contents of its own on the Hub."""
    for name, content in contents.items():
        hub.put(f"me/{name}", content)
    return weights.prepare(list(contents), "me", 3 * DEADLINE)


def test_a_failing_hub_leaves_the_bundled_weights_and_a_reason(hub):
    faults = (404, 401, 500, "truncated", "corrupt")
    hub.fault = {f"me/{name}": fault for name, fault in zip(LEARNED, faults, strict=False)}
    for place in each(hub, {name: files(name) for name in LEARNED[: len(faults)]}).values():
        assert place.origin == "bundled"
        assert place.note.endswith(".")
        assert len(place.note) < 200
    for blob in Path(os.environ["HF_HOME"]).rglob("blobs/*"):  # named after what they should hold
        if len(blob.name) == 64:
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


@pytest.mark.parametrize("fault", ["silent", "slow"])
def test_a_hanging_hub_cannot_defeat_the_deadline(hub, fault):
    hub.put(f"me/{NAME}", files())
    hub.fault = fault
    place = prepared(deadline=8)
    assert place == weights.Place(bundled() / NAME, "bundled", note="The Hub did not answer in time.")


@pytest.mark.parametrize("endpoint", ["http://nowhere.invalid", "closed"])
def test_an_unreachable_hub_leaves_the_bundled_weights(hub, monkeypatch, endpoint):
    if endpoint == "closed":
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert prepared() == weights.Place(bundled() / NAME, "bundled", note="The Hub cannot be reached.")


def test_a_damaged_cache_is_fetched_again_and_never_used(hub, tmp_path):
    hub.put(f"me/{NAME}", published(0.125))
    prepared()
    (blob,) = (path for path in (tmp_path / "hf").rglob("blobs/*") if path.stat().st_size == len(changed(0.125)))
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    hub.fault = 500
    assert prepared().origin == "bundled"
    hub.fault = None
    assert prepared().origin == "hub"
    assert first_weight() == 0.125


class Payload:
    """A pickle that would leave a trace."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


def test_checkpoints_that_cannot_be_used_are_refused(hub, tmp_path):
    contents = {name: files(name) for name in LEARNED[:7]}
    pickled, nan, other, unnamed, answering, unrecorded, huge = contents
    contents[pickled]["model.safetensors"] = pickle.dumps(Payload(tmp_path / "ran"))
    contents[nan]["model.safetensors"] = changed(np.nan, nan)
    contents[other] = files(unnamed)
    del contents[unnamed]["config.json"]
    contents[answering]["model.safetensors"] = changed(0.125, answering)
    contents[unrecorded]["model.safetensors"] = changed(0.125, unrecorded)
    del contents[unrecorded]["run.json"]
    contents[huge]["run.json"] = contents[huge]["run.json"].ljust(1_000_001)
    for name, place in each(hub, contents).items():
        assert place.origin == "bundled", name
        assert "Hub's checkpoint" in place.note
    assert not (tmp_path / "ran").exists()


def poisons(config: dict) -> dict[str, bytes]:
    """Contents of config.json that must not be used."""
    argument = next(name for name in config if name != "architecture")

    def with_(**changes) -> bytes:
        return json.dumps({**config, **changes}).encode()

    return {
        "empty": b"",
        "cut": json.dumps(config).encode()[:-4],
        "list": b"[]",
        "null": b"null",
        "text": b'"DRUNet"',
        "nothing": b"{}",
        "other architecture": with_(architecture="MWCNN" if config["architecture"] != "MWCNN" else "SRCNN"),
        "unknown architecture": with_(architecture="os.system"),
        "architecture list": with_(architecture=["DRUNet"]),
        "huge": with_(**{argument: 10**9}),
        "large": with_(**{argument: 4000}),
        "negative": with_(**{argument: -1}),
        "text argument": with_(**{argument: "64"}),
        "endless": with_(**{argument: float("inf")}),
        "long list": with_(**{argument: [64] * 100_000}),
        "deep": b"[" * 100_000,
        "not unicode": b"\xff\xfe{}",
        "megabytes": json.dumps(config).encode() + b" " * (2 << 20),
    }


def test_poisoned_configurations_are_refused(hub):
    names = [name for name in LEARNED if len(json.loads(files(name)["config.json"])) > 1]
    kinds = list(poisons(json.loads(files()["config.json"])))
    assert len(kinds) >= 17
    for first in range(0, len(kinds), len(names)):  # a start-up tries many checkpoints, each with its own poison
        poisoned = dict(zip(names, kinds[first : first + len(names)], strict=False))
        configs = {name: json.loads(files(name)["config.json"]) for name in poisoned}
        spoilt = {name: {**files(name), "config.json": poisons(configs[name])[poisoned[name]]} for name in poisoned}
        places = each(hub, spoilt)
        for name, kind in poisoned.items():
            assert places[name].origin == "bundled", kind
            assert places[name].note == "The Hub's checkpoint cannot be used.", kind


def test_a_training_record_that_cannot_be_read_is_refused(hub):
    contents = {name: files(name) for name in LEARNED[:4]}
    for content, facts in zip(
        contents.values(), ([], {"data": None}, {"scores": 3}, {"scores": [{"set": "x"}]}), strict=True
    ):
        sound = json.loads(content["run.json"])
        content["run.json"] = json.dumps({**sound, **facts} if facts else facts).encode()
    for place in each(hub, contents).values():
        assert (place.origin, place.note) == ("bundled", "The Hub's checkpoint cannot be used.")


def test_a_full_disk_leaves_the_bundled_weights(hub, tmp_path, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        monkeypatch.setenv("HF_HOME", str(small))
        hub.put(f"me/{NAME}", files())
        place = prepared()
        assert (place.origin, place.note) == ("bundled", "The disk is full.")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_the_page_lists_what_the_hub_has_even_without_a_bundle(hub, monkeypatch, tmp_path):
    hub.put(f"me/{NAME}", files())
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(weights, "bundled", lambda: tmp_path / "empty")
    monkeypatch.setenv("RESTORATION_NAMESPACE", "me")
    catalog.prepare(DEADLINE)
    assert [method.name for method in restoration.methods() if method.learned] == [NAME]
    assert str(weights.place(NAME)).startswith("from the Hub, me/srcnn-x2@")
    assert restoration.load(NAME).scale == 2
