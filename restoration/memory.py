"""How the C library keeps memory: what a job frees serves the next tile, and goes back to the system after the job.

By default glibc asks the system for every large block anew and returns it at once; the page faults of that cost a
network on the processor about a quarter of its time.  Where the C library is another one, nothing is changed.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_LARGE = 1 << 30  # bytes; the highest that mallopt takes as an int, about


def keep() -> None:
    """Keep freed memory for what comes next, until `give_back`; for programs, at their start."""
    library = _glibc()
    if library is not None:
        for parameter in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            library.mallopt(parameter, _LARGE)


def give_back() -> None:
    """Return freed memory to the system."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
