"""The number of threads is timed on the run's own steps, leaves no other trace in a curve, and is recorded and followed."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from torchtty.engine.contract.client.fork import create_fork, fork_point
from torchtty.engine.contract.client.replay import compare, create_replay, plan
from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.events import Event, PrecisionChosen, ThreadsChosen
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.timed_choices import choices_in
from torchtty.engine.contract.settings.configuration import parse, starting_tree, with_flags
from torchtty.engine.training import choosing, threads, trial
from torchtty.engine.training.neural import NeuralTask
from torchtty.engine.training.task import build_task
from torchtty.engine.training.threads import ThreadChooser, candidates, wanted_threads
from torchtty.engine.worker.session import Session

CPU = torch.device("cpu")
LARGE = 1e10  # operations of a step that is worth sharing


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two cores, nobody who fixes a number, and afterwards the number of before."""
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "CORES", 2)
    monkeypatch.delenv("TORCHTTY_THREADS")
    yield
    torch.set_num_threads(before)


def sleeping(seconds: dict[int, float], calls: list[int] | None = None) -> Callable[[], None]:
    """Return a step that takes as long as its number of threads says."""

    def step() -> None:
        if calls is not None:
            calls.append(torch.get_num_threads())
        time.sleep(seconds[torch.get_num_threads()])

    return step


@pytest.mark.parametrize(
    ("operations", "cores", "expected"),
    [(1e12, 1, (1,)), (5e6, 16, (1,)), (1e9, 2, (1, 2)), (1e9, 6, (1, 2, 4, 6)), (1e12, 16, (1, 2, 4, 8, 16))],
)
def test_what_is_timed_is_every_doubling_up_to_all_cores_and_one_for_a_small_step(
    operations: float, cores: int, expected: tuple[int, ...]
) -> None:
    assert candidates(operations, cores) == expected


def test_the_quickest_number_is_taken_and_recorded_once() -> None:
    for quickest, seconds in ((1, {1: 0.002, 2: 0.006}), (2, {1: 0.006, 2: 0.002})):
        chooser = ThreadChooser(LARGE, CPU)
        assert chooser.is_due(0)
        chosen = chooser.choose(0, sleeping(seconds))
        assert chosen is not None
        assert (chosen.threads, chosen.since, chooser.count, torch.get_num_threads()) == (
            quickest,
            0,
            quickest,
            quickest,
        )
        assert 0.002 <= chosen.timings[str(quickest)] < chosen.timings[str(3 - quickest)]
        assert not chooser.is_due(1), "the next trial is some seconds away"


def test_a_hopeless_number_is_timed_once_and_a_slow_step_seldom() -> None:
    calls: list[int] = []
    trial.timed_in_turn((1, 2), torch.set_num_threads, sleeping({1: 0.01, 2: 0.1}, calls))
    assert calls.count(2) <= 2
    calls.clear()
    trial.timed_in_turn((1, 2), torch.set_num_threads, sleeping({1: 0.4, 2: 0.4}, calls))
    assert len(calls) <= 6
    calls.clear()
    trial.timed_in_turn((1, 2), torch.set_num_threads, sleeping({1: 0.03, 2: 0.03}, calls), in_force=2)
    assert calls == [2, 1, 1], "a glance"


def test_another_number_must_be_clearly_quicker_and_what_slows_the_steps_brings_a_trial_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "LAST_SHARE", 1e-9)
    monkeypatch.setattr(threads, "FIRST_SHARE", 1e-9)  # the next trial of its own accord is years away
    chooser = ThreadChooser(LARGE, CPU)
    chooser.choose(0, sleeping({1: 0.02, 2: 0.01}))
    assert chooser.count == 2
    assert chooser.choose(10, sleeping({1: 0.0198, 2: 0.0203})) is None, "a fortieth is not worth another rounding"
    assert torch.get_num_threads() == 2, "whatever was timed last"
    for _ in range(threads.STEPS_TO_JUDGE):
        chooser.took(0.01)
    monkeypatch.setattr(chooser, "_soonest", 0.0)
    assert not chooser.is_due(20)
    for _ in range(threads.STEPS_TO_JUDGE):
        chooser.took(0.02)
    assert chooser.is_due(30)
    changed = chooser.choose(30, sleeping({1: 0.01, 2: 0.03}))
    assert changed is not None
    assert (changed.threads, changed.since, torch.get_num_threads()) == (1, 30, 1)


def test_trials_come_seldomer_while_nothing_changes_and_take_a_small_share_of_the_time() -> None:
    chooser = ThreadChooser(LARGE, CPU)
    pauses = []
    for cost, changed in ((0.01, False), (0.01, False), (0.01, False), (0.01, True), (0.2, False)):
        chooser._plan_next(cost, changed=changed)
        pauses.append(chooser._pause)
    assert pauses == pytest.approx([1, 2, 4, 1, 6]), (
        "doubled, begun anew after a change, and at least thirty times the cost"
    )
    for cost, longest in ((0.1, 60), (6.0, 600)):
        for _ in range(10):
            chooser._plan_next(cost, changed=False)
        assert chooser._pause == pytest.approx(longest), "a minute, or a hundredth of the time"


def test_torchtty_threads_fixes_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHTTY_THREADS", "3")
    chooser = ThreadChooser(5e6, CPU)
    chosen = chooser.choose(0, lambda: pytest.fail("nothing is to be timed"))
    assert chosen is not None
    assert (chosen.threads, torch.get_num_threads(), chosen.reason) == (3, 3, "fixed by TORCHTTY_THREADS")
    monkeypatch.setenv("TORCHTTY_THREADS", "two")
    with pytest.raises(UserError, match="TORCHTTY_THREADS is 'two', and takes a number of threads"):
        wanted_threads()


def test_a_record_is_followed_up_to_its_end_and_what_a_kill_has_undone_is_void() -> None:
    events: list[Event] = [ThreadsChosen(threads=count, since=since) for since, count in ((0, 1), (40, 2), (90, 1))]
    assert choices_in(events, 100).threads == ((0, 1), (40, 2), (90, 1))
    events.append(ThreadsChosen(threads=1, since=60))
    assert choices_in(events, 100).threads == ((0, 1), (40, 2), (60, 1))

    chooser = ThreadChooser(LARGE, CPU)
    chooser.follow(((0, 1), (40, 2), (60, 1)), step=30, until=80, own=True)
    seen = {}
    for step in range(30, 80):
        if chooser.is_due(step):
            assert chooser.choose(step, lambda: pytest.fail("nothing is to be timed")) is None
        seen[step] = torch.get_num_threads()
    assert [seen[step] for step in (30, 39, 40, 59, 60, 79)] == [1, 1, 2, 2, 1, 1]
    assert chooser.is_due(80), "from here on it chooses for itself"

    other = ThreadChooser(LARGE, CPU)
    other.follow(((0, 1), (40, 2)), step=30, until=80, own=False)
    recorded = [other.choose(step, list) for step in (30, 40) if other.is_due(step)]
    assert [(each.since, each.threads) for each in recorded if each] == [(30, 1), (40, 2)], "for its own record"


FAMILIES: dict[str, tuple[str, dict[str, str]]] = {
    "mlp": ("mlp", {}),
    "rnn": ("rnn", {"model.carry_state": "true"}),
    "gpt": ("gpt", {"model.n_layer": "1", "model.n_embd": "16", "model.n_head": "2", "model.dropout": "0.3"}),
    "wavenet": ("wavenet", {}),
    "dcgan": ("dcgan", {"data.dataset": "digits", "training.batch_size": "4"}),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trial_leaves_no_trace(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, flags = FAMILIES[family]
    monkeypatch.setenv("TORCHTTY_THREADS", "1")  # what a real trial chose would have the two runs sum in another order

    def trained(*, tried: bool) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
        task = build_task(with_flags(starting_tree(kind), flags | {"training.device": "cpu"}))
        assert isinstance(task, NeuralTask)
        metrics = []
        for step in range(4):
            if tried:
                with task._undone():
                    batch = task.next_batch()
                    task._rehearse(batch)
                    task._rehearse(batch)
            metrics.append({name: float(value) for name, value in task.train_step(step).items()})
        return metrics, {name: value.clone() for name, value in task.weights().items()}

    (metrics, weights), (others, tried) = trained(tried=False), trained(tried=True)
    assert metrics == others
    assert all(torch.equal(weights[name], tried[name]) for name in weights)


@pytest.fixture
def changing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which another number is quicker at each trial, and a trial is due every third step."""

    def timings(*_: Any, **__: Any) -> dict[int, float]:
        in_force = torch.get_num_threads()
        return {in_force: 2.0, 3 - in_force: 1.0}

    monkeypatch.setattr(threads, "WORTH_SHARING", 0.0)
    monkeypatch.setattr(threads, "FIRST_PAUSE", 1e6)
    monkeypatch.setattr(threads, "timed_in_turn", timings)
    usual = ThreadChooser.is_due
    monkeypatch.setattr(
        ThreadChooser, "is_due", lambda self, step: usual(self, step) or (step >= self._until and step % 3 == 0)
    )


@pytest.mark.usefixtures("changing", "signals_of_their_own")
def test_a_kill_a_fork_and_a_replay_compute_with_the_recorded_threads_to_the_same_bits(tmp_path: Path) -> None:
    flags = {"model.n_layer": "1", "model.n_head": "2", "model.n_embd": "64", "model.block_size": "32"}
    flags |= {"data.dataset": "python-docs", "training.batch_size": "16", "training.max_steps": "14"}
    flags |= {"training.device": "cpu", "training.log_interval": "1", "training.eval_batches": "1"}
    flags |= {"training.checkpoint_interval": "5", "sampling.interval": "0"}
    run = create(with_flags(starting_tree("gpt"), flags))
    work(run, Mode.TRAIN)
    choices = choices_in(RunLog(run).read().events, 14)
    assert [since for since, _ in choices.threads] == [0, 3, 6, 9, 12]
    assert [count for _, count in choices.threads] == [1, 2, 1, 2, 1]

    planned = plan(run)
    replay = create_replay(planned)
    work(replay, Mode.TRAIN)
    assert compare(run, replay, 14).equal
    assert recorded(replay) == choices.threads

    fork = create_fork(fork_point(run, 10), parse(fork_point(run, 10).settings), None)
    work(fork, Mode.FORK)
    assert weights(fork, 14) == weights(run, 14)
    assert recorded(fork) == ((10, 2), (12, 1))

    before = weights(run, 14)
    for name in ("000014",):
        for file in (run.steps / name).iterdir():
            file.unlink()
        (run.steps / name).rmdir()
    work(run, Mode.RESUME)  # as after a kill: the newest checkpoint is older than the record
    assert weights(run, 14) == before


def work(run: RunDirectory, mode: Mode) -> None:
    assert Session(run, mode, {}, idle_seconds=0.0).work() == 0, run.status().message


def recorded(run: RunDirectory) -> tuple[tuple[int, int], ...]:
    return choices_in(RunLog(run).read().events, 0).threads


def weights(run: RunDirectory, step: int) -> bytes:
    return (run.checkpoint_path(step) / "model.safetensors").read_bytes()


@pytest.mark.parametrize("quicker", ["float32", "bfloat16"])
def test_precision_auto_takes_what_is_quicker_and_the_record_is_followed(
    quicker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "has_bfloat16", lambda _: True)
    timed: list[torch.dtype] = []

    def timings(ways: Any, use: Any, rehearse: Any) -> dict[str, float]:
        for way in ways:
            use(way)
            rehearse()
            timed.append(torch.get_autocast_dtype("cpu") if way == "bfloat16" else torch.float32)
        return {way: 1.0 if way == quicker else 2.0 for way in ways}

    monkeypatch.setattr(choosing, "timed_in_turn", timings)
    configuration = with_flags(starting_tree("mlp"), {"training.device": "cpu", "training.precision": "auto"})
    task = build_task(configuration)
    assert isinstance(task, NeuralTask)
    assert task.precision == "float32"
    task.train_step(0)
    assert timed == [torch.float32, torch.bfloat16]
    [chosen] = [each for each in task.decisions if isinstance(each, PrecisionChosen)]
    assert (chosen.precision, task.precision) == (quicker, quicker)
    with task.autocast():
        assert torch.is_autocast_enabled("cpu") is (quicker == "bfloat16")

    again = build_task(configuration)
    assert isinstance(again, NeuralTask)
    again.follow(choices_in([chosen], 10), 0)
    assert again.precision == quicker
    again.train_step(0)
    assert len(timed) == 2, "nothing is timed where the record says"


def test_precision_auto_says_so_where_the_hardware_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "has_bfloat16", lambda _: False)
    task = build_task(with_flags(starting_tree("mlp"), {"training.device": "cpu", "training.precision": "auto"}))
    assert isinstance(task, NeuralTask)
    task.train_step(0)
    [chosen] = [each for each in task.decisions if isinstance(each, PrecisionChosen)]
    assert chosen.precision == "float32"
    assert "no instructions for bfloat16" in chosen.reason
