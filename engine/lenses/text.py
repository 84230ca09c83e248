"""What lenses on models of language share: the text of a run, and what a model predicts after given tokens."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.prepared import PreparedText, read_text
from torchtty.engine.training.counting import CountingTask
from torchtty.engine.training.language import LanguageTask

TextTask = LanguageTask | CountingTask

AT_ONCE = 2048  # tokens of a forward pass


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
    for part in rows.split(max(1, AT_ONCE // max(1, rows.shape[1]))):
        logits, _ = model(part)
        found.append(logits[:, -1, : data.tokenizer.vocab_size].double().log_softmax(1).cpu())
    return torch.cat(found)


def device_of(task: TextTask) -> torch.device:
    """Return where the model is: one that counts is on the CPU."""
    return getattr(task, "device", torch.device("cpu"))


def shown(data: PreparedText, ids: Iterable[int]) -> list[str]:
    """Return tokens as they are shown by themselves."""
    return [data.tokenizer.decode_token(int(token)) for token in ids]
