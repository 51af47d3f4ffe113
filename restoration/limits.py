"""How the visitors of a public page share its worker: the usual limits, and what the environment says instead."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf, isfinite
from urllib.parse import urlsplit

from restoration import memory

REQUEST_BYTES = 64 * 2**20  # that can be sent at once, on any machine
TEXT_BYTES = 4 * 2**20  # of a request that is no upload, and of what is no file in one

# Numbers that gradio reads when it is imported, with a traceback where one is none.
_OF_GRADIO = (
    "GRADIO_SERVER_PORT",
    "GRADIO_NUM_PORTS",
    "GRADIO_ANALYTICS_MAX_EVENTS",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY",
)


@dataclass(frozen=True)
class Limits:
    """What a visitor may take; infinite where nothing is limited, as on one's own machine.

    Args:
        deadline: seconds of work that a job gets.  `RESTORATION_DEADLINE`
        unheard: seconds after which a job that nobody listens to gives way to one that waits.  `RESTORATION_UNHEARD`
        waiting: jobs of a session that may wait.  `RESTORATION_WAITING`
        looks: calls of an address that may wait and run no model.  `RESTORATION_LOOKS`
        runs: that an address may start in a window.  `RESTORATION_RUNS`
        megabytes: that an address may send in a window.  `RESTORATION_MEGABYTES`
        window: seconds.  `RESTORATION_WINDOW`
        at_once: runs that go on at the same time and share the machine, up to `MOST_AT_ONCE`; by default as many as the
            machine has processors and memory for.  `RESTORATION_AT_ONCE`
        patience: seconds in which something of a request has to come, on any machine.  `RESTORATION_PATIENCE`
        proxied: 1 where a proxy of the platform stands in front of the page and ends `X-Forwarded-For` with the address
            that it was asked from; elsewhere that header says what a visitor likes.  `RESTORATION_PROXIED`
    """

    deadline: float = inf
    unheard: float = inf
    waiting: float = inf
    looks: float = inf
    runs: float = inf
    megabytes: float = inf
    window: float = 600
    at_once: float = 1
    patience: float = 30
    proxied: float = 0


MOST_AT_ONCE = 2  # runs
MAX_OUTPUT_MEGAPIXELS = 64
WAITING = 20  # runs of all visitors that may wait for the model
PUBLIC = Limits(deadline=120, unheard=10, waiting=2, looks=40, runs=30, megabytes=200)


def chosen(
    public: bool = False,
    deadline: float | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    tunnel: bool = False,
) -> Limits:
    """The limits for a start of the page.

    Args:
        public: whether strangers may come; on a Space, or through a tunnel, they always may.
        deadline: see `Limits`, instead of what the environment says.
        tunnel: whether a proxy brings the visitors, as on a Space.

    Raises:
        ValueError: a variable holds no such number.
    """
    brought = tunnel or "SPACE_ID" in environment
    usual = replace(PUBLIC if public or brought else Limits(), proxied=int(brought), at_once=_room())
    found = {
        field.name: _number(f"RESTORATION_{field.name.upper()}", environment)
        for field in fields(Limits)
        if environment.get(f"RESTORATION_{field.name.upper()}", "").strip()
    }
    limits = replace(usual, **found)
    limits = replace(limits, at_once=int(min(max(1, limits.at_once), MOST_AT_ONCE)))
    return limits if deadline is None else replace(limits, deadline=deadline)


_in_force = Limits()


def in_force() -> Limits:
    """The limits of this program: none, unless `put_in_force` was called."""
    return _in_force


def put_in_force(limits: Limits) -> None:
    """Let limits hold in this program."""
    global _in_force
    _in_force = limits


def complaint(environment: Mapping[str, str] = os.environ) -> str:
    """What is wrong with the variables that are read elsewhere, in a sentence; empty if nothing is."""
    for name in _OF_GRADIO:
        text = environment.get(name, "0")
        if not text.strip().isdecimal() or (name.endswith("PORT") and int(text) > 65535):
            return f"{name} is a whole number{' up to 65535' if name.endswith('PORT') else ''}, not {text!r}."
    for origin in environment.get("RESTORATION_ORIGINS", "").replace(",", " ").split():
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
            return f"RESTORATION_ORIGINS lists origins such as https://example.org, not {origin!r}."
    for item in filter(None, environment.get("RESTORATION_REVISIONS", "").split(",")):
        name, _, revision = item.strip().partition("=")
        if not (name and revision):
            return f"RESTORATION_REVISIONS lists checkpoints such as drunet-fast=1a2b3c, not {item.strip()!r}."
    if os.path.isdir(environment.get("RESTORATION_RECORDS", "")):
        return "RESTORATION_RECORDS names a file, not a folder."
    return ""


def processors() -> int:
    """How many this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _room() -> int:
    """How many runs this machine has room for at once."""
    room = memory.workers(MAX_OUTPUT_MEGAPIXELS)
    return max(1, min(MOST_AT_ONCE, processors(), MOST_AT_ONCE if room is None else room))


def _number(name: str, environment: Mapping[str, str]) -> float:
    text = environment[name]
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (value >= 0 and (isfinite(value) or value == inf)):
        raise ValueError(f"{name} is a number from 0 on, or inf for no limit, not {text!r}.")
    return value
