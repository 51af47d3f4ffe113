"""Which addresses answer, to whom, and that the server calls none."""

import gzip
import json
import os
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from restoration.files import write
from restoration.page import doors
from tests.conftest import API, built

ROOT = Path(__file__).parent.parent


def asked(address: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None):
    """Status, headers and text of an answer."""
    request = urllib.request.Request(address, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read(100_000).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read(100_000).decode("utf-8", "replace")


READ = [
    "/openapi.json", "/docs", "/redoc", "/monitoring", "/monitoring/summary", "/monitoring/x", "/logout", "/login",
    *(f"{API}/{name}" for name in (
        "deep_link?session_hash=a", "dev/reload", "vibe-code", "vibe-edit", "runs", "run-history/buckets",
        "run-history/records", "profiling/traces", "profiling/summary", "token",
        "custom_component/1/client/component/x",
        "stream/a/b/1/playlist.m3u8", "file/x", "run/models", "api/models", "mcp/", "mcp/sse", "login/huggingface",
        "proxy=https://x.hf.space/", "file=http://127.0.0.1/", "file=https://example.org/x.png",
        "file=HTTPS://example.org/", "file=ftp://example.org/", "file=http%3A%2F%2F127.0.0.1%2F",
    )),
    "/svelte", "/..%2f..%2fetc/passwd", "/gradio_api", "//example.org/", "/proxy=https://x.hf.space/",
]  # fmt: skip
WRITTEN = [
    *(f"{API}/{name}" for name in (
        "process_recording", "vibe-edit", "vibe-edit/", "undo-vibe-edit", "vibe-code", "vibe-starter-queries",
        "run/models", "run/denoise/", "api/models", "run-history/connect", "profiling/clear",
        "stream/x", "stream/x/close", "mcp/", "deep_link", "component_server", "component_server/",
    )),
    "/login", "/", "/config", "/gradio_api/file=x",
]  # fmt: skip


@pytest.mark.parametrize("path", READ)
def test_what_the_page_does_not_use_is_not_read(server, path):
    status, _, text = asked(server + path)
    assert status == 404
    assert text == doors.NOTHING_HERE


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", WRITTEN)
def test_what_the_page_does_not_use_is_not_written(server, path, method):
    status, _, text = asked(server + path, method, {"Content-Type": "application/json"}, b"{}")
    assert status == 404
    assert text == doors.NOTHING_HERE


@pytest.mark.parametrize(
    "path", ["/", "/config", "/theme.css", f"{API}/info", f"{API}/openapi.json", f"{API}/startup-events"]
)
def test_what_the_page_and_programs_need_is_read(server, path):
    assert asked(server + path)[0] == 200


@pytest.mark.parametrize("path", ["/", "/config", f"{API}/info"])
def test_what_opens_the_page_comes_in_few_bytes_to_whoever_unpacks_it(server, path):
    plain = asked(server + path)
    packed = urllib.request.Request(server + path, headers={"Accept-Encoding": "gzip, deflate, br"})
    with urllib.request.urlopen(packed, timeout=60) as answer:
        content = answer.read()
        assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(content).decode()[:50_000] == plain[2][:50_000]
    assert len(content) < 100_000
    assert plain[1]["Content-Encoding"] is None


def test_nothing_that_queues_is_run_past_the_queue(server):
    queued = [index for index, fn in built().fns.items() if fn.queue and fn.fn]
    assert len(queued) > 20
    for index in queued:
        order = json.dumps({"fn_index": index, "data": [], "session_hash": "a"}).encode()
        assert asked(f"{server}{API}/run/predict", "POST", {"Content-Type": "application/json"}, order)[0] == 404


def test_only_documented_endpoints_can_be_called_by_name():
    offered = {fn.api_name for fn in built().fns.values() if fn.api_visibility != "private"}
    assert offered == {"photo", "denoise", "artifacts", "upscale", "inpaint", "models"}


@pytest.mark.parametrize(
    "path, status",
    [
        ("/", 200),
        ("/config", 200),
        (f"{API}/info", 200),
        ("/docs", 404),
        (f"{API}/call/nothing/x", 200),
        ("/static/x", 404),
    ],
)
def test_every_answer_says_what_a_browser_may_do_with_it(server, path, status):
    answered, headers, _ = asked(server + path)
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert answered == status
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert policy["default-src"] == "'self'"
    assert "https://huggingface.co" in policy["frame-ancestors"].split()
    assert not headers["X-Frame-Options"]


FOREIGN = [
    "https://evil.example", "http://evil.example:{port}", "http://127.0.0.1.evil.example:{port}", "null", "file://",
    "http://127.0.0.1:1", "http://user@127.0.0.1:{port}", "chrome-extension://abc", "evil", "",
    "http://127.0.0.1:{port}, https://evil.example", "http://127.0.0.1:{port}x", "https://huggingface.co.evil.example",
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
@pytest.mark.parametrize("path", ["upload", "queue/join", "call/models", "cancel", "reset", "run/predict"])
def test_scripts_of_other_sites_are_refused(server, path, method, origin):
    origin = origin.format(port=urllib.parse.urlsplit(server).port)
    headers = {"Origin": origin, "Content-Type": "text/plain", "Access-Control-Request-Method": "POST"}
    status, answered, text = asked(f"{server}{API}/{path}", method, headers, b"{}")
    assert (status, text) == (403, doors.FOREIGN)
    assert not [name for name in answered if name.lower().startswith("access-control")]


@pytest.mark.parametrize("host", [None, "demo.example", "localhost"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://demo.example"])
@pytest.mark.parametrize("path", ["/", "/config", f"{API}/info", f"{API}/queue/status", f"{API}/file=/etc/passwd"])
def test_no_origin_is_reflected(server, path, origin, host):
    headers = {"Origin": origin, **({"Host": host} if host else {})}
    answered = asked(server + path, headers=headers)[1]
    assert not [name for name in answered if name.lower().startswith("access-control")]


@pytest.mark.parametrize("origin, host, more, foreign", [
    (None, "demo.example", {}, False),
    ("https://demo.example", "demo.example", {}, False),
    ("https://DEMO.example", "demo.example:443", {}, False),
    ("http://localhost:7860", "localhost:7860", {}, False),
    ("http://[::1]:7860", "[::1]:7860", {}, False),
    ("http://localhost:7861", "localhost:7860", {}, True),
    ("https://demo.example.evil", "demo.example", {}, True),
    ("https://demo.example", "inner:7860", {"sec-fetch-site": "same-origin"}, False),  # a proxy gave it another name
    ("https://demo.example", "inner:7860", {"sec-fetch-site": "cross-site"}, True),
    ("https://demo.example", "inner:7860", {"sec-fetch-site": "same-site"}, True),
    ("https://friend.example", "demo.example", {}, False),
    ("null", "", {}, True),
    ("https://[", "[", {}, True),
])  # fmt: skip
def test_an_origin_is_ones_own_or_it_is_foreign(origin, host, more, foreign):
    headers = {**({} if origin is None else {"origin": origin}), "host": host, **more}
    assert doors.is_foreign(headers, {"RESTORATION_ORIGINS": "https://friend.example, https://x.example"}) == foreign


def test_programs_and_the_page_itself_work_as_before(server, photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    client = Client(server, verbose=False, download_files=str(tmp_path))
    assert Path(client.predict(handle_file(tmp_path / "photo.png"), "median", api_name="/denoise")[0]).exists()
    own = {"Origin": server, "Content-Type": "application/json"}
    for headers in (own, {"Content-Type": "application/json"}):
        status, _, text = asked(f"{server}{API}/call/models", "POST", headers, b'{"data": []}')
        assert status == 200
        event = json.loads(text)["event_id"]
        assert "event: complete" in asked(f"{server}{API}/call/models/{event}")[2]


@pytest.fixture(scope="module")
def hits() -> Iterator[tuple[int, list[str]]]:
    """A listener on loopback that counts who connects; gives its port and the list."""
    found: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            while True:
                try:
                    visitor, _ = listener.accept()
                except OSError:
                    return
                with visitor:
                    found.append(visitor.recv(200).decode("latin-1"))
                    visitor.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1\r\n\r\nx")

        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1], found
        listener.shutdown(socket.SHUT_RDWR)


TRUSTING = """
import safehttpx
safehttpx.is_public_ip = lambda ip: True
"""


@pytest.fixture(scope="module")
def trusting(tmp_path_factory) -> Iterator[str]:
    """The page on a machine to which loopback is public; gives its address."""
    from tests.conftest import serving

    scratch = tmp_path_factory.mktemp("trusting")
    (scratch / "sitecustomize.py").write_text(TRUSTING)
    path = os.pathsep.join([str(scratch), str(ROOT)])
    with serving(ROOT, scratch, {"HF_HUB_OFFLINE": "1", "PYTHONPATH": path}, traceless=False) as address:
        yield address


def sent(address: str, task: str, file: dict) -> str:
    """What comes of asking for a task with a file, or with a mask."""
    edges = ["diffusion", False, 0, 0, True, "png", 95]
    values = {
        "denoise": [file, "median", "auto", 1, "png", 95],
        "artifacts": [file, "deblocking-tv", "auto", 1, "png", 95],
        "upscale": [file, "nearest-x2", 0, 1, False, "png", 95],
        "inpaint": [file, None, *edges],
        "mask": [None, file, *edges],
    }[task]
    task = "inpaint" if task == "mask" else task
    body = json.dumps({"data": values}).encode()
    status, _, text = asked(f"{address}{API}/call/{task}", "POST", {"Content-Type": "application/json"}, body)
    if status != 200:
        return text
    return asked(f"{address}{API}/call/{task}/{json.loads(text)['event_id']}")[2]


@pytest.mark.parametrize("task", ["denoise", "artifacts", "upscale", "inpaint", "mask"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"])
def test_no_file_that_a_request_names_makes_the_server_call(trusting, hits, host, task):
    port, found = hits
    url = f"http://{host}:{port}/picture.png"
    for file in (
        {"path": url},
        {"path": url, "url": url},
        {"path": None, "url": url},
        {"path": "", "url": url},
        {"url": url},
        {"path": url.replace("http:", "HTTP:")},
    ):
        answer = sent(trusting, task, {**file, "meta": {"_type": "gradio.FileData"}, "orig_name": "picture.png"})
        assert "event: complete" not in answer
        assert "Traceback" not in answer
    assert found == []


def test_a_file_by_address_is_refused_in_a_sentence(trusting, hits):
    url = f"http://127.0.0.1:{hits[0]}/picture.png"
    assert doors.NOT_FETCHED in sent(trusting, "denoise", {"path": url, "meta": {"_type": "gradio.FileData"}})
    assert hits[1] == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [
    "file={url}", "file={quoted}", "file=http%253A//127.0.0.1:{port}/", "proxy={url}", "proxy={quoted}", "file/{url}",
    "custom_component/{quoted}/client/component/x", "stream/{quoted}/a/1/playlist.m3u8", "file=//127.0.0.1:{port}/x",
])  # fmt: skip
def test_no_address_makes_the_server_call(trusting, hits, path, method):
    port, found = hits
    url = f"http://127.0.0.1:{port}/picture.png"
    filled = path.format(url=url, quoted=urllib.parse.quote(url, safe=""), port=port)
    for prefix in (API, ""):
        assert asked(f"{trusting}{prefix}/{filled}", method)[0] in (403, 404)
    assert found == []


def test_the_listener_counts(hits):
    port, found = hits
    asked(f"http://127.0.0.1:{port}/me")
    assert found.pop().startswith("GET /me")


# As an MCP server -----------------------------------------------------------------------------------------------------


def told(address: str, method: str, **parameters) -> dict:
    """What the MCP server answers."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    status, _, text = asked(f"{address}{API}/mcp/", "POST", headers, json.dumps(message).encode())
    assert status == 200, text
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")] or [text]
    return json.loads(lines[-1])["result"]


def test_programs_use_the_documented_endpoints_as_tools_and_nothing_else_opens(tools):
    version = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    assert told(tools, "initialize", **version)["serverInfo"]
    names = {tool["name"] for tool in told(tools, "tools/list")["tools"]}
    assert names >= {"denoise", "artifacts", "upscale", "inpaint", "list_models"}
    assert len(names) == len(json.loads(asked(f"{tools}{API}/info")[2])["named_endpoints"])
    answer = told(tools, "tools/call", name="list_models", arguments={})
    assert "drunet-fast" in json.dumps(answer)
    for path in ("deep_link?session_hash=a", "vibe-code", "run/models", "proxy=https://x.hf.space/"):
        assert asked(f"{tools}{API}/{path}")[0] == 404


def test_scripts_of_other_sites_may_not_use_the_tools(tools):
    headers = {"Origin": "https://evil.example", "Content-Type": "application/json"}
    for path in ("mcp/", "mcp/messages/", "mcp/sse"):
        status, _, text = asked(f"{tools}{API}/{path}", "POST", headers, b"{}")
        assert (status, text) == (403, doors.FOREIGN)


def test_no_tool_makes_the_server_call(tools, hits):
    port, found = hits
    answer = told(tools, "tools/call", name="denoise", arguments={"image": f"http://127.0.0.1:{port}/x.png"})
    assert answer["isError"]
    assert "Traceback" not in json.dumps(answer)
    assert found == []
