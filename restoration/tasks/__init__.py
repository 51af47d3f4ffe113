"""The tasks, one a file: this folder is the registry, and what it holds is in every list of tasks there is."""

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restoration.tasks._task import Task


@cache
def every() -> dict[str, "Task"]:
    """Every task by name, in the order of the page: those of the files here without an underscore in front."""
    modules = (found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_"))
    found = [importlib.import_module(f"{__name__}.{name}").TASK for name in modules]
    return {task.name: task for task in sorted(found, key=lambda task: task.place)}


def named(name: str) -> "Task":
    """The task of a name.

    Raises:
        ValueError: there is none; the message lists those that there are.
    """
    if name not in every():
        raise ValueError(f"There is no task called {name!r}; choose {', '.join(every())}.")
    return every()[name]
