"""From a configuration to a task that is ready to train."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.tasks import (
    AdversarialConfiguration,
    CountingConfiguration,
    LanguageConfiguration,
)
from torchtty.engine.data.prepared import PreparedText, prepare_text, prepared_without_corpus
from torchtty.engine.data.tokenizers import tokenizer_from_json
from torchtty.engine.devices import choose_device
from torchtty.engine.training.task import Task

TIMED_PICTURES = 16  # a batch when a step is timed on a CPU
TIMED_WINDOWS = 1  # the same, for a GPT-2


@lru_cache(maxsize=2)
def _prepared(section: Any, tokens: Any, _files: tuple[Any, ...]) -> PreparedText:
    return prepare_text(section, tokens)


def build_task(
    configuration: Configuration,
    tokenizer: dict[str, Any] | None = None,
    architecture: dict[str, Any] | None = None,
    *,
    data_may_be_gone: bool = False,
) -> Task:
    """Build the task of a configuration, with the tokenizer and architecture of a checkpoint if given; raise `UserError`.

    With `data_may_be_gone`, a text that cannot be read any more is done without: enough to draw samples.
    """
    if isinstance(configuration, AdversarialConfiguration):
        return _image_task(configuration, draws_only=data_may_be_gone)
    assert isinstance(configuration, LanguageConfiguration | CountingConfiguration)
    section, tokens = configuration.data, configuration.tokenizer
    try:
        if tokenizer is None:
            tokens = _with_own_vocabulary(configuration.model, tokens)
            files = (_fingerprint(section.dataset), _fingerprint(getattr(tokens, "path", "")))
            data = _prepared(section, tokens, files)
        else:
            data = prepare_text(section, tokens, tokenizer_from_json(tokenizer))
    except UserError:
        if tokenizer is None or not data_may_be_gone:
            raise
        own = tokenizer_from_json(tokenizer)
        items = own.terminator_id is not None and (tokenizer["kind"] != "gpt2" or section.unit == "items")
        data = prepared_without_corpus(own, items=items)
    if isinstance(configuration, CountingConfiguration):
        from torchtty.engine.training.counting import CountingTask

        return CountingTask(configuration, data)
    if getattr(configuration.model, "carry_state", False):
        from torchtty.engine.training.recurrent import RecurrentTask

        return RecurrentTask(configuration, data)
    if configuration.kind == "gpt2":
        from torchtty.engine.training.pretrained import PretrainedTask

        return PretrainedTask(configuration, data, architecture)
    from torchtty.engine.training.language import LanguageTask

    return LanguageTask(configuration, data)


def _with_own_vocabulary(model: Any, tokens: Any) -> Any:
    """Return the tokenizer section; GPT-2's without a path takes the files beside the model's weights, if they are there."""
    if model.kind != "gpt2" or tokens.kind != "gpt2" or tokens.path:
        return tokens
    from torchtty.engine.data.tokenizers import GPT2Tokenizer

    folder = Path(model.weights).expanduser()
    return tokens.model_copy(update={"path": str(folder)}) if GPT2Tokenizer.is_in(folder) else tokens


def _image_task(configuration: AdversarialConfiguration, *, draws_only: bool) -> Task:
    from torchtty.engine.data.images import load_pictures
    from torchtty.engine.training.adversarial import AdversarialTask

    model, data = configuration.model, configuration.data
    if draws_only:  # reading thousands of pictures would only keep whoever asks for a few waiting
        return AdversarialTask(configuration, None)
    return AdversarialTask(configuration, load_pictures(data.dataset, model.image_size, model.channels, data.limit))


def build_task_for_timing(configuration: Configuration) -> tuple[Task, float]:
    """Build a task to look at and time; return it with what the time of its steps is to be multiplied by.

    Pictures are glanced at and not fetched, and on a CPU a small batch stands for a large one, which could take a minute.
    """
    if configuration.kind == "gpt2":
        return _brief(configuration, TIMED_WINDOWS)
    if not isinstance(configuration, AdversarialConfiguration):
        return build_task(configuration), 1.0
    from torchtty.engine.data.images import glance
    from torchtty.engine.training.adversarial import AdversarialTask

    model, data, training = configuration.model, configuration.data, configuration.training
    pictures = glance(data.dataset, model.image_size, model.channels, data.limit)
    small = min(training.batch_size, TIMED_PICTURES)
    if choose_device(training.device).type == "cpu" and small < training.batch_size:
        timed = configuration.model_copy(update={"training": training.model_copy(update={"batch_size": small})})
        return AdversarialTask(timed, pictures), training.batch_size / small
    return AdversarialTask(configuration, pictures), 1.0


def _brief(configuration: Configuration, small: int) -> tuple[Task, float]:
    training = configuration.training  # type: ignore[attr-defined]
    if choose_device(training.device).type != "cpu" or small >= training.batch_size:
        return build_task(configuration), 1.0
    timed = configuration.model_copy(update={"training": training.model_copy(update={"batch_size": small})})
    return build_task(timed), training.batch_size / small


def _fingerprint(dataset: str) -> tuple[float, int] | None:
    """Tell one state of a file from a later one, so that an edited file is read again."""
    try:
        stat = Path(dataset).expanduser().stat()
    except (OSError, ValueError):
        return None
    return stat.st_mtime, stat.st_size
