"""The tables of scores: all of them in train/SCORES.md, a line for each default in the README.

    python -m train.tables    # both from restoration/assets/scores.json; nothing is scored

`train.evaluate` writes them after it has scored.
"""

import json
from pathlib import Path

import restoration
from restoration.catalog import Method, methods
from train import benchmarks
from train.benchmarks._sets import BEST_CLASSICAL, Line

SCORES = Path(restoration.__file__).parent / "assets" / "scores.json"
README = Path(restoration.__file__).parent.parent / "README.md"
ALL_TABLES = Path(__file__).parent / "SCORES.md"


def write() -> None:
    """Write every table anew from the scores that are kept."""
    scores = json.loads(SCORES.read_text())
    for task in benchmarks.every():
        _between(ALL_TABLES, f"{task} scores", content(scores, task))
    _between(README, "scores", overview(scores))


def _between(file: Path, what: str, text: str) -> None:
    """Put a text between a file's two marks."""
    start, end = f"<!-- {what}: written by train.evaluate -->", f"<!-- end of {what} -->"
    if start not in (old := file.read_text()):
        old = f"{old}\n## {what[:1].upper()}{what[1:]}\n\n{start}\n{end}\n"
    before, rest = old.split(start)
    file.write_text(f"{before}{start}\n\n{text}\n\n{end}{rest.split(end)[1]}")


def overview(scores: dict) -> str:
    """The README's table: of every task the default and the best bundled model on the textbook set."""
    rows = [
        "| task | model | photos with real damage, dB | textbook, dB | best published | s/MP |",
        "|---|---|---|---|---|---|",
    ]
    for task, benchmark in benchmarks.every().items():
        for line in benchmark.lines:
            rows += [_overview_row(scores, task, line, name) for name in _chosen(scores, task, line)]
    return "\n".join(rows)


def _chosen(scores: dict, task: str, line: Line) -> list[str]:
    """The default and the best model, once where they are the same."""
    learned = [method for method in methods(task) if method.learned]
    known = scores["sets"].get(line.real, {}).keys() | scores["sets"].get(line.textbook, {}).keys()
    scored = [method for method in learned if method.name in known]
    if not scored:
        return []
    default = next((method for method in scored if _is_default(method)), scored[0])
    best = max(scored, key=lambda method: _decibels(scores, line.textbook, method.name, line.metric) or 0)
    return list(dict.fromkeys([default.name, best.name]))


def _is_default(method: Method) -> bool:
    leading = next(other for other in methods(method.task) if other.flagship)
    return method.family == leading.family


def _decibels(scores: dict, set_name: str, row: str, metric: str = "psnr") -> float | None:
    """A score without being told level or quality, where a method may be told them; None without one."""
    results = scores["sets"].get(set_name, {})
    return results.get(f"{row} blind", results.get(row, {})).get(metric)


def _overview_row(scores: dict, task: str, line: Line, name: str) -> str:
    place = " in the holes" if line.metric == "hole_psnr" else ""

    def cell(set_name: str, note: str = "") -> str:
        found = _decibels(scores, set_name, name, line.metric)
        return "-" if found is None else f"{found:.2f}{place}{note}, {set_name}"

    before = scores["sets"].get(line.real, {}).get(line.baseline, {}).get(line.metric)
    note = "" if before is None else f" ({line.baseline} {before:.2f})"
    price = scores["methods"].get(name, {}).get("seconds_per_megapixel")
    seconds = "-" if price is None else f"{price:.2f}"
    return (
        f"| {task} | {name} | {cell(line.real, note)} | {cell(line.textbook)} | {line.published or '-'} | {seconds} |"
    )


def describe(score: dict) -> str:
    """PSNR of the holes if there are any, PSNR, SSIM, PSNR-B of JPEGs, and LPIPS if it was measured.

    For removed objects, the gradient energy by that of the surroundings and how visible the seam is.
    """
    shown = (("gradients", 2), ("seam", 2), ("hole_psnr", 2), ("psnr", 2), ("ssim", 3), ("psnr_b", 2), ("lpips", 3))
    return " / ".join(f"{score[metric]:.{digits}f}" for metric, digits in shown if metric in score)


def _count(parameters: int) -> str:
    if parameters >= 100_000:
        return f"{parameters / 1e6:.2f} M"
    return f"{parameters / 1e3:.0f} k" if parameters else "-"


def table(scores: dict, sets: list[str]) -> str:
    """A Markdown table with a row for each method: its scores on every set, see `describe`, then what it costs."""
    known = [name for name in sets if name in scores["sets"]]
    rows = list(dict.fromkeys(row for name in known for row in scores["sets"][name]))
    lines = [
        "| method | " + " | ".join(known) + " | s/MP | parameters | kMAC/px |",
        "|---" * (len(known) + 4) + "|",
    ]
    for row in rows:
        results = [scores["sets"][name].get(row) for name in known]
        cells = [describe(score) if score else "" for score in results]
        price = scores["methods"].get(row.removesuffix(" blind"))
        if price is None:
            cells += ["", "", ""]
        else:
            cells.append(f"{price['seconds_per_megapixel']:.2f}")
            cells.append(_count(price["parameters"]))
            cells.append(f"{price['macs_per_pixel'] / 1e3:.0f}" if price["macs_per_pixel"] else "-")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def targets(scores: dict, task: str) -> str:
    """Every floor and aim with what was measured."""
    lines = ["| method | set | measured | floor | aim | |", "|---|---|---|---|---|---|"]
    for target in benchmarks.every()[task].targets:
        score = scores["sets"].get(target.set, {}).get(target.method)
        if not score or target.metric not in score:
            continue
        value, digits = score[target.metric], {"lpips": 3, "lively": 0, "each": 0}.get(target.metric, 2)
        unit = {
            "lpips": " LPIPS", "hole_psnr": " in the holes", "kept": " to the input",
            "lively": f" of {score.get('images')} within 0.5 and 2 of the gradient energy around",
        }.get(target.metric, "")  # fmt: skip
        other = None
        if target.over:
            name = best_classical(scores, target.set)[0] if target.over == BEST_CLASSICAL else target.over
            other = scores["sets"][target.set].get(name, {}).get(target.metric)
            if other is None:
                continue
        if isinstance(value, list):
            value = sum(one >= than + target.by for one, than in zip(value, other or [0.0] * len(value), strict=True))
            above = f"over {target.over}" if other else "in the hole"
            measured = f"{value} of {score['images']} by {target.by:g} dB or more {above}"
        else:
            measured = f"{value:.{digits}f}{unit}"
        if other and not isinstance(other, list):
            value -= other
            measured = f"{value:+.{digits}f}{unit} over {name}"
        sign = -1 if target.metric == "lpips" else 1
        if sign * value >= sign * target.aim:
            mark = "aim reached"
        elif sign * value >= sign * target.floor:
            mark = f"floor reached, {abs(target.aim - value):.{digits}f} to the aim"
        else:
            mark = f"**{abs(target.floor - value):.{digits}f} short of the floor**"
        bounds = f"{target.floor:.{digits}f} | {target.aim:.{digits}f}"
        lines.append(f"| {target.method} | {target.set} | {measured} | {bounds} | {mark} |")
    return "\n".join(lines)


def best_classical(scores: dict, set_name: str) -> tuple[str, float]:
    """The classical method with the highest PSNR on a set, and that PSNR."""
    results = scores["sets"][set_name]
    filters = [m.name for m in methods() if not (m.learned or m.prior or m.chooses) and m.name in results]
    best = max(filters, key=lambda name: results[name]["psnr"])
    return best, results[best]["psnr"]


def content(scores: dict, task: str) -> str:
    """Every table of a task, and its targets."""
    benchmark = benchmarks.every()[task]
    parts = [table(scores, list(sets)) for sets in benchmark.tables if scores["sets"].keys() & set(sets)]
    return "\n\n".join([*parts, targets(scores, task)] if benchmark.targets else parts)


if __name__ == "__main__":
    write()
