"""Where the cursor of a chart can stand: at the steps of its longest series."""

from torchtty.tui.charts.frame import Frame
from torchtty.tui.charts.picture import Picture
from torchtty.tui.charts.series import STEP, Series


def longest(picture: Picture) -> Series | None:
    """Return the series whose points the cursor visits: the one with the most, or None without points."""
    series = max(picture.series, key=len, default=None)
    return series if series is not None and len(series) else None


def end(picture: Picture, side: int) -> float | None:
    """Return the first (0) or the last (1) step."""
    series = longest(picture)
    bounds = series.bounds() if series else None
    return bounds[side] if bounds else None


def at_column(picture: Picture, frame: Frame, column: int) -> float | None:
    """Return the step nearest to a column of a frame, or None outside of its curves."""
    series, field = longest(picture), frame.field
    if series is None or field is None or not 0 <= column - field.left < field.width:
        return None
    index = series.nearest(field.x.value((column - field.left + 0.5) / field.width), frame.coordinate)
    return series.x(index) if index is not None else None


def moved(picture: Picture, frame: Frame, by: int) -> float | None:
    """Return the step `by` columns away from the cursor, and at least a point further; without a cursor the last step."""
    series, field = longest(picture), frame.field
    if series is None or field is None:
        return picture.cursor
    if picture.cursor is None:
        return end(picture, 1)
    here = series.nearest(picture.cursor)
    if here is None:
        return picture.cursor
    coordinate = frame.coordinate if frame.coordinate in series.coordinates else STEP
    column = int(field.x.fraction(series.x(here, coordinate)) * field.width)
    there = series.nearest(field.x.value((column + by + 0.5) / field.width), coordinate)
    there = here if there is None else there
    if (there - here) * by <= 0:
        there = here + by
    return series.x(min(max(there, 0), len(series) - 1))
