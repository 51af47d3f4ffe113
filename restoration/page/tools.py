"""The endpoints as tools for agents, by the Model Context Protocol: a link to the result, a look at it, the report.

Gradio's own server calls the page over HTTP as one visitor, sends whole pictures as text, and counts progress without
an end.  Here every call waits in the queue like any other, for whom it comes from.
"""

import base64
import io
import json
import logging
import mimetypes
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import gradio as gr
from anyio import to_thread
from gradio.data_classes import PredictBodyInternal
from gradio.mcp import GradioMCPServer
from gradio.server_messages import EstimationMessage, ProcessCompletedMessage, ProcessStartsMessage, ProgressMessage
from mcp import types
from mcp.server import Server
from PIL import Image as Pillow
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from restoration import tasks
from restoration.files import file_size, read
from restoration.image import visible_colours
from restoration.page import parts
from restoration.page.api import REPORT, list_models
from restoration.page.doors import API
from restoration.page.inputs import GivenFile, completed, inputs_of
from restoration.page.theme import TITLE
from restoration.page.waiting import Waiting
from restoration.tasks._task import Task

LIST = "list_models"
PREVIEW = 384  # pixels of the longer side of the look at a result
LARGEST = 20e6  # pixels of a result that is looked at
FILE = (
    f"An address of a file on this server, as {API}/upload gives it for a file that is posted there as the form field "
    "`files` and as other tools give it for their results; or a data URL of at most 3 MB. Nothing is fetched from "
    "other servers."
)
INSTRUCTIONS = (
    "Restores pictures: photo finds out what a picture needs; the others remove noise or JPEG artifacts, enlarge or "
    "fill holes. Send a file first, unless it is here already: curl -F files=@photo.jpg ADDRESS_OF_THIS_SERVER"
    f"{API}/upload answers with its path, which the tools take. Results are links, kept for half an hour; a small "
    "preview shows what came of it, and a report says what was measured, changed or lost."
)
RETURNS = "Returns a link to the result's file, a small preview of it, and a report of what was done and measured."
_QUIET = types.ToolAnnotations(readOnlyHint=True, idempotentHint=True, openWorldHint=False)


def tool_of(kind: Task) -> types.Tool:
    """A task as a tool."""
    properties = {
        block.label: {"type": "string", "description": f"{block.about} {FILE}"}
        if isinstance(block, GivenFile)
        else block.setting.schema
        for block in inputs_of(kind)
    }
    result = {"type": "string", "format": "uri", "description": "address of the result's file"}
    return types.Tool(
        name=kind.name,
        title=kind.title,
        description=f"{kind.about} {RETURNS}",
        inputSchema={"type": "object", "properties": properties, "required": ["image"], "additionalProperties": False},
        outputSchema={
            "type": "object",
            "properties": {"result": result, "report": REPORT},
            "required": ["result", "report"],
        },
        annotations=_QUIET,
    )


def tools() -> list[types.Tool]:
    """Every tool."""
    task = {"type": "string", "enum": list(tasks.every()), "description": "Whose; all without it."}
    listing = types.Tool(
        name=LIST,
        title="Models",
        description="List the methods of a task: what each is good for, which are networks, and which is the default.",
        inputSchema={"type": "object", "properties": {"task": task}, "additionalProperties": False},
        annotations=_QUIET,
    )
    return [*(tool_of(kind) for kind in tasks.every().values()), listing]


class Tools(GradioMCPServer):
    """The server at which agents find the tools.

    Args:
        waiting: the rules of the queue.
    """

    def __init__(self, blocks: gr.Blocks, waiting: Waiting):
        self.waiting = waiting
        super().__init__(blocks)

    def create_mcp_server(self) -> Server:
        server = Server(TITLE, instructions=INSTRUCTIONS)

        @server.list_tools()
        async def list_tools() -> list[types.Tool]:
            return tools()

        @server.call_tool(validate_input=False)  # the endpoints understand more, and say what they do not
        async def call_tool(name: str, arguments: dict) -> types.CallToolResult:
            try:
                return await self.called(name, arguments)
            except ValueError as error:
                said = str(error)
            except HTTPException as refusal:
                said = str(refusal.detail)
            except Exception:
                logging.exception("a tool failed")
                said = "Something went wrong here; try another picture or model."
            return types.CallToolResult(content=[types.TextContent(type="text", text=said)], isError=True)

        return server

    async def get_complete_schema(self, request: Request) -> JSONResponse:
        """The tools without a connection."""
        return JSONResponse([tool.model_dump(exclude_none=True) for tool in tools()])

    async def called(self, name: str, arguments: Mapping[str, object]) -> types.CallToolResult:
        """What a tool answers.

        Raises:
            ValueError, HTTPException: a sentence says what is wrong with the call.
        """
        tool = next((tool for tool in tools() if tool.name == name), None)
        if tool is None:
            raise ValueError(f"There is no tool called {name[:40]!r}; there are {', '.join(tasks.every())} and {LIST}.")
        known = tool.inputSchema["properties"]
        for given in arguments:
            if given not in known:
                raise ValueError(f"{name} takes no {given[:40]!r}; it takes {', '.join(known)}.")
        if name == LIST:
            return listed(arguments.get("task"))
        file, report = await self.run(name, arguments)
        path, address = Path(file["path"]), file["url"]
        content: list[types.ContentBlock] = [
            types.TextContent(type="text", text=json.dumps({"result": address, "report": report})),
            types.ResourceLink(
                type="resource_link", name=path.name, uri=address, mimeType=mimetypes.guess_type(path.name)[0]
            ),
        ]
        if shown := await to_thread.run_sync(preview, path):
            content.append(
                types.ImageContent(type="image", data=base64.b64encode(shown).decode(), mimeType="image/jpeg")
            )
        return types.CallToolResult(content=content, structuredContent={"result": address, "report": report})

    async def run(self, task: str, arguments: Mapping[str, object]) -> tuple[dict, dict]:
        """The file and the report of an endpoint, whose progress is told to the agent.

        Raises:
            ValueError, HTTPException: see `called`.
        """
        queue, context = self.blocks._queue, self.mcp_server.request_context
        if queue.server_app is None:
            queue.set_server_app(self.blocks.app)
        (function,) = (fn for fn in self.blocks.fns.values() if fn.api_name == task and fn.api_visibility == "public")
        data = completed(function, [arguments.get(block.label) for block in function.inputs])
        for block, value in zip(function.inputs, data, strict=True):
            if isinstance(block, GivenFile) and not isinstance(value, Mapping) and (block.needed or value is not None):
                why = "is missing" if value is None else "is no file that is here"
                raise ValueError(f"{block.label} {why}. It has to be {FILE[0].lower()}{FILE[1:]}")
        session, request = uuid4().hex, asked_at_queue(context.request)
        body = PredictBodyInternal(data=data, fn_index=function._id, session_hash=session, request=request)
        _, event_id, _ = await queue.push(body=body, request=request, username=None)
        event, messages, last = queue.event_ids_to_events.get(event_id), queue.pending_messages_per_session[session], -1
        token = context.meta.progressToken if context.meta else None
        with self.waiting.heard(session), forgotten(queue, session, event):
            while True:
                message = await messages.get()
                if isinstance(message, ProcessCompletedMessage):
                    break
                done, total, words = told(message)
                if token is not None and done > last:
                    last = done
                    await context.session.send_progress_notification(
                        token, done, total, words, related_request_id=str(context.request_id)
                    )
        output = message.model_dump()["output"]
        if "data" not in output:
            raise ValueError(output.get("error") or "The run was cancelled.")
        return tuple(output["data"])


@contextmanager
def forgotten(queue, session: str, event):
    """Leave nothing of a call in the queue; one whose agent has gone ends after the step at hand."""
    try:
        yield
    finally:
        if event:
            event.alive = False
        queue.pending_messages_per_session.pop(session, None)
        queue.pending_event_ids_session.pop(session, None)


def asked_at_queue(request: Request) -> Request:
    """The same request as if it had come to the queue, by which gradio knows its own address."""
    scope = request.scope
    root = scope.get("app_root_path", "")
    path = f"{root}{API}/queue/join"
    return Request({**scope, "path": path, "raw_path": path.encode(), "root_path": root, "query_string": b""})


def told(message) -> tuple[float, float | None, str]:
    """How far a run has come: steps done, steps in all, and words; less than nothing where that is not told."""
    if isinstance(message, EstimationMessage) and message.rank:
        left = f", about {parts.duration(message.rank_eta)}" if message.rank_eta is not None else ""
        return 0, None, f"{message.rank} runs before this one{left}"
    if isinstance(message, ProcessStartsMessage):  # a quick run may tell nothing more
        return 0, None, "Begun"
    if isinstance(message, ProgressMessage) and message.progress_data:
        unit = message.progress_data[0]
        if unit.index is not None:
            return unit.index, unit.length, unit.desc or ""
    return -1, None, ""


def listed(task: object) -> types.CallToolResult:
    """The methods of a task, or all.

    Raises:
        ValueError: there is no such task.
    """
    if task is not None and task not in tasks.every():
        raise ValueError(f"task is one of {', '.join(tasks.every())}.")
    models = [method for method in list_models() if task in (None, method["task"])]
    return types.CallToolResult(content=[types.TextContent(type="text", text=json.dumps(models))])


def preview(path: Path) -> bytes | None:
    """A small JPEG of a file; None of one so large that it would cost much."""
    width, height = file_size(path)
    if width * height > LARGEST:
        return None
    image, content = visible_colours(read(path, limit=None)), io.BytesIO()
    with Pillow.open(io.BytesIO(parts.preview(image))) as picture:
        small = picture.convert("RGB")
        small.thumbnail((PREVIEW, PREVIEW))
        small.save(content, "jpeg", quality=85)
    return content.getvalue()
