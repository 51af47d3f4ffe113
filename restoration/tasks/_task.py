"""What a task is: the settings that can be chosen for it, and all else in which it differs from the others.

Order, command line, API and page are made from what is written here and in the files beside it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from restoration.catalog import Method
from restoration.image import Image, from_tensor
from restoration.inpainting import Mask
from restoration.running import Job, Result, Score, middle, score

if TYPE_CHECKING:
    from restoration.orders import Order

_YES, _NO = ("true", "yes", "on", "1", "1.0"), ("false", "no", "off", "0", "0.0", "none", "")
_JSON = {bool: "boolean", int: "integer", float: "number", str: "string"}
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
        choices: the only values, where there are few; the default need not be one.
        selects: whether it picks the method of a family, and is then told by its name.
        info: a line below the label.
        range: of the slider, where that does not go to the limits; in the unit of the page.
        start: where the slider of a setting stands that was automatic until then.
        automatic: label of the check box that has it found.
        step: of the slider.
        shown: what one unit of it is on the page, 100 for a share in %.
        unit: named on the command line, where there are no limits to show.
        later: whether it needs no model, so that it may be changed after a run.
        place: where it is on the page: above the button, by the model, by the result, or by the mask.
    """

    name: str
    kind: type[float] | type[int] | type[bool] | type[str]
    default: float | str | None
    help: str
    label: str = ""
    noun: str = ""
    public: str = ""
    limits: tuple[float, float] | None = None
    choices: tuple[int | str, ...] = ()
    selects: bool = False
    info: str | None = None
    range: tuple[float, float] | None = None
    start: float = 0
    automatic: str = ""
    step: float = 1
    shown: float = 1
    unit: str = ""
    later: bool = False
    place: Literal["first", "model", "result", "mask"] = "model"

    def __post_init__(self):
        object.__setattr__(self, "public", self.public or self.name)

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value of the slider."""
        lowest, highest = self.range or (self.shown * limit for limit in self.limits)
        return lowest, highest

    @property
    def sentence(self) -> str:
        """What programmers read of it."""
        return f"{self.help[0].upper()}{self.help[1:]}."

    @property
    def written(self) -> float | str:
        """The default as programs write it."""
        return AUTO if self.default is None else self.default

    @property
    def schema(self) -> dict[str, object]:
        """The JSON schema of what programs may write; see `parsed` for what else is understood."""
        value: dict[str, object] = {"type": _JSON[self.kind]}
        if self.choices:
            value["enum"] = list(dict.fromkeys([self.default, *self.choices]))
        if self.limits:
            value["minimum"], value["maximum"] = self.limits
        if self.default is None:
            value = {"anyOf": [{"type": "string", "enum": [AUTO]}, value]}
        return {**value, "default": self.written, "description": self.sentence}

    def checked(self, value: object, name: str = "") -> float | None:
        """A value of the setting's kind.

        Args:
            name: what sentences call the setting.

        Raises:
            ValueError: it cannot be one, or is beyond the limits.
        """
        called, name = name or self.noun or self.name, name or self.name
        if value is None and self.default is None:
            return None
        if self.kind is bool and isinstance(value, bool):
            return value
        if self.kind is bool or isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
            raise ValueError(f"{name} cannot be {str(value)[:40]}.")
        if self.choices and not self.selects and value not in (self.default, *self.choices):
            raise ValueError(f"{name} is one of {', '.join(map(str, self.choices))}, not {value:g}.")
        if self.limits and not self.limits[0] <= value <= self.limits[1]:
            lowest, highest = self.limits
            raise ValueError(f"{called} goes from {lowest:g} to {highest:g}, not {value:g}.")
        return whole(value, called) if self.kind is int else float(value)

    def parsed(self, value: object) -> float | str | None:
        """What a program means by a value: "auto", a number as text, or the value itself; letters of any case.

        Nothing (None) means the default.

        Raises:
            ValueError: it means none, or one beyond the limits.
        """
        text = str(value).strip().lower()
        if value is None:
            return self.default
        if self.default is None and text == AUTO:
            return None
        if self.kind is str:
            return text if text in self.choices else str(value)
        if self.kind is bool:
            if text not in (*_YES, *_NO):
                raise ValueError(f"{self.public} is true or false, not {text[:40]!r}.")
            return text in _YES
        found = number(value, self.public, f'"{AUTO}" or ' if self.default is None else "")
        return self.checked(found, self.public)


STRENGTH = Setting(
    "strength",
    float,
    1.0,
    "how much of the change is kept: 0 gives the input back",
    "Strength in % (0 is your picture, bit for bit)",
    limits=(0, 1),
    shown=100,
    later=True,
    place="result",
)


def whole(value: float, name: str) -> int:
    """A number that has to be whole.

    Raises:
        ValueError: it is not.
    """
    if value != round(value):
        raise ValueError(f"{name} is a whole number, not {value:g}.")
    return round(value)


def number(value: object, name: str, otherwise: str = "") -> float:
    """A number that came from outside.

    Args:
        name, otherwise: what is said of it: "<name> must be <otherwise>a number."

    Raises:
        ValueError: it is none.
    """
    with suppress(TypeError, ValueError, OverflowError):
        if not isinstance(value, bool) and isfinite(found := float(value)):
            return found
    raise ValueError(f"{name} must be {otherwise}a number.")


@dataclass(frozen=True)
class Trial:
    """A clean picture that was damaged and restored, both scored; `damaged` as a result is compared with it."""

    damaged: Image
    restored: Image
    before: Score
    after: Score


@dataclass(frozen=True)
class Test:
    """How models are tried on a clean picture, in the words of the page.

    Args:
        title, about: what is done, in a line and in a few.
        pictures: what suits it.
        button: starts it.
        pair: label of the two pictures.
        rows: names of the damaged picture and of the restored one.
        more: columns of the scores beside PSNR and SSIM.
    """

    title: str
    about: str
    pictures: str
    button: str
    pair: str
    rows: tuple[str, str]
    more: tuple[str, ...] = ()


class Task:
    """A task.

    Attributes:
        name: what programs call it.
        title: what people call it.
        verb: on its button.
        place: among the tasks.
        help: a line for the command line.
        about: what the endpoint does to an image file.
        settings: what can be chosen.
        ending: of the names of results.
        methods: that are the task's own, besides those of the catalog.
        holes: whether something is missing in the picture, which a mask shows.
        mask: a line about that for programmers.
        avoid: a line for them about what may not be copied into holes, which a second mask shows.
        test: how models are tried on a clean picture; None where they are not.
        damages: what can be chosen for that.
        marked: name of the setting whose step fills what `marks` finds, which is shown to be confirmed; empty for most.
        compared, hint: what is said of the picture before and after.
    """

    name: str
    title: str
    verb: str
    place: int
    help: str
    about: str
    settings: tuple[Setting, ...]
    ending: str
    methods: tuple[Method, ...] = ()
    holes: bool = False
    mask: str = ""
    avoid: str = ""
    test: Test | None = None
    damages: tuple[Setting, ...] = ()
    marked: str = ""
    compared = "Before and after"
    hint = "Compare: drag the handle or use the arrow keys. Before is on the left, after on the right."

    def completed(self, given: Mapping[str, object], method: Method) -> dict[str, float | None]:
        """All settings of a method, by name: those given, the others at their default.

        Raises:
            ValueError: there is no such setting, or a value cannot be one.
        """
        kept = {setting.name: setting for setting in self.settings if not setting.selects}
        for name in given:
            if name not in kept:
                raise ValueError(f"{name} is not a setting of {self.name}; there are {', '.join(kept)}.")
        return {name: setting.checked(given.get(name, setting.default)) for name, setting in kept.items()}

    def takes(self, setting: Setting, method: Method) -> bool:
        """Whether a setting makes a difference to a method; the page hides one that makes none."""
        return True

    def suffix(self, method: Method) -> str:
        """What the names of a method's results end in."""
        return self.ending

    def run(
        self, image: Image, method: Method, settings: Mapping[str, object], hole: Mask | None = None
    ) -> Job[Result]:
        """The job: a method with completed settings on an image.

        Args:
            hole: what is missing, before it is inverted, grown and feathered.

        Raises:
            ValueError: the image or a setting does not fit.
        """
        raise NotImplementedError

    def typical(self, side: int) -> tuple[float | Tensor, ...]:
        """What `restore` takes besides an image of that side when nothing but its time matters."""
        return ()

    def orders(self, settings: Mapping[str, object]) -> list["Order"]:
        """The steps of a task that is a chain of others', with settings of which none is left to be found out."""
        return []

    def marks(self, image: Image) -> Mask:
        """What the step of `marked` fills unless somebody marks something else."""
        raise NotImplementedError

    def told(self, result: Result) -> str:
        """What was found on the way, for the line below a result."""
        return str(result.found)

    def metrics(self, result: Result) -> dict[str, object]:
        """What was measured on the way, by name."""
        raise NotImplementedError

    def faithfulness(self, result: Result) -> float | None:
        """PSNR in dB of a result, brought back to the size of the input, to the input; None where nobody measures."""
        return None

    def before(self, image: Image, method: Method, settings: Mapping[str, object]) -> Image:
        """What a result is compared with."""
        return image

    def facts(self, image: Image, method: Method) -> tuple[list[str], list[str]]:
        """What is known of an image before a run, and advice on that, one sentence each.

        Raises:
            ValueError: the image cannot be restored.
        """
        return [], []

    def guide(self, method: Method) -> str:
        """What is to be known of a method of this task, one sentence; empty for most."""
        return ""

    def measured(self, image: Image) -> dict[str, object]:
        """The settings that are found automatically."""
        return {}

    def spoilt(self, image: Image) -> str:
        """Why scores against an image would mislead, one sentence; empty for one that is clean."""
        return ""

    def damaged(self, clean: Tensor, scale: int, *how: object) -> Tensor:
        """A clean picture (1, C, H, W), damaged.

        Args:
            how: values of `damages`.

        Raises:
            ValueError: a value cannot be one, or the picture is too small.
        """
        raise NotImplementedError

    def known(self, damaged: Tensor, clean: Tensor, *how: object) -> dict[str, object]:
        """The settings that tell a method how a picture was damaged."""
        return {}

    def score(self, image: Tensor, clean: Tensor, scale: int) -> Score:
        """How near an image is to the original."""
        return score(image, clean)

    def trial(
        self, image: Image, method: Method, settings: Mapping[str, object], how: Sequence[object], blind: bool = False
    ) -> Job[Trial]:
        """Damage the middle of a clean image, restore it and score both.

        Args:
            how: values of `damages`.
            blind: let the method find out how; otherwise it is told.

        Raises:
            ValueError: see `damaged` and `run`.
        """
        clean = middle(image, method.scale)
        damaged = from_tensor(self.damaged(clean, method.scale, *how), image.name)
        known = {} if blind else self.known(damaged.tensor(), clean, *how)
        result = yield from self.run(damaged, method, {**settings, **known})
        before, after = self.before(damaged, method, settings), result.image()
        scores = (self.score(picture.tensor(), clean, method.scale) for picture in (before, after))
        return Trial(before, after, *scores)
