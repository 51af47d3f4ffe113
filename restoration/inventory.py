"""The pictures among files and folders, walked through in order without a list of them all."""

import heapq
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import count
from pathlib import Path, PurePath

from restoration import remote
from restoration.decoding import kind_of
from restoration.files import ENDINGS, HEAD, file_size
from restoration.folders import is_of_system, is_picture, walk
from restoration.image import ImageError
from restoration.remote import Place, is_folder, name_of
from restoration.targets import RECEIPTS

REPORT = PurePath("report.csv")
KEPT_LETTERS = 60  # of names in which all files differ whose results' names, cut to what file systems take, do
LARGEST_LOOKED_AT = 64  # files, those of the most bytes, whose headers tell how large pictures are


@dataclass(frozen=True)
class Item:
    """One file of many.

    Args:
        index: its place among them, from 0.
        place: where it lies in the tree that it was found in, which its result keeps; its name for one on its own.
    """

    index: int
    file: Place
    place: PurePath

    @property
    def key(self) -> bytes:
        """What is the same for files whose results want the same name, long ones being cut."""
        wanted = self.place.parent / self.place.stem[:KEPT_LETTERS]
        return blake2b(os.fsencode(str(wanted).lower()), digest_size=8).digest()


@dataclass(frozen=True)
class Survey:
    """What a first walk through the files finds.

    Args:
        total: pictures, by their names or first bytes; files that were named one by one count without a look.
        left_out: other files in the folders.
        shared: keys that several pictures have.
        largest: the files of the most bytes.
    """

    total: int
    left_out: int
    shared: frozenset[bytes]
    largest: tuple[Place, ...]

    @property
    def megapixels(self) -> float:
        """Of the largest picture, by the headers of the largest files."""
        largest = 0.0
        for file in self.largest:
            with suppress(ImageError):  # a row will tell of it
                if isinstance(file, Path):
                    largest = max(largest, math.prod(file_size(file)) / 1e6)
        return largest


class Inventory:
    """The pictures among files and in folders, folders' in the order of their paths.

    Args:
        paths: files, taken as they are, and folders, which are searched with all that is in them; also URLs, see
            `remote`.
        output: folder of the results; where it lies inside one of the folders, what it holds is left out.
    """

    def __init__(self, paths: Sequence[Place], output: Place):
        self.paths, self.output = tuple(paths), output
        self._labels = _labels([path for path in self.paths if is_folder(path)])

    def __iter__(self) -> Iterator[Item]:
        return (Item(index, file, place) for index, (file, place) in enumerate(self._pictures()))

    @property
    def files(self) -> "Files":
        """Their paths alone, as often as one likes."""
        return Files(self)

    @cached_property
    def survey(self) -> Survey:
        """Walks through them once."""
        seen, shared, largest = set(), set(), []
        total = 0
        for item in self:
            total += 1
            (shared if item.key in seen else seen).add(item.key)
            heapq.heappush(largest, (_bytes_of(item.file), total, item.file))
            if len(largest) > LARGEST_LOOKED_AT:
                heapq.heappop(largest)
        return Survey(total, self._left_out, frozenset(shared), tuple(file for *_, file in largest))

    def _pictures(self) -> Iterator[tuple[Place, PurePath]]:
        self._left_out = 0
        for path in self.paths:
            if path not in self._labels:
                yield path, PurePath(name_of(path) if isinstance(path, str) else path.name)
                continue
            for file, place in self._here(path) if isinstance(path, Path) else remote.walk(path, str(self.output)):
                if is_picture(file) if isinstance(file, Path) else _is_picture(file, place):
                    yield file, self._labels[path] / place
                elif not is_of_system(place) and not is_ours(place):
                    self._left_out += 1

    def _here(self, folder: Path) -> Iterator[tuple[Path, PurePath]]:
        """The files in a folder of this machine, without results."""
        results = self.output.resolve() if isinstance(self.output, Path) else None
        inside = results is not None and folder.resolve() in results.parents
        for file in walk(folder, deep=True):
            if not (inside and results in file.resolve().parents):
                yield file, file.relative_to(folder)


class Files:
    """The paths of an inventory that lie on this machine."""

    def __init__(self, inventory: Inventory):
        self.inventory = inventory

    def __iter__(self) -> Iterator[Path]:
        return (item.file for item in self.inventory if isinstance(item.file, Path))


def _is_picture(url: str, place: PurePath) -> bool:
    """`is_picture`, for a file elsewhere."""
    if is_of_system(place):
        return False
    return place.suffix.lower() in ENDINGS or kind_of(remote.head(url, HEAD)) is not None


def is_ours(file: PurePath) -> bool:
    """Whether a file is called as the receipts and tables are that lie beside results."""
    return file.name.endswith(RECEIPTS) or (file.name.startswith(REPORT.stem) and file.suffix == REPORT.suffix)


def _labels(folders: Sequence[Place]) -> dict[Place, PurePath]:
    """The folder of the output that each folder's results go into: of several, one each that is called alike."""
    labels: dict[Place, PurePath] = {}
    for folder in dict.fromkeys(folders):
        name = name_of(folder)
        names = (PurePath(f"{name}-{number}" if number > 1 else name) for number in count(1))
        labels[folder] = next(name for name in names if name not in labels.values())
    return labels if len(labels) > 1 else dict.fromkeys(labels, PurePath())


def _bytes_of(file: Place) -> int:
    if not isinstance(file, Path):
        return 0
    try:
        return file.stat().st_size
    except OSError:
        return 0
