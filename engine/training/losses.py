"""What training may lower when a model chooses one token among many."""

import torch
from torch import Tensor
from torch.nn import functional as F


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
