"""Where the weights of the product's own checkpoints come from: the Hub, its cache, or the folder beside the program.

`prepare` decides once, at start-up, within one deadline that nothing can defeat: the Hub is asked by a process of its
own (`restoration.fetch`), which checks every byte and tries every model, and which is killed when its time is over.
Without a namespace nothing is asked, and the bundled weights are used.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import safetensors.torch
from torch import Tensor

from restoration import manifest

DEADLINE = 30.0  # seconds for everything

Origin = Literal["hub", "cache", "bundled"]


@dataclass(frozen=True)
class Place:
    """Where one checkpoint's weights are.

    Args:
        folder: with `model.safetensors` and `config.json`.
        origin: "hub" was fetched or confirmed at start-up, "cache" is what an earlier start fetched.
        source: `user/repo@commit`, empty for bundled weights.
        note: why it is not the Hub's newest, one sentence; empty if it is or if no Hub was to be asked.
    """

    folder: Path
    origin: Origin
    source: str = ""
    note: str = ""

    def __str__(self) -> str:
        where = {"hub": f"from the Hub, {self.source}", "cache": f"from the cache, {self.source}"}
        return " ".join(part for part in (where.get(self.origin, "bundled") + ".", self.note) if part)


_places: dict[str, Place] = {}


@cache
def bundled() -> Path:
    """The folder of the bundled checkpoints: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "checkpoints"
    return inside if inside.is_dir() else package.parent / "checkpoints"


def place(name: str) -> Place | None:
    """Where the weights of a checkpoint are; None if there are none that can be used."""
    if name in _places:
        return _places[name]
    if Path(name).name != name:  # a path
        return None
    folder = bundled() / name
    sound = os.path.exists(os.path.join(folder, "model.safetensors")) and not manifest.fault(folder)
    return Place(folder, "bundled") if sound else None


def record(name: str) -> dict:
    """How a checkpoint's weights were trained and scored: its `run.json`, without a look at the weights."""
    found = place(name)
    return dict(_record(found.folder / "run.json")) if found else {}


@lru_cache(maxsize=64)
def _record(file: Path) -> dict:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def damage(name: str) -> str:
    """Why a bundled checkpoint is off, one sentence; empty for one that is not."""
    fault = "" if place(name) or Path(name).name != name else manifest.fault(bundled() / name)
    return f"{name} is off: {fault}. Install it again to get it back." if fault else ""


def lack(name: str) -> str:
    """Why there are no weights of a checkpoint here, one sentence; empty where there are."""
    if place(name):
        return ""
    left_out = (
        f"{name} is not in this installation: install it without RESTORATION_WEIGHTS=commercial to get it, or load a "
        f"copy from the Hub, as user/{name}."
    )
    return damage(name) or left_out


def check_folder(folder: Path) -> None:
    """Refuse a damaged checkpoint that is loaded by its folder.

    Raises:
        ValueError: it is one of the bundled ones, and not as it was.
    """
    if folder.resolve().parent == bundled().resolve() and (fault := manifest.fault(folder.resolve())):
        raise ValueError(f"{folder.name} is off: {fault}. Install it again to get it back.")


def on_hub(source: str) -> tuple[str, str | None]:
    """Repository and revision of `user/repo[@revision]`; what is meant for a folder is never taken for one.

    Raises:
        ValueError: it is called as a folder is that is not there.
    """
    repo, _, revision = source.partition("@")
    user, _, name = repo.partition("/")
    if user == bundled().name:
        raise ValueError(f'there is no folder {repo} here; a bundled checkpoint is called by its name alone, "{name}"')
    if repo.count("/") != 1 or not user or not name or user.startswith((".", "~")) or Path(user).is_dir():
        raise ValueError(f"there is no folder {repo} here; checkpoints on the Hub are called user/repo")
    return repo, revision or None


def pinned(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The revisions that are asked for, by checkpoint: `RESTORATION_REVISIONS="drunet-fast=1a2b3c,..."`."""
    pairs = (item.strip().partition("=") for item in environment.get("RESTORATION_REVISIONS", "").split(","))
    return {name: revision for name, _, revision in pairs if revision}


def namespace(environment: Mapping[str, str] = os.environ) -> str | None:
    """The user or organisation on the Hub whose checkpoints are wanted; on a Space its owner, elsewhere by request."""
    return environment.get("RESTORATION_NAMESPACE") or environment.get("SPACE_AUTHOR_NAME") or None


def prepare(names: Iterable[str], owner: str | None = None, deadline: float = DEADLINE) -> dict[str, Place]:
    """Decide for every checkpoint where its weights come from; gives those that come from elsewhere than the bundle.

    Args:
        names: of checkpoints, each perhaps with `@revision`.
        owner: the namespace on the Hub; `namespace()` by default, and without one nothing is asked.
        deadline: seconds after which the answer is there, whatever the Hub does.
    """
    _places.clear()
    owner = owner or namespace()
    if not owner:
        return {}
    started = time.monotonic()
    wanted = list(names)
    command = [sys.executable, "-m", "restoration.fetch", owner, *wanted]
    # Python's own start and the models' trial are inside the deadline; the last tenth is for what comes after.
    fetching = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=Path(__file__).parent.parent
    )
    answers: dict[str, dict] = {}

    def listen() -> None:
        with suppress(ValueError):  # a line that was cut
            for line in fetching.stdout:
                answer = json.loads(line)
                answers[answer["name"]] = {**answers.get(answer["name"], {}), **answer}

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    listener.join(max(0.0, 0.9 * deadline - (time.monotonic() - started)))
    fetching.kill()
    fetching.wait()
    for name in (item.partition("@")[0] for item in wanted):
        answer = dict(answers.get(name, {}))
        note = answer.get("note") or ("" if answer.get("origin") == "hub" else "The Hub did not answer in time.")
        if "folder" in answer:
            _places[name] = Place(Path(answer["folder"]), answer["origin"], answer["source"], note)
        elif found := place(name):
            _places[name] = Place(found.folder, "bundled", note=note)
    return dict(_places)


def safetensors_bytes(values: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file that has the same bytes every time: the library itself writes metadata in random order."""
    content = safetensors.torch.save(values, metadata)
    end = 8 + int.from_bytes(content[:8], "little")
    header = {**json.loads(content[8:end]), "__metadata__": metadata}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def check_sizes(arguments: dict) -> None:
    """Refuse sizes that no model here has, which could take all time and memory before the weights are looked at.

    Raises:
        ValueError: a number beyond 4096, or a list of more than 16 of them.
    """
    for name, value in arguments.items():
        sizes = value if isinstance(value, list | tuple) else [value]
        if len(sizes) > 16 or any(isinstance(size, int | float) and not abs(size) <= 4096 for size in sizes):
            raise ValueError(f"config.json asks for an impossible {name}")
