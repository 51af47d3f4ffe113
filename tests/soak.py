"""Measures a page on loopback: what it costs, what it lets go again, whether its records are true, and how it ages.

    python -m tests.soak [--runs 40] [--minutes 2] [--pause 0] [--large]

Prints a line for every figure, with its goal.  The real test are 120 minutes; `--large` adds results of 64 megapixels,
each of which takes minutes; with `--pause` visitors look at a result for a while before they go on.  Linux only: memory
and open files are read from /proc.
"""

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from statistics import quantiles

import httpx
import numpy as np

from restoration.files import encode
from restoration.image import Image
from restoration.limits import REQUEST_BYTES
from restoration.records import Record
from tests import hub as hubs
from tests.conftest import API, running

HUB = "from restoration import mirror; mirror.EVERY = 1 / 60; import app; app.main()"  # copies every second


class Page:
    """A server that is measured, and a visitor of it."""

    def __init__(self, address: str, process: subprocess.Popen):
        once = httpx.Limits(max_keepalive_connections=0)  # the server closes those that were quiet for a while
        self.client, self.process = httpx.Client(base_url=address, timeout=1200, limits=once), process

    def status(self, name: str) -> float:
        """A line of the process's memory, in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        return 0.0

    @property
    def resident(self) -> float:
        return self.status("VmRSS")

    @property
    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def peak(self, work) -> float:
        """The most memory that the process has during a piece of work, in MiB."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        work()
        return self.status("VmHWM")

    def upload(self, content: bytes, name: str = "picture.png") -> dict:
        path = self.client.post(f"{API}/upload", files={"files": (name, content)}).json()[0]
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    def ask(self, task: str, *values: object) -> tuple[str, float]:
        """How a run ended, "complete", "error" or "refused", and after how many seconds."""
        started = time.monotonic()
        answer = self.client.post(f"{API}/call/{task}", json={"data": list(values)})
        if answer.status_code != 200:
            return "refused", time.monotonic() - started
        text = self.client.get(f"{API}/call/{task}/{answer.json()['event_id']}").text
        return "complete" if "event: complete" in text else "error", time.monotonic() - started


def noise(width: int, height: int, seed: int = 0) -> bytes:
    """A PNG of smooth colours with a little noise."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None]
    return encode(Image((ramp + rng.integers(0, 16, (height, width, 3))).astype(np.uint8)))


def report(name: str, value: float, unit: str, goal: str) -> None:
    print(f"{name:58} {value:9.1f} {unit:4} goal {goal}", flush=True)


def memory(page: Page, runs: int) -> None:
    """Small runs, pictures that are looked at, and requests that are too large."""
    small = page.upload(noise(200, 200))
    for _ in range(5):
        page.ask("denoise", small, "drunet-fast", "auto", 1, "png", 95)
    before = page.resident
    report("resident after the start and five runs", before, "MiB", "none")
    for number in range(runs):
        page.ask("denoise", page.upload(noise(200 + number % 50, 200, number)), "drunet-fast", "auto", 1, "png", 95)
    report(f"resident more after {runs} small runs", page.resident - before, "MiB", "150 after 260")

    config = page.client.get("/config").json()
    parts = {part["id"]: part["props"].get("elem_id") for part in config["components"]}
    look = next(c for c in config["dependencies"] if [parts.get(i) for i in c["outputs"]] == ["denoise-facts"])
    large = page.upload(noise(4000, 3000))

    def facts(number: int) -> None:
        session = f"looks{number}"
        values = [large, *(None for _ in look["inputs"][1:])]
        body = {"data": values, "fn_index": look["id"], "session_hash": session}
        page.client.post(f"{API}/queue/join", json=body)
        page.client.get(f"{API}/queue/data?session_hash={session}")

    with ThreadPoolExecutor(8) as visitors:
        report("peak of eight who look at 12 MP", page.peak(lambda: list(visitors.map(facts, range(8)))), "MiB", "900")

    head = b'--x\r\nContent-Disposition: form-data; name="files"%b\r\n\r\n'
    tail, size = b"\r\n--x--\r\n", REQUEST_BYTES + 2**20
    for name, path, kind, parts in (
        ("a file", "upload", "multipart/form-data; boundary=x", (head % b'; filename="a.png"', bytes(size), tail)),
        ("a field", "upload", "multipart/form-data; boundary=x", (head % b"", bytes(size), tail)),
        ("text", "queue/join", "application/json", (b'{"data": ["', b"x" * size, b'"]}')),
    ):
        content = b"".join(parts)

        def pieces(content: bytes = content):
            yield from (content[start : start + 2**20] for start in range(0, len(content), 2**20))

        for how, body in (("announced", lambda c=content: c), ("in chunks", pieces)):
            before, seen = page.resident, []

            def send(body=body, path=path, kind=kind, seen=seen) -> None:
                answer = page.client.post(f"{API}/{path}", content=body(), headers={"Content-Type": kind})
                seen.append(answer.status_code)

            peak = page.peak(send)
            report(f"more for {name} of 65 MB, {how}, answered {seen[0]}", peak - before, "MiB", "64")


def seconds(page: Page, records: Path) -> None:
    """Thin pictures, and how soon the worker is free."""

    def least(width: int, height: int, tries: int = 3) -> tuple[str, float]:
        """How runs with a picture of a size ended, and the seconds of the quickest."""
        picture = page.upload(noise(width, height))
        ended = [page.ask("denoise", picture, "drunet-photo", "auto", 1, "png", 95) for _ in range(tries)]
        return ended[0][0], min(seconds for _, seconds in ended)

    least(500, 500)
    square = least(500, 500, 1)[1]
    with closing(sqlite3.connect(records)) as database:
        (stages,) = database.execute("SELECT seconds FROM runs ORDER BY time DESC").fetchone()
    report("on record of the seconds of a run", 100 * sum(json.loads(stages).values()) / square, "%", "95")
    square = least(500, 500)[1]
    report("500 x 500", square, "s", "none")
    for length in (31_248, 250_000):
        outcome, taken = least(length, 1)
        report(f"1 x {length}, {outcome}, as a share of that", taken / square, "", "2")
    body = {"data": [page.upload(noise(120, 120)), "deep-image-prior", "auto", 1, "png", 95]}
    event = page.client.post(f"{API}/call/denoise", json=body).json()["event_id"]
    while page.client.get(f"{API}/queue/status").json()["queue_size"]:
        time.sleep(0.1)
    time.sleep(12)  # nobody listens
    taken = page.ask("denoise", page.upload(noise(32, 32)), "median", "auto", 1, "png", 95)[1]
    report("until a run that nobody listens to has made room", taken, "s", "2.5")
    page.client.get(f"{API}/call/denoise/{event}")


def upscaled(page: Page) -> None:
    """Results of 64 megapixels, on the page and on the command line."""
    picture = noise(4000, 4000)
    for true in (False, True):
        values = (page.upload(picture), "compact", 2, 1, true, "png", 95)
        peak = page.peak(lambda values=values: page.ask("upscale", *values))
        report(f"peak of 64 MP, by the API, stay true {true}", peak, "MiB", "2048")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "in.png").write_bytes(picture)
            argv = ["-m", "restoration", "upscale", f"{folder}/in.png", "-o", f"{folder}/out", "--model", "compact"]
            argv += ["--scale", "2", *(["--stay-true"] if true else [])]
            code = (
                f"import resource, runpy, sys\nsys.argv = {argv[1:]!r}\nrunpy.run_module('restoration', run_name='x')\n"
            )
            code += f"from restoration.__main__ import main\nmain({argv[2:]!r})\n"
            code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            peak = float(done.stdout.split()[-1]) if done.returncode == 0 else float("nan")
            report(f"peak of 64 MP, command line, stay true {true}", peak, "MiB", "1638")


def aged(page: Page, minutes: float, pause: float, records: Path) -> None:
    """Two visitors with mixed pictures, some of them damaged, for a while; then what was recorded of it."""
    stop, log, lock = time.monotonic() + 60 * minutes, [], threading.Lock()
    with closing(sqlite3.connect(records)) as database:
        (known,) = database.execute("SELECT count(*) FROM runs").fetchone()
    resident, files = page.resident, page.open_files
    seen = [resident]

    def watch() -> None:
        while not over.wait(6 * minutes):
            seen.append(page.resident)

    def visit(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < stop:
            content = noise(chance.randint(40, 400), chance.randint(40, 400), chance.randint(0, 10**6))
            if chance.random() < 0.05:
                content = content[: chance.randint(60, len(content))]
            picture = page.upload(content)
            task, *values = chance.choice(
                [
                    ("denoise", "drunet-fast", "auto", 1),
                    ("denoise", "median", "auto", 0.5),
                    ("artifacts", "drunet-jpeg", "auto", 1),
                    ("upscale", "compact", 2, 1, False),
                ]
            )
            ended = page.ask(task, picture, *values, "png", 95)
            with lock:
                log.append((task, values[0], *ended))
            time.sleep(chance.uniform(0, pause))

    over = threading.Event()
    watching = threading.Thread(target=watch)
    watching.start()
    with ThreadPoolExecutor(2) as visitors:
        list(visitors.map(visit, range(2)))
    over.set()
    watching.join()
    times = [seconds for *_, outcome, seconds in log if outcome == "complete"]
    quarter = len(times) // 4
    slow = [quantiles(part, n=20)[18] for part in (times[:quarter], times[-quarter:])] if quarter > 1 else [1, 1]
    report(f"runs in {minutes:g} minutes", len(log), "", "none")
    report("resident more at the end", page.resident - resident, "MiB", "100 after 2 hours")
    print("resident at every tenth of the time, MiB:", *(round(size) for size in seen), flush=True)
    report("95 of 100 within, last quarter as a share of the first", slow[1] / slow[0], "", "1.2")
    report("open files more at the end", page.open_files - files, "", "0")
    time.sleep(1)
    with closing(sqlite3.connect(records)) as database:
        query = "SELECT outcome, seconds FROM runs ORDER BY time LIMIT -1 OFFSET ?"
        rows = database.execute(query, (known,)).fetchall()
    done = sum(outcome == "complete" for *_, outcome, _ in log)
    report("records less runs", len(rows) - sum(outcome != "refused" for *_, outcome, _ in log), "", "0")
    report("records of done runs less those that were answered", sum(r[0] == "done" for r in rows) - done, "", "0")


class Datasets(hubs.Handler):
    """A Hub's answers where every repository is a private dataset."""

    def reply(self, content, status=200, **headers):
        if isinstance(content, dict) and "private" in content:
            content["private"] = True
        super().reply(content, status, **headers)


for _verb in ("GET", "HEAD", "POST"):
    setattr(Datasets, f"do_{_verb}", hubs.Handler.answer)


def restored_from_the_hub(scratch: Path) -> None:
    """A container that is killed, and its records as the Hub has them."""
    hubs.Handler = Datasets
    hubs.ROUTES = [(pattern.replace("model|space", "dataset"), method) for pattern, method in hubs.ROUTES]
    hub = hubs.Hub()
    settings = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_secret", "RESTORATION_RECORDS_REPO": "me/runs"}
    settings |= {"HF_HUB_DISABLE_XET": "1"}
    with running(scratch, settings, command=("-c", HUB)) as (address, process):
        page = Page(address, process)
        for number in range(5):
            page.ask("denoise", page.upload(noise(40, 40, number)), "median", "auto", 1, "png", 95)
        started, found = time.monotonic(), {}
        while len(found) < 5 and time.monotonic() - started < 60:
            time.sleep(0.5)
            for name, content in hub.files("me/runs").items() if "me/runs" in hub.repos else ():
                for line in (
                    content.decode("utf-8", "ignore").splitlines() if name.endswith((".jsonl", ".json")) else ()
                ):
                    with suppress(ValueError, TypeError):
                        record = Record(**json.loads(line))
                        found[record.id] = record
        process.kill()
    with closing(sqlite3.connect(scratch / "records.sqlite")) as database:
        ids = {id for (id,) in database.execute("SELECT id FROM runs")}
    report(
        "records that the Hub has, of those on the disk", 100 * len(found.keys() & ids) / max(1, len(ids)), "%", "100"
    )
    report("records that only the Hub has", len(found.keys() - ids), "", "0")
    logs = "".join(file.read_text() for file in scratch.glob("server-*.txt"))
    report("tokens in the log", logs.count("hf_secret"), "", "0")
    hub.close()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40, help="small runs whose memory is measured; 260 for the goal")
    parser.add_argument("--minutes", type=float, default=2, help="of two visitors; 120 for the goal")
    parser.add_argument("--pause", type=float, default=0, help="seconds at most between a visitor's runs")
    parser.add_argument("--large", action="store_true", help="results of 64 megapixels too")
    arguments = parser.parse_args(argv)
    free = {f"RESTORATION_{name}": "inf" for name in ("RUNS", "MEGABYTES", "WAITING", "DEADLINE")}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        settings = {**free, "RESTORATION_UNHEARD": "10", "GRADIO_TEMP_DIR": str(scratch / "uploads")}
        settings |= {"HF_HUB_OFFLINE": "1"}
        with running(scratch, settings) as (address, process):
            page = Page(address, process)
            memory(page, arguments.runs)
            seconds(page, scratch / "records.sqlite")
            if arguments.large:
                upscaled(page)
            aged(page, arguments.minutes, arguments.pause, scratch / "records.sqlite")
        (scratch / "hub").mkdir()
        restored_from_the_hub(scratch / "hub")


if __name__ == "__main__":
    main()
