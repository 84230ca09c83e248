"""How the lens counts is shown."""

from typing import Any

from rich.text import Text

from torchtty.engine.contract.lenses import LENSES
from torchtty.tui.lenses.view import rendered

RESULT: dict[str, Any] = {
    "symbols": [".", "q", "u"],
    "vocabulary": 3,
    "counts": [[0, 3, 1], [0, 0, 4], [4, 1, 0]],
    "followed": [4, 4, 5],
    "model": [[0.1, 0.5, 0.4], [0.1, 0.16, 0.74], [0.7, 0.2, 0.1]],
    "nats": {"counts": 0.4, "model": 0.7, "uniform": 1.0986},
    "total": 13,
    "pairs": [["q", "u", 4], ["u", ".", 4]],
    "word": [[".", "q", 3, 0.75, 0.5]],
    "samples": {"counts": ["qu\x1b[2J"], "model": ["uq"], "uniform": [""]},
    "show": "probabilities",
    "items": True,
}


def view_of(**changes: Any) -> Any:
    return rendered(LENSES["counts"], RESULT | changes, 80)


def test_the_cursor_reads_share_count_and_model() -> None:
    assert view_of().figure.reading((1, 2)) == "q→u 1.00  4 of 4  model 0.74"
    assert view_of().figure.reading((0, 1)) == "␃q 0.75".replace("␃", ".→") + "  3 of 4  model 0.50"


def test_each_choice_shows_its_own_table() -> None:
    figures = {show: view_of(show=show).figure for show in ("counts", "probabilities", "model", "uniform")}
    cell = {show: figure.values[0][1] for show, figure in figures.items()}
    assert cell == {"counts": 3, "probabilities": 0.75, "model": 0.5, "uniform": 1 / 3}


def test_losses_pairs_and_texts_stand_below_and_nothing_acts_on_the_terminal() -> None:
    view = view_of()
    assert isinstance(view.heading, Text)
    assert isinstance(view.body, Text)
    assert "loss counts 0.4000 · model 0.7000 · uniform 1.0986" in view.heading.plain
    assert "q→u 4  u→. 4" in view.body.plain
    assert ".→q 3 (0.75, model 0.50)" in view.body.plain
    assert "\x1b" not in view.body.plain
