"""The results of the last runs, so that settings which need no model move without it: so many bytes for all visitors.

The oldest go first, and none stays longer than its files do.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from restoration import cleaning, memory
from restoration.catalog import Method

BYTES = 512 * 2**20  # of all results together
AGAIN = "This result is no longer kept here: run it again."


class Shelf:
    """Keeps things by name, the youngest of them.

    Args:
        most: bytes of all; a thing that is larger by itself is not kept.
        seconds: for which a thing is kept that nobody asks for.
        clock: seconds, for tests.
    """

    def __init__(self, most: int = BYTES, seconds: float | None = None, clock: Callable[[], float] = time.monotonic):
        self.most, self.clock = most, clock
        self.seconds = cleaning.limits()[1] if seconds is None else seconds
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def put(self, name: str, thing: object) -> None:
        """Keep a thing, instead of what had its name."""
        with self._lock:
            self._kept.pop(name, None)
            self._kept[name] = _Kept(thing, size_of(thing), self.clock())
            self._forget()

    def get(self, name: str) -> object | None:
        """The thing of a name, which is young again; None if it is not kept any more."""
        with self._lock:
            self._forget()
            if name not in self._kept:
                return None
            self._kept.move_to_end(name)
            self._kept[name].used = self.clock()
            return self._kept[name].thing

    @property
    def bytes(self) -> int:
        """Of all that is kept."""
        with self._lock:
            return sum(kept.bytes for kept in self._kept.values())

    def _forget(self) -> None:
        """Let go what is too old or too much, and come back for the rest."""
        now, before = self.clock(), len(self._kept)
        total = sum(kept.bytes for kept in self._kept.values())
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if total <= self.most and now - oldest.used < self.seconds:
                break
            total -= oldest.bytes
            self._kept.popitem(last=False)
        if len(self._kept) < before:
            memory.give_back()
        if self._kept and not (self._timer and self._timer.is_alive()):
            self._timer = threading.Timer(self.seconds, self._sweep)
            self._timer.daemon = True
            self._timer.start()

    def _sweep(self) -> None:
        with self._lock:
            self._timer = None
            self._forget()


@dataclass
class _Kept:
    thing: object
    bytes: int
    used: float


def size_of(thing: object) -> int:
    """Bytes of the pictures in a thing, of those that are in it twice once; models are no part of it."""
    found: dict[int, int] = {}
    seen: set[int] = set()

    def look(part: object) -> None:
        if id(part) in seen or isinstance(part, Method | nn.Module | type) or callable(part):
            return
        seen.add(id(part))
        if isinstance(part, np.ndarray):
            while isinstance(part.base, np.ndarray):
                part = part.base
            found[id(part)] = part.nbytes
        elif isinstance(part, Tensor):
            storage = part.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        elif isinstance(part, bytes | bytearray | str):
            found[id(part)] = len(part)
        elif isinstance(part, Mapping):
            for inner in part.values():
                look(inner)
        elif isinstance(part, list | tuple | set | frozenset):
            for inner in part:
                look(inner)
        else:
            for inner in getattr(part, "__dict__", {}).values():
                look(inner)
            for name in getattr(type(part), "__slots__", ()):
                look(getattr(part, name, None))

    look(thing)
    return sum(found.values())


_shelf: Shelf | None = None


def results() -> Shelf:
    """Where this program keeps results."""
    global _shelf
    _shelf = _shelf or Shelf()
    return _shelf
