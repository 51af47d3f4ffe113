"""What endpoints take and give: components of which nothing is drawn, with the schemas that programs read."""

import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import gradio as gr
from gradio import processing_utils, utils
from gradio.block_function import BlockFunction

from restoration import catalog
from restoration.files import FORMATS
from restoration.page.doors import API
from restoration.page.parts import no_stubs
from restoration.tasks._task import Setting, Task

FORMAT = Setting("format", str, "png", "the format of the result's file", choices=tuple(FORMATS))
JPEG_QUALITY = Setting("jpeg_quality", int, 95, "the quality of the result's file if it is a JPEG", limits=(1, 100))
A_FILE = f'a file: handle_file(PATH) of Gradio\'s clients, {{"path": what {API}/upload answered}}, or a data URL'

_SERVED = f"{API}/file="  # in the address of a file that lies here


def missing(name: str) -> str:
    """What is said of a file that is needed and was not sent."""
    return f"{name} is missing; it has to be {A_FILE}."


def model_of(kind: Task) -> Setting:
    """The choice of a task's method or family of methods, as a setting."""
    methods = catalog.methods(kind.name)
    names = dict.fromkeys([*(method.name for method in methods), *catalog.families(kind.name)])
    first = catalog.method(kind.name, "").name
    about = "the method; the list of models tells what each is good for"
    return Setting("model", str, first, about, choices=tuple(names), selects=True)


with no_stubs():

    class Given(gr.Textbox):
        """An input that is a setting: it says what may be sent, and hands over what was sent as it is."""

        is_template = True

        def __init__(self, setting: Setting):
            self.setting = setting
            super().__init__(setting.written, label=setting.public)

        def preprocess(self, payload: object) -> object:
            return payload

        def postprocess(self, value: object) -> object:
            return value

        def get_config(self, cls: type | None = None) -> dict[str, object]:
            return super().get_config(gr.Textbox)

        def api_info(self) -> dict[str, object]:
            return {**self.setting.schema, "additional_description": self.setting.sentence}

        def example_inputs(self) -> object:
            return self.setting.written

    class GivenFile(gr.File):
        """An input that is a file, of which the path is handed over.

        Args:
            about: a sentence on it.
            needed: whether there has to be one.
        """

        is_template = True

        def __init__(self, label: str, about: str, needed: bool):
            self.about, self.needed = about, needed
            super().__init__(label=label, type="filepath")

        def preprocess(self, payload) -> str | None:
            return None if payload is None else payload.path

        def get_config(self, cls: type | None = None) -> dict[str, object]:
            return super().get_config(gr.File)

        def api_info(self) -> dict[str, object]:
            return {**super().api_info(), "description": self.about, "additional_description": self.about}

    class Report(gr.JSON):
        """What was done and measured, as JSON.

        Args:
            schema: what is in it.
        """

        is_template = True

        def __init__(self, label: str, schema: Mapping[str, object]):
            self.schema = dict(schema)
            super().__init__(label=label)

        def get_config(self, cls: type | None = None) -> dict[str, object]:
            return super().get_config(gr.JSON)

        def api_info(self) -> dict[str, object]:
            return self.schema


def inputs_of(kind: Task) -> list[gr.components.Component]:
    """The inputs of a task's endpoint, in their order."""
    files = {"image": "The picture: a JPEG, PNG, WebP, BMP, TIFF or GIF file."}
    if kind.holes:
        files |= {"mask": _sentence(kind.mask), "avoid": _sentence(kind.avoid)}
    before, after = list(files)[:2], list(files)[2:]
    settings = [model_of(kind), *kind.settings, FORMAT, JPEG_QUALITY]
    return [
        *(GivenFile(name, files[name], name == "image") for name in before),
        *(Given(setting) for setting in settings),
        *(GivenFile(name, files[name], False) for name in after),
    ]


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def completed(function: BlockFunction, values: Sequence[object]) -> list[object]:
    """What was sent to an endpoint, the rest at its default, with files that lie here as gradio has them."""
    inputs = function.inputs
    if not inputs or not all(isinstance(block, Given | GivenFile) for block in inputs):
        return list(values)
    values = [*values, *(block.value for block in inputs[len(values) :])]
    return [
        *(
            found_here(value) if isinstance(block, GivenFile) else value
            for block, value in zip(inputs, values, strict=False)
        ),
        *values[len(inputs) :],
    ]


def found_here(value: object) -> object:
    """A file that was sent as a data URL, or is named by its address or path on this server, as gradio has it.

    Nothing is fetched: what is not here stays as it is, to be refused.
    """
    named = value
    if isinstance(value, Mapping):
        path, url = value.get("path"), value.get("url")
        named = path if isinstance(path, str) and path else url
    if not isinstance(named, str):
        return value
    path = _sent(named) if named.startswith("data:") else _lying_here(named)
    return {"path": path, "meta": {"_type": "gradio.FileData"}} if path else value


def _sent(url: str) -> str | None:
    """The path of what a data URL holds, None if it holds nothing."""
    try:
        return processing_utils.save_base64_to_cache(url, utils.get_upload_folder())
    except (binascii.Error, ValueError, IndexError):
        return None


def _lying_here(name: str) -> str | None:
    """The path of a file that was uploaded or made here, by that or by its address; None for any other."""
    try:
        if (address := urlsplit(name)).scheme in ("http", "https"):
            _, served, name = unquote(address.path).partition(_SERVED)
            if not served:
                return None
        return name if Path(name).is_file() and utils.is_in_or_equal(name, utils.get_upload_folder()) else None
    except (OSError, ValueError):
        return None
