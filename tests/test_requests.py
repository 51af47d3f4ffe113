"""Requests that are not as they should be: a 4xx with one sentence, and nothing in the server's log."""

import html
import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from gradio.data_classes import PredictBodyInternal

from restoration import limits
from restoration.files import write
from restoration.page.before import facts
from restoration.page.parts import as_text
from restoration.page.requests import complaint
from tests.conftest import API, CHECKOUT, built, serving

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A server whose log has to be without a traceback in the end."""
    with (
        serving(
            CHECKOUT, tmp_path_factory.mktemp("requests"), {"HF_HUB_OFFLINE": "1", "RESTORATION_PATIENCE": "5"}
        ) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        yield client


def one_sentence(answer: httpx.Response) -> bool:
    """Whether an answer is a refusal in a sentence without anything of the inside."""
    text = answer.json()["detail"] if answer.headers["content-type"] == "application/json" else answer.text
    inside = re.search(r"Traceback|Error\b|<|/tmp|/work|\.py|\n|gradio\.", text)
    return 400 <= answer.status_code < 500 and 10 < len(text) <= 200 and not inside


BODIES = [
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}", b"\xff\xfe", b"[" * 100_000, b'{"data": 1}', b'{"data": {}}',
    b'{"data":' + b"[" * 3000 + b"]" * 3000 + b"}", b'{"data": [], "session_hash": 1}',
    b'{"data": [], "session_hash": "a"}', b'{"data": [], "session_hash": "a", "fn_index": 99999}',
    b'{"data": [], "session_hash": "a", "fn_index": -1}', b'{"data": [], "session_hash": "a", "fn_index": "x"}',
    b'{"data": [], "session_hash": "\\u0000", "fn_index": 0}', b'{"data": [NaN], "session_hash": "a"}',
    b'{"data": [], "session_hash": "a", "fn_index": 0, "trigger_id": -5}',
    b'{"data": [], "session_hash": "a", "fn_index": 0, "batched": true}',
    b'{"session_hash": "a", "fn_index": "0", "event_id": 5}', b'{"event_id": null}',
]  # fmt: skip


@pytest.mark.parametrize("path", ["queue/join", "call/denoise", "call/v2/denoise", "call/nothing", "call/v2/nothing",
                                  "cancel", "reset", "run/predict", "upload"])  # fmt: skip
@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_is_none_is_refused_in_a_sentence(page, path, body):
    if path == "reset" and b"event_id" in body:
        pytest.skip("that is one")
    assert one_sentence(page.post(f"{API}/{path}", content=body, headers=JSON))


def test_what_the_page_asks_for_when_it_is_loaded_is_understood():
    page = built()
    loading = [fn for fn in page.fns.values() if any(event == "load" for _, event in fn.targets) and fn.fn]
    assert len(loading) > 2
    for fn in loading:
        values = [component.value for component in fn.inputs]
        body = PredictBodyInternal(data=values, fn_index=fn._id, session_hash="a", trigger_id=page._id)
        assert complaint(page, body) == ""


PARTS = [
    b"{}", b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nabc',
    b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--\r\n", b"--x\r\n\r\nabc\r\n--x--\r\n",
    b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\nabc\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="\x00"\r\n\r\nabc\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="..%s"\r\n\r\nabc\r\n--x--\r\n' % (b"a" * 5000),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "multipart/form-data; boundary=x",
                                  "multipart/form-data; boundary=", "application/json; charset=utf-16"])  # fmt: skip
@pytest.mark.parametrize("body", PARTS)
def test_an_upload_that_is_none_is_refused_in_a_sentence_or_taken(page, kind, body):
    answer = page.post(f"{API}/upload", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200 or one_sentence(answer)


@pytest.mark.parametrize("path", [
    "queue/data", "call/denoise/%00", "upload_progress", "upload_progress?upload_id=x", "file=", "file=%00",
    "file=/etc/passwd", "file=" + "a" * 5000, "file=~", "file=\\\\x",
])  # fmt: skip
def test_reading_what_is_not_there_is_refused_in_a_sentence(page, path):
    with page.stream("GET", f"{API}/{path}") as answer:
        if answer.status_code != 200:
            answer.read()
            assert one_sentence(answer)
            assert "passwd" not in answer.text


@pytest.fixture(scope="module")
def config(page) -> dict:
    return page.get("/config").json()


def test_what_the_page_asks_for_when_it_opens_is_answered(page, config):
    at_load = [call for call in config["dependencies"] if any(kind == "load" for _, kind in call["targets"])]
    assert at_load
    parts = {part["id"]: part for part in config["components"]}
    for call in at_load:
        data = [parts[id]["props"].get("value") for id in call["inputs"]]
        body = {"data": data, "fn_index": call["id"], "session_hash": "opens", "event_data": None, "trigger_id": 0}
        if call["backend_fn"]:
            assert page.post(f"{API}/queue/join", json=body).status_code == 200


WRONG = [
    1, "x", True, [[]], [{}], [1], {"path": 1}, {"path": None}, {"path": "x"}, {"path": "/etc/passwd"},
    {"path": "\0"}, {"path": "a" * 5000}, {"path": []}, {"url": "x"}, {"path": "x", "size": "y"},
    {"path": "x", "meta": {"_type": "gradio.FileData"}}, {"path": "/etc/passwd", "is_stream": True},
    {"background": {"path": "x"}, "layers": [], "composite": None},
    {"background": None, "layers": [{"path": "/etc/passwd"}], "composite": None}, "\ud800", 1e308,
]  # fmt: skip


NOTHING = [[], {}, {"meta": 1}, {"background": 1, "layers": 2, "composite": 3}, {"a": {"b": {}}}]


@pytest.mark.parametrize("number", range(len(WRONG + NOTHING)), ids=lambda number: repr((WRONG + NOTHING)[number])[:40])
def test_a_file_that_is_none_is_refused_before_it_waits(page, config, number):
    """Each value is tried in every fourth place, so that each place has several."""
    value, parts = (WRONG + NOTHING)[number], {part["id"]: part for part in config["components"]}
    places = [
        (call, place)
        for call in config["dependencies"]
        for place, id in enumerate(call["inputs"])
        if call["backend_fn"] and parts[id]["type"] in ("image", "file", "imageeditor")
    ]
    assert len(places) > 20
    for call, place in places[number % 4 :: 4]:
        data = [parts[other]["props"].get("value") for other in call["inputs"]]
        data[place] = value
        event = {"index": [0, 0], "value": None}
        body = {"data": data, "fn_index": call["id"], "session_hash": "wrong", "event_data": event}
        answer = page.post(f"{API}/queue/join", content=json.dumps(body).encode(), headers=JSON)
        assert (value in NOTHING and answer.status_code in (200, 503)) or one_sentence(answer), (call, value)


@pytest.mark.parametrize("event", [None, 5, [], {}, {"index": 0}, {"index": "x", "value": 1}, {"index": [None, 0],
                                   "value": 1}, {"index": 10**400, "value": 1}])  # fmt: skip
def test_an_event_that_none_was_is_refused(page, config, event):
    tapped = [call for call in config["dependencies"] if call["targets"][:1] and call["targets"][0][1] == "select"]
    told = [call for call in tapped if call["backend_fn"] and call["collects_event_data"]]
    assert told
    for call in told:
        body = {"data": [None] * len(call["inputs"]), "fn_index": call["id"], "session_hash": "a", "event_data": event}
        assert one_sentence(page.post(f"{API}/queue/join", json=body))


@pytest.mark.parametrize("name", ["[x](https://evil.example)", "https://evil.example", "![x](y)", "<b>x", "*a*", "_a_",
                                  "# a", "- a", "1. a", "`a`", "$a$", "a|b", "~~a~~", "&lt;", "\\*"])  # fmt: skip
def test_a_file_name_is_text_where_markdown_is_shown(tmp_path, name):
    assert not re.search(r"[][()<>*_#`$|~\\!:./]", as_text(name).replace("&#", ""))
    path = tmp_path / f"{name.replace('/', '')}.png"
    path.write_bytes(b"no picture")
    assert not re.search(r"[][()<>*_`$|~\\!]", facts("denoise", str(path)))


def test_words_that_are_shown_as_text_read_as_they_are():
    for words in ("[x](y).png is not a JPEG, PNG, WebP, TIFF or BMP file.", "a-b - c's 100 % ä é 日本"):
        assert html.unescape(as_text(words)) == words


def test_what_is_wrong_with_a_picture_is_still_said(tmp_path, photo):
    write(photo, tmp_path / "photo.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "photo.png").read_bytes()[:200])
    assert "half&#46;png" in facts("denoise", str(tmp_path / "half.png"))


def multipart(parts: int, size: int, name: bytes = b"") -> Iterator[bytes]:
    """The body of an upload, of parts of so many MB."""
    for number in range(parts):
        head = b'--x\r\nContent-Disposition: form-data; name="files"%b\r\n\r\n' % (name and name % number)
        yield (b"\r\n" if number else b"") + head
        for _ in range(size):
            yield bytes(2**20)
    yield b"\r\n--x--\r\n"


FILE = b'; filename="%d.png"'
MOST, TEXT = limits.REQUEST_BYTES >> 20, limits.TEXT_BYTES >> 20


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("path, content, words", [
    ("upload", lambda: multipart(1, MOST + 1, FILE), f"At most {MOST} MB can be sent at once."),
    ("upload", lambda: multipart(MOST + 1, 1, FILE), f"At most {MOST} MB can be sent at once."),
    ("upload", lambda: multipart(1, TEXT + 1), f"what is no file is {TEXT} MB"),
    ("upload", lambda: multipart(TEXT + 1, 1), f"what is no file is {TEXT} MB"),
    ("queue/join", lambda: [b'{"data": ["', *[b"x" * 2**20] * (TEXT + 1), b'"]}'], f"At most {TEXT} MB can be sent"),
    ("call/denoise", lambda: [b'{"data": ["data:image/png;base64,', *[b"A" * 2**20] * (MOST + 1), b'"]}'], "At most"),
    ("cancel", lambda: [b" " * 2**20] * (TEXT + 1), f"At most {TEXT} MB can be sent beside files"),
])  # fmt: skip
def test_a_request_is_bounded_whatever_it_is_made_of(page, path, content, words, announced):
    kind = "multipart/form-data; boundary=x" if path == "upload" else "application/json"
    body = b"".join(content()) if announced else (part for part in content())
    answer = page.post(f"{API}/{path}", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 413
    assert words in answer.text
    assert len(answer.text) < 200


def test_a_request_that_is_announced_too_large_is_refused_before_it_is_sent(page):
    with socket.create_connection((page.base_url.host, page.base_url.port), timeout=60) as visitor:
        visitor.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: here\r\nConnection: close\r\n")
        visitor.sendall(b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 99999999999\r\n\r\n")
        with visitor.makefile("rb") as file:
            answer = file.read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"At most 64 MB can be sent at once." in answer


def test_just_what_is_allowed_is_taken(page):
    answer = page.post(
        f"{API}/upload",
        content=b"".join(multipart(1, MOST - 1, FILE)),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 200


def test_an_upload_of_which_nothing_more_comes_is_given_up(page):
    half = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nabc'
    with ExitStack() as open_ones:
        waiting = []
        for sent in (b"", b"--x\r\n", half):
            connection = socket.create_connection((page.base_url.host, page.base_url.port), timeout=60)
            open_ones.enter_context(connection)
            connection.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: here\r\nConnection: close\r\n")
            connection.sendall(b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n" + sent)
            waiting.append((sent, open_ones.enter_context(connection.makefile("rb"))))
        for sent, file in waiting:
            answer = file.read()
            assert answer.startswith(b"HTTP/1.1 408 "), sent
            assert b"Nothing more came of this request" in answer, sent
