"""Recurrent networks: vanilla RNN (Elman, 1990), LSTM (Hochreiter & Schmidhuber, 1997), GRU (Cho et al., 2014)."""

import sys
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from torchtty.engine.contract.settings.models.rnn import RNNModel

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}

SMALL = 0.01  # standard deviation of small first weights

State = tuple[Tensor, ...]  # one (L, B, H); two of them for the LSTM: hidden and cell


@dataclass
class CarriedState:
    """What the network knows after the tokens it has read: the decoder shows it one token at a time."""

    room: int
    state: State | None = None
    seen: int = 0

    @property
    def full(self) -> bool:
        return self.seen >= self.room

    def expanded(self, rows: int) -> "CarriedState":
        assert self.state is not None
        parts = tuple(part.repeat(1, rows, 1) for part in self.state)  # (L, 1, H) -> (L, B, H)
        return CarriedState(self.room, parts, self.seen)


class RNN(nn.Module):
    """Predicts the next token from the one before it and a state that sums up all the rest.

    `block_size` bounds how far back the gradient goes. A model that was trained with its state carried along reads without
    end when text is sampled; one that always began from an empty state sees the last `block_size` tokens, as in training.

    Parameters: V·E for an embedding, if there is one; g·H·(I + H + 2) for the first layer with g gates (1, 4 for the LSTM, 3
    for the GRU) and input I = E or V, both of torch's biases counted; g·H·(2·H + 2) for each further layer; H·V + V. They
    begin as torch draws them, the embedding from N(0, 1) and all others from U(-1/√H, 1/√H), or all of them small: N(0, 0.01²)
    with biases of 0. Either way the first predictions are close to even.
    """

    def __init__(self, config: RNNModel, vocab_size: int) -> None:
        super().__init__()
        self.block_size, self.vocab_size = config.block_size, vocab_size
        self.predicts_every_position = config.predict == "each"
        if config.carry_state:
            self.longest_context = sys.maxsize  # the state was never empty but at the text's beginning
        self.embedding = nn.Embedding(vocab_size, config.n_embd) if config.n_embd else None
        cell = CELLS[config.cell]
        self.recurrence = cell(config.n_embd or vocab_size, config.n_hidden, config.n_layer, batch_first=True)
        self.head = nn.Linear(config.n_hidden, vocab_size)
        if config.initialisation == "small":
            for name, parameter in self.named_parameters():
                nn.init.zeros_(parameter) if "bias" in name else nn.init.normal_(parameter, std=SMALL)

    def new_cache(self, batch: int, length: int) -> CarriedState:  # noqa: ARG002 - the first reading sets the batch
        """Return the memory of a reader that has read nothing yet and will read `length` tokens at most."""
        return CarriedState(length)

    def empty_state(self, batch: int) -> State:
        """Return what the network knows before it has read anything: zeros, one (L, B, H), or two of them for the LSTM."""
        shape = (self.recurrence.num_layers, batch, self.recurrence.hidden_size)
        return tuple(self.head.weight.new_zeros(shape) for _ in range(1 + isinstance(self.recurrence, nn.LSTM)))

    def forward(
        self, idx: Tensor, targets: Tensor | None = None, cache: CarriedState | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits after each position of `idx` (B, T), as (B, T, V), or after the last one, as (B, 1, V).

        Reading begins from an empty state, or goes on from that of a cache, and then only the last logits are returned. The
        second value is the mean loss against `targets` (B, T) or (B, 1); targets of -1 are left out of it.
        """
        if cache is None:
            logits, _, loss = self.read(idx, None, targets)
            return logits, loss
        logits, cache.state, loss = self.read(idx, cache.state, targets)
        cache.seen += idx.shape[1]
        return logits[:, -1:], loss

    def read(
        self, idx: Tensor, state: State | None, targets: Tensor | None = None
    ) -> tuple[Tensor, State, Tensor | None]:
        """Go on reading `idx` (B, T) from a state; return logits, the state afterwards and the loss, as `forward` does."""
        if self.embedding is None:
            x = F.one_hot(idx, self.vocab_size).to(self.head.weight.dtype)  # (B, T, V)
        else:
            x = self.embedding(idx)  # (B, T, E)
        before = None if state is None else state if len(state) == 2 else state[0]
        hidden, after = self.recurrence(x, before)  # (B, T, H)
        logits = self.head(hidden if self.predicts_every_position else hidden[:, -1:])  # (B, T, V) or (B, 1, V)
        loss = None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        return logits, after if isinstance(after, tuple) else (after,), loss
