"""What is recorded of a run, when: before whoever asked has the answer."""

import json
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file

from restoration.files import write
from restoration.orders import Order
from restoration.recording import recorded
from restoration.records import Records
from tests.conftest import running


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["program", "page"])
def test_a_run_that_was_answered_is_on_record_though_the_server_is_killed_at_once(tmp_path, photo, asked):
    write(photo, tmp_path / "photo.png")
    with running(tmp_path, {"HF_HUB_OFFLINE": "1", "GRADIO_TEMP_DIR": str(tmp_path / "uploads")}) as (address, server):
        if asked == "program":
            client = Client(address, verbose=False, download_files=False, analytics_enabled=False)
            client.submit(handle_file(tmp_path / "photo.png"), "median", api_name="/denoise").result()
        else:
            run_as_the_page_does(address, tmp_path / "photo.png")
        server.send_signal(signal.SIGKILL)
        server.wait()
    with closing(sqlite3.connect(tmp_path / "records.sqlite")) as database:
        assert database.execute("SELECT task, model, outcome, width FROM runs").fetchall() == [
            ("denoise", "median", "done", photo.width)
        ]


def run_as_the_page_does(address: str, picture: Path) -> None:
    """Press the button of a tab, and listen until the result is there."""
    config = httpx.get(f"{address}/config").json()
    parts = {part["id"]: part for part in config["components"]}
    button = next(id for id, part in parts.items() if part["props"].get("elem_id") == "denoise-run")
    clicked = [call for call in config["dependencies"] if [button, "click"] in [list(t) for t in call["targets"]]]
    (call,) = (call for call in clicked if call["queue"])  # the other only notes the click
    with picture.open("rb") as file:
        path = httpx.post(f"{address}/gradio_api/upload", files={"files": file}).json()[0]
    values = [parts[id]["props"].get("value") for id in call["inputs"]]
    values[:2] = {"path": path, "meta": {"_type": "gradio.FileData"}}, "median"
    body = {"data": values, "fn_index": call["id"], "session_hash": "visitor"}
    assert httpx.post(f"{address}/gradio_api/queue/join", json=body).status_code == 200
    where = f"{address}/gradio_api/queue/data?session_hash=visitor"
    with httpx.stream("GET", where, timeout=60) as answer:
        for line in answer.iter_lines():
            told = json.loads(line[6:]) if line.startswith("data: ") else {}
            if "_after.png" in line or "_denoised.png" in line:
                return
            assert told.get("msg") != "process_completed", line
    raise AssertionError("the page showed nothing")


@pytest.mark.parametrize("end", [None, GeneratorExit, ValueError, ZeroDivisionError])
def test_a_run_that_was_answered_stays_so_however_the_rest_ends(end):
    records = Records(None)
    try:
        with recorded(Order("denoise", "median"), "photo.png", records) as log:
            log.answered()
            if end:
                raise end
    except BaseException as error:
        assert type(error) is end
    assert records.flush()
    assert [row.outcome for row in records.rows()] == ["done"]
    assert records.lost == 0
    records.close()


def test_who_waits_for_a_run_to_be_recorded_does_not_wait_for_a_disk_that_hangs(monkeypatch):
    records, hanging = Records(None), threading.Event()
    monkeypatch.setattr(records, "_insert", lambda values: hanging.wait(60))
    monkeypatch.setattr("restoration.recording.COMMIT", 0.01)
    with recorded(Order("denoise", "median"), "photo.png", records) as log:
        log.answered()
    assert not hanging.is_set()
    hanging.set()
    records.close()
