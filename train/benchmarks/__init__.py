"""The test sets of every task, as the papers have them: what is degraded how, what a method is told, what is scored.

One file a task; this folder is the registry.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from restoration import tasks

if TYPE_CHECKING:
    from train.benchmarks._sets import Benchmark


def every() -> dict[str, "Benchmark"]:
    """The benchmark of every task that has one, in the order of the tasks."""
    there = {found.name for found in pkgutil.iter_modules(__path__)}
    return {name: importlib.import_module(f"{__name__}.{name}").BENCHMARK for name in tasks.every() if name in there}
