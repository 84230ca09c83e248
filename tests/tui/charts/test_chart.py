"""The widget: points go in, frames come out, and only what changed is painted."""

import asyncio
from time import monotonic, sleep

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Footer

from torchtty.tui.charts.chart import Chart
from torchtty.tui.charts.painting import (
    LONGEST_DELAY,
    RENDER_BURST,
    RENDER_SHARE,
    RENDER_THREAD,
    STYLE_BYTES,
    WIRE_BURST,
    WIRE_RATE,
    Pace,
    TokenBucket,
    changed_columns,
    frames_per_second,
    painted_bytes,
)
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.style import PALETTE


class OneChart(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.chart = Chart("loss", placeholder="the loss appears here", x_max=1000, smoothing=0.0)
        self.moved: list[float | None] = []

    def compose(self) -> ComposeResult:
        yield self.chart
        yield Footer()

    def on_chart_cursor_moved(self, message: Chart.CursorMoved) -> None:
        self.moved.append(message.step)


def series(chart: Chart, name: str) -> Series:
    """The series of a name, added if there is none."""
    known = {one.name: one for one in chart.spec.series}
    return known[name] if name in known else chart.add_series(Series(name))


def extend(chart: Chart, name: str, *points) -> None:
    series(chart, name).extend(*points)
    chart.points_changed()


def append(chart: Chart, name: str, step: float, value: float) -> None:
    extend(chart, name, [step], [value])


def shown(chart: Chart) -> str:
    return "\n".join(chart.render_line(y).text for y in range(chart.size.height))


async def until(condition, what: str) -> None:
    for _ in range(250):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}:")


async def settled(chart: Chart) -> None:
    await until(lambda: chart.is_up_to_date, "the chart to settle")


async def test_a_chart_grows_and_repaints_only_the_changed_cells():
    app = OneChart()
    async with app.run_test(size=(80, 24)) as pilot:
        chart = app.chart
        await until(lambda: "the loss appears here" in shown(chart), "the placeholder")
        chart.set_reference("chance", 3.5)
        extend(chart, "train", range(500), [3.5 - i / 500 for i in range(500)])
        await until(lambda: "── train 2.502" in shown(chart) and "chance" in shown(chart), "the curve")
        await settled(chart)
        await pilot.pause()

        painted: list[Region] = []
        refresh = chart.refresh

        def counting(*regions: Region, **options: bool) -> Chart:
            painted.extend(regions or [chart.size.region])
            return refresh(*regions, **options)

        chart.refresh = counting  # type: ignore[method-assign]
        append(chart, "train", 510, 2.5)
        await until(lambda: "── train 2.500" in shown(chart), "the new value")
        assert 1 <= len(painted) <= 3, "the legend and the end of the curve"
        assert sum(region.area for region in painted) <= 20
        painted.clear()
        chart.points_changed()
        await settled(chart)
        assert painted == [], "a frame like the one before paints nothing"


async def test_keys_and_mouse_move_the_cursor_and_change_the_axes():
    app = OneChart()
    async with app.run_test(size=(100, 24)) as pilot:
        chart = app.chart
        seconds = [i * 0.1 for i in range(1000)]
        extend(chart, "train", range(1000), [3.0 - i / 500 for i in range(1000)], {"seconds": seconds})
        chart.focus()
        await until(lambda: chart.frame.area is not None, "a frame")
        await pilot.press("right")
        await until(lambda: "step 999" in shown(chart), "the cursor at the last step")
        await pilot.press("home")
        await until(lambda: "step 0  ── train 3.000" in shown(chart), "the cursor at the first step")
        await pilot.press("right")
        field = chart.frame.area
        assert field is not None
        await until(lambda: len(app.moved) == 3, "three messages")
        assert app.moved[2] == pytest.approx(1000 / field.width * 1.5, abs=2), "a column further"
        await pilot.click(chart, offset=(field.left + field.width // 2, 5))
        await until(lambda: app.moved[-1] == pytest.approx(500, abs=8), "the cursor in the middle")
        await pilot.press("x", "l")
        await until(
            lambda: chart.frame.coordinate == "seconds" and "s" in shown(chart).splitlines()[-1], "seconds along x"
        )
        await until(lambda: chart.frame.area is not None and chart.frame.area.y.log, "a logarithmic y axis")
        await pilot.press("escape")
        await until(lambda: app.moved[-1] is None and "step" not in shown(chart), "the cursor to go")


async def test_smoothing_keys_change_the_time_constant_in_steps():
    app = OneChart()
    async with app.run_test(size=(80, 24)) as pilot:
        chart = app.chart
        extend(chart, "train", range(100), [float(i % 2) for i in range(100)])
        chart.focus()
        await pilot.press("S", "S")
        await until(
            lambda: "0.5" in chart.render_line(0).text or "0.4" in chart.render_line(0).text, "a smoothed value"
        )
        assert chart.smoothing == 5.0
        await pilot.press("s", "s", "s")
        assert chart.smoothing == 0.0


async def test_a_key_pressed_while_a_frame_is_drawn_does_not_wait_for_the_bytes_of_others(monkeypatch):
    wire = TokenBucket(WIRE_RATE, WIRE_BURST)
    monkeypatch.setattr("torchtty.tui.charts.chart.WIRE", wire)
    app = OneChart()
    async with app.run_test(size=(80, 24)):
        chart = app.chart
        extend(chart, "train", range(1, 100), [float(i) for i in range(1, 100)])
        await until(lambda: chart.frame.area is not None, "a frame")
        wire.spend(monotonic(), 10**9)
        RENDER_THREAD.submit(sleep, 0.2)  # the frame is drawn after this
        append(chart, "train", 100, 100.0)
        chart.draw_at_once()
        await asyncio.sleep(0.05)
        assert not chart.is_up_to_date
        began = monotonic()
        chart.action_log_y()
        await until(lambda: chart.frame.area is not None and chart.frame.area.y.log, "the logarithmic axis")
        assert monotonic() - began < LONGEST_DELAY / 2


async def test_a_chart_follows_its_size_at_once():
    app = OneChart()
    async with app.run_test(size=(80, 24)) as pilot:
        extend(app.chart, "train", range(100), [1.0 + i for i in range(100)])
        for size in ((120, 40), (40, 12), (20, 6), (100, 30)):
            await pilot.resize_terminal(*size)
            await until(lambda: app.chart.frame.width == app.chart.size.width, f"a frame for {size}")
            assert len(app.chart.frame.lines) == app.chart.size.height


async def test_nothing_is_built_while_the_chart_is_hidden_and_it_is_fresh_when_seen_again():
    app = OneChart()
    async with app.run_test(size=(80, 24)) as pilot:
        chart = app.chart
        append(chart, "train", 0, 1.0)
        append(chart, "train", 1, 2.0)
        await until(lambda: "2.000" in shown(chart), "the first frame")
        await settled(chart)
        for hide, show in (
            (lambda: app.push_screen(Screen()), app.pop_screen),
            (lambda: setattr(chart, "display", False), lambda: setattr(chart, "display", True)),
        ):
            hide()
            await pilot.pause(0.2)
            before, value = chart.frame, 3.0 + len(series(chart, "train"))
            append(chart, "train", len(series(chart, "train")), value)
            await pilot.pause(0.3)
            assert chart.frame is before
            show()
            await until(lambda value=value: f"{value:.3f}" in shown(chart), "the newest value")


async def test_a_new_run_starts_from_an_empty_chart():
    app = OneChart()
    async with app.run_test(size=(80, 24)):
        extend(app.chart, "train", range(10), range(10))
        app.chart.mark(5, "edit")
        await until(lambda: "edit" in shown(app.chart), "the mark")
        app.chart.clear()
        await until(lambda: "the loss appears here" in shown(app.chart), "the placeholder")
        assert "edit" not in shown(app.chart)


def test_series_get_the_palettes_colours_in_order_and_keep_them():
    chart = Chart(series=[Series("train"), Series("val"), Series("own", colour="#ffffff")])
    append(chart, "fourth", 0, 1.0)
    assert [s.colour for s in chart.spec.series] == [PALETTE[0], PALETTE[1], "#ffffff", PALETTE[3]]
    chart.remove_series("train")
    assert series(chart, "val").colour == PALETTE[1]


def test_frames_come_slower_over_ssh():
    assert frames_per_second({}) == 10
    assert frames_per_second({"SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22"}) == 4


@pytest.mark.parametrize(("seconds", "size"), [(0.02, 0), (0.001, 2000), (0.02, 2000)])
def test_frames_stay_within_the_budgets_of_time_and_bytes_and_use_them(seconds, size):
    now, frames, pace = 0.0, 0, Pace(10, TokenBucket(WIRE_RATE, WIRE_BURST))
    while now < 60:
        now += pace.delay(now)
        pace.spend(now, seconds, size)
        frames += 1
    assert frames * seconds <= (60 * RENDER_SHARE + RENDER_BURST) * 1.02 + seconds
    assert frames * size <= (60 * WIRE_RATE + WIRE_BURST) * 1.02 + size
    most = min(600, 60 * RENDER_SHARE / seconds, 60 * WIRE_RATE / size if size else 600)
    assert frames >= most * 0.95


def test_charts_share_one_budget_of_bytes():
    wire = TokenBucket(WIRE_RATE, WIRE_BURST)
    one, other = Pace(10, wire), Pace(10, wire)
    one.spend(0.0, 0.0, int(WIRE_BURST + WIRE_RATE))
    assert other.delay(0.0) == pytest.approx(1.0)


def test_the_first_frame_is_due_at_once_and_a_dear_one_does_not_stop_the_chart():
    pace = Pace(10, TokenBucket(WIRE_RATE, WIRE_BURST))
    assert pace.delay(100.0) == 0
    pace.spend(100.0, 60.0, 10**9)
    assert 0.1 < pace.delay(100.0) <= LONGEST_DELAY


def test_the_bytes_of_a_line_grow_with_its_runs_and_end_at_the_last_changed_cell():
    line = (("abc", Style(color="red")), ("⣿⣿", Style(color="blue")))
    assert painted_bytes(line, 2) == STYLE_BYTES + 2
    assert painted_bytes(line, 5) == 2 * STYLE_BYTES + 3 + 6


def test_changed_columns_are_found_whatever_the_runs():
    red, blue = Style(color="red"), Style(color="blue")
    old = (("abc", red), ("def", blue))
    assert changed_columns(old, (("ab", red), ("c", red), ("def", blue))) == (0, 0)
    assert changed_columns(old, (("abX", red), ("dYf", blue))) == (2, 5)
    assert changed_columns(old, (("abcd", red), ("ef", blue))) == (3, 4)
    assert changed_columns((("a", red), ("  b", blue)), (("a  ", red), ("b", blue))) == (0, 0), "blanks have no style"
    assert changed_columns((("日本", red),), (("日x ", red),)) == (2, 4)
