"""A public page shares its worker: who waits is served, whoever they are and whatever their requests claim."""

import json
import socket
import threading
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from restoration.files import encode
from restoration.image import Image
from restoration.page.waiting import GAVE_WAY, MUCH, NOT_YOURS, WAITING
from tests.conftest import API, CHECKOUT, serving, until

LIMITS = {
    "RESTORATION_AT_ONCE": "1",
    "RESTORATION_UNHEARD": "2",
    "RESTORATION_WAITING": "2",
    "RESTORATION_RUNS": "6",
    "RESTORATION_MEGABYTES": "2",
    "RESTORATION_WINDOW": "3600",
    "RESTORATION_PROXIED": "1",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A public page behind a proxy, with limits for a test."""
    with serving(CHECKOUT, tmp_path_factory.mktemp("fair"), {"HF_HUB_OFFLINE": "1", **LIMITS}) as address:
        yield address


@pytest.fixture
def visitor(server, request):
    """A visitor with an address and a session of their own."""
    number = abs(hash(request.node.name)) % 2**16
    with Visitor(server, f"198.18.{number >> 8}.{number & 255}") as found:
        yield found


class Visitor:
    """Asks for runs, and may listen to what comes of them.

    Args:
        server: address of the page.
        address: as the proxy tells it.
    """

    def __init__(self, server: str, address: str):
        headers = {"X-Forwarded-For": f"9.9.9.9, {address}"}
        self.client = httpx.Client(base_url=server, headers=headers, timeout=60)
        self.events: list[str] = []
        self.answers: dict[str, str] = {}
        self.threads: list[threading.Thread] = []
        self.paths: dict[int, str] = {}

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_) -> None:
        for event in self.events:
            self.cancel(event)
        for thread in self.threads:
            thread.join(30)
        self.client.close()

    def upload(self, side: int, **headers: str) -> httpx.Response:
        """A picture of noise, sent."""
        samples = np.random.default_rng(side).integers(0, 256, (side, side, 3)).astype(np.uint8)
        files = {"files": ("noise.png", encode(Image(samples)))}
        return self.client.post(f"{API}/upload", files=files, headers=headers)

    def ask(self, model: str, side: int = 32, session: str | None = None, **headers: str) -> httpx.Response:
        """A run by the API; a long one by "deep-image-prior"."""
        picture = {"path": self.path(side), "meta": {"_type": "gradio.FileData"}}
        body = {"data": [picture, model, "auto", 1, "png", 95], "session_hash": session}
        answer = self.client.post(f"{API}/call/denoise", json=body, headers=headers)
        if answer.status_code == 200:
            self.events.append(answer.json()["event_id"])
        return answer

    def path(self, side: int) -> str:
        if side not in self.paths:
            self.paths[side] = self.upload(side).json()[0]
        return self.paths[side]

    def hear(self, event: str) -> str:
        """What comes of a run."""
        return self.client.get(f"{API}/call/denoise/{event}", timeout=120).text

    def listen(self, event: str) -> None:
        """Hear it meanwhile."""
        thread = threading.Thread(target=lambda: self.answers.update({event: self.hear(event)}), daemon=True)
        thread.start()
        self.threads.append(thread)

    def cancel(self, event: str, session: str | None = None) -> httpx.Response:
        body = {"event_id": event, "session_hash": event if session is None else session, "fn_index": self.call()}
        return self.client.post(f"{API}/cancel", json=body)

    def call(self) -> int:
        calls = self.client.get("/config").json()["dependencies"]
        return next(call["id"] for call in calls if call["api_name"] == "denoise")

    def begun(self, event: str) -> bool:
        """Whether a run has the model: nobody waits any more."""
        return self.client.get(f"{API}/queue/status").json()["queue_size"] == 0


LONG = {"model": "deep-image-prior", "side": 64}


def test_a_run_that_nobody_listens_to_gives_way_and_whoever_comes_back_is_told(visitor):
    unheard = visitor.ask(**LONG).json()["event_id"]
    until(lambda: visitor.begun(unheard))
    heard = visitor.ask("median").json()["event_id"]
    assert "event: complete" in visitor.hear(heard)
    assert GAVE_WAY in visitor.hear(unheard)


def test_runs_that_nobody_listens_to_do_not_fill_the_queue(server):
    with ExitStack() as many:
        crowd = [many.enter_context(Visitor(server, f"198.21.0.{number}")) for number in range(4)]
        for number in range(WAITING + 1):
            assert crowd[number // 6].ask(**LONG).status_code == 200
        time.sleep(1.5 * float(LIMITS["RESTORATION_UNHEARD"]))
        late = many.enter_context(Visitor(server, "198.21.1.1"))
        answer = late.ask("median")
        assert answer.status_code == 200
        assert "event: complete" in late.hear(answer.json()["event_id"])


def test_a_run_that_nobody_listens_to_goes_on_while_nobody_waits_and_keeps_its_result(visitor):
    event = visitor.ask("median").json()["event_id"]
    time.sleep(2 * float(LIMITS["RESTORATION_UNHEARD"]))
    assert "event: complete" in visitor.hear(event)


def test_a_visitor_who_left_finds_the_result_again(visitor):
    event = visitor.ask("bilateral", 300).json()["event_id"]
    with visitor.client.stream("GET", f"{API}/call/denoise/{event}"):
        pass  # gone before there is an answer
    assert "event: complete" in visitor.hear(event)


def test_a_run_that_is_listened_to_does_not_give_way(visitor):
    heard = visitor.ask(**LONG).json()["event_id"]
    visitor.listen(heard)
    until(lambda: visitor.begun(heard))
    behind = visitor.ask("median").json()["event_id"]
    visitor.listen(behind)
    time.sleep(2 * float(LIMITS["RESTORATION_UNHEARD"]))
    assert not visitor.answers
    visitor.cancel(heard)
    until(lambda: behind in visitor.answers)
    assert "event: complete" in visitor.answers[behind]


def test_a_session_has_two_runs_waiting_and_another_session_may_still_come(visitor):
    first = visitor.ask(**LONG, session="mine").json()["event_id"]
    visitor.listen(first)
    until(lambda: visitor.begun(first))
    assert [visitor.ask("median", session="mine").status_code for _ in range(2)] == [200, 200]
    refused = visitor.ask("median", session="mine")
    assert (refused.status_code, refused.json()["detail"]) == (
        429, "2 of your runs are waiting already; wait for one of them.",
    )  # fmt: skip
    assert visitor.ask("median", session="other").status_code == 200
    for event in visitor.events:
        visitor.cancel(event, "mine")


def test_an_address_has_so_many_runs_whatever_its_requests_claim(visitor):
    answers = []
    for number in range(9):
        forged = {"X-Real-IP": f"1.1.1.{number}", "Forwarded": f"for=1.1.1.{number}", "User-Agent": str(number)}
        answers.append(visitor.ask("median", session=f"fresh{number}", **forged))
        if answers[-1].status_code == 200:
            visitor.hear(answers[-1].json()["event_id"])
    assert [answer.status_code for answer in answers] == [200] * 6 + [429] * 3
    assert answers[-1].json()["detail"].startswith("At most 6 runs in 60 min are possible here; go on in ")
    address = visitor.client.headers["X-Forwarded-For"].split()[-1]
    forged = visitor.ask("median", **{"X-Forwarded-For": f"7.7.7.7, 8.8.8.8, {address}"})
    assert forged.status_code == 429  # what stands before the platform's word is a visitor's
    with Visitor(str(visitor.client.base_url), "198.19.0.1") as other:
        assert other.ask("median").status_code == 200


def test_an_address_sends_so_many_megabytes(visitor):
    sent = [visitor.upload(500) for _ in range(4)]  # 0.7 MB each
    assert [answer.status_code for answer in sent] == [200, 200, 429, 429]
    assert sent[-1].json()["detail"].startswith("At most 2 MB of uploads in 60 min are possible here")
    assert visitor.client.get("/config").status_code == 200


def test_a_run_is_cancelled_by_its_own_session_alone_and_whoever_waits_is_told(visitor):
    event = visitor.ask(**LONG).json()["event_id"]
    visitor.listen(event)
    until(lambda: visitor.begun(event))
    waiting = visitor.ask("median").json()["event_id"]
    visitor.listen(waiting)
    for foreign in ("another", "", waiting):
        refused = visitor.cancel(event, foreign)
        assert (refused.status_code, refused.json()["detail"]) == (403, NOT_YOURS)
    time.sleep(1)
    assert not visitor.answers
    assert visitor.cancel(event).status_code == 200
    until(lambda: len(visitor.answers) == 2)
    assert "event: complete" in visitor.answers[waiting]


# Two at once ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twofold(tmp_path_factory):
    """A page on which two runs go on at once."""
    settings = {"HF_HUB_OFFLINE": "1", "RESTORATION_AT_ONCE": "2"}
    with serving(CHECKOUT, tmp_path_factory.mktemp("twofold"), settings) as address:
        yield address


def test_a_short_run_does_not_wait_for_the_long_one_of_another_session_but_for_its_own(twofold):
    with Visitor(twofold, "1.1.1.1") as one, Visitor(twofold, "2.2.2.2") as other:
        long = one.ask(**LONG, session="one").json()["event_id"]
        until(lambda: one.begun(long))
        behind = one.ask("median", session="one").json()["event_id"]
        for number in range(3):
            assert "event: complete" in other.hear(other.ask("median", session=f"other{number}").json()["event_id"])
        assert not one.begun(behind)  # so that results come in the order of the clicks
        one.cancel(long, "one")
        assert "event: complete" in one.hear(behind)


@pytest.mark.parametrize("model, side", [
    ("drunet-fast", 200), ("drunet-photo", 700), pytest.param("deep-image-prior", 16, marks=pytest.mark.load),
])  # fmt: skip
def test_runs_that_go_on_at_once_give_the_bytes_that_they_give_alone(twofold, model, side):
    def result(visitor: Visitor, event: str) -> bytes:
        answer = json.loads(visitor.hear(event).split("event: complete\ndata: ")[1].splitlines()[0])
        return visitor.client.get(urlsplit(answer[0]["url"]).path).content

    with Visitor(twofold, "1.1.1.1") as visitor:
        alone = [result(visitor, visitor.ask(model, size).json()["event_id"]) for size in (side, side + 8)]
        events = [visitor.ask(model, size).json()["event_id"] for size in (side, side + 8)]
        assert [result(visitor, event) for event in events] == alone
        assert alone[0] != alone[1]


# Without a proxy ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def direct(tmp_path_factory):
    """A public page that visitors reach themselves."""
    settings = {"HF_HUB_OFFLINE": "1", "RESTORATION_RUNS": "3", "RESTORATION_LOOKS": "3", "RESTORATION_PATIENCE": "3"}
    with serving(CHECKOUT, tmp_path_factory.mktemp("direct"), settings, arguments=("--public",)) as address:
        yield address


@pytest.mark.slow
def test_what_an_address_has_waiting_beside_runs_is_bounded_and_keeps_no_run_from_its_turn(direct):
    with Visitor(direct, "6.6.6.6") as visitor:
        config = visitor.client.get("/config").json()
        parts = {part["id"]: part["props"].get("elem_id") for part in config["components"]}
        look = next(c for c in config["dependencies"] if [parts[id] for id in c["outputs"]] == ["denoise-facts"])
        more = [None] * (len(look["inputs"]) - 1)
        picture = {"path": visitor.path(1500), "meta": {"_type": "gradio.FileData"}}
        answers = []
        for number in range(30):
            body = {"data": [picture, *more], "fn_index": look["id"], "session_hash": f"fresh{number}"}
            forged = {"X-Forwarded-For": f"5.5.5.{number}"}
            answers.append(visitor.client.post(f"{API}/queue/join", json=body, headers=forged))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        assert {(answer.status_code, answer.json()["detail"]) for answer in refused} == {(429, MUCH)}
        assert visitor.ask("median").status_code == 200
        until(lambda: visitor.client.post(f"{API}/queue/join", json=body).status_code == 200)


@pytest.mark.slow
def test_a_forged_address_is_not_believed_where_no_proxy_is(direct):
    with Visitor(direct, "7.7.7.7") as visitor:
        forged = [{"X-Forwarded-For": f"7.7.7.{number}"} for number in range(4)]
        assert [visitor.ask("median", **header).status_code for header in forged][-1] == 429


@pytest.mark.slow
def test_a_connection_on_which_no_request_begins_is_given_up(direct):
    with ExitStack() as open_ones:
        waiting = []
        for before in (b"", b"GET /config HTTP/1.1\r\nHost: here\r\n\r\n"):
            for sent in (b"", b"GET / HT", b"POST /gradio_api/upload HTTP/1.1\r\nHost: here\r\nX-A: b"):
                connection = socket.create_connection(urlsplit(direct).netloc.split(":"), timeout=60)
                open_ones.enter_context(connection).sendall(before + sent)
                waiting.append((before, sent, open_ones.enter_context(connection.makefile("rb"))))
        for before, sent, file in waiting:
            assert file.read().startswith(b"HTTP/1.1 200" if before else b""), sent
