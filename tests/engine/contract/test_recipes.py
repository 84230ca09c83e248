"""Recipes are read whole, and a broken one says what is wrong with it."""

import math
from pathlib import Path

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.engine.contract.settings.recipes import DEFAULT, load_recipes, read_recipe, recipe_named, shipped_recipes

GOOD = """
title = "A title"
about = '''
Two
lines.'''
[model]
kind = "gpt"
n_layer = 2
[optimizer]
kind = "sgd"
[[references]]
metric = "val_loss"
value = 1.5
source = "a book"
"""


def written(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_shipped_recipe_is_valid_and_names_a_known_dataset() -> None:
    recipes = shipped_recipes()
    assert DEFAULT in recipes
    assert next(iter(recipes)) == DEFAULT, "the first in the picker is the one the app opens with"
    for recipe in recipes.values():
        assert parse(recipe.tree).tree() == recipe.tree
        assert recipe.tree["data"]["dataset"] in catalogue()


def test_the_recipe_the_app_opens_with_needs_no_network() -> None:
    assert catalogue()[recipe_named(DEFAULT).tree["data"]["dataset"]].embedded


def test_a_recipe_is_completed_from_its_family_and_another_optimizer_starts_from_its_own_defaults(
    tmp_path: Path,
) -> None:
    recipe = read_recipe(written(tmp_path, GOOD))
    start = starting_tree("gpt")
    assert recipe.about == "Two lines."
    assert recipe.family == "gpt"
    assert recipe.tree["training"] == start["training"]
    assert recipe.tree["model"] == start["model"] | {"n_layer": 2}
    assert recipe.tree["optimizer"] == {"kind": "sgd", "learning_rate": 0.1, "weight_decay": 0.0, "momentum": 0.0}
    assert recipe.references[0].value == 1.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = ", "cannot be read"),
        (GOOD.replace('title = "A title"', ""), "title must be a text"),
        (GOOD.replace('kind = "gpt"', 'kind = "gtp"'), "no model called 'gtp'"),
        (GOOD.replace('kind = "gpt"', ""), "model.kind is missing"),
        (GOOD.replace("n_layer = 2", "n_layer = 0"), "model.n_layer takes a whole number from 1 to 96"),
        (GOOD.replace("n_layer = 2", "n_layr = 2"), "did you mean model.n_layer?"),
        (GOOD.replace("n_layer = 2", "n_head = 3"), "model.n_embd must be a multiple of n_head (3)"),
        (GOOD.replace("value = 1.5", "value = 'low'"), "each of its references"),
        (GOOD.replace("source", "sauce"), "each of its references"),
        (GOOD.replace("[optimizer]", "[optimiser]"), "optimiser"),
        ("optimizer = 3\n" + GOOD.replace('[optimizer]\nkind = "sgd"', ""), "optimizer"),
        ("order = 'first'\n" + GOOD, "order must be a whole number"),
        ("steps_per_epoch = 0\n" + GOOD, "steps_per_epoch must be a whole number above 0"),
    ],
)
def test_a_broken_recipe_names_itself_and_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as raised:
        read_recipe(written(tmp_path, text))
    assert "Recipe 'mine'" in str(raised.value)
    assert said in str(raised.value)


def test_one_broken_recipe_leaves_the_others_in_the_picker(tmp_path: Path) -> None:
    written(tmp_path, GOOD, "good")
    written(tmp_path, "title = ", "broken")
    (tmp_path / "notes.txt").write_text("no recipe")
    told: list[UserError] = []
    assert list(load_recipes(tmp_path, told.append)) == ["good"]
    assert len(told) == 1
    with pytest.raises(UserError, match="broken"):
        load_recipes(tmp_path)


def test_an_unknown_recipe_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=DEFAULT):
        recipe_named("nothing-like-it")


MANY = (
    GOOD
    + """where = { "model.n_layer" = 3 }
[grid]
"model.n_layer" = [2, 3]
"training.seed" = [1, 2]
[quick]
training = { max_steps = 7 }
[[quick.references]]
metric = "val_loss"
at_most = 2.5
source = "a book"
"""
)


def test_a_grid_is_every_combination_and_the_app_starts_the_plain_configuration(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, MANY))
    runs = recipe.runs()
    assert [(run["model"]["n_layer"], run["training"]["seed"]) for run in runs] == [(2, 1), (2, 2), (3, 1), (3, 2)]
    assert all(parse(run).tree() == run for run in runs)
    assert recipe.tree["model"]["n_layer"] == 2
    assert [recipe.references[0].is_about(run) for run in runs] == [False, False, True, True]


def test_the_quick_form_differs_in_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, MANY))
    assert recipe.quick is not None
    assert recipe.quick.tree["training"] == recipe.tree["training"] | {"max_steps": 7}
    assert recipe.quick.tree["model"] == recipe.tree["model"]
    assert [run["training"]["max_steps"] for run in recipe.runs(quick=True)] == [7] * 4
    assert recipe.quick.references[0].bounds == (-math.inf, 2.5)


def test_a_recipe_without_a_grid_is_one_run(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, GOOD))
    assert recipe.runs() == (recipe.tree,)
    assert recipe.quick is None


def test_a_figure_agrees_within_its_spread_or_below_its_limit(tmp_path: Path) -> None:
    spread = read_recipe(written(tmp_path, GOOD + "spread = 0.1")).references[0]
    assert [spread.agrees(value) for value in (1.39, 1.4, 1.5, 1.6, 1.61)] == [False, True, True, True, False]
    limit = read_recipe(written(tmp_path, GOOD + "at_most = 1.6")).references[0]
    assert [limit.agrees(value) for value in (0.1, 1.6, 1.61, math.nan)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MANY.replace("at_most = 2.5", ""), "a number as value or at_most"),
        (MANY.replace("[2, 3]", "3"), "grid must hold settings with the list of their values"),
        (MANY.replace("[2, 3]", "[2, 0]"), "model.n_layer takes a whole number"),
        (MANY.replace("training = { max_steps = 7 }", "training = 3"), "quick must hold sections"),
        (MANY.replace("max_steps = 7", "max_steps = 0"), "training.max_steps takes"),
        ("fallback = 'python-docs'\n" + GOOD, "fallback must be { dataset"),
    ],
)
def test_a_broken_grid_quick_form_or_fallback_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match="Recipe 'mine'") as raised:
        read_recipe(written(tmp_path, text))
    assert said in str(raised.value)
