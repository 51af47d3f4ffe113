"""The endpoints as programs meet them: what they say that they take, what they understand, and what they answer."""

import base64
import io
import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import gradio_client
import httpx
import numpy as np
import pytest
import tifffile
from gradio_client import handle_file
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from restoration import tasks
from restoration.files import FORMATS, read, write
from restoration.image import Image
from restoration.page.api import REPORT, answer
from restoration.page.inputs import Given, GivenFile, inputs_of
from restoration.receipts import read_receipt
from restoration.running import finish
from tests.conftest import API, QUICK, built, by_api, until

TASKS = list(tasks.every())
SETTINGS = [
    (task, block.setting) for task in TASKS for block in inputs_of(tasks.named(task)) if hasattr(block, "setting")
]
each_setting = pytest.mark.parametrize("task, setting", SETTINGS, ids=[f"{t}-{s.public}" for t, s in SETTINGS])


@pytest.fixture
def picture(photo, tmp_path) -> str:
    """A file with a hole in it, for every task."""
    alpha = np.full((photo.height, photo.width), 255, np.uint8)
    alpha[20:26, 30:36] = 0
    write(Image(photo.samples, alpha), tmp_path / "my photo (1).png")
    return str(tmp_path / "my photo (1).png")


@pytest.fixture
def client(server, tmp_path) -> gradio_client.Client:
    return gradio_client.Client(server, verbose=False, download_files=tmp_path / "downloads", analytics_enabled=False)


@pytest.fixture(scope="module")
def info() -> dict:
    return built().get_api_info()["named_endpoints"]


# What comes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_an_endpoint_sends_its_result_once_and_besides_it_only_progress(server, picture, task):
    with open(picture, "rb") as file:
        path = httpx.post(f"{server}{API}/upload", files={"files": file}).json()[0]
    given = {"image": {"path": path, "meta": {"_type": "gradio.FileData"}}, **QUICK[task]}
    event = httpx.post(f"{server}{API}/call/v2/{task}", json=given, timeout=60).json()["event_id"]
    stream = httpx.get(f"{server}{API}/call/{task}/{event}", timeout=120).text
    told = re.findall(r"event: (.*)\ndata: (.*)\n", stream)
    assert [kind for kind, _ in told if kind != "heartbeat"] == ["complete"]
    file, report = json.loads(told[-1][1])
    assert httpx.get(file["url"]).status_code == 200
    assert report["task"] == task
    assert "__type__" not in stream


@pytest.mark.parametrize("task", TASKS)
def test_progress_is_told_in_steps(task, picture):
    told = []
    kind = tasks.named(task)
    path, _ = finish(answer(kind, {"image": picture, **QUICK[task]}, lambda step, desc: told.append((step, desc))))
    assert Path(path).is_file()
    steps = [step for step, _ in told]
    assert steps and all(0 <= done <= total and total > 0 for done, total in steps)
    shares = [done / total for done, total in steps]
    assert shares == sorted(shares)
    assert all(words.startswith("Restoring") for _, words in told)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("format", FORMATS)
def test_the_report_is_the_files_receipt_with_what_the_run_took(task, format, photo, picture, tmp_path):
    if format == "jpeg":  # which holds no hole
        write(photo, picture)
        write(Image(np.eye(9, dtype=np.uint8)[..., None] * 255), tmp_path / "mask.png")
    mask = {"mask": str(tmp_path / "mask.png")} if format == "jpeg" and tasks.named(task).holes else {}
    path, report = by_api(task, picture, format=format, **QUICK[task], **mask)
    receipt = read_receipt(Path(path))
    assert {name: report[name] for name in receipt if name != "chain"} == {
        name: value for name, value in receipt.items() if name != "chain"
    }
    assert set(REPORT["required"]) <= set(report)
    assert report["seconds"] >= 0 and report["file"]["format"] == format
    assert [step["task"] for step in report.get("chain", [])] == [step["task"] for step in receipt.get("chain", [])]
    assert all(step["seconds"] >= 0 for step in report.get("chain", []))
    assert not [name for name in report if name.endswith("_png")]
    json.dumps(report, allow_nan=False)


def test_how_true_an_enlarged_picture_is_comes_as_a_number(picture):
    _, report = by_api("upscale", picture, **QUICK["upscale"])
    assert f"{report['psnr_to_input']:.2f} dB" == report["metrics"]["matches_photo"]
    _, report = by_api("photo", picture, artifacts=False, denoise=False, enlarge=2)
    assert report["chain"][-1]["psnr_to_input"] > 10
    assert "psnr_to_input" not in by_api("denoise", picture, **QUICK["denoise"])[1]


def lossy(kind: str) -> bytes:
    """A file of which reading changes or loses something."""
    frames = [Pillow.new("RGB", (32, 24), colour) for colour in ((90, 20, 60), (10, 200, 30))]
    file = io.BytesIO()
    match kind:
        case "pages":
            frames[0].save(file, "tiff", save_all=True, append_images=frames[1:])
        case "frames":
            frames[0].save(file, "gif", save_all=True, append_images=frames[1:])
        case "channels":
            frames[0].convert("CMYK").save(file, "tiff")
        case "bits":
            tifffile.imwrite(file, np.full((24, 32, 3), 70000, np.uint32), photometric="rgb")
        case "profile":
            frames[0].save(file, "png", icc_profile=b"no profile")
        case "HDR":
            chunk = PngInfo()
            chunk.add(b"cICP", bytes([9, 16, 0, 1]))  # BT.2020 with PQ
            frames[0].save(file, "png", pnginfo=chunk)
        case "cut":
            noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
            Pillow.fromarray(noise).save(file, "jpeg")
            return file.getvalue()[: len(file.getvalue()) * 2 // 3]
    return file.getvalue()


LOSSY = ("pages", "frames", "channels", "bits", "profile", "HDR", "cut")


@pytest.mark.parametrize("kind, task", [  # each kind by two tasks, each task for two kinds or more
    (kind, TASKS[(index + step) % len(TASKS)]) for index, kind in enumerate(LOSSY) for step in (0, 2)
])  # fmt: skip
def test_what_reading_lost_is_said_in_the_answer(task, kind, tmp_path):
    (tmp_path / "file").write_bytes(lossy(kind))
    notes = read(tmp_path / "file").notes
    assert notes
    write(Image(np.eye(9, dtype=np.uint8)[..., None] * 255), tmp_path / "mask.png")
    mask = {"mask": str(tmp_path / "mask.png")} if tasks.named(task).holes else {}
    _, report = by_api(task, str(tmp_path / "file"), **QUICK[task], **mask)
    assert tuple(report["notes"][: len(notes)]) == notes
    assert tuple(report["reading"]) == notes


def test_what_writing_lost_is_said_in_the_answer(tmp_path):
    write(Image(np.full((24, 32, 3), 9000, np.uint16)), tmp_path / "deep.png")
    _, report = by_api("denoise", str(tmp_path / "deep.png"), model="median", format="jpeg")
    assert "Rounded to 8 bits a sample: JPEG holds no more." in report["notes"]


# What is taken --------------------------------------------------------------------------------------------------------


@each_setting
def test_an_input_says_what_it_takes_once_for_all_who_ask(info, task, setting):
    (told,) = (given for given in info[f"/{task}"]["parameters"] if given["parameter_name"] == setting.public)
    schema = told["type"]
    inner = schema["anyOf"][1] if "anyOf" in schema else schema
    assert re.fullmatch(r"[A-Z].{10,120}\.", schema["description"])
    assert told["python_type"]["description"] == schema["description"]
    assert told["parameter_has_default"] and told["parameter_default"] == schema["default"]
    assert ("anyOf" in schema) == (setting.default is None)
    assert ("minimum" in inner) == bool(setting.limits) and ("enum" in inner) == bool(setting.choices)
    assert inner["type"] in ("integer", "number", "boolean", "string")


def test_an_input_is_drawn_once():
    drawn = [block._id for block in built().blocks.values() if isinstance(block, Given | GivenFile)]
    taken = [block._id for fn in built().fns.values() for block in fn.inputs if isinstance(block, Given | GivenFile)]
    assert sorted(drawn) == sorted(taken)


def test_a_file_that_is_needed_is_required_and_the_others_are_not(info):
    for task in TASKS:
        needed = [
            given["parameter_name"] for given in info[f"/{task}"]["parameters"] if not given["parameter_has_default"]
        ]
        assert needed == ["image"]


def examples(setting) -> list:
    """Values that a setting's schema allows."""
    schema = setting.schema
    inner = schema["anyOf"][1] if "anyOf" in schema else schema
    found = [schema["default"], *inner.get("enum", []), inner.get("minimum"), inner.get("maximum")]
    found += [True, False] if inner["type"] == "boolean" else []
    return [value for value in found if value is not None]


@each_setting
def test_what_the_schema_allows_is_understood_also_as_text_and_in_any_case(task, setting):
    for value in examples(setting):
        meant = setting.parsed(value)
        for written in (str(value), f" {value} ", str(value).upper(), str(value).title()):
            assert setting.parsed(written) == meant, (value, written)
        if not isinstance(value, bool | str):
            assert setting.parsed(float(value)) == meant
            assert setting.parsed(f"{value:.1f}") == meant
    assert setting.parsed(None) == setting.default


@each_setting
def test_what_the_schema_forbids_is_refused_by_the_inputs_name(task, setting, picture):
    schema = setting.schema
    inner = schema["anyOf"][1] if "anyOf" in schema else schema
    wrong = ["nonsense", [1], {"a": 1}]
    wrong += [inner["minimum"] - 1, inner["maximum"] + 1] if "minimum" in inner else []
    wrong += [1.5, "80.5"] if inner["type"] == "integer" else []
    wrong += [True, float("nan"), 10**400] if inner["type"] in ("integer", "number") else []
    for value in wrong:
        with pytest.raises(ValueError) as caught:
            finish(answer(tasks.named(task), {"image": picture, setting.public: value}, lambda *_, **__: None))
        sentence = str(caught.value)
        assert setting.public in sentence or sentence.startswith(("There is no", "Lanczos", "Photo")), sentence
        assert sentence.endswith(".") and "\n" not in sentence


@pytest.mark.parametrize("task", TASKS)
def test_a_picture_that_is_missing_or_no_file_is_asked_for_in_programs_words(server, client, task):
    for block in inputs_of(tasks.named(task)):
        for wrong in ("photo.png", "/etc/passwd", "", 5, [], {"a": 1}, "data:image/png;base64,x", True):
            if isinstance(block, GivenFile):
                given = {"image": "data:image/png;base64,aGk=", block.label: wrong}
                answered = httpx.post(f"{server}{API}/call/v2/{task}", json=given)
                assert answered.status_code == 400, wrong
                words = f"{block.label} has to be a file: "
                assert answered.json()["detail"].startswith(words), (wrong, answered.text)
    for given in ({"image": None}, {"image": "photo.png"}):
        with pytest.raises(gradio_client.exceptions.AppError, match=r"image (is missing|has to be a file)"):
            client.predict(**given, api_name=f"/{task}")
    nothing = httpx.post(f"{server}{API}/call/{task}", json={"data": []})
    assert nothing.status_code == 400 and nothing.json()["detail"].startswith("image is missing; it has to be a file")


@pytest.mark.parametrize("body, status, words", [
    ({}, 400, "image is missing; "), ({"imgae": "x"}, 400, "This endpoint takes no imgae; "),
])  # fmt: skip
def test_arguments_by_name_are_asked_for_by_name(server, body, status, words):
    for task in TASKS:
        answered = httpx.post(f"{server}{API}/call/v2/{task}", json=body)
        assert (answered.status_code, answered.json()["detail"][: len(words)]) == (status, words)
    assert httpx.post(f"{server}{API}/call/v2/nothing", json=body).status_code == 404


def test_a_file_that_lies_here_is_taken_by_its_path_its_address_and_as_a_data_url(server, picture):
    content = Path(picture).read_bytes()
    path = httpx.post(f"{server}{API}/upload", files={"files": ("a b.png", content)}).json()[0]
    address = f"{server}{API}/file={path}"
    data = "data:image/png;base64," + base64.b64encode(content).decode()
    shas = set()
    for image in (path, address, address.replace(" ", "%20"), data, {"path": path}, {"url": address}, {"url": data},
                  {"path": path, "meta": {"_type": "gradio.FileData"}}):  # fmt: skip
        event = httpx.post(f"{server}{API}/call/denoise", json={"data": [image, "median"]}).json()["event_id"]
        told = httpx.get(f"{server}{API}/call/denoise/{event}", timeout=60).text
        shas.add(json.loads(told.split("data: ", 1)[1])[1]["output"]["sha256"])
    assert len(shas) == 1
    result = json.loads(told.split("data: ", 1)[1])[0]
    event = httpx.post(f"{server}{API}/call/upscale", json={"data": [result["url"], "nearest-x2"]}).json()["event_id"]
    assert "event: complete" in httpx.get(f"{server}{API}/call/upscale/{event}", timeout=60).text


def test_a_picture_without_a_hole_wants_a_mask(photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    with pytest.raises(ValueError, match=r"^mask is missing, and the image has no transparent pixels"):
        finish(answer(tasks.named("inpaint"), {"image": str(tmp_path / "photo.png")}, lambda *_, **__: None))


def test_a_waiting_run_that_is_cancelled_leaves_the_clients_running_one_alone(client, picture):
    running = client.submit(handle_file(picture), "deep-image-prior", api_name="/denoise")
    until(lambda: running.status().progress_data)
    waiting = client.submit(handle_file(picture), "mean", api_name="/denoise")
    until(lambda: waiting.status().code.name == "IN_QUEUE")
    waiting.cancel()
    until(waiting.done)
    before = running.status().progress_data[0].index
    until(lambda: running.done() or running.status().progress_data[0].index > before)
    assert not running.done()
    running.cancel()


def test_a_run_that_is_cancelled_makes_room_and_leaves_no_result(client, picture):
    job = client.submit(handle_file(picture), "deep-image-prior", api_name="/denoise")
    until(lambda: job.status().progress_data)
    (unit,) = job.status().progress_data
    assert 0 <= unit.index <= unit.length and unit.length > 1
    job.cancel()
    assert client.predict(handle_file(picture), "mean", api_name="/denoise")


def test_how_long_a_call_waited_is_on_record(client, picture, server_folder):
    running = client.submit(handle_file(picture), "deep-image-prior", api_name="/denoise")
    until(lambda: running.status().progress_data)
    waiting = client.submit(handle_file(picture), "mean", api_name="/denoise")
    until(lambda: waiting.status().code.name == "IN_QUEUE")
    seen = time.monotonic()
    until(lambda: running.status().progress_data[0].index > 20)
    least = time.monotonic() - seen
    running.cancel()
    assert waiting.result()
    with closing(sqlite3.connect(server_folder / "records.sqlite")) as database:
        (seconds,) = database.execute("SELECT seconds FROM runs WHERE model = 'mean' ORDER BY time DESC").fetchone()
    stages = json.loads(seconds)
    assert stages["waiting"] >= least and set(stages) == {"waiting", "reading", "restoring", "writing"}
