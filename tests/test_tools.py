"""The tools for agents, used by the official client: what they say of themselves, take and give."""

import asyncio
import base64
import io
import json
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from PIL import Image as Pillow

from restoration import tasks
from restoration.files import encode, read, write
from restoration.image import Image
from restoration.page.inputs import GivenFile, inputs_of
from tests.conftest import API, QUICK, by_api

mcp = pytest.importorskip("mcp")
http = pytest.importorskip("mcp.client.streamable_http")
jsonschema = pytest.importorskip("jsonschema")

TASKS = list(tasks.every())


@pytest.fixture
def agent(tools) -> Callable:
    """Does something as an agent that is connected to the page."""

    def does(something: Callable) -> object:
        async def connected() -> object:
            async with (
                http.streamable_http_client(f"{tools}{API}/mcp/") as (reading, writing, _),
                mcp.ClientSession(reading, writing) as session,
            ):
                await session.initialize()
                return await something(session)

        return asyncio.run(connected())

    return does


@pytest.fixture
def call(agent) -> Callable:
    """Calls a tool; gives the answer and what was told meanwhile."""

    def called(name: str, **arguments) -> tuple[mcp.types.CallToolResult, list]:
        told = []

        async def heard(*progress) -> None:
            told.append(progress)

        answer = agent(lambda session: session.call_tool(name, arguments, progress_callback=heard))
        return answer, told

    return called


@pytest.fixture
def sent(tools, photo) -> Callable:
    """Uploads a picture or a mask; gives its path there."""

    def uploaded(picture: Image = photo) -> str:
        return httpx.post(f"{tools}{API}/upload", files={"files": ("my photo.png", encode(picture))}).json()[0]

    return uploaded


def test_there_is_a_tool_for_each_task_and_one_that_lists_the_models_and_no_other(agent, tools):
    listed = agent(lambda session: session.list_tools()).tools
    assert [tool.name for tool in listed] == [*TASKS, "list_models"]
    for tool in listed:
        assert len(tool.description) > 60 and tool.description.endswith(".")
        for given in tool.inputSchema["properties"].values():
            assert given["description"].endswith(".")
        jsonschema.Draft202012Validator.check_schema(tool.inputSchema)
    told = httpx.get(f"{tools}{API}/mcp/schema").json()
    assert [tool["name"] for tool in told] == [tool.name for tool in listed]


@pytest.mark.parametrize("task", TASKS)
def test_a_tool_takes_what_the_endpoint_takes(agent, task):
    (tool,) = (tool for tool in agent(lambda session: session.list_tools()).tools if tool.name == task)
    for block in inputs_of(tasks.named(task)):
        told = tool.inputSchema["properties"][block.label]
        assert told["type"] == "string" if isinstance(block, GivenFile) else told == block.setting.schema
    assert tool.inputSchema["required"] == ["image"]


@pytest.mark.parametrize("task", TASKS)
def test_a_tool_gives_a_link_a_small_preview_and_the_report_and_tells_its_progress(call, sent, photo, tmp_path, task):
    mask = {"mask": sent(Image(np.eye(9, dtype=np.uint8)[..., None] * 255))} if tasks.named(task).holes else {}
    answer, told = call(task, image=sent(), **QUICK[task], **mask)
    assert not answer.isError, answer
    text, link, preview = answer.content
    assert json.loads(text.text) == answer.structuredContent
    assert str(link.uri) == answer.structuredContent["result"]
    assert len(text.text) < 6000
    with Pillow.open(io.BytesIO(base64.b64decode(preview.data))) as shown:
        assert max(shown.size) <= 384
    assert len(preview.data) < 100_000
    write(photo, tmp_path / "my photo.png")
    content = httpx.get(answer.structuredContent["result"]).content
    report = answer.structuredContent["report"]
    assert report["task"] == task and report["seconds"] >= 0
    assert read(content).digest == report["output"]["sha256"]
    if not mask:
        assert by_api(task, str(tmp_path / "my photo.png"), **QUICK[task])[1]["output"] == report["output"]
    done = [progress for progress, _, _ in told]
    assert done and done == sorted(set(done))
    assert all(total is None or progress <= total for progress, total, _ in told)


def test_files_are_taken_by_path_by_address_as_data_and_from_another_tool(call, sent, tools, photo):
    path = sent()
    address = f"{tools}{API}/file={path}"
    data = "data:image/png;base64," + base64.b64encode(encode(photo)).decode()
    answers = [call("denoise", image=image, model="Median")[0] for image in (path, address, data)]
    assert len({answer.structuredContent["report"]["output"]["sha256"] for answer in answers}) == 1
    link = answers[0].structuredContent["result"]
    again, _ = call("upscale", image=link, model="nearest", scale="2", format="JPG")
    assert again.structuredContent["report"]["output"]["width"] == 2 * photo.width


@pytest.mark.parametrize("arguments, words", [
    ({}, "image is missing. It has to be an address of a file on this server"),
    ({"image": "https://example.org/x.png"}, "image is no file that is here. It has to be"),
    ({"image": "/etc/passwd"}, "image is no file that is here."), ({"image": "photo.png"}, "image is no file"),
    ({"image": "data:image/png;base64,aGVsbG8="}, "is not a JPEG, PNG"), ({"image": 5}, "image is no file"),
    ({"sigma": 400}, "sigma goes from 0 to 100, not 400."), ({"strength": "much"}, "strength must be a number."),
    ({"model": "best"}, "There is no denoise model called 'best'; choose "), ({"noise": 4}, "denoise takes no 'noise'"),
])  # fmt: skip
def test_what_a_tool_cannot_use_is_said_in_a_sentence(call, sent, arguments, words):
    named = {"image": sent(), "model": "median", **arguments} if arguments else {}
    answer, _ = call("denoise", **named)
    assert answer.isError
    assert words in answer.content[0].text
    assert "Traceback" not in answer.content[0].text and len(answer.content) == 1


def test_the_models_of_a_task_are_listed(call):
    names = [model["name"] for model in json.loads(call("list_models", task="denoise")[0].content[0].text)]
    assert "drunet-photo" in names and "median" in names and "lanczos-x2" not in names
    every = json.loads(call("list_models")[0].content[0].text)
    assert {model["task"] for model in every} == set(TASKS)
    assert call("list_models", task="x")[0].isError
