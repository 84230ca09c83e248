"""The task of a model that counts: one step over the whole text."""

from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.tasks import CountingConfiguration
from torchtty.engine.data.batches import Windows
from torchtty.engine.data.prepared import PreparedText, read_again, read_text, without_text
from torchtty.engine.models.families import build_model, parameter_count
from torchtty.engine.sampling.text import SamplePiece, SampleRequest, SampleResult, sample_text
from torchtty.engine.training.language import no_test_split, text_is_gone
from torchtty.engine.training.task import NEW, Facts, Task, TaskSource

CHUNK = 4096  # windows a forward pass
EXAMPLES = 32  # contexts of the batch that lenses look at


class CountingTask:
    """Counts the training split in one step. It also reports the loss of counts over the whole text on the whole text."""

    device = torch.device("cpu")
    _example: tuple[Tensor, Tensor] | None = None  # what is kept to be looked at once the text is let go

    def __init__(self, configuration: CountingConfiguration, data: PreparedText) -> None:
        self.configuration, self.data = configuration, data
        self.model = build_model(configuration.model, data.tokenizer.vocab_size)
        context: int = self.model.block_size  # type: ignore[assignment]
        self.windows = {split: data.windows(split, context, every_position=False) for split in data.splits}
        if not len(self.windows["train"]):
            raise UserError(f"{data.corpus.name} is too short to count sequences of {context + 1} tokens.")
        self.tokens_per_step = len(self.windows["train"])
        self.facts = Facts(
            0,
            data.tokenizer.vocab_size,
            data.token_counts,
            data.references(),
            data.notes,
            data.sha256,
            data.characters,
        )

    @classmethod
    def build(cls, configuration: Configuration, source: TaskSource = NEW) -> Task:
        assert isinstance(configuration, CountingConfiguration)
        section, tokens = configuration.data, configuration.tokenizer
        return cls(configuration, read_text(section, tokens, source.tokenizer, may_be_gone=source.data_may_be_gone))

    @classmethod
    def for_timing(cls, configuration: Configuration) -> tuple[Task, float]:
        return cls.build(configuration), 1.0

    def configure(self, configuration: Configuration) -> None:
        assert isinstance(configuration, CountingConfiguration)
        self.configuration = configuration

    def train_step(self, step: int) -> dict[str, Tensor | float]:  # noqa: ARG002 - there is but one step
        self.model.count(_whole(self.windows["train"]))  # type: ignore[operator]
        self.facts = replace(self.facts, parameters=parameter_count(self.model))
        return {"train_loss": self._loss([self.windows["train"]])}

    def example_batch(self) -> tuple[Tensor, Tensor]:
        """Return the first contexts of the training split with what follows them; raise `UserError` where the text is gone."""
        if self._example is not None:
            return self._example
        if "train" not in self.windows:
            raise text_is_gone(self.configuration.data)
        windows = self.windows["train"]
        return windows.cut(torch.arange(min(EXAMPLES, len(windows))))

    def forget_training(self) -> None:
        """Let windows and text go; one batch stays for the lenses."""
        if "train" in self.windows:
            self._example = self.example_batch()
        self.windows, self.data = {}, without_text(self.data)

    @torch.no_grad()
    def evaluate(self, thorough: bool = False) -> dict[str, float]:  # noqa: ARG002 - it always is
        """Return `train_eval_loss`, `val_loss`, and `whole_loss`: counted over all splits, evaluated on all splits."""
        if not len(self.model.counts):  # type: ignore[arg-type]
            return {}
        losses = {"train_eval_loss": self._loss([self.windows["train"]])}
        if "val" in self.windows and len(self.windows["val"]):
            losses["val_loss"] = self._loss([self.windows["val"]])
        kept = self.model.codes, self.model.counts
        everything = list(self.windows.values())
        self.model.count(torch.cat([_whole(windows) for windows in everything]))  # type: ignore[operator]
        losses["whole_loss"] = self._loss(everything)
        self.model.codes, self.model.counts = kept
        return losses

    @property
    def has_test_split(self) -> bool:
        return len(self.windows.get("test", ())) > 0

    def evaluate_test(self) -> Generator[tuple[int, int], None, dict[str, float]]:
        if not self.has_test_split:
            raise no_test_split(self.windows, self.configuration.data)
        if not len(self.model.counts):  # type: ignore[arg-type]
            raise UserError("Nothing has been counted yet.")
        found = {}
        for split in ("test", "val"):
            if len(self.windows.get(split, ())):
                found[f"{split}_loss"] = self._loss([self.windows[split]])
                yield 1, 1
        return found

    def _loss(self, parts: list[Windows]) -> float:
        total, count = 0.0, 0
        for windows in parts:
            for x, y in windows.in_order(CHUNK):
                loss = self.model(x, y)[1]
                total, count = total + float(loss) * len(y), count + len(y)
        return total / count

    def sample(self, request: SampleRequest, result: SampleResult) -> Generator[SamplePiece]:
        yield from sample_text(self.model, self.data, request, result, torch.device("cpu"))

    def automatic_sample(self) -> SampleRequest:
        return SampleRequest.from_settings(self.configuration.sampling, items=self.data.terminator is not None)

    def weights(self) -> dict[str, Tensor]:
        return dict(self.model.state_dict())

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        if set(weights) != {"codes", "counts"} or weights["codes"].shape != weights["counts"].shape:
            raise UserError("These weights are not those of an n-gram model.")
        self.model.codes, self.model.counts = weights["codes"], weights["counts"]

    def training_state(self) -> dict[str, Any]:
        return {}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Counting keeps nothing but its counts."""

    def text(self) -> PreparedText:
        return read_again(self.data, self.configuration.data, self.configuration.tokenizer)

    def autocast(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def tokenizer_json(self) -> dict[str, Any]:
        return self.data.tokenizer.to_json()


def _whole(windows: Windows) -> Tensor:
    """Return every window, context and next token, as (N, width + 1)."""
    x, y = windows.cut(torch.arange(len(windows)))
    return torch.cat((x, y), 1)
