"""The server below the page: how many runs may wait, and how much may be sent."""

import gradio as gr
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from restoration.page.parts import ONE_AT_A_TIME, duration
from restoration.page.requests import HANDLERS, Understood, answer_in_sentences, complaint

UPLOAD_LIMIT = 64 * 2**20  # bytes of a file, and of whatever else is sent at once
WAITING = 20  # runs that may wait for the model


def rule(page: gr.Blocks) -> None:
    """Let the page take only calls that make sense, and at most `WAITING` runs that wait for the model.

    Gradio's own limit counts what needs no model too, and does not say when to try again.
    """
    queue, push = page._queue, page._queue.push
    answer_in_sentences(page)

    async def bounded(body, request, username):
        if sentence := complaint(page, body):
            return False, sentence, "error"
        waiting = queue.event_queue_per_concurrency_id.get(ONE_AT_A_TIME["concurrency_id"])
        needs_model = page.fns[body.fn_index].concurrency_id == ONE_AT_A_TIME["concurrency_id"]
        if not needs_model or waiting is None or len(waiting.queue) < WAITING:
            return await push(body, request, username)
        known = [queue.process_time_per_fn[event.fn].avg_time for event in waiting.queue]
        seconds = max(5, round(sum(known) / 2))  # half of the queue, so that whoever tries again finds a place
        sentence = f"{len(waiting.queue)} runs are waiting already; try again in about {duration(seconds)}."
        # A browser shows the sentence for any status but 503, for which it has one of its own.
        browser = "Mozilla" in (request.headers.get("user-agent") or "")
        return False, sentence, "error" if browser else "queue_full"

    queue.push = bounded


class BoundedBody:
    """Refuses requests over `UPLOAD_LIMIT`, but for uploads, whose files gradio itself bounds one by one."""

    def __init__(self, server: ASGIApp):
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith("/upload"):
            return await self.server(scope, receive, send)
        announced, taken = int(Headers(scope=scope).get("content-length", 0)), 0

        async def bounded() -> Message:
            nonlocal taken
            if max(announced, taken) > UPLOAD_LIMIT:
                raise HTTPException(413, f"At most {UPLOAD_LIMIT >> 20} MB can be sent at once.")
            message = await receive()
            taken += len(message.get("body", b""))
            return message

        await self.server(scope, bounded, send)


APP_SETTINGS = {
    "exception_handlers": HANDLERS,
    "middleware": [Middleware(BoundedBody), Middleware(Understood)],
}
