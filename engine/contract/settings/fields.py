"""The declaration of a setting: one place from which form, flags, files and messages come.

A setting is a pydantic field made by `setting(...)`. `describe(Section)` turns the declarations of a section into `FieldSpec`s,
which know how to show, parse and step a value.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from torchtty.engine.contract.errors import UserError


class Stepping(StrEnum):
    """How the arrow keys move through a field's values."""

    LINEAR = "linear"  # by `step`
    POWERS = "powers"  # 1, 2, 4, 8, …
    DECADES = "decades"  # 1e-3, 2e-3, 5e-3, 1e-2, …


_TRUTHS = dict.fromkeys(("yes", "true", "on", "1"), True) | dict.fromkeys(("no", "false", "off", "0"), False)


class Section(BaseModel):
    """A group of settings, such as `model` or `training`. Unknown names are refused, and values of another type: true is no 1.

    `folds` says that a form shows only the essential ones at first, the others folded below `heading`.
    """

    folds: ClassVar[bool] = True
    heading: ClassVar[str] = ""  # where the section's name is none

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, defer_build=True, strict=True
    )

    def check(self) -> Iterator[tuple[str, str]]:
        """Yield (field name, message) for values that are each in range but do not go together."""
        yield from ()


def setting(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    unit: str = "",
    stepping: Stepping = Stepping.LINEAR,
    step: float = 1,
    live: bool = False,
    groups: bool = False,
    path: bool = False,
    essential: bool = False,
    pattern: str | None = None,
    allowed: str = "",
) -> Any:
    """Declare a setting with its default, range, unit and one sentence of help.

    `live` settings can change while training runs. Runs that differ in settings that are marked `groups` can train as one group:
    numbers that change no shape of the model. `path` marks a text that names a file or folder, `essential` what a form shows first.
    A text with a `pattern` says in `allowed` what the pattern lets through.
    """
    extra: dict[str, Any] = {"unit": unit, "stepping": stepping, "step": step, "live": live, "is_path": path}
    extra |= {"groups": groups, "essential": essential}
    extra |= {"pattern": pattern, "pattern_allows": allowed}
    bounds: dict[str, Any] = {"ge": ge, "le": le, "gt": gt, "lt": lt, "pattern": pattern}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


def doubling(default: int, help: str, *, ge: int = 1, le: int, unit: str = "", essential: bool = False) -> Any:
    """Declare a whole number that the arrow keys double and halve, such as a number of tokens."""
    return setting(default, help, ge=ge, le=le, unit=unit, stepping=Stepping.POWERS, essential=essential)


@dataclass(frozen=True)
class FieldSpec:
    """One setting, ready to be drawn as a form field, a flag or a row of a table."""

    path: str  # "model.n_layer"
    type: type  # bool, int, float or str
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    optional: bool = False  # None ("none") is a value
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None  # exclusive minimum
    below: float | None = None  # exclusive maximum
    unit: str = ""
    stepping: Stepping = Stepping.LINEAR
    step: float = 1
    live: bool = False
    groups: bool = False
    is_path: bool = False
    essential: bool = False
    folds: bool = False  # stands folded below the heading of its section
    heading: str = ""
    pattern: str | None = None
    pattern_allows: str = ""

    @property
    def name(self) -> str:
        return self.path.partition(".")[2]

    @property
    def section(self) -> str:
        return self.path.partition(".")[0]

    def allowed(self) -> str:
        """Say in a few words which values the field takes."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.type is bool:
            return "yes or no"
        if self.pattern:
            return self.pattern_allows
        if self.type is str:
            return "a file or folder" if self.is_path else "text"
        kind = "a whole number" if self.type is int else "a number"
        low, high = self.minimum, self.maximum
        if low is not None and high is not None:
            text = f"{kind} from {show(low)} to {show(high)}"
        elif self.above is not None and high is not None:
            text = f"{kind} above {show(self.above)} and up to {show(high)}"
        elif low is not None and self.below is not None:
            text = f"{kind} from {show(low)} to below {show(self.below)}"
        elif low is not None:
            text = f"{kind} of at least {show(low)}"
        elif self.above is not None:
            text = f"{kind} above {show(self.above)}"
        else:
            text = kind
        return text + (", or none" if self.optional else "")

    def parse(self, text: str) -> Any:
        """Turn what a person typed into a value; raise `UserError` saying what is allowed."""
        raw = text.strip()
        if self.optional and raw.lower() in ("", "none", "off"):
            return None
        try:
            return self._convert(raw)
        except (KeyError, ValueError):
            raise self._refusal(raw) from None

    def _convert(self, raw: str) -> Any:
        """Read a value of the field's type; raise `ValueError`, or `KeyError` for what is neither yes nor no."""
        if self.type is bool:
            return _TRUTHS[raw.lower()]
        if self.type is str:
            if (self.choices and raw not in self.choices) or (self.pattern and not re.fullmatch(self.pattern, raw)):
                raise ValueError
            return raw
        digits = raw.replace(",", "").replace("_", "")
        number = float(digits)
        if not math.isfinite(number) or (self.type is int and number != int(number)):
            raise ValueError
        if self.type is int:
            number = int(digits) if digits.lstrip("+-").isdigit() else int(number)
        if not self._in_range(number):
            raise ValueError
        return number

    def _in_range(self, value: float) -> bool:
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _refusal(self, raw: str) -> UserError:
        shown = raw if len(raw) <= 40 else raw[:39] + "…"
        return UserError(f"{self.path} cannot be '{shown}': it takes {self.allowed()}.")

    def stepped(self, value: Any, direction: int) -> Any:
        """Return the neighbouring value up (direction 1) or down (-1), kept within the range."""
        if self.choices:
            index = self.choices.index(value) if value in self.choices else 0
            return self.choices[(index + direction) % len(self.choices)]
        if self.type is bool:
            return not value
        if self.type is str:
            return value
        if value is None:
            value = self.minimum if self.minimum is not None else 0
            if direction < 0:
                return None
        moved = self._moved(value, direction)
        if not self._in_range(moved):
            return None if self.optional and direction < 0 else value
        return round(moved) if self.type is int else moved

    def _moved(self, value: float, direction: int) -> float:
        if self.stepping is Stepping.POWERS:
            if direction > 0:
                return 2.0 ** (math.floor(math.log2(value)) + 1) if value >= 1 else 1
            return 2.0 ** (math.ceil(math.log2(value)) - 1) if value > 1 else 0
        if self.stepping is Stepping.DECADES:
            return _decade_step(value, direction)
        return float(f"{value + direction * self.step:.10g}")


def _decade_step(value: float, direction: int) -> float:
    """Move through 1, 2, 5, 10, 20, 50, … and their inverses; 0 lies below the smallest."""
    if value <= 0:
        return 1e-6 if direction > 0 else value - 1
    exponent = math.floor(math.log10(value) + 1e-9)
    ladder = [float(f"{mantissa}e{power}") for power in range(exponent - 1, exponent + 2) for mantissa in (1, 2, 5)]
    if direction > 0:
        return next(rung for rung in ladder if rung > value * (1 + 1e-9))
    return next(rung for rung in reversed(ladder) if rung < value * (1 - 1e-9))


def show(value: Any) -> str:
    """Write a value as a person would: `3e-4`, `12`, `0.1`, `yes`, `none`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if value == int(value) and abs(value) < 1e6:
            return str(int(value))
        text = f"{value:.6g}"
        if "e" in text or abs(value) < 1e-2:
            mantissa, _, exponent = f"{value:.5e}".partition("e")
            return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
        return text
    return str(value)


def exact(value: Any) -> str:
    """Write a value as `show` does, with as many digits as it takes to read it back as the same one."""
    text = show(value)
    return text if not isinstance(value, float) or float(text) == value else repr(value)


def describe(section_name: str, section: type[Section]) -> list[FieldSpec]:
    """List the settings of a section class in their order of declaration, without the `kind` that names the class."""
    return list(_described(section_name, section))


@cache
def _described(section_name: str, section: type[Section]) -> tuple[FieldSpec, ...]:
    fields = section.model_fields.items()
    return tuple(_spec(section_name, section, name, info) for name, info in fields if name != "kind")


def in_form_order(specs: Iterable[FieldSpec]) -> list[FieldSpec]:
    """Sort settings as a form shows them: the essential ones, the sections that do not fold, and what is folded."""
    return sorted(specs, key=lambda spec: 0 if spec.essential else 2 if spec.folds else 1)


def _spec(section_name: str, section: type[Section], name: str, info: FieldInfo) -> FieldSpec:
    extra: dict[str, Any] = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    annotation, optional = _without_none(info.annotation)
    choices: tuple[str, ...] = ()
    if get_origin(annotation) is Literal:
        choices = tuple(str(choice) for choice in get_args(annotation))
        annotation = str
    names = {"ge": "minimum", "le": "maximum", "gt": "above", "lt": "below"}
    bounds = {ours: getattr(item, key) for item in info.metadata for key, ours in names.items() if hasattr(item, key)}
    assert annotation in (bool, int, float, str), f"{section_name}.{name} has no simple type"
    return FieldSpec(
        path=f"{section_name}.{name}",
        type=annotation,
        default=info.default,
        help=info.description or "",
        folds=section.folds and not extra.get("essential"),
        heading=section.heading or section_name,
        choices=choices,
        optional=optional,
        **bounds,
        **extra,
    )


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, UnionType):
        arguments = [item for item in get_args(annotation) if item is not NoneType]
        assert len(arguments) == 1, "a setting has one type, or one type and None"
        return arguments[0], True
    return annotation, False
