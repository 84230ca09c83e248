"""Parts of models that lenses look into, by what they offer: a part of a new family that offers the same is looked into too."""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Attends(Protocol):
    """An attention layer. It is called with the stream (B, T, C) first."""

    n_head: int
    causal: bool  # whether a position sees only itself and what came before

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys (both B, nh, T, d_k) and values (B, nh, T, d_v) of the stream `x` (B, T, C)."""


@runtime_checkable
class Recurs(Protocol):
    """A network that reads tokens, embedded or one-hot, into a state, and predicts from the state of each position."""

    recurrence: nn.RNNBase  # batch first
    embedding: nn.Embedding | None
    head: nn.Linear
    predicts_every_position: bool
