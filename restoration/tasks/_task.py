"""What a task is: the settings that can be chosen for it, and all else in which it differs from the others.

Order, command line, API and page are made from what is written here and in the files beside it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite

from restoration.catalog import Method

AUTO = "auto"  # what programs write for a setting that is found automatically


@dataclass(frozen=True)
class Setting:
    """One thing that can be chosen, written once for order, command line, API, address and page.

    Args:
        name: in orders, receipts and records.
        kind: of its values.
        default: None is "find it automatically".
        help: a line for programmers.
        label: on the page.
        noun: begins the sentence that refuses a value.
        public: what programs and addresses call it; its name by default.
        limits: lowest and highest value; None allows every one.
        choices: the only values, where there are few.
        info: a line below the label.
        range: of the slider, where that does not go to the limits; in the unit of the page.
        start: where the slider of a setting stands that was automatic until then.
        automatic: label of the check box that has it found.
        step: of the slider.
        shown: what one unit of it is on the page, 100 for a share in %.
        unit: named on the command line, where there are no limits to show.
    """

    name: str
    kind: type[float] | type[int] | type[bool]
    default: float | None
    help: str
    label: str = ""
    noun: str = ""
    public: str = ""
    limits: tuple[float, float] | None = None
    choices: tuple[int, ...] = ()
    info: str | None = None
    range: tuple[float, float] | None = None
    start: float = 0
    automatic: str = ""
    step: float = 1
    shown: float = 1
    unit: str = ""

    def __post_init__(self):
        object.__setattr__(self, "public", self.public or self.name)

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value of the slider."""
        lowest, highest = self.range or (self.shown * limit for limit in self.limits)
        return lowest, highest

    @property
    def line(self) -> str:
        """What programmers are told of it."""
        values = ['"auto" or a number'] if self.default is None else []
        values += ["from {:g} to {:g}".format(*self.limits)] if self.limits else []
        return f"{self.public}: {self.help}" + (f" ({' '.join(values)})" if values else "")

    def checked(self, value: object) -> float | None:
        """A value of the setting's kind.

        Raises:
            ValueError: it cannot be one, or is beyond the limits.
        """
        if value is None and self.default is None:
            return None
        if self.kind is bool and isinstance(value, bool):
            return value
        if self.kind is bool or isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
            raise ValueError(f"{self.name} cannot be {str(value)[:40]}.")
        if self.limits and not self.limits[0] <= value <= self.limits[1]:
            lowest, highest = self.limits
            raise ValueError(f"{self.noun or self.name} goes from {lowest:g} to {highest:g}, not {value:g}.")
        return round(value) if self.kind is int else float(value)

    def told(self, value: object) -> float | None:
        """What a program means by a value: "auto", a number as text, or the value itself.

        Raises:
            ValueError: it is no number.
        """
        if self.kind is bool:
            return bool(value)
        if self.default is None and str(value).strip() == AUTO:
            return None
        return number(value, self.public, f'"{AUTO}" or ' if self.default is None else "")


STRENGTH = Setting(
    "strength",
    float,
    1.0,
    "0 gives the input back",
    "Strength in % (0 is your picture, bit for bit)",
    limits=(0, 1),
    shown=100,
)


def number(value: object, name: str, otherwise: str = "") -> float:
    """A number that came from outside.

    Args:
        name, otherwise: what is said of it: "<name> must be <otherwise>a number."

    Raises:
        ValueError: it is none.
    """
    with suppress(TypeError, ValueError):
        if isfinite(found := float(value)):
            return found
    raise ValueError(f"{name} must be {otherwise}a number.")


class Task:
    """A task.

    Attributes:
        name: what programs call it.
        title: what people call it, and the verb on its button.
        place: among the tasks.
        help: a line for the command line.
        about: what the endpoint does to an image file.
        settings: what can be chosen.
        holes: whether something is missing in the picture, which a mask shows.
        mask: a line about that for programmers.
    """

    name: str
    title: str
    place: int
    help: str
    about: str
    settings: tuple[Setting, ...]
    holes: bool = False
    mask: str = ""

    def completed(self, given: Mapping[str, object], method: Method) -> dict[str, float | None]:
        """All settings of a method, by name: those given, the others at their default.

        Raises:
            ValueError: there is no such setting, or a value cannot be one.
        """
        kept = {setting.name: setting for setting in self.settings if not setting.choices}
        for name in given:
            if name not in kept:
                raise ValueError(f"{name} is not a setting of {self.name}; there are {', '.join(kept)}.")
        return {name: setting.checked(given.get(name, setting.default)) for name, setting in kept.items()}
