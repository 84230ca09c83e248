"""The lens windows: what the model is shown, as symbols and ids, and the tables of its vocabulary."""

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.text import shown, text_of, text_task

ROWS = 40  # predictions that are shown
MOST_SYMBOLS = 300  # of the vocabulary's table


def compute(task: Any, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return `rows`, one a prediction: the `context` and the `target` as symbols and as `ids` and `id`.

    They begin at window number `first` of a split; a model that predicts every position makes several of each window. `windows`
    is how many there are, `vocabulary` lists [id, symbol, how often it stands in the split].
    """
    task = text_task(task)
    yield Progress(done=0, total=1)
    data, split = text_of(task), options["split"]
    if split not in data.splits:
        raise UserError(f"There is no {split} split in this run's data: it has {', '.join(data.splits)}.")
    block_size: int = task.model.block_size  # type: ignore[assignment]
    every = bool(getattr(task.model, "predicts_every_position", False))
    windows = data.windows(split, block_size, every)
    if not len(windows):
        raise UserError(f"The {split} split is shorter than a window of {block_size} tokens.")
    first = min(options["first"], len(windows) - 1)
    rows: list[dict[str, Any]] = []
    for number in range(first, min(len(windows), first + ROWS)):
        x, y = windows.cut(torch.tensor([number]))
        for at in range(y.shape[1]):
            if len(rows) < ROWS and int(y[0, at]) >= 0:
                ids = x[0, : at + 1].tolist() if every else x[0].tolist()
                target = int(y[0, at])
                rows.append(
                    {
                        "window": number,
                        "context": shown(data, ids),
                        "target": shown(data, [target])[0],
                        "ids": ids,
                        "id": target,
                    }
                )
    size = data.tokenizer.vocab_size
    occurrences = np.bincount(np.asarray(data.stream(split), dtype=np.int64), minlength=size)
    chosen = np.argsort(-occurrences, kind="stable")[:MOST_SYMBOLS] if size > MOST_SYMBOLS else np.arange(size)
    return {
        "rows": rows,
        "split": split,
        "first": first,
        "windows": len(windows),
        "block_size": windows.width,
        "every_position": every,
        "vocabulary": [
            [int(token), symbol, int(occurrences[token])]
            for token, symbol in zip(chosen, shown(data, chosen), strict=True)
        ],
        "size": size,
        "choices": {"split": list(data.splits)},
    }
