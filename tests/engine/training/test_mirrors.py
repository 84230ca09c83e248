"""Mirrors: what they get, and that training is the same with them, without them, and whatever becomes of them."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.exports.metrics import metric_rows
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import Release
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings import mirrors as packages
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.training import mirrors
from torchtty.engine.training.mirrors import SINKS, Mirror
from torchtty.engine.worker.estimate import prepare

FLAGS = {
    "data.dataset": "given-names", "training.device": "cpu", "training.max_steps": "40", "training.log_interval": "5",
    "training.eval_interval": "20", "training.eval_batches": "1", "sampling.interval": "0", "model.n_hidden": "16",
}  # fmt: skip


def trained(workers: Any, wait_until: Callable[..., None], log: str) -> RunDirectory:
    """Train a small model by a real worker and let it go."""
    run = create(with_flags(starting_tree("mlp"), FLAGS | {"training.log": log}))
    workers.start(run, Mode.TRAIN)
    wait_until(lambda: not run.status().state.is_live and run.status().serving, 120, "the end of training")
    assert run.status().state is RunState.FINISHED, run.status().message
    run.send(Release())
    log_of = RunLog(run)
    log_of.read()
    assert log_of.facts.warnings == ()
    return run


def curve(run: RunDirectory) -> list[dict[str, float]]:
    clock = ("time", "steps_per_second")
    return [{name: value for name, value in row.items() if name not in clock} for row in metric_rows(run)]


def in_tensorboard(run: RunDirectory, home: Path) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars("train_loss")]


def in_trackio(run: RunDirectory, home: Path) -> list[tuple[int, float]]:
    (database,) = home.rglob("torchtty*.db")
    with sqlite3.connect(database) as known:
        rows = known.execute("select step, metrics from metrics where run_name = ? order by step", (run.name,))
        found = [(step, json.loads(text)) for step, text in rows]
    return [(step, values["train_loss"]) for step, values in found if "train_loss" in values]


def in_wandb(run: RunDirectory, home: Path) -> list[tuple[int, float]]:
    """Read an offline run: a LevelDB log behind 7 bytes of its own, in blocks of 32 KiB, whose records are messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = run.path.glob("wandb/offline-run-*/*.wandb")
    data, at, message, found = file.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        message += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(message)
            message = b""
            items = {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            if "train_loss" in items:
                found.append((items["_step"], items["train_loss"]))
    return found


READERS = {"tensorboard": in_tensorboard, "trackio": in_trackio, "wandb": in_wandb}


@pytest.mark.parametrize("name", SINKS)
def test_a_mirror_gets_every_row_and_changes_nothing(
    workers: Any, wait_until: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pytest.importorskip(name)
    for variable in ("TRACKIO_DIR", "WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    workers.warm().close()  # the next worker starts with these variables
    mirrored, plain = trained(workers, wait_until, name), trained(workers, wait_until, "none")
    assert curve(mirrored) == curve(plain)
    wanted = [(row["step"], row["train_loss"]) for row in metric_rows(mirrored) if "train_loss" in row]
    found = READERS[name](mirrored, tmp_path / "home")
    assert len(wanted) > 5
    assert [step for step, _ in found] == [step for step, _ in wanted]
    assert [value for _, value in found] == pytest.approx([value for _, value in wanted], rel=1e-6)  # float32


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is here")
def test_a_run_does_not_begin_where_its_mirror_is_missing(workers: Any, wait_until: Callable[..., None]) -> None:
    run = create(with_flags(starting_tree("mlp"), FLAGS | {"training.log": "wandb"}))
    workers.start(run, Mode.TRAIN)
    wait_until(lambda: run.status().state is RunState.FAILED, 60, "the refusal")
    assert run.status().message.startswith("training.log: wandb is not installed: 'pip install wandb' adds it")
    assert not run.has_metrics()


class Recorder:
    """A sink that keeps what it gets, and fails or hangs where it is told to."""

    def __init__(self, fails_at: int = -1, hangs: threading.Event | None = None) -> None:
        self.rows: list[int] = []
        self.closed = False
        self._fails_at, self._hangs = fails_at, hangs

    def log(self, step: int, seconds: float, values: Any) -> None:
        if step == self._fails_at:
            raise ConnectionError("the server is gone\nand more")
        if self._hangs is not None:
            self._hangs.wait()
        self.rows.append(step)

    def close(self) -> None:
        self.closed = True


def mirror(sink: Recorder, steps: int = 20) -> list[str]:
    """Mirror some rows; return the warnings."""
    warnings: list[str] = []
    mirrored = Mirror("wandb", lambda: sink, warnings.append)
    for step in range(steps):
        mirrored.take({"step": step, "time": 0.1, "train_loss": 1.0})
    mirrored.close()
    return warnings


def test_a_mirror_that_fails_is_given_up_with_one_warning() -> None:
    sink = Recorder(fails_at=5)
    assert mirror(sink) == [
        "Nothing more is mirrored to wandb: the server is gone. Training goes on, and the run has it all."
    ]
    assert sink.rows == [0, 1, 2, 3, 4]
    well = Recorder()
    assert mirror(well) == []
    assert (well.rows, well.closed) == (list(range(20)), True)

    def missing() -> Recorder:
        raise SystemExit(3)

    warnings: list[str] = []
    mirrored = Mirror("trackio", missing, warnings.append)
    mirrored.take({"step": 1, "time": 0.1})
    mirrored.close()
    assert warnings == ["Nothing more is mirrored to trackio: 3. Training goes on, and the run has it all."]


def test_a_mirror_that_hangs_or_lags_never_holds_training_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "PATIENCE", 0.2)
    monkeypatch.setattr(mirrors, "WAITING", 5)
    hanging = threading.Event()
    began = time.monotonic()
    (warning,) = mirror(Recorder(hangs=hanging), steps=1000)
    assert time.monotonic() - began < 3
    assert "it does not keep up" in warning or "has not written everything" in warning
    hanging.set()


def test_a_missing_package_is_reported_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    configuration = with_flags(starting_tree("mlp"), FLAGS | {"training.log": "wandb"})
    with pytest.raises(UserError, match="wandb is not installed: 'pip install wandb' adds it"):
        packages.refuse_missing_mirror(configuration)
    ((path, message),) = prepare(configuration.tree())["problems"]
    assert (path, "pip install wandb" in message) == ("training.log", True)
    packages.refuse_missing_mirror(with_flags(starting_tree("mlp"), FLAGS))
    packages.refuse_missing_mirror(with_flags(starting_tree("ngram"), {}))
