"""What other sites show of a link to the page: a card with a title, a line and a picture, in gradio's place."""

import html
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from restoration.page.theme import ASSETS, TITLE

ADDRESS = "/card.jpg"
PICTURE = ASSETS / "card.jpg"  # `python -m restoration.gallery` draws it
LINE = "Cleans photos and scans of noise and JPEG artifacts, enlarges them and fills holes. Free, nothing to install."
ABOUT = "A photo at night, its left half noisy, its right half restored"
_FOREIGN = re.compile(rb"<meta\s[^>]*?(?:property|name)\s*=\s*\"(?:og|twitter):[^>]*>\s*", re.DOTALL)


class Card:
    """Puts the card into the page in the place of gradio's own, and serves its picture."""

    def __init__(self, server: ASGIApp):
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reading = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if reading and scope["path"] == ADDRESS:
            return await Response(PICTURE.read_bytes(), media_type="image/jpeg")(scope, receive, send)
        if not (reading and scope["path"] == "/"):
            return await self.server(scope, receive, send)
        start: Message | None = None
        body = b""

        async def carded(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            if Headers(raw=start["headers"]).get("content-type", "").startswith("text/html"):
                body = with_card(body, address_of(scope), scope["query_string"].decode("latin-1"))
                MutableHeaders(raw=start["headers"])["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

        await self.server(scope, receive, carded)


def address_of(scope: Scope) -> str:
    """Where the page stands as visitors see it, behind a proxy too, without a slash at its end."""
    headers = Headers(scope=scope)
    told = {name: headers.get(f"x-forwarded-{name}", "").partition(",")[0].strip() for name in ("proto", "host")}
    host = told["host"] or headers.get("host", "")
    return f"{told['proto'] or scope['scheme']}://{host}{scope.get('root_path', '')}".rstrip("/")


def with_card(page: bytes, address: str, query: str) -> bytes:
    """The page's HTML with the card.

    Args:
        query: of the link, which says what tab and settings are shared.
    """
    shown = "&".join(part for part in query.split("&") if part and not part.startswith("__"))
    told = {
        "og:type": "website",
        "og:site_name": TITLE,
        "og:title": TITLE,
        "og:description": LINE,
        "og:url": f"{address}/" + (f"?{shown}" if shown else ""),
        "og:image": f"{address}{ADDRESS}",
        "og:image:alt": ABOUT,
        "twitter:card": "summary_large_image",
        "twitter:title": TITLE,
        "twitter:description": LINE,
        "twitter:image": f"{address}{ADDRESS}",
    }
    lines = [
        f'<meta {"property" if name.startswith("og:") else "name"}="{name}" content="{html.escape(value)}" />'
        for name, value in told.items()
    ]
    card = "".join([*lines, f'<meta name="description" content="{html.escape(LINE)}" />']).encode()
    return _FOREIGN.sub(b"", page).replace(b"<head>", b"<head>" + card, 1)
