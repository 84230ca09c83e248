"""Text that lenses read: that of a run, a person's own as the model reads it, and what the model predicts along either."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import symbol_name
from torchtty.engine.data.prepared import PreparedText, read_text
from torchtty.engine.training.counting import CountingTask
from torchtty.engine.training.language import LanguageTask
from torchtty.engine.training.neural import evaluation_mode
from torchtty.engine.training.task import ReadsText

TextTask = LanguageTask | CountingTask

TOKENS_AT_ONCE = 2048  # of a forward pass over contexts
WINDOWS_AT_ONCE = 64  # of a forward pass along a text
PIECE = 64  # tokens of the text learnt from that stand for a person's own where they gave none


def text_task(task: object) -> TextTask:
    """Return the task as one that models text; raise `UserError` for a family from outside that does so in another way."""
    if not isinstance(task, LanguageTask | CountingTask):
        raise UserError("This lens reads the text of a run, and this model has none that it could ask for.")
    return task


def text_of(task: TextTask) -> PreparedText:
    """Return a run's data with their text, read again where a run that is over has let it go; raise `UserError` if it is gone."""
    if "train" in task.data.splits:
        return task.data
    return read_text(task.configuration.data, task.configuration.tokenizer, task.tokenizer_json())


@torch.no_grad()
def log_probabilities_after(task: TextTask, contexts: Iterable[Sequence[int]]) -> Tensor:
    """Return the log-probabilities (N, V), in float64 on the CPU, of the token after each of N contexts, all of one length.

    A model with a fixed window gets a short context filled up on the left, as the sampler does it.
    """
    model, data = task.model, task.data
    rows = torch.tensor([list(context) for context in contexts], dtype=torch.int64)  # (N, T)
    block_size: int = getattr(model, "longest_context", model.block_size)  # type: ignore[arg-type]
    missing = (1 if model.predicts_every_position else block_size) - rows.shape[1]
    if missing > 0:
        rows = torch.cat([torch.full((len(rows), missing), data.start_id), rows], dim=1)
    rows = rows[:, max(0, rows.shape[1] - block_size) :].to(device_of(task))
    model.eval()
    found = []
    for part in rows.split(max(1, TOKENS_AT_ONCE // max(1, rows.shape[1]))):
        logits, _ = model(part)
        found.append(logits[:, -1, : data.tokenizer.vocab_size].double().log_softmax(1).cpu())
    return torch.cat(found)


def device_of(task: TextTask) -> torch.device:
    """Return where the model is: one that counts is on the CPU."""
    return getattr(task, "device", torch.device("cpu"))


def shown(data: PreparedText, ids: Iterable[int]) -> list[str]:
    """Return tokens as they are shown by themselves."""
    return [data.tokenizer.decode_token(int(token)) for token in ids]


@dataclass(frozen=True)
class OwnText:
    """The ids of a text as the model reads it, an item between terminators.

    `left_out` counts the tokens at its end for which there was no room.
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
    if not text:
        ids = ids[:most]  # a piece is as long as it may be
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
        found += [model(part)[0][:, -1] for part in windows.split(WINDOWS_AT_ONCE) if len(part)]  # (B, V)
    return torch.cat(found)


def context_of(task: ReadsText) -> int:
    """Return how many tokens the model sees at once at most."""
    longest: int = getattr(task.model, "longest_context", task.model.block_size)  # type: ignore[arg-type]
    return longest
