"""The lens initial: the first loss of a run against chance, the logits of one example behind it, and how they become probabilities.

The first weights are drawn anew from the run's seed, so that it answers at any time.
"""

import math
from collections.abc import Generator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.subject import values
from torchtty.engine.lenses.text import shown, text_task
from torchtty.engine.training.language import LanguageTask

MOST_EXAMPLES, MOST_SYMBOLS = 24, 100
WRONG = 0.3  # nats above chance from which first predictions are confident, and mostly wrong
FLAT = 1e-3  # spread of the logits below which all tokens are as good as equal


def compute(task: Any, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return `chance`, the `loss` at first and `now` on the first batch, the `verdict`, and the steps of one example.

    `symbols` (V), and of the example `logits`, `counts` (their exponentials in float32), `probabilities` (the counts divided by
    their sum) and `shifted` (the same after the largest logit was taken off), each (V). `map` holds the first probabilities of
    some examples (examples x V).
    """
    task = text_task(task)
    if not isinstance(task, LanguageTask):
        raise UserError("A model that counts has no first weights: it has no loss before it has counted.")
    yield Progress(done=0, total=2)
    x, y = task.example_batch()
    now, _ = _predictions(task, x, y)
    torch.manual_seed(task.configuration.training.seed)
    task.model = task.build_network().to(task.device)
    yield Progress(done=1, total=2)
    first, logits = _predictions(task, x, y)
    size = task.data.tokenizer.vocab_size
    predicted = _last_predicted(y)  # (B,)
    rows = torch.arange(len(y))
    logits, targets = logits[rows, predicted, :size], y.cpu()[rows, predicted]  # (B, V), (B,)
    seen = x.shape[1] - y.shape[1] + predicted + 1  # how many tokens of each row the prediction is made from
    contexts = [shown(task.data, row[:end].tolist()) for row, end in zip(x, seen.tolist(), strict=True)]
    chance, loss = math.log(size), float(first.mean())
    spread = float(logits.std(1, correction=0).mean())
    verdict = _judged(loss, chance, spread)
    at = min(options["example"], len(logits) - 1)
    own = logits[at] + options["add"]
    chosen = own.argsort(descending=True)[:MOST_SYMBOLS].sort().values if size > MOST_SYMBOLS else torch.arange(size)
    counts = own.exp()
    names = shown(task.data, chosen.tolist())
    return {
        "chance": round(chance, 4),
        "loss": _finite(loss),
        "now": _finite(float(now.mean())),
        "spread": values(torch.tensor(spread)),
        "verdict": verdict,
        "example": at,
        "add": options["add"],
        "context": contexts[at],
        "target": shown(task.data, [int(targets[at])])[0],
        "target_loss": values(F.cross_entropy(logits[at], targets[at])),
        "symbols": names,
        "vocabulary": size,
        "logits": values(own[chosen]),
        "counts": values(counts[chosen]),
        "probabilities": values((counts / counts.sum())[chosen]),
        "shifted": values(own.softmax(0)[chosen]),
        "map": values(logits[:MOST_EXAMPLES].softmax(1)[:, chosen], 3),
        "examples": ["".join(context[-4:]) for context in contexts[:MOST_EXAMPLES]],
    }


def _judged(loss: float, chance: float, spread: float) -> str:
    """Return what a first loss says of the first weights; one that is no number is neither good nor bad."""
    if not math.isfinite(loss):
        return "no number"
    return "confidently wrong" if loss > chance + WRONG else "flat" if spread < FLAT else "fine"


def _finite(loss: float) -> float | None:
    return round(loss, 4) if math.isfinite(loss) else None


def _last_predicted(y: Tensor) -> Tensor:
    """Return for each row of targets (B, T) the last position that has one: beyond an item's end there is none (-1)."""
    has_target = (y >= 0).cpu()
    return (has_target * torch.arange(1, y.shape[1] + 1)).argmax(1)


@torch.no_grad()
def _predictions(task: LanguageTask, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the losses of all predictions of a batch and the logits (B, T, V), in float32 on the CPU.

    The model is in training mode, as in the first step: batch norm uses the batch's own statistics.
    """
    task.model.train()
    logits, _ = task.model(x)
    logits = logits.float().cpu()
    losses = F.cross_entropy(logits.flatten(0, 1), y.flatten().cpu(), ignore_index=-1, reduction="none")
    return losses[y.flatten().cpu() >= 0], logits
