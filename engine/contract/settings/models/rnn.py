"""Settings of the recurrent networks."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from torchtty.engine.contract.settings.family import Feature, ModelSection
from torchtty.engine.contract.settings.fields import setting
from torchtty.engine.contract.settings.tasks import LanguageConfiguration, language_family, with_model
from torchtty.engine.contract.settings.training import LanguageTraining


class RNNModel(ModelSection):
    """Reads one token at a time and keeps what it needs in a hidden state (Elman, 1990; LSTM 1997; GRU 2014)."""

    kind: Literal["rnn"] = "rnn"
    cell: Literal["rnn", "lstm", "gru"] = setting(
        "rnn",
        "rnn: one tanh layer; lstm and gru: gates that decide what is kept and what is forgotten.",
        essential=True,
    )
    n_layer: int = setting(1, "Recurrent layers, one on top of the other.", ge=1, le=16, essential=True)
    n_hidden: int = setting(100, "Units of a layer's hidden state.", ge=1, le=8192, step=50, essential=True)
    n_embd: int = setting(
        0, "Size of a token's embedding; 0 feeds the token itself, one-hot.", ge=0, le=4096, step=8, essential=True
    )
    initialisation: Literal["uniform", "small"] = setting(
        "uniform", "First weights: uniform within ±1/√n_hidden, as torch draws them; small: N(0, 0.01²), all biases 0."
    )
    block_size: int = setting(
        25,
        "Steps that the gradient goes back through time.",
        ge=1,
        le=4096,
        unit="tokens",
        step=5,
        essential=True,
    )
    predict: Literal["each", "last"] = setting(
        "each", "each: the next token after every step; last: only the one after a full window of block_size."
    )
    carry_state: bool = setting(
        True,
        "Read the text in order and hand the state from one step's window to the next; off: windows drawn at random, "
        "each from an empty state.",
    )

    @property
    def lacks(self) -> frozenset[Feature]:
        return frozenset() if self.cell == "rnn" else frozenset({Feature.RECURRENCE})

    def check(self) -> Iterator[tuple[str, str]]:
        if self.carry_state and self.predict == "last":
            yield "carry_state", "goes with predict = each only: turn it off, or predict each"


class RecurrentTraining(LanguageTraining):
    """How a recurrent network is trained by gradient descent."""

    target_metric: Literal["val_loss", "train_eval_loss", "smoothed_sum"] = setting(  # type: ignore[assignment]
        "val_loss",
        "What target_loss is held against: the evaluated loss on either split, or, at every point of the curve, the training "
        "loss summed over a window and smoothed, from chance on.",
    )


class RecurrentConfiguration(LanguageConfiguration):
    """A run that learns to predict the next token with a state that goes from one to the next."""

    training: RecurrentTraining = Field(default_factory=RecurrentTraining)

    def check(self) -> Iterator[tuple[str, str]]:
        yield from super().check()
        assert isinstance(self.model, RNNModel)
        if self.training.target == "smoothed_sum" and not self.model.carry_state:
            yield "training.target_metric", "can be smoothed_sum only where the text is read in order: with carry_state"


FAMILY = language_family(
    RNNModel,
    configuration=with_model(RecurrentConfiguration, RNNModel),
    title="RNN",
    summary="Recurrent: reads one token at a time into a hidden state. Vanilla, LSTM or GRU.",
    task="torchtty.engine.training.recurrent:RecurrentTask",
    model="torchtty.engine.models.rnn:RNN",
    exposes=frozenset({Feature.RECURRENCE}),
    start={
        "optimizer": {"kind": "adagrad", "learning_rate": 1e-2},
        "schedule": {"kind": "constant"},
        "training": {"batch_size": 8, "eval_batches": 0, "grad_clip": 5.0, "grad_clip_kind": "value"},
    },
)
