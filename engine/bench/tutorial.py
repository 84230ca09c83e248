"""The training loop that a person would write from a tutorial, for the same model, data and batch as torchtty's own.

Batches are drawn by index, as the two best known tutorials draw them: rows of prepared tensors for items, and for a model that
predicts one token (makemore), slices of a running text stacked for one that predicts every position (nanoGPT). The optimizer is
torch's with its default arguments but for the rates, and the loss is read every step.

It runs in a process of its own: see `torchtty.engine.bench.elsewhere`.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchtty.engine.contract.settings.configuration import load
from torchtty.engine.contract.settings.tasks import LanguageConfiguration
from torchtty.engine.data.batches import Windows
from torchtty.engine.training.language import LanguageTask
from torchtty.engine.training.task import build_task
from torchtty.engine.training.threads import CORES

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}


class Tutorial:
    """A plain loop, run some steps at a time."""

    def __init__(self, model: nn.Module, windows: Windows, configuration: LanguageConfiguration) -> None:
        self.model, self.losses = model, list[float]()
        self.batch_size = configuration.training.batch_size
        self.clip = configuration.training.grad_clip
        self.block_size = windows.width
        section: Any = configuration.optimizer
        rates: dict[str, Any] = {"lr": section.learning_rate, "weight_decay": section.weight_decay}
        self.optimizer = OPTIMIZERS[section.kind](model.parameters(), **rates)
        running = windows.every_position and bool(windows.starts[1] - windows.starts[0] == 1)
        self.text = windows.stream if running else None
        self.rows = None if running else windows.cut(torch.arange(len(windows)))

    def run(self, steps: int) -> None:
        """Train for so many steps."""
        for _ in range(steps):
            x, y = self._batch()
            _, loss = self.model(x, y)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if self.clip:
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
            self.optimizer.step()
            self.losses.append(loss.item())

    def _batch(self) -> tuple[Tensor, Tensor]:
        if self.rows is not None:
            which = torch.randint(len(self.rows[0]), (self.batch_size,))
            return self.rows[0][which], self.rows[1][which]
        assert self.text is not None
        starts = torch.randint(len(self.text) - self.block_size, (self.batch_size,)).tolist()
        x = torch.stack([self.text[i : i + self.block_size] for i in starts])
        y = torch.stack([self.text[i + 1 : i + 1 + self.block_size] for i in starts])
        return x, y


def main() -> None:
    """Prepare models and train them for stretches, as the lines of standard input ask."""
    tutorial: Tutorial | None = None
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        if "configuration" in request:
            tutorial = _prepare(Path(request["configuration"]))
            torch.set_num_threads(CORES)  # as torch had it: building a task has set what torchtty would take
            print(json.dumps({"threads": torch.get_num_threads()}), flush=True)
            continue
        assert tutorial is not None
        steps, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < request["seconds"]:
            tutorial.run(1)
            steps += 1
        print(json.dumps({"speed": steps / passed}), flush=True)


def _prepare(configuration_path: Path) -> Tutorial:
    configuration = load(configuration_path)
    assert isinstance(configuration, LanguageConfiguration)
    task = build_task(configuration)
    assert isinstance(task, LanguageTask)
    return Tutorial(task.model, task.windows["train"], configuration)
