"""Publishing to a Hub on this machine with the real client, and loading from it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import gradio_client
import numpy as np
import pytest
from gradio_client import handle_file
from huggingface_hub import ModelCard, RepoCard, SpaceHardware

import restoration
from restoration import gallery, running
from restoration.denoising import denoise
from restoration.files import read, write
from restoration.weights import bundled
from tests.hub import Hub
from train import publish

pytestmark = pytest.mark.slow

ROOT = Path(restoration.__file__).parent.parent


@pytest.fixture
def hub():
    running = Hub()
    yield running
    running.close()


# Runs modules or code, one after the other; gives what each printed.
INTERPRETER = """
import contextlib, io, json, runpy, sys
for line in sys.stdin:
    (kind, what, *arguments), said = json.loads(line), io.StringIO()
    sys.argv = [what, *arguments]
    with contextlib.redirect_stdout(said):
        try:
            runpy.run_module(what, run_name="__main__") if kind == "-m" else exec(what, {"__name__": "__main__"})
        except SystemExit as end:
            assert not end.code, end.code
    print(json.dumps(said.getvalue()), flush=True)
"""


@pytest.fixture
def client(hub, tmp_path):
    """Runs Python against the loopback Hub with an empty cache; the client reads its settings when it is imported."""
    settings = {
        "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_test", "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }  # fmt: skip
    log = tmp_path / "client.txt"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-c", INTERPRETER], cwd=ROOT, env={**os.environ, **settings}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=errors, text=True,
        ) as process,
    ):  # fmt: skip

        def run(*arguments: str) -> str:
            process.stdin.write(json.dumps(arguments) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer, log.read_text()[-3000:]
            return json.loads(answer)

        yield run
        process.stdin.close()


def test_a_checkpoint_is_one_commit_again_none_and_an_edited_card_stays_unless_it_is_asked_for(hub, client):
    publish = ["-m", "train.publish", "checkpoints/srcnn-x2", "me/srcnn-x2"]
    commit = client(*publish).split()[-1]
    assert commit == hub.head("me/srcnn-x2")
    files = hub.files("me/srcnn-x2")
    assert {"model.safetensors", "config.json", "run.json", "README.md", "sample.png"} <= set(files)
    assert len(hub.repos["me/srcnn-x2"]) == 2  # the empty repository and this commit
    for name in ("model.safetensors", "config.json", "run.json"):
        assert files[name] == (bundled() / "srcnn-x2" / name).read_bytes()
    card = ModelCard(files["README.md"].decode())
    assert card.data.license == "apache-2.0"
    assert {result.metric_type for result in card.data.eval_results} >= {"psnr", "ssim"}
    assert 'restoration.load("me/srcnn-x2")' in card.text
    assert "(sample.png)" in card.text
    assert client(*publish).split()[-1] == commit
    assert len(hub.repos["me/srcnn-x2"]) == 2
    generated = files["README.md"]
    edited = generated.replace(b"## Training", b"Read this first.\n\n## Training")
    hub.put("me/srcnn-x2", {"README.md": edited})
    client(*publish)
    assert hub.files("me/srcnn-x2")["README.md"] == edited
    client(*publish, "--card")
    assert hub.files("me/srcnn-x2")["README.md"] == generated


def test_what_was_published_loads_by_name_by_revision_and_from_a_folder(hub, client):
    commit = client("-m", "train.publish", "checkpoints/srcnn-x2", "me/srcnn-x2").split()[-1]
    hub.put("me/srcnn-x2", {"config.json": b"{}"})  # a later commit that would not load
    printed = client(
        "-c",
        "import sys, torch, restoration\n"
        "from huggingface_hub import get_safetensors_metadata\n"
        "from restoration.models.srcnn import SRCNN\n"
        f"pinned = restoration.load('me/srcnn-x2@{commit}')\n"
        f"direct = SRCNN.from_pretrained('me/srcnn-x2', revision='{commit}')\n"
        "own = restoration.load('checkpoints/srcnn-x2')\n"
        "image = torch.rand(1, 3, 9, 9)\n"
        "for other in (pinned, direct):\n"
        "    print(torch.equal(other.restore(image), own.restore(image)))\n"
        "try:\n"
        "    restoration.load('me/srcnn-x2')\n"
        "except ValueError as error:\n"
        "    print(error)\n"
        "print(get_safetensors_metadata('me/srcnn-x2').parameter_count)\n",
    )
    assert printed.split()[:2] == ["True", "True"]
    assert "unknown architecture None" in printed
    assert "24" in printed.splitlines()[-1]  # thousand parameters


def test_the_mixin_pushes_and_an_edited_card_survives_it(hub, client):
    push = "import restoration; print(restoration.load('srcnn-x2').push_to_hub('me/copy'));"
    assert client("-c", 2 * push).split()[-1].endswith(hub.head("me/copy"))
    assert len(hub.repos["me/copy"]) == 2  # the empty repository and one commit: the same bytes every time
    files = hub.files("me/copy")
    for name in ("config.json", "run.json"):
        assert files[name] == (bundled() / "srcnn-x2" / name).read_bytes()
    assert b'restoration.load("me/copy")' in files["README.md"]
    hub.put("me/copy", {"README.md": files["README.md"].replace(b"# SRCNN", b"# Ours"), "config.json": b"{}"})
    same = "import torch; from restoration.models.srcnn import SRCNN as S; i = torch.rand(1, 3, 9, 9);"
    same += "a, b = S.from_pretrained('me/copy'), S.from_pretrained('checkpoints/srcnn-x2');"
    assert client("-c", push + same + "print(torch.equal(a.restore(i), b.restore(i)))").split()[-1] == "True"
    assert b"# Ours" in hub.files("me/copy")["README.md"]
    assert hub.files("me/copy")["config.json"] == files["config.json"]


def test_the_space_has_the_page_valid_front_matter_and_its_models(hub, client):
    model = client("-m", "train.publish", "checkpoints/srcnn-x2", "me/srcnn-x2").split()[-1]
    commit = client("-m", "train.publish", "--space", "me/demo").split()[-1]
    files = hub.files("me/demo")
    assert commit == hub.head("me/demo")
    assert {"app.py", "requirements.txt", "restoration/catalog.py", "checkpoints/srcnn-x2/model.safetensors"} <= set(
        files
    )
    assert not any(name.startswith((".git/", "tests/", "runs/")) or "__pycache__" in name for name in files)
    data = RepoCard(files["README.md"].decode()).data
    assert (data.sdk, data.app_file, str(data.python_version)) == ("gradio", "app.py", "3.12")
    assert data.sdk_version == "6.31.0"
    assert len(data.short_description) <= 60
    assert data.models == ["me/srcnn-x2"]  # the others are not on this Hub
    assert data.license == ["apache-2.0", "cc-by-nc-4.0"]
    assert data.suggested_hardware in [hardware.value for hardware in SpaceHardware]
    assert data.thumbnail == f"{hub.url}/spaces/me/demo/resolve/main/restoration/assets/example.jpg"
    assert "restoration/assets/example.jpg" in files
    assert data.preload_from_hub == [f"me/srcnn-x2 model.safetensors,config.json,run.json {model}"]
    hub.put("me/demo", {"old.py": b"gone"})
    client("-m", "train.publish", "--space", "me/demo")
    assert "old.py" not in hub.files("me/demo")


def test_a_job_restores_one_dataset_repository_into_another(hub, photo, tmp_path):
    text = (ROOT / "train" / "SCALE.md").read_text(encoding="utf-8").replace("USER", "me")
    command = shlex.split(re.search(r"^hf jobs run .*?\"\n.*?\"$", text, re.DOTALL | re.MULTILINE)[0])
    settings = {
        "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_test", "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0", "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    environment = {**os.environ, **settings}
    told = subprocess.run([*command[:3], "--dry-run", *command[3:]], env=environment, capture_output=True, text=True)
    assert told.returncode == 0 and "hf://datasets/me/photos:/photos" in told.stdout, told.stderr

    given = tmp_path / "given"
    given.mkdir()
    for index in range(3):
        write(replace(photo, samples=np.roll(photo.samples, index, 0)), given / f"{index}.png")
    (given / "damaged.jpg").write_bytes(b"no picture")
    hub.put("me/photos", {file.name: file.read_bytes() for file in given.iterdir()})

    # What would be mounted is downloaded, and the package is here already.
    lines = (line.strip() for line in command[-1].strip().splitlines())
    kept = [line for line in lines if not line.startswith(("pip ", "uv ", "hf download"))]
    script = "\n".join(["hf download me/photos --repo-type dataset --local-dir /photos", *kept])
    for folder in ("/photos ", "/photos\n", "/restored "):
        script = script.replace(f" {folder}", f" {tmp_path}{folder}")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = hub.files("me/photos-restored")
    rows = list(restoration.restore_files(given, tmp_path / "expected", "denoise"))
    assert [row.outcome for row in rows] == ["done"] * 3 + ["failed"]
    for row in rows[:3]:
        assert found[Path(row.result).name] == Path(row.result).read_bytes()
    assert b"damaged.jpg,failed" in found["report.csv"]


def test_a_page_without_bundle_and_cache_restores_with_what_was_published(hub, photo, tmp_path, serve):
    published = [method.name for method in restoration.methods() if method.learned and method.flagship]
    for name in published:
        hub.put(f"me/{name}", {file.name: file.read_bytes() for file in (bundled() / name).iterdir()})
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(ROOT / "app.py", bare)
    shutil.copytree(ROOT / "restoration", bare / "restoration", ignore=shutil.ignore_patterns("__pycache__"))
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "empty"), "HF_HUB_OFFLINE": "0"}
    settings["RESTORATION_NAMESPACE"] = "me"
    url = serve(bare, settings)
    visitor = gradio_client.Client(url, verbose=False, download_files=tmp_path / "downloads", analytics_enabled=False)
    listed = {entry["name"]: entry["weights"] for entry in visitor.predict(api_name="/models") if entry["learned"]}
    assert len(published) > 2 and set(listed) == set(published)
    assert all(place == f"from the Hub, me/{name}@{hub.head(f'me/{name}')}." for name, place in listed.items())
    write(photo, tmp_path / "photo.png")
    answer, _ = visitor.predict(handle_file(tmp_path / "photo.png"), api_name="/denoise")
    expected = running.finish(denoise(photo)).image()
    np.testing.assert_array_equal(read(answer).samples, expected.samples)


@pytest.mark.parametrize("name", ["drunet-fast", "drunet-jpeg", "compact-x4", "fourier-fill"])
def test_a_sample_shows_what_was_given_beside_what_was_made_of_it(name):
    model = restoration.load(name)
    given, made = np.split(read(publish.sample(model)).samples.astype(int), 2, axis=1)
    side = len(given) // model.scale
    clean = read(gallery.clean("astronaut.png")).samples[60 : 60 + side, 160 : 160 + side].astype(int)
    if model.task == "inpaint":
        hole = (given != clean).any(-1)
        assert 0.05 < hole.mean() < 0.4
        assert (given[hole] == 255).all()
        known = (given < 255).any(-1)
        np.testing.assert_array_equal(made[known], clean[known])
    assert given.shape == made.shape
    if model.scale == 1:
        assert np.square(made - clean).mean() < np.square(given - clean).mean()
    else:
        np.testing.assert_array_equal(given, clean.repeat(model.scale, 0).repeat(model.scale, 1))
        assert not np.array_equal(made, given)
