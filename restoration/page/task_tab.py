"""The tab of a task, drawn from what the task says of itself."""

import json
from functools import partial

import gradio as gr

from restoration import catalog, gallery
from restoration.gallery import Example
from restoration.page.address import Tab
from restoration.page.api import api
from restoration.page.before import displayable, expected, facts, guide
from restoration.page.parts import (
    CHANGING,
    FOLLOWING,
    LOOKING,
    PRIVATE,
    TAKING_TURNS,
    comparison,
    control,
    follow,
    pick,
    picture,
    show_examples,
    start_and_cancel,
    tidy,
)
from restoration.page.results import Turns, bakery, many_files, results
from restoration.page.runs import Runs
from restoration.page.turns import run_on_click
from restoration.tasks._task import Setting, Task


class TaskTab:
    """Draws a tab; those of tasks that have more than others are drawn by its heirs.

    Attributes:
        controls: by setting, one or, with the box that has it found automatically, two.
        marks: inputs that say what is missing.
        batch_hint: what is said of many files.
    """

    runs_as = Runs
    batch_hint = ""

    def __init__(self, kind: Task):
        self.kind, self.name, self.runs = kind, kind.name, self.runs_as(kind)
        self.controls: dict[str, list[gr.components.Component]] = {}
        self.marks: list[gr.components.Component] = []
        self.families = catalog.families(kind.name)

    def draw(self) -> Tab:
        """Draw it; gives what the rest of the page needs of it."""
        with gr.Column(elem_classes="work"):
            with gr.Column(elem_classes="picture"):
                self.source = picture(self.name)
                known = gr.Markdown(elem_id=f"{self.name}-facts", elem_classes=["line", "facts"])
                self.draw_marks()
                self.draw_controls("first")
                start, cancel = start_and_cancel(self.name, self.kind.verb)
                takes = gr.Markdown(elem_id=f"{self.name}-takes", elem_classes=["line", "takes"])
            with gr.Column(elem_classes="result"):
                self.shown, _ = results(self.kind, partial(self.draw_controls, "result"))
                besides = self.draw_besides()
            with gr.Column(elem_classes="settings"):
                examples = gr.Column(min_width=100)
                spot = self.draw_model()
        with examples:
            show_examples(self.name, gallery.examples(self.name), *self.example())
        shown, runs = self.shown, self.runs
        chosen = [self.model, *(part for setting in self.kind.settings for part in self.controls[setting.name])]
        many_files(self.name, runs.batch, [*chosen, *shown.file, *self.marks], self.batch_hint)
        if self.kind.test:
            self.draw_test(chosen, spot)
        outputs = [*shown.outputs, *besides]
        self.turns = Turns(self.name, self.source, shown, besides, self.kind.hint)
        self.running = [self.turns.start(start, runs.run, [*chosen, *shown.file], self.marks)]
        self.turns.follow_picture()
        picked = [self.source, self.model, *self.controls.get("scale", [])]
        self.source.upload(displayable, self.source, self.source, **LOOKING)
        self.follow_picture(picked, known)
        if spot:
            self.source.select(runs.bake, [self.source, *chosen, *self.marks], spot, **TAKING_TURNS, **PRIVATE)
        self.follow_cost(picked, takes)
        later = [part for setting in self.kind.settings if setting.later for part in self.controls[setting.name]]
        changing = [*later, *shown.file]
        follow(changing, tidy(runs.show), [shown.state, self.source, *changing], outputs, CHANGING)
        self.connect()
        self.turns.stop(cancel, self.running)
        api(self.kind)
        return Tab(self.name, self.source, self.addressed(), shown.state, shown.onward)

    def addressed(self) -> dict[str, gr.components.Component]:
        """The controls by their names in an address."""
        found = {"model": self.model}
        for setting in self.kind.settings:
            *auto, last = self.controls[setting.name]
            found |= {"auto": auto[0], setting.public: last} if auto else {setting.public: last}
        return found

    def draw_model(self) -> list[gr.components.Component]:
        """The choice of a model with its settings; gives where a bake-off is shown."""
        choices = [(siblings[0].title, family) for family, siblings in self.families.items()]
        first = choices[0][1]
        purposes = list(catalog.purposes(self.name).items())
        purpose = gr.Radio(purposes, value=first, label="Best for", elem_id=f"{self.name}-purpose")
        self.advice = gr.Markdown(guide(self.name, first), elem_classes=["line", "advice"])
        self.draw_controls("model")
        with gr.Accordion("All methods", open=False):
            self.model = gr.Dropdown(choices, value=first, label="Method", elem_id=f"{self.name}-model")
        # in the browser, so that a run that is clicked next has it
        purpose.input(None, purpose, self.model, js="(family) => family")
        known = json.dumps([family for _, family in purposes])
        self.model.change(None, self.model, purpose, js=f"(family) => {known}.includes(family) ? family : null")
        gr.Markdown("Tap a spot in your picture, and every model shows what it makes of that.", elem_classes="line")
        return bakery(self.runs, self.model)

    def draw_marks(self) -> None:
        """What comes before the button."""

    def follow_cost(self, picked: list[gr.components.Component], takes: gr.Markdown) -> None:
        """Tell how long a run will take whenever the picture, or what is picked for it, changes."""
        follow(picked, partial(expected, self.name), picked, takes)

    def follow_picture(self, picked: list[gr.components.Component], known: gr.Markdown) -> None:
        """Tell what is known of a picture whenever it, or what is picked for it, changes."""
        follow(picked if len(picked) > 2 else [self.source], partial(facts, self.name), picked, known, LOOKING)

    def draw_controls(self, place: str) -> None:
        """The controls of the settings that belong in a place."""
        for setting in self.kind.settings:
            if setting.place == place:
                self.controls[setting.name] = self.draw_control(setting)

    def draw_control(self, setting: Setting) -> list[gr.components.Component]:
        """The slider or box of a setting, after the box that has it found automatically."""
        if not setting.automatic:
            return [control(self.kind, setting)]
        auto = gr.Checkbox(True, label=setting.automatic, elem_id=f"{self.name}-auto")
        slider = control(self.kind, setting, visible=False)
        auto.change(lambda on: gr.Slider(visible=not on), auto, slider, **FOLLOWING)
        return [auto, slider]

    def draw_besides(self) -> list[gr.components.Component]:
        """What comes below the result, as outputs of a run."""
        return []

    def example(self) -> tuple[list[gr.components.Component], object]:
        """What a tap on an example sets, and its values."""
        automatic = [part for parts in self.controls.values() if len(parts) > 1 for part in parts[:1]]

        def values(example: Example) -> tuple:
            return example.picture, example.order.model, *(True for _ in automatic)

        return [self.source, self.model, *automatic], values

    def connect(self) -> None:
        """What else follows what."""
        self.model.change(partial(guide, self.name), self.model, self.advice, **FOLLOWING)
        for setting in self.kind.settings:
            methods = [method for siblings in self.families.values() for method in siblings]
            if not all(self.kind.takes(setting, method) for method in methods):
                parts = self.controls[setting.name]
                shown = partial(self.visible, setting)
                self.model.change(shown, [self.model, *parts[:-1]], parts if len(parts) > 1 else parts[0], **FOLLOWING)

    def visible(self, setting: Setting, family: str, auto: bool = False) -> object:
        """The controls of a setting shown or hidden, as the model takes it or not."""
        takes = self.kind.takes(setting, self.families[family][-1])
        slider = gr.update(visible=takes and not auto)
        return (gr.update(visible=takes), slider) if setting.automatic else slider

    def draw_test(self, chosen: list[gr.components.Component], spot: list) -> None:
        """The trial on a clean picture, and where it shows its pictures and their scores."""
        test, name = self.kind.test, self.name
        with gr.Accordion(test.title, open=False):
            gr.Markdown(test.about)
            kind = test.pictures.split()[0].lower()
            pick([gallery.clean(name) for name in gallery.NOISY], self.source, test.pictures, f"{name}-{kind}-examples")
            with gr.Row():
                how = [control(self.kind, setting, min_width=100, elem_id=None) for setting in self.kind.damages]
            buttons = start_and_cancel(f"{name}-trial", test.button)
            all_models = gr.Button("Try every model on its middle", elem_id=f"{name}-trial-all")
            pair = comparison(test.pair, f"{name}-pair")
            table = gr.Dataframe(
                headers=["Picture", "PSNR", "SSIM", *test.more],
                datatype="str",
                interactive=False,
                label="Against the original",
                elem_id=f"{name}-scores",
            )
        inputs = [self.source, *chosen, *how]
        run_on_click(f"{name}-trial", buttons, self.runs.try_out, inputs, [pair, table])
        all_models.click(self.runs.bake_damaged, inputs, spot, **TAKING_TURNS, **PRIVATE)
