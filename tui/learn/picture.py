"""A table as a heat map over the page, and the positional encoding of many positions as one."""

import math
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from torchtty.engine.contract.learn.tables import Table
from torchtty.engine.contract.learn.walkthrough import positional_encoding
from torchtty.tui.charts.colours import scale_for
from torchtty.tui.charts.figure import FigureView
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.learn.table_view import decimals_of, written

POSITIONS, DIMENSIONS = 64, 64  # of the picture: as in a small model
PATTERN = (
    f"The positional encoding of {POSITIONS} positions in a model of {DIMENSIONS} numbers a word. Each row is the pattern of a "
    "position: on the left it changes from word to word, on the right hardly at all, like the hands of many clocks."
)
LIKENESS = (
    "The dot product of the patterns of every two positions: large for neighbours and falling with their distance, which is how "
    "attention can tell near from far."
)


class Picture(ModalScreen[None]):
    """Shows a table in colours; the cursor reads every value."""

    DEFAULT_CSS = """
    Picture { align: center middle; }
    Picture > Vertical { width: 96%; height: 96%; background: $surface; border: round $border; padding: 0 1; }
    Picture #picture-about { height: auto; margin-bottom: 1; }
    Picture #picture-keys { height: 1; color: $foreground 60%; text-align: right; width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,v,q", "dismiss", "close", key_display="esc", id="picture.close"),
        Binding("s", "likeness", "how alike", id="picture.likeness", tooltip="The patterns, or how alike any two are"),
    ]

    def __init__(self, table: Table, title: str, about: str) -> None:
        super().__init__()
        self._table, self._title, self._about = table, title, about
        self._of_positions = table.key == "positions"
        self._likeness = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(id="picture-about")
            yield FigureView()
            keys = "arrows read  " + ("s how alike they are  " if self._of_positions else "") + "esc closes"
            yield Static(keys, id="picture-keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(FigureView).focus()
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return self._of_positions if action == "likeness" else True

    def action_likeness(self) -> None:
        self._likeness = not self._likeness
        self._show()

    def _show(self) -> None:
        about = (LIKENESS if self._likeness else PATTERN) if self._of_positions else self._about
        self.query_one("#picture-about", Static).update(Content.assemble((f"{self._title}. ", "bold"), about))
        self.query_one(FigureView).show(self._figure())

    def _figure(self) -> HeatMap:
        if not self._of_positions:
            return heat_map(self._table)
        patterns = positional_encoding(POSITIONS, DIMENSIONS)
        places = tuple(map(str, range(POSITIONS)))
        if self._likeness:
            alike = tuple(tuple(sum(map(float.__mul__, one, other)) for other in patterns) for one in patterns)
            return HeatMap(alike, places, places, scale_for(alike), "position", "position")
        columns = tuple(map(str, range(DIMENSIONS)))
        scale = scale_for(patterns, diverging=True)
        return HeatMap(patterns, places, columns, scale, "position", "column")

    @on(FigureView.CursorMoved)
    def _moved(self, event: FigureView.CursorMoved) -> None:
        event.stop()


def heat_map(table: Table) -> HeatMap:
    """Return a table of numbers as a heat map, with 0 in the middle where some are negative."""
    values = tuple(tuple(table.line(row)) for row in range(len(table.rows)))
    negative = any(value < 0 for row in values for value in row if math.isfinite(value))
    decimals = min(decimals_of(table), 2)
    return HeatMap(
        values,
        table.rows,
        table.columns,
        scale_for(values, diverging=negative),
        write=lambda value: written(value, decimals),
    )
