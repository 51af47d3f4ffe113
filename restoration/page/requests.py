"""What a request must be like; whatever is not gets one sentence, and nothing of it stands in the log.

Gradio answers what it did not expect with an error of its own and a traceback.
"""

import html
import logging
import re
from collections.abc import Iterator
from errno import EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR
from pathlib import Path

import gradio as gr
import orjson
from fastapi.exceptions import RequestValidationError
from gradio import utils
from gradio.data_classes import PredictBodyInternal
from gradio.exceptions import InvalidPathError
from gradio.route_utils import FnIndexInferError
from gradio_client.utils import is_http_url_like
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from restoration.page.doors import NOT_FETCHED, NOTHING_HERE
from restoration.page.inputs import A_FILE, Given, GivenFile, missing
from restoration.page.parts import sentences

NOT_UNDERSTOOD = "This request is not one that the page understands; its API is at /gradio_api/info."
NO_FILE = "A file of this request is not here, or not any more: send it again."
NO_ENDPOINT = "There is no such endpoint; /gradio_api/info lists them."
NO_INPUT = "This endpoint takes no {}; /gradio_api/info lists what it takes."

LONGEST_TEXT = 1000  # characters of a name, a comment or a number that is given as text
LONGEST_REASON = 160  # characters of what gradio says of a value, before it is escaped
_ARGUMENT = re.compile(r"No value provided for required argument: (\w{1,40})|Parameter `(\w{1,40})` is not a valid")
_SESSION = re.compile(r"[\w-]{1,128}", re.ASCII)
_NAMES = (EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR)  # what is wrong with a path, not with the disk
_TEXTS = (gr.Textbox, gr.Dropdown, gr.Radio)


class Understood:
    """Refuses in a sentence the requests that gradio cannot cope with."""

    def __init__(self, server: ASGIApp):
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.server(scope, receive, noting)
        except Exception as error:
            if begun and isinstance(error, RuntimeError) and isinstance(error.__cause__, HTTPException):
                await send({"type": "http.response.body"})  # a session that is no more; its stream has told so
            elif isinstance(error, HTTPException) and not begun:
                await refused(error.status_code, error.detail)(scope, receive, send)
            elif begun or isinstance(error, MemoryError) or not _is_about_a_name(error):
                raise
            else:
                logging.getLogger(__name__).info("a request was not understood: %s", type(error).__name__)
                await refused(*_why(error))(scope, receive, send)


def _why(error: Exception) -> tuple[int, str]:
    """Status and sentence for what gradio says of a request."""
    if isinstance(error, FnIndexInferError) or (isinstance(error, KeyError) and str(error).startswith("'/")):
        return 404, NO_ENDPOINT
    if isinstance(error, TypeError) and (named := _ARGUMENT.match(str(error))):
        needed, unknown = named.groups()
        return 400, missing(needed) if needed else NO_INPUT.format(unknown)
    return 400, NOT_UNDERSTOOD


def refused(status: int, sentence: str) -> JSONResponse:
    """An answer as gradio's own clients read it."""
    return JSONResponse({"detail": sentence}, status)


def not_valid(request: Request, error: Exception) -> Response:
    """The answer to a body that is not what an address takes."""
    return refused(422, NOT_UNDERSTOOD)


def not_served(request: Request, error: HTTPException) -> Response:
    """The answer of an address that refuses, without the path that was asked for."""
    if "/file=" in request.url.path or (error.status_code, error.detail) == (404, "Not Found"):
        return refused(error.status_code, NOTHING_HERE)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


def gone(request: Request, error: Exception) -> Response:
    """The answer to a visitor who left in the middle of an upload: nobody hears it, and nothing is logged."""
    return Response(status_code=499)


HANDLERS = {RequestValidationError: not_valid, HTTPException: not_served, ClientDisconnect: gone}


def complaint(page: gr.Blocks, body: PredictBodyInternal) -> str:
    """What is wrong with a call of one of the page's functions, in one sentence; empty if nothing is."""
    function = page.fns.get(body.fn_index)
    if function is None or function.fn is None:
        return NO_ENDPOINT
    try:
        orjson.dumps([body.data, body.event_data])
    except (TypeError, ValueError):  # too deep, or with what is no text or no number
        return NOT_UNDERSTOOD
    if body.session_hash is not None and not is_session(body.session_hash):
        return NOT_UNDERSTOOD
    if body.batched:
        return NOT_UNDERSTOOD
    if function.collects_event_data and not _tells_of_an_event(body.event_data):
        return NOT_UNDERSTOOD
    if len(body.data) < len(function.inputs):
        return f"{len(function.inputs)} values are needed here, not {len(body.data)}."
    for block, value in zip(function.inputs, body.data, strict=False):
        if sentence := _unfit(block, value):
            return sentence
    return ""


def is_session(hash: object) -> bool:
    """Whether a session may be called so."""
    return isinstance(hash, str) and bool(_SESSION.fullmatch(hash))


def answer_in_sentences(page: gr.Blocks) -> None:
    """Let the page say in a sentence what is wrong with a call, also where a handler does not expect it."""
    preprocess, call = page.preprocess_data, page.call_function

    async def preprocessed(*args, **named):
        try:
            return await preprocess(*args, **named)
        except MemoryError:
            raise
        except gr.Error as error:  # a value that a component does not take
            raise gr.Error(html.escape(error.message[:LONGEST_REASON]), print_exception=False) from None
        except InvalidPathError:
            raise gr.Error(NO_FILE, print_exception=False) from None
        except Exception as error:
            if not _is_about_a_name(error):
                raise
            raise gr.Error(NOT_UNDERSTOOD, print_exception=False) from None

    async def called(block_fn, *args, **named):
        with sentences():
            try:
                return await call(block_fn, *args, **named)
            except (LookupError, TypeError):
                if not block_fn.collects_event_data:  # which says what was tapped, as the visitor would have it
                    raise
                raise gr.Error(NOT_UNDERSTOOD, print_exception=False) from None

    page.preprocess_data, page.call_function = preprocessed, called


def _is_about_a_name(error: Exception) -> bool:
    """Whether an error is no fault of the machine: it has a number and not that of a path, if it is one of those."""
    return not isinstance(error, OSError) or error.errno in _NAMES


def _tells_of_an_event(data: object) -> bool:
    if not isinstance(data, dict) or "index" not in data or "value" not in data:
        return False
    index = data["index"]
    return all(_is_number(part) for part in index) if isinstance(index, list) else _is_number(index)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _unfit(block: gr.components.Component, value: object) -> str:
    """What is wrong with the value of an input, if anything is."""
    if isinstance(block, gr.Dataset):
        return "" if _is_number(value) and 0 <= value < len(block.samples) else NOT_UNDERSTOOD
    if isinstance(block, GivenFile) and block.needed and value is None:
        return missing(block.label)
    if block.stateful or value is None or isinstance(block, Given):  # of which the endpoint says what is wrong
        return ""
    if isinstance(block, gr.Checkbox):
        return "" if isinstance(value, bool) else NOT_UNDERSTOOD
    if isinstance(block, gr.Slider | gr.Number):
        return "" if _is_number(value) else f"{block.label} must be a number."
    if isinstance(block, _TEXTS):
        fits = (isinstance(value, str) and len(value) <= LONGEST_TEXT) or _is_number(value)
        return "" if fits else NOT_UNDERSTOOD
    if not getattr(block, "data_model", None):
        return ""
    if isinstance(block, GivenFile) and not list(_files(value)):
        fetched = isinstance(value, str) and is_http_url_like(value)
        return NOT_FETCHED if fetched else f"{block.label} has to be {A_FILE}."
    for file in _files(value):
        path = file["path"]
        if is_http_url_like(path) if isinstance(path, str) else file.get("url"):
            return NOT_FETCHED
        if not isinstance(path, str) or not _is_here(path):
            return NO_FILE
    try:
        block.data_model.model_validate(value, context={"validate_meta": True})
    except Exception:  # whatever a validator of gradio's raises
        return NOT_UNDERSTOOD
    return ""


def _files(value: object) -> Iterator[dict]:
    """All that is told of files in a value."""
    if isinstance(value, dict):
        if "path" in value or "url" in value:
            yield {"path": None, **value}
        else:
            for part in value.values():
                yield from _files(part)
    elif isinstance(value, list):
        for part in value:
            yield from _files(part)


def _is_here(path: str) -> bool:
    """Whether a path is that of a file which was uploaded, or made here to be shown."""
    try:
        return Path(path).is_file() and utils.is_in_or_equal(path, utils.get_upload_folder())
    except (OSError, ValueError):
        return False
