"""A recipe whose download cannot be had: what is trained instead, and how to refuse that. The mirror is an empty folder."""

import json
from pathlib import Path

import pytest
from command_line import Shell


@pytest.fixture
def empty(tmp_path: Path) -> str:
    (tmp_path / "empty").mkdir()
    return str(tmp_path / "empty")


def test_without_the_published_weights_the_small_one_is_trained_in_its_place(shell: Shell, empty: str) -> None:
    answer = shell(
        "train", "a5-gpt2", "--training.max_steps", "3", "--name", "proverb", "--json", TORCHTTY_MIRROR=empty
    )
    assert answer.code == 0
    assert (
        f"The mirror {empty} (TORCHTTY_MIRROR) has no gpt2-vocab.bpe, so a5-gpt2-untrained is trained instead of a5-gpt2, "
        "whose figures do not apply to it.\n" in answer.err
    )
    result = json.loads(answer.out)
    assert (result["run"], result["state"], result["step"]) == ("proverb", "finished", 3)
    assert result["instead_of"]["recipe"] == "a5-gpt2"
    assert "has no gpt2-vocab.bpe" in result["instead_of"]["reason"]
    shown = shell("show", "proverb")
    assert "instead of   a5-gpt2: " in shown.out
    listed = json.loads(shell("runs", "--json").out)
    assert not [run for run in listed if run["recipe"] == "a5-gpt2"], "no failed run is left to puzzle over"


def test_whoever_wants_no_fallback_gets_the_failure(shell: Shell, empty: str) -> None:
    answer = shell("train", "b1-bigram-counts", "--no-fallback", "--name", "counts", TORCHTTY_MIRROR=empty)
    assert (answer.code, answer.out) == (1, "")
    assert (
        f"error: counts failed: The mirror {empty} (TORCHTTY_MIRROR) has no names.txt. Choose given-names" in answer.err
    )
    assert (shell.folder / "runs" / "counts").is_dir()


def test_a_detached_run_is_announced_once_it_is_known_what_trains(shell: Shell, empty: str) -> None:
    answer = shell("train", "b1-bigram-counts", "--detach", "--name", "behind", TORCHTTY_MIRROR=empty)
    assert (answer.code, answer.out) == (0, "behind\n")
    assert "so b1-bigram-counts is trained on given-names instead" in answer.err
    (run,) = [run for run in json.loads(shell("runs", "--json").out) if run["run"] == "behind"]
    assert run["dataset"] == "given-names"
    assert run["state"] in ("running", "finished")


def test_a_detached_run_that_fails_at_once_is_a_failure(shell: Shell, empty: str) -> None:
    answer = shell(
        "train", "b1-bigram-counts", "--detach", "--no-fallback", "--name", "counts-2", TORCHTTY_MIRROR=empty
    )
    assert (answer.code, answer.out) == (1, "")
    assert "error: counts-2 failed: The mirror" in answer.err
    assert "in the background" not in answer.err
