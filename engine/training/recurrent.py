"""Truncated back-propagation through time: a recurrent network reads the text in order and carries its state along."""

import math
from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.models.rnn import RNNModel
from torchtty.engine.contract.settings.tasks import LanguageConfiguration
from torchtty.engine.data.batches import BLOCK_TOKENS, Rows
from torchtty.engine.data.prepared import PreparedText
from torchtty.engine.devices import finest_float
from torchtty.engine.training.language import LanguageTask
from torchtty.engine.training.neural import evaluation_mode
from torchtty.engine.training.step import Batch, EagerStep, Metrics
from torchtty.engine.training.task import NEW, Task, TaskSource

SMOOTHING = 0.999  # weight of the past in `smoothed_sum`, as usual for noisy losses of one window


class RecurrentTask(LanguageTask):
    """Language modelling in which a step goes on where the last one ended (Werbos, 1990; Williams & Peng, 1990).

    The text is cut into `batch_size` rows, read in parallel. Each step reads the next `block_size` tokens of every row from
    the state that the last step left; the gradient stops at the step's beginning. At the rows' end reading begins anew, from
    an empty state.

    `smoothed_sum` is the loss summed over a window and averaged exponentially over the steps, from chance on.
    """

    carries_state = True

    def __init__(self, configuration: LanguageConfiguration, data: PreparedText) -> None:
        super().__init__(configuration, data)
        self._rows = {split: self._cut_into_rows(split) for split in data.splits}
        self._position = 0
        self._cut: list[Batch] = []  # the windows from there on that are cut already, the last first
        self._state: tuple[Tensor, ...] | None = None
        self._width: int = self.model.block_size  # type: ignore[assignment]
        chance = self._width * math.log(data.tokenizer.vocab_size)
        self._smoothed = torch.tensor(chance, device=self.device)
        if "train" in self._rows and self._rows["train"].length < self._width:
            batch_size = configuration.training.batch_size
            raise UserError(
                f"training.batch_size of {batch_size} cuts the text into rows shorter than model.block_size of "
                f"{self._width}. Take a smaller one of either, or a longer text."
            )
        self.tokens_per_step = configuration.training.batch_size * self._width
        assert isinstance(self.step, EagerStep)
        self.step = EagerStep(*self.step.descents, carried=self)

    @classmethod
    def build(cls, configuration: Configuration, source: TaskSource = NEW) -> Task:
        """Build a task; windows drawn at random are learnt from by a `LanguageTask`, as by other models."""
        assert isinstance(configuration, LanguageConfiguration)
        assert isinstance(configuration.model, RNNModel)
        if configuration.model.carry_state:
            return super().build(configuration, source)
        return LanguageTask.build(configuration, source)

    def _cut_into_rows(self, split: str) -> Rows:
        stream = torch.as_tensor(self.data.stream(split), dtype=torch.int64, device=self.device)
        count = self.configuration.training.batch_size
        return Rows(stream, count if split == "train" or len(stream) > count else 1)

    def _loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        loss, metrics = super()._loss(batch)
        self._smoothed = SMOOTHING * self._smoothed + (1 - SMOOTHING) * self._width * metrics["train_loss"]
        return loss, metrics | {"smoothed_sum": self._smoothed}

    def begin_anew(self) -> None:
        self._state = None

    def next_batch(self) -> Batch:
        rows = self._rows["train"]
        if not self._windows_left:
            self._position, self._state = 0, None
        if not self._cut:
            count = min(self._windows_left, max(1, BLOCK_TOKENS // (rows.count * self._width)))
            both = rows.cut(self._position, count * self._width)  # each (B, count * width)
            x, y = (part.unflatten(1, (count, self._width)).transpose(0, 1).contiguous() for part in both)
            self._cut.extend(zip(x, y, strict=True))
            self._cut.reverse()
        self._position += self._width
        return self._cut.pop()

    @property
    def _windows_left(self) -> int:
        """How many more windows the rows have."""
        return max(0, self._rows["train"].length - self._position) // self._width

    @property
    def steps_at_once(self) -> int:
        """How many steps can be done at once: at the rows' end reading begins anew, which is no part of a step."""
        return min(super().steps_at_once, self._windows_left or self._rows["train"].length // self._width)

    def carried(self) -> tuple[Tensor, ...]:
        """Return the smoothed loss and the network's state: what the next step goes on from, as `Carried` describes."""
        state = self._state
        if state is None:
            state = self.model.empty_state(self._rows["train"].count)  # type: ignore[operator]
        return self._smoothed, *state

    def carry(self, parts: tuple[Tensor, ...]) -> None:
        self._smoothed, self._state = parts[0], parts[1:]

    def forget_training(self) -> None:
        super().forget_training()
        self._rows = {split: rows for split, rows in self._rows.items() if split in self.windows}
        self._state, self._cut = None, []

    def read(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits, state, loss = self.model.read(x, self._state, y)  # type: ignore[operator]
        self._state = tuple(part.detach() for part in state)
        return logits, loss

    @torch.no_grad()
    def evaluate(self, thorough: bool = False) -> dict[str, float]:
        """Return `train_eval_loss` and `val_loss`, each read in order from an empty state with the state carried along.

        With `eval_batches` only so many windows of each row's beginning are read. Without, the validation split is read
        whole, and as much of the training split; all of that too if `thorough`.
        """
        whole = {split: rows.length // self._width * self._width for split, rows in self._rows.items()}
        most = self.configuration.training.eval_batches * self._width
        if not most and not thorough:
            most = whole.get("val", 0)
        with evaluation_mode(self.model):
            return {
                name: self._mean_loss_in_order(self._rows[split], min(whole[split], most or whole[split]))
                for split, name in (("train", "train_eval_loss"), ("val", "val_loss"))
                if whole.get(split)
            }

    def _can_evaluate(self, split: str) -> bool:
        return split in self._rows and self._rows[split].length >= self._width

    def _mean_loss_in_order(self, rows: Rows, length: int) -> float:
        total = torch.zeros((), dtype=finest_float(self.device), device=self.device)
        state = None
        for position in range(0, length, self._width):
            with self.autocast():
                x, y = rows.cut(position, self._width)
                _, state, loss = self.model.read(x, state, y)  # type: ignore[operator]
            total += loss.to(total.dtype)
        return float(total / (length // self._width))

    def _whole_loss(self, split: str) -> Generator[tuple[int, int], None, float]:
        """Compute the mean loss of a split read in order from an empty state, as `evaluate` does."""
        rows = self._rows[split]
        length = rows.length // self._width
        total = torch.zeros((), dtype=finest_float(self.device), device=self.device)
        state = None
        for number in range(length):
            with torch.no_grad(), self.autocast():
                x, y = rows.cut(number * self._width, self._width)
                _, state, loss = self.model.read(x, state, y)  # type: ignore[operator]
            total += loss.to(total.dtype)
            yield number + 1, length
        return float(total / length)

    def drawing_state(self) -> dict[str, Any]:
        reading = {
            "position": self._position,
            "state": None if self._state is None else list(self._state),
            "smoothed": self._smoothed,
            "rows": self._rows_read,
        }
        return super().drawing_state() | {"reading": reading}

    def load_drawing_state(self, state: dict[str, Any]) -> None:
        super().load_drawing_state(state)
        self._cut = []
        reading = state.get("reading")
        if reading is None:
            return
        read = reading.get("rows", self._rows_read)
        if read[-1] == self._width:
            self._smoothed = reading["smoothed"].to(self.device)
        if read != self._rows_read:
            return  # other rows are read from their beginning, from an empty state
        self._position = reading["position"]
        parts = reading["state"]
        self._state = None if parts is None else tuple(part.to(self.device) for part in parts)

    @property
    def _rows_read(self) -> list[int]:
        """How the text is read: rows, tokens of a row, and tokens a step."""
        return [self._rows["train"].count, self._rows["train"].length, self._width]
