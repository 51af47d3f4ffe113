"""How a wheel is built: with `RESTORATION_WEIGHTS=commercial` without the weights for non-commercial use only.

    RESTORATION_WEIGHTS=commercial pip install .

Setuptools alone reads this file, named by pyproject.toml. The licence of a checkpoint is what its card says.
"""

import json
import os
import shutil
from pathlib import Path

from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

VARIABLE = "RESTORATION_WEIGHTS"
ALL, COMMERCIAL = "all", "commercial"
FREE = "Apache-2.0"  # of the code, and of the weights that are kept


def wanted() -> str:
    """Which weights the wheel is to have.

    Raises:
        ValueError: there is no such choice.
    """
    choice = os.environ.get(VARIABLE) or ALL
    if choice not in (ALL, COMMERCIAL):
        raise ValueError(f"{VARIABLE} is {ALL} or {COMMERCIAL}, not {choice}")
    return choice


def is_free(folder: Path) -> bool:
    """Whether the card of a checkpoint gives it the licence of the code."""
    _, front, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return f"license: {FREE.lower()}" in front.splitlines()


class Metadata(egg_info):
    """The licences of what the wheel has."""

    def finalize_options(self) -> None:
        if wanted() == COMMERCIAL:
            self.distribution.metadata.license_expression = FREE
        super().finalize_options()


class Modules(build_py):
    """The package, with the weights that were asked for."""

    def run(self) -> None:
        if self.editable_mode:
            if wanted() != ALL:
                raise ValueError("an editable installation has the weights of its folder: unset RESTORATION_WEIGHTS")
            super().run()
            return
        folder = Path(self.build_lib) / "restoration" / "checkpoints"
        shutil.rmtree(folder, ignore_errors=True)  # what an earlier build left
        super().run()
        if wanted() == COMMERCIAL:
            left_out = [card.parent for card in folder.glob("*/README.md") if not is_free(card.parent)]
            for checkpoint in left_out:
                shutil.rmtree(checkpoint)
            manifest = folder / "manifest.json"
            listed = json.loads(manifest.read_text(encoding="utf-8"))
            for checkpoint in left_out:
                del listed[checkpoint.name]
            manifest.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
