"""Wrong usage is told at once, in full, and with exit code 2; nothing here starts a worker."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from command_line import COMMAND, Answer, Shell

from torchtty.engine.contract.settings.configuration import starting_tree
from torchtty.tui.cli.arguments import full_paths, parse_argv, preset_named
from torchtty.tui.cli.sweep import several_values

Here = Callable[..., Answer]


def test_a_wrong_setting_names_the_nearest_one(shell: Shell) -> None:
    answer = shell("train", "gpt", "--model.n_laye", "3")
    assert answer.code == 2
    assert "--model.n_laye is not a setting of GPT; did you mean model.n_layer?" in answer.err
    assert answer.out == ""


def test_every_wrong_value_is_reported_at_once(here: Here) -> None:
    answer = here(
        "train",
        "mlp",
        "--model.n_hidden=many",
        "--training.batch_size",
        "0",
        "--optimizer.kind",
        "adamx",
        "--max_steps",
    )
    assert answer.code == 2
    for part in (
        "--model.n_hidden cannot be 'many': it takes a whole number from 1",
        "--training.batch_size cannot be '0'",
        "--optimizer.kind must be one of",
        "--training.max_steps needs a value",
    ):
        assert part in answer.err


def test_settings_that_do_not_go_together_are_refused(here: Here) -> None:
    answer = here("train", "gpt", "--model.n_head", "5")
    assert answer.code == 2
    assert "--model.n_embd must be a multiple of n_head (5), such as 125 or 130" in answer.err


def test_a_setting_without_its_section_must_be_unambiguous(here: Here) -> None:
    answer = here("train", "mlp", "--tokenizer.kind", "word", "--lower_case", "no")
    assert answer.code == 2
    assert "--lower_case could be --data.lower_case or --tokenizer.lower_case" in answer.err


@pytest.mark.parametrize(
    ("typed", "path"),
    [("--lr", "optimizer.learning_rate"), ("--bs", "training.batch_size"), ("--n-hidden", "model.n_hidden")],
)
def test_a_setting_is_meant_by_its_name_or_its_usual_abbreviation(typed: str, path: str) -> None:
    given = parse_argv(["mlp", typed, "1,2"])
    assert full_paths(starting_tree("mlp"), given) == {path: "1,2"}
    assert several_values(preset_named("mlp"), given)


@pytest.mark.parametrize(("name", "meant"), [("gtp", "gpt"), ("names-gtp", "names-gpt")])
def test_an_unknown_model_or_recipe_brings_a_suggestion(here: Here, name: str, meant: str) -> None:
    answer = here("train", name)
    assert answer.code == 2
    assert f"no model or recipe called '{name}'. Did you mean {meant}" in answer.err


def test_a_missing_dataset_is_reported_before_a_run_is_made(shell: Shell, here: Here) -> None:
    answer = here("train", "mlp", "--data.dataset", "given-nam", "--name", "never-made")
    assert answer.code == 2
    assert "Did you mean given-names?" in answer.err
    assert not (shell.folder / "runs" / "never-made").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "No such command 'nope'"),
        (["recipe"], "'?\n'torchtty --help' shows how."),
        (["runs", "--josn"], "No such option: --josn"),
        (["sample"], "Missing argument 'RUN'"),
        (["train"], "Name a model or a recipe to train"),
        (["train", "gpt", "mlp"], "One model or recipe at a time"),
        (["train", "gpt", "-x"], "-x is not an option"),
        (["resume"], "Name one run to resume"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_clear_line(here: Here, arguments: list[str], message: str) -> None:
    answer = here(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_a_run_that_is_not_there_ends_with_1(here: Here) -> None:
    for command in ("show", "sample", "stop", "pause", "resume"):
        answer = here(command, "no-such-run")
        assert answer.code == 1
        assert "no-such-run" in answer.err or "There are no runs" in answer.err


def test_without_a_terminal_the_app_says_what_to_use_instead(shell: Shell) -> None:
    answer = shell()
    assert answer.code == 2
    assert "torchtty train mlp --json" in answer.err


def test_help_lists_every_command(here: Here) -> None:
    answer = here("--help")
    assert answer.code == 0
    for command in ("train", "resume", "stop", "pause", "sample", "export", "runs", "show", "data", "models", "doctor"):
        assert f" {command} " in answer.out


def test_the_help_of_a_model_lists_every_setting_with_default_and_range(here: Here) -> None:
    from torchtty.engine.contract.settings.configuration import kinds, specs, starting_tree, with_value

    answer = here("train", "gpt", "--help", columns=400)
    assert answer.code == 0
    tree = starting_tree("gpt")
    for section in tree:
        for kind in kinds("gpt", section) if section != "model" else ():
            for spec in specs("gpt", with_value(tree, f"{section}.kind", kind)):
                lines = [line for line in answer.out.splitlines() if line.startswith(f"--{spec.path}")]
                assert any(spec.help in line and spec.allowed() in line for line in lines), spec.path
    assert "12" in next(line for line in answer.out.splitlines() if "--training.batch_size" in line)
    assert "from 1 to 96" in next(line for line in answer.out.splitlines() if "--model.n_layer" in line)


def test_the_help_of_a_recipe_shows_its_own_values(here: Here) -> None:
    from torchtty.engine.contract.settings.recipes import load_recipes

    recipe = load_recipes()["names-gpt"]
    answer = here("train", "names-gpt", "--help", columns=400)
    steps = next(line for line in answer.out.splitlines() if "--training.max_steps" in line)
    assert str(recipe.tree["training"]["max_steps"]) in steps


def test_the_version_is_the_packages(here: Here) -> None:
    from importlib.metadata import version

    assert here("--version").out == f"torchtty {version('torchtty')}\n"


def test_models_and_data_are_listed_for_scripts(here: Here) -> None:
    models = json.loads(here("models", "--json").out)
    assert {"ngram", "mlp", "gpt"} <= {model["name"] for model in models}
    datasets = json.loads(here("data", "--json").out)
    assert {"name": "given-names", "where": "embedded"}.items() <= datasets[0].items()


def test_a_look_into_a_text_shows_it_as_data_not_as_markup(shell: Shell, here: Here) -> None:
    path = shell.folder / "corpus.txt"
    path.write_text("[bold]one[/bold] two\x1b[31m three\n" * 3, encoding="utf-8")
    answer = here("data", str(path))
    assert answer.code == 0
    assert "[bold]one[/bold] two␛[31m three" in answer.out
    assert "\x1b" not in answer.out
    found = json.loads(here("data", str(path), "--json").out)["statistics"]
    assert (found["unit"], found["characters"]) == ("text", 96)


def test_a_binary_file_is_refused_as_a_text(shell: Shell, here: Here) -> None:
    path = shell.folder / "binary"
    path.write_bytes(b"abc\x00def")
    answer = here("data", str(path))
    assert answer.code == 1
    assert "byte 3 is NUL" in answer.err


def test_a_reader_that_leaves_early_is_no_error(shell: Shell) -> None:
    script = f"{' '.join(COMMAND)} train gpt --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=shell.environment, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


def test_no_command_imports_torch_or_textual() -> None:
    script = "import sys\nfrom torchtty.tui import main\nfrom torchtty.tui.cli import program, train, requests, doctor, data\n"
    script += "sys.exit(', '.join(name for name in ('torch', 'textual') if name in sys.modules) or 0)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_entry_alone_imports_nothing_of_the_command_line() -> None:
    script = "import sys, torchtty.tui.main\nsys.exit(', '.join({'typer', 'rich', 'pydantic'} & set(sys.modules)) or 0)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_stream_without_unicode_gets_ascii(shell: Shell) -> None:
    done = subprocess.run(
        [*COMMAND, "train", "gpt", "--help"],
        capture_output=True,
        env=shell.environment | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert b"VALUE ...]" in done.stdout
