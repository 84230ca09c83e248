"""A person's own text as a model reads it: its tokens, what the vocabulary lacks, and what the model predicts along it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import symbol_name
from torchtty.engine.data.prepared import PreparedText
from torchtty.engine.training.neural import evaluation_mode
from torchtty.engine.training.task import ReadsText

PIECE = 64  # tokens of the text learnt from that stand for a person's own where they gave none
AT_ONCE = 64  # windows a forward pass


@dataclass(frozen=True)
class OwnText:
    """The ids of a text as the model reads them, `first` of which are given and not predicted; an item's stand between
    terminators. `left_out` counts the tokens at its end for which there was no room.
    """

    ids: tuple[int, ...]
    shown: tuple[str, ...]  # each token by itself
    unknown: tuple[str, ...]  # what of the text the vocabulary lacks
    left_out: int


def own_text(task: ReadsText, options: Mapping[str, Any], most: int) -> OwnText:
    """Return at most `most` tokens of the option `text`, or else of the validation split; raise `UserError` if there are none."""
    data = task.data
    text = str(options.get("text") or "")
    ids = data.tokenizer.encode(text) if text else _piece(task.text())
    unknown = sorted(symbol_name(part) if len(part) == 1 else part for part in data.tokenizer.unknown(text))
    if not ids:
        lacking = f": it has never seen {', '.join(unknown[:8])}" if unknown else ""
        raise UserError(f"Nothing of this text is in the model's vocabulary{lacking}.")
    if data.terminator is not None:
        ids = [data.terminator, *ids, data.terminator]
    elif len(ids) < 2:
        ids = [data.start_id, *ids]
    read = ids[:most]
    shown = tuple(data.tokenizer.decode_token(token) for token in read)
    return OwnText(tuple(read), shown, tuple(unknown), len(ids) - len(read))


def _piece(data: PreparedText) -> list[int]:
    """Return the first item of the validation split, or the first tokens of its running text; without one, of training."""
    part = data.splits.get("val") or data.splits["train"] if data.terminator is not None else None
    if part is not None:
        return [int(token) for token in part[0]]
    stream = data.stream("val" if len(data.splits.get("val", ())) > 1 else "train")
    return [int(token) for token in stream[:PIECE]]


@torch.no_grad()
def logits_along(task: ReadsText, ids: tuple[int, ...]) -> Tensor:
    """Return logits (T - 1, V): row t is what the model predicts after the first t + 1 of the T tokens.

    As when text is sampled, a model sees no more than its longest context, and one of a fixed window gets that filled up on the
    left with what a text begins with.
    """
    model = task.model
    longest: int = getattr(model, "longest_context", model.block_size)  # type: ignore[arg-type]
    read = torch.tensor(ids[:-1], dtype=torch.int64, device=task.device)  # (T - 1,)
    found: list[Tensor] = []
    with evaluation_mode(model), task.autocast():
        if model.predicts_every_position:
            found.append(model(read[None, :longest])[0][0])  # (at most `longest`, V)
            windows = read.unfold(0, longest, 1)[1:] if len(read) > longest else read.new_empty(0, 1)
        elif longest:
            windows = torch.cat((read.new_full((longest - 1,), task.data.start_id), read)).unfold(0, longest, 1)
        else:  # it counts single tokens and sees none
            windows = read.new_empty(len(read), 0)
        found += [model(part)[0][:, -1] for part in windows.split(AT_ONCE) if len(part)]  # (B, V)
    return torch.cat(found)


def context_of(task: ReadsText) -> int:
    """Return how many tokens the model sees at once at most."""
    longest: int = getattr(task.model, "longest_context", task.model.block_size)  # type: ignore[arg-type]
    return longest
