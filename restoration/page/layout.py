"""The whole page: a tab for each task, and those of the models and of what ran here."""

from functools import partial

import gradio as gr

from restoration import catalog, cleaning, tasks
from restoration.page.address import ADDRESS, from_address, share
from restoration.page.api import list_models
from restoration.page.inpaint_tab import HoleTab
from restoration.page.masks import spare
from restoration.page.models import model_rows, models_tab
from restoration.page.parts import CHANGING, QUIET, brought, tidy
from restoration.page.performance import performance_tab
from restoration.page.photo_tab import ChainTab
from restoration.page.results import hand_on
from restoration.page.snippets import snippets
from restoration.page.task_tab import TaskTab
from restoration.page.theme import INTRO, TITLE
from restoration.page.upscale_tab import ScaleTab
from restoration.tasks._task import Task


def build() -> gr.Blocks:
    """The whole page."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=cleaning.limits()) as page:
        gr.Markdown("\n\n".join([INTRO, *(f"⚠️ {sentence}" for sentence in catalog.warnings())]), elem_classes="intro")
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            parts = []
            for kind in tasks.every().values():
                with gr.Tab(kind.title, id=kind.name) as tab:
                    parts.append(tab_of(kind).draw())
                    share(parts[-1], tab)
            with gr.Tab("Models", id="models") as tab:
                chosen, blocks, table = models_tab()
            tab.select(None, None, None, js=ADDRESS % ('"models"', '["tab"]', "[]"))
            with gr.Tab("Performance", id="performance") as tab:
                performance_tab(tab)
        for part in parts:
            for other in parts:
                if other.task in part.onward:
                    button, task = part.onward[other.task], other.task
                    handing = partial(tidy(hand_on), task=task)
                    brought(button.click(handing, [part.state, part.source], [other.source, tabs], **CHANGING))
        page.load(snippets, chosen, blocks, **QUIET)
        page.load(model_rows, None, table, **QUIET)
        found = [component for part in parts for component in part.settings.values()]

        def open_address(request: gr.Request) -> list:
            return from_address(parts, dict(request.query_params))

        opened_at = page.load(open_address, None, [tabs, *found], **QUIET)
        opened_at.then(None, None, None, js="() => { window.addressRead = true; }")
        gr.api(list_models, api_name="models")
        spare(page)
    return page


def tab_of(kind: Task) -> TaskTab:
    """The tab of a task, for some with what only they have."""
    if kind.holes:
        return HoleTab(kind)
    if any(method.chained for method in kind.methods):
        return ChainTab(kind)
    return ScaleTab(kind) if any(setting.name == "scale" for setting in kind.settings) else TaskTab(kind)
