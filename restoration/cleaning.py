"""What visitors leave on the disk is deleted in time: uploads, halves of them, results, and what a killed server left.

Everything lies in one folder of the page's own.  A file is deleted when nobody touched it for long enough; what the
page itself needs is touched by every sweep.  So servers may share a folder, and one finds what another left.
"""

import atexit
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROMISED_SECONDS = 1800  # after which a visitor's files are gone, as the page says
PREFIX = "restoration-page-"  # begins the names of folders that servers make for themselves
MARK = ".restoration-page"  # a file that tells such a folder from one that happens to be called so


def limits(environment: MutableMapping[str, str] = os.environ) -> tuple[int, int]:
    """How often to sweep, and the age at which a sweep deletes, in seconds; together at most what is promised.

    `RESTORATION_KEEP_SECONDS` makes the promise shorter.

    Raises:
        ValueError: it is no whole number from 2 on.
    """
    text = environment.get("RESTORATION_KEEP_SECONDS", str(PROMISED_SECONDS))
    if not text.isdecimal() or int(text) < 2:
        raise ValueError(f"RESTORATION_KEEP_SECONDS is a whole number of seconds from 2 on, not {text}.")
    promised = min(int(text), PROMISED_SECONDS)
    every = max(1, promised // 6)
    return every, promised - every


@dataclass
class Cleaner:
    """Keeps the folder of a server clean, and those that killed servers left.

    Args:
        root: everything that the server writes for its visitors lies under it.
        work: in it, where Python's `tempfile` makes its files; of this server alone.
        abandoned: folder in which servers make their own roots; None to look nowhere else.
        every: seconds between two sweeps.
        keep: seconds for which a file stays.
        needed: gives the files that the page itself needs.
    """

    root: Path
    work: Path
    abandoned: Path | None
    every: int
    keep: int
    needed: Callable[[], Iterable[str]] = tuple

    def start(self, needed: Callable[[], Iterable[str]]) -> None:
        """Sweep now, and again and again while the program runs.

        Args:
            needed: see the class; to be called when all that the page needs is there.
        """
        own = [str(path) for path in self.work.rglob("*")]
        self.needed = lambda: [*own, *needed()]
        self.sweep()
        threading.Thread(target=self._go_on, daemon=True).start()

    def sweep(self) -> None:
        """Delete what is too old."""
        needed = {*self.needed(), *map(str, (self.root, self.root / MARK, self.root / "files", self.work))}
        for path in needed:
            with suppress(OSError):
                os.utime(path)
        sweep(self.root, self.keep, needed)
        for other in _left(self.abandoned) if self.abandoned else ():
            if other != self.root:
                sweep(other, self.keep, {str(other / MARK)})
                if [path.name for path in other.iterdir()] == [MARK] and _age(other / MARK) > self.keep:
                    shutil.rmtree(other, ignore_errors=True)

    def _go_on(self) -> None:
        while True:
            time.sleep(self.every)
            with suppress(OSError):
                self.sweep()


def prepare(environment: MutableMapping[str, str] = os.environ) -> Cleaner:
    """Choose the folder for all that visitors send and get, and let gradio and `tempfile` use it.

    That is the one that `GRADIO_TEMP_DIR` names, in which everything is swept, or a new one in the system's.

    Raises:
        ValueError: it cannot be written, or see `limits`.
    """
    every, keep = limits(environment)
    system = Path(tempfile.gettempdir())
    given = environment.get("GRADIO_TEMP_DIR")
    if given:
        root = Path(given).absolute()
        root = root / "restoration-page" if _holds_more(root, system) else root
        try:
            root.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix="work-", dir=root))
        except OSError as error:
            raise ValueError(f"GRADIO_TEMP_DIR names {given}, which cannot be written: {error.strerror}.") from None
        atexit.register(shutil.rmtree, work, ignore_errors=True)
    else:
        root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=system))
        (root / MARK).touch()
        work = Path(tempfile.mkdtemp(prefix="work-", dir=root))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
    (root / "files").mkdir(exist_ok=True)
    environment["GRADIO_TEMP_DIR"] = str(root / "files")
    tempfile.tempdir = str(work)
    return Cleaner(root, work, None if given else system, every, keep)


def sweep(folder: Path, seconds: float, needed: Iterable[str] = ()) -> None:
    """Delete every file under a folder that was not touched for so long, and every folder that was empty so long.

    Args:
        needed: paths that stay.
    """
    needed = set(needed)
    for inside, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(inside, name)
            if str(path) in needed or _age(path) <= seconds:
                continue
            with suppress(OSError):  # it is gone, in use, or not empty
                if name in folders and not path.is_symlink():
                    path.rmdir()
                else:
                    path.unlink()


def _age(path: Path) -> float:
    """Seconds since a path itself, not what it links to, was written or touched; negative if it is gone."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return -1.0


def _left(system: Path) -> list[Path]:
    """The folders that servers of this user made; nobody else can have put anything there."""
    found = []
    for path in system.glob(f"{PREFIX}*"):
        with suppress(OSError):
            facts = path.lstat()
            ours = not hasattr(os, "getuid") or (facts.st_uid == os.getuid() and not facts.st_mode & 0o077)
            if stat.S_ISDIR(facts.st_mode) and ours and (path / MARK).is_file():
                found.append(path)
    return found


def _holds_more(folder: Path, system: Path) -> bool:
    """Whether a folder certainly holds more than temporary files of the page."""
    folder = folder.resolve()
    places = [Path.home().resolve(), Path.cwd().resolve(), system.resolve(), Path(__file__).resolve()]
    return any(folder == place or folder in place.parents for place in places)
