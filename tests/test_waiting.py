"""How long a wait is told to be: what each run costs, less what is done of it."""

import types
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
from gradio.queueing import EventQueue, Queue
from gradio.state_holder import StateHolder
from gradio_client.utils import apply_diff

from restoration import catalog, deep_image_prior, recording
from restoration.files import write
from restoration.image import enlarged
from restoration.inpainting import Mask
from restoration.limits import Limits
from restoration.orders import Order
from restoration.page import before, waiting
from restoration.page.before import (
    FINDING,
    STARTING,
    handled_seconds,
    measured_seconds,
    pace,
    scored_seconds,
    seconds_expected,
    seconds_expected_of,
    seconds_of,
    usual_pace,
    usual_seconds,
)
from restoration.page.event import Work
from restoration.page.layout import build
from restoration.page.server import rule
from restoration.page.visitors import Visitors
from restoration.page.waiting import Waiting
from restoration.records import Record, Records
from train import costs


@pytest.fixture(autouse=True)
def no_runs_so_far(monkeypatch):
    """What other tests ran tells nothing here."""
    monkeypatch.setattr(recording, "_records", Records(None))


@pytest.fixture(scope="module")
def page():
    made = build()
    made.queue()
    return made


@pytest.fixture
def queue(page, monkeypatch):
    """The rules, over a queue whose running and waiting jobs a test chooses."""
    rules = Waiting(page, Limits(deadline=100), Visitors(Limits()))
    chosen = types.SimpleNamespace(waiting=[], running=[], now=1000.0, told=[])
    monkeypatch.setattr(Waiting, "waiting", property(lambda self: chosen.waiting))
    monkeypatch.setattr(Waiting, "running", property(lambda self: chosen.running))
    monkeypatch.setattr(waiting.time, "monotonic", lambda: chosen.now)
    monkeypatch.setattr(rules.queue, "send_message", lambda event, message: chosen.told.append(message))
    rules.chosen = chosen
    return rules


def job(rules: Waiting, name: str, seconds: float | None) -> types.SimpleNamespace:
    if seconds is not None:
        rules._expected[name] = seconds
    return types.SimpleNamespace(_id=name, fn=object(), session_hash=name, enqueue_time=0.0, alive=True)


def told(rules: Waiting) -> list[float]:
    rules.chosen.told.clear()
    rules.broadcast("model")
    return [message.rank_eta for message in rules.chosen.told]


def test_a_wait_is_what_is_left_of_the_run_and_all_of_those_before(queue):
    queue.chosen.running = [job(queue, "a", 30)]
    queue._measure()
    queue.chosen.waiting = [job(queue, "b", 20), job(queue, "c", 5), job(queue, "d", 500)]
    assert told(queue) == [50, 55, 155]  # no run takes longer than it may
    queue.chosen.now += 10
    assert told(queue) == [40, 45, 145]
    assert queue.seconds_until_one_is_done() == 20
    queue.chosen.now += 100
    assert told(queue) == [20, 25, 125]


def test_runs_that_share_the_machine_take_as_much_longer(queue):
    queue.limits = replace(queue.limits, at_once=2)
    queue.chosen.running = [job(queue, "a", 30), job(queue, "b", 10)]
    queue._measure()
    queue.chosen.waiting = [job(queue, "c", 20)]
    assert (told(queue), queue.seconds_until_one_is_done()) == ([60], 20)
    queue.chosen.now += 10
    assert (told(queue), queue.seconds_until_one_is_done()) == ([50], 10)
    queue._measure()
    queue.chosen.running.pop()
    assert (told(queue), queue.seconds_until_one_is_done()) == ([45], 0)  # half of the ten seconds were the other's
    queue._measure()
    queue.chosen.now += 10
    assert told(queue) == [35]


@pytest.mark.parametrize("at_once, running, wanted", [
    (1, [], "a"), (1, ["x"], None), (2, ["x"], "a"), (2, ["a"], "b"), (2, ["x", "y"], None), (2, ["a", "b"], None),
])  # fmt: skip
def test_a_run_begins_where_there_is_room_and_its_session_has_none(queue, at_once, running, wanted):
    queue.limits = replace(queue.limits, at_once=at_once)
    queue.chosen.running = [job(queue, name, None) for name in running]
    fn = types.SimpleNamespace(batch=False)
    waiting = [types.SimpleNamespace(_id=id, session_hash=name, fn=fn) for id, name in enumerate("aabc")]
    found = EventQueue("model", 2)
    found.queue = waiting.copy()
    queue.queue.event_queue_per_concurrency_id["model"] = found
    queue._next = types.MethodType(Queue.get_events, queue.queue)  # not the rules of another test
    begun = queue.next()
    assert (begun and begun[0][0].session_hash) == wanted
    assert found.queue == [event for event in waiting if not begun or event is not begun[0][0]]


def test_the_seconds_of_a_run_are_its_share_of_the_machine():
    now, runs = [100.0], [1]
    work = Work(lambda: now[0], lambda: runs[0])
    now[0], runs[0] = 110.0, 2
    assert work() == 5
    now[0], runs[0] = 114.0, 1
    assert work() == 9


@pytest.mark.parametrize("status, waits", [("success", [40, 80]), ("cancelled", [10, 20]), (None, [10, 20])])
def test_a_wait_follows_how_fast_the_runs_that_were_not_stopped_are_at_the_moment(queue, status, waits):
    for name in "abc":
        queue.queue.event_analytics[name] = {"status": status}
        queue.chosen.running = [job(queue, name, 10)]
        queue._measure()
        queue.chosen.now += 40  # four times as long as it should have
        queue.chosen.running = []
        queue._measure()
    queue.chosen.waiting = [job(queue, "d", 10), job(queue, "e", 10)]
    assert told(queue) == waits
    assert set(queue._expected) == {"d", "e"}


def test_what_nothing_is_known_of_takes_a_moment(queue):
    queue.chosen.waiting = [job(queue, "a", None)]
    assert told(queue) == [waiting.UNKNOWN]


@pytest.mark.parametrize("task, model", [("denoise", "median"), ("denoise", "deep-image-prior"), ("upscale", "compact"),
                                         ("inpaint", "diffusion"), ("artifacts", "drunet-jpeg")])  # fmt: skip
def test_a_call_costs_what_is_told_before_the_run(page, photo, tmp_path, monkeypatch, task, model):
    monkeypatch.setattr(deep_image_prior, "expected_seconds", lambda pixels, steps: pixels * steps * 1e-6)
    write(photo, tmp_path / "photo.png")
    file = {"path": str(tmp_path / "photo.png")}
    method = catalog.method(task, model, 4 if task == "upscale" else None)
    wanted = seconds_expected(method, 90 * 70 * method.scale**2)[0]
    assert wanted > 0
    found = 0
    for function in page.fns.values():
        ids = [block.elem_id for block in function.inputs]
        tab = f"{task}-model" in ids and f"{task}-input" == ids[0] and function.concurrency_id == "model"
        if function.api_name == task or (tab and not function.collects_event_data):
            values = [block.value for block in function.inputs]
            names = [block.elem_id or block.label for block in function.inputs]
            values[0] = file
            values[next(place for place, name in enumerate(names) if name in ("model", f"{task}-model"))] = model
            assert seconds_of(function, values) == pytest.approx(wanted)
            many = [[file, file], *values[1:]]
            assert seconds_of(function, many) == pytest.approx(2 * wanted)
            assert seconds_of(function, [None, *values[1:]]) == 0
            assert seconds_of(function, [{"path": "gone.png"}, *values[1:]]) == 0
            found += 1
    assert found >= 2


@pytest.mark.parametrize("sessions, own, may", [
    (0, 0, True), (9, 9, True), (10, 0, False), (1, 10, False), (0, 10, False), (10, 10, False),
])  # fmt: skip
def test_what_is_told_later_is_bounded_for_all_and_for_each(page, queue, monkeypatch, sessions, own, may):
    monkeypatch.setattr(waiting, "TOLD_LATER", 10)
    pending = {f"other{number}": {"a"} for number in range(sessions - bool(own))} | ({"me": range(own)} if own else {})
    monkeypatch.setattr(queue.queue, "pending_event_ids_session", pending)
    call = types.SimpleNamespace(fn_index=next(iter(page.fns)), session_hash="me")
    program = types.SimpleNamespace(headers={"user-agent": "gradio_client/1.0"})
    assert queue._may_tell_later(call, program) == may
    browser = types.SimpleNamespace(headers={"user-agent": "Mozilla/5.0"})
    assert not queue._may_tell_later(call, browser)


def row(model: str, seconds: float) -> Record:
    sizes = {"width": 1000, "height": 1000, "out_width": 1000, "out_height": 1000}
    return Record(
        "denoise", model, "done", **sizes, settings={}, seconds={"waiting": 9.0, "restoring": STARTING + seconds}
    )


def test_a_machine_is_as_slow_as_its_last_runs_whatever_ran():
    usual = {name: measured_seconds(name, 10**6) for name in ("median", "total-variation", "drunet-fast")}
    rows = [row(name, 3 * usual[name]) for name in ("median", "total-variation", "total-variation")]
    assert pace([*rows, row("gone", 1.0)]) == pytest.approx(3)
    assert pace(rows[1:]) is pace([]) is None
    assert pace([row("median", 1e6)] * 3) == 20
    odd = 9 * [row("median", 9 * usual["median"])]  # as its time depends on the picture
    assert pace([*odd, *(row(name, usual[name]) for name in usual if name != "median")]) == pytest.approx(1)


def test_runs_of_a_chain_tell_how_slow_a_machine_is():
    steps = {"artifacts": True, "denoise": True, "scratches": False, "enlarge": 2}
    usual = sum(measured_seconds(name, 10**6) for name in ("drunet-photo", "drunet-jpeg"))
    usual += measured_seconds(catalog.method("upscale", "", 2).name, 4 * 10**6)
    rows = [replace(row("steps", 2 * usual), task="photo", settings=steps)] * 3
    assert pace(rows) == pytest.approx(2)


def test_a_fill_takes_as_long_as_what_is_worked_on_is_large():
    small, large = (measured_seconds("fourier-fill", 10**6, share) for share in (0.01, 0.2))
    assert measured_seconds("fourier-fill", 10**6, 0.2, texture=False) < large
    assert 2 < large / small < 25  # of 20 times the pixels


@pytest.mark.parametrize("name, megapixels, share, texture, seconds", [
    ("one", 2, 1, False, 0.25 + 6), ("one", 2, 0.5, False, 0.375 + 3), ("one", 2, 1, True, 0.25 + 10),
    ("one", 4, 1, False, 12), ("unknown", 2, 1, False, 2), ("free", 8, 1, True, 0),
])  # fmt: skip
def test_what_a_method_takes_adds_up(monkeypatch, name, megapixels, share, texture, seconds):
    monkeypatch.setattr(before, "MEASURED_ON", 4.0)
    monkeypatch.setattr(before, "measured_costs", lambda: {"one": 3.0, "one textured": 5.0, "free": 0.0})
    monkeypatch.setattr(before, "measured_overheads", lambda: {"one": 0.5, "free": 2.0})
    assert measured_seconds(name, 1e6 * megapixels, share, texture) == pytest.approx(seconds)


def test_what_a_method_takes_at_the_size_that_it_was_scored_at_is_what_it_took(monkeypatch):
    monkeypatch.setattr(before, "measured_costs", lambda: {"one": 3.0})
    monkeypatch.setattr(before, "measured_overheads", lambda: {"one": 0.5})
    assert measured_seconds("one", costs.SIDE**2) == pytest.approx(3 * costs.SIDE**2 / 1e6)


def test_reading_and_writing_have_a_pace_of_their_own(monkeypatch):
    method, usual = catalog.method("denoise", "drunet-photo"), measured_seconds("drunet-photo", 10**6)
    handled = handled_seconds(10**6)
    runs = [row("mean", 1e6)] + 3 * [row("drunet-fast", 4 * measured_seconds("drunet-fast", 10**6))]
    for run in runs:
        run.seconds.update(reading=1.5 * handled, writing=0.5 * handled)
    batch = 9 * [row("drunet-fast", 4 * measured_seconds("drunet-fast", 10**6))]
    monkeypatch.setattr(before, "_last", lambda: runs + batch)
    assert usual_seconds(method, 10**6) == pytest.approx(2 * handled + STARTING + 4 * usual)


def test_a_chain_that_found_nothing_to_fill_says_nothing_of_the_pace():
    steps = {"artifacts": False, "denoise": False, "scratches": True, "enlarge": 0}
    none, some = (
        replace(row("steps", 0.1), task="photo", settings=steps, metrics=m) for m in ({}, {"worked_share": 0.01})
    )
    assert scored_seconds(none) is None
    assert scored_seconds(replace(row("auto", 9.0), task="inpaint", metrics={"worked_share": 0.1})) is None
    assert scored_seconds(some) == measured_seconds("fourier-fill", 10**6, 0.01, texture=False)


def test_a_chain_takes_what_its_steps_take(photo, tmp_path):
    write(enlarged(photo, 10), tmp_path / "photo.png")
    steps = {"artifacts": True, "denoise": True, "scratches": False, "enlarge": 0}
    file = str(tmp_path / "photo.png")
    told = seconds_expected_of(Order("photo", settings=steps), file)
    assert told == pytest.approx(sum(seconds_expected_of(Order(task), file) for task in ("denoise", "artifacts")))
    filling = Order("photo", settings={**steps, "scratches": True})
    hole = Mask(np.pad(np.ones((2, 2), np.float32), ((100, 598), (100, 798))))
    more = [seconds_expected_of(filling, file, known) for known in (hole, None)]
    nothing = Mask(np.zeros((700, 900), np.float32))
    assert seconds_expected_of(filling, file, nothing) == told
    fill = Order("photo", settings={"artifacts": False, "denoise": False, "scratches": True, "enlarge": 0})
    assert seconds_expected_of(fill, file, nothing) == handled_seconds(900 * 700) + STARTING
    assert told < more[0] < more[1] - FINDING * 900 * 700 / 1e6 * usual_pace(shared=False)
    assert seconds_expected_of(Order("denoise"), "gone.png") is None


def test_an_inverted_mask_is_estimated_as_what_it_fills(photo, tmp_path):
    write(enlarged(photo, 10), tmp_path / "photo.png")
    hole = Mask(np.pad(np.ones((2, 2), np.float32), ((100, 598), (100, 798))))
    told = [
        seconds_expected_of(Order("inpaint", "diffusion", {"invert": invert}), str(tmp_path / "photo.png"), each)
        for invert, each in ((False, hole), (True, Mask(1 - hole.opacity)), (True, hole))
    ]
    assert told[0] == told[1] < told[2]


def test_a_session_holds_no_copy_of_the_page():
    with gr.Blocks() as page:
        box, state = gr.Textbox("a"), gr.State([1])
    rule(page, Limits())
    holder = StateHolder()
    holder.set_blocks(page)
    session = holder["one"]
    assert session.config_values == {}
    assert session[box._id] is box
    session[state._id].append(2)
    assert (holder["one"][state._id], holder["two"][state._id]) == ([1, 2], [1])
    session._update_value_in_config(box._id, "b")
    assert session.config_values == {}
    session[box._id] = other = gr.Textbox("b")
    assert (holder["one"][box._id], holder["two"][box._id]) == (other, box)


def test_what_is_yielded_later_changes_nothing_within_what_came_before():
    with gr.Blocks() as page:
        boxes = [gr.Textbox() for _ in range(4)]
        boxes[0].change(lambda: None, None, boxes)
    rule(page, Limits())
    (function,) = page.fns.values()
    first = [gr.update(value=True, info="grain"), "a", "same", [1, 2]]
    later = [gr.update(info="dust"), "ab", "same", [1]]
    told = [page.handle_streaming_diffs(function, list(data), "one", "run", final=False) for data in (first, later)]
    assert told[0] == first
    assert [apply_diff(old, new) for old, new in zip(first, told[1], strict=True)] == later
    assert all(path == [] for edits in told[1] for _, path, _ in edits)
