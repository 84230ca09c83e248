"""What a frame of a chart shows, and where in it the curves lie."""

from dataclasses import dataclass

from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.look import PLAIN, Look
from torchtty.tui.charts.series import STEP, Series


@dataclass(frozen=True)
class Reference:
    """A horizontal line: what a model would reach by chance, by counting letters, ..."""

    title: str
    value: float


@dataclass(frozen=True)
class Mark:
    """A vertical line at a step where something was changed."""

    step: float
    title: str = ""


@dataclass(frozen=True)
class Picture:
    """Everything a frame shows. The series are read while it is built; all else is fixed."""

    width: int
    height: int
    title: str = ""
    series: tuple[Series, ...] = ()
    references: tuple[Reference, ...] = ()
    marks: tuple[Mark, ...] = ()
    coordinate: str = STEP
    x_max: float | None = None
    """Where the x axis ends (steps); None, and every other coordinate, follows the data."""
    log_x: bool = False
    log_y: bool = False
    smoothing: float = 0.0
    """The time constant in steps; 0 draws the points as they are."""
    cursor: float | None = None
    """The step the cursor stands at."""
    placeholder: str = ""
    look: Look = PLAIN


@dataclass(frozen=True)
class Field:
    """Where in a frame the curves lie, in cells, and the axes they are drawn against."""

    left: int
    top: int
    width: int
    height: int
    x: Axis
    y: Axis

    def column(self, fraction: float) -> int:
        """Return the column of the frame at a place on the x axis, the nearest one for places outside."""
        return self.left + min(max(int(fraction * self.width), 0), self.width - 1)

    def row(self, fraction: float) -> int:
        """Return the row of the field, counted from its top, at a place on the y axis."""
        return self.height - 1 - min(max(int(fraction * self.height), 0), self.height - 1)
