"""What a step asks of a GPU, family by family: kernels and library calls, counted on one that does nothing.

Prints a JSON list of `Asked`. It runs in a process of its own, in which that GPU is the one that torch sees: `tests/noop_gpu/build`
makes it, and its `env` holds the variables to set.
"""

import ctypes
import json
from dataclasses import asdict, dataclass
from typing import Any

from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.training import choosing
from torchtty.engine.training.neural import NeuralTask
from torchtty.engine.training.task import build_task

BEFORE = 4  # steps that find what later ones use
COUNTED = 8  # steps of which the kernels are counted
BLOCK = 16  # steps at once afterwards
BLOCKS = 4  # of which they are counted
GPU = {"training.device": "cuda", "training.max_steps": "1000000", "training.log_interval": str(BLOCK)}
_GPT = {"model.n_layer": "2", "model.n_embd": "16", "model.n_head": "2", "model.block_size": "8"}
FAMILIES: dict[str, dict[str, str]] = {
    "bigram": {},
    "mlp": {},
    "wavenet": {},
    "rnn": {},
    "transformer": {},
    "gpt": _GPT | {"model.dropout": "0.1"},
    "gpt2": {"model.weights": "untrained", "model.block_size": "8", "tokenizer.kind": "character"},
    "dcgan": {
        "data.dataset": "digits",
        "model.n_generator": "4",
        "model.n_discriminator": "4",
        "training.batch_size": "4",
    },
}
"""As they begin, but for what is small where its size changes no count; a layer of a GPT has as many kernels as any other."""


@dataclass(frozen=True)
class Asked:
    """What the steps of a family ask for: launches of the eager step, and of the one that was chosen afterwards."""

    family: str
    eager: float  # launches a step
    chosen: float  # launches and replays a step, in blocks of `BLOCK`
    backend: str
    reason: str
    waits: float  # times a step that the host waits, in blocks: for the block before the last
    failed: str = ""  # why there are no figures


def counted(what: str) -> int:
    """Return how often something was asked of the GPU that does nothing."""
    count = ctypes.CDLL(None).noop_count
    count.argtypes, count.restype = [ctypes.c_char_p], ctypes.c_long
    return int(count(what.encode()))


def asked(family: str, flags: dict[str, str]) -> Asked:
    """Train a family for some steps and count what they ask for, before a backend is chosen and after."""
    task: Any = build_task(with_flags(starting_tree(family), GPU | flags))
    assert isinstance(task, NeuralTask)
    step = 0
    for _ in range(BEFORE):
        task.train_step(step)
        step += 1
    was = counted("launches")
    for _ in range(COUNTED):
        task.train_step(step)
        step += 1
    eager = (counted("launches") - was) / COUNTED
    while task.choice is None:
        task.train_step(step)
        step += 1
    before = {what: counted(what) for what in ("launches", "graph_launches", "waits")}
    done = 0
    while done < BLOCKS * BLOCK:
        count = min(BLOCK - done % BLOCK, task.steps_at_once)
        if count > 1:
            task.train_steps(step, count)
        else:
            task.train_step(step)
        step, done = step + count, done + count
    took = {what: (counted(what) - was) / done for what, was in before.items()}
    chosen = took["launches"] + took["graph_launches"]
    return Asked(family, eager, chosen, task.choice.backend, task.choice.reason, took["waits"])


if __name__ == "__main__":
    choosing.CHOOSE_AFTER = BEFORE + COUNTED
    found = []
    for kind, settings in FAMILIES.items():
        try:
            found.append(asked(kind, settings))
        except Exception as error:  # the others are worth having
            found.append(Asked(kind, 0.0, 0.0, "", "", 0.0, f"{type(error).__name__}: {str(error).splitlines()[0]}"))
    print(json.dumps([asdict(each) for each in found]), flush=True)
