"""What only a chain has: proposed steps with their reasons, and the picture before and after each of them."""

import tempfile
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import gradio as gr

from restoration import tasks
from restoration.diagnosis import FINE, Finding, diagnosed, scratches
from restoration.files import read
from restoration.image import Image, ImageError
from restoration.inpainting import Mask
from restoration.orders import Order
from restoration.page.before import described, expected_of
from restoration.page.masks import canvas, corrected, painter, shaded
from restoration.page.parts import (
    CHANGING,
    FOLLOWING,
    LOOKING,
    as_text,
    compared,
    control,
    follow,
    once,
    opened,
    preview,
    sentences,
    tidy,
)
from restoration.page.runs import Runs, in_hand, run_batch
from restoration.page.task_tab import TaskTab

WHOLE = "All steps"
SEARCHED = "being looked for …"
WAITING = "told once there is a picture"  # stands where the reason of a step will, so that nothing moves then


class ChainRuns(Runs):
    """Runs of what was proposed for the picture in hand, unless somebody said otherwise."""

    more = 1

    def ordered(self, model, values):
        """The order of what is chosen; steps that were ticked for another picture do not count."""
        *said, proposed_for, path = values
        settings = dict(zip([setting.name for setting in self.kind.settings], said, strict=True))
        if proposed_for != path:
            settings |= {setting.name: setting.default for setting in self.kind.settings if setting.kind is bool}
        return Order(self.kind.name, model, settings)

    def run(self, progress=gr.Progress(), path=None, model="", *values) -> Generator:
        """See `Runs.run`; the last values: what is marked, in which picture, and for which one steps were proposed."""
        *values, drawing, marked_in, proposed_for = values
        with sentences():
            said, output = values[: self.controls], values[self.controls :]
            order = self.ordered(model, (*said, proposed_for, path))

            def confirmed(image: Image) -> Mask | None:
                shown = order.settings.get(self.kind.marked) and marked_in == path
                return corrected(self.kind.marks(image), image, drawing) if shown else None

            yield from self.restore(order, path, confirmed, output, progress)

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

    def step(self, run: str | None, path: str | None, choice: str | None) -> Generator:
        """The comparison of all steps of a run, or of one of them alone."""
        with sentences(), tempfile.TemporaryDirectory() as folder:
            result = in_hand(run, path)
            if result is None or not choice:
                yield gr.skip()
                return
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
        self.proposed_for, self.marked_in = gr.State(None), gr.State(None)
        self.editor = painter(self.name, "Red is filled: paint more of it, or blue over what stays", kept=False)
        self.marks = [self.editor, self.marked_in, self.proposed_for]

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
        return {s.public: self.controls[s.name][0] for s in self.kind.settings if s.kind is not bool}

    def follow_picture(self, picked, known):
        boxes = [part for setting in self.kind.settings for part in self.controls[setting.name]]
        outputs = [known, *boxes, self.proposed_for, self.editor, self.marked_in]
        follow([self.source], once(tidy(self.proposed), len(outputs)), [self.source], outputs, LOOKING)
        (marked,) = self.controls[self.kind.marked]
        shown = [self.editor, self.marked_in]
        marked.change(once(tidy(self.mark), len(shown)), [self.source, marked], shown, **LOOKING | FOLLOWING)

    def follow_cost(self, picked, takes):
        boxes = [part for setting in self.kind.settings for part in self.controls[setting.name]]

        def told(path: str | None, *said: bool | int) -> str:
            settings = dict(zip([setting.name for setting in self.kind.settings], said, strict=True))
            hole = None
            with suppress(ImageError, ValueError):  # what is wrong with the picture is said beside it
                hole = self.kind.marks(opened(path)) if path and settings[self.kind.marked] else None
            return expected_of(Order(self.kind.name, "", settings), path, hole)

        follow([self.source, *boxes], tidy(told), [self.source, *boxes], takes)

    def connect(self):
        self.which.input(
            tidy(self.runs.step),
            [self.shown.state, self.source, self.which],
            self.shown.compare,
            **CHANGING | {"show_progress": "full"},
        )

    def mark(self, path: str | None, wanted: bool) -> Generator:
        """The picture with what the step fills marked, to be corrected before a run, while it is ticked."""
        if not path or not wanted:
            yield gr.update(visible=False), None
            return
        with sentences(), tempfile.TemporaryDirectory() as folder:
            for picture in canvas(path):
                if picture is None:
                    yield gr.update(visible=False), None
                    return
                shown = shaded(read(picture["background"]), self.kind.marks(opened(path)))
                file = Path(folder) / "marked.png"
                file.write_bytes(preview(shown))
                yield gr.update(value={**picture, "background": str(file)}, visible=True), path

    def proposed(self, path: str | None) -> Generator:
        """What was found in the picture, and the steps with their reasons, ticked where they would help.

        What takes longer to find comes last.
        """
        rest = None, gr.update(value=None, visible=False), None
        nothing = [gr.update(value=setting.default or False, info=WAITING) for setting in self.kind.settings]
        if not path:
            yield "", *nothing, *rest
            return
        try:
            image = opened(path)
            found = {finding.step: finding for finding in diagnosed(image)}
            yield line(image, list(found.values())), *self.rows(found), path, *rest[1:]
            found |= {self.kind.marked: scratches(image)[0]}
        except (ImageError, ValueError) as error:
            yield f"⚠️ {as_text(str(error))}", *nothing, *rest
            return
        rows = [gr.update(info=found[s.name].words) if s.name in found else gr.skip() for s in self.kind.settings]
        yield line(image, list(found.values())), *rows, *(gr.skip() for _ in rest)

    def rows(self, found: dict[str, Finding]) -> list[dict]:
        """The steps with the reasons that are known, ticked where they would help."""
        rows = []
        for setting in self.kind.settings:
            finding = found.get(setting.name)
            row = {"info": finding.words if finding else SEARCHED}
            rows.append(
                gr.update(**row, value=bool(finding and finding.advised)) if setting.kind is bool else gr.update(**row)
            )
        return rows


def line(image: Image, found: list[Finding]) -> str:
    """What was found, in one line."""
    wrong = [finding.words for finding in found if finding.advised or finding.offered]
    said = "**Found:** " + "; ".join(wrong) + "." if wrong else f"**{FINE}**"
    return " · ".join(described(image)) + "  \n" + " ".join([said, *image.notes])
