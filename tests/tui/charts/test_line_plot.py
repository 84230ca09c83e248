"""Line plots: points stand where they lie, and the cursor reads them."""

import pytest

from torchtty.tui.charts.figure import Drawing
from torchtty.tui.charts.line_plot import LinePlot
from torchtty.tui.charts.style import ChartStyle

FALLING = LinePlot(
    tuple((float(x), 10.0 - x) for x in range(11)),
    marks=((5.0, "here"),),
    x_axis="rate",
    y_axis="loss",
    read=lambda at: f"at {at}",
)


def texts(drawing: Drawing) -> list[str]:
    return ["".join(part for part, _ in line) for line in drawing.lines]


@pytest.mark.parametrize("size", [(40, 12), (80, 20), (20, 6), (157, 40)])
@pytest.mark.parametrize("unicode", [True, False])
def test_it_falls_from_the_left_top_to_the_right_bottom(size: tuple[int, int], unicode: bool) -> None:
    lines = texts(FALLING.draw(*size, None, ChartStyle(unicode=unicode, colour=unicode)))
    assert len(lines) == size[1]
    plot = lines[1:-2]
    filled = [[x for x, character in enumerate(line[9:]) if character not in " ┊|here"] for line in plot]
    first, last = next(row for row in filled if row), [row for row in filled if row][-1]
    assert first[0] < 3
    assert last[-1] >= size[0] - 12
    assert all(len(line) <= size[0] for line in lines)
    assert unicode or all(line.isascii() for line in lines)
    assert any("here" in line for line in lines) or size[0] < 30


def test_the_cursor_goes_along_the_points() -> None:
    assert FALLING.moved(None, 1, 0) == (1, 0)
    assert FALLING.moved((10, 0), 1, 0) == (10, 0)
    assert FALLING.moved((3, 0), -9999, 0) == (0, 0)
    drawing = FALLING.draw(80, 20, (7, 0), ChartStyle())
    assert "at 7" in texts(drawing)[0]
    assert sum(line.count("●") for line in texts(drawing)) == 1
    assert drawing.at(79, 5) == (10, 0)
    assert drawing.at(3, 5) is None


def test_a_marks_name_stands_over_the_curve_and_left_of_the_mark_where_the_right_has_no_room() -> None:
    names = ("own", "suggested 0.088")
    plot = LinePlot(FALLING.points, marks=((9.0, names[0]), (9.5, names[1])))
    for style in (ChartStyle(), ChartStyle(unicode=False, colour=False)):
        lines = texts(plot.draw(50, 14, None, style))
        assert all(any(name in line for line in lines) for name in names), lines


def test_ticks_stand_at_the_places_that_are_named() -> None:
    plot = LinePlot(FALLING.points, label=lambda x: f"{x:.0f}", ticks=(0.0, 3.0, 9.0))
    drawing = plot.draw(60, 12, (3, 0), ChartStyle())
    labels = texts(drawing)[-2]
    assert labels.split() == ["0", "3", "9"]
    assert labels.index("3") == max(line.find("●") for line in texts(drawing)[1:-2])
