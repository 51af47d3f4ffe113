"""A time by which a job has ended: with the best that it has by then, or with a sentence."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from restoration.tiling import Progress

Step, Outcome = TypeVar("Step"), TypeVar("Outcome")


def within(
    job: Generator[Progress, None, Outcome],
    seconds: float,
    late: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Progress, None, Outcome]:
    """The same job, which ends after so many seconds; looked at whenever it yields.

    Args:
        late: called when the best so far becomes the result.
        clock: seconds, for tests.

    Raises:
        ValueError: the time is up, and stopping gives nothing.
    """
    started = clock()
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            return end.value
        if clock() - started > seconds:
            job.close()
            if step.so_far is None:
                raise ValueError(time_is_up(seconds))
            late()
            return step.so_far
        yield step


def steps_within(
    work: Generator[Step, None, object], seconds: float, clock: Callable[[], float] = time.monotonic
) -> Generator[Step, None, bool]:
    """What a work yields in so many seconds, then it is closed; gives whether it came to its end."""
    started = clock()
    with closing(work):
        for step in work:
            yield step
            if clock() - started > seconds:
                return False
    return True


def time_is_up(seconds: float) -> str:
    """What is said of a job that was stopped."""
    return f"A run gets {seconds:g} s here, and this one needs more: try a smaller picture or a faster model."
