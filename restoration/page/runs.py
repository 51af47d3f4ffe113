"""What the page does for a task: runs, many files, bake-offs and trials, each a plain generator.

Inputs of a handler are the picture, the model, what the controls of the settings say, and what else it needs.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from restoration import catalog, limits, metrics
from restoration.bakeoff import Entry, bake_off, bake_off_damaged
from restoration.batch import Batch, restore_all, store
from restoration.deadline import time_is_up
from restoration.files import check_holds, left_out, output_name
from restoration.image import Image
from restoration.inpainting import Mask
from restoration.inventory import Inventory
from restoration.orders import Order
from restoration.page import shelf
from restoration.page.before import seconds_expected_of
from restoration.page.event import countdown, in_time, logged, steps_in_time
from restoration.page.masks import chosen_hole, mask_for_all
from restoration.page.parts import checked_format, chosen, compared, opened, preview, sentences, unchanged
from restoration.page.turns import same_picture
from restoration.receipts import OrderResult
from restoration.recording import COMMIT, kept, record_of
from restoration.running import Score
from restoration.tasks._task import Setting, Task

SHOWN = 6  # outputs of a run in every tab
NEWS = 0.25  # seconds from one news of a run to the next: of each the server and the browser have work for all outputs


def stepped(
    job: Generator,
    progress: gr.Progress,
    outputs: int,
    show: Callable[[object], Generator] | None = None,
    expected: float | None = None,
) -> Generator:
    """Run a job, yielding "no change" to the page's outputs now and then; gives what the job returns.

    It ends by the deadline, perhaps with the best so far.

    Args:
        show: yields the outputs for what a job has so far, which then stays when the job is cancelled.
        expected: seconds that it is expected to take by itself, None where that is unknown.
    """
    clock, job, told = countdown(expected), in_time(job, gr.Warning), 0.0
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            return end.value
        left = clock.told(step.share, step.seconds_left)
        count = "" if step.so_far is None else f" {step.done} of {step.total}"
        progress(clock.passed(step.share), desc=f"Restoring{count}{left}")
        if step.so_far is not None and show is not None:
            yield from show(step.so_far)
        elif time.monotonic() - told >= NEWS:
            told = time.monotonic()
            yield unchanged(outputs)


@dataclass(frozen=True)
class Shown:
    """What a visitor's last run left on the server, so that settings which need no model move without it.

    Args:
        done: as it is shown.
        before: the input as PNG, for the slider.
        run: the record's id, by which the visitor may rate it.
        plain: as the model made it.
        true: an enlarged picture pulled back to the photo, once that was asked for.
        path: of the upload.
        made_of: file that was read, the upload or what earlier runs made of it.
    """

    done: OrderResult
    before: bytes
    run: str
    plain: OrderResult | None = None
    true: OrderResult | None = None
    path: str = ""
    made_of: str = ""

    def light(self) -> "Shown":
        """The same without the pictures that were made of it, to be kept."""
        fresh = {name: replace(done) for name in ("done", "plain", "true") if (done := getattr(self, name))}
        return replace(self, **fresh)


class Runs:
    """The handlers of a task.

    Attributes:
        more: how many outputs a run has besides `SHOWN`.
    """

    more = 0

    def __init__(self, kind: Task):
        self.kind = kind
        self.controls = sum(1 + bool(setting.automatic) for setting in kind.settings)

    @property
    def outputs(self) -> int:
        return SHOWN + self.more

    def ordered(self, model: str, values: tuple) -> Order:
        """The order of what is chosen in the tab: the model, and what the controls say."""
        controls, settings = iter(values), {}
        for setting in self.kind.settings:
            found = bool(setting.automatic) and next(controls)
            value = next(controls)
            settings[setting.name] = None if found else in_order(setting, value)
        return Order(self.kind.name, model, settings)

    # One picture

    def run(self, progress=gr.Progress(), path=None, model="", *values) -> Generator:
        """Restore the upload; yields every quarter of a second or after a tile, so that Cancel stops it there.

        Args:
            values: of the controls; format and JPEG quality of the file; what marks holes.
        """
        with sentences():
            order = self.ordered(model, values[: self.controls])
            format, quality, *marks = values[self.controls :]
            hole = (lambda image: chosen_hole(image, *marks)) if marks else None
            yield from self.restore(order, path, hole, (format, quality), progress)

    def restore(
        self,
        order: Order,
        path: str | None,
        hole: Callable[[Image], Mask] | None,
        output: tuple[str, float],
        progress: gr.Progress,
        now: str | None = None,
    ) -> Generator:
        """Run an order on the upload and show what comes of it.

        Args:
            hole: finds what is missing.
            output: format and JPEG quality of the file.
            now: what earlier runs made of the upload, if that is to be restored.
        """
        file = now or path
        with logged(order, chosen(file)) as log:
            with log.stage("reading"):
                image = log.read()
                check_holds(output[0], image, round(output[1]), scale=order.method.scale)
                before = preview(self.kind.before(image, order.method, order.settings))
                missing = hole(image) if hole else None

            def show(done: OrderResult) -> Generator:
                return self.shown(result_of(done), *output)

            def result_of(done: OrderResult) -> Shown:
                return Shown(done, before, log.id, plain=done, path=path, made_of=file)

            with log.stage("restoring"):
                job = self.plain(order).run(image, missing)
                seconds = seconds_expected_of(order, file, missing)
                done = yield from stepped(job, progress, self.outputs, show, seconds)
                result = yield from self.moved(result_of(done), order, progress)
            log.finished(result.done)
            progress(1, desc="Writing the file")
            with closing(self.shown(result, *output)) as showing:
                with log.stage("writing"):
                    outputs = next(showing)
                log.answered()
                yield outputs

    def plain(self, order: Order) -> Order:
        """The order without what is done afterwards, see `moved`."""
        return order

    def moved(self, result: Shown, order: Order, progress: gr.Progress) -> Generator:
        """The result with settings that need no model as an order has them; a method that was chosen stays."""
        yield from ()
        if order.method.chooses:
            return result
        return replace(result, done=replace(result.done, order=order))

    def show(self, progress=gr.Progress(), run=None, path=None, *values) -> Generator:
        """The result with other settings that need no model, or in another file.

        Args:
            run: its id.
            values: of those settings' controls, then format and JPEG quality.
        """
        with sentences():
            result = in_hand(run, path)
            if result is None:
                yield unchanged(self.outputs)
                return
            *changed, format, quality = values
            later = (setting for setting in self.kind.settings if setting.later)
            settings = {setting.name: in_order(setting, value) for setting, value in zip(later, changed, strict=True)}
            result = yield from self.moved(result, result.done.order.changed(**settings), progress)
            yield from self.shown(result, format, quality)

    def shown(self, result: Shown, format: str, quality: float) -> Generator:
        """The comparison, both files, a line, whether it can be rated, the state, and what the tab has besides."""
        with sentences(), tempfile.TemporaryDirectory() as folder:
            done = result.done
            file = Path(folder) / output_name(done.picture, done.suffix, checked_format(format))
            beside = store(done, file, format, round(quality))
            after = file if format == "png" and done.picture.bits == 8 else preview(done.picture)
            downloads = (gr.update(value=str(path), interactive=True) for path in (file, beside))
            shelf.results().put(result.run, result.light())
            yield (
                self.placed(compared(folder, result.before, after, done.picture.name), done),
                *downloads,
                "  \n".join([self.describe(done), *left_out(format, done.picture)]),
                gr.update(interactive=True, value=None),
                result.run,
                *self.besides(done, folder),
            )

    def placed(self, pair: tuple[str, str], done: OrderResult) -> object:
        """The comparison, its line where the visitor left it."""
        return pair

    def besides(self, done: OrderResult, folder: str) -> tuple:
        """What the tab shows besides, with files in a folder."""
        return ()

    def describe(self, done: OrderResult) -> str:
        """A result in one line."""
        method, image, given = done.order.method, done.picture, done.given
        title, size = f"**{method.title}**", f"{image.width} × {image.height} px"
        if method.scale > 1:
            title, size = f"**{method.title} ×{method.scale}**", f"{given.width} × {given.height} → {size}"
        settings = done.order.settings
        shares = [f"{s.name} {100 * settings[s.name]:g} %" for s in self.kind.settings if s.shown == 100]
        facts = [title, f"{done.seconds:.1f} s", size, self.kind.told(done), *shares]
        return "  \n".join([" · ".join(facts), *done.remarks])

    # Many files

    def batch(self, progress=gr.Progress(), files=None, model="", *values) -> Generator:
        """Restore many files, for holes with the mask that was uploaded, else what was painted, else transparency.

        Args:
            values: see `run`.
        """
        with sentences():
            order = self.ordered(model, values[: self.controls])
            format, quality, *marks = values[self.controls :]
            masks = mask_for_all(*marks[:2]) if marks else ()
            yield from run_batch(files, order, (format, quality), progress, *masks)

    # Comparing models

    def bake(self, event: gr.SelectData, path=None, model="", *values) -> Generator:
        """The tapped spot through every method of one scale, told what is found out of the whole picture.

        Args:
            values: of the controls; what marks holes, without which one is made.
        """

        def entries() -> Iterator[Entry]:
            image, order = opened(path), self.ordered(model, values[: self.controls])
            marks, scale = values[self.controls :], order.method.scale
            settings = {s.name: order.settings[s.name] for s in self.kind.settings if s.automatic}
            if None in settings.values():
                settings = self.kind.measured(image)
            hole = chosen_hole(image, *marks) if marks else None
            spot, only = (int(event.index[0]), int(event.index[1])), scale if scale > 1 else None
            return bake_off(self.kind.name, image, spot, scale=only, settings=settings, hole=hole)

        yield from bake(entries)

    def bake_damaged(self, path=None, model="", *values) -> Generator:
        """The middle of a clean picture, damaged, through every method of one scale, scored.

        Args:
            values: of the controls, then how it is damaged.
        """

        def entries() -> Iterator[Entry]:
            scale = self.ordered(model, values[: self.controls]).method.scale
            how, only = values[self.controls :], scale if scale > 1 else None
            return bake_off_damaged(self.kind.name, opened(path), how, only)

        yield from bake(entries)

    def winner(self, names: list[str], event: gr.SelectData) -> object:
        """The model that made a patch."""
        name = names[event.index] if event.index < len(names) else ""
        if not name:
            gr.Info("That is the picture as it is.")
            return gr.skip()
        return catalog.method(self.kind.name, name).family

    def try_out(self, progress=gr.Progress(), path=None, model="", *values) -> Generator:
        """Damage a clean picture, restore it and score both against the original.

        Args:
            values: of the controls, then how it is damaged.
        """
        with sentences():
            order = self.ordered(model, values[: self.controls])
            if "strength" in order.settings:
                order = order.changed(strength=1.0)
            blind = any(setting.automatic and order.settings[setting.name] is None for setting in self.kind.settings)
            with logged(order, chosen(path)) as log:
                with log.stage("reading"):
                    clean = log.read()
                if warning := self.kind.spoilt(clean):
                    gr.Warning(warning)
                with log.stage("restoring"):
                    job = self.kind.trial(clean, order.method, order.settings, values[self.controls :], blind)
                    trial = yield from stepped(job, progress, outputs=2)
                log.metrics = {"psnr": trial.after.psnr, "ssim": trial.after.ssim}
                made, scale = trial.restored, order.method.scale
                log.sizes = (made.width // scale, made.height // scale, made.width, made.height)
                rows = dict(zip(self.kind.test.rows, (trial.before, trial.after), strict=True))
                with tempfile.TemporaryDirectory() as folder:
                    pair = compared(folder, preview(trial.damaged), preview(made), clean.name)
                    log.answered()
                    yield pair, score_rows(rows)


def in_order(setting: Setting, value: float) -> float:
    """A setting as an order has it, of what its control says."""
    return value if setting.kind is bool else value / setting.shown


def run_batch(
    files: list[str] | None,
    order: Order,
    output: tuple[str, float],
    progress: gr.Progress,
    mask: Image | None = None,
    avoid: Image | None = None,
) -> Generator:
    """Run an order on many uploads: a row and a result for each, then a zip that has receipts and the table too.

    The results are given one by one, so that a batch that is cancelled has not worked for nothing.
    """
    if not files:
        raise ValueError("Choose some files first.")
    format, quality = output
    rows: list[list[object]] = []
    restored: list[str] = []
    yield rows, restored, gr.update(value=None, interactive=False)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "restored"
        batch = Batch(
            order=order,
            files=Inventory([Path(file) for file in files], results),
            folder=results,
            mask=mask,
            avoid=avoid,
            format=checked_format(format),
            quality=round(quality),
        )
        for step in steps_in_time(restore_all(batch)):
            progress((step.done + step.share) / step.total, desc=f"{step.done + 1} of {step.total}")
            if step.row is None:
                yield unchanged(3)
                continue
            row = step.row
            rows.append([row.file, row.result.name if row.result else "not restored", row.reason])
            if row.result:
                restored.append(str(row.result))
            kept().add(record_of(row, order), wait=COMMIT)
            yield rows, restored, gr.skip()
        late = time_is_up(limits.in_force().deadline)
        rows += [[Path(file).name, "not restored", late] for file in files[len(rows) :]]
        zipped = shutil.make_archive(str(Path(folder) / "restored"), "zip", results)
        yield rows, restored, gr.update(value=zipped, interactive=True)


def bake(entries: Callable[[], Iterator[Entry]]) -> Generator:
    """The patches with their captions as they come, and the names of the methods that made them."""
    shown, names = [], []
    with sentences(), tempfile.TemporaryDirectory() as folder:
        for entry in steps_in_time(entries()):
            file = Path(folder) / f"{len(shown)}.png"
            file.write_bytes(preview(entry.image))
            score = "" if entry.score is None else f" · {metrics.text(entry.score.psnr)}"
            seconds = f" · {entry.seconds:.2f} s" if entry.name else ""
            shown.append((str(file), f"{entry.title}{seconds}{score}"))
            names.append(entry.name)
            yield gr.update(value=list(shown), visible=True), names


def score_rows(rows: dict[str, Score]) -> list[list[str]]:
    """Rows of a trial's table: PSNR, SSIM, and PSNR-B where it was measured."""
    return [
        [
            title,
            metrics.text(score.psnr),
            "" if score.ssim is None else f"{score.ssim:.4f}",
            *([] if score.psnr_b is None else [metrics.text(score.psnr_b)]),
        ]
        for title, score in rows.items()
    ]


def again(run: str) -> Shown:
    """What a run left, if it is still kept."""
    result = shelf.results().get(run)
    if result is None:
        raise ValueError(shelf.AGAIN)
    return result


def in_hand(run: str | None, path: str | None) -> Shown | None:
    """What a run left, if its result is of the picture in hand; the last run may be of the one before."""
    if run is not None:
        again(run)
    return kept_of(run, path)


def kept_of(run: str | None, path: str | None) -> Shown | None:
    """What a run left, if that is still kept and its result is of a picture."""
    result = shelf.results().get(run) if run else None
    return result if result and path and same_picture(result.path, path) else None


def rate(run: str | None, rating: str | None, comment: str) -> object:
    """Keep what a visitor thinks of the last run, once."""
    with sentences():
        if run is None or rating is None:
            raise ValueError("Run a model first, then say what you think of the result.")
        if kept().rate(run, rating, comment or ""):
            gr.Info("Thank you.")
        else:
            gr.Info("You have already rated this run.")
    return gr.update(interactive=False)
