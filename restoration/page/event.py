"""The run that goes on, as Gradio's queue has it, what share of the machine it has, and its record."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from gradio.context import LocalContext
from gradio.queueing import Event, Queue

from restoration import limits
from restoration.deadline import Outcome, Step, steps_within, within
from restoration.orders import Order
from restoration.page.countdown import Countdown
from restoration.page.parts import MODEL, opened
from restoration.recording import Log, kept, recorded
from restoration.records import WAITING
from restoration.tiling import Progress

BEST_BY_THEN = "A run gets {:g} s here: this is the best that it had then."


def current_event() -> Event | None:
    """What runs at the moment; None outside the queue."""
    page, id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    return page._queue.event_ids_to_events.get(id) if page and id else None


def active(queue: Queue) -> Iterator[Event]:
    """What goes on at the moment, runs and all else."""
    return (event for job in queue.active_jobs for event in job or ())


def runs_of(queue: Queue) -> list[Event]:
    """The runs that go on at the moment."""
    return [event for event in active(queue) if event.concurrency_id == MODEL]


def going() -> int:
    """How many runs go on at the moment, this one among them."""
    page = LocalContext.blocks.get(None)
    return max(1, len(runs_of(page._queue))) if page else 1


class Work:
    """The seconds that a run has had the machine for itself: of two at once, each has it for half of the time.

    Args:
        clock: seconds.
        going: how many runs go on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, going: Callable[[], int] = going):
        self.clock, self.going, self.last, self.done = clock, going, clock(), 0.0

    def __call__(self) -> float:
        now = self.clock()
        self.done += (now - self.last) / self.going()
        self.last = now
        return self.done


def countdown(expected: float | None) -> Countdown:
    """Of a run that is expected to take so many seconds by itself, None where that is unknown."""
    return Countdown(expected and expected * going())


def in_time(
    job: Generator[Progress, None, Outcome], late: Callable[[str], object]
) -> Generator[Progress, None, Outcome]:
    """A job that ends when a run's time is up; see `within`.

    Args:
        late: is told when the best so far becomes the result.
    """
    seconds = limits.in_force().deadline
    return within(job, seconds, lambda: late(BEST_BY_THEN.format(seconds)), Work())


def steps_in_time(work: Generator[Step, None, object]) -> Generator[Step, None, bool]:
    """What a work yields until a run's time is up; see `steps_within`."""
    return steps_within(work, limits.in_force().deadline, Work())


@contextmanager
def logged(order: Order, file: str) -> Iterator[Log]:
    """Record a run of an order on a file, with the seconds for which it waited in the queue; see `recorded`."""
    event = current_event()
    waited = time.monotonic() - event.enqueue_time if event else 0.0
    with recorded(order, file, kept(), opened) as log:
        log.seconds[WAITING] = max(0.0, waited)
        yield log
