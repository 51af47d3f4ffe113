"""Servers in processes of their own, which begin as copies of one that has imported what is large."""

import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
COPIES = get_context("forkserver")
COPIES.set_forkserver_preload(["tests.large"])


class Copied:
    """A copy of the process that has imported what is large; for what it can it stands for a `subprocess.Popen`.

    Args:
        command: a file of Python's and its arguments.
        environment, folder, log: of the process.
    """

    def __init__(self, command: Sequence[str], environment: dict[str, str], folder: Path, log: Path):
        log.touch()  # for whoever reads it before it is written
        self._process = COPIES.Process(target=_run, args=(tuple(command), environment, folder, log), daemon=True)
        self._process.start()
        self.pid = self._process.pid

    def __enter__(self) -> "Copied":
        return self

    def __exit__(self, *_) -> None:
        self.wait()
        self._process.close()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(command: tuple[str, ...], environment: dict[str, str], folder: Path, log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with log.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.argv, sys.path[0], tempfile.tempdir = list(command), str(folder), None
    runpy.run_path(command[0], run_name="__main__")


def begun(
    command: Sequence[str], settings: dict[str, str], folder: Path, log: Path
) -> Copied | subprocess.Popen[bytes]:
    """Python runs a file, with more settings than this process has; what it prints goes into a log.

    As a copy if it is the page of this checkout, and has no settings that others read when they are imported.
    """
    environment = {**os.environ, **settings}
    early = {name: value for name, value in settings.items() if name.startswith(("HF_", "OMP_", "PYTHON"))}
    if command[0] == "app.py" and "--mcp" not in command and folder == CHECKOUT and early == {"HF_HUB_OFFLINE": "1"}:
        return Copied(command, environment, folder, log)
    with log.open("w") as output:
        return subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
