"""Whose turn it is: a run belongs to the click that started it, and to the picture that was there then.

Events reach the server in any order.  So the browser tells with each when it happened: a click ends the runs of the
same tab that were clicked before it, so does Cancel, another picture ends those on the picture before, and nothing
ends those that were clicked after it.  See `assets/turns.js` for the browser's part.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from gradio.events import Dependency

from restoration.page.parts import PRIVATE, QUIET, TAKING_TURNS

KEPT = 2000  # tabs of visitors whose last events are known

# In the browser: the last input becomes who the visitor is on this page, and when this happened.
NOW = "(...values) => [...values.slice(0, -1), window.turns.now()]"
# A click on Start: when it was, and that files of the last result are not to be taken for its own.
STARTED = "(...values) => [window.turns.clicked(%s), ...values.map(() => ({ __type__: 'update', interactive: false }))]"


@dataclass
class _Last:
    """The last that happened in a visitor's tab.

    Args:
        time: when something came that ends the runs before it.
        picture: if that was one.
        ended: when the last run that is over was clicked.
    """

    time: float = 0.0
    picture: str | None = None
    ended: float = 0.0


_noted: OrderedDict[tuple[str, str], _Last] = OrderedDict()
_lock = threading.Lock()


def ticket(when: str | None) -> tuple[str, float]:
    """Who and when, of what the browser told; nobody, at no time, for programs that tell nothing."""
    who, _, time = (when or "").partition(" ")
    try:
        return who[:40], float(time)
    except ValueError:
        return "", 0.0


class Turn(NamedTuple):
    """A run.

    Args:
        tab: where it was started.
        when: who clicked, and when.
        picture: file that it is about.
    """

    tab: str
    when: str | None
    picture: str | None = None

    @property
    def over(self) -> bool:
        """Whether something came after it that ends it."""
        who, time = ticket(self.when)
        last = _noted.get((who, self.tab), _Last())
        return last.time > time and not (last.picture and self.picture and same_picture(last.picture, self.picture))

    @property
    def going(self) -> bool:
        """Whether it neither has ended nor was refused nor cancelled."""
        who, time = ticket(self.when)
        return bool(who) and _noted.get((who, self.tab), _Last()).ended < time

    def replaces(self, other: "Turn") -> bool:
        (who, time), (whose, before) = ticket(self.when), ticket(other.when)
        return bool(who) and (who, self.tab) == (whose, other.tab) and time > before

    def ended(self) -> None:
        """Note that it is over."""
        if last := _last(self.tab, self.when):
            last.ended = max(last.ended, ticket(self.when)[1])


def _last(tab: str, when: str | None) -> _Last | None:
    """The last that happened, to be changed; None for programs."""
    who, _ = ticket(when)
    if not who:
        return None
    with _lock:
        found = _noted.setdefault((who, tab), _Last())
        _noted.move_to_end((who, tab))
        while len(_noted) > KEPT:
            _noted.popitem(last=False)
    return found


def note(tab: str, when: str | None, picture: str | None = None) -> None:
    """Note a click in a tab, or for a path the picture that has come."""
    last, time = _last(tab, when), ticket(when)[1]
    if last and time >= last.time:
        last.time, last.picture = time, picture


def cancel(tab: str, when: str | None) -> None:
    """Note a click on Cancel: the runs before it are over."""
    note(tab, when)
    Turn(tab, when).ended()


def same_picture(one: str, other: str) -> bool:
    """Whether two files hold the same upload: they are one, or one was made of the other for the browser's sake."""
    first, second = Path(one), Path(other)
    converted = {first.suffix.lower(), second.suffix.lower()} & {".tif", ".tiff"}
    return one == other or (bool(converted) and first.stem == second.stem)


def bound(tab: str, handler: Callable[..., Generator]) -> Callable[..., Generator]:
    """A handler of runs, whose first input is the picture if any, that ends when its turn is over.

    It takes one more input, the last: when it was clicked.
    """

    def run(progress=gr.Progress(), *values: object) -> Generator:
        *values, when = values
        turn = Turn(tab, when, values[0] if values and isinstance(values[0], str) else None)
        work = handler(progress, *values)
        try:
            while not turn.over:
                try:
                    outputs = next(work)
                except StopIteration:
                    break
                if not turn.over:
                    yield outputs
        finally:
            work.close()
            turn.ended()

    run.tab = tab
    return run


def turn_of(function: Callable | None, values: list) -> Turn | None:
    """The run that a call is, by what it was given; None for what `bound` did not make."""
    tab = getattr(function, "tab", None)
    if tab is None or not values:
        return None
    when, picture = values[-1], values[0]
    path = picture.get("path") if isinstance(picture, dict) else None
    return Turn(tab, when if isinstance(when, str) else None, path)


def clock() -> gr.Textbox:
    """Where the browser keeps when something happened."""
    return gr.Textbox(visible=False)


def start(
    name: str,
    button: gr.Button,
    function: Callable,
    inputs: Sequence[gr.components.Component],
    outputs: Sequence[gr.components.Component],
    *,
    when: gr.Textbox,
    files: Sequence[gr.components.Component] = (),
    shown_on: gr.components.Component | None = None,
    js: str | None = None,
) -> Dependency:
    """Start a job on a click.

    Gradio calls what follows an event one after the other, each when the last has been answered; so nothing that asks
    the server comes before the run, which thereby has the settings of the click.

    Args:
        name: of the jobs of which a new one ends the last.
        when: keeps when it was clicked.
        files: of the last result, off until there is a new one.
        shown_on: where progress shows, the first output by default.
        js: what the browser makes of the inputs.
    """
    button.click(None, files, [when, *files], js=STARTED % json.dumps(name), trigger_mode="multiple", **QUIET)
    return button.click(
        bound(name, function),
        [*inputs, when],
        outputs,
        js=js,
        trigger_mode="multiple",
        show_progress_on=[shown_on or outputs[0]],
        **TAKING_TURNS,
        **PRIVATE,
    )


def stop(
    name: str,
    button: gr.Button,
    running: list[Dependency],
    inputs: Sequence[gr.components.Component] = (),
    outputs: Sequence[gr.components.Component] = (),
    shown: str = "",
) -> None:
    """Cancel jobs on a click: all that were clicked before it, wherever they are on their way.

    Args:
        name: of the jobs.
        shown: JavaScript for the values of outputs, by `values` of the inputs, while the server is told.
    """
    when = clock()
    told = f"(...values) => [window.turns.now(), ...{shown or '[]'}]"
    button.click(None, inputs, [when, *outputs], js=told, cancels=running, trigger_mode="multiple", **QUIET)

    def cancelled(when: str | None) -> None:
        cancel(name, when)

    button.click(cancelled, when, None, queue=False, trigger_mode="multiple", **QUIET)


def run_on_click(
    name: str, buttons: tuple[gr.Button, gr.Button], function: Callable, inputs: Sequence, outputs: Sequence
) -> None:
    """Start and Cancel of a job."""
    stop(name, buttons[1], [start(name, buttons[0], function, inputs, outputs, when=clock())])
