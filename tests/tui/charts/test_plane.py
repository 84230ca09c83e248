"""A plane: curves and dots over two free axes."""

from rich.style import Style

from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.plane import Dot, Plane, PlaneCurve, draw
from torchtty.tui.charts.style import ChartStyle, Line

RED, BLUE = "#ff0000", "#0000ff"
SIZE = (60, 16)


def text(lines: tuple[Line, ...]) -> list[str]:
    return ["".join(part for part, _ in line) for line in lines]


def cells(lines: tuple[Line, ...], colour: str) -> list[tuple[int, int]]:
    """The places (x, y) that are drawn in a colour."""
    found = []
    for y, line in enumerate(lines):
        x = 0
        for part, style in line:
            if style.color == Style(color=colour).color:
                found += [(x + i, y) for i, character in enumerate(part) if character != " "]
            x += len(part)
    return found


def test_every_line_is_as_wide_as_asked_and_the_axes_are_labelled() -> None:
    lines = draw(Plane(Axis(-2, 2), Axis(0, 4), x_title="x", y_title="loss"), *SIZE)
    shown = text(lines)
    assert {len(line) for line in shown} == {SIZE[0]}
    assert len(shown) == SIZE[1]
    assert shown[0].startswith("loss")
    assert shown[0].endswith("x")
    assert all(label in shown[-1] for label in ("-2", "-1", "0", "1", "2"))


def test_a_curve_is_drawn_where_it_lies_and_left_out_where_it_leaves_the_axes() -> None:
    rising = PlaneCurve(tuple((x / 10, x / 10) for x in range(-20, 21)), RED)
    places = cells(draw(Plane(Axis(-2, 2), Axis(-1, 1), (rising,)), *SIZE), RED)
    columns = [x for x, _ in places]
    left, width = 5, SIZE[0] - 5
    assert left + width / 4 - 2 <= min(columns) <= left + width / 4 + 2, "it enters at x = -1"
    assert left + width * 3 / 4 - 2 <= max(columns) <= left + width * 3 / 4 + 2, "and leaves at x = 1"
    assert sorted(places, key=lambda place: (place[0], -place[1]))[0][1] > SIZE[1] / 2, "low on the left"
    assert cells(draw(Plane(Axis(-2, 2), Axis(5, 6), (rising,)), *SIZE), RED) == []


def test_a_curve_that_comes_back_is_not_joined_across_where_it_was_out_of_sight() -> None:
    hill = PlaneCurve(tuple((x / 10, 3 - abs(x / 10)) for x in range(-20, 21)), RED)
    columns = {x for x, _ in cells(draw(Plane(Axis(-2, 2), Axis(0, 2), (hill,)), *SIZE), RED)}
    middle = 5 + (SIZE[0] - 5) // 2
    assert not columns & set(range(middle - 8, middle + 8))
    assert min(columns) < middle - 8 < middle + 8 < max(columns)


def test_a_dot_stands_over_the_curve_with_its_text_beside_it() -> None:
    flat = PlaneCurve(((-2.0, 0.0), (2.0, 0.0)), RED)
    lines = draw(Plane(Axis(-2, 2), Axis(-1, 1), (flat,), (Dot((0, 0.5), "●", BLUE, "here"),)), *SIZE)
    row = next(line for line in text(lines) if "●" in line)
    assert "● here" in row
    (x, _), *_ = cells(lines, BLUE)
    assert abs(x - (5 + (SIZE[0] - 5) / 2)) <= 1
    outside = draw(Plane(Axis(-2, 2), Axis(-1, 1), (flat,), (Dot((0, 7), "●", BLUE),)), *SIZE)
    assert "●" not in "".join(text(outside))


def test_colours_lie_behind_the_plot_only_where_there_are_colours() -> None:
    plane = Plane(Axis(0, 1), Axis(0, 1), behind=lambda x, y: RED if y > 0.5 else BLUE)

    def behind(style: ChartStyle) -> list[str]:
        return [str(part.bgcolor.name) for line in draw(plane, *SIZE, style) for _, part in line if part.bgcolor]

    assert behind(ChartStyle()) == [RED] * 6 + [BLUE] * 7  # from the top; the plot has 13 rows
    assert behind(ChartStyle(colour=False)) == []


def test_a_terminal_without_unicode_gets_ascii_and_a_small_place_blanks() -> None:
    plane = Plane(Axis(0, 1), Axis(0, 1), (PlaneCurve(((0, 0), (1, 1)), RED),), (Dot((0.5, 0.5), "●", BLUE),))
    assert "".join(text(draw(plane, *SIZE, ChartStyle(colour=False, unicode=False)))).isascii()
    assert set("".join(text(draw(plane, 8, 4)))) == {" "}
