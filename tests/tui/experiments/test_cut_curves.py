"""What the charts of many runs cut off at the top, and that they say so."""

from torchtty.engine.contract.experiments.curves import BandPoint
from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.style import ChartStyle
from torchtty.tui.experiments.fan import Bundle, Fan, limits_of, y_axis


def falling(points: int) -> tuple[tuple[float, float], ...]:
    """Return a curve that begins far above everything that follows."""
    return ((0.0, 9.0), *((float(step), 2.0 + 1 / (9 + step)) for step in range(1, points)))


def drawn(points: int) -> str:
    curve = falling(points)
    limits = limits_of([curve])
    assert limits is not None
    band = tuple(BandPoint(step, loss, 0.0, 1) for step, loss in curve)
    fan = Fan((Bundle("one", 0, (curve,), band),), Axis(0.0, float(points)), y_axis(*limits, log=False), "step", "loss")
    return "\n".join("".join(text for text, _ in line) for line in fan.draw(80, 20, None, ChartStyle()).lines)


def test_the_beginning_of_many_points_is_cut_and_the_legend_says_how_high_it_was() -> None:
    limits = limits_of([falling(50)])
    assert limits is not None
    assert limits[1] < 3
    assert "▲ up to 9.000" in drawn(50)


def test_a_few_points_are_shown_whole() -> None:
    for points in (2, 3, 7):
        limits = limits_of([falling(points)])
        assert limits is not None
        assert limits[1] == 9.0
        assert "up to" not in drawn(points)
