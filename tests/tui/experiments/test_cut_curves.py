"""What the charts of many runs cut off at the top, and that they say so."""

from pathlib import Path

from written_run import WrittenRun

from torchtty.engine.contract.experiments.curves import BandPoint
from torchtty.engine.contract.experiments.group import create_group
from torchtty.engine.contract.experiments.results import read_results
from torchtty.engine.contract.experiments.variation import SEED, Variation
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.recipes import recipe_named
from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.style import ChartStyle
from torchtty.tui.experiments.choices import Choices
from torchtty.tui.experiments.fan import Bundle, Fan, fan_of, limits_of, y_axis


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


def test_a_recipes_figure_just_below_the_curves_is_in_sight(tmp_path: Path) -> None:
    recipe = recipe_named("a1-next-word")
    group = create_group(recipe.tree, Variation({SEED: (1, 2)}), root=tmp_path, name="words", recipe=recipe.name)
    for run in group.runs():
        rows = [{"step": step, "train_eval_loss": 0.26 + 0.08 * (1 - step / 13_000)} for step in range(0, 13_001, 650)]
        WrittenRun(run).metrics(*rows)
        WrittenRun(run).status(RunState.FINISHED, step=13_000, max_steps=13_000)
    results = read_results(group)
    fan = fan_of(results, Choices().settled(results))
    assert isinstance(fan, Fan)
    assert (1000, 0.25498) in [(round(x), y) for (x, y), _ in fan.figures]
    assert fan.y.low < 0.25498
    assert fan.y.high < 0.5, "the course's 2.3 before the first epoch is far away"
