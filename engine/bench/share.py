"""`python -m torchtty.engine.bench.share MODEL SEED...`: runs trained in one process, as one batched model if they are several.

Each line of standard input is a number of seconds to train for; each answer, a JSON line, tells how quick it was.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from torchtty.engine.bench.speed import MODELS, QUIET
from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.settings.configuration import parse, starting_tree, with_value
from torchtty.engine.training.group import GroupTraining
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.run_writer import RunWriter, new_status
from torchtty.engine.training.task import build_task
from torchtty.engine.worker.requests import Dispatcher
from torchtty.engine.worker.warm_up import warm_up

ENOUGH = 20_000_000  # steps that are to come, so that what pays in a run of some length is taken


class _Over(Exception):
    """Nobody asks for another stretch."""


class _Stretches:
    """Lets training go on for as long as the lines of standard input say."""

    def __init__(self, facts: Callable[[], dict[str, Any]]) -> None:
        self._facts = facts
        self._until: float | None = None
        self._began, self._first = 0.0, 0

    def look(self, step: int) -> None:
        now = time.perf_counter()
        if self._until is not None and now < self._until:
            return
        if self._until is not None:
            print(json.dumps({"speed": (step - self._first) / (now - self._began)} | self._facts()), flush=True)
        line = sys.stdin.readline()
        if not line:
            raise _Over
        self._began, self._first = time.perf_counter(), step
        self._until = self._began + float(line)


def train(model: str, seeds: Sequence[int]) -> None:
    """Train a model of `MODELS` with these seeds for as long as is asked."""
    with tempfile.TemporaryDirectory(prefix="torchtty-bench-") as folder, ExitStack() as stack, suppress(_Over):
        loops = _loops(model, seeds, Path(folder), stack)
        if len(seeds) == 1:
            _train_one(next(loops))
        else:
            _train_together(loops)


def _train_one(loop: Loop) -> None:
    stretches = _Stretches(lambda: {"parameters": loop.task.facts.parameters, "how": "one by itself"})
    course, done = loop.course(), None
    while True:
        stretches.look(loop.step)
        done = loop.do(course.send(done))  # type: ignore[arg-type]


def _train_together(loops: Iterator[Loop]) -> None:
    training, parameters = GroupTraining(), 0
    for loop in loops:
        training.add(loop)
        parameters = loop.task.facts.parameters

    def facts() -> dict[str, Any]:
        assert training.choice is not None
        return {"parameters": parameters, "how": f"{training.choice.backend}: {training.choice.reason}"}

    stretches = _Stretches(facts)
    training.train(lambda: stretches.look(training.step))


def _loops(model: str, seeds: Sequence[int], folder: Path, stack: ExitStack) -> Iterator[Loop]:
    tree = starting_tree(MODELS[model]["model.kind"])
    for path, value in (MODELS[model] | QUIET | {"training.max_steps": ENOUGH}).items():
        tree = with_value(tree, path, value)
    for seed in seeds:
        configuration = parse(with_value(tree, "training.seed", seed))
        writer = RunWriter(create(configuration, root=folder), new_status(0))
        requests = Dispatcher(writer, lambda: True, lambda: None)
        loop = Loop(build_task(configuration), configuration, writer, requests, max_steps=ENOUGH)
        requests.attach(loop)
        writer.start()
        stack.callback(writer.close)
        yield loop


if __name__ == "__main__":
    warm_up()
    train(sys.argv[1], [int(seed) for seed in sys.argv[2:]])
