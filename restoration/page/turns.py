"""Whose turn it is: a run belongs to the click that started it, and to the picture that was there then.

Events reach the server in any order.  So the browser tells with each when it happened: a click ends the runs of the
same tab that were clicked before it, another picture those on the picture before, and nothing those clicked after it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from pathlib import Path

import gradio as gr

KEPT = 2000  # tabs of visitors whose last events are known

# In the browser: the last input becomes who the visitor is on this page, and when this happened, or the last click.
_WHEN = """(...values) => {
  window.visitor ??= Math.random().toString(36).slice(2);
  return [...values.slice(0, -1), `${window.visitor} ${%s}`];
}"""
NOW = _WHEN % "performance.timeOrigin + performance.now()"
CLICKED = _WHEN % "window.clickedAt"

_noted: OrderedDict[tuple[str, str], tuple[float, str | None]] = OrderedDict()
_lock = threading.Lock()


def ticket(when: str | None) -> tuple[str, float]:
    """Who and when, of what the browser told; nobody, at no time, for programs that tell nothing."""
    who, _, time = (when or "").partition(" ")
    try:
        return who[:40], float(time)
    except ValueError:
        return "", 0.0


def note(tab: str, when: str | None, path: str | None = None) -> None:
    """Note a click in a tab, or for a path the picture that has come."""
    who, time = ticket(when)
    if not who:
        return
    with _lock:
        if time >= _noted.get((who, tab), (0.0, None))[0]:
            _noted[who, tab] = time, path
            _noted.move_to_end((who, tab))
        while len(_noted) > KEPT:
            _noted.popitem(last=False)


def over(tab: str, when: str | None, path: str | None) -> bool:
    """Whether a run that was clicked then on a picture has had its turn."""
    who, time = ticket(when)
    last, picture = _noted.get((who, tab), (0.0, None))
    return last > time and not (picture and path and same_picture(picture, path))


def same_picture(one: str, other: str) -> bool:
    """Whether two files hold the same upload: they are one, or one was made of the other for the browser's sake."""
    first, second = Path(one), Path(other)
    converted = {first.suffix.lower(), second.suffix.lower()} & {".tif", ".tiff"}
    return one == other or (bool(converted) and first.stem == second.stem)


def bound(tab: str, handler: Callable[..., Generator]) -> Callable[..., Generator]:
    """A handler of runs, whose first input is the picture, that ends when its turn is over.

    It takes one more input, the last: when it was clicked, see `CLICKED`.
    """

    def run(progress=gr.Progress(), *values: object) -> Generator:
        *values, when = values
        path = values[0]
        work = handler(progress, *values)
        try:
            for outputs in work:
                if over(tab, when, path):
                    return
                yield outputs
        finally:
            work.close()

    return run


def clock() -> gr.Textbox:
    """The input that `NOW` and `CLICKED` fill."""
    return gr.Textbox(visible=False)
