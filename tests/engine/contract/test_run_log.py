"""The run log reduces what a run has written, and the snapshot says what can be done with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.events import Answered, read_event
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.run.log import RunLog, result_of, settings_in_force
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, starting_tree


def run_of(kind: str = "mlp") -> RunDirectory:
    return create(parse(starting_tree(kind)))


def write(run: RunDirectory, *events: dict[str, Any]) -> RunLog:
    """Append events and return a log that has read them."""
    with run.events_path.open("ab") as file:
        file.write(b"".join(map(json_line, events)))
    log = RunLog(run)
    log.read()
    return log


def test_the_settings_in_force_are_those_of_the_start_with_the_edits_up_to_a_step() -> None:
    run = run_of()
    edits = [(100, 0.05), (300, 0.01)]
    path = "optimizer.learning_rate"
    log = write(run, *({"event": "edit", "step": at, "path": path, "value": rate, "old": 0.1} for at, rate in edits))
    rates = [log.settings(step)["optimizer"]["learning_rate"] for step in (0, 99, 100, 299, 300)]
    assert rates == [0.1, 0.1, 0.05, 0.05, 0.01]
    assert log.settings() == settings_in_force(run)
    assert run.configuration().tree()["optimizer"]["learning_rate"] == 0.1, "the run's own file never changes"


def test_a_run_of_the_first_version_is_read_as_one_of_today() -> None:
    start = {"event": "sample_start", "id": "a", "step": 7, "prompt": "x", "count": 1, "settings": {}, "unknown": ["é"]}
    end = {"event": "sample_end", "id": "a", "step": 7, "prompt": "x", "texts": ["xyz"], "known": [True]}
    run = run_of()
    log = write(run, start, {"event": "sample_text", "id": "a", "index": 0, "text": "xyz"}, end)
    [sample] = log.samples.values()
    assert (sample.texts, sample.known, sample.unknown, sample.done) == (("xyz",), (True,), ("é",), True)
    assert log.latest_sample is sample
    run.status_path.write_text(
        json.dumps({"state": "finished", "val_loss": 2.5, "best_val_loss": 2.25, "best_step": 9})
    )
    status = run.written_status()
    assert (status.metrics, status.best, status.best_step) == ({"val_loss": 2.5}, 2.25, 9)


def test_a_cancelled_sample_keeps_what_was_drawn_and_is_not_the_latest() -> None:
    about = {"id": "a", "request": "sample"}
    log = write(
        run_of(),
        {"event": "started", **about, "sample": {"prompt": "k"}},
        {"event": "cancelled", **about, "sample": {"prompt": "k", "texts": ["ka"]}},
    )
    [sample] = log.samples.values()
    assert (sample.texts, sample.cancelled, sample.done) == (("ka",), True, True)
    assert log.latest_sample is None


def test_a_row_whose_step_is_not_finite_is_passed_over_and_its_neighbours_are_not() -> None:
    run = run_of()
    rows = [{"step": step, "time": 0.1, "train_loss": loss} for step, loss in ((1, 3.0), (float("nan"), 9.0), (2, 2.5))]
    run.metrics_path.write_bytes(b"".join(map(json_line, rows)))
    log = RunLog(run)
    log.read()
    assert log.metrics.points("train_loss") == [(1.0, 3.0), (2.0, 2.5)]


def test_a_file_that_was_replaced_is_reduced_anew() -> None:
    run = run_of()
    log = write(run, {"event": "warning", "message": "old"})
    run.events_path.write_bytes(json_line({"event": "warning", "message": "x"}))
    assert log.read().events_restarted
    assert log.facts.warnings == ("x",)


def test_a_large_result_is_read_from_its_artifact_and_never_from_elsewhere(tmp_path: Path) -> None:
    run = run_of()
    (run.media / "lens.json").write_text('{"layers": 3}')
    assert result_of(run, Answered(artifact="media/lens.json")) == {"layers": 3}
    (tmp_path / "secret.json").write_text('{"secret": 1}')
    for path in ("../../secret.json", str(tmp_path / "secret.json"), "media/none.json"):
        assert result_of(run, Answered(artifact=path)) is None
    (run.media / "link.json").symlink_to(tmp_path / "secret.json")
    assert result_of(run, Answered(artifact="media/link.json")) is None


@pytest.mark.parametrize(
    "record",
    [{}, {"event": 7}, {"event": "edit"}, {"event": "state", "state": "asleep"}, {"event": "summary", "metrics": []}],
)
def test_a_line_that_is_no_event_is_passed_over(record: dict[str, Any]) -> None:
    assert read_event(record) is None


OVER, LIVE = RunState.FINISHED, RunState.RUNNING
SAVED = {Action.EXPORT_WEIGHTS, Action.EXPORT_ARCHIVE}  # whatever it does; of metrics and samples there are none here


@pytest.mark.parametrize(
    ("kind", "state", "offered"),
    [
        ("mlp", LIVE, {Action.PAUSE, Action.STOP, Action.EDIT, Action.SAMPLE, Action.LENS, Action.CHECKPOINT} | SAVED),
        (
            "mlp",
            RunState.PAUSED,
            {Action.CONTINUE, Action.STOP, Action.EDIT, Action.SAMPLE, Action.LENS, Action.CHECKPOINT, Action.REPLAY}
            | SAVED,
        ),
        ("mlp", RunState.QUEUED, {Action.STOP, Action.ADVANCE} | SAVED),
        ("mlp", OVER, {Action.RESUME, Action.SAMPLE, Action.LENS, Action.DELETE, Action.REPLAY, Action.RENAME} | SAVED),
        (
            "gpt2",
            OVER,
            {Action.RESUME, Action.SAMPLE, Action.LENS, Action.DELETE, Action.EXPORT, Action.REPLAY, Action.RENAME}
            | SAVED,
        ),
        ("ngram", OVER, {Action.SAMPLE, Action.LENS, Action.DELETE, Action.REPLAY, Action.RENAME} | SAVED),
    ],
)
def test_what_is_offered_follows_from_state_and_family(kind: str, state: RunState, offered: set[Action]) -> None:
    run = run_of(kind)
    snapshot = RunSnapshot(run, Status(state=state), run.configuration(), checkpoints=(5,))
    offered = offered | {Action.PIN} | (set() if kind == "ngram" else {Action.FORK})
    assert {action for action in Action if snapshot.offers(action)} == offered
    assert all(snapshot.refusal(action) for action in Action if action not in offered), "and a refusal says why"


def test_nothing_is_loaded_from_a_run_that_never_saved() -> None:
    run = run_of()
    snapshot = RunSnapshot(run, Status(state=RunState.FAILED), run.configuration())
    offered = {action for action in Action if snapshot.offers(action)}
    assert offered == {Action.DELETE, Action.REPLAY, Action.RENAME, Action.EXPORT_ARCHIVE}


def test_a_snapshot_reads_the_settings_in_force_and_what_the_run_is_summed_up_by(tmp_path: Path) -> None:
    run = run_of("dcgan")
    write(run, {"event": "edit", "step": 3, "path": "training.max_steps", "value": 77, "old": 2000})
    run.write_status(Status(state=OVER, metrics={"loss_d": 0.5, "loss_g": 2.0, "other": 1.0}))
    snapshot = RunSnapshot.of(run)
    assert snapshot.settings["training"]["max_steps"] == 77
    assert [(metric.label, value) for metric, value in snapshot.summarised] == [("D", 0.5), ("G", 2.0)]


def test_a_configuration_that_cannot_be_read_is_a_problem_of_the_snapshot(
    monkeypatch: pytest.MonkeyPatch, own_folders: Callable[..., Path]
) -> None:
    run = run_of()
    run.config_path.write_text("nonsense =")
    snapshot = RunSnapshot.of(run)
    assert snapshot.configuration is None
    assert "TOML" in snapshot.problem
    assert not snapshot.can_resume


def test_an_edit_whose_steps_were_undone_counts_from_where_the_run_went_back_to() -> None:
    run = run_of()
    for step, value in ((100, 0.1), (420, 0.2)):
        write(run, {"event": "edit", "step": step, "path": "optimizer.learning_rate", "value": value, "old": 0.01})
    write(run, {"event": "ready", "step": 400, "device": "cpu"})
    log = RunLog(run)
    log.read()
    assert [edit.step for edit in log.facts.edits] == [100, 400]
    assert log.settings(405)["optimizer"]["learning_rate"] == 0.2
