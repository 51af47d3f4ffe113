"""Fetch checkpoints from the Hub, check every byte, try every model: a process of its own that may be killed any time.

    python -m restoration.fetch NAMESPACE NAME[@REVISION]...

Prints one line of JSON for everything that is known: first what the cache holds, then what the Hub answers.  Its
memory is bounded, so that a checkpoint that asks for too much of it ends here.
"""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError

from restoration import manifest, probe
from restoration.card import model_card
from restoration.catalog import architectures, load, scale_of
from restoration.weights import bundled

MEMORY = 8 << 30  # bytes
CONFIG_BYTES = 1 << 16  # a longer config.json is none of ours
FILES = {"config.json": True, "model.safetensors": True, "run.json": False}  # and whether a checkpoint needs it
PARALLEL = 4


class RefusedError(Exception):
    """One sentence on why a checkpoint cannot be used."""


def main(argv: list[str]) -> int:
    owner, *wanted = argv
    with suppress(ImportError, ValueError, OSError):  # as far as the system lets us
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    logging.disable()
    pairs = [tuple(item.partition("@")[::2]) for item in wanted]
    for name, revision in pairs:
        announce(name, lambda name=name, revision=revision: cached(f"{owner}/{name}", name, revision or None))
    with ThreadPoolExecutor(PARALLEL) as pool:
        for name, revision in pairs:
            pool.submit(announce, name, lambda n=name, r=revision: fetched(f"{owner}/{n}", n, r or None), report=True)
    return 0


def announce(name: str, find: Callable[[], dict | None], report: bool = False) -> None:
    """Print what `find` gives, or with `report` why it gives nothing."""
    try:
        answer = find()
    except RefusedError as reason:
        answer = {"note": str(reason)}
    except RepositoryNotFoundError:
        answer = {"note": "The Hub has no such checkpoint, or does not show it."}
    except OfflineModeIsEnabled:
        answer = {"note": "The Hub is switched off."}
    except httpx2.ConnectError:  # which is no OSError
        answer = {"note": "The Hub cannot be reached."}
    except OSError as error:
        answer = {"note": "The disk is full." if error.errno == 28 else "The Hub cannot be reached."}
    except Exception:  # anything else that a stranger's answer can bring about
        answer = {"note": "The Hub's answer cannot be used."}
    if answer and (report or "note" not in answer):
        sys.stdout.write(json.dumps({"name": name, **answer}) + "\n")  # in one piece, whatever the other threads write
        sys.stdout.flush()


def cached(repo: str, name: str, revision: str | None) -> dict | None:
    """What the cache holds, if all of it is sound; nothing is asked of the network."""
    folder = None
    for file, needed in FILES.items():
        try:
            path = Path(hf_hub_download(repo, file, revision=revision, local_files_only=True))
        except EntryNotFoundError:
            if needed:
                return None
            continue
        if not sound(path, path.resolve().name):
            return None
        folder = path.parent
    tried(folder, name)
    return {"folder": str(folder), "origin": "cache", "source": f"{repo}@{folder.name}"}


def fetched(repo: str, name: str, revision: str | None) -> dict:
    """The checkpoint as the Hub has it, fetched as far as the cache does not hold it.

    Raises:
        RefusedError: bytes that differ from what the Hub says of them, twice; or a checkpoint that cannot be used.
    """
    info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=10)
    known = {file.rfilename: file.lfs.sha256 if file.lfs else file.blob_id for file in info.siblings}
    folder = None
    for file, needed in FILES.items():
        if file not in known:
            if needed:
                raise RefusedError(f"The Hub's checkpoint has no {file}.")
            continue
        path = Path(hf_hub_download(repo, file, revision=revision))
        if not sound(path, known[file]):
            path.resolve().unlink(missing_ok=True)
            path = Path(hf_hub_download(repo, file, revision=revision, force_download=True))
            if not sound(path, known[file]):
                path.resolve().unlink(missing_ok=True)
                raise RefusedError("The Hub's file was damaged on its way.")
        folder = path.parent
    tried(folder, name)
    return {"folder": str(folder), "origin": "hub", "source": f"{repo}@{info.sha}"}


def sound(path: Path, digest: str | None) -> bool:
    """Whether a file has the hash that the Hub gives it: sha256 of large files, git's own of small ones."""
    content = path.read_bytes()
    if digest and len(digest) == 40:
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == digest
    return hashlib.sha256(content).hexdigest() == digest


def listed(folder: Path, name: str) -> bool:
    """Whether a checkpoint's weights are the bundled ones, by their sha256."""
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return manifest.digest_of(bundled() / name / "model.safetensors") == digest


def tried(folder: Path, name: str) -> None:
    """Load a checkpoint to see that it can be, and does what it did when it was published.

    Raises:
        RefusedError: it cannot or does not, or it is another model than its name says.
    """
    if (folder / "config.json").stat().st_size > CONFIG_BYTES:
        raise RefusedError("The Hub's checkpoint cannot be used.")
    try:
        model = load(folder)
        model_card(model)  # reads all of run.json
    except Exception:  # whatever a poisoned checkpoint brings about
        raise RefusedError("The Hub's checkpoint cannot be used.") from None
    if not (listed(folder, name) or probe.matches(model, model.run.get(probe.KEY))):
        raise RefusedError("The Hub's checkpoint does not do what it did when it was published.")
    names = {checkpoint.name for checkpoint in architectures()[type(model).__name__].checkpoints}
    if name not in names or model.scale != scale_of(name):
        raise RefusedError("The Hub's checkpoint is of another model.")


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    sys.exit(main(sys.argv[1:]))
