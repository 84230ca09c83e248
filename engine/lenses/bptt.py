"""The lens bptt: back-propagation through time of a recurrent network, written out, beside what autograd finds.

The recurrence is Elman's: z_t = W_ih x_t + b_ih + W_hh h_(t-1) + b_hh and h_t = tanh z_t, layer upon layer; logits W_y h_t + b_y;
the loss is the mean cross-entropy. Backwards in time (Werbos, 1990; the form is that of Karpathy's min-char-rnn, 2015):

    d logits_t = (softmax - one-hot) / N
    dh_t = W_yᵀ d logits_t + W_hhᵀ dz_(t+1)        in a lower layer: W_ihᵀ dz_t of the layer above + W_hhᵀ dz_(t+1)
    dz_t = (1 - h_t²) dh_t
    dW_ih = Σ dz_t x_tᵀ,  dW_hh = Σ dz_t h_(t-1)ᵀ,  db = Σ dz_t,  dW_y = Σ d logits_t h_tᵀ

All of it in float64, so that what differs is the mathematics and not the rounding.
"""

import copy
from collections.abc import Generator, Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from torchtty.engine.contract.run.events import Progress
from torchtty.engine.data.tokenizers import Tokenizer
from torchtty.engine.lenses.text import own_text
from torchtty.engine.models.parts import Recurs
from torchtty.engine.training.task import ReadsText

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

MOST_SHOWN = 64  # rows and columns of a gradient that are sent number by number
MOST_STEPS = 100  # of time


def compute(task: ReadsText, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return the manual gradients beside autograd's, and how a gradient fades on its way back.

    `parameters` lists each one's `name`, `shape`, the norms `by_hand` and `by_autograd`, and the largest `difference`. `gradient`
    holds that of the chosen `parameter` number by number, `by_hand` and `by_autograd` (at most MOST_SHOWN `rows` and `columns`,
    named). `steps` has for each position its `token`, the `target`, its `probability` and `loss` in nats, and the norms of
    `d_logits`, `dh` and `dz` of the top layer; `fading` is the norm of the last loss's gradient with respect to the top layer's
    state at each position.
    """
    model = copy.deepcopy(task.model).cpu().double().eval()
    assert isinstance(model, Recurs)
    assert isinstance(model.recurrence, nn.RNN)  # a family says of cells with gates that they lack `Feature.RECURRENCE`
    length = min(int(cast(int, task.model.block_size)), MOST_STEPS)
    text = own_text(task, options, length + 1)
    ids = np.array(text.ids)
    yield Progress(done=0, total=3)
    network = Elman(model)
    run = network.forward(ids[:-1], ids[1:])
    gradients, steps = network.backward(run)
    yield Progress(done=1, total=3)
    automatic, loss = by_autograd(model, ids)
    yield Progress(done=2, total=3)
    names = list(automatic)
    chosen = str(options.get("parameter") or "")
    chosen = chosen if chosen in names else next((name for name in names if "weight_hh" in name), names[0])
    shown = [slice(MOST_SHOWN)] * gradients[chosen].ndim
    tokens = text.shown
    return {
        "tokens": list(tokens),
        "unknown": list(text.unknown),
        "left_out": text.left_out,
        "loss": {"by_hand": run.loss, "by_autograd": loss},
        "parameters": [_compared(name, gradients[name], automatic[name]) for name in names],
        "choices": {"parameter": names},
        "parameter": chosen,
        "gradient": {
            "name": chosen,
            **_labels(chosen, automatic[chosen].shape, "embedding.weight" in names, task.data.tokenizer),
            "by_hand": gradients[chosen][tuple(shown)].tolist(),
            "by_autograd": automatic[chosen][tuple(shown)].tolist(),
        },
        "steps": [
            {"token": tokens[place], "target": tokens[place + 1]}
            | {name: found[place] for name, found in steps.items()}
            for place in range(len(ids) - 1)
        ],
        "fading": network.fading(run),
    }


class _Run:
    """What a forward pass leaves for the way back: inputs (T, I) and states (T + 1, H) of each layer, the first state 0."""

    def __init__(self, read: Ids, targets: Ids, inputs: list[Array], states: list[Array], logits: Array) -> None:
        self.read, self.targets, self.inputs, self.states = read, targets, inputs, states
        self.predicted = np.arange(len(inputs[0]))[-len(logits) :]  # positions that predict: all, or the last
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        self.probabilities = shifted / shifted.sum(1, keepdims=True)  # (N, V)
        with np.errstate(divide="ignore"):  # a target that was given no probability costs infinitely much
            self.losses = -np.log(self.probabilities[np.arange(len(logits)), targets[self.predicted]])  # (N,)
        self.loss = float(self.losses.mean())


class Elman:
    """A plain recurrent network in numpy, with the weights of a model in float64."""

    def __init__(self, model: Any) -> None:
        self.layers: int = model.recurrence.num_layers
        self.every = bool(model.predicts_every_position)
        self.weights: dict[str, Array] = {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}
        self.vocab_size = len(self.weights["head.weight"])

    def _of(self, kind: str, layer: int) -> Array:
        return self.weights[f"recurrence.{kind}_l{layer}"]

    def forward(self, read: Ids, targets: Ids) -> _Run:
        """Read ids (T,) from a state of zeros, against `targets` (T,)."""
        embedding = self.weights.get("embedding.weight")
        x = np.eye(self.vocab_size)[read] if embedding is None else embedding[read]  # (T, I)
        inputs, states = [], []
        for layer in range(self.layers):
            w_ih, w_hh = self._of("weight_ih", layer), self._of("weight_hh", layer)
            bias = self._of("bias_ih", layer) + self._of("bias_hh", layer)
            h = np.zeros((len(x) + 1, len(w_hh)))
            for t in range(len(x)):
                h[t + 1] = np.tanh(w_ih @ x[t] + w_hh @ h[t] + bias)
            inputs.append(x)
            states.append(h)
            x = h[1:]
        predicting = x if self.every else x[-1:]
        logits = predicting @ self.weights["head.weight"].T + self.weights["head.bias"]  # (N, V)
        return _Run(read, targets, inputs, states, logits)

    def backward(self, run: _Run) -> tuple[dict[str, Array], dict[str, list[float | None]]]:
        """Return the gradient of the mean loss for every weight by its name, and norms and losses of each position."""
        d_logits = run.probabilities.copy()  # (N, V)
        d_logits[np.arange(len(d_logits)), run.targets[run.predicted]] -= 1
        d_logits /= len(d_logits)
        top = run.states[-1][1:]
        found = {"head.weight": d_logits.T @ top[run.predicted], "head.bias": d_logits.sum(0)}
        from_above = np.zeros_like(top)  # (T, H)
        from_above[run.predicted] = d_logits @ self.weights["head.weight"]
        norms: dict[str, list[float | None]] = {}
        for layer in reversed(range(self.layers)):
            dh, dz, below = self._layer_backward(layer, run, from_above, found)
            if layer == self.layers - 1:
                norms = {"dh": _norms(dh), "dz": _norms(dz)}
            from_above = below
        if "embedding.weight" in self.weights:
            found["embedding.weight"] = np.zeros_like(self.weights["embedding.weight"])
            np.add.at(found["embedding.weight"], run.read, from_above)
        true = run.probabilities[np.arange(len(d_logits)), run.targets[run.predicted]]
        blank: list[float | None] = [None] * (len(top) - len(d_logits))
        steps = {"probability": blank + true.tolist(), "loss": blank + run.losses.tolist()}
        return found, steps | {"d_logits": blank + _norms(d_logits)} | norms

    def _layer_backward(
        self, layer: int, run: _Run, from_above: Array, found: dict[str, Array]
    ) -> tuple[Array, Array, Array]:
        """Go back through time in a layer: fill in its gradients; return dh and dz (T, H), and what its inputs get (T, I)."""
        x, h = run.inputs[layer], run.states[layer]
        w_ih, w_hh = self._of("weight_ih", layer), self._of("weight_hh", layer)
        d_ih, d_hh, d_bias = np.zeros_like(w_ih), np.zeros_like(w_hh), np.zeros(len(w_hh))
        dh, dz = np.zeros_like(from_above), np.zeros_like(from_above)
        from_later = np.zeros(len(w_hh))
        for t in reversed(range(len(x))):
            dh[t] = from_above[t] + from_later
            dz[t] = (1 - h[t + 1] ** 2) * dh[t]
            d_ih += np.outer(dz[t], x[t])
            d_hh += np.outer(dz[t], h[t])
            d_bias += dz[t]
            from_later = w_hh.T @ dz[t]
        for kind, gradient in (("weight_ih", d_ih), ("weight_hh", d_hh), ("bias_ih", d_bias), ("bias_hh", d_bias)):
            found[f"recurrence.{kind}_l{layer}"] = gradient
        return dh, dz, dz @ w_ih

    def fading(self, run: _Run) -> list[float]:
        """Return the norms of the last loss's gradient for the top layer's states, on its way back through that layer."""
        d_logits = run.probabilities[-1].copy()
        d_logits[run.targets[run.predicted[-1]]] -= 1
        dh, h = d_logits @ self.weights["head.weight"], run.states[-1]
        w_hh = self._of("weight_hh", self.layers - 1)
        norms = []
        for t in reversed(range(len(h) - 1)):
            norms.append(float(np.linalg.norm(dh)))
            dh = w_hh.T @ ((1 - h[t + 1] ** 2) * dh)
        return norms[::-1]


def _labels(name: str, shape: tuple[int, ...], embeds: bool, tokenizer: Tokenizer) -> dict[str, list[str]]:
    """Return what the rows and columns of a parameter stand for: tokens, or units of the state `h` or the embedding `e`."""

    def tokens(size: int) -> list[str]:
        return [tokenizer.decode_token(token) if token < tokenizer.vocab_size else str(token) for token in range(size)]

    def units(letter: str, size: int) -> list[str]:
        return [f"{letter}{place}" for place in range(size)]

    rows, columns = (min(size, MOST_SHOWN) for size in (*shape, 1)[:2])
    over_tokens = name.startswith(("head", "embedding"))
    reads_tokens = name.endswith("weight_ih_l0") and not embeds
    letter = "e" if name.startswith("embedding") or (embeds and name.endswith("weight_ih_l0")) else "h"
    return {
        "rows": tokens(rows) if over_tokens else units("h", rows),
        "columns": tokens(columns) if reads_tokens else units(letter, columns),
    }


def by_autograd(model: nn.Module, ids: Ids) -> tuple[dict[str, Array], float]:
    """Return autograd's gradients of the mean loss for every parameter by its name, and the loss."""
    read, targets = torch.from_numpy(ids[:-1])[None], torch.from_numpy(ids[1:])[None]
    with torch.enable_grad():
        _, loss = model(read, targets if model.predicts_every_position else targets[:, -1:])
        named = dict(model.named_parameters())
        gradients = torch.autograd.grad(loss, list(named.values()))
    return {name: gradient.numpy() for name, gradient in zip(named, gradients, strict=True)}, float(loss.detach())


def _compared(name: str, by_hand: Array, automatic: Array) -> dict[str, Any]:
    return {
        "name": name,
        "shape": list(by_hand.shape),
        "by_hand": float(np.linalg.norm(by_hand)),
        "by_autograd": float(np.linalg.norm(automatic)),
        "difference": float(np.abs(by_hand - automatic).max()),
    }


def _norms(rows: Array) -> list[float | None]:
    return [float(norm) for norm in np.linalg.norm(rows, axis=1)]
