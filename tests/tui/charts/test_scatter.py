"""Scatter plots: labels stand at their points, and the cursor goes from point to point."""

import math

import pytest

from torchtty.tui.charts.figure import Drawing
from torchtty.tui.charts.scatter import Scatter
from torchtty.tui.charts.style import ChartStyle

SQUARE = Scatter(
    ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)), ("a", "b", "c", "d"), ("near b", "near a", "near d", "near c")
)


def texts(drawing: Drawing) -> list[str]:
    return ["".join(part for part, _ in line) for line in drawing.lines]


@pytest.mark.parametrize("size", [(40, 12), (80, 20), (157, 40), (12, 5)])
def test_points_stand_where_they_lie(size: tuple[int, int]) -> None:
    lines = texts(SQUARE.draw(*size, None, ChartStyle()))
    assert len(lines) == size[1]
    places = {name: (line.index(name), y) for y, line in enumerate(lines[:-1]) for name in "abcd" if name in line}
    assert places["a"][0] == places["c"][0] < places["b"][0] == places["d"][0]
    assert places["c"][1] == places["d"][1] < places["a"][1] == places["b"][1]
    assert all(len(line) <= size[0] for line in lines[:-1])


def test_the_cursor_goes_to_the_nearest_point_in_a_direction_and_reads_it() -> None:
    assert SQUARE.moved(None, 1, 0) == (0, 0)
    assert SQUARE.moved((0, 0), 1, 0) == (1, 0)
    assert SQUARE.moved((0, 0), 0, -1) == (2, 0)
    assert SQUARE.moved((3, 0), 0, 1) == (1, 0)
    assert SQUARE.moved((0, 0), -1, 0) == (0, 0), "nothing lies there"
    assert texts(SQUARE.draw(60, 12, (1, 0), ChartStyle()))[0].startswith("b  (1.000, 0.000)  near a")


def test_a_click_finds_the_point_beside_it() -> None:
    drawing = SQUARE.draw(40, 12, None, ChartStyle())
    for y, line in enumerate(texts(drawing)[:-1]):
        for name in "abcd":
            if name in line:
                assert drawing.at(line.index(name), y) == ("abcd".index(name), 0)
    assert drawing.at(20, 6) is None


def test_ways_of_the_point_under_the_cursor_are_drawn_and_nothing_breaks_on_odd_numbers() -> None:
    moving = Scatter(((0.0, 0.0), (1.0, 1.0)), ("a", "b"), ways=(((0.5, 0.5),), ((0.2, 0.8),)))
    assert sum(line.count("·") for line in texts(moving.draw(40, 12, (0, 0), ChartStyle()))) == 1
    odd = Scatter(((math.nan, 0.0), (2.0, 2.0)), ("\x1b", "漢"))
    assert not any("\x1b" in line for line in texts(odd.draw(40, 12, (1, 0), ChartStyle())))
    single = Scatter(((2.0, 2.0),), ("a",))
    assert any("a" in line for line in texts(single.draw(40, 12, None, ChartStyle()))[1:-1])


def test_every_point_is_reached_also_of_those_that_lie_on_each_other() -> None:
    crowded = Scatter(((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (5.0, 1.0)), tuple("abcd"))
    cursor, seen = crowded.moved(None, 0, 0), set()
    for _ in crowded.points:
        assert cursor is not None
        seen.add(crowded.labels[cursor[0]])
        cursor = crowded.moved(cursor, 0, 8)
    assert seen == set("abcd")
    assert crowded.moved((0, 0), 0, -8) == (3, 0)
