"""Addresses: the tab and its settings in the link, never the picture."""

import json
from contextlib import suppress
from dataclasses import dataclass, field

import gradio as gr


@dataclass(frozen=True)
class Tab:
    """What the rest of the page needs of a task's tab.

    Args:
        settings: the inputs that an address may set, by their name in it.
        state: what the last run left.
        onward: buttons that hand its result to another task, by the task's name.
    """

    task: str
    source: gr.Image
    settings: dict[str, gr.components.Component]
    state: gr.State | None = None
    onward: dict[str, gr.Button] = field(default_factory=dict)


def from_address(parts: list[Tab], wanted: dict[str, str]) -> list:
    """Which tab to open and with what settings, as the page's address says; what it says wrongly is passed over."""
    tab = wanted.get("tab")
    known = {part.task for part in parts} | {"models", "performance"}
    updates: list = [gr.Tabs(selected=tab) if tab in known else gr.skip()]
    for part in parts:
        for name, component in part.settings.items():
            value = allowed(component, wanted[name]) if part.task == tab and name in wanted else None
            updates.append(gr.skip() if value is None else gr.update(value=value))
    return updates


def allowed(component: gr.components.Component, text: str) -> object:
    """The value that a text stands for, if the component can have it; else None."""
    if isinstance(component, gr.Checkbox):
        return {"true": True, "false": False}.get(text)
    if isinstance(component, gr.Slider):
        with suppress(ValueError):
            value = float(text)
            return value if component.minimum <= value <= component.maximum else None
        return None
    choices = {str(value): value for _, value in component.choices}
    if component.elem_id == "upscale-scale":
        choices = {"2": 2, "3": 3, "4": 4}  # those of the moment depend on the model
    return choices.get(text)


# In the browser: what the address says of a tab and its settings.
ADDRESS = """(...values) => {
  if (!window.addressRead) return;
  const url = new URL(window.location.href);
  for (const key of [...url.searchParams.keys()]) if (!key.startsWith("__")) url.searchParams.delete(key);
  [%s, ...values].forEach((value, index) => url.searchParams.set(%s[index], value));
  window.history.replaceState(null, "", url);
  return %s;
}"""
SHARED = """((link) => {
  navigator.clipboard?.writeText(link).catch(() => {});
  return [link, `<iframe src="${link}" width="100%%" height="900" style="border: 0"></iframe>`];
})(url.href)"""


def share(tab: Tab, opened: gr.Tab) -> None:
    """Keep the address at this tab and its settings, with a button that copies it and the lines to embed it."""
    inputs = list(tab.settings.values())
    words = json.dumps(tab.task), json.dumps(["tab", *tab.settings])
    for event in (opened.select, *(component.change for component in inputs)):
        event(None, inputs, None, js=ADDRESS % (*words, "[]"))
    with gr.Accordion("Share these settings, never your picture", open=False):
        button = gr.Button("Copy the link", elem_id=f"{tab.task}-share")
        link = gr.Textbox(label="Link", interactive=False, buttons=["copy"], elem_id=f"{tab.task}-link")
        embed = gr.Textbox(label="For another site", interactive=False, lines=3, buttons=["copy"])
    button.click(None, inputs, [link, embed], js=ADDRESS % (*words, SHARED % ()))
