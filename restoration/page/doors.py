"""Which addresses of the server answer, to whom, and that none makes it call another: rules around gradio's own server.

Gradio serves more than this page uses, fetches any address that a request names, and lets any site's scripts use it
with a visitor's cookies.  Here what is not listed is not served, nothing is fetched, and scripts of other sites are
refused.  Browsers are told to take every answer as what it is and the page's parts from nowhere else.
"""

import os
import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

import gradio as gr
import safehttpx
from gradio import processing_utils, routes
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_FETCHED = "This page fetches nothing from other addresses; send the file itself."
NOTHING_HERE = "There is nothing at this address."
FOREIGN = "Scripts of other sites may not use this page; programs may."

# What a browser may load, and who may frame the page.  Gradio builds functions of text and puts scripts in the page;
# the lines that the page offers to embed it work on any site that is encrypted, Hugging Face among them.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob: https://huggingface.co; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self' https://huggingface.co https:"
)
SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": POLICY,
}

API = "/gradio_api"
_READ = re.compile(
    r"/|/(config|theme\.css|card\.jpg|favicon\.ico|robots\.txt|manifest\.json|pwa_icon(/\d+)?|login_check)/?"
    r"|/(static|assets|svelte)/.+"
    rf"|{API}/(info|openapi\.json|app_id|user|login_check|startup-events|theme\.css|upload_progress)/?"
    rf"|{API}/queue/(data|status)"
    rf"|{API}/heartbeat/[^/]+"
    rf"|{API}/call/(v2/)?[^/]+/[^/]+"
    rf"|{API}/file=(?!.*://).+",
    re.DOTALL,
)
_WRITTEN = re.compile(rf"{API}/((upload|queue/join|cancel|reset|run/predict)/?|call/(v2/)?[^/]+/?)")
_MCP = re.compile(rf"{API}/mcp(/.*)?")


def guard(mcp: bool = False) -> None:
    """Put the rules around every server that gradio launches from now on.

    Args:
        mcp: whether the addresses of the MCP server answer.
    """
    routes.CustomCORSMiddleware = partial(Doors, mcp=mcp)  # stands around everything, where gradio's own rules stood
    fetch_nothing()


def fetch_nothing() -> None:
    """Refuse in one sentence whatever would make the server call an address that a request names."""

    async def refused(*_, **__):
        raise gr.Error(NOT_FETCHED, print_exception=False)

    async def refused_request(*_, **__):
        raise HTTPException(403, NOT_FETCHED)

    processing_utils.async_ssrf_protected_download = processing_utils.async_ssrf_protected_get = refused
    safehttpx.get = safehttpx.async_validate_url = refused
    routes.secure_url_stream_response = refused_request


class Doors:
    """Serves what the page and its API need; of scripts, only the page's own.

    Args:
        mcp: whether the addresses of the MCP server answer.
        gradio: what gradio tells its own rules on origins.
    """

    def __init__(self, server: ASGIApp, *, mcp: bool = False, **gradio: object):
        self.server, self.mcp = server, mcp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.server(scope, receive, send)

        async def safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SAFETY)
            await send(message)

        await (self._refusal(scope) or self.server)(scope, receive, safely)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        method, path, headers = scope["method"], scope["path"], Headers(scope=scope)
        reading = method in ("GET", "HEAD")
        if not reading and is_foreign(headers):
            return PlainTextResponse(FOREIGN, 403)
        if self.mcp and _MCP.fullmatch(path):
            return None
        if not (_READ if reading else _WRITTEN).fullmatch(path):
            return PlainTextResponse(NOTHING_HERE, 404)
        return None


def is_foreign(headers: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a request was made by a script of another site; a program names no origin.

    Args:
        headers: of the request; the page's own scripts are known by the host, or, behind a proxy that gives it another
            name, by what browsers say of where a request comes from.
        environment: `RESTORATION_ORIGINS` lists other origins that are welcome.
    """
    origin = headers.get("origin")
    if origin is None:
        return False
    if origin in environment.get("RESTORATION_ORIGINS", "").replace(",", " ").split():
        return False
    own = _host(origin) is not None and _host(origin) == _host(f"http://{headers.get('host', '')}")
    return not own and headers.get("sec-fetch-site") != "same-origin"


def _host(address: str) -> tuple[str, int] | None:
    """Name and port of an origin, without what tells http and https apart; None for what is no origin."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    plain = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    return (parts.hostname, 443 if port in (None, 80) else port) if plain else None
