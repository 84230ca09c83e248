"""What a text stands for that gives a setting several values: one syntax for flags, files and the form.

1,2,5                   these values; so are adam,sgd and yes,no and none,10
1..10                   whole numbers, both ends included
1e-4..1e-1 log 7        seven numbers from the first to the last, each by the same factor from the one before
0..0.5 lin 6            six numbers, each by the same difference from the one before
1e-4..1e-1 log          any number in between, for plans that draw; without log: evenly
"""

import math
import os
import random
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import expanded
from torchtty.engine.contract.printable import shortened
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.data import DATASET
from torchtty.engine.contract.settings.fields import FieldSpec, show

Value = bool | int | float | str | None
MOST = 500  # runs of a sweep
_SCALED = re.compile(r"(?P<range>.*\S)\s+(?P<scale>log|lin)(\s+(?P<count>\d{1,9}))?", re.DOTALL)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


@dataclass(frozen=True)
class Span:
    """Every number from `low` to `high`, for plans that draw their values; `log` draws evenly over orders of magnitude."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, generator: random.Random) -> int | float:
        """Return a number of it."""
        return self.at(generator.random())

    def at(self, share: float) -> int | float:
        """Return the number that lies so far along, from 0 to 1."""
        if self.log:
            found = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            found = self.low + share * (self.high - self.low)
        found = min(max(found, self.low), self.high)
        return round(found) if self.whole else float(f"{found:.6g}")

    def __str__(self) -> str:
        return f"{show(self.low)}..{show(self.high)}{' log' if self.log else ''}"


def may_vary(spec: FieldSpec) -> bool:
    """Whether runs of a sweep may differ in a setting: in anything but free text, such as a prompt, and the machine's own."""
    if spec.path in ("training.device", "training.log"):
        return False
    return spec.type is not str or bool(spec.choices) or spec.path == DATASET


def is_several(spec: FieldSpec, text: str, *, sweeps: bool = False) -> bool:
    """Whether a text stands for several values of a setting.

    Outside of a sweep `1,024` of a setting that changes a shape is a thousand and 24; `sweeps` takes every comma for the end of
    a value, but for what can only be one number: `1,024`.
    """
    if not may_vary(spec):
        return False
    if spec.path == DATASET:
        parts = text.split(",")
        return len(parts) > 1 and not os.path.exists(expanded(text)) and all(map(_is_dataset, parts))
    if spec.type not in (int, float):
        return "," in text
    if ".." in text or _SCALED.fullmatch(text.strip()):
        return True
    if "," not in text:
        return False
    if not _THOUSANDS.fullmatch(text.strip()):
        return True
    if any(part.startswith("0") for part in text.split(",")[1:]):  # nobody lists 024
        return False
    if spec.groups or sweeps:
        return True
    with suppress(UserError):
        return spec.parse(text) is None
    return True


def _is_dataset(name: str) -> bool:
    name = name.strip()
    return name in catalogue() or os.path.exists(expanded(name))


def several(spec: FieldSpec, text: str) -> tuple[Value, ...]:
    """Return the values that a text stands for; raise `UserError` that says what is wrong with it."""
    found = read_values(spec, text)
    if isinstance(found, Span):
        raise UserError(_uncounted(spec, text))
    return found


def read_values(spec: FieldSpec, text: str) -> tuple[Value, ...] | Span:
    """Return the values that a text stands for, or the span that a plan is to draw from; raise `UserError`."""
    text = text.strip()
    if not may_vary(spec):
        raise UserError(f"{spec.path} takes one value: runs of a sweep do not differ in it.")
    if (scaled := _SCALED.fullmatch(text)) is not None:
        span = _span(spec, scaled["range"], log=scaled["scale"] == "log")
        if scaled["count"] is None:
            return span
        return _spread(spec, span, int(scaled["count"]))
    if spec.type is float and text.count("..") == 1 and "," not in text:
        return _span(spec, text, log=False)
    found: list[Value] = []
    for part in text.split(","):
        if not part.strip():
            raise UserError(
                f"{spec.path} has a comma with no value beside it: write the value, or take the comma away."
            )
        found.extend(_range(spec, part) if ".." in part and spec.type is not str else [spec.parse(part)])
        if len(found) > MOST:
            raise UserError(f"{spec.path} has more than {MOST} values, and a sweep has {MOST} runs at most.")
    if twice := [value for number, value in enumerate(found) if value in found[:number]]:
        raise UserError(f"{spec.path} has {show(twice[0])} twice.")
    return tuple(found)


def _uncounted(spec: FieldSpec, text: str) -> str:
    return (
        f"{spec.path} cannot be '{shortened(text)}' in a grid: say how many numbers, such as '{shortened(text)} "
        f"{'' if 'log' in text else 'lin '}5', list them, or draw them by --plan random --runs N."
    )


def _range(spec: FieldSpec, text: str) -> Sequence[int]:
    first, _, last = text.partition("..")
    if spec.type is not int:
        raise UserError(
            f"{spec.path} cannot be '{shortened(text)}': a range inside a list is of whole numbers. Give the values one by one."
        )
    low, high = _ends(spec, first, last)
    if high < low:
        raise UserError(f"{spec.path} cannot be '{shortened(text)}': a range goes from the lower number to the higher.")
    return range(int(low), min(int(high), int(low) + MOST) + 1)


def _ends(spec: FieldSpec, first: str, last: str) -> tuple[int | float, int | float]:
    low, high = spec.parse(first), spec.parse(last)
    if low is None or high is None:
        raise UserError(f"{spec.path} has a range that ends in no number: write its first and last, such as 1..10.")
    return low, high


def _span(spec: FieldSpec, text: str, *, log: bool) -> Span:
    if spec.type not in (int, float) or text.count("..") != 1 or "," in text:
        raise UserError(
            f"{spec.path} cannot be '{shortened(text)}' on a scale: that takes a range, such as 1e-4..1e-1."
        )
    low, high = _ends(spec, *text.split(".."))
    if high <= low:
        raise UserError(f"{spec.path} cannot be '{shortened(text)}': a range goes from the lower number to the higher.")
    if log and low <= 0:
        raise UserError(f"{spec.path} cannot be '{shortened(text)}': a range by factors begins above 0.")
    return Span(low, high, log=log, whole=spec.type is int)


def _spread(spec: FieldSpec, span: Span, count: int) -> tuple[Value, ...]:
    if not 2 <= count <= MOST:
        raise UserError(f"{spec.path} takes from 2 to {MOST} numbers of a range, and {count:,} are asked for.")
    found = [span.at(number / (count - 1)) for number in range(count)]
    return tuple(dict.fromkeys(found))  # neighbouring whole numbers may be the same
