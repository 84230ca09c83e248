"""Zooming and panning: the part of the axes that a chart shows."""

from dataclasses import dataclass, replace

from torchtty.tui.charts.axes import Axis

Range = tuple[float, float]
ZOOM = 0.6  # what is left of a range after one step of zooming in
PAN = 0.2  # how far one step goes, as a share of what is shown
MOST_ZOOM = 1e-7  # the least share of the whole axis that is shown


@dataclass(frozen=True)
class Window:
    """The ranges that are shown, in the units of the axes; None shows all, and follows the data."""

    x: Range | None = None
    y: Range | None = None

    def __bool__(self) -> bool:
        return self.x is not None or self.y is not None

    def zoomed_x(self, by: int, shown: Axis, whole: Axis, at: float) -> "Window":
        """Zoom in (`by` above zero) or out around a place of the axis, a fraction; all of it again is no window."""
        return replace(self, x=_within(_zoomed(shown, by, at), whole))

    def panned_x(self, by: int, shown: Axis, whole: Axis, reaching: float | None = None) -> "Window":
        """Move to the right (`by` above zero) or the left, at least so far that a place is in view, and not beyond the ends."""
        if self.x is None:
            return self
        first, last = whole.fraction(shown.low), whole.fraction(shown.high)
        move = by * PAN * (last - first)
        if reaching is not None:
            move += whole.fraction(reaching) - (last if by > 0 else first)
        move = min(max(move, -first), 1 - last)
        return replace(self, x=(whole.value(first + move), whole.value(last + move)))

    def zoomed_y(self, by: int, shown: Axis, at: float) -> "Window":
        """Zoom in or out around a place of the axis; it may go beyond the data."""
        return replace(self, y=_zoomed(shown, by, at))

    def panned_y(self, by: int, shown: Axis) -> "Window":
        """Move up (`by` above zero) or down."""
        return replace(self, y=(shown.value(by * PAN), shown.value(1 + by * PAN)))


EVERYTHING = Window()


def _zoomed(shown: Axis, by: int, at: float) -> Range:
    kept = ZOOM**by
    at = min(max(at, 0.0), 1.0)
    low, high = shown.value(at * (1 - kept)), shown.value(at * (1 - kept) + kept)
    return (low, high) if high > low else (shown.low, shown.high)


def _within(wanted: Range, whole: Axis) -> Range | None:
    """Return a range moved inside an axis; None where it is all of it."""
    low, high = (whole.fraction(end) for end in wanted)
    size = high - low
    if size >= 1 - 1e-9:
        return None
    size = max(size, MOST_ZOOM)
    low = min(max(low, 0.0), 1 - size)
    return whole.value(low), whole.value(low + size)
