"""The command that the form shows does what the form does."""

import shlex
from pathlib import Path

import pytest

from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.recipes import shipped_recipes
from torchtty.tui.cli.arguments import configured, parse_argv, preset_named
from torchtty.tui.form.command import command_of
from torchtty.tui.form.draft import Draft


def trained_by(command: str) -> object:
    program, verb, *arguments = shlex.split(command)
    assert (program, verb) == ("torchtty", "train")
    given = parse_argv(arguments)
    return configured(preset_named(given.words[0]).tree, given).tree()


def test_an_untouched_recipe_is_its_name_alone() -> None:
    assert (
        command_of(Draft.from_recipe(shipped_recipes()["names-gpt"]), shipped_recipes()) == "torchtty train names-gpt"
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_command_reads_back_to_the_very_same_configuration(family: str) -> None:
    draft = Draft.from_family(family)
    if family != "dcgan":
        draft.set("sampling.prompt", '-- it\'s "mine"')
        draft.set("data.lower_case", True)
        draft.set("data.limit", 500)
    if "optimizer" in draft.tree:
        draft.set("optimizer.kind", "sgd")
        draft.set("optimizer.weight_decay", 1 / 3)
        draft.set("training.max_seconds", None)
    assert trained_by(command_of(draft, shipped_recipes())) == draft.configuration().tree()


def test_a_file_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my text.txt").write_text("abc")
    monkeypatch.chdir(tmp_path)
    draft = Draft.from_recipe(shipped_recipes()["names-gpt"])
    draft.set("data.dataset", "my text.txt")
    command = command_of(draft, shipped_recipes())
    assert command == f"torchtty train names-gpt --data.dataset '{tmp_path}/my text.txt'"
    assert trained_by(command) == draft.configuration().tree()
