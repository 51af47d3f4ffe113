"""Who waits for a model, for how long, who has to give way, and who may cancel.

Gradio has the queue; here are the rules that it lacks: as many jobs go on at once as the machine has room for, but one
of a session, so that its results come in the order of its clicks; a job that nobody listens to goes on as long as
nobody else waits, a session has only so many jobs waiting, and a job is cancelled by the session whose it is.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import gradio as gr
from anyio import to_thread
from gradio.queueing import Event
from gradio.server_messages import EstimationMessage, ProcessCompletedMessage
from starlette.exceptions import HTTPException

from restoration.cleaning import PROMISED_SECONDS
from restoration.limits import WAITING, Limits
from restoration.page.before import seconds_of
from restoration.page.event import active, runs_of
from restoration.page.inputs import completed
from restoration.page.parts import MODEL, duration
from restoration.page.requests import complaint, is_session
from restoration.page.turns import Turn, note, turn_of
from restoration.page.visitors import Visitors, address_of

TOLD_LATER = 1000  # refusals that may wait for who is to hear them
LOOKING = 200  # calls that may wait for something else
GAVE_WAY = "Nobody was listening to this run any more, and another waited, so it gave way; start it again."
MUCH = "Too much is waiting here already; try again in a moment."
NOT_YOURS = "A run is cancelled by the session that started it."
UNKNOWN = 5.0  # seconds of a job of which nothing is known
KEPT = float(PROMISED_SECONDS)  # seconds for which an answer waits for its visitor
LEAST = 0.5  # seconds that a job takes of which the pace is measured
_TASTE = 9  # finished jobs that tell how much slower or faster this machine is at the moment


class Waiting:
    """The rules of a page's queue.

    Args:
        page: whose queue is ruled from now on.
        limits: what a visitor may take.
        visitors: who took what so far.
    """

    def __init__(self, page: gr.Blocks, limits: Limits, visitors: Visitors):
        self.page, self.queue, self.limits, self.visitors = page, page._queue, limits, visitors
        self._listeners: Counter[str] = Counter()
        self._heard: dict[str, float] = {}
        self._worked: dict[str, float] = {}  # seconds that running jobs had the machine, each its share
        self._looked = time.monotonic()
        self._expected: dict[str, float] = {}  # seconds that jobs take on a machine with nothing else to do
        self._pace: deque[float] = deque(maxlen=_TASTE)  # seconds that jobs took, as shares of those expected
        self._watch: asyncio.Task | None = None
        self._tasks: set[asyncio.Task] = set()
        self._push = self.queue.push
        self.queue.push = self.push
        self._next = self.queue.get_events
        self.queue.get_events = self.next
        self.queue.broadcast_estimations, self._broadcast = self.broadcast, self.queue.broadcast_estimations
        if limits.unheard < float("inf"):
            self._keep_what_nobody_hears()

    # Coming

    async def push(self, body, request, username):
        """Let a call wait, as gradio does, or say why not."""
        try:
            return await self._let_wait(body, request, username)
        except HTTPException as refusal:
            if turn := self._turn(body.fn_index, body.data):
                turn.ended()
            if not self._may_tell_later(body, request):
                raise
            return self._told_later(body, request, username, refusal.detail)

    async def _let_wait(self, body, request, username):
        if function := self.page.fns.get(body.fn_index):
            body.data = completed(function, body.data)
        if sentence := complaint(self.page, body):
            raise HTTPException(400, sentence)
        address = address_of(request.scope, bool(self.limits.proxied))
        turn = self._turn(body.fn_index, body.data)
        if self.page.fns[body.fn_index].concurrency_id == MODEL:
            if turn:
                await self._let_go(turn.replaces)
            await self._admit_run(body.session_hash, address, request)
        else:
            self._admit_look(address)
        success, event_id, state = await self._push(body, request, username)
        if success and (event := self.queue.event_ids_to_events.get(event_id)) and event.concurrency_id == MODEL:
            task = asyncio.create_task(self._estimate(event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if success and turn:
            note(turn.tab, turn.when)
            await self._let_go(lambda waiting: waiting.over)
        return success, event_id, state

    def next(self) -> tuple[list[Event], bool, str] | None:
        """What gradio begins: a job for which there is room, of a session that has none going on."""
        found, running = self.queue.event_queue_per_concurrency_id.get(MODEL), self.running
        if found is None:
            return self._next()
        busy, full = {event.session_hash for event in running}, len(running) >= self.limits.at_once
        waiting, free = found.queue, [event for event in found.queue if not full and event.session_hash not in busy]
        found.queue = free.copy()
        try:
            return self._next()
        finally:
            begun = [event for event in free if event not in found.queue]
            found.queue = [event for event in waiting if event not in begun]

    def _turn(self, index: int, values: list) -> Turn | None:
        """The run that a call is."""
        function = self.page.fns.get(index)
        return turn_of(function.fn, values) if function else None

    async def _let_go(self, over: Callable[[Turn], bool]) -> None:
        """Take the runs out of the queue whose turn is over before it came."""
        for event in list(self.waiting):
            turn = self._turn(event.fn._id, event.data.data)
            if turn and over(turn):
                await self.leave(event._id)

    async def _admit_run(self, session: str, address: str, request) -> None:
        """Say why a run may not wait, if so."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._watched())
        if len(self.waiting) >= WAITING:
            await self.make_room(another=True)
        if len(self.waiting) >= WAITING:
            seconds = max(1, round(self.seconds_until_one_is_done()))
            sentence = f"{len(self.waiting)} runs are waiting already; try again in about {duration(seconds)}."
            raise HTTPException(429, sentence, {"Retry-After": str(seconds)})  # of 503 clients have their own words
        own = sum(event.session_hash == session for event in self.waiting)
        if own >= self.limits.waiting:
            raise HTTPException(429, f"{own} of your runs are waiting already; wait for one of them.")
        if sentence := self.visitors.asked_to_run(address):
            raise HTTPException(429, sentence)

    def _admit_look(self, address: str) -> None:
        """Say why what runs no model may not wait, if so."""
        queues = self.queue.event_queue_per_concurrency_id
        others = [event for name, found in queues.items() if name != MODEL for event in found.queue]
        proxied = bool(self.limits.proxied)
        own = sum(address_of(event.request.scope, proxied) == address for event in others)
        if len(others) >= LOOKING or own >= self.limits.looks:
            raise HTTPException(429, MUCH)

    def _may_tell_later(self, body, request) -> bool:
        """Whether a call comes from Gradio's Python client, which shows its user no answer but those of runs."""
        if "gradio_client" not in (request.headers.get("user-agent") or ""):
            return False
        if body.fn_index not in self.page.fns or not is_session(body.session_hash):
            return False
        pending = self.queue.pending_event_ids_session
        return len(pending) < TOLD_LATER and len(pending.get(body.session_hash, ())) < TOLD_LATER

    def _told_later(self, body, request, username, sentence: str) -> tuple[bool, str, str]:
        """Answer a call with a sentence as if it had been run and had failed."""
        event = Event(body.session_hash, self.page.fns.get(body.fn_index), request, username)
        if event.session_hash not in self.queue.pending_messages_per_session:
            self.queue.pending_messages_per_session[event.session_hash] = asyncio.Queue()
        self.queue.pending_event_ids_session.setdefault(event.session_hash, set()).add(event._id)
        self._tell(event, sentence)
        return True, event._id, "success"

    @property
    def waiting(self) -> list[Event]:
        """The jobs that wait for a model, first come first."""
        found = self.queue.event_queue_per_concurrency_id.get(MODEL)
        return found.queue if found else []

    @property
    def running(self) -> list[Event]:
        """The jobs that go on."""
        return runs_of(self.queue)

    # Listening

    @contextmanager
    def heard(self, session: str) -> Iterator[None]:
        """Note that a session listens."""
        self._listeners[session] += 1
        try:
            yield
        finally:
            self._listeners[session] -= 1
            self._listeners += Counter()  # without those that are zero
            self._heard[session] = time.monotonic()

    def session_of(self, event_id: str) -> str:
        """Whose a job is: gradio's endpoints are listened to by the job's id."""
        event = self.queue.event_ids_to_events.get(event_id)
        if event:
            return event.session_hash
        pending = self.queue.pending_event_ids_session.items()
        return next((session for session, events in pending if event_id in events), event_id)

    def unheard(self, event: Event) -> bool:
        """Whether nobody has listened to a job for too long."""
        if self._listeners[event.session_hash]:
            return False
        last = max(event.enqueue_time, self._heard.get(event.session_hash, 0.0))
        return time.monotonic() - last > self.limits.unheard

    def _keep_what_nobody_hears(self) -> None:
        """Let a job go on when its visitor leaves, and keep its answer; gradio stops it and forgets it."""

        class Kept(type(self.queue.pending_messages_per_session)):
            def __delitem__(messages, session):
                if not self.queue.pending_event_ids_session.get(session):
                    super().__delitem__(session)

        messages = Kept(2000)
        messages.update(self.queue.pending_messages_per_session)
        self.queue.pending_messages_per_session = messages

        async def go_on(*, session_hash=None, event_id=None) -> None:
            pass

        self.queue.clean_events = go_on

    def _forget(self) -> None:
        """Forget the answers that nobody came for, as their files are, and who listened when."""
        now, pending = time.monotonic(), self.queue.pending_event_ids_session
        for session, events in list(pending.items()):
            if self._listeners[session] or any(event in self.queue.event_ids_to_events for event in events):
                continue
            if now - self._heard.setdefault(session, now) > KEPT:
                del pending[session]
                self.queue.pending_messages_per_session.pop(session, None)
        for session in [session for session, last in self._heard.items() if now - last > 2 * KEPT]:
            del self._heard[session]

    # Giving way

    async def _watched(self) -> None:
        """Look again and again who has to give way, and how long jobs take."""
        while not self.queue.stopped:
            await asyncio.sleep(min(0.5, self.limits.unheard / 4))
            self._measure()
            await self._let_go(lambda waiting: waiting.over)
            await self.make_room()
            self._forget()

    async def make_room(self, another: bool = False) -> None:
        """End the jobs that nobody listens to where somebody who listens waits for them.

        Args:
            another: whether somebody comes who is not in the queue yet.
        """
        waiting = list(self.waiting)
        heard = [place for place, event in enumerate(waiting) if not self.unheard(event)]
        heard += [len(waiting)] * another
        if not heard or (len(self.running) < self.limits.at_once and not another):
            return
        for event in self.running:
            if event.alive and self.unheard(event):
                self._tell(event, GAVE_WAY)
                event.alive = False  # gradio closes it at its next step
        for event in waiting[: heard[-1]]:
            if self.unheard(event):
                await self.queue.remove_from_queue(event._id)
                self._tell(event, GAVE_WAY)

    def _tell(self, event: Event, sentence: str) -> None:
        """Tell whoever comes back why a job ended."""
        self.queue.send_message(event, ProcessCompletedMessage(output={"error": sentence}, success=False))

    # How long

    def seconds(self, event: Event) -> float:
        """How long a job will take, by what is asked for and how fast jobs were lately."""
        expected = self._expected.get(event._id, 0.0) * (median(self._pace) if self._pace else 1.0)
        known = self.queue.process_time_per_fn
        average = known[event.fn].avg_time if event.fn in known else 0.0
        return min(self.limits.deadline, expected or average or UNKNOWN)

    async def _estimate(self, event: Event) -> None:
        """Find out what a job costs, which reads from the disk, and tell those who wait."""
        self._expected[event._id] = await to_thread.run_sync(seconds_of, event.fn, event.data.data)
        self.broadcast(MODEL)

    def seconds_until_one_is_done(self) -> float:
        """How long until a running job makes room for another."""
        left = self._left()
        return min(left) * len(left) if len(left) >= self.limits.at_once else 0.0

    def _left(self) -> list[float]:
        """How long each running job would still take by itself."""
        running = self.running
        share = (time.monotonic() - self._looked) / max(1, len(running))
        return [max(0.0, self.seconds(event) - self._worked.get(event._id, 0.0) - share) for event in running]

    def broadcast(self, concurrency_id: str, after: int | None = None) -> None:
        """Tell those who wait how long it will be, with what is known of each job before theirs."""
        if concurrency_id != MODEL:
            return self._broadcast(concurrency_id, after)
        seconds, waiting = sum(self._left()), list(self.waiting)
        for rank, event in enumerate(waiting):
            seconds += self.seconds(event)
            if after is None or rank >= after:
                message = EstimationMessage(rank=rank, rank_eta=seconds, queue_size=len(waiting))
                self.queue.send_message(event, message)

    def _measure(self) -> None:
        """Note what runs, and of what ended how long it took."""
        now, running = time.monotonic(), {event._id for event in self.running}
        share, self._looked = (now - self._looked) / max(1, len(self._worked)), now
        for id in self._worked:
            self._worked[id] += share
        for id in running - self._worked.keys():
            self._worked[id] = 0.0
        for id in self._worked.keys() - running:
            seconds, expected = self._worked.pop(id), self._expected.get(id, 0.0)
            whole = self.queue.event_analytics.get(id, {}).get("status") == "success"  # not one that was stopped
            if whole and LEAST < expected <= self.limits.deadline and seconds > LEAST:
                self._pace.append(min(20.0, max(0.05, seconds / expected)))
        for id in self._expected.keys() - running - {event._id for event in self.waiting}:
            del self._expected[id]

    # Cancelling

    async def leave(self, event_id: object) -> bool:
        """Take a job out of the queue if it waits; gradio would end what else its session runs."""
        event = next((event for event in self.waiting if event._id == event_id), None)
        if event is None:
            return False
        await self.queue.remove_from_queue(event._id)
        self.queue.send_message(event, ProcessCompletedMessage(output={}, success=True))
        return True

    def may_cancel(self, session: object, event_id: object) -> bool:
        """Whether a job is none, or that of the session."""
        event = self.queue.event_ids_to_events.get(event_id) if isinstance(event_id, str) else None
        return event is None or event.session_hash == session

    def runs(self, event_id: object) -> bool:
        """Whether a job has begun and not ended: gradio would end what else its session does with the same button."""
        return any(event._id == event_id for event in active(self.queue))
