"""Every recipe that ships runs: its quick form trains, its grid is whole, its figures can be measured."""

import math
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.configuration import parse, specs, with_value
from torchtty.engine.contract.settings.fallbacks import fetches
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.recipes import Recipe, shipped_recipes
from torchtty.engine.training.task import build_task

COURSE = {name: recipe for name, recipe in shipped_recipes().items() if recipe.quick}
TEXT = {name: recipe for name, recipe in COURSE.items() if catalogue()[recipe.tree["data"]["dataset"]].kind != "images"}
FEW = 3  # steps


@pytest.fixture(autouse=True)
def mirror(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the downloads from the folder of corpora."""
    monkeypatch.setenv("TORCHTTY_MIRROR", str(corpora))


def shortened(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration cut down to a few steps on the CPU."""
    known = {spec.path for spec in specs(tree["model"]["kind"], tree)}
    for path, value in (
        ("training.max_steps", FEW),
        ("training.eval_batches", 1),
        ("training.device", "cpu"),
        ("sampling.max_tokens", 5),
        ("sampling.count", 1),
    ):
        if path in known:
            tree = with_value(tree, path, value)
    return tree


def trained(tree: dict[str, Any]) -> set[str]:
    """Train and evaluate; return the names of what was measured."""
    task = build_task(parse(shortened(tree)))
    measured: set[str] = set()
    for step in range(1 if tree["model"]["kind"] == "ngram" else FEW):
        metrics = task.train_step(step)
        assert 0 < float(metrics["train_loss"]) < 50
        measured |= metrics.keys()
    return measured | task.evaluate().keys()


@pytest.mark.parametrize("name", TEXT)
def test_its_quick_form_trains(name: str) -> None:
    recipe = TEXT[name]
    assert recipe.quick is not None
    measured = trained(recipe.quick.tree)
    for reference in (*recipe.references, *recipe.quick.references):
        assert reference.metric in {metric.name for metric in family_of(recipe.family).metrics}
        assert reference.metric in measured, reference


# The large GPT is left out for its time alone: the small one is the same family on the same text.
@pytest.mark.parametrize("name", [name for name, recipe in TEXT.items() if recipe.fallback and name != "b6-gpt-large"])
def test_without_a_network_its_fallback_trains_instead(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHTTY_MIRROR")
    recipe = TEXT[name]
    assert recipe.quick is not None
    assert recipe.fallback is not None
    trained(with_value(recipe.quick.tree, "data.dataset", recipe.fallback.dataset))


@pytest.mark.parametrize("recipe", COURSE.values(), ids=COURSE)
def test_its_figures_lie_on_its_way(recipe: Recipe) -> None:
    training = recipe.tree["training"]
    for reference in recipe.references:
        assert any(reference.is_about(tree) for tree in recipe.runs()), reference
        if reference.step is not None:
            assert reference.step <= training["max_steps"]
            interval = "log_interval" if reference.metric == "smoothed_sum" else "eval_interval"
            assert reference.step % training[interval] == 0, f"nothing is measured at step {reference.step}"
    assert recipe.quick is not None
    assert recipe.quick.references
    assert recipe.quick.tree["training"].get("max_steps", 0) <= training.get("max_steps", 0)


@pytest.mark.parametrize("recipe", shipped_recipes().values(), ids=shipped_recipes())
def test_a_recipe_that_fetches_something_says_what_does_without(recipe: Recipe) -> None:
    assert (recipe.fallback is not None) is bool(fetches(recipe.tree))


def test_the_line_with_three_ifs_has_the_floor_that_its_recipes_name() -> None:
    for context, floor in ((1, "0.2197"), (2, "0.2354"), (3, "0.2535")):
        tree = with_value(COURSE["a2-rnn-grid"].tree, "model.block_size", context)
        task = build_task(parse(tree))
        windows = task.windows["train"]  # type: ignore[attr-defined]
        x, y = next(windows.in_order(100))
        ways: dict[tuple[int, ...], list[int]] = {}
        for context_ids, (target,) in zip(x.tolist(), y.tolist(), strict=True):
            ways.setdefault(tuple(context_ids), []).append(target)
        ambiguous = [targets for targets in ways.values() if len(set(targets)) > 1]
        assert [len(set(targets)) for targets in ambiguous] == [3]
        assert f"{3 * math.log(3) / len(x):.4f}" == floor
        assert floor in COURSE["a2-rnn-grid"].about
