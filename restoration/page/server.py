"""The server below the page: how much may be sent, how fast, and who listens to what."""

import asyncio
import json
import os
import time
from collections import ChainMap
from functools import partial
from types import SimpleNamespace
from urllib.parse import parse_qs

import gradio as gr
from gradio import route_utils, routes, state_holder, utils
from gradio.route_utils import GradioMultiPartParser, MultiPartException
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http import auto
from uvicorn.protocols.http.h11_impl import H11Protocol

from restoration.limits import REQUEST_BYTES, TEXT_BYTES, Limits
from restoration.page.doors import API
from restoration.page.requests import HANDLERS, Understood, answer_in_sentences, refused
from restoration.page.sharing import Card
from restoration.page.visitors import Visitors, address_of
from restoration.page.waiting import NOT_YOURS, Waiting

SLOWEST = 2000.0  # bytes a second that a request has to bring, but for the seconds of `Limits.patience`
SESSIONS = 2000  # of which something is kept
LEFT_OVER = 1.0  # seconds for which the rest of a request that is refused is read, so that its answer is too
TOO_LARGE = f"At most {REQUEST_BYTES >> 20} MB can be sent at once."
TOO_LONG = f"At most {TEXT_BYTES >> 20} MB can be sent beside files, which go to {API}/upload."
TOO_SLOW = "Nothing more came of this request, so it was given up; send it again."


def rule(page: gr.Blocks, limits: Limits, mcp: bool = False) -> dict:
    """Put the rules around a page that is to be launched; gives gradio's `app_kwargs` for it.

    Args:
        limits: what a visitor may take.
        mcp: whether agents find tools here.
    """
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "")  # else uvicorn believes what a visitor on loopback forges
    visitors = Visitors(limits)
    waiting = Waiting(page, limits, visitors)
    answer_in_sentences(page)
    if mcp:
        from gradio import mcp as gradio_mcp

        from restoration.page.tools import Tools  # which needs a package that only this does

        gradio_mcp.GradioMCPServer = partial(Tools, waiting=waiting)
    routes.GradioMultiPartParser = route_utils.GradioMultiPartParser = ShortTexts
    state_holder.SessionState = Session
    utils.diff = whole
    auto.AutoHTTPProtocol = partial(Prompt, patience=limits.patience)
    return {
        "exception_handlers": HANDLERS,
        "middleware": [
            Middleware(BoundedBody, visitors=visitors),
            Middleware(Packed),
            Middleware(Understood),
            Middleware(Card),
            Middleware(Sessions, waiting=waiting),
        ],
    }


def whole(before: object, after: object) -> list:
    """What the browser is told of a value that is yielded after another: all of it.

    Of a difference Gradio's client makes the new value within the old one, also where that is still to be shown, since
    both came before the answer to the call: what only the first had would be lost on a slow line.
    """
    return [] if before == after else [["replace", [], after]]


class Session(state_holder.SessionState):
    """What gradio keeps of a session, without the copies of the page, a megabyte, that only deep links would need.

    Every call by a program is a session of its own, and thousands are kept.
    """

    def __init__(self, page: gr.Blocks):
        super().__init__(SimpleNamespace(default_config=page.default_config, blocks={}))
        self.blocks_config.blocks = ChainMap({}, page.default_config.blocks)
        self.blocks_config.fns = page.default_config.fns  # which only `gr.render` would change

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: object) -> None:
        pass


class Prompt(H11Protocol):
    """A connection on which a request has to begin in time; uvicorn waits for its headers for ever.

    Args:
        patience: seconds, from when it was opened or the last answer ended.
    """

    def __init__(self, *args: object, patience: float, **named: object):
        super().__init__(*args, **named)
        self.patience, self.late = patience, None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(False)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        self._wait(self.cycle is None or self.cycle.response_complete)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait(self.cycle.response_complete)  # else the next one has begun

    def _wait(self, wait: bool = True) -> None:
        """Give the connection up after a while, or do so no more; what came meanwhile does not count."""
        if not wait and self.late:
            self.late.cancel()
            self.late = None
        elif wait and not self.late:
            self.late = self.loop.call_later(self.patience, self.transport.close)


class Packed:
    """Sends the page and what is told of it in a tenth of the bytes; gradio does so with its files alone."""

    PATHS = frozenset({"/", "/config", f"{API}/info", f"{API}/openapi.json"})

    def __init__(self, server: ASGIApp):
        self.server, self.packing = server, GZipMiddleware(server, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        packs = scope["type"] == "http" and (scope["path"].rstrip("/") or "/") in self.PATHS
        await (self.packing if packs else self.server)(scope, receive, send)


class BoundedBody:
    """Refuses requests that are too large or too slow, and those of an address that sent too much lately.

    Args:
        visitors: who sent how much so far.
    """

    def __init__(self, server: ASGIApp, visitors: Visitors):
        self.server, self.visitors = server, visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            return await self.server(scope, receive, send)
        uploading = scope["path"].rstrip("/").endswith("/upload")
        most, sentence = (REQUEST_BYTES, TOO_LARGE) if uploading else (TEXT_BYTES, TOO_LONG)
        headers, started = Headers(scope=scope), time.monotonic()
        announced, taken, ended = int(headers.get("content-length", 0)), 0, False
        address = address_of(scope, bool(self.visitors.limits.proxied))

        async def bounded() -> Message:
            nonlocal taken, ended
            if ended:  # all is there; what is waited for now is that the visitor leaves
                return await receive()
            if announced > most:
                await self._refuse(receive, headers, 413, TOO_LARGE if announced > REQUEST_BYTES else sentence)
            left = started + self.visitors.limits.patience + taken / SLOWEST - time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), left)
            except TimeoutError:
                raise HTTPException(408, TOO_SLOW) from None
            count = len(message.get("body", b""))
            taken, ended = taken + count, not message.get("more_body", False)
            if taken > most:
                await self._refuse(receive, headers, 413, TOO_LARGE if taken > REQUEST_BYTES else sentence)
            if too_much := self.visitors.sent(address, count):
                await self._refuse(receive, headers, 429, too_much)
            return message

        await self.server(scope, bounded, send)

    async def _refuse(self, receive: Receive, headers: Headers, status: int, sentence: str) -> None:
        """Refuse a request, after a glance at what is left of it: most programs read no answer before they sent all."""
        until = time.monotonic() + LEFT_OVER
        if headers.get("expect", "") == "":
            try:
                while (left := until - time.monotonic()) > 0:
                    message = await asyncio.wait_for(receive(), min(left, LEFT_OVER / 4))
                    if not message.get("more_body", False):
                        break
            except TimeoutError:
                pass
        raise HTTPException(status, sentence)


class ShortTexts(GradioMultiPartParser):
    """Gradio's parser of uploads, which keeps what is no file in memory, however long it is."""

    texts = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is None:
            self.texts += end - start
            if self.texts > TEXT_BYTES:
                raise MultiPartException(f"The maximum allowed size of what is no file is {TEXT_BYTES >> 20} MB.")
        super().on_part_data(data, start, end)


class Sessions:
    """Notes who listens to what, and lets a session cancel its own jobs alone.

    Args:
        waiting: where that is told.
    """

    def __init__(self, server: ASGIApp, waiting: Waiting):
        self.server, self.waiting = server, waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.server(scope, receive, send)
        path = scope["path"].rstrip("/")
        if scope["method"] == "POST" and path == f"{API}/cancel":
            return await self._cancel(scope, receive, send)
        session = self._listened_to(scope, path)
        if session is None:
            return await self.server(scope, receive, send)
        with self.waiting.heard(session):
            await self.server(scope, receive, send)

    def _listened_to(self, scope: Scope, path: str) -> str | None:
        """The session whose jobs a request listens to."""
        if scope["method"] != "GET":
            return None
        if path == f"{API}/queue/data":
            asked = parse_qs(scope["query_string"].decode("latin-1"))
            return next(iter(asked.get("session_hash", [])), None)
        call, _, event = path.rpartition("/")
        return self.waiting.session_of(event) if call.startswith(f"{API}/call/") else None

    async def _cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        try:
            asked = json.loads(body)
            event_id = asked["event_id"]
            own, known = self.waiting.may_cancel(asked["session_hash"], event_id), isinstance(event_id, str)
        except (ValueError, TypeError, LookupError, RecursionError):
            own, known = True, False  # gradio says what is wrong with it
        if not own:
            return await refused(403, NOT_YOURS)(scope, receive, send)
        if known and (await self.waiting.leave(event_id) or not self.waiting.runs(event_id)):
            return await JSONResponse({"success": True})(scope, receive, send)
        again = iter([{"type": "http.request", "body": body}])

        async def replayed() -> Message:
            return next(again, None) or await receive()

        await self.server(scope, replayed, send)
