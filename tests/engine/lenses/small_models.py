"""A small model of every family that trains a network, and loops that are asked for something while they train."""

from collections.abc import Callable, Mapping
from typing import Any

from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.run.events import Event, Progress
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.run_writer import RunWriter, new_status
from torchtty.engine.training.task import build_task
from torchtty.engine.worker.requests import Dispatcher

SMALL = {
    "mlp": {"model.n_hidden": "16", "model.n_embd": "4"},
    "bigram": {},
    "wavenet": {"model.n_hidden": "8", "model.n_embd": "4"},
    "rnn": {"model.n_hidden": "12", "model.cell": "rnn", "model.carry_state": "false"},
    "lstm": {"model.n_hidden": "12", "model.cell": "lstm", "model.carry_state": "true"},
    "gru": {"model.n_hidden": "12", "model.cell": "gru", "model.carry_state": "true"},
    "transformer": {"model.n_head": "2"},
    "gpt": {"model.n_layer": "2", "model.n_embd": "8", "model.n_head": "2", "model.block_size": "6"},
    "gpt2": {"model.weights": "untrained", "model.block_size": "8", "tokenizer.kind": "character"},
    "dcgan": {"model.n_generator": "4", "model.n_discriminator": "4", "training.batch_size": "6", "data.limit": "20"},
}
FAMILY = {"lstm": "rnn", "gru": "rnn"}


class Asked(Dispatcher):
    """A dispatcher that is asked for something before every `every`th step."""

    def __init__(self, writer: RunWriter, request: Callable[[], requests.Request], every: int) -> None:
        super().__init__(writer, lambda: True, lambda: None)
        self._asked, self._every, self._looks = request, every, 0

    def look(self) -> None:
        if self._every and self._looks % self._every == 0:
            self.writer.run.send(self._asked())
        self._looks += 1
        self.obey_all()


def loop_over(configuration: Any, request: Callable[[], requests.Request], every: int, steps: int = 12) -> Loop:
    run = create(configuration)
    dispatcher = Asked(RunWriter(run, new_status(steps)), request, every)
    loop = Loop(build_task(configuration), configuration, dispatcher.writer, dispatcher, max_steps=steps)
    dispatcher.attach(loop)
    return loop


def events(loop: Loop) -> list[Event]:
    loop.writer.flush()
    log = RunLog(loop.writer.run)
    return log.read().events


def computed(compute: Any, task: Any, options: Mapping[str, Any], *more: Any) -> dict[str, Any]:
    """Follow a lens to its end; its progress on the way counts up to its total."""
    steps = compute(task, options, *more)
    seen: list[Progress] = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            done = [progress.done or 0.0 for progress in seen]
            assert done == sorted(done), done
            result: dict[str, Any] = end.value
            return result
