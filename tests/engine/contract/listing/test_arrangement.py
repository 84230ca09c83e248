"""The order of the list: sorting, groups, and forks below their parents."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchtty.engine.contract.listing.arrangement import SMOOTHED, Group, Grouping, Sort, arrange, sort_entries
from torchtty.engine.contract.listing.differences import distinction, origin_of
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.lineage import Parent
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import starting_tree, with_value
from torchtty.engine.contract.settings.recipes import recipe_named


def run(name, created, best=None, group="", parent=None, recipe="", seed=1):
    """An MLP's entry."""
    status = Status(state=RunState.FINISHED, best=best, metrics={} if best is None else {"val_loss": best})
    snapshot = RunSnapshot(RunDirectory(Path(name)), status, group=group, parent=parent)
    return Entry(snapshot, with_value(starting_tree("mlp"), "training.seed", seed), created, recipe)


def keys(rows):
    return [row.key for row in rows]


def test_groups_stand_where_their_first_run_would_and_are_folded_until_toggled():
    runs = [run("c", 3.0, 3.0, "g", seed=3), run("b", 2.0, 1.0, "g", seed=2), run("a", 1.0, 2.0)]
    assert keys(arrange(runs)) == ["group:g", "a"]
    assert keys(arrange(runs, toggled={"group:g"})) == ["group:g", "c", "b", "a"]
    assert [row.depth for row in arrange(runs, toggled={"group:g"})] == [0, 1, 1, 0]
    by_best = arrange(runs, Sort.by("best"), toggled={"group:g"})
    assert keys(by_best) == ["group:g", "b", "c", "a"]
    group = by_best[0]
    assert isinstance(group, Group)
    assert (group.best.key, group.differing) == ("b", ("training.seed",))
    assert distinction(runs[1], group.differing) == "seed 2"


def test_forks_stand_below_their_parent_but_not_in_a_ranking():
    parent = run("parent", 1.0, 2.0)
    fork = run("fork", 3.0, 1.0, parent=Parent("parent", 100, 1.0, {"optimizer.learning_rate": (0.1, 0.01)}))
    runs = [fork, run("other", 2.0, 1.5), parent]
    rows = arrange(runs)
    assert [(row.key, row.depth) for row in rows] == [("parent", 0), ("fork", 1), ("other", 0)]
    assert keys(arrange(runs, Sort.by("best"), Grouping.NONE)) == ["fork", "other", "parent"]
    assert distinction(fork) == "lr 0.01"


def test_runs_of_a_recipe_are_gathered_and_one_alone_is_not():
    runs = [run("c", 3.0, recipe="s"), run("b", 2.0, recipe="r"), run("a", 1.0, recipe="r")]
    assert keys(arrange(runs, grouping=Grouping.RECIPE)) == ["c", "group:r", "b", "a"]


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(0, 5), st.just(float("nan"))), st.sampled_from(["", "g", "h"])),
        max_size=12,
    ),
    st.sampled_from(["best", "created", "name", "lr", SMOOTHED]),
    st.sampled_from(list(Grouping)),
    st.booleans(),
)
def test_every_run_has_one_row_in_any_order_and_what_is_missing_comes_last(found, subject, grouping, descending):
    runs = [run(f"run-{number}", float(number), best, group) for number, (best, group) in enumerate(found)]
    brought = {one.key: one.status.best for one in runs}
    sort = Sort(subject, descending)
    open_groups = {"group:g", "group:h"} if grouping is Grouping.GROUP else ()
    rows = arrange(runs, sort, grouping, open_groups, brought)
    assert sorted(row.key for row in rows if isinstance(row, Entry)) == sorted(keys(runs))
    if subject in ("best", SMOOTHED):
        values = [one.status.best for one in sort_entries(runs, sort, brought)]
        known = [value for value in values if value is not None and value == value]
        assert values[: len(known)] == known
        assert known == sorted(known, reverse=descending)


def test_a_run_is_compared_with_its_recipe_its_parent_or_its_models_defaults():
    tree = recipe_named("names-mlp").tree
    as_recipe = replace(run("a", 1.0, recipe="names-mlp"), settings=tree)
    assert origin_of(as_recipe).changes == {}
    changed = replace(as_recipe, settings=with_value(tree, "training.batch_size", 7))
    assert distinction(changed) == "bs 7"
    assert origin_of(changed).title == "recipe names-mlp"
    data = {name: value for name, value in tree["data"].items() if name != "limit"}
    assert origin_of(replace(as_recipe, settings=tree | {"data": data})).changes == {}, "made before there was a limit"
    assert origin_of(run("b", 1.0, seed=5)).title.startswith("defaults of")
    assert "training.seed" in origin_of(run("b", 1.0, seed=77)).changes


def test_sorting_by_what_there_is_not_is_refused():
    with pytest.raises(Exception, match="Did you mean best"):
        Sort.by("besst")
