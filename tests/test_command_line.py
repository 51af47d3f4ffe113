"""`python -m restoration`: files in, files out, one line for every failure."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import restoration
from restoration import batch
from restoration.__main__ import main
from restoration.files import read, write
from restoration.image import Image
from restoration.orders import Order


def test_models_lists_every_method_with_its_guide(capsys):
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    for method in restoration.methods():
        assert method.name in printed
        assert method.summary in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("started", "module", "policy"),
    [("-m", "restoration", "PASSIVE"), ("own.py", "restoration", "None"), ("own.py", "train.data", "PASSIVE")],
)
def test_threads_of_programs_wait_without_spinning_and_a_library_leaves_that_alone(started, module, policy):
    code = f"import os, sys; sys.argv = [{started!r}]; import {module}; print(os.environ.get('OMP_WAIT_POLICY'))"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == policy


def test_one_file_to_one_file(tmp_path, photo, capsys):
    write(photo, tmp_path / "photo.png")
    target = tmp_path / "clean.tiff"
    assert main(["denoise", str(tmp_path / "photo.png"), "-o", str(target), "--model", "median", "--sigma", "25"]) == 0
    assert read(target).samples.shape == photo.samples.shape
    assert "median, noise level 25.0" in capsys.readouterr().out


def test_strength_0_gives_the_input_back_bit_for_bit(tmp_path, photo):
    write(photo, tmp_path / "photo.png")
    main(
        ["denoise", str(tmp_path / "photo.png"), "-o", str(tmp_path / "same.png"), "--model", "mean", "--strength", "0"]
    )
    np.testing.assert_array_equal(read(tmp_path / "same.png").samples, photo.samples)


def test_many_files_to_a_folder_and_a_bad_one_does_not_stop_the_rest(tmp_path, photo, capsys):
    for name in ("a.png", "b.png"):
        write(photo, tmp_path / name)
    (tmp_path / "bad.jpg").write_bytes(b"not an image")
    inputs = [str(tmp_path / name) for name in ("a.png", "bad.jpg", "b.png", "missing.png")]
    assert main(["denoise", *inputs, "-o", str(tmp_path / "out"), "--model", "mean", "--format", "webp"]) == 1
    results = ["a_denoised.webp", "b_denoised.webp"]
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {*results, *(f"{name}.receipt.json" for name in results), "report.csv"}
    report = (tmp_path / "out" / "report.csv").read_text().splitlines()
    assert report[1].startswith("a.png,done,a_denoised.webp,")
    assert report[2].startswith('bad.jpg,failed,,"bad.jpg is not a JPEG')
    errors = capsys.readouterr().err
    assert "error: bad.jpg is not a JPEG" in errors
    assert "error: There is no file called missing.png." in errors
    assert "Traceback" not in errors


def test_a_failure_that_nobody_foresaw_does_not_stop_the_rest_either(tmp_path, photo, capsys, monkeypatch):
    for name in ("a.png", "b.png", "c.png"):
        write(photo, tmp_path / name)
    real = batch.store
    failures = [OSError(28, "No space left on device", "/secret/place"), RuntimeError("of /secret/place")]

    def store(*arguments, **settings):
        if failures:
            raise failures.pop()
        return real(*arguments, **settings)

    monkeypatch.setattr(batch, "store", store)
    inputs = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    assert main(["denoise", *inputs, "-o", str(tmp_path / "out"), "--model", "mean"]) == 1
    report = (tmp_path / "out" / "report.csv").read_text().splitlines()
    assert report[1].startswith("a.png,failed,,Something unexpected.,")
    assert report[2].startswith("b.png,failed,,No space left on device.,")
    assert report[3].startswith("c.png,done,")
    errors = capsys.readouterr().err
    assert "secret" not in errors
    assert "Traceback" not in errors


def test_a_file_where_the_folder_of_results_should_be_is_answered_in_a_sentence(tmp_path, photo, capsys):
    write(photo, tmp_path / "a.png")
    target = tmp_path / "out"
    target.write_bytes(b"mine")
    sentence = f"error: The results cannot be written to {target}: File exists.\n"
    for inputs in ([tmp_path / "a.png"], [tmp_path / "a.png", tmp_path / "a.png"]):
        assert main(["denoise", *map(str, inputs), "-o", str(target), "--model", "mean"]) == 1
        assert capsys.readouterr().err.endswith(sentence)
    assert target.read_bytes() == b"mine"


def test_results_inside_a_folder_are_not_restored_again(tmp_path, photo):
    write(photo, tmp_path / "a.png")
    argv = ["denoise", str(tmp_path), "-o", str(tmp_path / "restored"), "--model", "mean", "--no-receipt"]
    for _ in range(2):
        assert main(argv) == 0
        assert {path.name for path in (tmp_path / "restored").iterdir()} == {"a_denoised.png", "report.csv"}
    assert main(["denoise", str(tmp_path / "restored"), "-o", str(tmp_path), "--model", "mean"]) == 0
    assert (tmp_path / "a_denoised_denoised.png").exists()  # wanted, where the results lie elsewhere


@pytest.mark.parametrize(
    "task, wrong, sentence",
    [
        ("denoise", ["--sigma", "300"], "argument --sigma: 300 is not a number from 0 to 100."),
        ("denoise", ["--sigma", "much"], "argument --sigma: much is not a number from 0 to 100."),
        ("denoise", ["--strength", "80"], "argument --strength: 80 is not a number from 0 to 1."),
        ("upscale", ["--alpha", "nan"], "argument --alpha: nan is not a number from 0 to 1."),
        ("artifacts", ["--quality", "bad"], "argument --quality: bad is not a whole number from 5 to 95."),
        ("artifacts", ["--quality", "96"], "argument --quality: 96 is not a whole number from 5 to 95."),
    ],
)
def test_wrong_values_are_refused_before_anything_runs(tmp_path, task, wrong, sentence, capsys):
    with pytest.raises(SystemExit) as caught:
        main([task, "photo.png", "-o", str(tmp_path / "x.png"), *wrong])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"{sentence}\n")


def test_upscale_names_the_result_by_its_scale_and_says_how_true_it_is(tmp_path, photo, capsys):
    path = str(tmp_path / "photo.png")
    write(photo, path)
    assert main(["upscale", path, "-o", str(tmp_path), "--model", "lanczos", "--scale", "2"]) == 0
    assert read(tmp_path / "photo_x2.png").samples.shape == (140, 180, 3)
    assert "lanczos-x2, matches the photo to" in capsys.readouterr().out
    assert main(["upscale", path, "-o", str(tmp_path / "y.png"), "--model", "nothing"]) == 1
    assert "error: There is no upscale model" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["upscale", path, "-o", str(tmp_path / "x.png"), "--scale", "9"])


def test_a_folder_is_restored_and_a_replay_tells_the_truth(tmp_path, photo, capsys):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    write(photo, folder / "a.png")
    write(photo, folder / "deep" / "a.png")
    (folder / "notes.txt").write_text("not a picture")
    argv = ["artifacts", str(folder), "-o", str(tmp_path / "out"), "--model", "drunet-jpeg", "--strength", "0.5"]
    assert main([*argv, "--no-receipt"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a_cleaned.png", "deep", "report.csv"}
    result = tmp_path / "out" / "a_cleaned.png"
    capsys.readouterr()
    assert main(["replay", str(result), str(folder / "a.png")]) == 0
    assert capsys.readouterr().out == "reproduced\n"
    write(replace(photo, samples=photo.samples // 2), tmp_path / "other.png")
    assert main(["replay", str(result), str(tmp_path / "other.png")]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("not reproduced\nthe picture differs: ")
    assert "the result differs" in printed
    assert main(["replay", str(folder / "a.png"), str(folder / "a.png")]) == 1
    assert capsys.readouterr().err == "error: a.png holds no receipt.\n"


def test_an_unknown_model_is_answered_with_the_known_ones(tmp_path, photo, capsys):
    write(photo, tmp_path / "photo.png")
    assert main(["denoise", str(tmp_path / "photo.png"), "-o", str(tmp_path / "x.png"), "--model", "nothing"]) == 1
    assert "drunet-photo" in capsys.readouterr().err


@pytest.mark.slow
def test_importing_the_package_needs_neither_gradio_nor_the_training_code():
    code = (
        "import sys, restoration, restoration.__main__\n"
        "loaded = {'gradio', 'train', 'app', 'accelerate', 'matplotlib'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_loading_a_model_does_not_wait_for_a_compiler():
    """Importing it takes longer than all models take to load; sizes on the device "meta" ask for it here and there."""
    code = (
        "import sys; from restoration import catalog\n"
        "for method in catalog.methods():\n"
        "    method.learned and method.load()\n"
        "    assert 'torch._dynamo' not in sys.modules, method.name"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_jpeg_of_a_transparent_picture_is_refused_before_the_run(photo, tmp_path, monkeypatch, capsys):
    for name in ("a.png", "b.png"):
        write(Image(photo.samples, np.full((70, 90), 128, np.uint8)), tmp_path / name)
    monkeypatch.setattr(Order, "run", lambda *_: pytest.fail("it was run"))
    one, two = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    assert main(["denoise", one, "-o", str(tmp_path / "out.jpg"), "--model", "median"]) == 1
    assert main(["denoise", one, two, "-o", str(tmp_path / "out"), "--format", "jpeg", "--model", "median"]) == 1
    assert capsys.readouterr().err.count("JPEG cannot hold transparency") == 3
