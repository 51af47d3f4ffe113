"""How the C library keeps memory: what a job frees serves the next tile, and goes back to the system after the job.

By default glibc asks the system for every large block anew and returns it at once; the page faults of that cost a
network on the processor about a quarter of its time.  Where the C library is another one, nothing is changed.
"""

import ctypes
import gc
import os
from pathlib import Path

BASE_BYTES, BYTES_A_PIXEL = 7e8, 15  # memory of a run, and of a pixel of its result, measured from 12 to 40 megapixels

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3)
_LARGE = 1 << 30  # bytes; the highest that mallopt takes as an int, about
PREPARED = {"LRU_CACHE_CAPACITY": "64", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}  # places for what was prepared


def keep() -> None:
    """Keep freed memory for what comes next, until `give_back`; for programs, at their start.

    All threads share what is kept: of one store for each, every one would hold the remains of the largest jobs.

    What is loaded by then, which stays, is no longer searched for garbage: 0.1 s every time.

    PyTorch keeps what it prepared for convolutions of every size, in each thread, and oneDNN for all: pictures of many
    sizes fill 1,024 places each, which are hundreds of MiB; with 64 no run is slower.
    """
    for name, places in PREPARED.items():
        os.environ.setdefault(name, places)
    library = _glibc()
    if library is not None:
        for parameter in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            library.mallopt(parameter, _LARGE)
        library.mallopt(_ARENA_MAX, 1)
    gc.freeze()


def give_back() -> None:
    """Return freed memory to the system."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def held() -> float | None:
    """Bytes of memory that the program holds; None where that is unknown."""
    kibibytes = _number("/proc/self/status", "VmRSS:", 1024)
    return None if kibibytes is None else float(kibibytes)


def megapixels(scale: int = 1) -> float | None:
    """How many a picture may have for the memory that is free; None where that is unknown.

    Args:
        scale: size of the result / size of the picture.
    """
    free = _free()
    return None if free is None else max(1.0, (free - BASE_BYTES) / (BYTES_A_PIXEL * scale**2) / 1e6)


def workers(megapixels: float, scale: int = 1) -> int | None:
    """How many runs with pictures of so many megapixels fit into the memory that is free; None where that is unknown.

    Args:
        scale: see `megapixels`.
    """
    free = _free()
    return None if free is None else int(free / (BASE_BYTES + BYTES_A_PIXEL * scale**2 * megapixels * 1e6))


def _free() -> float | None:
    """Bytes that may still be used; None where that is unknown."""
    free = [_number("/proc/meminfo", "MemAvailable:", 1024)]
    limit, used = (_number(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit is not None and used is not None:
        free.append(limit - used)
    return min((value for value in free if value is not None), default=None)


def _number(file: str, word: str = "", unit: int = 1) -> int | None:
    """The number after a word in a file of the system; None without one."""
    try:
        text = Path(file).read_text()
        return int(text[text.index(word) + len(word) :].split()[0]) * unit
    except (OSError, ValueError, IndexError):
        return None


def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
