"""Everything that the page calls: one sentence for what is wrong, something shown, and no place in what is shown."""

import asyncio
import inspect
import io
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from gradio.helpers import special_args
from PIL import ExifTags
from PIL import Image as Pillow

from restoration import tasks
from restoration.image import Image
from restoration.orders import Order
from restoration.page import models
from restoration.page.layout import tab_of
from restoration.running import finish
from tests.conftest import built

NAME = "<b>a&b"  # of a file, as nobody should read it in a message
SPOT = {"index": [5, 5], "value": "mean", "row_value": ["mean", "denoise"], "selected": True}


def located() -> bytes:
    """A photo with noise in it that says where it was taken."""
    exif = Pillow.Exif()
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (48.0, 51.0, 30.0)}
    samples = np.random.default_rng(0).normal(128, 30, (40, 48, 3)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Pillow.fromarray(samples).save(file, "png", exif=exif.tobytes())
    return file.getvalue()


def tiny() -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (1, 1)).save(file, "png")
    return file.getvalue()


PICTURES = {"good": located(), "broken": b"\x89PNG\r\n\x1a\nnothing", "tiny": tiny(), "none": None}


def handlers(page: gr.Blocks) -> dict[str, gr.blocks.BlockFunction]:
    """Every function that the page calls, by what starts it."""
    found = {}
    for event in page.fns.values():
        if event.fn is not None and event.targets and not event.fn.__module__.startswith("gradio"):
            block, trigger = event.targets[0]
            name = getattr(page.blocks.get(block), "elem_id", None) or event.api_name
            found[f"{event._id} {name} {trigger}"] = event
    return found


PAGE = built()
HANDLERS = handlers(PAGE)


def answers(event: gr.blocks.BlockFunction, path: str | None) -> Iterator[tuple]:
    """What a handler gives for a picture, every other input as the page has it at first."""
    values = []
    for component in event.inputs:
        many = isinstance(component, gr.File) and component.file_count == "multiple"
        pictures = isinstance(component, gr.Image | gr.File) and not str(component.elem_id).endswith("mask")
        values.append(([path] if path else None) if many else path if pictures else component.value)
    request = gr.Request(SimpleNamespace(query_params={}, headers={}, base_url="http://here/", url="http://here/"))
    spot = SPOT if isinstance(PAGE.blocks.get(event.targets[0][0]), gr.Image) else {**SPOT, "index": 0}
    given, *_ = special_args(event.fn, values, request, gr.EventData(None, spot))
    given = [(lambda *_, **__: None) if isinstance(value, gr.Progress) else value for value in given]
    made = event.fn(*given)
    made = [asyncio.run(made)] if inspect.iscoroutine(made) else made
    for outputs in made if isinstance(made, Iterator | list) else [made]:
        yield outputs if isinstance(outputs, tuple | list) else (outputs,)


def files(value: object) -> Iterator[str]:
    """The files in what a handler gave."""
    if isinstance(value, str):
        if os.path.isfile(value):
            yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from files(inner)


@pytest.fixture
def quick(monkeypatch):
    """No speeds are measured."""
    monkeypatch.setattr(models, "seconds_per_megapixel", lambda method: 1.0)


BY_ALL = ("-trial-all", "-input select", "models-run")  # which run every method


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.slow] if any(part in name for part in BY_ALL) else []) for name in HANDLERS
])  # fmt: skip
def test_every_handler_answers_or_refuses_in_one_sentence(name, picture, tmp_path, quick):
    event, path = HANDLERS[name], None
    states = [place for place, part in enumerate(event.outputs) if isinstance(part, gr.State)]  # stay on the server
    if PICTURES[picture]:
        path = str(tmp_path / f"{NAME}.png")
        (tmp_path / f"{NAME}.png").write_bytes(PICTURES[picture])
    shown = False
    try:
        for outputs in answers(event, path):
            shown = True
            for file in files([value for place, value in enumerate(outputs) if place not in states]):
                with open(file, "rb") as content:
                    if content.read(4)[1:] == b"PNG":
                        with Pillow.open(file) as opened:
                            assert not opened.getexif().get_ifd(ExifTags.IFD.GPSInfo), file
            for component, value in zip(event.outputs, outputs, strict=False):
                text = value.get("value") if isinstance(value, dict) else value
                assert not (isinstance(component, gr.Markdown | gr.HTML) and "<b>" in str(text)), text
        assert shown
    except gr.Error as error:
        words = error.message
        assert 8 < len(words) < 220, words
        assert not any(inside in words for inside in ("\n", "/tmp", "Traceback", "Error")), words
        assert event.api_name in tasks.every() or "<b>" not in words, words
        assert not error.print_exception


@pytest.mark.parametrize("name", [
    name for name, event in HANDLERS.items() if any(isinstance(part, gr.ImageEditor) for part in event.outputs)
])  # fmt: skip
@pytest.mark.parametrize("picture", ["good", "none"])
def test_what_changes_a_canvas_says_nothing_at_its_end_which_is_told_again_over_what_came_meanwhile(
    name, picture, tmp_path
):
    (tmp_path / "a.png").write_bytes(PICTURES["good"])
    *_, last = answers(HANDLERS[name], str(tmp_path / "a.png") if picture == "good" else None)
    assert list(last) == len(HANDLERS[name].outputs) * [gr.skip()]


@pytest.mark.parametrize("task", tasks.every())
def test_whatever_goes_wrong_inside_is_logged_and_one_sentence(task, tmp_path, monkeypatch, caplog):
    (tmp_path / "a.png").write_bytes(located())
    monkeypatch.setattr(Order, "run", lambda *_: 1 / 0)
    (button,) = (event for name, event in HANDLERS.items() if f" {task}-run click" in name and event.queue)
    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error, match="Something went wrong here"):
        list(answers(button, str(tmp_path / "a.png")))
    assert "ZeroDivisionError" in caplog.text
    caplog.clear()
    (button,) = (event for name, event in HANDLERS.items() if f" {task}-batch-run click" in name)
    with caplog.at_level(logging.ERROR):
        rows = [outputs[0] for outputs in answers(button, str(tmp_path / "a.png")) if isinstance(outputs[0], list)]
    assert json.dumps(rows[-1]) == json.dumps([["a.png", "not restored", "Something unexpected."]])
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("notes", [(), ("One thing is to be known.",), ("One thing.", "Another.")])
def test_what_should_be_known_of_a_result_is_said_and_nothing_else(notes):
    image = Image(np.full((12, 12, 3), 90, np.uint8))
    result = replace(finish(Order("denoise", "mean").run(image)), notes=notes)
    facts, *shown = tab_of(tasks.named("denoise")).runs.describe(result).split("  \n")
    assert tuple(shown) == notes
    assert "**Mean**" in facts
    assert result.summary.endswith(" ".join(["", *notes]) if notes else " s")
