"""What ran here so far."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import gradio as gr
from pandas import DataFrame, to_datetime

from restoration.page.address import ADDRESS
from restoration.page.parts import QUIET
from restoration.recording import kept
from restoration.records import Moment

COUNTS = {"runs": "runs", "failed": "failed"}
TIMES = {"half within": "p50", "90 % within": "p90", "waited before (half within)": "waiting"}
MEMORY = {"peak": "megabytes"}


def performance() -> Generator:
    """What ran here so far: a line, a table, the plots and a CSV."""
    records = kept()
    rows, course = records.summary(), records.course()
    runs = sum(row.runs for row in rows)
    failed, cancelled = sum(row.failed for row in rows), sum(row.cancelled for row in rows)
    line = f"**{runs} runs** · {failed} failed · {cancelled} cancelled"
    if records.lost:
        line += f" · {records.lost} not recorded"
    if peak := max((moment.megabytes or 0 for moment in course), default=0):
        line += f" · peak memory {peak / 1000:.1f} GB"
    cells = [
        [
            row.model,
            row.task,
            row.size,
            row.runs,
            row.failed,
            row.cancelled,
            *("" if value is None else f"{value:.1f}" for value in (row.p50, row.p90, row.p99)),
            f"{row.better} / {row.same} / {row.worse}",
        ]
        for row in rows
    ]
    opinions = [
        {"model": row.model, "opinion": opinion, "ratings": getattr(row, opinion)}
        for row in rows
        for opinion in ("better", "same", "worse")
    ]
    rated = any(opinion["ratings"] for opinion in opinions)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.csv"
        file.write_text(records.csv(), encoding="utf-8", newline="")
        yield (
            line,
            cells,
            plotted(course, COUNTS, "runs"),
            plotted(course, TIMES, "seconds"),
            plotted(course, MEMORY, "megabytes"),
            gr.update(value=DataFrame(opinions, columns=["model", "opinion", "ratings"]), visible=rated),
            gr.update(value=str(file)),
        )


def plotted(course: list[Moment], lines: dict[str, str], unit: str) -> DataFrame:
    """Values in the course of time, level through each moment, so that a single one is seen too.

    Args:
        lines: names of lines, and of what they show of a moment.
    """
    points = [
        (when, name, getattr(moment, shown))
        for name, shown in lines.items()
        for moment in course
        if getattr(moment, shown) is not None
        for when in (moment.start, moment.end)
    ]
    frame = DataFrame(points, columns=["time", "line", unit])
    frame["time"] = to_datetime(frame["time"], unit="s")
    return frame


def performance_tab(tab: gr.Tab) -> None:
    """What ran here so far; read anew whenever the tab is opened."""
    gr.Markdown(
        "What has run here so far. Kept are task, model, sizes, settings, seconds, memory, outcome and ratings; never "
        "a picture, its name or who sent it."
    )
    line = gr.Markdown(elem_id="performance-line")
    with gr.Row():
        plots = [
            gr.LinePlot(
                x="time",
                y=unit,
                color="line",
                title=title,
                x_title=" ",
                y_lim=[0, None],
                height=260,
                min_width=320,
                elem_id=name,
            )
            for name, unit, title in (
                ("performance-counts", "runs", "Runs, and how many failed"),
                ("performance-seconds", "seconds", "Seconds of a run, and of waiting before it"),
                ("performance-memory", "megabytes", "Memory of the program in MB"),
            )
        ]
    table = gr.Dataframe(
        headers=["Model", "Task", "Size", "Runs", "Failed", "Cancelled", "Median s", "90 % s", "99 % s", "+ / = / −"],
        interactive=False,
        elem_id="performance-table",
    )
    opinions = gr.BarPlot(
        x="model", y="ratings", color="opinion", title="Ratings", x_label_angle=-40, height=300, visible=False
    )
    csv = gr.DownloadButton("Download as CSV", elem_id="performance-csv")
    tab.select(performance, None, [line, table, *plots, opinions, csv], **QUIET)
    tab.select(None, None, None, js=ADDRESS % ('"performance"', '["tab"]', "[]"))
