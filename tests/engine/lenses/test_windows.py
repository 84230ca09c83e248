"""The lens windows: the predictions that a text makes, written out by hand."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_models import SMALL, computed

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.lenses import windows
from torchtty.engine.training.task import build_task


def looked_at(task: Any, **options: Any) -> dict[str, Any]:
    return computed(windows.compute, task, LENSES["windows"].complete(options))


@pytest.fixture
def names(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "names.txt"
    path.write_text("emma\nolivia\nava", encoding="utf-8")
    return {"data__dataset": str(path), "data__unit": "items", "data__val_fraction": "0"}


def test_items_are_filled_up_with_their_terminator(configured: Callable[..., Any], names: dict[str, str]) -> None:
    task = build_task(configured("mlp", model__block_size="3", **names))
    result = looked_at(task)
    shown = {("".join(row["context"]), row["target"]) for row in result["rows"]}
    by_hand = set()
    for name in ("emma", "olivia", "ava"):
        padded = f"...{name}."
        by_hand |= {(padded[at : at + 3], padded[at + 3]) for at in range(len(name) + 1)}
    assert shown == by_hand
    symbols = [".", *sorted(set("emmaoliviaava"))]
    for row in result["rows"]:
        assert [symbols[token] for token in row["ids"]] == row["context"]
        assert symbols[row["id"]] == row["target"]
    counted = Counter("emmaoliviaava")
    assert result["vocabulary"][1:] == [[symbols.index(one), one, counted[one]] for one in symbols[1:]]


def test_a_model_that_predicts_every_position_makes_several_of_a_window(
    configured: Callable[..., Any], text: Path
) -> None:
    beginning = text.read_text(encoding="utf-8")
    task = build_task(configured("gpt", model__block_size="4"))
    rows = looked_at(task)["rows"]
    for at in range(4):
        assert "".join(rows[at]["context"]) == beginning[: at + 1]
        assert rows[at]["target"] == beginning[at + 1]
    assert "".join(rows[4]["context"]) == beginning[1], "the next window begins one further"
    later = looked_at(task, first=7)["rows"]
    assert "".join(later[3]["context"]) == beginning[7:11]


def test_a_split_that_is_not_there_is_refused(configured: Callable[..., Any], names: dict[str, str]) -> None:
    with pytest.raises(UserError, match="There is no val split in this run's data: it has train"):
        looked_at(build_task(configured("mlp", **names)), split="val")


@pytest.mark.parametrize("name", [*(name for name in SMALL if name != "dcgan"), "ngram"])
def test_every_model_of_text_shows_what_it_sees(configured: Callable[..., Any], name: str) -> None:
    result = looked_at(build_task(configured(name)))
    assert len(result["rows"]) == windows.ROWS
    assert all(row["target"] for row in result["rows"])
