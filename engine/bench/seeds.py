"""`python -m torchtty.engine.bench.seeds SECONDS COUNT`: seeds trained as one batched model against one run by itself.

Both go through the real loop, headless, in alternating stretches, so that noise cancels. Prints one JSON line.
"""

import json
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torchtty.engine.bench.speed import MODELS, QUIET
from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.settings.configuration import parse, starting_tree, with_value
from torchtty.engine.training.group import GroupTraining
from torchtty.engine.training.loop import Done, Loop
from torchtty.engine.training.run_writer import RunWriter, new_status
from torchtty.engine.training.task import build_task
from torchtty.engine.worker.requests import Dispatcher
from torchtty.engine.worker.warm_up import warm_up

MEMBERS = 10
ENOUGH = 200_000  # steps that are to come, so that what pays in a run of some length is taken


@dataclass(frozen=True)
class Seeds:
    """Steps a second of the group and of the run by itself, stretch by stretch."""

    model: str
    members: int
    parameters: int
    how: str  # the group's steps are done
    group: list[float]
    solo: list[float]


class _Over(Exception):
    """The last stretch is over."""


class _Alternating:
    """Lets a run train by itself for a stretch between two stretches of a group."""

    def __init__(self, training: GroupTraining, solo: Loop, seconds: float, stretches: int) -> None:
        self.training, self.loop, self.seconds, self.stretches = training, solo, seconds, stretches
        self.group, self.solo = list[float](), list[float]()
        self._course: Generator[int, Done, Any] = solo.course()
        self._done: Any = None
        self._began: float | None = None
        self._first = 0

    def between(self) -> None:
        """Take turns."""
        now = time.perf_counter()
        if self._began is not None and now - self._began < self.seconds:
            return
        if self._began is not None:
            self.group.append((self.training.step - self._first) / (now - self._began))
        if len(self.group) == self.stretches:
            raise _Over
        self.solo.append(self._alone())
        self._began, self._first = time.perf_counter(), self.training.step

    def _alone(self) -> float:
        began, first = time.perf_counter(), self.loop.step
        while (passed := time.perf_counter() - began) < self.seconds:
            self._done = self.loop.do(self._course.send(self._done))
        return (self.loop.step - first) / passed


def seeds(model: str, seconds: float, count: int) -> Seeds:
    """Train a model of `MODELS` both ways, `count` stretches of so many seconds each after one that warms up."""
    tree = starting_tree(MODELS[model]["model.kind"])
    for path, value in (MODELS[model] | QUIET | {"training.max_steps": ENOUGH * 100}).items():
        tree = with_value(tree, path, value)
    training, writers = GroupTraining(), list[RunWriter]()
    with tempfile.TemporaryDirectory(prefix="torchtty-bench-") as folder:

        def loop(seed: int) -> Loop:
            configuration = parse(with_value(tree, "training.seed", seed))
            writers.append(RunWriter(create(configuration, root=Path(folder)), new_status(0)))
            requests = Dispatcher(writers[-1], lambda: True, lambda: None)
            made = Loop(build_task(configuration), configuration, writers[-1], requests, max_steps=ENOUGH * 100)
            requests.attach(made)
            return made

        solo = loop(0)
        for seed in range(1, MEMBERS + 1):
            training.add(loop(seed))
        for writer in writers:
            writer.start()
        alternating = _Alternating(training, solo, seconds, count + 1)
        try:
            training.train(alternating.between)
        except _Over:
            pass
        finally:
            for writer in writers:
                writer.close()
    assert training.choice is not None
    how, parameters = f"{training.choice.backend}: {training.choice.reason}", solo.task.facts.parameters
    return Seeds(model, MEMBERS, parameters, how, alternating.group[1:], alternating.solo[1:])


if __name__ == "__main__":
    warm_up()
    print(json.dumps(asdict(seeds("mlp", float(sys.argv[1]), int(sys.argv[2])))))
