"""The sha256 of every bundled file, so that a damaged one is noticed before anything is made of it.

`train.evaluate` keeps the manifest up to date whenever it writes to a checkpoint's folder; `python -m train.manifest`
writes it anew.
"""

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

NAME = "manifest.json"  # beside the folders of the checkpoints
READ = ("model.safetensors", "config.json", "run.json")  # what the program reads; the card is for people


def fault(folder: Path) -> str:
    """What is wrong with the files of a checkpoint, half a sentence; empty if they are as the manifest says.

    What the manifest does not name passes, and so does everything without one.
    """
    return _fault(folder, stamps(folder), _stamp(os.path.join(folder.parent, NAME)))


def digest_of(file: Path) -> str | None:
    """The sha256 that the manifest gives a checkpoint's file, in hexadecimal; None where it does not name it."""
    folder = file.parent.parent
    return _listed(folder, _stamp(folder / NAME)).get(file.parent.name, {}).get(file.name)


def own_fault(folder: Path) -> str:
    """What is wrong with the manifest of a folder of checkpoints itself, so that nothing can be checked; else empty."""
    if _listed(folder, _stamp(folder / NAME)) or not any(folder.glob("*/model.safetensors")):
        return ""
    return "damaged" if (folder / NAME).exists() else "missing"


def write(folder: Path, names: list[str] | None = None) -> list[str]:
    """Bring the manifest up to date; gives the files whose entry changed, `checkpoint/file`.

    Args:
        folder: of the bundled checkpoints.
        names: of those that were written, so that damage to another is not taken for its new state; None is all.
    """
    before = _listed(folder, _stamp(folder / NAME))
    if names is None:
        names = sorted({path.parent.name for path in folder.glob("[!.]*/model.safetensors")} | set(before))
    after = dict(before)
    for name in names:
        files = sorted(file for file in (folder / name).glob("[!.]*") if file.is_file())
        after[name] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    after = {name: files for name, files in sorted(after.items()) if files}
    text = json.dumps(after, indent=1) + "\n"
    temporary = folder / f".{NAME}.part"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(folder / NAME)
    return [
        f"{name}/{file}"
        for name in sorted(before.keys() | after)
        for file in sorted(before.get(name, {}).keys() | after.get(name, {}))
        if before.get(name, {}).get(file) != after.get(name, {}).get(file)
    ]


Stamp = tuple[int, ...] | None  # changes when a file does, None without one


def stamps(folder: Path) -> tuple[Stamp, ...]:
    """What changes when one of the files of a checkpoint does that the program reads."""
    return tuple(_stamp(os.path.join(folder, name)) for name in READ)


def _stamp(file: str | Path) -> Stamp:
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@lru_cache(maxsize=16)
def _listed(folder: Path, stamp: Stamp) -> dict[str, dict[str, str]]:
    """The digests by checkpoint and file; nothing without a manifest that can be read."""
    try:
        listed = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    sound = isinstance(listed, dict) and all(isinstance(files, dict) for files in listed.values())
    return listed if sound else {}


@lru_cache(maxsize=256)
def _fault(folder: Path, stamps: tuple[Stamp, ...], listing: Stamp) -> str:
    """See `fault`; looked at anew when a stamp changes, of a file or of the manifest."""
    listed = _listed(folder.parent, listing).get(folder.name, {})
    for name, stamp in zip(READ, stamps, strict=True):
        if name in listed and _digest(folder / name, stamp) != listed[name]:
            return f"its file {name} is {'damaged' if (folder / name).is_file() else 'missing'}"
    return ""


@lru_cache(maxsize=256)
def _digest(file: Path, stamp: Stamp) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
