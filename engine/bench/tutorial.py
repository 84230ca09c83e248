"""The training loop that a person would write from a tutorial, for the same model, data and batch as torchtty's own.

Batches are drawn by index, as the two best known tutorials draw them: rows of prepared tensors for a model that predicts one
token (makemore), slices of the text stacked for one that predicts every position (nanoGPT). The optimizer is torch's with its
default arguments, the loss is read every step, and torch keeps its own choice of threads.
"""

from typing import Any

import torch
from torch import Tensor, nn

from engine.contract.configuration import LanguageConfiguration
from engine.data.batches import Windows


class Tutorial:
    """A plain loop, run some steps at a time."""

    def __init__(self, model: nn.Module, windows: Windows, configuration: LanguageConfiguration) -> None:
        self.model, self.losses = model, list[float]()
        self.batch_size = configuration.training.batch_size
        self.clip = configuration.training.grad_clip
        self.block_size = windows.width
        section: Any = configuration.optimizer
        kinds: dict[str, type[torch.optim.Optimizer]] = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
        self.optimizer = kinds[section.kind](model.parameters(), lr=section.learning_rate)  # type: ignore[call-arg]
        self.text = windows.stream if windows.every_position else None
        self.rows = None if windows.every_position else windows.cut(torch.arange(len(windows)))

    def run(self, steps: int) -> None:
        """Train for so many steps."""
        for _ in range(steps):
            x, y = self._batch()
            _, loss = self.model(x, y)
            self.optimizer.zero_grad()
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
