"""Holds what the page says that a run will take against what it takes.

    python -m tests.estimates [TASK...] [--examples 3] [--rounds 2]

Every method that visitors are offered runs the examples of its tab, and one that is enlarged to a megapixel, where each
run adds to what is known of the next one, as on a page that was just opened.  Printed are what was expected before each
run, its seconds with reading and writing, and in the end the share of runs within a factor of 1.5, with its goal.  A
machine that does other work meanwhile makes all of it slower: the share is printed for its usual pace too.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from restoration import catalog, gallery, tasks
from restoration.files import read, write
from restoration.image import enlarged
from restoration.inpainting import mask_from
from restoration.orders import Order
from restoration.page.before import seconds_expected_of
from restoration.page.layout import tab_of

FACTOR, GOAL = 1.5, 90  # per cent of the runs
LARGE = 1e6  # pixels


def pictures(task: str, count: int, folder: Path) -> Iterator[tuple[str, str | None]]:
    """Files of the examples with those of their masks; the first is enlarged at last."""
    found = gallery.examples(task)[:count]
    for example in found:
        yield example.picture, example.mask
    image = read(found[0].picture)
    factor = max(2, round((LARGE / (image.width * image.height)) ** 0.5))
    file = folder / f"{task}_large.png"
    write(enlarged(image, factor), file)
    yield str(file), found[0].mask


def orders(task: str) -> Iterator[Order]:
    """What visitors are offered, as it is chosen at first; of a chain every step too."""
    kind = tasks.named(task)
    for family in catalog.purposes(task).values():
        yield Order(task, family)
    for setting in kind.settings if any(method.chained for method in kind.methods) else ():
        others = {other.name: False if other.kind is bool else other.default for other in kind.settings}
        yield Order(task, "", others | {setting.name: (setting.choices or (True,))[0]})


def ran(order: Order, file: str, mask: str | None) -> tuple[float | None, float]:
    """What a run was expected to take, and what it took."""

    kind, image = tasks.named(order.task), read(file)
    hole = mask_from(read(mask), image) if mask else None
    if kind.marked and order.settings[kind.marked]:  # which the page shows before a run
        hole = kind.marks(image)
    expected, started = seconds_expected_of(order, file, hole), time.monotonic()
    for _ in tab_of(kind).runs.restore(order, file, lambda _: hole, ("png", 95), lambda *_, **__: None):
        pass
    return expected, time.monotonic() - started


def within(ratios: list[float]) -> float:
    """Per cent of them that are within the factor."""
    return 100 * sum(1 / FACTOR <= ratio <= FACTOR for ratio in ratios) / max(1, len(ratios))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.estimates", description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(tasks.every()), metavar="TASK")
    parser.add_argument("--examples", type=int, default=3, help="of each tab")
    parser.add_argument("--rounds", type=int, default=2, help="how many times all of it is run")
    arguments = parser.parse_args(argv)
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            for task in arguments.tasks:
                for order in orders(task):
                    for file, mask in pictures(task, arguments.examples, Path(folder)):
                        expected, taken = ran(order, file, mask)
                        ratios.append(taken / max(expected, 1e-3))
                        said = {name: value for name, value in order.settings.items() if value and task == "photo"}
                        name = f"{task} {order.model} {said or ''} {Path(file).stem}"
                        print(f"{name[:78]:78} {expected:7.2f} {taken:7.2f} s{ratios[-1]:7.2f}", flush=True)
    pace = median(ratios)
    print(f"within a factor of {FACTOR}: {within(ratios):.0f} % of {len(ratios)}, goal {GOAL}")
    print(f"at {pace:.2f} times the expected, the usual here: {within([ratio / pace for ratio in ratios]):.0f} %")


if __name__ == "__main__":
    main()
