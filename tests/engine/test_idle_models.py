"""Which of the models that are served stays in memory: the one that was wanted last, and none that is in use."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.paths import state_folder
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.worker import serving
from torchtty.engine.worker.serving import IdleModels

WaitUntil = Callable[..., None]


def short_run(name: str, folder: Path) -> RunDirectory:
    text = folder / "text.txt"
    text.write_text(" ".join(f"{a}{b}{c}" for a in "abdk" for b in "aeiou" for c in "lmnr"), encoding="utf-8")
    settings = {"data.dataset": str(text), "data.unit": "text", "training.device": "cpu", "training.max_steps": "20"}
    settings |= {"training.eval_batches": "1", "sampling.interval": "0", "sampling.max_tokens": "5"}
    return create(with_flags(starting_tree("mlp"), settings), name=name)


def told(run: RunDirectory, id: str) -> list[str]:
    return [row["event"] for row in JsonLinesTail(run.events_path).read() if row.get("id") == id]


def test_of_several_finished_runs_one_stays_in_memory_and_one_that_is_asked_is_not_taken_away(
    workers: Any, tmp_path: Path, wait_until: WaitUntil
) -> None:
    runs = [short_run(name, tmp_path) for name in ("first", "second", "third")]
    first = workers.start(runs[0])
    wait_until(lambda: runs[0].status().serving, 60, "the first in memory")
    second = workers.start(runs[1])
    wait_until(lambda: not first.is_alive, 60, "the leave of the first")
    status = runs[0].status()
    assert (status.state, status.serving) == (RunState.FINISHED, False)
    assert runs[1].status().serving

    # The third ends while the second works on an answer, which it goes on with, and then waits for the next prompt.
    runs[1].send(requests.Sample(id="long", count=1, max_tokens=100_000))
    wait_until(lambda: "progress" in told(runs[1], "long"), 20, "the long answer")
    third = workers.start(runs[2])
    wait_until(lambda: runs[2].status().serving, 60, "the third in memory")
    time.sleep(2 * serving.LOOK_AROUND)
    assert not {"answered", "cancelled", "failed"} & set(told(runs[1], "long"))
    assert third.is_alive
    runs[1].send(requests.Cancel(request="long"))
    runs[1].send(requests.Sample(id="next", count=1))
    wait_until(lambda: "answered" in told(runs[1], "next"), 20, "the next answer")
    # It was asked last.
    wait_until(lambda: not third.is_alive, 20, "the leave of the third")
    assert second.is_alive
    assert runs[1].status().serving

    # More steps are trained by another worker, from the checkpoint.
    workers.start(runs[1], Mode.RESUME, **{"training.max_steps": 30})
    wait_until(lambda: runs[1].status().step == 30 and runs[1].status().serving, 60, "more steps")
    wait_until(lambda: not second.is_alive, 20, "the leave of the second")
    assert runs[1].status().state is RunState.FINISHED
    runs[1].send(requests.Release())
    wait_until(lambda: not runs[1].status().serving, 20, "the last leave")


def test_the_model_wanted_last_stays_whoever_looks_first(tmp_path: Path) -> None:
    one, other, elsewhere = IdleModels(tmp_path), IdleModels(tmp_path), IdleModels(tmp_path / "others")
    one.want(seconds_ago=5)
    assert not one.is_another_wanted_more()
    elsewhere.want()
    other.want(seconds_ago=3)
    assert [models.is_another_wanted_more() for models in (one, other, elsewhere)] == [True, False, False]
    one.want()
    assert [models.is_another_wanted_more() for models in (one, other)] == [False, True]
    one.leave()
    assert not other.is_another_wanted_more()
    other.leave()
    elsewhere.leave()
    assert [path for path in (state_folder() / "serving").rglob("*") if path.is_file()] == []


def test_an_entry_of_a_worker_that_was_killed_counts_for_nothing(tmp_path: Path) -> None:
    models = IdleModels(tmp_path)
    models.want()
    [entry] = [path for path in (state_folder() / "serving").rglob("*") if path.is_file()]
    later = time.time_ns() + 10**9
    ours = entry.name.split("-")[1:]
    dead = [f"{later}-{ours[0]}-1.0", f"{later}-{2**22 + 1}-1.0", f"{later}-nonsense"]
    for name in dead:
        (entry.parent / name).touch()
    assert not models.is_another_wanted_more()
    assert os.listdir(entry.parent) == [entry.name]
    (entry.parent / f"{later}-{'-'.join(ours)}").touch()
    assert models.is_another_wanted_more()


def test_without_a_state_folder_a_model_stays_for_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCHTTY_STATE", str(tmp_path / "file"))
    models = IdleModels(tmp_path)
    models.want()
    assert not models.is_another_wanted_more()
    models.leave()
