"""A chart of the loss that stands still, for summaries: as wide as the terminal."""

from collections.abc import Sequence
from math import inf, isfinite

import plotext
from rich.text import Text

from torchtty.tui.charts.axes import Axis, count_label, decimal_label, ticks
from torchtty.tui.charts.palette import ASCII, TRAIN, VALID

Points = Sequence[tuple[float, float]]


def loss_chart(train: Points, validation: Points, width: int, height: int, *, unicode: bool = True) -> list[Text]:
    """Draw both losses over the steps as lines of `width` cells; nothing where there is no line to draw.

    The training loss is averaged over each column, since its single points are noise at this size.
    """
    finite = [(x, y) for x, y in (*train, *validation) if isfinite(y)]
    if len({x for x, _ in finite}) < 2 or width < 30 or height < 5:
        return []
    x_axis = Axis(min(x for x, _ in finite), max(x for x, _ in finite))
    columns, rows = width - 8, height - 2
    curves = [(_averaged(train, x_axis, columns), TRAIN, 0), (_sane(validation), VALID, 1)]
    heights = [y for points, _, _ in curves for _, y in points]
    low, high = min(heights), max(heights)
    margin = (high - low) * 0.04 or max(abs(high), 1.0) * 0.05
    y_axis = Axis(low - margin, high + margin)
    canvas = _canvas(curves, x_axis, y_axis, columns, rows, unicode)
    return [*_with_scale(canvas, y_axis, rows), *_floor(x_axis, columns)]


def legend(unicode: bool = True) -> Text:
    """Return a line that tells the curves apart."""
    signs = ("━", "━") if unicode else ASCII
    return Text.assemble(
        (signs[0], TRAIN), " train  ", (signs[1], VALID), " validation", ("   loss in nats over steps", "dim")
    )


def _sane(points: Points) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if isfinite(y)]


def _averaged(points: Points, axis: Axis, columns: int) -> list[tuple[float, float]]:
    sums: dict[int, tuple[float, float, int]] = {}
    for x, y in _sane(points):
        column = min(columns - 1, int(axis.fraction(x) * columns))
        total_x, total_y, count = sums.get(column, (0.0, 0.0, 0))
        sums[column] = (total_x + x, total_y + y, count + 1)
    return [(total_x / count, total_y / count) for _, (total_x, total_y, count) in sorted(sums.items())]


def _canvas(
    curves: list[tuple[list[tuple[float, float]], str, int]],
    x_axis: Axis,
    y_axis: Axis,
    columns: int,
    rows: int,
    unicode: bool,
) -> list[Text]:
    # A terminal and a figure of our own: plotext's module-level ones are shared state.
    figure = type(plotext.figure)(parent=type(plotext.terminal)().limit(False, False))
    figure.plot_size(columns, rows)
    figure.canvas("default")
    figure.axes(False)
    figure.ruler("x").frequency(0).lim(x_axis.low, x_axis.high)
    figure.ruler("y").frequency(0).lim(y_axis.low, y_axis.high)
    for points, colour, index in curves:
        if not points:
            continue
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        marker = plotext.marker("braille" if unicode else ASCII[index], pixel=(red, green, blue))
        signal = figure.signal([x for x, _ in points], [y for _, y in points], marker=marker)
        if len(points) > 1:
            signal.lines()
        figure.draw(signal)
    return [Text.from_ansi(line) for line in figure.build().string().splitlines()[:rows]]


def _with_scale(canvas: list[Text], axis: Axis, rows: int) -> list[Text]:
    labels: dict[int, str] = {}
    for tick in ticks(axis, max(3, rows // 2), decimal_label):
        row = rows - 1 - min(rows - 1, int(axis.fraction(tick.position) * rows))
        labels.setdefault(row, tick.label)
    lines = []
    for row, drawn in enumerate(canvas):
        label = labels.get(row, "")
        lines.append(Text.assemble((f"{label:>6} ", "dim"), ("┤" if label else "│", "dim"), drawn))
    return lines


def _floor(axis: Axis, columns: int) -> list[Text]:
    rule, labels, end = ["─"] * columns, [" "] * (columns + 4), -inf
    for tick in ticks(axis, max(2, columns // 14), count_label):
        column = min(columns - 1, int(axis.fraction(tick.position) * columns))
        start = max(0, column - len(tick.label) // 2)
        start = min(start, columns - len(tick.label))
        if start <= end + 1:
            continue
        rule[column] = "┬"
        labels[start : start + len(tick.label)] = tick.label
        end = start + len(tick.label)
    return [
        Text(" " * 7 + "└" + "".join(rule), "dim"),
        Text(" " * 8 + "".join(labels).rstrip(), "dim"),
    ]
