"""What ran here so far."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import gradio as gr
from pandas import DataFrame

from restoration.page.address import ADDRESS
from restoration.page.parts import QUIET
from restoration.recording import kept


def performance() -> Generator:
    """What ran here so far: a line, a table, two plots and a CSV."""
    records = kept()
    rows = records.summary()
    runs = sum(row.runs for row in rows)
    failed, cancelled = sum(row.failed for row in rows), sum(row.cancelled for row in rows)
    line = f"**{runs} runs** · {failed} failed · {cancelled} cancelled"
    if records.lost:
        line += f" · {records.lost} not recorded"
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
    latency = [  # stacked: each percentile adds to the one below it
        {"model": f"{row.model}, {row.size}", "runs": share, "seconds": upper - lower}
        for row in rows
        if row.p50 is not None
        for share, lower, upper in (
            ("half within", 0, row.p50),
            ("90 % within", row.p50, row.p90),
            ("99 % within", row.p90, row.p99),
        )
    ]
    opinions = [
        {"model": row.model, "opinion": opinion, "ratings": getattr(row, opinion)}
        for row in rows
        for opinion in ("better", "same", "worse")
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.csv"
        file.write_text(records.csv(), encoding="utf-8", newline="")
        yield (
            line,
            cells,
            DataFrame(latency, columns=["model", "runs", "seconds"]),
            DataFrame(opinions, columns=["model", "opinion", "ratings"]),
            gr.update(value=str(file)),
        )


def performance_tab(tab: gr.Tab) -> None:
    """What ran here so far; read anew whenever the tab is opened."""
    gr.Markdown(
        "What has run here so far. Kept are task, model, sizes, settings, seconds, outcome and ratings; never a "
        "picture, its name or who sent it."
    )
    line = gr.Markdown(elem_id="performance-line")
    with gr.Row():
        latency = gr.BarPlot(
            x="model", y="seconds", color="runs", title="Seconds of a run", x_label_angle=-40, height=320
        )
        opinions = gr.BarPlot(x="model", y="ratings", color="opinion", title="Ratings", x_label_angle=-40, height=320)
    table = gr.Dataframe(
        headers=["Model", "Task", "Size", "Runs", "Failed", "Cancelled", "Median s", "90 % s", "99 % s", "+ / = / −"],
        interactive=False,
        elem_id="performance-table",
    )
    csv = gr.DownloadButton("Download as CSV", elem_id="performance-csv")
    tab.select(performance, None, [line, table, latency, opinions, csv], **QUIET)
    tab.select(None, None, None, js=ADDRESS % ('"performance"', '["tab"]', "[]"))
