"""Files and folders that lie elsewhere, such as s3:// and hf://, where fsspec reads and writes them.

A file comes to this machine to be restored, and its result goes there; what the folder of results holds of earlier
runs comes along, so that nothing is overwritten and nothing done twice.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path, PurePath

import fsspec
from fsspec.core import url_to_fs

from restoration.image import ImageError

Place = Path | str  # a path of this machine, or a URL


def place(text: str) -> Place:
    """A path, or a URL that fsspec takes."""
    return text.rstrip("/") if "://" in text else Path(text)


def is_folder(where: Place) -> bool:
    """Whether there is a folder."""
    if isinstance(where, Path):
        return where.is_dir()
    files, root = system_of(where)
    return files.isdir(root)


def name_of(where: Place) -> str:
    """The last part of a place."""
    return where.resolve().name if isinstance(where, Path) else where.rpartition("/")[2]


def system_of(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL, and the path in it.

    Raises:
        ImageError: fsspec knows no such kind, or a package for it is missing.
    """
    try:
        files, root = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ImageError(f"{url.partition('://')[0]}:// cannot be opened: {error}") from None
    return files, root.rstrip("/")


def walk(url: str, without: str) -> Iterator[tuple[str, PurePath]]:
    """The files in a folder elsewhere, in the order of their paths: their URLs, and where they lie in it.

    Args:
        without: URL of a folder whose files are left out.
    """
    files, root = system_of(url)
    left_out = system_of(without)[1] if "://" in without else None

    def inside(folder: str) -> Iterator[str]:
        for entry in sorted(files.ls(folder, detail=True), key=lambda entry: entry["name"].rstrip("/")):
            name = entry["name"].rstrip("/")
            if entry["type"] != "directory":
                yield name
            elif name != left_out:
                yield from inside(name)

    for name in inside(root):
        yield files.unstrip_protocol(name), PurePath(name[len(root) :].lstrip("/"))


def head(url: str, count: int) -> bytes:
    """The first bytes of a file; none of one that cannot be read."""
    files, name = system_of(url)
    with suppress(OSError):
        return files.read_block(name, 0, count)
    return b""


class Stage:
    """Where one file after another is restored: where it lies, or in a folder of this machine if that is elsewhere.

    Args:
        output: of the results.
    """

    def __init__(self, output: Place):
        self.output = output

    @cached_property
    def _folder(self) -> Path:
        self._kept = tempfile.TemporaryDirectory(prefix="restoration-")  # goes when this does
        return Path(self._kept.name)

    @contextmanager
    def of(self, file: Place, parent: PurePath, start: str) -> Iterator[tuple[Path, Path]]:
        """Within this, the file, and the folder where its result goes.

        Args:
            parent: folder of the result within that of all results.
            start: what the names of a file's results start with.
        """
        if isinstance(file, Path) and isinstance(self.output, Path):
            yield file, self.output / parent
            return
        try:
            if isinstance(file, str):
                file = self._fetched(file, self._folder / "in")
            if isinstance(self.output, Path):
                yield file, self.output / parent
                return
            results = self._folder / "out" / parent
            for url in self._earlier(parent, start):
                self._fetched(url, results)
            yield file, results
        finally:
            for folder in ("in", "out"):
                shutil.rmtree(self._folder / folder, ignore_errors=True)

    def lies_there(self, file: Place, parent: PurePath) -> bool:
        """Whether a file elsewhere lies where its result would go."""
        if isinstance(file, Path) or isinstance(self.output, Path):
            return False
        return system_of(file)[1].rpartition("/")[0] == self._there(parent)

    def publish(self, file: Path) -> None:
        """Send a file to where the results go, if that is elsewhere.

        Raises:
            ImageError: it could not be written.
        """
        if isinstance(self.output, Path):
            return
        files, name = system_of(self.at(file))
        try:
            files.makedirs(name.rpartition("/")[0], exist_ok=True)
            files.put_file(str(file), name)
        except Exception:  # of any kind, as there are many file systems
            raise ImageError(f"{file.name} could not be written to {self.output}.") from None

    def at(self, file: Path) -> Place:
        """Where a file of the stage lies among the results."""
        if isinstance(self.output, Path):
            return file
        return f"{self.output}/{file.relative_to(self._folder / 'out').as_posix()}"

    def _there(self, parent: PurePath) -> str:
        """The path of a folder of the results elsewhere."""
        return f"{system_of(self.output)[1]}/{parent.as_posix()}".removesuffix("/.")

    def _earlier(self, parent: PurePath, start: str) -> Iterator[str]:
        files, _ = system_of(self.output)
        with suppress(FileNotFoundError):
            for name in files.ls(self._there(parent), detail=False):
                if name.rpartition("/")[2].lower().startswith(start.lower()):
                    yield files.unstrip_protocol(name)

    def _fetched(self, url: str, folder: Path) -> Path:
        files, name = system_of(url)
        folder.mkdir(parents=True, exist_ok=True)
        here = folder / name.rpartition("/")[2]
        try:
            files.get_file(name, str(here))
        except FileNotFoundError:
            raise ImageError(f"There is no file called {here.name}.") from None
        except Exception:  # of any kind, as there are many file systems
            raise ImageError(f"{here.name} could not be fetched from where it lies.") from None
        return here
