"""What visitors leave is gone when the page says so, also when the server was killed."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from restoration import cleaning
from restoration.files import write
from tests.conftest import running, until


def aged(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2, follow_symlinks=False)
    return path


def test_limits_keep_the_promise():
    for promised in (2, 3, 60, 1800):
        every, keep = cleaning.limits({"RESTORATION_KEEP_SECONDS": str(promised)})
        assert every >= 1
        assert keep >= 1
        assert every + keep == promised
    assert sum(cleaning.limits({})) == 1800
    assert sum(cleaning.limits({"RESTORATION_KEEP_SECONDS": "999999"})) == 1800  # what the page says
    for wrong in ("1", "-5", "soon", "1e3", ""):
        with pytest.raises(ValueError, match="whole number of seconds"):
            cleaning.limits({"RESTORATION_KEEP_SECONDS": wrong})


def test_old_files_of_every_kind_go_and_young_and_needed_ones_stay(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    aged(write_file(outside / "mine.png"), 5000)
    root = tmp_path / "root"
    for name in (
        "half",
        "a/photo_before.png",
        "a/b/invented.png",
        "deep/er/state.json",
        "needed/logo.png",
        "odd\udcff",
    ):
        aged(write_file(root / name), 100)
    aged(write_file(root / "empty", b""), 100)
    (root / "link").symlink_to(outside)
    (root / "file link").symlink_to(outside / "mine.png")
    (root / "dangling").symlink_to(root / "nowhere")
    for name in ("link", "file link", "dangling"):
        aged(root / name, 100)
    write_file(root / "a" / "young.png")
    cleaning.sweep(root, 50, {str(root / "needed" / "logo.png")})
    left = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}
    assert left == {"a/young.png", "needed/logo.png"}
    assert (outside / "mine.png").exists()
    for _ in range(3):  # a folder is young again when one in it goes
        for path in root.rglob("*"):
            aged(path, 100)
        cleaning.sweep(root, 50, {str(root / "needed" / "logo.png")})
    assert {path.name for path in root.rglob("*")} == {"needed", "logo.png"}
    cleaning.sweep(tmp_path / "nowhere", 50)


def write_file(path: Path, content: bytes = b"a picture") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def system(tmp_path, monkeypatch) -> Path:
    """A folder in which `tempfile` works."""
    folder = tmp_path / "system"
    folder.mkdir()
    monkeypatch.setattr(cleaning.tempfile, "tempdir", str(folder))
    return folder


def test_what_a_killed_server_left_is_found_by_the_next_and_nothing_else_is(system):
    killed = cleaning.prepare({"RESTORATION_KEEP_SECONDS": "60"})
    cleaning.tempfile.tempdir = str(system)  # as another process has it
    alive = cleaning.prepare({"RESTORATION_KEEP_SECONDS": "60"})
    assert (killed.root.parent, alive.root.parent) == (system, system)
    other = write_file(system / f"{cleaning.PREFIX}of somebody" / "photo.png")
    own = write_file(system / "restoration-notes" / "photo.png")
    for server in (killed, alive):
        write_file(server.root / "files" / "hash" / "photo.png")
        write_file(server.work / "example.png")
    for path in system.rglob("*"):
        aged(path, 1000)
    alive.needed = lambda: [str(alive.work / "example.png")]
    alive.sweep()
    assert not list(killed.root.rglob("*.png"))
    assert [path.name for path in alive.root.rglob("*.png")] == ["example.png"]
    for _ in range(3):  # a folder is young again when one in it goes
        for path in killed.root.rglob("*"):
            aged(path, 1000)
        alive.sweep()
    assert not killed.root.exists()
    assert alive.root.exists()
    assert other.exists()
    assert own.exists()


@pytest.mark.parametrize("place", ["home", "working", "system", "above"])
def test_a_folder_that_holds_more_is_not_swept_itself(system, monkeypatch, tmp_path, place):
    monkeypatch.setattr(cleaning.Path, "home", lambda: tmp_path / "home")
    given = {"home": tmp_path / "home", "working": tmp_path, "system": system, "above": tmp_path}[place]
    given.mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    mine = aged(write_file(given / "mine.png"), 5000)
    cleaner = cleaning.prepare(environment := {"GRADIO_TEMP_DIR": str(given)})
    cleaner.sweep()
    assert mine.exists()
    assert Path(environment["GRADIO_TEMP_DIR"]).is_relative_to(given / "restoration-page")


@pytest.mark.slow
@pytest.mark.parametrize("given", [
    pytest.param(True, id="folder given", marks=pytest.mark.load), pytest.param(False, id="folder made"),
])  # fmt: skip
def test_everything_of_a_visitor_goes_also_what_a_killed_server_left(tmp_path, photo, given):
    write(photo, tmp_path / "visitor.png")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    settings = {"HF_HUB_OFFLINE": "1", "GRADIO_TEMP_DIR": str(scratch / "uploads") if given else ""}

    def of_visitor() -> list[Path]:
        walked = os.walk(scratch)  # which passes over what goes meanwhile
        paths = [Path(folder) / name for folder, folders, names in walked for name in (*folders, *names)]
        return [path for path in paths if "visitor" in path.name or path.parent.name == "half"]

    with running(scratch, {**settings, "RESTORATION_KEEP_SECONDS": "1800"}) as (address, server):
        client = Client(address, verbose=False, download_files=str(tmp_path / "downloads"))
        result, _ = client.predict(handle_file(tmp_path / "visitor.png"), "median", api_name="/denoise")
        assert Path(result).exists()
        assert len(of_visitor()) >= 2  # what was sent, and the result
        server.send_signal(signal.SIGKILL)
        server.wait()
    assert of_visitor()
    with running(scratch, {**settings, "RESTORATION_KEEP_SECONDS": "6"}) as (address, server):
        until(lambda: not of_visitor())  # what the other left
        client = Client(address, verbose=False, download_files=str(tmp_path / "downloads"))
        client.predict(handle_file(tmp_path / "visitor.png"), "median", api_name="/denoise")
        until(lambda: not of_visitor())
        static = [
            c["props"]["value"] for c in client.config["components"] if c["props"].get("elem_id") == "denoise-examples"
        ]
        for picture in static[0]:
            assert Path(picture["image"]["path"]).exists()  # the page's own stay
        shutil.rmtree(tmp_path / "downloads", ignore_errors=True)
