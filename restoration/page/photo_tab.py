"""What only a chain has: proposed steps with their reasons, and the picture before and after each of them."""

import tempfile
from collections.abc import Generator

import gradio as gr

from restoration import tasks
from restoration.diagnosis import FINE, diagnosed
from restoration.files import read
from restoration.image import Image, ImageError
from restoration.orders import Order
from restoration.page.before import described, expected_of
from restoration.page.parts import CHANGING, LOOKING, as_text, compared, control, follow, preview, sentences, tidy
from restoration.page.runs import Runs, again, run_batch
from restoration.page.task_tab import TaskTab

WHOLE = "All steps"
WAITING = "told once there is a picture"  # stands where the reason of a step will, so that nothing moves then


class ChainRuns(Runs):
    """Runs of what was proposed for the picture in hand, unless somebody said otherwise."""

    more = 1

    def ordered(self, model, values):
        """The order of what is ticked; of what was ticked for another picture only what needs no picture counts."""
        *said, proposed_for, path = values
        settings = dict(zip([setting.name for setting in self.kind.settings], said, strict=True))
        if proposed_for != path:
            settings = {s.name: settings[s.name] if s.default is not None else None for s in self.kind.settings}
        return Order(self.kind.name, model, settings)

    def run(self, progress=gr.Progress(), path=None, model="", *values) -> Generator:
        """See `Runs.run`; the last value is the picture that the steps were proposed for."""
        *values, proposed_for = values
        with sentences():
            said, output = values[: self.controls], values[self.controls :]
            order = self.ordered(model, (*said, proposed_for, path))
            yield from self.restore(order, path, None, output, progress)

    def batch(self, progress=gr.Progress(), files=None, model="", *values) -> Generator:
        """See `Runs.batch`; every file is given what it needs itself."""
        with sentences():
            order = self.ordered(model, (*values[: self.controls], None, ""))
            yield from run_batch(files, order, values[self.controls : self.controls + 2], progress)

    def moved(self, result, order, progress):
        yield from ()
        return result

    def besides(self, done, folder) -> tuple:
        """What the comparison can show."""
        parts = done.parts
        choices = [WHOLE, *(f"{number}. {step_title(part)}" for number, part in enumerate(parts, start=1))]
        return (gr.update(choices=choices, value=WHOLE, visible=len(parts) > 1),)

    def step(self, run: str | None, choice: str | None) -> Generator:
        """The comparison of all steps of a run, or of one of them alone."""
        if run is None or not choice:
            yield gr.skip()
            return
        with sentences(), tempfile.TemporaryDirectory() as folder:
            result = again(run)
            if choice == WHOLE:
                yield compared(folder, result.before, preview(result.done.picture), result.done.picture.name)
                return
            part = result.done.parts[int(choice.partition(".")[0]) - 1]
            before = tasks.named(part.order.task).before(part.given, part.order.method, part.order.settings)
            yield compared(folder, preview(before), preview(part.picture), part.picture.name)


def step_title(part: object) -> str:
    """What a step is called on the page."""
    return tasks.named(part.order.task).verb


class ChainTab(TaskTab):
    """The tab of a task that is a chain of the others."""

    runs_as = ChainRuns
    batch_hint = "Every file is measured and gets the steps that it needs itself. "

    def draw_marks(self):
        self.proposed_for = gr.State(None)
        self.marks = [self.proposed_for]

    def draw_model(self):
        self.model = gr.Dropdown(
            [self.kind.methods[0].name], value=self.kind.methods[0].name, visible=False, elem_id=f"{self.name}-model"
        )
        return []

    def draw_control(self, setting):
        layout = {"label": setting.label, "elem_id": f"{self.name}-{setting.public}", "container": True}
        if setting.kind is bool:
            return [gr.Checkbox(bool(setting.default), info=WAITING, elem_classes="step", **layout)]
        if setting.choices:
            choices = [("No", setting.default), *((f"×{choice}", choice) for choice in setting.choices)]
            return [gr.Radio(choices, value=setting.default, info=WAITING, elem_classes="step", **layout)]
        return [control(self.kind, setting)]

    def draw_besides(self):
        self.which = gr.Radio(
            [WHOLE], value=WHOLE, label="Compare", visible=False, elem_id=f"{self.name}-step", interactive=True
        )
        return [self.which]

    def example(self):
        return [self.source], lambda example: example.picture

    def addressed(self):
        """Steps are the picture's own; what is asked for without one can be in an address."""
        return {s.public: self.controls[s.name][0] for s in self.kind.settings if s.default is not None}

    def follow_picture(self, picked, known):
        boxes = [part for setting in self.kind.settings for part in self.controls[setting.name]]
        outputs = [known, *boxes, self.proposed_for]
        follow([self.source], tidy(self.proposed), [self.source], outputs, LOOKING)

    def follow_cost(self, picked, takes):
        boxes = [part for setting in self.kind.settings for part in self.controls[setting.name]]

        def told(path: str | None, *said: bool | int) -> str:
            settings = dict(zip([setting.name for setting in self.kind.settings], said, strict=True))
            return expected_of(self.kind.orders(settings), path)

        follow([self.source, *boxes], told, [self.source, *boxes], takes)

    def connect(self):
        self.which.input(
            tidy(self.runs.step),
            [self.shown.state, self.which],
            self.shown.compare,
            **CHANGING | {"show_progress": "full"},
        )

    def proposed(self, path: str | None) -> tuple:
        """What was found in the picture, and the steps with their reasons, ticked where they would help."""
        nothing = [gr.update(value=setting.default or False, info=WAITING) for setting in self.kind.settings]
        if not path:
            return "", *nothing, None
        try:
            image = read(path)
            found = {finding.step: finding for finding in diagnosed(image)}
        except (ImageError, ValueError) as error:
            return f"⚠️ {as_text(str(error))}", *nothing, None
        rows = []
        for setting in self.kind.settings:
            finding = found.get(setting.name)
            info = finding.words if finding else None
            rows.append(gr.update(info=info, value=finding.advised) if setting.kind is bool else gr.update(info=info))
        return line(image, list(found.values())), *rows, path


def line(image: Image, found: list) -> str:
    """What was found, in one line."""
    wrong = [finding.words for finding in found if finding.advised]
    said = "**Found:** " + "; ".join(wrong) + "." if wrong else f"**{FINE}**"
    return " · ".join(described(image)) + "  \n" + " ".join([said, *image.notes])
