"""A person's own recipes: written, read beside those that ship, and never in their way."""

from pathlib import Path

import pytest

from torchtty.engine.contract.client.own_recipes import all_recipes, delete_recipe, own_recipes_folder, save_recipe
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.configuration import starting_tree, with_value
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.recipes import shipped_recipes


def never(error: UserError) -> None:
    raise AssertionError(error)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_configuration_is_read_back_as_it_was(family: str) -> None:
    tree = starting_tree(family)
    if "optimizer" in tree:
        kind = "sgd" if tree["optimizer"]["kind"] != "sgd" else "adam"
        rate = tree["optimizer"]["learning_rate"]  # another kind's default differs from it
        tree["optimizer"] = {"kind": kind, "learning_rate": rate, "weight_decay": 1 / 3}
        tree["training"]["max_steps"] = 77
    saved = save_recipe("Mine, at last", tree, shipped_recipes())
    assert saved.name == "mine-at-last"
    assert saved.title == "Mine, at last"
    read = all_recipes(never)["mine-at-last"]
    assert read.is_own
    assert read.tree == saved.tree
    for section, values in tree.items():
        assert values.items() <= read.tree[section].items()
    assert [name for name, recipe in all_recipes(never).items() if recipe.is_own] == ["mine-at-last"]


def test_a_file_that_is_no_recipe_is_told_and_left_out() -> None:
    folder = own_recipes_folder()
    folder.mkdir(parents=True)
    (folder / "broken.toml").write_text("title = [")
    (folder / "binary.toml").write_bytes(b"\xff\x00\xfe")
    (folder / "names-gpt.toml").write_text('title = "x"\nabout = "y"\n[model]\nkind = "gpt"\n')
    (folder / "deep.toml").write_text("a = " + "[" * 5000)
    (folder / "folder.toml").mkdir()
    (folder / "gone.toml").symlink_to("nowhere")
    (folder / "notes.txt").write_text("not looked at")
    (folder / "good.toml").write_text('title = "x"\nabout = "y"\n[model]\nkind = "mlp"\n')
    told: list[str] = []
    found = all_recipes(lambda error: told.append(str(error)))
    assert [name for name, recipe in found.items() if recipe.is_own] == ["good"]
    assert len(told) == 6
    assert all(str(folder) in message for message in told)
    assert found.keys() - {"good"} == shipped_recipes().keys()


@pytest.mark.parametrize("title", ["names-gpt", "GPT", "¡!", ""])
def test_a_name_that_is_taken_or_none_at_all_is_refused(title: str) -> None:
    with pytest.raises(UserError):
        save_recipe(title, starting_tree("gpt"), shipped_recipes())
    assert not own_recipes_folder().exists()


def test_saving_under_the_same_title_replaces_and_deleting_removes() -> None:
    save_recipe("mine", starting_tree("gpt"), all_recipes(never))
    save_recipe("mine", with_value(starting_tree("gpt"), "model.n_layer", 9), all_recipes(never))
    assert all_recipes(never)["mine"].tree["model"]["n_layer"] == 9
    delete_recipe("mine")
    assert "mine" not in all_recipes(never)
    for name in ("mine", "names-gpt", "../mine", ""):
        with pytest.raises(UserError, match="no recipe of yours"):
            delete_recipe(name)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TORCHTTY_CONFIG", str(tmp_path / "file"))
    with pytest.raises(UserError, match="TORCHTTY_CONFIG"):
        save_recipe("mine", starting_tree("gpt"), shipped_recipes())
