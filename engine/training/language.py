"""Language modelling by gradient descent: predict the next token, for every family that does so."""

from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.tasks import LanguageConfiguration
from torchtty.engine.data.batches import DrawnBatches, Windows, moved
from torchtty.engine.data.prepared import PreparedText, read_text, without_text
from torchtty.engine.devices import finest_float
from torchtty.engine.models.families import build_model, parameter_count
from torchtty.engine.sampling.text import SamplePiece, SampleRequest, SampleResult, sample_text
from torchtty.engine.training.losses import objective
from torchtty.engine.training.neural import NeuralTask, evaluation_mode, use_threads_for
from torchtty.engine.training.optimizers import build_optimizer
from torchtty.engine.training.step import Batch, Descent, EagerStep, Metrics
from torchtty.engine.training.task import NEW, Facts, Task, TaskSource

WHOLE_SPLIT_BATCH = 2048  # predictions a forward pass when a whole split is evaluated


class LanguageTask(NeuralTask[LanguageConfiguration]):
    """Trains a model with `forward(idx, targets) -> (logits, loss)` on windows of tokens.

    Batches, dropout and samples draw from three generators, so that neither evaluating nor sampling changes training:
    batches from `self._batches`, samples from one of their own, dropout from torch's global generator, which is put aside
    while anything but a training step runs.
    """

    carries_state = False  # whether a step goes on from what the last one left, beside the weights
    _example: Batch | None = None  # what is kept to be looked at once training is forgotten

    def __init__(self, configuration: LanguageConfiguration, data: PreparedText) -> None:
        self.data = data
        super().__init__(configuration)
        training = configuration.training
        self.optimizer = build_optimizer(configuration.optimizer, self.model, self.device)
        clip, pure = training.grad_clip_kind, not self.carries_state
        self.step = EagerStep(Descent(self.model, self._loss, self.optimizer, clip, pure))
        every = bool(self.model.predicts_every_position)
        block_size: int = self.model.block_size  # type: ignore[assignment]
        self.windows: dict[str, Windows] = {
            split: moved(data.windows(split, block_size, every), self.device) for split in data.splits
        }
        windows = self.windows.get("train")  # none where the text is gone and only samples are wanted
        if windows is not None and not len(windows):
            raise UserError(_too_short(data, block_size))
        generator = torch.Generator(self.device).manual_seed(training.seed)
        self._batches = DrawnBatches(windows, training.batch_size, generator) if windows is not None else None
        batch_size = min(training.batch_size, len(windows)) if windows is not None else training.batch_size
        if batch_size < 2 and any(isinstance(module, nn.BatchNorm1d) for module in self.model.modules()):
            raise UserError("training.batch_size must be at least 2 here: batch norm compares the examples of a batch.")
        self.tokens_per_step = batch_size * (windows.predictions if windows is not None else 1)
        notes = list(data.notes)
        if "val" in self.windows and not len(self.windows["val"]):
            notes.append(
                f"The validation split is shorter than model.block_size of {block_size}, so it is not evaluated."
            )
        self.facts = Facts(
            parameters=parameter_count(self.model),
            vocab_size=data.tokenizer.vocab_size,
            tokens=data.token_counts,
            references=data.references(),
            notes=tuple(notes),
            data_sha256=data.sha256,
        )
        self.operations = 6.0 * self.facts.parameters * self.tokens_per_step
        use_threads_for(self.operations)
        self.model.train()

    @classmethod
    def build(cls, configuration: Configuration, source: TaskSource = NEW) -> Task:
        assert isinstance(configuration, LanguageConfiguration)
        section, tokens = configuration.data, configuration.tokenizer
        return cls(configuration, read_text(section, tokens, source.tokenizer, may_be_gone=source.data_may_be_gone))

    def build_network(self) -> nn.Module:
        return build_model(self.configuration.model, self.data.tokenizer.vocab_size)

    # -- steps ----------------------------------------------------------------------------------------------------

    @property
    def grad_clip(self) -> float | None:
        return self.configuration.training.grad_clip or None

    def _loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """Return what training lowers, and the metrics: the cross-entropy as `train_loss`, whatever is lowered."""
        x, y = batch
        kind = self.configuration.training.loss
        with self.autocast():
            logits, loss = self.read(x, y)
        metrics = {"train_loss": loss.detach()}
        if kind != "cross-entropy":
            loss = objective(kind, logits, y)
            metrics["objective"] = loss.detach()
        return loss, metrics

    def next_batch(self) -> Batch:
        assert self._batches is not None, "training needs a text"
        return self._batches.next()

    def example_batch(self) -> Batch:
        """Return the first windows of the training split; raise `UserError` where the text is gone."""
        if self._example is not None:
            return self._example
        if "train" not in self.windows:
            raise UserError(
                f"{self.configuration.data.dataset} cannot be read any more, so there is no text to look at."
            )
        windows = self.windows["train"]
        count = min(self.configuration.training.batch_size, len(windows))
        return windows.cut(torch.arange(count, device=self.device))

    def forget_training(self) -> None:
        """Let optimizer, windows and text go; one batch stays for the lenses."""
        super().forget_training()
        if "train" in self.windows:
            self._example = self.example_batch()
        self.windows, self._batches, self.data = {}, None, without_text(self.data)
        del self.optimizer

    def read(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (B, T, V) and the mean cross-entropy of a batch."""
        logits, loss = self.model(x, y)
        assert loss is not None
        return logits, loss

    # -- evaluation and samples -----------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, thorough: bool = False) -> dict[str, float]:
        """Return `train_eval_loss` and `val_loss`.

        With `eval_batches` they are means over so many batches, the same at every evaluation. Without, the validation split is
        evaluated whole, and as much of the training split; all of that too if `thorough`.
        """
        losses = {}
        with evaluation_mode(self.model):
            for split, name in (("train", "train_eval_loss"), ("val", "val_loss")):
                windows = self.windows.get(split)
                if windows is not None and len(windows):
                    most = len(self.windows.get("val", ())) or len(windows)
                    losses[name] = self._mean_loss(windows, len(windows) if thorough else most)
        return losses

    def _mean_loss(self, windows: Windows, most: int) -> float:
        training = self.configuration.training
        total = torch.zeros((), dtype=finest_float(self.device), device=self.device)
        count = torch.zeros((), dtype=torch.int64, device=self.device)
        if training.eval_batches:
            generator = torch.Generator(self.device).manual_seed(training.seed + 1)
            batches: Iterator[tuple[Tensor, Tensor]] = (
                windows.draw(training.batch_size, generator) for _ in range(training.eval_batches)
            )
        else:
            windows = windows.thinned(most).apart()
            batches = windows.in_order(max(1, WHOLE_SPLIT_BATCH // windows.predictions))
        for x, y in batches:
            with self.autocast():
                _, loss = self.model(x, y)
            assert loss is not None
            predicted = (y >= 0).sum()
            total += loss * predicted
            count += predicted
        return float(total / count)

    def sample(self, request: SampleRequest, result: SampleResult) -> Generator[SamplePiece]:
        with evaluation_mode(self.model):
            yield from sample_text(self.model, self.data, request, result, self.device)

    def automatic_sample(self) -> SampleRequest:
        return SampleRequest.from_settings(self.configuration.sampling, items=self.data.terminator is not None)

    def tokenizer_json(self) -> dict[str, Any]:
        return self.data.tokenizer.to_json()

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def training_state(self) -> dict[str, Any]:
        assert self._batches is not None
        drawn, taken = self._batches.state()
        state: dict[str, Any] = {
            "optimizer": self.optimizer.state_dict(),
            "batches": drawn,
            "batches_taken": taken,
            "torch": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def load_training_state(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        assert self._batches is not None
        self._batches.load_state(state["batches"], state.get("batches_taken", 0))
        torch.set_rng_state(state["torch"])
        if self.device.type == "cuda" and "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.device)


def _too_short(data: PreparedText, block_size: int) -> str:
    have = data.token_counts["train"]
    advice = f"Take a block_size below {have}, or a longer text." if have > 1 else "Take a longer text."
    return (
        f"model.block_size of {block_size} is longer than the text: {data.corpus.name} has {have:,} "
        f"token{'s' * (have != 1)} to train on. {advice}"
    )
