"""The models: what is known of each, how fast it is here, and lines of code to copy."""

from collections.abc import Generator
from functools import cache

import gradio as gr

import restoration
from restoration import card, catalog, weights
from restoration.page.before import measured, typical_score
from restoration.page.event import steps_in_time
from restoration.page.parts import FOLLOWING, QUIET, sentences, start_and_cancel
from restoration.page.snippets import snippets
from restoration.page.turns import run_on_click
from restoration.running import seconds_per_megapixel


def model_rows(seconds: dict[tuple[str, str], float] | None = None) -> list[list[str]]:
    """A row for every method: name, task, score, and how long it takes where that was measured."""
    rows = []
    for method in restoration.methods():
        scores = run_of(method.name).get("scores") if method.learned else None
        score = "{psnr:.2f} dB, {set}".format(**typical_score(scores)) if scores else ""
        taken = (seconds or {}).get((method.task, method.name))
        rows.append([method.name, method.task, score, "" if taken is None else f"{taken:.2f} s"])
    return rows


@cache
def run_of(name: str) -> dict:
    """What is recorded of a trained model's training and scores."""
    return restoration.load(name).run


def picked_model(event: gr.SelectData) -> object:
    """The method of the row that was tapped."""
    name, task = event.row_value[:2]
    return f"{task}/{name}"


def about_model(name: str | None) -> str:
    """What there is to know of a method."""
    if not name:
        return ""
    method = catalog.method(*name.split("/"))
    if not method.learned:
        return f"- **Good at:** {method.summary}"
    model = method.load()
    sources = model.run.get("data", {}).get("sources", {})
    scores = model.run.get("scores")
    lines = {
        "Good at": method.summary,
        "Not for": method.limits,
        "Score": measured(scores) if scores else "not scored yet",
        "Size": f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f} million parameters",
        "Trained on": "; ".join(card.SOURCES[source].title if source in card.SOURCES else source for source in sources),
        "Licence": card.licence(model.run),
        "Weights": str(weights.place(method.name)),
    }
    if owner := weights.namespace():
        lines["On the Hub"] = f"[{owner}/{method.name}](https://huggingface.co/{owner}/{method.name})"
    return "\n".join(f"- **{label}:** {text}" for label, text in lines.items())


def paces(progress=gr.Progress()) -> Generator:
    """The rows with how long every method but the prior takes here for a megapixel of its result, one by one."""
    seconds = {}
    offered = [method for method in restoration.methods() if not method.prior]
    tried = ((method, seconds_per_megapixel(method)) for method in offered)
    with sentences():
        for method, pace in steps_in_time(tried):
            seconds[method.task, method.name] = pace
            progress((len(seconds), len(offered)), desc=method.title)
            yield model_rows(seconds)


def models_tab() -> tuple[gr.Dropdown, list[gr.Code], gr.Dataframe]:
    """Gives the picker, and the code blocks and the table, which are filled when the page is loaded."""
    names = [f"{method.task}/{method.name}" for method in restoration.methods()]
    with gr.Row():
        with gr.Column(min_width=320):
            trained = (f"{method.task}/{method.name}" for method in restoration.methods() if method.learned)
            first = next(trained, names[0])
            chosen = gr.Dropdown(names, value=first, label="A model, to use in your own programs too")
            about = gr.Markdown(about_model(first), elem_id="models-about")
            blocks = []
            for label, language in (
                ("Python", "python"), ("gradio_client", "python"), ("curl", "shell"), ("JavaScript", "javascript"),
            ):  # fmt: skip
                with gr.Tab(label):
                    elem_id = f"models-{label.lower()}"
                    blocks.append(gr.Code(language=language, interactive=False, wrap_lines=True, elem_id=elem_id))
        with gr.Column(min_width=320):
            buttons = start_and_cancel("models", "Measure the speed here")
            table = gr.Dataframe(
                headers=["Model", "Task", "Score", "1 MP takes"],
                column_widths=["32%", "20%", "28%", "20%"],
                datatype="str",
                interactive=False,
                wrap=True,
                max_height=620,
                elem_id="models-table",
            )
    chosen.change(snippets, chosen, blocks, **FOLLOWING)
    chosen.change(about_model, chosen, about, **FOLLOWING)
    table.select(picked_model, None, chosen, **QUIET)
    run_on_click("models", buttons, paces, [], [table])
    return chosen, blocks, table
