"""Publish checkpoints, and the Space itself, on the Hugging Face Hub.

    python -m train.publish checkpoints/NAME USER/REPO       # one checkpoint; prints the commit
    python -m train.publish --all NAMESPACE                  # every bundled one, as NAMESPACE/NAME
    python -m train.publish --space USER/SPACE               # the page, with the models of USER/...

Everything goes in one commit; files that are there already make none.  A card that was edited on the Hub stays as it is
unless `--card` is given.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, RepoCard, SpaceHardware, hf_hub_url
from huggingface_hub.errors import RepositoryNotFoundError

import restoration
from restoration import gallery
from restoration.card import SPACE, edited, signed
from restoration.files import encode, read
from restoration.image import from_tensor
from restoration.random_holes import StrokeHoles
from restoration.resampling import NEAREST, enlarge
from restoration.restorer import Restorer
from restoration.running import with_channels
from restoration.weights import bundled

ROOT = Path(restoration.__file__).parent.parent
PARTS = ("app.py", "restoration", "train", "checkpoints", "requirements.txt", "pyproject.toml", "README.md", "LICENSE")
WEIGHTS = ("model.safetensors", "config.json", "run.json")
PYTHON = "3.12"  # what ZeroGPU runs
HARDWARE = SpaceHardware.ZERO_A10G.value
THUMBNAIL = "restoration/assets/example.jpg"
SIDE = 192  # of the sample picture's halves


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.publish", description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="checkpoint: checkpoints/NAME or runs/NAME")
    parser.add_argument("repo", nargs="?", metavar="USER/REPO")
    parser.add_argument("--all", metavar="NAMESPACE", help="every bundled checkpoint")
    parser.add_argument("--space", metavar="USER/SPACE", help="the page itself")
    parser.add_argument("--card", action="store_true", help="overwrite cards that were edited on the Hub")
    parser.add_argument(
        "--source", metavar="USER/SPACE", help=f"that cards install from: by default that of --space, or USER/{SPACE}"
    )
    arguments = parser.parse_args(argv)
    if not (arguments.all or arguments.space or arguments.repo):
        parser.error("name a checkpoint and a repository, or use --all or --space")
    source = arguments.source or arguments.space
    if arguments.repo:
        print(publish(arguments.folder, arguments.repo, arguments.card, source))
    if arguments.all:
        for folder in sorted(bundled().glob("*/model.safetensors")):
            name = folder.parent.name
            commit = publish(folder.parent, f"{arguments.all}/{name}", arguments.card, source)
            print(f"{name}: {commit}", flush=True)
    if arguments.space:
        print(publish_space(arguments.space))
    return 0


def publish(folder: Path, repo: str, overwrite_card: bool = False, source: str | None = None) -> str:
    """Put a checkpoint's files, its card and a sample picture on the Hub; gives the hash of the newest commit.

    Args:
        source: the Space that the card installs from, see `restoration.card`.

    Raises:
        ValueError: the folder holds no checkpoint.
        HfHubHTTPError: the Hub refuses.
    """
    model = restoration.load(folder)
    api = HfApi()
    api.create_repo(repo, exist_ok=True)
    files: dict[str, bytes | Path] = {name: folder / name for name in WEIGHTS if (folder / name).exists()}
    files["sample.png"] = sample(model)
    if overwrite_card or not edited(repo):
        files["README.md"] = signed(_with_sample(str(model.generate_model_card(repo, source)), repo)).encode()
    return _commit(api, repo, "model", files, f"Publish {folder.name}")


def publish_space(space: str) -> str:
    """Put the page on the Hub as a Space that takes its models from the same namespace; gives the commit's hash."""
    api = HfApi()
    api.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
    files: dict[str, bytes | Path] = {str(path): ROOT / path for path in _tracked()}
    files["README.md"] = _front_page(api, space).encode()
    gone = set(api.list_repo_files(space, repo_type="space")) - set(files) - {".gitattributes"}
    return _commit(api, space, "space", files, "Publish the page", gone)


def sample(model: Restorer) -> bytes:
    """A PNG with what the model was given on the left and what it made of it on the right."""
    source = {
        "denoise": gallery.noisy,
        "artifacts": gallery.compressed,
        "upscale": gallery.clean,
        "inpaint": gallery.clean,
    }
    picture = read(source[model.task]("astronaut.png")).tensor()
    side = SIDE // model.scale
    given = picture[..., 60 : 60 + side, 160 : 160 + side]
    if model.task == "inpaint":
        mask = StrokeHoles(0.15, 0.15)(1, (side, side), torch.Generator().manual_seed(0))
        shown, made = given * (1 - mask) + mask, model.restore(given, mask)
    else:
        shown, made = enlarge(given, model.scale, NEAREST), with_channels(model, given)
    return encode(from_tensor(torch.cat([shown, made], dim=3)), "png")


def _commit(
    api: HfApi, repo: str, kind: str, files: dict[str, bytes | Path], message: str, gone: Iterable[str] = ()
) -> str:
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(name, content) for name, content in sorted(files.items())
    ]
    operations += [CommitOperationDelete(name) for name in sorted(gone)]
    return api.create_commit(repo, operations, commit_message=message, repo_type=kind).oid


# Cards -------------------------------------------------------------------------------------------------------------


def _with_sample(card: str, repo: str) -> str:
    """A card with the sample picture above its scores."""
    name = repo.partition("/")[2]
    return card.replace("## Scores\n", f"![Input and result of {name}](sample.png)\n\n## Scores\n", 1)


def _front_page(api: HfApi, space: str) -> str:
    """The README with the front matter of a Space: the models that it uses, fetched as they are when it is built."""
    namespace = space.partition("/")[0]
    card = RepoCard((ROOT / "README.md").read_text(encoding="utf-8"))
    card.data.python_version, card.data.suggested_hardware = PYTHON, HARDWARE
    card.data.thumbnail = hf_hub_url(space, THUMBNAIL, repo_type="space")
    card.data.models, card.data.preload_from_hub = [], []
    for weights in sorted(bundled().glob("*/model.safetensors")):
        repo = f"{namespace}/{weights.parent.name}"
        try:
            commit = api.model_info(repo).sha
        except RepositoryNotFoundError:  # a Space that asks for it could not be built
            continue
        card.data.models.append(repo)
        card.data.preload_from_hub.append(f"{repo} {','.join(WEIGHTS)} {commit}")
    return str(card)


def _tracked() -> list[Path]:
    """The files of the page, relative to the root: what git tracks, or without git what is not hidden or compiled."""
    listed = subprocess.run(["git", "ls-files", "-z", *PARTS], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        return [Path(name) for name in listed.stdout.split("\0") if name]
    found = (path.relative_to(ROOT) for part in PARTS for path in [ROOT / part, *(ROOT / part).rglob("*")])
    return [path for path in found if (ROOT / path).is_file() and "__pycache__" not in path.parts]


if __name__ == "__main__":
    sys.exit(main())
