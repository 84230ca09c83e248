"""`torchtty runs` with columns, an order and a filter, and the commands that mark runs: what the app's list can do."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Answer, Shell

from torchtty.engine.contract.experiments.group import create_group
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.run.marks import Marks, read_marks
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree

Here = Callable[..., Answer]


@pytest.fixture
def here(here: Here, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The commands, with the runs of this test alone."""
    monkeypatch.setenv("TORCHTTY_RUNS", str(own_folders))
    return here


@pytest.fixture
def three(write_run: Callable[..., Any]) -> dict[str, Any]:
    """A GPT whose last tenth is better than its best says, another that runs, and a failed MLP; the newest first."""
    found = {}
    for age, (name, kind, state, rate, best, end) in enumerate(
        (
            ("middle", "gpt", RunState.RUNNING, "1e-3", 2.2, 2.5),
            ("low", "gpt", RunState.FINISHED, "1e-4", 2.4, 1.5),
            ("high", "mlp", RunState.FAILED, "1e-1", 2.6, 3.5),
        )
    ):
        run = write_run(name, kind, optimizer__learning_rate=rate)
        run.metrics(*({"step": step, "train_loss": 4.0 if step < 90 else end} for step in range(101)))
        run.status(state, step=100, metrics={"val_loss": best}, best=best, best_step=100, seconds=60.0 * (age + 1))
        meta = json.loads(run.run.meta_path.read_text())
        created = time.time() - 86400 * age
        run.run.meta_path.write_text(json.dumps(meta | {"created": created}))
        os.utime(run.run.config_path, (created, created))
        found[name] = run.run
    return found


def names(answer: Answer) -> list[str]:
    assert answer.code == 0, answer.err
    return [line.split()[0] for line in answer.out.splitlines()[1:]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--sort", "best"), "middle low high"),
        (("--sort", "best", "--reverse"), "high low middle"),
        (("--sort", "smoothed"), "low middle high"),
        (("--sort", "lr"), "low middle high"),
        (("--sort", "time"), "middle low high"),
        (("--sort", "name"), "high low middle"),
        (("--sort", "created"), "middle low high"),
        (("--filter", "model:gpt"), "middle low"),
        (("--filter", "lr>=1e-3 -state:failed"), "middle"),
        (("--filter", "val<2.5", "--sort", "val", "--reverse"), "low middle"),
        (("--filter", "age>36h"), "high"),
    ],
)
def test_runs_are_sorted_and_filtered_as_in_the_app(three: object, here: Here, options: Any, expected: str) -> None:
    assert names(here("runs", *options, columns=200)) == expected.split()


def test_the_columns_that_were_chosen_are_all_shown_and_are_those_of_the_json(three: object, here: Here) -> None:
    chosen = "name,state,learning_rate,best,smoothed,val_loss,model,star,differs"
    answer = here("runs", "--columns", chosen, "--sort", "smoothed", columns=40)
    titles, low, middle, _ = answer.out.splitlines()
    assert titles.split() == ["name", "state", "learning_rate", "best", "smoothed", "val_loss", "model", "★", "differs"]
    assert low.split() == ["low", "finished", "1e-4", "2.4000", "1.5000", "2.4000", "gpt", "lr", "1e-4"]
    assert middle.split()[:5] == ["middle", "running", "1e-3", "2.2000", "2.5000"]
    first, *_ = json.loads(here("runs", "--columns", chosen, "--sort", "smoothed", "--json").out)
    assert list(first) == chosen.split(",")
    assert (first["smoothed"], first["learning_rate"], first["star"]) == (1.5, 1e-4, False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sort", "lrr"), "Runs have no 'lrr'. Did you mean lr?"),
        (("--columns", "name,nmae"), "Runs have no 'nmae'. Did you mean name?"),
        (("--filter", "foo:3"), "Runs have no 'foo'."),
        (("--filter", "val<x"), "'val<x' cannot be read: 'x' is not a number such as 1e-3, 1.9 or 48k."),
        (("--filter", "state:runing"), "state is one of starting, queued,"),
        (("--filter", "smoothed<2"), "Runs are sorted by smoothed, but not filtered"),
        (("--filter", "\x1b[2J:3"), "None of the 3 runs fits"),
        (("--filter", "[red]x[/]"), "None of the 3 runs fits '[red]x[/]'."),
    ],
)
def test_what_cannot_be_understood_is_said_and_nothing_is_listed(
    three: object, here: Here, options: Any, message: str
) -> None:
    answer = here("runs", *options)
    assert message in answer.err.replace("\n", " ")
    assert answer.out == ""
    assert "\x1b[2J" not in answer.err
    assert answer.code == (0 if "fits" in message else 2)


def test_star_tags_and_note_are_written_found_shown_and_taken_away(three: dict[str, Any], here: Here) -> None:
    assert here("star", "low", "high").code == 0
    assert here("tag", "low", "good #base").code == 0, "two in one word, as in the app"
    assert "low has a note." in here("note", "low", "of [red]Tuesday[/]\n\x1b[2J").err
    assert read_marks(three["low"]) == Marks(True, ("good", "base"), "of [red]Tuesday[/] ␛[2J")
    assert here("tag", "low").out == "good\nbase\n"
    assert here("note", "low").out == "of [red]Tuesday[/] ␛[2J\n"
    assert names(here("runs", "--filter", "star:yes", columns=200)) == ["low", "high"]
    assert names(here("runs", "--filter", 'tag:good note:"of [red]tue"', columns=200)) == ["low"]
    usual = here("runs", columns=200).out
    assert "good base" in usual
    assert usual.count("★") == 3, "the title, and two runs"
    assert "★ #good #base of [red]Tuesday[/] ␛[2J" in here("show", "low").out
    for command in ("runs", "show"):
        known = json.loads(here(command, *(["low"] if command == "show" else []), "--json").out)
        about = known if command == "show" else known[1]
        assert (about["starred"], about["tags"], about["note"]) == (True, ["good", "base"], "of [red]Tuesday[/] ␛[2J")
    assert here("tag", "low", "good", "--off").code == 0
    assert here("note", "low", "--off").code == 0
    assert here("star", "low", "--off").code == 0
    assert read_marks(three["low"]) == Marks(tags=("base",))
    assert here("note", "low").out == ""


def test_a_run_cannot_have_the_name_of_a_group(three: dict[str, Any], here: Here) -> None:
    variation = Variation({"training.seed": (1, 2)})
    create_group(starting_tree("mlp"), variation, root=three["low"].path.parent, name="seeds")
    assert "There is a group called seeds already" in here("rename", "low", "seeds").err


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (("tag", "low", ""), 1, "A tag cannot be ''"),
        (("tag", "low", "a\x1b[2Jb"), 1, "A tag cannot be 'a␛[2Jb'"),
        (("tag", "low", "--off"), 2, "Name the tags that are to be removed."),
        (("note", "low", "x" * 501), 1, "500 characters at most"),
        (("note", "low", "x", "--off"), 2, "Either a text or --off"),
        (("star", "low", "nothing"), 1, "There is no run called 'nothing'"),
        (("rename", "low", "high"), 1, "There is a run called high already"),
        (("rename", "low", "../x"), 1, "A run cannot be called '../x'"),
        (("rename", "low", ""), 1, "A run cannot be called ''"),
    ],
)
def test_marks_and_names_that_cannot_be_are_refused_and_nothing_changes(
    three: dict[str, Any], here: Here, command: Any, code: int, message: str
) -> None:
    answer = here(*command)
    assert (answer.code, answer.out) == (code, "")
    assert message in answer.err.replace("\n", " ")
    assert read_marks(three["low"]) == Marks()


def test_the_real_commands_mark_rename_and_list(shell: Shell, tmp_path: Path, write_run: Callable[..., Any]) -> None:
    run = write_run("first").run
    write_run("second").status(RunState.FINISHED, step=3)
    runs = {"TORCHTTY_RUNS": str(run.path.parent)}
    (run.path / "status.json").write_text('{"state": "finished"}')
    assert shell("star", "first", **runs).code == 0
    assert shell("rename", "first", "chosen", **runs).code == 0
    answer = shell("runs", "--filter", "star:yes", "--columns", "name,star", **runs)
    assert answer.out.splitlines() == ["name    ★", "chosen  ★"]
