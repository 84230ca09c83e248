"""Settings of training that only models of language read."""

from typing import Literal

from torchtty.engine.contract.settings.fields import setting
from torchtty.engine.contract.settings.training import Training


class LanguageTraining(Training):
    """How a model of language is trained by gradient descent."""

    grad_clip: float = setting(
        1.0,
        "Largest gradient let through, measured as grad_clip_kind says; 0 lets all through.",
        ge=0,
        step=0.5,
        live=True,
    )
    grad_clip_kind: Literal["norm", "value"] = setting(
        "norm", "norm: shorten the gradient of all weights as one vector; value: cut each number to ±grad_clip."
    )
    loss: Literal["cross-entropy", "nll", "mse", "l1", "bce", "bce-with-logits"] = setting(
        "cross-entropy",
        "What training lowers: cross-entropy, or nll, the same of log-softmax; mse or l1 between probabilities and the true "
        "token; bce, each token as a yes or no, from sigmoids or (with-logits) in one stable step. The curves show "
        "cross-entropy whichever it is.",
    )
