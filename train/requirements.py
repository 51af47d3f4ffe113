"""Write `requirements.txt`: every package that the program needs, indirect ones too, as it is installed here.

    python -m train.requirements

The command that runs the tests installs by it, so that a Space, which reads nothing else, runs what was tested.
"""

import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def project() -> dict:
    """What `pyproject.toml` says of the package."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def declared() -> dict[str, list[Requirement]]:
    """What it asks for: "" is the library, the others its extras."""
    every = {"": project()["dependencies"], **project()["optional-dependencies"]}
    return {extra: [Requirement(text) for text in texts] for extra, texts in every.items()}


def installed() -> dict[str, str]:
    """The version here of every package that the page needs, by name.

    Raises:
        PackageNotFoundError: one is missing.
    """
    waiting = declared()[""] + declared()["app"]
    extras: dict[str, set[str]] = {}
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in extras and wanted.extras <= extras[name]:
            continue
        extras[name] = extras.get(name, {""}) | wanted.extras
        needed = (Requirement(text) for text in distribution(name).requires or ())
        waiting += [
            each
            for each in needed
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras[name])
        ]
    return {name: distribution(name).version.partition("+")[0] for name in sorted(extras)}  # without "+cpu"


if __name__ == "__main__":
    lines = [f"{name}=={version}\n" for name, version in installed().items()]
    (ROOT / "requirements.txt").write_text("".join(lines), encoding="utf-8")
