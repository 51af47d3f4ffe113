"""The endpoints: a file and settings in; out come a file and what was done and measured, once and nothing else."""

import asyncio
import json
import tempfile
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing
from inspect import Parameter, Signature
from math import inf
from pathlib import Path

import gradio as gr
from anyio import to_thread
from gradio import processing_utils, utils

import restoration
from restoration import tasks, weights
from restoration.batch import store
from restoration.files import check_holds, left_out, output_name, read
from restoration.inpainting import hole_of, transparent_pixels
from restoration.orders import Order
from restoration.page.before import seconds_expected_of
from restoration.page.event import countdown, current_event, in_time, logged
from restoration.page.inputs import JPEG_QUALITY, Report, inputs_of, missing, model_of
from restoration.page.parts import TAKING_TURNS, checked_format, sentences
from restoration.page.waiting import GAVE_WAY
from restoration.receipts import OrderResult
from restoration.running import Job
from restoration.tasks._task import Task
from restoration.tiling import Progress, relayed

_TEXT, _NUMBER, _SENTENCES = {"type": "string"}, {"type": "number"}, {"type": "array", "items": {"type": "string"}}
_OBJECT = {"type": "object", "additionalProperties": {}}
REPORT = {
    "type": "object",
    "description": "the result's receipt, what the run took, and what is to be known of the result",
    "properties": {
        "task": _TEXT,
        "model": {**_TEXT, "description": "the method that ran"},
        "settings": {**_OBJECT, "description": "as they were used, with those that were found out"},
        "metrics": {**_OBJECT, "description": "what was measured: noise level, JPEG quality, how it matches the photo"},
        "psnr_to_input": {**_NUMBER, "description": "in dB, of an enlarged picture that is reduced again"},
        "seconds": {**_NUMBER, "description": "of restoring"},
        "notes": {**_SENTENCES, "description": "what reading or writing changed or lost, and what else is to be known"},
        "input": {**_OBJECT, "description": "width, height, bits and hashes"},
        "output": {**_OBJECT, "description": "width, height, bits and hash"},
        "chain": {"type": "array", "items": _OBJECT, "description": "the same of every step, where there were several"},
        "precision": {"anyOf": [_TEXT, {"type": "null"}], "description": "in which a network computed"},
        "device": _TEXT,
    },
    "required": ["task", "model", "settings", "metrics", "seconds", "notes", "input", "output"],
}


def list_models() -> list[dict]:
    """Every method: name, task, title, scale, summary, whether it is learned, whether it is the default, weights."""
    return [
        {
            "name": method.name,
            "task": method.task,
            "title": method.title,
            "scale": method.scale,
            "summary": method.summary,
            "learned": method.learned,
            "default": method.flagship,
            "weights": str(weights.place(method.name)) if method.learned else "",
        }
        for method in restoration.methods()
    ]


def answer(kind: Task, given: Mapping[str, object], progress: Callable) -> Job[tuple[str, dict]]:
    """Run a task as a program asks for it; gives the result's file, which holds its receipt, and the report.

    Args:
        given: what was sent, by the names of the endpoint's inputs; nothing (None) is the default.

    Raises:
        ValueError: something that was sent cannot be used.
    """
    values = {setting.name: setting.parsed(given.get(setting.public)) for setting in kind.settings}
    order = Order(kind.name, model_of(kind).parsed(given.get("model")), values)
    format = checked_format(given.get("format") or "png")
    quality = JPEG_QUALITY.parsed(given.get("jpeg_quality"))
    if not (file := given.get("image")):
        raise ValueError(missing("image"))
    notes: list[str] = []
    with logged(order, file) as log:
        with log.stage("reading"):
            image = log.read()
            check_holds(format, image, quality, scale=order.method.scale)
            masks = [read(given[name], "The mask") if given.get(name) else None for name in ("mask", "avoid")]
            if kind.holes and masks[0] is None and not transparent_pixels(image).share:
                raise ValueError("mask is missing, and the image has no transparent pixels that could be filled.")
            hole = hole_of(image, *masks)

        def tell(step: Progress) -> Progress:
            left = clock.told(step.share, step.seconds_left)
            progress((step.done, step.total), desc=f"Restoring{left}")
            return step

        with log.stage("restoring"):
            clock = countdown(seconds_expected_of(order, file, hole))
            done = yield from relayed(in_time(order.run(image, hole), notes.append), tell)
        log.finished(done)
        with tempfile.TemporaryDirectory() as folder, log.stage("writing"):
            result = Path(folder) / output_name(done.picture, done.suffix, format)
            receipt = store(done, result, format, quality)
            report = report_of(done, json.loads(receipt.read_text(encoding="utf-8")))
            report["notes"] += [*notes, *left_out(format, done.picture)]
            path = processing_utils.save_file_to_cache(result, utils.get_upload_folder())
        log.answered()
        return path, report


def report_of(done: OrderResult, receipt: dict) -> dict:
    """The receipt without the pictures in it, what the result took, and what is to be known of it."""
    told = {name: value for name, value in receipt.items() if not name.endswith("_png")}
    if done.parts:
        told["chain"] = [step | _measured(part) for step, part in zip(told["chain"], done.parts, strict=True)]
    return {**told, **_measured(done), "notes": list(done.remarks)}


def _measured(done: OrderResult) -> dict:
    """Seconds and, where it was measured and is no infinite one, PSNR to the input."""
    psnr = tasks.named(done.order.task).faithfulness(done)
    return {"seconds": round(done.seconds, 3), **({} if psnr in (None, inf) else {"psnr_to_input": round(psnr, 2)})}


def endpoint(kind: Task, inputs: Sequence[gr.components.Component]) -> Callable[..., Coroutine]:
    """What the API does for a task, with a parameter for each of its inputs."""
    names = [component.label for component in inputs]
    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in names]
    parameters[0] = parameters[0].replace(default=Parameter.empty)
    progress = Parameter("progress", Parameter.POSITIONAL_OR_KEYWORD, default=gr.Progress())
    signature = Signature([*parameters, progress])

    async def run(*values: object, **named: object) -> tuple[str, dict]:
        bound = signature.bind(*values, **named)
        bound.apply_defaults()
        with sentences(str):
            return await ended(answer(kind, bound.arguments, bound.arguments["progress"]))

    run.__name__ = kind.name
    run.__signature__ = signature
    return run


async def ended(job: Job[tuple[str, dict]]) -> tuple[str, dict]:
    """What a job gives; one that is cancelled ends after the step at hand, and only then makes room for another.

    As a generator Gradio would send something at every step, and the result twice.
    """
    cancelled, event = threading.Event(), current_event()

    def steps() -> tuple[str, dict]:
        with closing(job):
            while not cancelled.is_set() and (event is None or event.alive):
                try:
                    next(job)
                except StopIteration as end:
                    return end.value
        raise gr.Error(GAVE_WAY, print_exception=False)

    work = asyncio.ensure_future(to_thread.run_sync(steps))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


def api(kind: Task) -> None:
    """The endpoint of a task, with inputs of its own, of which nothing is drawn."""
    about = f"{kind.about} Gives the file and what was measured; the bytes equal those of the command line."
    with gr.Row(visible=False):
        inputs, outputs = inputs_of(kind), [gr.File(label="result"), Report("report", REPORT)]
        button = gr.Button()
        button.click(endpoint(kind, inputs), inputs, outputs, api_name=kind.name, api_description=about, **TAKING_TURNS)
