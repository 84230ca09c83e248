"""Groups on disk: what several values amount to, how the runs are named, and what stays when one cannot be made."""

import json
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import RunGroup, create_group, find_group, list_groups
from torchtty.engine.contract.experiments.values import MOST, is_several, several
from torchtty.engine.contract.experiments.variation import Variation, in_words, varying
from torchtty.engine.contract.run.directory import find_run, list_runs
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import specs, starting_tree
from torchtty.engine.contract.settings.fields import FieldSpec

SEEDS, RATES = "training.seed", "optimizer.learning_rate"


def spec(path: str, kind: str = "mlp") -> FieldSpec:
    return next(found for found in specs(kind, starting_tree(kind)) if found.path == path)


@pytest.mark.parametrize(
    ("path", "text", "values"),
    [
        (SEEDS, "1..4", (1, 2, 3, 4)),
        (SEEDS, "1,5,7..9", (1, 5, 7, 8, 9)),
        (SEEDS, "1,337", (1, 337)),
        (RATES, "1e-3,1e-2", (0.001, 0.01)),
        (RATES, "1e-4..1e-1 log 4", (0.0001, 0.001, 0.01, 0.1)),
        (RATES, "0.1..0.5 lin 3", (0.1, 0.3, 0.5)),
        ("model.n_hidden", "8..32 log 3", (8, 16, 32)),
        ("training.patience", "none,3", (None, 3)),
    ],
)
def test_a_text_stands_for_several_values(path: str, text: str, values: tuple[float, ...]) -> None:
    assert is_several(spec(path), text)
    assert several(spec(path), text) == values


@pytest.mark.parametrize(
    ("path", "text"),
    [("training.batch_size", "1,024"), (SEEDS, "7"), ("data.dataset", "a,b..c"), ("model.n_hidden", "64")],
)
def test_a_number_with_thousands_and_a_text_are_one_value(path: str, text: str) -> None:
    assert not is_several(spec(path), text)


@pytest.mark.parametrize("text", ["1,2", "100,200", "1..3"])
def test_several_values_of_a_shape_are_seen_as_such(text: str) -> None:
    assert is_several(spec("model.n_hidden"), text)
    assert "model.n_hidden" not in varying("mlp", starting_tree("mlp"))


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        (SEEDS, "5..1", "from the lower number to the higher"),
        (SEEDS, "1..1000", f"{MOST} runs at most"),
        (SEEDS, "3,3", "3 twice"),
        (RATES, "0.1..0.3", "say how many"),
        (RATES, "0.1,1000", "takes a number above 0"),
    ],
)
def test_what_is_wrong_with_several_values_is_said(path: str, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        several(spec(path), text)


def test_there_is_a_run_for_every_combination_and_seeds_stand_side_by_side() -> None:
    found = Variation({SEEDS: (1, 2), RATES: (0.1, 0.01)}).settings()
    assert found == [{RATES: rate, SEEDS: seed} for rate in (0.1, 0.01) for seed in (1, 2)]
    assert in_words(found[0]) == "learning_rate 0.1, seed 1"


def test_a_group_names_its_runs_and_can_be_read_from_its_files(tmp_path: Path) -> None:
    variation = Variation({SEEDS: (1, 2), RATES: (0.1, 0.01)})
    group = create_group(starting_tree("mlp"), variation, root=tmp_path, recipe="names-mlp")
    assert group.name == "names-mlp-1"
    again = find_group("names-mlp-1", tmp_path)
    assert again is not None
    assert again.variation() == Variation({SEEDS: (1, 2), RATES: (0.1, 0.01)})
    assert [run.name for run in again.runs()] == [
        "names-mlp-1-learning_rate-0.1-seed-1",
        "names-mlp-1-learning_rate-0.1-seed-2",
        "names-mlp-1-learning_rate-0.01-seed-1",
        "names-mlp-1-learning_rate-0.01-seed-2",
    ]
    trees = [run.configuration().tree() for run in again.runs()]
    assert [(tree["optimizer"]["learning_rate"], tree["training"]["seed"]) for tree in trees] == [
        (0.1, 1),
        (0.1, 2),
        (0.01, 1),
        (0.01, 2),
    ]
    assert {run.meta()["group"] for run in again.runs()} == {"names-mlp-1"}
    assert again.status().state is RunState.STARTING
    assert {run.name for run in list_runs(tmp_path)} == {run.name for run in again.runs()}  # the group is no run


def test_a_group_in_a_runs_place_is_told_from_a_run(tmp_path: Path) -> None:
    group = create_group(starting_tree("mlp"), Variation({SEEDS: (1, 2)}), root=tmp_path, name="ten")
    with pytest.raises(
        UserError, match=r"ten is a group of runs: name one of them, such as ten-seed-[12]. 'torchtty res"
    ):
        find_run("ten", tmp_path)
    with pytest.raises(UserError, match="fits several runs"):
        find_run("te", tmp_path)
    assert find_run("ten-seed-2", tmp_path) in group.runs()


def test_the_next_group_and_the_next_run_take_the_next_number(tmp_path: Path) -> None:
    make: Any = lambda: create_group(starting_tree("mlp"), Variation({SEEDS: (1, 2)}), root=tmp_path, recipe="x")  # noqa: E731
    assert [make().name, make().name] == ["x-1", "x-2"]
    assert [group.name for group in list_groups(tmp_path)] == ["x-2", "x-1"]


def test_long_names_give_way_to_numbers(tmp_path: Path) -> None:
    group = create_group(starting_tree("mlp"), Variation({RATES: (0.1, 0.2)}), root=tmp_path, name="n" * 72)
    assert [run.name for run in group.planned()] == [f"{'n' * 72}-run-1", f"{'n' * 72}-run-2"]


def test_a_name_that_leaves_no_room_for_those_of_its_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="72 characters at most"):
        create_group(starting_tree("mlp"), Variation({SEEDS: (1, 2)}), root=tmp_path, name="n" * 73)
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_of_a_group_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "g-seed-2").mkdir()
    with pytest.raises(UserError, match="g-seed-2"):
        create_group(starting_tree("mlp"), Variation({SEEDS: (1, 2, 3)}), root=tmp_path, name="g")
    assert [entry.name for entry in tmp_path.iterdir()] == ["g-seed-2"]


def test_a_broken_group_file_holds_no_runs(tmp_path: Path) -> None:
    group = create_group(starting_tree("mlp"), Variation({SEEDS: (1, 2)}), root=tmp_path, name="g")
    for content in ("{", json.dumps([1]), json.dumps({"runs": 3, "varied": 4})):
        group.about_path.write_text(content)
        assert RunGroup(group.path).runs() == []
        assert RunGroup(group.path).variation().values == {}
