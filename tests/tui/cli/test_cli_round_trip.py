"""One run from the command line through its whole life: trained, prompted, paused, interrupted, resumed, shown."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from command_line import PATIENCE, Answer, Shell, interrupted

# The story below starts three workers one after the other, and a busy machine imports torch slowly.
pytestmark = pytest.mark.timeout(600)

TINY = [
    *("--model.n_hidden", "16", "--training.batch_size=8", "--training.log_interval", "5"),
    *("--training.eval_interval", "20", "--training.eval_batches", "1", "--sampling.interval", "20"),
    *("--training.device", "cpu", "--sampling.max_tokens", "12", "--tokenizer.kind", "character"),
]


@dataclass
class Life:
    """What each command of the story answered."""

    midway: Answer
    paused: Answer
    resumed: Answer
    interrupted: Answer
    after: dict
    finished: Answer
    kept: Answer
    released: Answer
    streamed: Answer


@pytest.fixture(scope="module")
def life(shell: Shell, wait_until: Callable[..., None]) -> Life:
    run = shell.folder / "runs" / "tiny"
    following = shell.begin("train", "mlp", "--name", "tiny", "--max_steps", "1000000", *TINY)
    try:
        wait_until(lambda: "val_loss" in _text(run / "metrics.jsonl") or following.poll() is not None, PATIENCE)
        assert following.poll() is None, following.communicate()
        midway = shell("sample", "latest", "--count", "2", "--prompt", "an[b]é", "--seed", "7", "--json")
        paused = shell("pause", "tin")
        resumed = shell("resume", "tiny", "--detach")
        assert '"running"' in _text(run / "status.json")
        stopped = interrupted(following)
    finally:
        following.kill()
    after = json.loads(shell("show", "tiny", "--json").out)
    finished = shell("resume", "tiny", "--training.max_steps", str(after["step"] + 40), "--json")
    kept = shell("runs")
    released = shell("release")  # so that the next sample needs a worker of its own
    streamed = shell("sample", "tiny", "--count", "1", "--prompt", "ma", "--seed", "3")
    return Life(midway, paused, resumed, stopped, after, finished, kept, released, streamed)


def _text(path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_run_answers_prompts_while_it_trains(life: Life) -> None:
    answer = json.loads(life.midway.out)
    assert [len(answer["samples"]), answer["settings"]["seed"]] == [2, 7]
    assert all(sample["text"].startswith("anb") and sample["known"] in (True, False) for sample in answer["samples"])
    assert "Ignored (not in the vocabulary): [, ], é" in life.midway.err


def test_a_run_pauses_and_continues(life: Life) -> None:
    assert life.paused.code == 0
    assert "tiny is paused at step" in life.paused.err
    assert (life.resumed.code, life.resumed.out) == (0, "tiny\n")


def test_ctrl_c_stops_the_run_with_a_checkpoint_and_130(life: Life) -> None:
    assert life.interrupted.code == 130
    assert life.after["state"] == "stopped"
    assert life.after["checkpoints"][-1] == life.after["step"] > 0


def test_the_summary_has_losses_a_chart_samples_and_what_to_do_next(life: Life) -> None:
    summary = life.interrupted.out
    assert re.search(r"validation loss\s+\d\.\d{4}  best \d\.\d{4} at step", summary)
    assert "┤" in summary
    assert re.search(r"^  \S+  (new|seen)$", summary, re.MULTILINE)
    assert "torchtty resume tiny" in summary
    assert all(len(line) <= 80 for line in summary.splitlines() if "stored in" not in line)


def test_without_a_terminal_progress_is_lines_without_escape_codes(life: Life) -> None:
    assert "starting" in life.interrupted.err
    assert "\x1b" not in life.interrupted.err + life.interrupted.out


def test_a_stopped_run_is_resumed_to_its_new_end(life: Life) -> None:
    assert life.finished.code == 0
    result = json.loads(life.finished.out)
    assert (result["state"], result["step"]) == ("finished", life.after["step"] + 40)
    assert result["max_steps"] == result["step"]
    assert result["val_loss"] > 0


def test_the_model_of_a_finished_run_is_released(life: Life) -> None:
    assert "finished*" in life.kept.out
    assert (life.released.code, life.released.out) == (0, "")
    assert "tiny has let its model go." in life.released.err


def test_a_run_at_rest_is_loaded_for_a_sample_and_let_go(
    life: Life, shell: Shell, wait_until: Callable[..., None]
) -> None:
    assert life.streamed.code == 0
    events = [json.loads(line) for line in _text(shell.folder / "runs" / "tiny" / "events.jsonl").splitlines()]
    (text,) = next(event["sample"]["texts"] for event in reversed(events) if event["event"] == "answered")
    assert text.startswith("ma")
    assert life.streamed.out == f"{text}\n"
    wait_until(lambda: '"serving": false' in _text(shell.folder / "runs" / "tiny" / "status.json"), PATIENCE)


def test_show_and_runs_tell_the_same_story(life: Life, shell: Shell) -> None:
    shown = shell("show", "latest")
    assert shown.code == 0
    for part in ("tiny  finished", "n_hidden 16", "steps ", "(best)", "┤"):
        assert part in shown.out
    everything = json.loads(shell("show", "tiny", "--json").out)
    steps = [step for step, _ in everything["curves"]["train_loss"]]
    assert steps == sorted(set(steps))
    assert everything["edited"]["training"]["max_steps"] == everything["step"]
    assert everything["configuration"]["training"]["max_steps"] == 1_000_000
    entry = next(run for run in json.loads(shell("runs", "--json").out) if run["run"] == "tiny")
    assert entry["state"] == "finished"
    assert re.search(r"tiny\s+finished\s+mlp\s+given-names", shell("runs").out)


def test_a_finished_run_needs_more_steps_to_go_on(life: Life, here: Callable[..., Answer]) -> None:
    answer = here("resume", "tiny")
    assert answer.code == 2
    assert "add --training.max_steps" in answer.err


def test_a_setting_that_is_fixed_cannot_change_on_resuming(life: Life, here: Callable[..., Answer]) -> None:
    answer = here("resume", "tiny", "--model.n_hidden", "32", "--training.max_steps", "9999999")
    assert answer.code == 2
    assert "--model.n_hidden is fixed once a run has started" in answer.err


def test_a_sample_with_wrong_settings_is_told_all_of_them(life: Life, here: Callable[..., Answer]) -> None:
    answer = here("sample", "tiny", "--count", "0", "--temperature", "hot", "--seed", "x")
    assert answer.code == 2
    assert all(f"--{name} cannot be" in answer.err for name in ("count", "temperature", "seed"))


def test_a_name_that_is_taken_is_refused(life: Life, here: Callable[..., Answer]) -> None:
    answer = here("train", "mlp", "--name", "tiny")
    assert answer.code == 1
    assert "There is a run called tiny already" in answer.err


def test_pausing_a_run_that_ended_is_an_error_and_stopping_it_is_none(life: Life, here: Callable[..., Answer]) -> None:
    assert here("pause", "tiny").code == 1
    assert here("stop", "tiny").code == 0


def test_data_that_teach_nothing_are_refused_before_a_run_is_made(shell: Shell) -> None:
    corpus = shell.folder / "one-symbol.txt"
    corpus.write_text("a" * 500, encoding="utf-8")
    answer = shell("train", "mlp", "--data.dataset", "one-symbol.txt", "--name", "fails", *TINY, "--json")
    assert answer.code == 2
    assert "single symbol" in answer.err
    assert not (shell.folder / "runs" / "fails").exists()
