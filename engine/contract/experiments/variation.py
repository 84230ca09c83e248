"""Settings that take several values: `1..10`, `1e-3,1e-2`; and the configurations that they amount to."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import shortened
from torchtty.engine.contract.settings.configuration import parse, specs, with_value
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.fields import FieldSpec, show

MOST = 64  # runs of a group
Number = int | float
SEED = "training.seed"


@dataclass(frozen=True)
class Variation:
    """What the runs of a group differ in: {path: values}. A run has one value of each; there is a run for every combination."""

    values: Mapping[str, tuple[Number, ...]]

    def settings(self) -> list[dict[str, Number]]:
        """Return the varied settings of every run. Runs that differ in the seed alone stand side by side."""
        paths = sorted(self.values, key=lambda path: path == SEED)
        return [dict(zip(paths, chosen, strict=True)) for chosen in product(*(self.values[path] for path in paths))]

    def configurations(self, tree: Mapping[str, Any]) -> list[Configuration]:
        """Return the configuration of every run, given what all have in common; raise `ConfigurationError` or `UserError`."""
        if (count := len(self.settings())) > MOST:
            raise UserError(f"That would be {count:,} runs, and a group has {MOST} at most. Give fewer values.")
        found = []
        for settings in self.settings():
            own: Any = tree
            for path, value in settings.items():
                own = with_value(own, path, value)
            found.append(parse(own))
        return found


def is_several(spec: FieldSpec, text: str) -> bool:
    """Whether a text stands for several values of a number: `1,024` of a setting that takes one value is a thousand and 24."""
    if spec.type not in (int, float):
        return False
    if "," not in text or spec.groups:
        return "," in text or ".." in text
    first, *others = text.split(",")
    if ".." in text or len(first) > 3 or not all(len(digits) == 3 for digits in others):
        return True
    with suppress(UserError):
        return spec.parse(text) is None
    return True


def several(spec: FieldSpec, text: str) -> tuple[Number, ...]:
    """Return the values that a text stands for; raise `UserError` that says what is wrong with it."""
    found: list[Number] = []
    for part in text.split(","):
        found.extend(_range(spec, part) if ".." in part else [spec.parse(part)])
        if len(found) > MOST:
            raise UserError(f"{spec.path} has more than {MOST} values, and a group has {MOST} runs at most.")
    if None in found:
        raise UserError(f"{spec.path} takes numbers where it takes several values.")
    if twice := next((value for value in found if found.count(value) > 1), None):
        raise UserError(f"{spec.path} has {show(twice)} twice.")
    return tuple(found)


def _range(spec: FieldSpec, text: str) -> Sequence[int]:
    first, _, last = text.partition("..")
    if spec.type is not int:
        raise UserError(
            f"{spec.path} cannot be '{shortened(text)}': a range is of whole numbers. Give the values one by one."
        )
    low, high = spec.parse(first), spec.parse(last)
    if high < low:
        raise UserError(f"{spec.path} cannot be '{shortened(text)}': a range goes from the lower number to the higher.")
    return range(low, min(high, low + MOST) + 1)


def varying(kind: str, tree: Mapping[str, Any]) -> list[str]:
    """Return the settings in which the runs of a group may differ."""
    return [spec.path for spec in specs(kind, tree) if spec.groups]


def in_words(settings: Mapping[str, Number]) -> str:
    """Return the varied settings of a run in a few words: `seed 3, learning_rate 1e-3`."""
    return ", ".join(f"{path.partition('.')[2]} {show(value)}" for path, value in settings.items())
