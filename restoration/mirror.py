"""A copy of the records on the Hub, as JSON lines in a private dataset."""

import logging
import secrets
from pathlib import Path

from huggingface_hub import CommitScheduler, HfApi

EVERY = 5  # minutes between two copies on the Hub


class Scheduler(CommitScheduler):
    """huggingface_hub's, for which a failing Hub is a line in the log: the next commit brings what this one did not."""

    def push_to_hub(self) -> object:
        try:
            return super().push_to_hub()
        except Exception as error:  # whatever a network can do
            logging.getLogger(__name__).warning("The records were not copied to the Hub: %s.", type(error).__name__)
            return None


MIRRORS: dict[Path, Scheduler | None] = {}  # by folder; None is one that the Hub has not taken yet


def mirror(path: Path, repo: str, token: str) -> CommitScheduler | None:
    """Copy the runs of a database to a private dataset on the Hub from now on; None if the Hub does not let us.

    It waits for the Hub, so start-up calls it in a thread; after None it may be called again, and what was added
    meanwhile is copied then. A dataset that is not private is left alone.

    Args:
        path: of the database or its folder.
        repo: `user/name` of the dataset, made if there is none.
        token: without one nothing happens.
    """
    if not (repo and token):
        return None
    path = Path(path).absolute()
    folder = mirrored(path / "any" if path.is_dir() else path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if MIRRORS.setdefault(folder, None):
            return MIRRORS[folder]
        hub = HfApi(token=token)
        hub.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        if not hub.dataset_info(repo).private:
            return None
        MIRRORS[folder] = Scheduler(
            repo_id=repo, repo_type="dataset", private=True, folder_path=folder, every=EVERY, token=token, hf_api=hub
        )
        return MIRRORS[folder]
    except Exception:  # whatever a disk, a network and a stranger's answer can do
        return None


def mirrored(path: Path) -> Path:
    """The folder of what goes to the Hub, beside the database."""
    return path.parent.resolve() / "mirror"


def new_lines() -> str:
    """A file name that no other process uses."""
    return f"records-{secrets.token_hex(8)}.jsonl"
