"""Folders: what is in them, and what of that is a picture."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from restoration.decoding import kind_of
from restoration.files import ENDINGS, HEAD

_OF_SYSTEMS = ("thumbs.db", "desktop.ini")


def is_picture(path: Path) -> bool:
    """Whether a file holds a picture that can be read, by its first bytes, or is called as one."""
    if path.name.startswith("._") or path.name.lower() in _OF_SYSTEMS or not path.is_file():
        return False
    if path.suffix.lower() in ENDINGS:
        return True
    try:
        with path.open("rb") as file:
            return kind_of(file.read(HEAD)) is not None
    except OSError:
        return False


def walk(folder: Path, *, deep: bool = False) -> Iterator[Path]:
    """All but folders in a folder, in the order of their paths; folders that are links are left out.

    Args:
        deep: whether to look into the folders in it too, but for those that may not be read.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except PermissionError:
        if not deep:
            raise
        return
    for entry in found:
        if not entry.is_dir():
            yield folder / entry.name
        elif deep and not entry.is_symlink():
            yield from walk(folder / entry.name, deep=True)


def is_of_system(path: PurePath) -> bool:
    """Whether a file is one that systems leave in folders."""
    return path.name.startswith(".") or path.name.lower() in _OF_SYSTEMS


def pictures_in(folder: Path, *, deep: bool = False) -> tuple[list[Path], list[Path]]:
    """The pictures in a folder, in order, and what else is no folder, but for what systems leave there.

    Args:
        deep: see `walk`.
    """
    found, others = [], []
    for path in walk(folder, deep=deep):
        if is_picture(path):
            found.append(path)
        elif not is_of_system(path):
            others.append(path)
    return found, others
