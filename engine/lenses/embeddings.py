"""The lens embeddings: each token as a point, its nearest neighbours, and the way it has come over the checkpoints.

Two dimensions are shown as they are. More are brought down to two by principal components (the directions of the largest variance,
by the singular value decomposition of the centred table) or by t-SNE (van der Maaten & Hinton, 2008; scikit-learn).
"""

from collections.abc import Generator, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.memory import is_remembered, remember, rows
from torchtty.engine.lenses.subject import Moment, apart_over, at_checkpoint, thinned, values
from torchtty.engine.lenses.text import TextTask, shown, text_of, text_task

MOST_SYMBOLS = 150  # points; of a larger vocabulary those of the commonest tokens
NEIGHBOURS = 5
CHECKPOINTS = 10  # along the way
MEMORY, MOST_REMEMBERED = "embeddings", 20_000  # numbers of a table that is remembered each time it is looked at


def compute(task: Any, options: Mapping[str, Any], moment: Moment) -> Generator[Progress, None, dict[str, Any]]:
    """Return `symbols` (N), `points` (N, 2), `near` (N, up to 5: [which, cosine]), `dimensions`, and of components `shares`.

    With `way`, `steps` (S) and `way` (N, S, 2): each point at the checkpoints and moments looked at before, in the axes of now.
    """
    task = text_task(task)
    checkpoint = options["step"]
    now = task if checkpoint is None else at_checkpoint(task, moment.run, checkpoint)
    yield Progress(done=0, total=2)
    size = task.data.tokenizer.vocab_size
    chosen = _chosen(task, size)
    table = embedding_of(now.model, size)[chosen]
    method = "as it is" if table.shape[1] == 2 else options["method"]
    centre, axes, shares = principal_axes(table)
    if method == "t-sne":
        points = _t_sne(table, options["seed"])
    elif method == "as it is":
        points, axes, centre = table, torch.eye(2, dtype=table.dtype), torch.zeros(2, dtype=table.dtype)
    else:
        points = (table - centre) @ axes.T
    result: dict[str, Any] = {
        "symbols": shown(task.data, chosen.tolist()),
        "vocabulary": size,
        "points": values(points, 4),
        "near": _near(table),
        "dimensions": table.shape[1],
        "method": method,
        "shares": values(shares, 3) if method == "pca" else [],
    }
    if checkpoint is not None:
        result["checkpoint"] = checkpoint
    if options["way"] and method != "t-sne":
        last = checkpoint if checkpoint is not None else moment.step
        path = moment.run.path
        steps = [step for step in moment.run.checkpoints() if step < last and not is_remembered(path, MEMORY, step)]
        steps = thinned(steps, CHECKPOINTS)
        for done, (step, at) in enumerate(apart_over(task, moment.run, steps)):
            yield Progress(done=done, total=len(steps) + 1)
            remember(path, MEMORY, step, {"table": embedding_of(at.model, size)[chosen].float()})
        tables = {step: row["table"].double() for step, row in rows(path, MEMORY).items() if step < last}
        known = thinned(list(tables), CHECKPOINTS)
        then = [(tables[step] - centre) @ axes.T for step in known]
        result |= {"steps": known, "way": values(torch.stack(then, 1), 4) if then else []}
    if checkpoint is None and table.numel() <= MOST_REMEMBERED:
        remember(moment.run.path, MEMORY, moment.step, {"table": table.float()})
    return result


def _chosen(task: TextTask, size: int) -> Tensor:
    """Return the tokens that are shown, in their order: all, or of a large vocabulary the commonest."""
    if size <= MOST_SYMBOLS:
        return torch.arange(size)
    stream = torch.from_numpy(np.asarray(text_of(task).stream("train"), dtype=np.int64))
    occurrences = torch.bincount(stream, minlength=size)
    return occurrences.argsort(descending=True, stable=True)[:MOST_SYMBOLS].sort().values


def embedding_of(model: nn.Module, size: int) -> Tensor:
    """Return the vectors of a vocabulary's tokens (V, E), in float64 on the CPU; raise `UserError` if the model has none.

    Where a recurrent network is fed tokens one-hot, the weights that each of them switches on are its vector.
    """
    for module in model.modules():
        if isinstance(module, nn.Embedding) and module.num_embeddings >= size:
            return module.weight.detach()[:size].double().cpu()
        if isinstance(module, nn.RNNBase) and module.input_size == size:
            weights: Tensor = module.weight_ih_l0  # type: ignore[assignment]
            return weights.detach().T.double().cpu()
    raise UserError("This model has no table of embeddings: nothing in it belongs to one token alone.")


def principal_axes(table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean (E,) of a table (N, E), its two principal axes (2, E), and the share of the variance along each.

    An axis points to where its largest component is positive, so that a picture does not flip from one step to the next.
    """
    centre = table.mean(0)
    _, singular, axes = torch.linalg.svd(table - centre, full_matrices=False)
    axes = axes[:2]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    variances = singular.square()
    return centre, axes * largest.sign(), variances[:2] / variances.sum().clamp_min(1e-30)


def _t_sne(table: Tensor, seed: int) -> Tensor:
    if find_spec("sklearn") is None:
        raise UserError(
            "t-SNE needs scikit-learn: 'pip install scikit-learn'. Principal components (pca) need nothing."
        )
    from sklearn.manifold import TSNE  # type: ignore[import-not-found, import-untyped, unused-ignore]

    perplexity = min(30.0, max(2.0, (len(table) - 1) / 3))
    found = TSNE(2, perplexity=perplexity, random_state=seed, init="pca").fit_transform(table.float().numpy())
    return torch.from_numpy(found).double()


def _near(table: Tensor) -> list[list[list[Any]]]:
    """Return the nearest neighbours of each vector by the cosine of the angle between them."""
    unit = nn.functional.normalize(table, dim=1)
    cosines = (unit @ unit.T).fill_diagonal_(-2)
    best = cosines.topk(min(NEIGHBOURS, len(table) - 1), dim=1)
    return [
        [[int(which), round(float(cosine), 3)] for cosine, which in zip(*row, strict=True)]
        for row in zip(best.values, best.indices, strict=True)
    ]
