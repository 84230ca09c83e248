"""An input of numbers: the arrow keys step the number under the cursor."""

import re
from typing import ClassVar

from textual.binding import Binding, BindingType

from torchtty.tui.shell.inputs import OrderedInput

STEP = "Step the number under the cursor; its curve is drawn below"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


class NumbersInput(OrderedInput):
    """Numbers in rows, parted by blanks and semicolons."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(1)", "step", id="numbers.up", key_display="↑↓", tooltip=STEP),
        Binding("down", "step(-1)", "step down", show=False, id="numbers.down", tooltip=STEP),
    ]

    def place(self) -> tuple[int, int]:
        """Return the row and column of the number at or before the cursor."""
        before = self.value[: self.cursor_position]
        found = self._at_cursor()
        start = found.start() if found else len(before)
        row = self.value[:start].count(";")
        in_row = self.value[:start].rpartition(";")[2]
        return row, len(in_row.replace(",", " ").split())

    def _at_cursor(self) -> "re.Match[str] | None":
        """Return the number that the cursor is in, else the last one before it, else the first."""
        numbers = list(_NUMBER.finditer(self.value))
        touching = [found for found in numbers if found.start() <= self.cursor_position <= found.end()]
        earlier = [found for found in numbers if found.end() < self.cursor_position]
        return next(iter([*touching[:1], *earlier[-1:], *numbers[:1]]), None)

    def action_step(self, by: int) -> None:
        """Step the number by a tenth, or by 1 where it is whole and large or a class."""
        found = self._at_cursor()
        if found is None:
            return
        whole = "." not in found.group() and "e" not in found.group().lower()
        step = 1 if whole and (self.has_class("whole") or abs(float(found.group())) >= 10) else 0.1
        value = float(found.group()) + by * step
        text = str(round(value)) if step == 1 else f"{value:.{max(1, len(found.group().partition('.')[2]))}f}"
        text = text.removeprefix("-") if not float(text) else text
        self.value = self.value[: found.start()] + text + self.value[found.end() :]
        self.cursor_position = found.start() + len(text)
