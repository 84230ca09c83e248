"""The chart of a race in the app: one axis of bits per character, over seconds, steps or FLOPs."""

from pathlib import Path

import pytest
from on_screen import until
from written_race import written_race

from torchtty.engine.contract.experiments.results import read_results
from torchtty.tui.experiments.choices import Choices
from torchtty.tui.experiments.figure_view import ResultView
from torchtty.tui.experiments.race_chart import RaceChart, race_chart_of


def chart(root: Path, x: str = "") -> RaceChart:
    found = race_chart_of(read_results(written_race(root)), Choices(x=x))
    assert isinstance(found, RaceChart)
    return found


def test_curves_lie_over_the_budget_and_what_counts_once_holds_from_there_on(own_folders: Path) -> None:
    found = chart(own_folders)
    assert (found.x_title, found.x.low, found.x.high, found.x.log) == ("steps", 0.0, 100.0, False)
    assert [racer.name for racer in found.racers] == ["ngram", "mlp", "gpt"]
    ngram, mlp, gpt = found.racers
    assert [bits for _, bits in mlp.places] == pytest.approx([4.25, 3.25])
    assert gpt.places[-1] == (100, pytest.approx(3.0))
    assert (ngram.at(0.5), ngram.at(90)) == (None, pytest.approx(3.5))
    assert (mlp.at(99), mlp.at(101)) == (pytest.approx(4.25), None)
    assert found._line(ngram)[-1][0] == 100


@pytest.mark.parametrize(
    ("x", "low", "places"),
    [
        ("seconds", 0.05, {"ngram": [0.05], "mlp": [2.5, 5.0], "gpt": [2.5, 5.0]}),
        ("FLOPs", 5e7, {"ngram": [5e7], "mlp": [5e7, 1e8], "gpt": [5e10, 1e11]}),
    ],
)
def test_what_was_not_the_same_for_all_lies_on_a_logarithmic_axis_and_what_cost_nothing_at_its_start(
    x: str, low: float, places: dict[str, list[float]], own_folders: Path
) -> None:
    found = chart(own_folders, x)
    assert found.x.log
    assert found.x.low == pytest.approx(low)
    assert {racer.name: [spent for spent, _ in racer.places] for racer in found.racers} == {
        name: pytest.approx(spent) for name, spent in places.items()
    }


async def test_a_race_is_seen_as_a_chart_whose_axis_a_key_changes_and_as_a_table(torchtty, own_folders: Path) -> None:
    written_race(own_folders)

    def text() -> str:
        return "\n".join(strip.text for strip in app.screen._compositor.render_strips())

    async with torchtty() as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: "steps →" in text() and "gpt 3.000" in text())
        assert "gpt needs 3.000 bits per character, 0.2500 fewer than mlp" in " ".join(text().split())
        await pilot.press("x")
        await until(pilot, lambda: "FLOPs →" in text())
        await pilot.press("x")
        await until(pilot, lambda: "seconds →" in text())
        view = app.screen.query_one(ResultView)
        view.focus()
        await pilot.press("left")
        await until(pilot, lambda: "seconds 5" in text())
        await pilot.press("6")
        await until(pilot, lambda: "bought" in text() and "chance" in text())
        assert app.screen.check_action("choose", ("next_axis",)) is False
