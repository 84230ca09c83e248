"""Language modelling by gradient descent: predict the next token, for every family that does so."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.tasks import LanguageConfiguration
from torchtty.engine.data.batches import Windows, moved
from torchtty.engine.data.prepared import PreparedText
from torchtty.engine.devices import check_precision, choose_device, finest_float
from torchtty.engine.models.families import build_model, parameter_count
from torchtty.engine.sampling.text import sample_text
from torchtty.engine.training.batches import DrawnBatches
from torchtty.engine.training.losses import objective
from torchtty.engine.training.optimizers import build_optimizer, clip_gradients, gradient_norm, set_rates
from torchtty.engine.training.schedules import rate_factor
from torchtty.engine.training.task import Facts, SamplePiece, SampleRequest, SampleResult
from torchtty.engine.training.threads import use_threads_for
from torchtty.engine.training.traced import SMALL, Gradients, quickest

WHOLE_SPLIT_BATCH = 2048  # predictions a forward pass when a whole split is evaluated
TRACED_AFTER = 100  # steps: a trace takes a few tenths of a second, for which nobody is to wait before the first points
WORTH_TRACING = 5000  # steps to go from which on a trace pays: it takes as long as a thousand or two


class LanguageTask:
    """Trains a model with `forward(idx, targets) -> (logits, loss)` on windows of tokens.

    Batches, dropout and samples draw from three generators, so that neither evaluating nor sampling changes training:
    batches from `self._batches`, samples from one of their own, dropout from torch's global generator, which is put aside
    while anything but a training step runs.
    """

    def __init__(self, configuration: LanguageConfiguration, data: PreparedText) -> None:
        self.configuration = configuration
        self.data = data
        training = configuration.training
        self.device = choose_device(training.device)
        check_precision(training.precision, self.device)
        torch.manual_seed(training.seed)
        self.model = self._build_model().to(self.device)
        self.optimizer = build_optimizer(configuration.optimizer, self.model, self.device)
        every = bool(self.model.predicts_every_position)
        block_size: int = self.model.block_size  # type: ignore[assignment]
        self.windows: dict[str, Windows] = {
            split: moved(data.windows(split, block_size, every), self.device) for split in data.splits
        }
        windows = self.windows.get("train")  # none where the text is gone and only samples are wanted
        if windows is not None and not len(windows):
            raise UserError(_too_short(data, block_size))
        self._learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        generator = torch.Generator(self.device).manual_seed(training.seed)
        self._batches = DrawnBatches(windows, training.batch_size, generator) if windows is not None else None
        batch_size = min(training.batch_size, len(windows)) if windows is not None else training.batch_size
        if batch_size < 2 and any(isinstance(module, torch.nn.BatchNorm1d) for module in self.model.modules()):
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
        )
        self._operations = 6.0 * self.facts.parameters * self.tokens_per_step  # floating-point ones a step, about
        self._steps_here = 0  # steps of this process
        self._gradients: Gradients | None = None
        use_threads_for(self._operations)
        self.model.train()

    def _build_model(self) -> torch.nn.Module:
        return build_model(self.configuration.model, self.data.tokenizer.vocab_size)

    def configure(self, configuration: Configuration) -> None:
        assert isinstance(configuration, LanguageConfiguration)
        self.configuration = configuration

    def train_step(self, step: int) -> dict[str, Tensor | float]:
        training, optimizer = self.configuration.training, self.configuration.optimizer
        rate = optimizer.learning_rate * rate_factor(self.configuration.schedule, step, training.max_steps)
        set_rates(self.optimizer, rate, optimizer.weight_decay)
        metrics: dict[str, Tensor | float] = {"learning_rate": rate, **self._descend(step)}
        if training.grad_clip:
            metrics["grad_norm"] = clip_gradients(self._learned, training.grad_clip_kind, training.grad_clip)
        elif (step + 1) % training.log_interval == 0:  # nobody sees the norms in between
            metrics["grad_norm"] = gradient_norm(self._learned)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return metrics

    def _descend(self, step: int) -> dict[str, Tensor]:
        """Read a batch, leave its gradient in the weights, and return its losses."""
        x, y = self._next_batch()
        if self._steps_here == TRACED_AFTER and self._may_be_traced(step):
            self._gradients = quickest(self.model, x, y)
        self._steps_here += 1
        if self._gradients is not None:
            return {"train_loss": self._gradients(x, y)}
        with self._autocast():
            logits, loss = self._read(x, y)
        losses = {"train_loss": loss.detach()}
        if self.configuration.training.loss != "cross-entropy":
            loss = objective(self.configuration.training.loss, logits, y)
            losses["objective"] = loss.detach()
        loss.backward()
        return losses

    def _next_batch(self) -> tuple[Tensor, Tensor]:
        assert self._batches is not None, "training needs a text"
        return self._batches.next()

    def _read(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (B, T, V) and the mean cross-entropy of a batch."""
        logits, loss = self.model(x, y)
        assert loss is not None
        return logits, loss

    def _may_be_traced(self, step: int) -> bool:
        """Whether the steps to go may be quicker with the model's kernels called one after the other."""
        training = self.configuration.training
        return (
            self.device.type == "cpu"
            and training.precision == "float32"
            and training.loss == "cross-entropy"
            and training.max_steps - step >= WORTH_TRACING
            and self._operations <= SMALL
        )

    @torch.no_grad()
    def evaluate(self, thorough: bool = False) -> dict[str, float]:
        """Return `train_eval_loss` and `val_loss`.

        With `eval_batches` they are means over so many batches, the same at every evaluation. Without, the validation split is
        evaluated whole, and as much of the training split; all of that too if `thorough`.
        """
        losses = {}
        with self._aside():
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
            with self._autocast():
                _, loss = self.model(x, y)
            assert loss is not None
            predicted = (y >= 0).sum()
            total += loss * predicted
            count += predicted
        return float(total / count)

    def sample(self, request: SampleRequest, result: SampleResult) -> Iterator[SamplePiece]:
        with self._aside():
            yield from sample_text(self.model, self.data, request, result, self.device)

    def automatic_sample(self) -> SampleRequest | None:
        return self.data.request_from(self.configuration.sampling)

    def weights(self) -> dict[str, Tensor]:
        """Return the model's tensors; one that is the same as another (tied weights) is left out."""
        seen: set[int] = set()
        found = {}
        for name, tensor in self.model.state_dict().items():
            if tensor.data_ptr() not in seen or not tensor.numel():
                found[name] = tensor
                seen.add(tensor.data_ptr())
        return found

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        load_model_weights(self.model, weights, expected=set(self.weights()))

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

    def tokenizer_json(self) -> dict[str, Any] | None:
        return self.data.tokenizer.to_json()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.configuration.training.precision == "bfloat16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def _aside(self) -> AbstractContextManager[None]:
        return evaluation_mode(self.model)


class evaluation_mode:
    """Puts a model into evaluation mode, and back with torch's global generators as they were."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model

    def __enter__(self) -> None:
        self._was_training = self._model.training
        self._fork = torch.random.fork_rng(
            devices=range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
        )
        self._fork.__enter__()
        self._model.eval()

    def __exit__(self, *exception: Any) -> None:
        self._model.train(self._was_training)
        self._fork.__exit__(*exception)


def load_model_weights(model: torch.nn.Module, weights: dict[str, Tensor], expected: set[str]) -> None:
    """Load weights by name, every name and shape accounted for; raise `UserError` for the first that does not fit."""
    own = model.state_dict()
    for name in sorted(expected ^ set(weights)):
        lacks = "the checkpoint lacks" if name in expected else "the model has no place for"
        raise UserError(
            f"These weights belong to another model: {lacks} '{name}'. Use the configuration they were trained with."
        )
    for name, tensor in weights.items():
        if name == "token_embedding.weight" and len(own[name]) != len(tensor):
            raise UserError(
                f"These weights belong to a vocabulary of {len(tensor):,} tokens, and the one at hand has {len(own[name]):,}. "
                "Use the tokenizer they were trained with: a checkpoint's own stands beside it as tokenizer.json."
            )
        if own[name].shape != tensor.shape and name not in ("codes", "counts"):
            raise UserError(
                f"These weights belong to another model: '{name}' is {tuple(tensor.shape)}, and {tuple(own[name].shape)} is "
                "needed. Use the configuration and tokenizer they were trained with."
            )
    model.load_state_dict(weights, strict=False)


def _too_short(data: PreparedText, block_size: int) -> str:
    have = data.token_counts["train"]
    advice = f"Take a block_size below {have}, or a longer text." if have > 1 else "Take a longer text."
    return (
        f"model.block_size of {block_size} is longer than the text: {data.corpus.name} has {have:,} "
        f"token{'s' * (have != 1)} to train on. {advice}"
    )
