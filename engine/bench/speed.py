"""The real loop, headless, against a tutorial's plain one, and with threads chosen by timing against fixed ones.

The ways take turns, so that a busy moment meets all of them. The plain loop has torch's own threads, as its reader would run it.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from torchtty.engine.bench.elsewhere import Elsewhere
from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.settings.configuration import parse, starting_tree, with_value
from torchtty.engine.contract.settings.tasks import LanguageConfiguration
from torchtty.engine.training.language import LanguageTask
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.run_writer import RunWriter, new_status
from torchtty.engine.training.task import Task, build_task
from torchtty.engine.training.threads import CORES, ThreadChooser, candidates
from torchtty.engine.worker.requests import Dispatcher

NEVER = 10**9
QUIET = {
    "training.eval_interval": NEVER,
    "training.checkpoint_interval": NEVER,
    "sampling.interval": 0,
    "training.device": "cpu",
    "training.max_steps": NEVER,
}
"""The loop trains and logs; the plain loop does not evaluate, save or sample either."""
_MLP = {"model.kind": "mlp", "data.dataset": "given-names"}
_ADAMW = {"optimizer.kind": "adamw", "optimizer.learning_rate": 1e-3, "optimizer.weight_decay": 0.01}


def _gpt(n_layer: int, n_head: int, n_embd: int, block_size: int, batch_size: int, dataset: str) -> dict[str, Any]:
    shape = {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "block_size": block_size}
    settings: dict[str, Any] = {"model.kind": "gpt", "data.dataset": dataset, "training.batch_size": batch_size}
    return settings | {f"model.{name}": value for name, value in shape.items()}


_LARGE = _gpt(6, 6, 384, 256, 16, "python-docs") | {"training.eval_batches": 1}
MODELS: dict[str, dict[str, Any]] = {
    "mlp": _MLP,
    "mlp-adamw": _MLP | _ADAMW,
    "gpt-0.1m": _gpt(2, 4, 64, 16, 32, "given-names"),
    "gpt-0.8m": _gpt(4, 4, 128, 64, 12, "python-docs"),
    "gpt-10m": _LARGE,
    "gpt-10m-auto": _LARGE | {"training.precision": "auto"},
}
"""The MLP of the recipe names-mlp, the same with another optimizer, and GPTs by their weights; the last one may use bfloat16."""


@dataclass(frozen=True)
class Speeds:
    """Steps a second, turn by turn: of the loop by how it chose its threads, and of the plain loop on so many."""

    model: str
    optimizer: str
    parameters: int
    threads: int  # that the loop ended with
    precision: str
    loop: dict[str, list[float]]
    plain_threads: int
    plain: list[float]


class _AllTurnsTaken(Exception):
    """The last turn is over."""


class _Turns:
    """A task that trains in turns, each in another way, and lets the plain loop train for a while before each round."""

    def __init__(
        self,
        task: LanguageTask,
        elsewhere: Elsewhere,
        ways: Mapping[str, Callable[[], None]],
        seconds: float,
        rounds: int,
    ) -> None:
        self.task, self.elsewhere, self.seconds = task, elsewhere, seconds
        self.loop: dict[str, list[float]] = {name: [] for name in ways}
        self.plain = list[float]()
        self._turns = [(name, use) for _ in range(rounds) for name, use in ways.items()]
        self._ways = len(ways)
        self._taken = 0
        self._began: float | None = None
        self._steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def train_step(self, step: int) -> dict[str, Tensor | float]:
        self._count(1)
        return self.task.train_step(step)

    def train_steps(self, step: int, count: int) -> dict[str, Tensor | float]:
        self._count(count)
        return self.task.train_steps(step, count)

    def _count(self, steps: int) -> None:
        now = time.perf_counter()
        if self._began is None or now - self._began >= self.seconds:
            self._next_turn(now)
        self._steps += steps

    def _next_turn(self, now: float) -> None:
        if self._began is not None:
            self.loop[self._turns[self._taken][0]].append(self._steps / (now - self._began))
            self._taken += 1
        if self._taken == len(self._turns):
            raise _AllTurnsTaken
        if self._taken % self._ways == 0:
            self.plain.append(self.elsewhere.run(self.seconds))
        self._turns[self._taken][1]()
        self._began, self._steps = time.perf_counter(), 0


def against_plain_loop(model: str, elsewhere: Elsewhere, seconds: float, rounds: int) -> Speeds:
    """Train a model of `MODELS` in the loop and in the plain one, so many turns of so many seconds each after one that warms up."""
    return _measured(model, elsewhere, seconds, rounds, lambda _: {"timed": lambda: None})


def beside_a_neighbour(model: str, elsewhere: Elsewhere, seconds: float, rounds: int) -> Speeds:
    """Train a model while another program keeps a core busy: with threads chosen by timing, and with each fixed number."""

    def ways(task: LanguageTask) -> dict[str, Callable[[], None]]:
        assert task.threads is not None
        choosers = {"timed": task.threads}
        for count in candidates(task.operations, CORES):
            choosers[str(count)] = ThreadChooser(task.operations, task.device, fixed=count)

        def use(chooser: ThreadChooser) -> Callable[[], None]:
            def begin() -> None:
                task.threads = chooser
                chooser.in_force()

            return begin

        return {name: use(chooser) for name, chooser in choosers.items()}

    with _neighbour():
        return _measured(model, elsewhere, seconds, rounds, ways)


@contextmanager
def _neighbour() -> Iterator[None]:
    """Another program that keeps one core busy."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _measured(
    model: str,
    elsewhere: Elsewhere,
    seconds: float,
    rounds: int,
    ways: Callable[[LanguageTask], Mapping[str, Callable[[], None]]],
) -> Speeds:
    tree = starting_tree(MODELS[model]["model.kind"])
    for path, value in (MODELS[model] | QUIET).items():
        tree = with_value(tree, path, value)
    configuration = parse(tree)
    assert isinstance(configuration, LanguageConfiguration)
    task = build_task(configuration)
    assert isinstance(task, LanguageTask)
    with tempfile.TemporaryDirectory(prefix="torchtty-bench-") as folder:
        run = create(configuration, root=Path(folder))
        plain_threads = elsewhere.prepare(run.config_path)
        turns = _Turns(task, elsewhere, ways(task), seconds, rounds + 1)
        writer = RunWriter(run, new_status(NEVER))
        writer.start()
        requests = Dispatcher(writer, lambda: True, lambda: None)
        loop = Loop(cast(Task, turns), configuration, writer, requests, max_steps=NEVER)
        requests.attach(loop)
        try:
            loop.train()
        except _AllTurnsTaken:
            pass
        finally:
            writer.close()
    assert task.threads is not None
    warm = {name: speeds[1:] for name, speeds in turns.loop.items()}
    optimizer, parameters = configuration.optimizer.kind, task.facts.parameters
    return Speeds(
        model, optimizer, parameters, task.threads.count, task.precision, warm, plain_threads, turns.plain[1:]
    )
