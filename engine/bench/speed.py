"""The real loop, headless, against a tutorial's plain one: alternating stretches of as many threads, so that noise cancels."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from torchtty.engine.bench.elsewhere import Elsewhere
from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.settings.configuration import parse, starting_tree, with_value
from torchtty.engine.contract.settings.tasks import LanguageConfiguration
from torchtty.engine.training.language import LanguageTask
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.run_writer import RunWriter, new_status
from torchtty.engine.training.task import Task, build_task
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
MODELS: dict[str, dict[str, Any]] = {
    "mlp": _MLP,
    "mlp-adamw": _MLP | _ADAMW,
    "gpt": {
        "model.kind": "gpt",
        "model.n_layer": 4,
        "model.n_head": 4,
        "model.n_embd": 128,
        "model.block_size": 64,
        "data.dataset": "python-docs",
        "training.batch_size": 12,
    },
}
"""The MLP of the recipe names-mlp, the same with another optimizer, and a GPT of 0.8 million parameters."""


@dataclass(frozen=True)
class Stretches:
    """Steps a second of the loop and of the plain loop, stretch by stretch, each on so many threads."""

    model: str
    optimizer: str
    parameters: int
    threads: int
    loop: list[float]
    plain: list[float]


class _Aside(Exception):
    """The last stretch is over."""


class _Alternating:
    """A task that lets the plain loop train for a stretch between two stretches of its own, and keeps both speeds apart."""

    def __init__(self, task: LanguageTask, elsewhere: Elsewhere, seconds: float, stretches: int) -> None:
        self.task, self.elsewhere, self.seconds, self.stretches = task, elsewhere, seconds, stretches
        self.loop, self.plain = list[float](), list[float]()
        self._began: float | None = None
        self._steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def train_step(self, step: int) -> dict[str, Tensor | float]:
        now = time.perf_counter()
        if self._began is None or now - self._began >= self.seconds:
            if self._began is not None:
                self.loop.append(self._steps / (now - self._began))
            if len(self.loop) == self.stretches:
                raise _Aside
            self.plain.append(self.elsewhere.run(self.seconds))
            self._began, self._steps = time.perf_counter(), 0
        self._steps += 1
        return self.task.train_step(step)


def stretches(model: str, elsewhere: Elsewhere, seconds: float, count: int) -> Stretches:
    """Train a model of `MODELS` both ways, `count` stretches of so many seconds each after one that warms up."""
    tree = starting_tree(MODELS[model]["model.kind"])
    for path, value in (MODELS[model] | QUIET).items():
        tree = with_value(tree, path, value)
    configuration = parse(tree)
    assert isinstance(configuration, LanguageConfiguration)
    task = build_task(configuration)
    assert isinstance(task, LanguageTask)
    with tempfile.TemporaryDirectory(prefix="torchtty-bench-") as folder:
        run = create(configuration, root=Path(folder))
        threads = elsewhere.prepare(run.config_path, torch.get_num_threads())
        assert threads == torch.get_num_threads()
        alternating = _Alternating(task, elsewhere, seconds, count + 1)
        writer = RunWriter(run, new_status(NEVER))
        writer.start()
        requests = Dispatcher(writer, lambda: True, lambda: None)
        loop = Loop(cast(Task, alternating), configuration, writer, requests, max_steps=NEVER)
        requests.attach(loop)
        try:
            loop.train()
        except _Aside:
            pass
        finally:
            writer.close()
    optimizer, parameters = configuration.optimizer.kind, task.facts.parameters
    return Stretches(model, optimizer, parameters, threads, alternating.loop[1:], alternating.plain[1:])
