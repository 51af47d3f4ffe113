"""What every part of the page is made of: pictures, buttons, events, and failures as one sentence each."""

import html
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path

import gradio as gr
from gradio import component_meta
from gradio.events import Dependency

from restoration import gallery, limits, memory
from restoration.files import ENDINGS, FORMATS, encode, read
from restoration.image import Image, ImageError, to_8_bit
from restoration.tasks._task import Setting, Task

PRIVATE = {"api_visibility": "private"}
QUIET = {"show_progress": "hidden", **PRIVATE}
# For what follows a change.  Gradio's own `always_last` calls it for ever, once two changes came close to each other.
FOLLOWING = {"trigger_mode": "multiple", **QUIET}
MODEL = "model"  # what runs one waits for its turn, see `restoration.page.waiting`
TAKING_TURNS = {"concurrency_limit": limits.MOST_AT_ONCE, "concurrency_id": MODEL}
# What opens pictures but runs no model; a picture in memory is many times as large as its file.
LOOKING = {"concurrency_limit": 1, "concurrency_id": "looking", **QUIET}
CHANGING = {"concurrency_limit": 1, "concurrency_id": "changing", **QUIET}
AT_HAND = 48 * 2**20  # bytes of a picture that stays in memory until the next is opened: 16 megapixels
_at_hand: tuple[tuple, Image] | None = None


@contextmanager
def no_stubs() -> Iterator[None]:
    """Keep Gradio from writing a file of 90 kB for editors beside every module that defines a component."""
    writing, component_meta.create_or_modify_pyi = component_meta.create_or_modify_pyi, lambda *_: None
    try:
        yield
    finally:
        component_meta.create_or_modify_pyi = writing


with no_stubs():

    class UploadedImage(gr.Image):
        """An image input that hands over the uploaded file as it is: `restoration.files` alone decodes."""

        is_template = True

        def preprocess(self, payload):
            return None if payload is None else payload.path


@contextmanager
def sentences(escape: Callable[[str], str] = html.escape) -> Iterator[None]:
    """Turn every failure into one sentence.

    Args:
        escape: the page shows it as HTML; programs, which want it as it is, give `str`.
    """
    try:
        yield
    except (gr.Error, GeneratorExit):  # the first is a ValueError too
        raise
    except (ImageError, ValueError, MemoryError) as error:
        raise gr.Error(escape(str(error)) or "There is not enough memory.", print_exception=False) from None
    except Exception:
        logging.exception("a handler failed")
        raise gr.Error("Something went wrong here; try another picture or model.", print_exception=False) from None


def as_text(words: str) -> str:
    """Words for a Markdown component, in which nothing is markup or a link: signs but the plainest by their numbers."""
    return re.sub(r"[^\w\s,?'-]|_|^-|\s", lambda sign: " " if sign[0].isspace() else f"&#{ord(sign[0])};", words)


def chosen(path: str | None) -> str:
    if not path:
        raise gr.Error("Choose an image first.", print_exception=False)
    return path


def opened(path: str | None) -> Image:
    """The picture of an upload; the last one stays at hand, as several handlers follow an upload."""
    global _at_hand
    path = chosen(path)
    state = os.stat(path) if os.path.exists(path) else None
    file = path, state and (state.st_mtime_ns, state.st_size)
    last = _at_hand
    if last and last[0] == file:
        return last[1]
    _at_hand = None  # before another comes into memory
    image = read(path)
    if image.samples.nbytes <= AT_HAND:
        _at_hand = file, image
    return image


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def unchanged(outputs: int) -> object:
    return gr.skip() if outputs == 1 else tuple(gr.skip() for _ in range(outputs))


def preview(image: Image) -> bytes:
    """A PNG of exactly these pixels that every browser can draw."""
    return encode(to_8_bit(image), "png", metadata="none")


def compared(folder: str, before: bytes, after: bytes | Path, name: str) -> tuple[str, str]:
    """What the slider shows: PNG files in `folder`."""
    first, second = Path(folder) / f"{name}_before.png", Path(folder) / f"{name}_after.png"
    first.write_bytes(before)
    if isinstance(after, bytes):
        second.write_bytes(after)
    return str(first), str(after if isinstance(after, Path) else second)


def checked_format(format: str) -> str:
    """A format by its name or by an ending of its files, in letters of any case.

    Raises:
        ValueError: there is none.
    """
    name = str(format).strip().lower().removeprefix(".")
    name = ENDINGS.get(f".{name}", name)
    if name not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}.")
    return name


def tapped(event: gr.SelectData) -> tuple[int, int]:
    """Column and row of the spot that was tapped."""
    return int(event.index[0]), int(event.index[1])


# Components ---------------------------------------------------------------------------------------------------------


def picture(task: str) -> UploadedImage:
    """The input of a tab."""
    source = UploadedImage(
        label="Your picture",
        sources=["upload", "clipboard"],
        type="filepath",
        image_mode=None,
        height=240,
        elem_id=f"{task}-input",
    )
    return source


def show_examples(task: str, found: list[gallery.Example], outputs: list, values: Callable) -> None:
    """Pictures before and after; a tap loads the picture with settings that suit it.

    Args:
        values: the outputs' values for an example.
    """
    if not found:
        return
    gr.Markdown("Or tap one of these, before on the left and after on the right:", elem_classes="line")
    shown = gr.Gallery(
        [(example.thumbnail, example.title) for example in found],
        label="Examples",
        show_label=False,
        columns=max(1, len(found) // 2 + len(found) % 2),
        height="auto",
        object_fit="cover",
        format="png",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id=f"{task}-examples",
        elem_classes="examples",
    )

    def load(event: gr.SelectData) -> tuple:
        return values(found[event.index])

    brought(shown.select(load, None, outputs, **QUIET))


def brought(bringing: Dependency) -> None:
    """Let a run that is clicked meanwhile wait for a picture: what starts this has the class "brings"."""
    bringing.then(None, None, None, js="() => window.pictureBrought()", **QUIET)


def control(kind: Task, setting: Setting, **layout: object) -> gr.components.Component:
    """The check box or slider of a setting."""
    elem_id = f"{kind.name}-{setting.public.rpartition('_')[2]}"
    layout = {"label": setting.label, "info": setting.info, "elem_id": elem_id, **layout}
    if setting.kind is bool:
        return gr.Checkbox(setting.default, **layout)
    if setting.choices:
        return gr.Dropdown(list(setting.choices), value=setting.default, **layout)
    if not (setting.limits or setting.range):
        return gr.Number(setting.default, precision=0, **layout)
    value = setting.start if setting.default is None else setting.shown * setting.default
    return gr.Slider(*setting.bounds, value, step=setting.step, **layout)


def pick(examples: list[str], source: gr.Image, label: str, elem_id: str) -> None:
    with gr.Column(elem_classes="clean", min_width=100):
        gr.Examples(examples, source, label=label, examples_per_page=20, elem_id=elem_id, api_visibility="private")


def comparison(label: str, elem_id: str, value: tuple[str, str] | None = None) -> gr.ImageSlider:
    """A before/after slider that shows PNG files untouched."""
    return gr.ImageSlider(
        value,
        slider_position=gallery.handle(value) if value else 50,
        label=label,
        type="filepath",
        format="png",
        interactive=False,
        max_height=440,
        buttons=["fullscreen"],
        elem_id=elem_id,
        elem_classes="compare",
    )


def start_and_cancel(name: str, label: str) -> tuple[gr.Button, gr.Button]:
    with gr.Row():
        start = gr.Button(label, variant="primary", elem_id=f"{name}-run", min_width=120, scale=3)
        cancel = gr.Button("Cancel", elem_id=f"{name}-cancel", min_width=80, scale=1)
    return start, cancel


def follow(
    components: list[gr.components.Component],
    function: Callable,
    inputs: list,
    outputs: list,
    queue: dict[str, object] = QUIET,
) -> None:
    """Call a quick function whenever one of the components changes."""
    for component in components:
        component.change(function, inputs, outputs, **queue | FOLLOWING)


def once(function: Callable, outputs: int) -> Callable:
    """The same generator for so many outputs, of whose values the page is told once.

    At its end Gradio tells the page the last values again, which takes them once it has drawn the first: a canvas takes
    its time, and what came meanwhile from other handlers would be undone.
    """

    @wraps(function)
    def telling(*values):
        yield from function(*values)
        yield unchanged(outputs)

    return telling


def tidy(function: Callable) -> Callable:
    """The same function, after which the memory of the pictures that it opened goes back to the system."""

    @wraps(function)
    def returning(*values, **named):
        try:
            return function(*values, **named)
        finally:
            memory.give_back()

    @wraps(function)
    def yielding(*values, **named):
        try:
            yield from function(*values, **named)
        finally:
            memory.give_back()

    return yielding if isgeneratorfunction(function) else returning
