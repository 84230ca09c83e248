"""Zooming, hiding, reading in other units, and what is cut off: a chart is looked at in many ways."""

import asyncio
import math
from dataclasses import replace

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.events import MouseScrollUp

from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.chart import Chart
from torchtty.tui.charts.frame import Frame, FrameBuilder
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.spec import ChartSpec, Reference
from torchtty.tui.charts.style import TRAIN, VALID, ChartStyle
from torchtty.tui.charts.units import loss_units
from torchtty.tui.charts.window import Window


def falling(name: str = "train", start: float = 28.0, points: int = 1000, **options: bool) -> Series:
    """A loss that begins very high, as a network with large first weights does."""
    series = Series(name, **options)
    steps = range(1, points + 1)
    values = [2.2 + 0.5 * math.exp(-i / 400) + (start - 2.7) * math.exp(-i / 10) for i in steps]
    series.extend(steps, values, {"tokens": [i * 50.0 for i in steps], "seconds": [i / 100 for i in steps]})
    return series


def text(frame: Frame) -> list[str]:
    return ["".join(run for run, _ in line) for line in frame.lines]


def spec(**changes: object) -> ChartSpec:
    return replace(ChartSpec(100, 20, "loss", (falling(),), is_over=True), **changes)


# -- what the axes fit -----------------------------------------------------------------------------------------------


def test_the_first_points_do_not_squash_the_rest() -> None:
    frame = FrameBuilder().build(spec())
    assert 2.1 < frame.area.y.low <= 2.3
    assert 2.5 <= frame.area.y.high < 3.2
    assert "▲ up to 25." in text(frame)[1].replace("⢦⡀", "")
    assert FrameBuilder().build(spec(log_y=True)).area.y.high >= 25, "a logarithmic axis has room for all"


def test_a_curve_that_does_not_fall_far_is_shown_whole() -> None:
    gentle = Series("loss")
    gentle.extend(range(1000), [3.4 - i / 1000 for i in range(1000)])
    frame = FrameBuilder().build(ChartSpec(80, 20, "loss", (gentle,), is_over=True))
    assert (frame.area.y.low, frame.area.y.high) == (pytest.approx(2.4), pytest.approx(3.4))
    assert "▲" not in "".join(text(frame))


def test_what_is_cut_leaves_at_the_edge_and_is_not_drawn_along_it() -> None:
    high = Series("loss")
    high.extend(range(0, 1000, 50), [100.0] * 3 + [1 + i / 100 for i in range(17)])
    frame = FrameBuilder().build(ChartSpec(80, 20, "", (high,), is_over=True))
    first_row = text(frame)[1][frame.area.left :]
    assert set(first_row[:11]) <= set("▲ ⡇⢸⡆⢰⡀⢀"), first_row


def test_references_far_away_are_named_at_the_edge() -> None:
    references = (Reference("bigram", 2.45), Reference("chance", 9.0), Reference("oracle", 0.5))
    lines = text(FrameBuilder().build(spec(references=references)))
    assert lines[1].rstrip().endswith("↑ chance")
    assert "↓ oracle" in lines[-3]
    assert any(line.rstrip().endswith("┈ bigram") for line in lines[1:])


def test_two_curves_in_one_cell_do_not_mix_their_dots() -> None:
    one, other = Series("train", colour=TRAIN), Series("val", colour=VALID)
    one.extend(range(500), [2.0 + 0.004 * math.sin(i * 2.1) for i in range(500)])
    other.extend(range(0, 500, 50), [2.0] * 10)
    wide = ChartSpec(90, 12, "", (one, other), window=Window(y=(1.8, 2.2)))
    alone = FrameBuilder().build(replace(wide, series=(other,)))
    both = FrameBuilder().build(wide)

    def cells(frame: Frame) -> set[tuple[int, int, str]]:
        found = set()
        for y, line in enumerate(frame.lines[1:]):
            x = 0
            for part, style in line:
                if style == Style(color=VALID):
                    found |= {(x + at, y, sign) for at, sign in enumerate(part) if sign != " "}
                x += len(part)
        return found

    assert cells(alone)
    assert cells(both) == cells(alone), "the curve on top looks as if it were alone, in one colour all along"


# -- units, coordinates, hidden curves -------------------------------------------------------------------------------


def test_a_loss_is_read_in_nats_bits_per_character_and_perplexity() -> None:
    nats, bits, perplexity = loss_units(characters_per_token=2.0)
    last = falling().latest()
    for unit, value in ((nats, last), (bits, last / math.log(2) / 2), (perplexity, math.exp(last))):
        shown = spec(unit=unit, units=(nats, bits, perplexity), references=(Reference("bigram", 2.45),))
        frame = FrameBuilder().build(shown)
        assert f"{value:.3f}"[:5] in text(frame)[0]
        assert unit.name in text(frame)[0]
        assert frame.area.y.low <= value <= frame.area.y.high
    assert perplexity.of(1e6) == perplexity.of(1e5), "what overflows is drawn at the edge"
    assert [unit.name for unit in loss_units(None)] == ["nats", "perplexity"]


def test_epochs_are_counted_in_tokens_and_lie_where_those_do() -> None:
    epochs = spec(epoch=5000.0, coordinate="epochs", cursor=500)
    labels = text(FrameBuilder().build(epochs))[-1].split()
    assert labels[0] == "0"
    assert labels[-1] == "10", "50,000 tokens"
    tokens = FrameBuilder().build(replace(epochs, coordinate="tokens"))
    assert tokens.area.x == FrameBuilder().build(epochs).area.x
    assert spec(epoch=5000.0, coordinate="tokens").next_coordinate() == "epochs"
    assert spec(coordinate="tokens").next_coordinate() == "step", "nobody knows how long an epoch is"


def test_a_logarithmic_x_axis_begins_at_the_first_step() -> None:
    frame = FrameBuilder().build(spec(log_x=True))
    assert (frame.area.x.low, frame.area.x.high, frame.area.x.log) == (1, 1000, True)
    assert [label for label in text(frame)[-1].split() if label in ("1", "10", "100", "1k")] == ["1", "10", "100", "1k"]


def test_a_hidden_curve_leaves_the_plot_and_stays_in_the_legend() -> None:
    both = spec(series=(falling(), falling("val", start=3.0)))
    frame = FrameBuilder().build(replace(both, hidden=frozenset({"train"})))
    assert "train hidden" in text(frame)[0]
    assert "▲ up to 2.9" in text(frame)[1].replace("⢦⡀", ""), "the axis fits what is shown"
    column = text(frame)[0].index("train hidden")
    assert frame.series_at(column, 0) == "train"
    assert frame.series_at(column, 1) == ""
    none = FrameBuilder().build(replace(both, hidden=frozenset({"train", "val"})))
    assert none.area is None
    assert none.series_at(text(none)[0].index("val hidden"), 0) == "val"


def test_the_legend_takes_more_lines_for_many_curves_and_the_cursor_reads_all() -> None:
    curves = tuple(falling(f"run number {number}", start=3.0 + number) for number in range(9))
    frame = FrameBuilder().build(spec(series=curves, height=40, cursor=500))
    legend = "".join(text(frame)[: frame.area.top])
    assert frame.area.top > 1
    for number in range(9):
        assert f"run number {number} {curves[number].value(499):.3f}" in legend
    assert FrameBuilder().build(spec(series=curves, height=8)).area.top == 1, "a low chart keeps its rows"


def test_a_curve_that_ends_before_the_cursor_has_no_value_there() -> None:
    curves = (falling(), falling("short", points=100))
    assert "short –" in text(FrameBuilder().build(spec(series=curves, cursor=500)))[0]


# -- zooming ---------------------------------------------------------------------------------------------------------


def test_zooming_out_of_a_zoom_shows_everything_again_and_panning_stops_at_the_ends() -> None:
    whole = Axis(0.0, 1000.0)
    window = Window().zoomed_x(1, whole, whole, 0.25)
    low, high = window.x
    assert high - low == pytest.approx(600)
    assert low == pytest.approx(100), "what lay at a quarter lies there still"
    right = window
    for _ in range(9):
        right = right.panned_x(1, Axis(*right.x), whole)
    assert right.x == (pytest.approx(400), pytest.approx(1000))
    out = right.zoomed_x(-1, Axis(*right.x), whole, 0.5)
    assert out.x is None
    assert not out


@pytest.mark.parametrize("log", [False, True])
def test_a_window_shows_its_part_and_the_y_axis_fits_that(log: bool) -> None:
    zoomed = spec(window=Window(x=(600.0, 800.0)), log_x=log)
    frame = FrameBuilder().build(zoomed)
    assert (frame.area.x.low, frame.area.x.high) == (600, 800)
    assert frame.area.y.high - frame.area.y.low < 0.1
    columns = [x for line in text(frame)[1:-2] for x, sign in enumerate(line) if "⠁" <= sign <= "⣿"]
    assert (min(columns), max(columns)) == (frame.area.left, 99), "the line comes from outside and goes on there"


def test_a_line_between_two_points_outside_is_drawn_too() -> None:
    sparse = Series("val", smooth=False)
    sparse.extend([0, 1000], [3.0, 2.0])
    frame = FrameBuilder().build(ChartSpec(60, 12, "", (sparse,), window=Window(x=(400.0, 500.0), y=(2.4, 2.7))))
    assert any("⠁" <= sign <= "⣿" for line in text(frame)[1:-2] for sign in line)


class OneChart(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.chart = Chart("loss", series=[falling(), falling("val", start=3.0)], smoothing=0.01)

    def compose(self) -> ComposeResult:
        yield self.chart


async def until(condition, what: str) -> None:
    for _ in range(250):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


async def test_keys_and_wheel_zoom_pan_hide_and_bring_everything_back() -> None:
    app = OneChart()
    async with app.run_test(size=(100, 24)) as pilot:
        chart = app.chart
        chart.focus()
        await until(lambda: chart.frame.area is not None and chart.is_up_to_date, "a frame")
        whole = chart.frame.area.x
        assert not chart.check_action("whole", ())
        await pilot.press("plus", "plus")
        await until(lambda: chart.frame.area.x.high - chart.frame.area.x.low < 0.4 * whole.high, "the zoom")
        assert "zoomed" in chart.render_line(0).text
        low = chart.frame.area.x.low
        await pilot.press("right_square_bracket")
        await until(lambda: chart.frame.area.x.low > low, "the part to the right")
        await pilot.press("end")
        await until(lambda: chart.frame.area.x.high >= 999, "the cursor, which takes the window along")
        await pilot.press("0", "escape")
        await until(lambda: chart.frame.area.x == whole, "everything")
        x = chart.frame.area.left + 10
        chart.post_message(MouseScrollUp(chart, x, 5, 0, 0, 0, False, False, False, x, 5, Style()))
        await until(lambda: chart.frame.area.x.high < whole.high, "the zoom of the wheel")
        assert chart.frame.area.x.low == pytest.approx(0, abs=50), "around the pointer"
        await pilot.press("0", "1")
        await until(lambda: "train hidden" in chart.render_line(0).text, "the first curve to be hidden")
        await pilot.click(chart, offset=(chart.render_line(0).text.index("train hidden") + 2, 0))
        await until(lambda: "hidden" not in chart.render_line(0).text, "the curve, brought back by a click on its name")


async def test_the_level_of_smoothing_and_the_unit_are_on_the_screen() -> None:
    app = OneChart()
    async with app.run_test(size=(100, 24)) as pilot:
        app.chart.focus()
        app.chart.set_units(loss_units(1.0))
        await until(lambda: "nats · smoothed 1 %" in app.chart.render_line(0).text, "both")
        await pilot.press("S", "u", "L")
        await until(lambda: "bits/char · log x · smoothed 2 %" in app.chart.render_line(0).text, "the next ones")
        await pilot.press(*["s"] * 6)
        await until(lambda: "unsmoothed" in app.chart.render_line(0).text, "no smoothing")


def test_without_unicode_or_colour_all_of_it_holds_its_size() -> None:
    for style in (ChartStyle(unicode=False), ChartStyle(colour=False)):
        for window in (Window(), Window(x=(100.0, 200.0)), Window(y=(2.3, 2.4))):
            lines = text(FrameBuilder().build(spec(style=style, window=window, cursor=150, smoothing=20)))
            assert {len(line) for line in lines} == {100}
            assert style.unicode or all(line.isascii() for line in lines)
