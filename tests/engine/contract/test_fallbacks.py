"""What is trained where a recipe's download cannot be had, and what of a person's own settings it keeps."""

from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.offline_fallback import OfflineFallback, create_fallback, fallback_for
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, create, list_runs
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, with_value
from torchtty.engine.contract.settings.fallbacks import fetches
from torchtty.engine.contract.settings.recipes import load_recipes, shipped_recipes

OFFLINE = (
    "tokenizer.path: gpt2-vocab.bpe could not be downloaded from a.b.c: no connection. Set tokenizer.path to a folder."
)

NEEDY = """
title = "A title"
about = "About it."
fallback = {fallback}
[model]
kind = "{model}"
{more}
"""


def written(folder: Path, fallback: str, model: str = "gpt", more: str = "[data]\ndataset = 'names'") -> Path:
    """A folder of two recipes: `mine` with this fallback, and `plain`, which fetches nothing."""
    (folder / "mine.toml").write_text(NEEDY.format(fallback=fallback, model=model, more=more), encoding="utf-8")
    plain = 'title = "Plain"\nabout = "It."\n[model]\nkind = "mlp"\n'
    (folder / "plain.toml").write_text(plain, encoding="utf-8")
    return folder


def failed(recipe: str, message: str = OFFLINE, *, unreachable: bool = True, **settings: Any) -> RunDirectory:
    """A run of a recipe, some of its settings changed, that failed at once."""
    tree = shipped_recipes()[recipe].tree
    for path, value in settings.items():
        tree = with_value(tree, path.replace("__", "."), value)
    run = create(parse(tree), recipe=recipe)
    run.write_status(Status(state=RunState.FAILED, unreachable=unreachable, message=message))
    return run


def found(run: RunDirectory, *chosen: str) -> OfflineFallback:
    instead = fallback_for(run, shipped_recipes(), chosen)
    assert instead is not None
    return instead


@pytest.mark.parametrize("fallback", ["{ dataset = 'given-names' }", "{ recipe = 'plain' }"])
def test_a_fallback_is_another_dataset_or_another_recipe(tmp_path: Path, fallback: str) -> None:
    recipe = load_recipes(written(tmp_path, fallback))["mine"]
    assert recipe.fallback is not None
    assert recipe.fallback.name in ("given-names", "plain")


@pytest.mark.parametrize(
    ("fallback", "more", "said"),
    [
        ("'given-names'", "[data]\ndataset = 'names'", "fallback must be { dataset"),
        ("{ dataset = 'given-names', recipe = 'plain' }", "[data]\ndataset = 'names'", "fallback must be { dataset"),
        (
            "{ dataset = 'nomi-italiani' }",
            "[data]\ndataset = 'names'",
            "must be a dataset that comes with the installation",
        ),
        ("{ dataset = 'python-docs' }", "[data]\ndataset = 'names'", "of the same kind as the recipe's own"),
        ("{ dataset = 'given-names' }", "", "has to fetch something, and this one has not"),
        ("{ recipe = 'plane' }", "[data]\ndataset = 'names'", "is no recipe that can be used: 'plane'"),
        (
            "{ recipe = 'mine' }",
            "[data]\ndataset = 'names'",
            "must be one that fetches nothing, and mine has data.dataset",
        ),
    ],
)
def test_a_fallback_that_would_not_help_is_refused_when_recipes_are_loaded(
    tmp_path: Path, fallback: str, more: str, said: str
) -> None:
    told: list[UserError] = []
    assert list(load_recipes(written(tmp_path, fallback, more=more), told.append)) == ["plain"]
    assert str(told[0]).startswith("Recipe 'mine' cannot be used: ")
    assert said in str(told[0])
    with pytest.raises(UserError):
        load_recipes(tmp_path)


def test_what_a_configuration_fetches_is_known_before_it_runs(tmp_path: Path) -> None:
    tree = shipped_recipes()["a5-gpt2"].tree
    assert fetches(tree) == {"model.weights": "gpt2", "tokenizer.kind": "gpt2"}
    assert fetches(with_value(tree, "tokenizer.path", str(tmp_path))) == {"model.weights": "gpt2"}
    assert fetches(with_value(tree, "model.weights", str(tmp_path))) == {}
    assert fetches(shipped_recipes()["b8-dcgan"].tree) == {"data.dataset": "celeba"}
    assert fetches(shipped_recipes()["names-gpt"].tree) == {}


def test_another_dataset_keeps_every_setting_of_the_run() -> None:
    run = failed(
        "b8-dcgan",
        "data.dataset: celeba/faces.zip could not be had: no connection. Choose digits.",
        training__max_steps=4,
    )
    instead = found(run)
    assert instead.configuration.tree() == with_value(run.configuration().tree(), "data.dataset", "digits")
    assert instead.recipe == "b8-dcgan"
    assert instead.sentence == (
        "celeba/faces.zip could not be had: no connection, so b8-dcgan is trained on digits instead, "
        "to which its figures do not apply."
    )


def test_another_recipe_keeps_what_a_person_changed_as_far_as_it_has_that() -> None:
    run = failed("a5-gpt2", training__max_steps=20, optimizer__kind="sgd", training__batch_size=2)
    instead = found(run, "training.batch_size", "training.eval_interval")
    tree, own = instead.configuration.tree(), shipped_recipes()["a5-gpt2-untrained"].tree
    assert tree["training"] == own["training"] | {"max_steps": 20, "eval_interval": 10, "batch_size": 2}
    assert tree["optimizer"]["kind"] == "sgd"
    assert (tree["model"], tree["tokenizer"]) == (own["model"], own["tokenizer"])
    assert instead.sentence == (
        "gpt2-vocab.bpe could not be downloaded from a.b.c: no connection, so a5-gpt2-untrained is trained instead of a5-gpt2, "
        "whose figures do not apply to it."
    )


def test_what_the_other_recipe_lacks_is_left_out_and_said(tmp_path: Path) -> None:
    recipes = load_recipes(written(tmp_path, "{ recipe = 'plain' }"))
    tree = with_value(with_value(recipes["mine"].tree, "model.n_embd", 32), "model.n_head", 8)
    run = create(parse(tree), recipe="mine")
    run.write_status(Status(state=RunState.FAILED, unreachable=True, message="names.txt is out of reach."))
    instead = fallback_for(run, recipes)
    assert instead is not None
    assert instead.configuration.tree()["model"]["n_embd"] == 32
    assert instead.left_out == ("model.n_head",)
    assert instead.sentence.endswith("It has no model.n_head: left out.")


def test_only_a_run_that_could_not_reach_what_its_recipe_fetches_has_a_fallback(tmp_path: Path) -> None:
    recipes = shipped_recipes()
    assert fallback_for(failed("b2-mlp", "The loss is not finite.", unreachable=False), recipes) is None
    assert fallback_for(failed("names-gpt"), recipes) is None, "a recipe without a fallback"
    assert fallback_for(failed("b8-dcgan", data__dataset="cifar10"), recipes) is None, "they asked for CIFAR-10"
    assert fallback_for(failed("a5-gpt2", model__weights=str(tmp_path)), recipes) is None, (
        "they have weights of their own"
    )
    running = failed("b2-mlp")
    running.write_status(Status(state=RunState.RUNNING, unreachable=True))
    assert fallback_for(running, recipes) is None


def test_the_fallback_takes_the_place_of_the_run_and_remembers_why() -> None:
    run = failed("a5-gpt2")
    begun = create_fallback(run, found(run), name="mine")
    assert list_runs() == [begun]
    assert begun.name == "mine"
    assert begun.meta()["recipe"] == "a5-gpt2-untrained"
    assert begun.meta()["instead_of"] == {"recipe": "a5-gpt2", "reason": OFFLINE}
    assert begun.status().state is RunState.STARTING
    assert not list(begun.path.parent.glob(".deleted*"))


def test_the_fallback_may_have_the_name_of_the_run_it_replaces() -> None:
    run = failed("b8-dcgan", "Out of reach.")
    assert create_fallback(run, found(run)).name == run.name == "b8-dcgan-1"
