"""Language modelling by gradient descent: predict the next token, for every family that does so; and the losses to lower."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.data import TextData
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.fields import show
from torchtty.engine.contract.settings.tasks import LanguageConfiguration
from torchtty.engine.data.batches import DrawnBatches, Windows
from torchtty.engine.data.prepared import PreparedText, read_again, read_text, without_text
from torchtty.engine.devices import finest_float, gpu_random_state, on_device, set_gpu_random_state
from torchtty.engine.models.families import build_model, parameter_count
from torchtty.engine.sampling.text import SamplePiece, SampleRequest, SampleResult, sample_text
from torchtty.engine.training.neural import NeuralTask, evaluation_mode
from torchtty.engine.training.optimizers import Optimizers, build_optimizer
from torchtty.engine.training.sharing import Ranks, SharedStep
from torchtty.engine.training.step import Batch, Descent, EagerStep, Metrics
from torchtty.engine.training.task import NEW, CarriesArchitecture, Facts, Task, TaskSource
from torchtty.engine.training.threads import ThreadChooser

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
        self.step = EagerStep(*self.descents({"": self.optimizer}))
        every = bool(self.model.predicts_every_position)
        block_size: int = self.model.block_size  # type: ignore[assignment]
        self.windows: dict[str, Windows] = {
            split: data.windows(split, block_size, every).to(self.device) for split in data.splits
        }
        windows = self.windows.get("train")  # none where the text is gone and only samples are wanted
        if windows is not None and not len(windows):
            raise UserError(_too_short(data, block_size))
        self._batches = (
            DrawnBatches(windows, training.batch_size, training.seed, self.device) if windows is not None else None
        )
        batch_size = min(training.batch_size, len(windows)) if windows is not None else training.batch_size
        if batch_size < 2 and any(isinstance(module, nn.BatchNorm1d) for module in self.model.modules()):
            raise UserError("training.batch_size must be at least 2 here: batch norm compares the examples of a batch.")
        self.tokens_per_step = batch_size * (windows.predictions if windows is not None else 1)
        notes = list(data.notes)
        if "val" in self.windows and not len(self.windows["val"]):
            notes.append(
                f"The validation split is shorter than model.block_size of {block_size}, so it is not evaluated."
            )
        parameters, vocab_size = parameter_count(self.model), data.tokenizer.vocab_size
        self.facts = Facts(
            parameters,
            vocab_size,
            data.token_counts,
            data.references(),
            tuple(notes),
            data.sha256,
            data.characters,
        )
        self.operations = 6.0 * parameters * self.tokens_per_step
        self.threads = ThreadChooser(self.operations, self.device)
        self.model.train()

    @classmethod
    def build(cls, configuration: Configuration, source: TaskSource = NEW) -> Task:
        assert isinstance(configuration, LanguageConfiguration)
        section, tokens = configuration.data, configuration.tokenizer
        gone, without = source.data_may_be_gone, source.without_data
        return cls(configuration, read_text(section, tokens, source.tokenizer, may_be_gone=gone, without=without))

    def build_network(self) -> nn.Module:
        return build_model(self.configuration.model, self.data.tokenizer.vocab_size)

    # -- steps ----------------------------------------------------------------------------------------------------

    @property
    def grad_clip(self) -> float | None:
        return self.configuration.training.grad_clip or None

    def descents(self, optimizers: Mapping[str, Optimizers]) -> tuple[Descent, ...]:
        clip, pure = self.configuration.training.grad_clip_kind, not self.carries_state
        return (Descent(self.model, self._loss, optimizers[""], clip, pure),)

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

    # -- steps of several processes -------------------------------------------------------------------------------

    def why_not_shared(self, ranks: int) -> str:
        batch_size, windows = self.configuration.training.batch_size, self.windows.get("train")
        if windows is not None:
            batch_size = min(batch_size, len(windows))
        if batch_size < ranks:
            return f"{ranks} processes cannot share a batch of {batch_size}. Take fewer training.devices, or a larger batch."
        if self.carries_state:
            return (
                "Several processes cannot share the steps of a network that carries its state from one to the next. Set "
                "training.devices to one, or model.carry_state to off."
            )
        if any(isinstance(module, nn.BatchNorm1d) for module in self.model.modules()):
            return (
                "Several processes cannot share a batch here: batch norm compares all its examples. Set training.devices to "
                "one, or train without batch norm."
            )
        return ""

    def predictions(self, batch: Batch) -> Tensor:
        return (batch[1] >= 0).sum()

    def replica_of(self) -> dict[str, Any]:
        about = {"configuration": self.configuration.tree(), "tokenizer": self.tokenizer_json()}
        architecture = self.architecture() if isinstance(self, CarriesArchitecture) else None
        return about | {"architecture": architecture, "precision": self.precision}

    def share_with(self, ranks: Ranks) -> None:
        assert isinstance(self.step, EagerStep)
        self.step = SharedStep(self.step, ranks, self, self._state_of_replica)
        self.computed_by(ranks.size, ranks.here)

    def _state_of_replica(self) -> dict[str, Any]:
        return {"weights": self.weights(), "optimizer": self.optimizer.state_dict(), **self.scaler_state()}

    def load_state_of_replica(self, state: dict[str, Any], precision: str) -> None:
        """Become a replica of rank 0's task, whose steps go on from here."""
        self.load_weights(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._compute_in(precision)
        self.load_scaler_state(state)

    def next_batch(self) -> Batch:
        assert self._batches is not None, "training needs a text"
        return self._batches.next()

    def example_batch(self) -> Batch:
        """Return the first windows of the training split; raise `UserError` where the text is gone."""
        if self._example is not None:
            return self._example
        if "train" not in self.windows:
            raise text_is_gone(self.configuration.data)
        windows = self.windows["train"]
        count = min(self.configuration.training.batch_size, len(windows))
        return windows.cut(torch.arange(count, device=self.device))

    def forget_training(self) -> None:
        """Let optimizer, windows and text go; one batch stays for the lenses, and what a test is evaluated on."""
        super().forget_training()
        if "train" in self.windows:
            self._example = self.example_batch()
        evaluated = ("test", "val") if self.has_test_split else ()
        self.windows = {split: windows for split, windows in self.windows.items() if split in evaluated}
        self._batches, self.data = None, without_text(self.data)
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
                if windows := self.windows.get(split):
                    most = len(self.windows.get("val", ())) or len(windows)
                    losses[name] = self._mean_loss(windows, len(windows) if thorough else most)
        return losses

    def _mean_loss(self, windows: Windows, most: int) -> float:
        training = self.configuration.training
        total = torch.zeros((), dtype=finest_float(self.device), device=self.device)
        count = torch.zeros((), dtype=torch.int64, device=self.device)
        if training.eval_batches:
            generator = torch.Generator().manual_seed(training.seed + 1)
            drawn = on_device(windows.numbers(training.eval_batches * training.batch_size, generator), self.device)
            batches: Iterator[tuple[Tensor, Tensor]] = map(windows.cut, drawn.split(training.batch_size))
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

    @property
    def has_test_split(self) -> bool:
        return self._can_evaluate("test")

    def _can_evaluate(self, split: str) -> bool:
        return len(self.windows.get(split, ())) > 0

    def evaluate_test(self) -> Generator[tuple[int, int], None, dict[str, float]]:
        if not self.has_test_split:
            raise no_test_split(self.windows, self.configuration.data)
        found = {}
        with evaluation_mode(self.model):
            for split in ("test", "val"):
                if self._can_evaluate(split):
                    found[f"{split}_loss"] = yield from self._whole_loss(split)
        return found

    def _whole_loss(self, split: str) -> Generator[tuple[int, int], None, float]:
        """Compute the mean loss over all windows of a split that do not overlap, as `evaluate` does without `eval_batches`."""
        windows = self.windows[split].apart()
        size, done = max(1, WHOLE_SPLIT_BATCH // windows.predictions), 0
        total = torch.zeros((), dtype=finest_float(self.device), device=self.device)
        count = torch.zeros((), dtype=torch.int64, device=self.device)
        for x, y in windows.in_order(size):
            with torch.no_grad(), self.autocast():
                _, loss = self.model(x, y)
            predicted = (y >= 0).sum()
            total += loss * predicted
            count += predicted
            done = min(done + size, len(windows))
            yield done, len(windows)
        return float(total / count)

    def sample(self, request: SampleRequest, result: SampleResult) -> Generator[SamplePiece]:
        with evaluation_mode(self.model):
            yield from sample_text(self.model, self.data, request, result, self.device)

    def automatic_sample(self) -> SampleRequest:
        return SampleRequest.from_settings(self.configuration.sampling, items=self.data.terminator is not None)

    def text(self) -> PreparedText:
        return read_again(self.data, self.configuration.data, self.configuration.tokenizer)

    def tokenizer_json(self) -> dict[str, Any]:
        return self.data.tokenizer.to_json()

    def unknown_symbols(self) -> set[str]:
        return self.data.unknown_symbols()

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def training_state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), **self.scaler_state(), **self.drawing_state()}

    def load_training_state(self, state: dict[str, Any]) -> None:
        if "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
        self.load_scaler_state(state)
        self.load_drawing_state(state)

    def drawing_state(self) -> dict[str, Any]:
        assert self._batches is not None
        drawn, taken = self._batches.state()
        state: dict[str, Any] = {"batches": drawn, "batches_taken": taken, "torch": torch.get_rng_state()}
        if (of_gpu := gpu_random_state(self.device)) is not None:
            state[self.device.type] = of_gpu
        return state

    def load_drawing_state(self, state: dict[str, Any]) -> None:
        if "batches" in state:
            assert self._batches is not None
            self._batches.load_state(state["batches"], state.get("batches_taken", 0))
            self._draws_anew = not self._batches.exact
        if "torch" in state:
            torch.set_rng_state(state["torch"])
        if self.device.type in state:
            set_gpu_random_state(self.device, state[self.device.type])


def text_is_gone(section: TextData) -> UserError:
    """Return why there is nothing to look at of a text that cannot be read."""
    return UserError(f"{section.dataset} cannot be read any more, so there is no text to look at.")


def no_test_split(windows: Mapping[str, Windows], section: TextData) -> UserError:
    """Return why the windows (split -> windows) hold no test split that can be evaluated."""
    if "train" not in windows:
        return UserError(f"{section.dataset} cannot be read any more, so there is no test split to evaluate.")
    if "test" in windows:
        return UserError("The test split is shorter than model.block_size, so it cannot be evaluated.")
    return UserError(f"The data have no test split: data.test_fraction is {show(section.test_fraction)}.")


def _too_short(data: PreparedText, block_size: int) -> str:
    have = data.token_counts["train"]
    advice = f"Take a block_size below {have}, or a longer text." if have > 1 else "Take a longer text."
    return (
        f"model.block_size of {block_size} is longer than the text: {data.corpus.name} has {have:,} "
        f"token{'s' * (have != 1)} to train on. {advice}"
    )


def objective(kind: str, logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean loss of logits (B, T, V) against the true tokens `targets` (B, T); targets of -1 are left out.

    | kind            | computes                                                       | lowest where           |
    |-----------------|----------------------------------------------------------------|------------------------|
    | cross-entropy   | -log softmax(logits)[true], in nats                            | probabilities are true |
    | nll             | the same in two steps: log-softmax, then what it has at [true] | probabilities are true |
    | mse             | mean over V of (softmax(logits) - one-hot)² (Brier, 1950)      | probabilities are true |
    | l1              | mean over V of abs(softmax(logits) - one-hot)                  | all on the likeliest   |
    | bce-with-logits | mean over V of the binary cross-entropy of sigmoid(logits)     | sigmoids are true      |
    | bce             | the same in two steps, with logarithms cut off at -100         | sigmoids are true      |

    In two steps a sigmoid rounds to 0 or 1 first, so that `bce` loses its gradient where `bce-with-logits` keeps it.
    """
    rows, true = logits.flatten(0, 1), targets.flatten()  # (N, V), (N,)
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    if kind == "cross-entropy":
        return F.cross_entropy(rows, true, ignore_index=-1)
    if kind == "nll":
        return F.nll_loss(rows.log_softmax(1), true, ignore_index=-1)
    counted = true >= 0  # (N,)
    one_hot = F.one_hot(true.clamp_min(0), rows.shape[1]).to(rows.dtype)  # (N, V)
    if kind == "bce-with-logits":
        each = F.binary_cross_entropy_with_logits(rows, one_hot, reduction="none")
    elif kind == "bce":
        each = F.binary_cross_entropy(rows.sigmoid(), one_hot, reduction="none")
    else:
        assert kind in ("mse", "l1"), kind
        difference = rows.softmax(1) - one_hot
        each = difference.square() if kind == "mse" else difference.abs()
    return torch.where(counted, each.mean(1), 0.0).sum() / counted.sum()
