"""The run that goes on, as Gradio's queue has it, and its record."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from gradio.context import LocalContext
from gradio.queueing import Event

from restoration.orders import Order
from restoration.recording import Log, kept, recorded
from restoration.records import WAITING


def current_event() -> Event | None:
    """What runs at the moment; None outside the queue."""
    page, id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    return page._queue.event_ids_to_events.get(id) if page and id else None


@contextmanager
def logged(order: Order, file: str) -> Iterator[Log]:
    """Record a run of an order on a file, with the seconds for which it waited in the queue; see `recorded`."""
    event = current_event()
    waited = time.monotonic() - event.enqueue_time if event else 0.0
    with recorded(order, file, kept()) as log:
        log.seconds[WAITING] = max(0.0, waited)
        yield log
