"""What training may lower when a model chooses one token among many."""

import torch
from torch import Tensor
from torch.nn import functional as F


def objective(kind: str, logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean loss of logits (B, T, V) against the true tokens `targets` (B, T); targets of -1 are left out.

    | kind          | computes                                                        | lowest where            |
    |---------------|-----------------------------------------------------------------|-------------------------|
    | cross-entropy | -log softmax(logits)[true], in nats                             | probabilities are true  |
    | mse           | mean over V of (softmax(logits) - one-hot)² (Brier, 1950)       | probabilities are true  |
    | l1            | mean over V of abs(softmax(logits) - one-hot)                   | all on the likeliest    |
    | bce           | mean over V of the binary cross-entropy of sigmoid(logits)      | sigmoids are true       |

    Negative log-likelihood of log-softmax is cross-entropy under another name, and binary cross-entropy with and without
    logits differ in rounding only, so neither is listed twice: the stable form is what is computed.
    """
    rows, true = logits.flatten(0, 1), targets.flatten()  # (N, V), (N,)
    if kind == "cross-entropy":
        return F.cross_entropy(rows, true, ignore_index=-1)
    counted = true >= 0  # (N,)
    one_hot = F.one_hot(true.clamp_min(0), rows.shape[1]).to(rows.dtype)  # (N, V)
    if kind == "bce":
        each = F.binary_cross_entropy_with_logits(rows, one_hot, reduction="none")
    else:
        assert kind in ("mse", "l1"), kind
        difference = rows.softmax(1) - one_hot
        each = difference.square() if kind == "mse" else difference.abs()
    return torch.where(counted, each.mean(1), 0.0).sum() / counted.sum()
