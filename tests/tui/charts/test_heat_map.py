"""Heat maps: every value has its colour or its shade, the cursor reads it, and what does not fit is scrolled to."""

import math

import pytest
from rich.color import Color

from torchtty.tui.charts.colours import BRIGHTENING, DIVERGING, Scale, scale_for
from torchtty.tui.charts.figure import Drawing
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.charts.style import ChartStyle

COLOURED, PLAIN, ASCII = ChartStyle(), ChartStyle(colour=False), ChartStyle(colour=False, unicode=False)


def pairs(rows: int, columns: int) -> HeatMap:
    """A map whose value at (row, column) is row + column / 100."""
    values = tuple(tuple(row + column / 100 for column in range(columns)) for row in range(rows))
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [letters[place % 26] for place in range(max(rows, columns))]
    return HeatMap(
        values,
        tuple(names[:rows]),
        tuple(names[:columns]),
        scale_for(values),
        "first",
        "second",
        lambda row, column, value: f"{names[row]}→{names[column]} {value:.2f}",
    )


def texts(drawing: Drawing) -> list[str]:
    return ["".join(part for part, _ in line) for line in drawing.lines]


def colours_of(drawing: Drawing, y: int) -> list[tuple[Color | None, Color | None]]:
    """The foreground and background of every cell of a line."""
    return [(style.color, style.bgcolor) for text, style in drawing.lines[y] for _ in text]


class TestScale:
    def test_it_goes_from_the_least_to_the_greatest(self) -> None:
        scale = scale_for([[2.0, math.nan], [6.0, 4.0]])
        assert [scale.place(value) for value in (2, 4, 6, 1, 9)] == [0, 0.5, 1, 0, 1]
        assert "#{:02x}{:02x}{:02x}".format(*scale.colour(2)) == BRIGHTENING[0]
        assert "#{:02x}{:02x}{:02x}".format(*scale.colour(6)) == BRIGHTENING[-1]

    def test_logarithms_and_roots_bend_it(self) -> None:
        assert Scale(1e-4, 1.0, "log").place(1e-2) == pytest.approx(0.5)
        assert Scale(0.0, 1.0, "sqrt").place(0.25) == pytest.approx(0.5)

    def test_one_that_diverges_has_nought_in_the_middle(self) -> None:
        scale = scale_for([[-1.0, 4.0]], diverging=True)
        assert (scale.low, scale.high, scale.place(0)) == (-4, 4, 0.5)
        assert "#{:02x}{:02x}{:02x}".format(*scale.colour(0)) == DIVERGING[3]

    def test_shades_fill_with_the_value(self) -> None:
        scale = Scale(0, 1)
        assert "".join(scale.shade(place / 10) for place in range(11)) == "  ░░▒▒▓▓███"
        assert scale.shade(1, unicode=False) == "@"


class TestDrawing:
    def test_rows_that_fit_have_a_line_each_and_the_colours_of_their_values(self) -> None:
        shown = pairs(3, 4)
        drawing = shown.draw(80, 6, None, COLOURED)
        assert len(drawing.lines) == 6
        assert "first ↓  second →" in texts(drawing)[0]
        assert texts(drawing)[1].split() == ["a", "b", "c", "d"]
        row = colours_of(drawing, 3)[2:]
        assert row[0][1] == Color.from_rgb(*shown.scale.colour(1.0))
        assert row[-1][1] == Color.from_rgb(*shown.scale.colour(1.03))

    def test_two_rows_share_a_line_where_room_is_short(self) -> None:
        shown = pairs(20, 20)
        drawing = shown.draw(80, 13, None, COLOURED)
        assert len(drawing.lines) == 13, "ten lines of rows"
        first = colours_of(drawing, 2)[-1]
        assert first == tuple(Color.from_rgb(*shown.scale.colour(row + 0.19)) for row in (0, 1))
        assert texts(drawing)[2].startswith("a b ▀")

    def test_without_colour_it_is_shades_and_without_unicode_ascii(self) -> None:
        drawing = pairs(5, 5).draw(80, 8, None, PLAIN)
        assert {style.color for line in drawing.lines[2:7] for _, style in line} == {None}
        assert texts(drawing)[2].split() == ["a"], "the least is blank"
        assert texts(drawing)[6].split()[1] == "█" * 30
        assert all(text.isascii() for text in texts(pairs(5, 5).draw(80, 8, None, ASCII)))

    def test_the_scale_says_where_values_lie_beyond_it(self) -> None:
        def scale_of(*values: float, low: float = -5.0, high: float = -1.0, style: ChartStyle = COLOURED) -> str:
            shown = HeatMap((values,), ("x",), tuple("abcd"[: len(values)]), Scale(low, high, diverging=True))
            return " ".join(texts(shown.draw(60, 4, None, style))[-1].split())

        assert scale_of(-5.0, -1.0, math.nan) == "-5.000 -1.000"
        assert scale_of(-5.1, -2.0) == "≤ -5.000 -1.000"
        assert scale_of(-3.0, 0.5) == "-5.000 ≥ -1.000"
        assert scale_of(-7.0, 0.5) == "≤ -5.000 ≥ -1.000"
        assert scale_of(-7.0, 0.5, style=ASCII).startswith("<= -5.000 ")
        assert ">= -1.000" in scale_of(-7.0, 0.5, style=ASCII)

    def test_a_narrow_one_keeps_both_ends_of_its_scale_and_the_part_in_view(self) -> None:
        shown = pairs(29, 29)
        shown = HeatMap(
            shown.values, tuple(f"token {row}" for row in range(29)), shown.columns, shown.scale, "first", "then"
        )
        lines = texts(shown.draw(32, 9, None, COLOURED))
        assert len(lines[-1]) <= 32
        assert lines[-1].split() == ["0.000", "28.28"]
        assert "1-12/29 ↓" in lines[0]
        assert "1-23/29 →" in lines[0]

    def test_long_names_of_weights_stay_apart(self) -> None:
        names = [
            f"blocks.{block}.{part}"
            for block in (0, 1)
            for part in ("attention.query_key_value", "attention.projection", "feed_forward.projection")
        ]
        shown = HeatMap(tuple((float(row),) for row in range(6)), tuple(names), ("1",), Scale(0, 6))

        def labels(width: int, style: ChartStyle = COLOURED) -> list[str]:
            return [text.split()[0] for text in texts(shown.draw(width, 9, None, style))[2:8]]

        assert labels(200)[:2] == ["b.0.a.query_key_value", "b.0.a.projection"]
        assert labels(60)[:3] == ["b.0.a.…ey_value", "b.0.a.…ojection", "b.0.f.…ojection"]
        assert len(set(labels(48))) == 6
        assert all(label.isascii() for label in labels(48, ASCII))

    def test_what_is_no_number_stays_empty(self) -> None:
        shown = HeatMap(((math.nan, 1.0),), ("x",), ("a", "b"), Scale(0, 1))
        assert shown.reading((0, 0)) == "x, a  none"
        assert "#" in shown.draw(40, 4, None, ASCII).lines[2][-1][0] or "@" in texts(shown.draw(40, 4, None, ASCII))[2]

    def test_numbers_stand_in_cells_that_are_wide_enough(self) -> None:
        values = ((0.25, 0.75),)
        wide = HeatMap(values, ("q",), ("u", "v"), scale_for(values), write=lambda value: f"{value:.2f}")
        assert texts(wide.draw(40, 4, None, COLOURED))[2].split() == ["q", "0.25", "0.75"]
        assert "0.25" not in texts(wide.draw(8, 4, None, COLOURED))[2]

    @pytest.mark.parametrize(("width", "height"), [(20, 6), (40, 10), (77, 15), (157, 40), (8, 4), (1, 1)])
    @pytest.mark.parametrize("style", [COLOURED, PLAIN, ASCII])
    def test_no_line_is_wider_than_the_room_where_there_is_some(
        self, width: int, height: int, style: ChartStyle
    ) -> None:
        for shown in (pairs(27, 27), pairs(2, 60), pairs(60, 2)):
            drawing = shown.draw(width, height, (1, 1), style)
            if height >= 4:
                assert len(drawing.lines) <= height
            if width >= 40:
                assert all(len(text) <= width for text in texts(drawing))

    def test_labels_never_act_on_the_terminal(self) -> None:
        shown = HeatMap(((1.0,),), ("\x1b[2J",), ("\n",), Scale(0, 1), "\x07", "\u202e")
        assert not set("\x1b\n\x07\u202e") & set("".join(texts(shown.draw(60, 5, (0, 0), COLOURED))))


class TestCursor:
    def test_it_reads_the_value_where_it_stands(self) -> None:
        shown = pairs(20, 20)
        assert shown.moved(None, 1, 0) == (0, 0), "it appears first"
        assert shown.moved((0, 0), 1, 0) == (0, 1)
        assert shown.moved((19, 3), -99, 4) == (19, 0)
        assert shown.reading((3, 7)) == "d→h 3.07"
        assert texts(shown.draw(80, 13, (3, 7), COLOURED))[0].startswith("d→h 3.07 ")

    @pytest.mark.parametrize("style", [COLOURED, PLAIN])
    def test_it_stays_in_view_and_says_what_is(self, style: ChartStyle) -> None:
        shown = pairs(60, 60)
        for cursor in ((0, 0), (59, 59), (30, 5)):
            drawing = shown.draw(50, 13, cursor, style)
            rows = {place[0] for y in range(13) if (place := drawing.at(10, y)) is not None}
            assert any(abs(row - cursor[0]) <= (style is COLOURED) for row in rows), "a line stands for two rows"
            assert "/60 ↓" in texts(drawing)[0]
            assert "/60 →" in texts(drawing)[0]

    def test_a_click_finds_the_cell_that_is_drawn_there(self) -> None:
        shown = pairs(4, 5)
        drawing = shown.draw(80, 7, None, COLOURED)
        styles = colours_of(drawing, 4)
        for x in range(2, 32):
            cursor = drawing.at(x, 4)
            assert cursor is not None
            assert styles[x][1] == Color.from_rgb(*shown.scale.colour(shown.values[cursor[0]][cursor[1]]))
        assert drawing.at(0, 4) is drawing.at(5, 0) is drawing.at(70, 4) is None
