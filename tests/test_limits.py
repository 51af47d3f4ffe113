"""What a public page limits by itself, and that a wrong variable stops the start with one sentence."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from math import inf

import pytest

import app
from restoration import limits, memory
from restoration.limits import PUBLIC, Limits, chosen, complaint
from tests.conftest import CHECKOUT


def test_ones_own_machine_limits_nothing_and_a_public_page_does():
    here = chosen(environment={}).at_once
    assert chosen(environment={}) == Limits(at_once=here)
    assert chosen(public=True, environment={}) == replace(PUBLIC, at_once=here)
    assert (PUBLIC.deadline, PUBLIC.waiting, PUBLIC.runs, PUBLIC.megabytes, PUBLIC.window) == (120, 2, 30, 200, 600)
    on_space = chosen(environment={"SPACE_ID": "me/demo"})
    assert (on_space.deadline, on_space.proxied) == (120, 1)
    assert chosen(tunnel=True, environment={}) == on_space  # a proxy brings the visitors there too


def test_the_flag_comes_before_the_environment_and_that_before_what_is_usual():
    environment = {"RESTORATION_DEADLINE": "30", "RESTORATION_RUNS": "inf", "RESTORATION_WAITING": " "}
    found = chosen(public=True, environment=environment)
    assert (found.deadline, found.runs, found.waiting) == (30, inf, 2)
    assert chosen(environment=environment).deadline == 30
    assert chosen(public=True, deadline=5, environment=environment).deadline == 5


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "-inf", "1,5"])
@pytest.mark.parametrize(
    "name", ["DEADLINE", "UNHEARD", "WAITING", "LOOKS", "RUNS", "MEGABYTES", "WINDOW", "PATIENCE", "PROXIED", "AT_ONCE"]
)
def test_a_limit_that_is_no_number_is_named(name, text):
    with pytest.raises(ValueError, match=f"RESTORATION_{name} is a number") as caught:
        chosen(environment={f"RESTORATION_{name}": text})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("processors, gigabytes, runs", [
    (1, 24, 1), (2, 24, 2), (16, 24, 2), (2, 3, 1), (2, 3.5, 2), (2, None, 2), (2, 0.5, 1),
])  # fmt: skip
def test_as_many_runs_go_on_at_once_as_processors_and_memory_allow(monkeypatch, processors, gigabytes, runs):
    monkeypatch.setattr(limits, "processors", lambda: processors)
    monkeypatch.setattr(memory, "_free", lambda: None if gigabytes is None else gigabytes * 1e9)
    assert chosen(environment={}).at_once == runs
    assert chosen(environment={"RESTORATION_AT_ONCE": "inf"}).at_once == limits.MOST_AT_ONCE
    assert chosen(environment={"RESTORATION_AT_ONCE": "0"}).at_once == 1


@pytest.mark.parametrize("variable, text", [
    ("GRADIO_SERVER_PORT", "http"), ("GRADIO_SERVER_PORT", "70000"), ("GRADIO_NUM_PORTS", "-1"),
    ("RESTORATION_ORIGINS", "example.org"), ("RESTORATION_ORIGINS", "https://example.org/path"),
    ("RESTORATION_REVISIONS", "drunet-fast"), ("RESTORATION_RECORDS", "{folder}"),
])  # fmt: skip
def test_other_variables_that_are_wrong_are_named(tmp_path, variable, text):
    assert complaint({variable: text.format(folder=tmp_path)}).startswith(variable)


def test_variables_that_are_right_are_no_complaint(tmp_path):
    assert complaint({}) == ""
    assert limits.complaint({
        "GRADIO_SERVER_PORT": "7860", "RESTORATION_ORIGINS": "https://a.example, http://b.example:81",
        "RESTORATION_REVISIONS": "drunet-fast=1a2b3c,", "RESTORATION_RECORDS": str(tmp_path / "records.sqlite"),
    }) == ""  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("variable, text", [("RESTORATION_KEEP_SECONDS", "soon"), ("GRADIO_SERVER_PORT", "http")])
def test_the_start_stops_with_one_sentence(tmp_path, variable, text):
    environment = {
        **os.environ,
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "HF_HUB_OFFLINE": "1",
        "RESTORATION_RECORDS": str(tmp_path / "records.sqlite"),
        "TMPDIR": str(tmp_path),
        variable: text,
    }
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()
    assert len(said) == 1, done.stderr
    assert said[0].endswith(".")
    assert text in said[0]
    assert variable in said[0]


@pytest.mark.parametrize("variable", ["RESTORATION_DEADLINE", "RESTORATION_PRECISION", "GRADIO_TEMP_DIR"])
def test_the_start_names_the_variable_that_is_wrong(tmp_path, variable, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(limits, "put_in_force", lambda _: None)
    monkeypatch.setattr(app, "build", lambda: pytest.fail("it started"))
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    with pytest.raises(SystemExit) as caught:
        app.main([])
    assert re.fullmatch(rf"[^\n]*{variable}[^\n]*{tmp_path}/file[^\n]*\.", caught.value.code)
