"""Nothing lost: what a run did not make stays, whatever it is called, and every file has its row."""

import csv
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from restoration.__main__ import main
from restoration.files import read, write
from restoration.image import Image, ImageError
from restoration.orders import Order
from restoration.saving import save
from restoration.targets import Targets, legible

MEAN = ["--model", "mean"]
MINE = b"mine"


def rows(folder: Path, name: str = "report.csv") -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def linked(kind: str, target: Path, link: Path) -> None:
    if kind == "itself":
        target.replace(link)
    elif kind == "symlink":
        link.symlink_to(target)
    elif kind == "hard link":
        os.link(target, link)
    else:
        shutil.copy(target, link)


@pytest.mark.parametrize("kind", ["itself", "symlink", "hard link", "another file", "dangling"])
def test_one_file_is_never_written_over_what_was_there(tmp_path, photo, capsys, kind):
    source, target = tmp_path / "photo.png", tmp_path / "taken.png"
    write(photo, source)
    if kind == "dangling":
        target.symlink_to(tmp_path / "nowhere.png")
    else:
        linked(kind, source, target)
    source = target if kind == "itself" else source
    before = contents(tmp_path)
    assert main(["denoise", str(source), "-o", str(target), *MEAN]) == 1
    assert capsys.readouterr().err.endswith(
        "error: There is a taken.png already; choose another name, or --overwrite.\n"
    )
    assert contents(tmp_path) == before
    assert main(["denoise", str(source), "-o", str(target), *MEAN, "--overwrite"]) == 0
    assert read(target).samples.shape == photo.samples.shape
    if kind != "itself":
        assert source.read_bytes() == before[source]


def test_the_receipt_of_one_file_is_not_written_over_another_either(tmp_path, photo, capsys):
    write(photo, tmp_path / "photo.png")
    (tmp_path / "x.png.receipt.json").write_bytes(MINE)
    argv = ["denoise", str(tmp_path / "photo.png"), "-o", str(tmp_path / "x.png"), *MEAN]
    assert main(argv) == 1
    assert "There is a x.png.receipt.json already" in capsys.readouterr().err
    assert main([*argv, "--no-receipt"]) == 0
    assert (tmp_path / "x.png.receipt.json").read_bytes() == MINE


@pytest.mark.parametrize("several", [False, True], ids=["one file", "many"])
@pytest.mark.parametrize("taken", ["a_denoised.png", "a_denoised.png.receipt.json"])
def test_in_a_folder_another_name_is_found(tmp_path, photo, several, taken):
    for name in ("a.png", "b.png") if several else ("a.png",):
        write(photo, tmp_path / name)
    out = tmp_path / "out"
    out.mkdir()
    (out / taken).write_bytes(MINE)
    (out / "report.csv").write_bytes(MINE)
    inputs = [str(path) for path in tmp_path.glob("*.png")]
    assert main(["denoise", *inputs, "-o", str(out), *MEAN]) == 0
    assert (out / taken).read_bytes() == MINE
    assert (out / "report.csv").read_bytes() == MINE
    assert read(out / "a_denoised-2.png").samples.shape == photo.samples.shape
    if several:
        assert {row["result"] for row in rows(out, "report-2.csv")} == {"a_denoised-2.png", "b_denoised.png"}
    assert main(["denoise", *inputs, "-o", str(out), *MEAN, "--overwrite"]) == 0
    assert (out / "a_denoised.png").read_bytes() != MINE
    assert several == ((out / "report.csv").read_bytes() != MINE)


@pytest.mark.parametrize("settings", [[], ["--no-receipt"], ["--metadata", "none"], ["--format", "jpeg"]])
def test_a_run_in_place_restores_its_own_results_no_second_time(tmp_path, photo, settings):
    write(photo, tmp_path / "a.png")
    write(replace(photo, samples=photo.samples[::-1].copy()), tmp_path / "deep.png")
    argv = ["denoise", str(tmp_path), "-o", str(tmp_path), *MEAN, *settings]
    assert main(argv) == 0
    first = {path: content for path, content in contents(tmp_path).items() if path.name != "report.csv"}
    assert main(argv) == 0
    assert {path: content for path, content in contents(tmp_path).items() if path.name != "report.csv"} == first
    outcomes = [(row["file"], row["outcome"]) for row in rows(tmp_path)]
    ending = "jpg" if "jpeg" in settings else "png"
    again = [("a.png", "kept"), (f"a_denoised.{ending}", "passed over"), ("deep.png", "kept")]
    assert outcomes == [("a.png", "done"), ("deep.png", "done"), *again, (f"deep_denoised.{ending}", "passed over")]


LEFT_OPEN = {
    "a chain": ["photo"],
    "a chain that is told all": ["photo", "--denoise", "--no-artifacts"],
    "a level": ["denoise"],
    "two networks": ["upscale", "--model", "esrgan", "--alpha", "0.5"],
    "a choice of methods": ["inpaint", "--mask", "mask.png"],
    "what may not be copied": ["inpaint", "--mask", "mask.png", "--avoid", "mask.png"],
}


@pytest.mark.parametrize("what", LEFT_OPEN)
def test_a_run_that_finds_things_out_knows_its_results_again(tmp_path, photo, monkeypatch, capsys, what):
    monkeypatch.chdir(tmp_path)
    write(photo, tmp_path / "photo.png")
    mask = np.zeros((photo.height, photo.width, 1), np.uint8)
    mask[20:26, 20:50] = 255
    write(Image(mask), tmp_path / "mask.png")
    task, *options = LEFT_OPEN[what]
    argv = [task, "photo.png", "-o", "out", *options]
    assert main(argv) == 0
    made = contents(tmp_path / "out")
    assert main(argv) == 0
    assert "It is there already" in capsys.readouterr().out
    assert contents(tmp_path / "out") == made


def test_results_of_other_settings_or_of_another_picture_stay_beside_the_new_ones(tmp_path, photo):
    source, out = tmp_path / "a.png", tmp_path / "out"
    write(photo, source)
    argv = ["denoise", str(source), str(source.parent / "missing.png"), "-o", str(out)]
    main([*argv, "--model", "gaussian", "--sigma", "10"])
    first = (out / "a_denoised.png").read_bytes()
    main([*argv, "--model", "gaussian", "--sigma", "30"])
    second = (out / "a_denoised-2.png").read_bytes()
    main([*argv, "--model", "gaussian", "--sigma", "30"])
    assert "a_denoised-3.png" not in names(out)
    write(replace(photo, samples=255 - photo.samples), source)
    main([*argv, "--model", "gaussian", "--sigma", "30"])
    assert [(out / f"a_denoised{mark}.png").read_bytes() for mark in ("", "-2")] == [first, second]
    assert read(out / "a_denoised-3.png").samples.mean() != read(out / "a_denoised.png").samples.mean()


def test_a_result_goes_on_to_another_task_and_to_another_folder(tmp_path, photo):
    write(photo, tmp_path / "a.png")
    main(["denoise", str(tmp_path / "a.png"), "-o", str(tmp_path / "one"), *MEAN])
    assert main(["artifacts", str(tmp_path / "one"), "-o", str(tmp_path / "one"), "--model", "deblocking-tv"]) == 0
    assert "a_denoised_cleaned.png" in names(tmp_path / "one")
    main(["denoise", str(tmp_path / "one" / "a_denoised.png"), "-o", str(tmp_path / "two"), *MEAN])
    assert "a_denoised_denoised.png" in names(tmp_path / "two")


def test_filling_what_is_transparent_is_known_again_too(tmp_path, photo):
    alpha = np.full((70, 90), 255, np.uint8)
    alpha[20:24, 30:34] = 0
    write(replace(photo, alpha=alpha), tmp_path / "a.png")
    argv = ["inpaint", str(tmp_path), "-o", str(tmp_path / "out"), "--transparent", "--model", "diffusion"]
    for outcome in ("done", "kept"):
        assert main(argv) == 0
        assert rows(tmp_path / "out")[-1]["outcome"] == outcome


def test_the_inputs_of_a_batch_are_not_overwritten_even_when_the_rest_may_be(tmp_path, photo):
    write(photo, tmp_path / "a.png")
    write(replace(photo, samples=255 - photo.samples), tmp_path / "a_denoised.png")
    before = (tmp_path / "a_denoised.png").read_bytes()
    assert main(["denoise", str(tmp_path), "-o", str(tmp_path), *MEAN, "--overwrite"]) == 0
    assert (tmp_path / "a_denoised.png").read_bytes() == before
    assert {row["result"] for row in rows(tmp_path)} == {"a_denoised-2.png", "a_denoised_denoised.png"}


def test_a_table_goes_on_after_that_of_an_earlier_run(tmp_path, photo):
    write(photo, tmp_path / "a.png")
    for name in ("a.png", "missing.png"):
        main(["denoise", str(tmp_path / name), str(tmp_path / "none.png"), "-o", str(tmp_path / "out"), *MEAN])
    files = [row["file"] for row in rows(tmp_path / "out")]
    assert files == ["a.png", "none.png", "missing.png", "none.png"]


def test_a_tree_keeps_its_shape_and_the_table_tells_it(tmp_path, photo):
    tree = tmp_path / "photos"
    for place in ("a.png", "x/a.png", "x/y/a.png", "x.y/a.png"):
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        write(photo, tree / place)
    (tree / "x" / "bad.png").write_bytes(b"no picture")
    assert main(["denoise", str(tree), "-o", str(tmp_path / "out"), *MEAN, "--no-receipt"]) == 1
    expected = {"a_denoised.png", "x/a_denoised.png", "x/y/a_denoised.png", "x.y/a_denoised.png", "report.csv"}
    assert names(tmp_path / "out") == expected
    told = {row["file"]: row["result"] for row in rows(tmp_path / "out")}
    assert told == {
        **{place: f"{place.removesuffix('.png')}_denoised.png" for place in ("a.png", "x/a.png", "x/y/a.png")},
        "x.y/a.png": "x.y/a_denoised.png",
        "x/bad.png": "",
    }


def test_of_several_trees_each_has_a_folder(tmp_path, photo):
    for place in ("one/a.png", "two/a.png", "two/b/a.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        write(photo, tmp_path / place)
    trees = [str(tmp_path / name) for name in ("one", "two")]
    assert main(["denoise", *trees, "-o", str(tmp_path / "out"), *MEAN, "--no-receipt"]) == 0
    expected = {"one/a_denoised.png", "two/a_denoised.png", "two/b/a_denoised.png", "report.csv"}
    assert names(tmp_path / "out") == expected


STRANGE = {
    "latin-1": b"caf\xe9.png",
    "broken utf-8": b"\xff\xfe\x80.png",
    "japanese": "写真.png".encode(),
    "emoji": "📷.png".encode(),
    "combining": "é.png".encode(),
    "lines": b"a\nb\r.png",
    "escape": b"\x1b[31mred.png",
    "direction": "a\u202egnp.png".encode(),
    "formula": b"=1+1.png",
    "option": b"-x.png",
    "longest": b"n" * 251 + b".png",
    "longest, of many bytes": "写".encode() * 83 + b".png",
    "spaces": b" .png",
}
CONSOLES = {
    "utf-8": {"PYTHONUTF8": "1"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "POSIX, coerced": {"LC_ALL": "POSIX"},
}


@pytest.fixture
def strange(tmp_path, photo) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    write(photo, tmp_path / "photo.png")
    for name in STRANGE.values():
        shutil.copy(tmp_path / "photo.png", os.fsencode(folder) + b"/" + name)
    return folder


# Several commands in one process, as a console has them: with its encodings, and arguments of any bytes.
COMMANDS = """
import sys
from restoration.__main__ import main
for command in " ".join(sys.argv[1:]).split(" ; "):
    code = main(command.split())
    print("code", code, file=sys.stderr)
"""


def commands(console: str, folder: Path, *given: bytes) -> str:
    """What is told of commands that are run one after the other on a console."""
    environment = {**os.environ, **CONSOLES[console], "PYTHONPATH": str(Path(__file__).parent.parent)}
    argv = [os.fsencode(sys.executable), b"-c", COMMANDS.encode(), b" ; ".join(given)]
    ran = subprocess.run(argv, cwd=folder, env=environment, capture_output=True)
    assert ran.returncode == 0, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert b"\x1b" not in ran.stdout
    return ran.stderr.decode(errors="replace")


@pytest.mark.slow
@pytest.mark.parametrize("console", CONSOLES)
def test_no_name_and_no_console_ends_a_batch_or_the_list_of_models(tmp_path, strange, console):
    batch = b"denoise in -o out --model mean"
    assert commands(console, tmp_path, b"models", batch, batch).count("code 0") == 3
    results = {name for name in os.listdir(os.fsencode(tmp_path / "out")) if name.endswith(b"_denoised.png")}
    assert len(results) == len(STRANGE)
    assert b"caf\xe9_denoised.png" in results
    assert {row["outcome"] for row in rows(tmp_path / "out")[: len(STRANGE)]} == {"done"}
    assert {row["outcome"] for row in rows(tmp_path / "out")[len(STRANGE) :]} == {"kept"}
    files = {row["file"] for row in rows(tmp_path / "out")}
    assert {r"caf\xe9.png", r"\xff\xfe\x80.png", "写真.png", "📷.png", r"a\nb\r.png", "'=1+1.png"} <= files


@pytest.mark.slow
@pytest.mark.parametrize("console", ["cp1252", "C"])
def test_one_file_of_any_name_comes_back_on_any_console(tmp_path, strange, console):
    names = [b"caf\xe9.png", "写真.png".encode()]
    given = [
        b"denoise in/%b -o %b --model mean" % (name, out) for name in names for out in (b"results", b"own_" + name)
    ]
    missing = [b"denoise no%b -o x.png --model mean" % name for name in names]
    said = commands(console, tmp_path, *given, *missing)
    assert said.count("code 0") == 4
    assert said.count("code 1") == said.count("error: ") == 2
    written = {file for file in os.listdir(os.fsencode(tmp_path / "results")) if file.endswith(b".png")}
    assert written == {name.removesuffix(b".png") + b"_denoised.png" for name in names}
    assert all(os.path.exists(os.fsencode(tmp_path) + b"/own_" + name) for name in names)


def test_legible_text_is_utf_8_and_moves_no_cursor():
    assert legible("caf\udce9 写真 é.png") == r"caf\xe9 写真 é.png"
    assert legible("a\nb\x1b[0m\x7f\x85\u2028c") == r"a\nb\x1b[0m\x7f\x85\u2028c"


def test_saving_without_overwriting_needs_no_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    save(b"new", tmp_path / "a", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"new"
    with pytest.raises(ImageError, match="There is a a already"):
        save(b"newer", tmp_path / "a", overwrite=False)
    assert names(tmp_path) == {"a"}


def test_a_file_that_came_meanwhile_is_not_overwritten(tmp_path):
    (tmp_path / "a").write_bytes(MINE)
    with pytest.raises(ImageError, match="There is a a already"):
        save(b"new", tmp_path / "a", overwrite=False)
    assert contents(tmp_path) == {tmp_path / "a": MINE}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("step", ["open", "link", "replace"])
def test_a_file_that_cannot_be_written_leaves_nothing_half_written(tmp_path, monkeypatch, step, overwrite):
    def failing(*_, **__):
        raise OSError(28, "No space left on device")

    for place, name in {"open": [(Path, "open")], "link": [(os, "link"), (os, "replace")]}.get(step, [(os, step)]):
        monkeypatch.setattr(place, name, failing)
    try:
        save(b"content", tmp_path / "a.png", overwrite=overwrite)
    except ImageError as error:
        assert "could not be written" in str(error)
        assert list(tmp_path.iterdir()) == []
    else:  # by the way that does not fail
        assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("letter", ["a", "é", "写", "🂡"])
@pytest.mark.parametrize("surrogates", [False, True])
def test_a_name_is_cut_between_letters(tmp_path, photo, letter, surrogates):
    """Also where the system takes every byte for a letter, as in the C locale."""
    name = letter * 300
    order = Order("denoise", "mean")
    if surrogates:
        name = name.encode().decode("ascii", "surrogateescape")
    target, there = Targets([]).choose(tmp_path, name, ".png", order, photo, None)
    assert not there
    cut = os.fsencode(target.name).decode()
    assert cut == letter * cut.count(letter) + "_denoised.png"
    assert 250 - len(letter.encode()) < len(cut.encode()) + len(".receipt.json") <= 255
