"""Where results go: names that nothing has yet, results that are there already, and files that are results themselves.

Whatever a run did not make is not overwritten by it, unless that is asked for; a run's own inputs are not even then.
"""

import copy
import hashlib
import os
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from itertools import count
from pathlib import Path

from restoration import catalog, tasks
from restoration.image import Image, ImageError
from restoration.inpainting import Mask
from restoration.orders import Order
from restoration.receipts import read_receipt, weights_of
from restoration.saving import save

RECEIPTS = ".receipt.json"  # ends the names of the receipts
LONGEST = 255  # bytes of a file name, on nearly every file system


def legible(text: str) -> str:
    """A text that any encoding, table and terminal takes: bytes of names that are no UTF-8, and controls, escaped."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        repr(letter)[1:-1] if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter for letter in text
    )


class Targets:
    """The names of a run's results.

    Args:
        inputs: files that the run reads, which it never overwrites.
        overwrite: whether files that the run did not make may be replaced otherwise.
        receipts: whether a receipt goes beside each result.
    """

    def __init__(self, inputs: Iterable[Path], *, overwrite: bool = False, receipts: bool = True):
        self.overwrite, self.receipts = overwrite, receipts
        self._inputs = {place for path in inputs if (place := _place(path))}
        self._made: set[str] = set()
        self._cut_short: set[str] = set()

    def anew(self) -> "Targets":
        """The same for other files, with nothing made yet."""
        other = copy.copy(self)
        other._made = set()
        return other

    def choose(
        self, folder: Path, name: str, ending: str, order: Order, image: Image, hole: Mask | None
    ) -> tuple[Path, bool]:
        """Where in a folder the result of an order on a picture goes, and whether it is there already.

        That is `<name>_<suffix><ending>`, or with a number where something else has that name; too long a name is cut.

        Args:
            hole: see `Order.run`.
        """
        for number in count(1):
            target = self._named(folder, name, ending, order, number)
            earlier = None if self.overwrite or not self._is_earlier(target) else receipt_of(target)
            if earlier and tells_of(earlier, order.facts(image, hole)):
                if not self._lacks_receipt(target):
                    self._made.add(_key(target))  # not the next one's too
                    return target, True
                self._cut_short.add(_key(target))
                return target, False
            if all(self._is_free(path) for path in (target, *([beside(target)] if self.receipts else []))):
                return target, False

    def earlier(self, folder: Path, name: str, ending: str, order: Order, digest: str) -> Path | None:
        """The result of an order on a file which is there already, without a look at the picture.

        Args:
            digest: of the file.
        """
        for number in count(1):
            target = self._named(folder, name, ending, order, number)
            if _key(target) in self._made:
                continue
            if not target.is_file():
                return None
            receipt = receipt_of(target)
            if receipt and receipt["input"].get("file_sha256") == digest:
                known = {"model": order.model, "settings": dict(order.settings), "task": order.task}
                if tells_of(receipt, known | {"input": receipt["input"]}) and not self._lacks_receipt(target):
                    self._made.add(_key(target))
                    return target

    def save(self, content: bytes, path: Path) -> None:
        """Write a file of the run's own.

        Raises:
            ImageError: there is one that may not be replaced, no such folder, or no room.
        """
        save(content, path, overwrite=self.overwrite or _key(path) in self._cut_short)
        self._made.add(_key(path))

    def _named(self, folder: Path, name: str, ending: str, order: Order, number: int) -> Path:
        rest = f"_{order.suffix}{f'-{number}' if number > 1 else ''}{ending}"
        return folder / (_shortened(name, rest + RECEIPTS) + rest)

    def _lacks_receipt(self, target: Path) -> bool:
        """Whether a run was ended between a result and its receipt."""
        return self.receipts and not os.path.lexists(beside(target))

    def _is_earlier(self, path: Path) -> bool:
        return _key(path) not in self._made and path.is_file()

    def _is_free(self, path: Path) -> bool:
        if _key(path) in self._made:
            return False
        return not os.path.lexists(path) or (self.overwrite and not path.is_dir() and _place(path) not in self._inputs)


def beside(target: Path) -> Path:
    """Where the receipt of a result goes."""
    return target.with_name(target.name + RECEIPTS)


def receipt_of(path: Path) -> dict | None:
    """The receipt of a file, from inside it or from beside it; None for a file that is no result of ours."""
    try:
        return read_receipt(path)
    except ValueError:
        pass
    try:
        receipt = read_receipt(beside(path))
        return receipt if receipt["file"]["sha256"] == file_digest(path) else None
    except (ValueError, KeyError, TypeError, OSError):
        return None


def tells_of(receipt: dict, facts: dict) -> bool:
    """Whether a receipt is of what another run would give again.

    Args:
        facts: what is known of that before it, see `Order.facts`.
    """
    try:
        steps = receipt.get("steps", {"done": 0, "planned": 0})
        ordered = [(one["model"], one["settings"]) for one in (receipt, receipt.get("asked", receipt))]
        return (
            steps["done"] == steps["planned"]
            and (facts["model"], facts["settings"]) in ordered
            and all(_value(receipt, name) == _value(facts, name) for name in ("task", "input", "hole", "avoid"))
            and _is_up_to_date(receipt)
        )
    except (KeyError, TypeError, ValueError, AttributeError):  # a stranger's
        return False


def _is_up_to_date(receipt: dict) -> bool:
    """Whether a run, and every step of a chain, would take the same methods and weights today."""
    chain = receipt.get("chain", [])
    steps = tasks.named(receipt["task"]).orders(receipt["settings"]) if chain else []
    return [(part["task"], part["model"]) for part in chain] == [(step.task, step.model) for step in steps] and all(
        _hashes(part["weights"]) == _hashes(weights_of(catalog.method(part["task"], part["model"])))
        for part in (receipt, *chain)
    )


def _hashes(weights: list[dict] | None) -> list[str]:
    return sorted(one["sha256"] for one in weights or ())


class OwnResults:
    """Tells which of a run's inputs are results of earlier runs, which are not restored again.

    That is a result of the same task that lies where its own result would go, or whose own picture is an input too.

    Args:
        files: of the run, which can be gone through again.
    """

    def __init__(self, files: Iterable[Path], task: str):
        self.files, self.task = files, task

    def has(self, file: Path, folder: Path) -> bool:
        """Whether a file is one.

        Args:
            folder: where its result would go.
        """
        receipt = receipt_of(file) if file.is_file() else None
        if receipt is None or receipt["task"] != self.task:
            return False
        return file.resolve().parent == folder.resolve() or receipt["input"].get("file_sha256") in self._digests

    @cached_property
    def _digests(self) -> set[str]:
        return {file_digest(file) for file in self.files if file.is_file()}


def file_digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal; empty for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def refuse_taken(target: Path, *, receipt: bool = True) -> None:
    """Refuse to write where there is something already.

    Raises:
        ImageError: there is.
    """
    for path in (target, *([beside(target)] if receipt else [])):
        if os.path.lexists(path):
            raise ImageError(f"There is a {path.name} already; choose another name, or --overwrite.")


def _value(receipt: dict, name: str) -> object:
    if name == "input":
        return receipt["input"]["sha256"]
    if name in ("hole", "avoid"):
        return receipt.get(f"{name}_sha256")
    return receipt.get(name)


def _key(path: Path) -> str:
    """What tells two paths apart, also where names differ in case alone."""
    return str(path).lower()


def _place(path: Path) -> tuple[int, int] | None:
    """What a path and all links to it lead to; None for nothing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _shortened(name: str, rest: str) -> str:
    """The name, cut so that it makes a file name with the rest: between letters, whatever the system takes for one."""
    whole = os.fsencode(name)
    room = LONGEST - len(os.fsencode(rest))
    if len(whole) <= room:
        return name
    try:
        whole.decode("utf-8")
    except UnicodeDecodeError:
        return os.fsdecode(whole[:room])
    return os.fsdecode(whole[:room].decode("utf-8", "ignore").encode())
