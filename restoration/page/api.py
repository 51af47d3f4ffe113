"""The endpoints: a file and settings in, a file out."""

import tempfile
from collections.abc import Callable, Generator
from inspect import Parameter, Signature
from pathlib import Path

import gradio as gr

import restoration
from restoration import catalog, weights
from restoration.batch import store
from restoration.files import FORMATS, check_holds, output_name, read
from restoration.inpainting import hole_of
from restoration.orders import Order
from restoration.page.parts import ONE_AT_A_TIME, checked_format, chosen, sentences
from restoration.page.runs import stepped
from restoration.recording import kept, recorded
from restoration.tasks._task import AUTO, Task, number, whole


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


def file_of(
    image: str | None,
    order: Order,
    format: str,
    jpeg_quality: float,
    progress: gr.Progress,
    mask: str | None = None,
    avoid: str | None = None,
) -> Generator:
    """Run an order; the last thing that it yields is the result's file, which holds its receipt."""
    format, quality = checked_format(format), whole(number(jpeg_quality, "jpeg_quality"), "jpeg_quality")
    with recorded(order, chosen(image), kept()) as log:
        with log.stage("reading"):
            picture = log.read()
            check_holds(format, picture, quality, scale=order.method.scale)
            masks = (read(file, "The mask") if file else None for file in (mask, avoid))
            hole = hole_of(picture, *masks)
        with log.stage("restoring"):
            done = yield from stepped(order.run(picture, hole), progress, outputs=1)
        log.finished(done)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / output_name(done.picture, done.suffix, format)
            with log.stage("writing"):
                store(done, file, format, quality, receipt=False)
            log.answered()
            yield str(file)


def endpoint(kind: Task) -> Callable[..., Generator]:
    """What the API does for a task, with a parameter for each of its settings."""
    model = catalog.method(kind.name, "").name
    defaults = {setting.public: AUTO if setting.default is None else setting.default for setting in kind.settings}
    mask, avoid = ({"mask": None}, {"avoid": None}) if kind.holes else ({}, {})
    defaults = {**mask, "model": model, **defaults, "format": "png", "jpeg_quality": 95, **avoid}
    defaults["progress"] = gr.Progress()
    parameters = [Parameter("image", Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=value) for name, value in defaults.items()]
    signature = Signature(parameters)

    def run(*values: object, **named: object) -> Generator:
        bound = signature.bind(*values, **named)
        bound.apply_defaults()
        given = bound.arguments
        with sentences(str):
            order = Order(kind.name, given["model"], {s.name: s.parsed(given[s.public]) for s in kind.settings})
            result = given["format"], given["jpeg_quality"]
            yield from file_of(given["image"], order, *result, given["progress"], given.get("mask"), given.get("avoid"))

    lines = [f"mask: {kind.mask}"] if kind.holes else []
    lines += ["model: a name from /models", *(setting.line for setting in kind.settings)]
    lines += [f"format: {', '.join(FORMATS)}", "jpeg_quality: of the result if it is a JPEG"]
    lines += [f"avoid: {kind.avoid}"] if kind.holes else []
    run.__name__ = kind.name  # as which programs have it as a tool
    run.__signature__ = signature
    run.__doc__ = "\n".join([kind.about, "", *lines, "The bytes equal those of the command line."])
    return run


def api(kind: Task) -> None:
    """The endpoint of a task, with inputs of its own, of which nothing is drawn."""
    with gr.Row(visible=False):
        inputs = [gr.File(type="filepath", label=name) for name in ("image", "mask")[: 1 + kind.holes]]
        inputs.append(gr.Textbox(catalog.method(kind.name, "").name, label="model"))
        for setting in kind.settings:
            if setting.default is None:
                inputs.append(gr.Textbox(AUTO, label=setting.public))
            else:
                field = gr.Checkbox if setting.kind is bool else gr.Number
                inputs.append(field(setting.default, label=setting.public))
        inputs += [gr.Textbox("png", label="format"), gr.Number(95, label="jpeg_quality")]
        inputs += [gr.File(type="filepath", label="avoid")] if kind.holes else []
        result = gr.File(label="result")
        gr.Button().click(endpoint(kind), inputs, result, api_name=kind.name, **ONE_AT_A_TIME)
