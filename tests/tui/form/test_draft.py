"""A draft keeps what was entered, says what is wrong, and knows the way back."""

from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.engine.contract.settings.fields import FieldSpec
from torchtty.engine.contract.settings.recipes import recipe_named, shipped_recipes
from torchtty.tui.form.draft import Draft, sentence


def names_gpt() -> Draft:
    return Draft.from_recipe(recipe_named("names-gpt"))


def spec(draft: Draft, path: str) -> FieldSpec:
    return next(spec for spec in draft.specs() if spec.path == path)


def test_a_fresh_draft_is_the_recipe_and_nothing_is_changed_or_wrong() -> None:
    draft = names_gpt()
    assert draft.configuration().tree() == recipe_named("names-gpt").tree
    assert draft.problems() == {}
    assert not any(draft.is_modified(spec.path) for spec in draft.specs())


def test_an_entered_value_is_taken_and_a_reset_brings_the_recipes_back() -> None:
    draft = names_gpt()
    draft.enter(spec(draft, "model.n_layer"), " 5 ")
    assert draft.configuration().tree()["model"]["n_layer"] == 5
    assert draft.is_modified("model.n_layer")
    draft.reset("model.n_layer")
    assert draft.text("model.n_layer") == "2"
    assert not draft.is_modified("model.n_layer")


def test_a_text_that_is_no_value_stays_on_the_screen_with_the_reason() -> None:
    draft = names_gpt()
    draft.enter(spec(draft, "model.n_layer"), "many")
    assert draft.text("model.n_layer") == "many"
    assert draft.problems() == {"model.n_layer": "takes a whole number from 1 to 96"}


def test_every_problem_is_told_at_once_in_the_order_of_the_form() -> None:
    draft = names_gpt()
    draft.enter(spec(draft, "training.batch_size"), "-1")
    draft.enter(spec(draft, "model.n_head"), "7")
    draft.enter(spec(draft, "optimizer.learning_rate"), "")
    problems = draft.problems()
    assert list(problems) == ["model.n_head", "optimizer.learning_rate", "training.batch_size"]
    assert "model.n_embd must be a multiple of n_head (7)" in problems["model.n_head"]


def test_a_problem_of_two_settings_is_shown_at_the_one_edited_last() -> None:
    draft = names_gpt()
    draft.enter(spec(draft, "model.n_head"), "3")
    assert list(draft.problems()) == ["model.n_head"]
    draft.enter(spec(draft, "model.n_embd"), "65")
    assert list(draft.problems()) == ["model.n_embd"]
    assert draft.problems()["model.n_embd"].startswith("must be a multiple of n_head (3)")
    draft.enter(spec(draft, "model.n_embd"), "66")
    assert draft.problems() == {}


def test_another_kind_brings_its_settings_and_going_back_finds_ones_own_values() -> None:
    draft = names_gpt()
    draft.set("optimizer.learning_rate", 0.004)
    draft.set("optimizer.kind", "sgd")
    assert draft.value("optimizer.momentum") == 0.0
    assert draft.is_modified("optimizer.kind")
    parse(draft.tree)
    draft.set("optimizer.kind", "adamw")
    assert draft.value("optimizer.learning_rate") == 0.004
    draft.reset("optimizer.learning_rate")
    assert draft.value("optimizer.learning_rate") == 0.002


def test_changing_a_kind_forgets_what_was_wrong_with_the_other() -> None:
    draft = names_gpt()
    draft.enter(spec(draft, "optimizer.beta1"), "7")
    draft.set("optimizer.kind", "sgd")
    assert draft.problems() == {}


def test_another_model_keeps_the_data_that_was_chosen() -> None:
    before = Draft.from_family("gpt")
    before.set("data.dataset", "python-docs")
    draft = Draft.from_family("mlp", before)
    assert draft.value("data.dataset") == "python-docs"
    assert draft.tree["optimizer"] == starting_tree("mlp")["optimizer"]


def test_a_missing_path_is_a_problem_of_the_data() -> None:
    draft = names_gpt()
    draft.set("data.dataset", "")
    assert list(draft.problems()) == ["data.dataset"]


def test_what_the_worker_found_wrong_stands_until_that_field_changes() -> None:
    draft = names_gpt()
    draft.report({"data.dataset": "There is no file there."})
    assert draft.problems() == {"data.dataset": "There is no file there."}
    draft.set("data.dataset", "python-docs")
    assert draft.problems() == {}


def test_every_shipped_recipe_can_be_started_as_it_is() -> None:
    for recipe in shipped_recipes().values():
        assert Draft.from_recipe(recipe).problems() == {}, recipe.name


def test_a_path_may_be_empty_where_its_setting_begins_so_and_not_elsewhere() -> None:
    draft = Draft.from_family("gpt2")
    assert draft.value("tokenizer.path") == ""
    draft.set("data.dataset", "")
    assert list(draft.problems()) == ["data.dataset"]
    draft.set("tokenizer.kind", "wordpiece")
    assert list(draft.problems()) == ["data.dataset", "tokenizer.path"]


def test_a_problem_away_from_its_setting_names_it_once() -> None:
    assert sentence("model.n_embd", "must be a multiple of 4") == "model.n_embd must be a multiple of 4"
    assert sentence("data.dataset", "There is no file x.") == "data.dataset: There is no file x."
    assert (
        sentence("model.block_size", "training.batch_size of 8 is too large.")
        == "training.batch_size of 8 is too large."
    )
