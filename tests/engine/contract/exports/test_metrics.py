"""The metrics of a run as a table, and where exports are written to."""

import csv
import json
import math
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from written_run import WrittenRun, write_run

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.exports import kinds
from torchtty.engine.contract.exports.kinds import KINDS, checked_target, default_target, kind_of, new_file, new_folder
from torchtty.engine.contract.exports.metrics import metric_rows, metrics_csv, metrics_jsonl
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState

__all__ = ["write_run"]

Write = Callable[..., WrittenRun]


def test_a_row_a_step_whatever_was_written_twice_or_never_was(write_run: Write) -> None:
    written = write_run()
    written.metrics(
        {"step": 0, "time": 0.1, "val_loss": 3.0},
        {"step": 1, "time": 0.2, "tokens": 8, "train_loss": 2.5},
        {"step": 2, "time": 0.3, "tokens": 16, "train_loss": 2.0},
        {"step": 2, "time": 0.4, "tokens": 16, "val_loss": math.inf},
        {"step": 3, "time": 0.5, "train_loss": 9.0},
        {"step": 2, "time": 0.6, "train_loss": 1.0},  # it went on from a checkpoint at step 1
        {"step": "x", "train_loss": 1.0},
        {"step": 4, "time": 0.7, "train_loss": math.nan, "name": "text"},
    )
    with written.run.metrics_path.open("ab") as file:
        file.write(b'{"step": 5, "train_lo')
    rows = metric_rows(written.run)
    assert [row["step"] for row in rows] == [0, 1, 2, 4]
    table = list(csv.DictReader(metrics_csv(rows).splitlines()))
    assert list(table[0]) == ["step", "time", "tokens", "val_loss", "train_loss"]
    assert [row["train_loss"] for row in table] == ["", "2.5", "1.0", "nan"]
    assert [row["val_loss"] for row in table] == ["3.0", "", "inf", ""]
    lines = [json.loads(line, parse_constant=pytest.fail) for line in metrics_jsonl(rows).splitlines()]
    assert lines[0] == {"step": 0, "time": 0.1, "val_loss": 3.0}
    assert lines[3] == {"step": 4, "time": 0.7, "train_loss": None}


def test_a_run_without_metrics_has_none_to_export_and_names_cannot_act_on_a_terminal(write_run: Write) -> None:
    written = write_run()
    with pytest.raises(UserError, match="has no metrics to export"):
        metric_rows(written.run)
    written.metrics({"step": 1, "\x1b[2J": 1.0})
    rows = metric_rows(written.run)
    assert "\x1b" not in metrics_csv(rows) + metrics_jsonl(rows)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("a.csv", "metrics-csv"), ("a.jsonl", "metrics-jsonl"), ("~/b/A.SVG", "chart-svg"), ("a.b.png", "chart-png"),
        ("a.txt", "samples"), ("a.safetensors", "weights"), ("a.tar.gz", "archive"), ("a.tgz", "archive"), ("a.zip", "archive"),
        ("folder", None), ("a.gz", None), (".csv", None), ("-", None), ("a.", None),
    ],
)  # fmt: skip
def test_the_kind_follows_from_an_ending_that_only_one_has(write_run: Write, target: str, kind: str | None) -> None:
    found = kind_of(target, RunSnapshot.of(write_run().run))
    assert (found.name if found else None) == kind


def test_a_folder_means_transformers_for_a_model_that_has_that_form(write_run: Write) -> None:
    snapshot = RunSnapshot.of(write_run("small", kind="gpt2").run)
    assert kind_of("folder", snapshot) is KINDS["transformers"]
    assert kind_of("-", snapshot) is None


def test_what_a_run_cannot_give_yet_is_refused_with_the_reason(write_run: Write) -> None:
    written = write_run()
    written.status(RunState.RUNNING)

    def refusals() -> dict[str, str]:
        snapshot = RunSnapshot.of(written.run)
        return {name: kinds.refused(snapshot, kind) for name, kind in KINDS.items() if kinds.refused(snapshot, kind)}

    assert refusals() == {
        **dict.fromkeys(
            ("metrics-csv", "metrics-jsonl", "chart-svg", "chart-png", "tensorboard"),
            "one has no metrics yet: it has not trained a step.",
        ),
        "samples": "one has no samples yet: 'torchtty sample one' draws some.",
        "weights": "one has no checkpoint yet, so there are no weights on the disk: it is written at a checkpoint, and when "
        "the run stops.",
        "transformers": "one cannot be exported: only GPT-2 has a form that other programs read.",
    }
    written.curve(50)
    written.sample("a", "karina")
    written.checkpoint(50)
    assert list(refusals()) == ["transformers"]
    written.run.config_path.write_text("[")
    assert "cannot be read" in refusals()["archive"]
    gan = write_run("gan", kind="dcgan").run
    assert "draws pictures and writes no text" in kinds.refused(RunSnapshot.of(gan), KINDS["samples"])


def test_nothing_is_overwritten_and_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target, kind = tmp_path / "a.csv", KINDS["metrics-csv"]
    with new_file(checked_target(str(target), kind)) as file:
        file.write(b"first")
        assert not target.exists()
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    with pytest.raises(UserError, match="is there already, and was left as it is"):
        checked_target(str(target), kind)
    with pytest.raises(UserError, match="has appeared meanwhile"), new_file(target) as file:
        file.write(b"second")
    assert target.read_bytes() == b"first"
    with suppress(ZeroDivisionError), new_file(target, force=True) as file:
        file.write(b"third")
        raise ZeroDivisionError
    assert target.read_bytes() == b"first"
    with new_file(checked_target(str(target), kind, force=True), force=True) as file:
        file.write(b"fourth")
    assert target.read_bytes() == b"fourth"
    for wrong, said in (
        (tmp_path, "is a folder, and metrics-csv is one file"),
        (tmp_path / "nowhere" / "a.csv", "There is no folder"),
        (tmp_path / ("a" * 300), "is too long"),
    ):
        with pytest.raises(UserError, match=said):
            checked_target(str(wrong), kind, force=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept").touch()
    with pytest.raises(UserError, match="nothing is overwritten"):
        checked_target(str(tmp_path / "full"), KINDS["weights"], force=True)
    with suppress(ZeroDivisionError), new_folder(tmp_path / "new") as folder:
        (folder / "half").touch()
        raise ZeroDivisionError
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "full", "plain"]


def test_the_proposed_target_is_not_there_yet(
    write_run: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = RunSnapshot.of(write_run("mine").run)
    monkeypatch.chdir(tmp_path)
    names = {name: default_target(snapshot, kind) for name, kind in KINDS.items()}
    assert names["archive"] == "mine.tar.gz"
    assert names["weights"] == "mine-weights"
    for name, target in names.items():
        meant = kind_of(target, snapshot)
        assert meant is None or meant.name == name
    (tmp_path / "mine.csv").touch()
    (tmp_path / "mine-weights").mkdir()
    assert default_target(snapshot, KINDS["metrics-csv"]) == "mine-2.csv"
    assert default_target(snapshot, KINDS["weights"]) == "mine-weights-2"
