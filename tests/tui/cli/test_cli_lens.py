"""`torchtty lens`: a finished run's layers as a table and as JSON, and what it says where there is nothing to see."""

import json
from collections.abc import Callable

import pytest
from command_line import Answer, Shell

from torchtty.engine.contract.lenses import LENSES

TINY = [
    *("--model.n_hidden", "16", "--model.n_embd", "4", "--model.block_size", "3", "--training.batch_size=8"),
    *("--training.max_steps", "20", "--training.eval_batches", "1", "--sampling.interval", "0"),
    *("--training.device", "cpu"),
]


@pytest.fixture(scope="module")
def trained(shell: Shell) -> Shell:
    assert shell("train", "mlp", "--name", "seen", *TINY).code == 0
    shell("stop", "seen")  # lets the model go, so that the lens needs a worker of its own
    return shell


@pytest.mark.timeout(300)
def test_a_finished_run_is_loaded_and_looked_into(trained: Shell) -> None:
    answer = trained("lens", "shapes", "seen", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert (found["run"], found["step"], found["lens"]) == ("seen", 20, "shapes")
    hidden = next(layer for layer in found["layers"] if layer["name"] == "hidden")
    assert (hidden["inputs"], hidden["outputs"], hidden["parameters"]) == ([[8, 12]], [[8, 16]], 12 * 16 + 16)

    table = trained("lens", "shapes", "see", COLUMNS="80")
    assert table.code == 0, table.err
    lines = table.out.splitlines()
    assert lines[0].startswith("seen · step 20 · took ")
    assert all(len(line) <= 80 for line in lines)
    assert any(line.split()[:4] == ["hidden", "8×12", "8×16", "208"] for line in lines)


@pytest.mark.timeout(300)
def test_a_lens_with_options_is_drawn_and_one_for_other_models_refuses(trained: Shell) -> None:
    drawn = trained("lens", "counts", "seen", "--word", "emma", "--show", "model", COLUMNS="100")
    assert drawn.code == 0, drawn.err
    assert "first ↓  then →" in drawn.out
    assert "e→m" in drawn.out
    assert all(len(line) <= 100 for line in drawn.out.splitlines())
    refused = trained("lens", "walk", "seen")
    assert (refused.code, "MLP draws no pictures, which the lens walk looks into." in refused.err) == (1, True)


def test_options_are_explained_and_wrong_ones_named(here: Callable[..., Answer]) -> None:
    assert "--word" in here("lens", "counts", "--help").out
    wrong = here("lens", "counts", "latest", "--show", "all", "--colour", "red", columns=200)
    assert wrong.code == 2
    assert "--show cannot be 'all': it takes one of counts, probabilities, model, uniform." in wrong.err
    assert "The lens counts has no option --colour" in wrong.err


@pytest.mark.timeout(300)
def test_a_text_of_ones_own_is_read_and_a_lens_that_finds_nothing_says_why(trained: Shell) -> None:
    answer = trained("lens", "prediction", "seen", "--text", "anna", "--top", "2", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert [position["token"] for position in found["positions"]] == ["a", "n", "n", "a", "."]
    assert all(len(position["likeliest"]) == 2 for position in found["positions"])
    assert set(found["totals"]) == {"model", "bigram", "unigram", "chance"}
    refused = trained("lens", "attention", "seen")
    assert (refused.code, refused.err.strip()) == (
        1,
        "error: MLP has no attention, which the lens attention looks into.",
    )
    empty = trained("lens", "prediction", "seen", "--text", "€")
    assert (empty.code, empty.err.count("\n")) == (1, 1)
    assert "never seen '€'" in empty.err


def test_lenses_are_listed_with_how_they_are_read(here: Callable[..., Answer]) -> None:
    answer = here("lens", columns=200)
    assert answer.code == 0
    assert "shapes" in answer.out
    assert "Each line is a layer" in answer.out
    assert {entry["name"] for entry in json.loads(here("lens", "--json").out)} == set(LENSES)


def test_wrong_calls_say_what_is_right(here: Callable[..., Answer]) -> None:
    unknown = here("lens", "x-ray", "latest")
    assert (unknown.code, "The lenses are " in unknown.err) == (2, True)
    alone = here("lens", "shapes")
    assert (alone.code, "torchtty lens shapes latest" in alone.err) == (2, True)
    nowhere = here("lens", "shapes", "no-such-run")
    assert (nowhere.code, "no-such-run" in nowhere.err) == (1, True)
