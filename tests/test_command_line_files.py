"""The command line and its files: what it takes for a picture, what it knows before a run, and how it ends."""

import hashlib
import io
import json
import os
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Pillow

from restoration import memory, tasks
from restoration.__main__ import main
from restoration.files import read, write
from restoration.folders import is_picture, pictures_in
from restoration.image import Image
from restoration.orders import Order
from train.data import samples


def saved(photo, format: str) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(photo.samples).save(buffer, format)
    return buffer.getvalue()


PICTURES = {
    "a.gif": "gif",
    "b.jfif": "jpeg",
    "c.JPE": "jpeg",
    "d": "png",
    "e.txt": "webp",
    "f.tiff": "tiff",
    "g.jpeg": "bmp",
}
NOT_PICTURES = {"notes.txt": b"hello", "film.mp4": b"\0\0\0\x18ftypmp42", "empty": b"", "page.pdf": b"%PDF-1.7"}
OF_SYSTEMS = {
    "._a.jpg": b"\0\5\x16\7",
    "Thumbs.db": b"\xd0\xcf",
    "desktop.ini": b"[.ShellClassInfo]",
    ".DS_Store": b"\0",
}


@pytest.fixture
def folder(tmp_path, photo):
    folder = tmp_path / "photos.2024"
    (folder / "deep").mkdir(parents=True)
    for name, format in PICTURES.items():
        (folder / name).write_bytes(saved(photo, format))
    (folder / "deep" / "h.png").write_bytes(saved(photo, "png"))
    for name, content in (NOT_PICTURES | OF_SYSTEMS).items():
        (folder / name).write_bytes(content)
    (folder / "damaged.jpg").write_bytes(b"damaged")
    return folder


def test_what_counts_as_a_picture_is_one_rule_everywhere(folder, tmp_path, capsys):
    """Batch, training and evaluation: by content; what is only called a picture is one that is damaged."""
    assert {path.name for path in pictures_in(folder)[0]} == {*PICTURES, "damaged.jpg"}
    assert {path.name for path in pictures_in(folder)[1]} == {*NOT_PICTURES}
    skipped = []
    trained = {sample.name for sample in samples([folder], 3, skipped=skipped)}
    assert (trained, skipped) == ({*PICTURES, "h.png"}, ["damaged.jpg"])
    out = tmp_path / "out.v2"  # a folder, as no picture ends so
    assert main(["denoise", str(folder), "-o", str(out), "--model", "mean", "--no-receipt"]) == 1
    rows = [line.split(",")[:2] for line in (out / "report.csv").read_text().splitlines()[1:]]
    assert sorted(rows) == sorted([[name, "done"] for name in (*PICTURES, "deep/h.png")] + [["damaged.jpg", "failed"]])
    assert "4 files are no pictures and were left out" in capsys.readouterr().err


def test_a_folder_of_nothing_but_other_files_is_answered(tmp_path, capsys):
    (tmp_path / "a.txt").write_bytes(b"text")
    assert main(["denoise", str(tmp_path), "-o", str(tmp_path / "out"), "--model", "mean"]) == 1
    assert "error: there is no picture in there" in capsys.readouterr().err


def test_what_can_not_be_opened_is_counted(tmp_path):
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    found, others = pictures_in(tmp_path)
    assert (found, {path.name for path in others}) == ([], {"dangling.png", "pipe.png"})


@pytest.mark.parametrize("argv", [
    ["denoise", "", "-o", "out"], ["denoise", "photo.png", "-o", ""],
    ["inpaint", "photo.png", "-o", "x.png", "--mask", ""], ["replay", "", "photo.png"],
])  # fmt: skip
def test_an_empty_name_is_not_the_folder_that_the_shell_is_in(argv, tmp_path, photo, monkeypatch, capsys):
    write(photo, tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    assert "an empty name is no file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_an_unreadable_name_is_no_picture(tmp_path):
    assert not is_picture(tmp_path / "missing.png")
    assert not is_picture(tmp_path)


@pytest.mark.parametrize("output, made", [
    ("results.v2", "results.v2/photo_denoised.png"), ("results.png/", "results.png/photo_denoised.png"),
    ("there.jpg", "there.jpg/photo_denoised.png"), ("one.png", "one.png"), ("one.JPE", "one.JPE"),
])  # fmt: skip
def test_a_folder_with_a_dot_is_a_folder(tmp_path, photo, output, made):
    write(photo, tmp_path / "photo.png")
    (tmp_path / "there.jpg").mkdir()
    argv = ["denoise", str(tmp_path / "photo.png"), "-o", f"{tmp_path}/{output}", "--model", "mean", "--no-receipt"]
    assert main(argv) == 0
    assert (tmp_path / made).is_file()


@pytest.mark.parametrize("output", ["x.bmp", "x.gif", "x.jp2", "x.svg", "missing/x.png"])
def test_a_target_that_cannot_be_written_is_known_before_the_run(tmp_path, photo, output, monkeypatch, capsys):
    write(photo, tmp_path / "photo.png")
    monkeypatch.setattr(Order, "run", lambda *_: pytest.fail("it was run"))
    assert main(["denoise", str(tmp_path / "photo.png"), "-o", str(tmp_path / output), "--model", "mean"]) == 1
    assert "error: " in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_a_full_or_locked_folder_is_known_before_the_run(tmp_path, photo, monkeypatch, capsys):
    from restoration import batch
    from restoration.image import ImageError

    def full(_):
        raise ImageError("Nothing can be written")

    write(photo, tmp_path / "photo.png")
    monkeypatch.setattr(batch, "check_folder", full)
    monkeypatch.setattr(Order, "run", lambda *_: pytest.fail("it was run"))
    two = [str(tmp_path / "photo.png")] * 2
    assert main(["denoise", *two, "-o", str(tmp_path / "out"), "--model", "mean"]) == 1
    assert "Nothing can be written" in capsys.readouterr().err


@pytest.mark.parametrize("task, size, output, words", [
    ("upscale", (4100, 1), "x.webp", "16,383"), ("upscale", (16400, 1), "x.jpg", "65,500"),
    ("denoise", (16384, 1), "x.webp", "16,383"),
])  # fmt: skip
def test_a_format_too_small_for_the_result_is_known_before_the_run(
    tmp_path, task, size, output, words, monkeypatch, capsys
):
    write(Image(np.zeros((size[1], size[0], 3), np.uint8)), tmp_path / "photo.png")
    monkeypatch.setattr(Order, "run", lambda *_: pytest.fail("it was run"))
    model = {"upscale": "bicubic", "denoise": "mean"}[task]
    assert main([task, str(tmp_path / "photo.png"), "-o", str(tmp_path / output), "--model", model]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("quality", ["0", "101", "many"])
def test_a_quality_that_there_is_not_is_refused_at_once(quality, capsys):
    with pytest.raises(SystemExit):
        main(["denoise", "x.png", "-o", "y.jpg", "--jpeg-quality", quality])
    assert f"{quality} is not a whole number from 1 to 100." in capsys.readouterr().err


def test_the_command_line_takes_what_fits_into_memory_or_what_it_is_told(tmp_path, photo, monkeypatch, capsys):
    write(photo, tmp_path / "photo.png")  # 0.0063 megapixels
    argv = ["denoise", str(tmp_path / "photo.png"), "-o", str(tmp_path / "x.png"), "--model", "mean"]
    monkeypatch.setattr(memory, "megapixels", lambda scale=1: 0.006)
    assert main(argv) == 1
    assert "the limit is 0.006" in capsys.readouterr().err
    assert main([*argv, "--limit", "0.0064"]) == 0
    monkeypatch.setattr(memory, "megapixels", lambda scale=1: None)
    assert main([*argv, "--overwrite"]) == 0
    with pytest.raises(SystemExit):
        main([*argv, "--limit", "-1"])


def test_the_limit_by_memory_is_what_is_free(monkeypatch):
    values = {"MemAvailable:": 10_700_000_000, "": None}
    monkeypatch.setattr(memory, "_number", lambda file, word="", unit=1: values[word])
    assert memory.megapixels() == pytest.approx(10e9 / memory.BYTES_A_PIXEL / 1e6)
    assert memory.megapixels(scale=4) == pytest.approx(memory.megapixels() / 16)
    values["MemAvailable:"] = None
    assert memory.megapixels() is None


def test_a_named_pipe_is_read_once_and_its_receipt_has_the_right_hash(tmp_path, photo):
    content = saved(photo, "png")
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,), daemon=True)
    writer.start()
    assert main(["denoise", str(tmp_path / "pipe"), "-o", str(tmp_path / "x.png"), "--model", "mean"]) == 0
    writer.join(10)
    assert not writer.is_alive()
    receipt = json.loads((tmp_path / "x.png.receipt.json").read_text())
    assert receipt["input"]["file_sha256"] == hashlib.sha256(content).hexdigest()


def test_ctrl_c_ends_without_a_traceback_and_half_a_file(tmp_path, photo, monkeypatch, capsys):
    from restoration import files

    def interrupted(*_):
        raise KeyboardInterrupt

    write(photo, tmp_path / "photo.png")
    argv = ["denoise", str(tmp_path / "photo.png"), "-o", str(tmp_path / "x.png"), "--model", "mean"]
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", interrupted)
        patch.setattr(files.os, "link", interrupted)
        assert main(argv) == 130
    assert capsys.readouterr().err.endswith("stopped: what was written stays\n")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


@pytest.mark.parametrize("command", ["models", "denoise"])
def test_a_closed_pipe_ends_without_a_traceback(tmp_path, photo, command, monkeypatch, capsys):
    write(photo, tmp_path / "photo.png")
    reader, writer = os.pipe()
    os.close(reader)
    argv = [command]
    if command == "denoise":
        argv += [str(tmp_path / "photo.png"), "-o", str(tmp_path / "x.png"), "--model", "mean"]
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(argv) == 141
        monkeypatch.undo()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 3), (9, 1, 1), (8, 8, 3), (64, 64, 3), (256, 256, 3)])
@pytest.mark.parametrize("filling", ["black", "white", "half", "noise", "one_pixel", "hidden"])
def test_the_facts_of_a_strange_picture_bring_no_warning(rng, shape, filling):
    """Any warning fails a test here."""
    picture = np.zeros(shape, np.uint8)
    if filling == "white":
        picture[:] = 255
    elif filling == "half":
        picture[:, shape[1] // 2 :] = 255
    elif filling == "noise":
        picture[:] = rng.integers(0, 256, shape)
    elif filling == "one_pixel":
        picture[0, 0] = 200
    image = Image(picture)
    if filling == "hidden":
        image = replace(image, alpha=np.zeros(shape[:2], np.uint8))
    for name, kind in tasks.every().items():
        kind.facts(image, Order(name).method)


def test_a_result_reads_back_from_a_path_from_bytes_and_from_an_open_file(tmp_path, photo):
    write(photo, tmp_path / "photo.png")
    content = (tmp_path / "photo.png").read_bytes()
    with (tmp_path / "photo.png").open("rb") as file:
        sources = [
            str(tmp_path / "photo.png"),
            tmp_path / "photo.png",
            content,
            bytearray(content),
            io.BytesIO(content),
            file,
        ]
        for source in sources:
            image = read(source)
            np.testing.assert_array_equal(image.samples, photo.samples)
            assert image.file_digest == hashlib.sha256(content).hexdigest()
    for wrong in (photo.samples, None, 3, io.StringIO("text")):
        with pytest.raises(ValueError, match=r"path, bytes or an open file|binary mode"):
            read(wrong)
