"""How each bundled checkpoint is trained: architecture, degradation, loss, optimiser, validation; a frozen record each.

One file for each training script; this folder is the registry.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from train.recipes._recipe import Recipe


def every() -> dict[str, "Recipe"]:
    """Every recipe by the name of its checkpoint."""
    modules = (found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_"))
    return {
        name: recipe
        for module in modules
        for name, recipe in importlib.import_module(f"{__name__}.{module}").RECIPES.items()
    }
