"""From a configuration to a task that is ready to train."""

from functools import lru_cache
from typing import Any

from engine.contract.configuration import Configuration, CountingConfiguration, LanguageConfiguration
from engine.contract.errors import UserError
from engine.data.prepared import PreparedText, prepare_text, prepared_without_corpus
from engine.data.tokenizers import tokenizer_from_json
from engine.training.task import Task


@lru_cache(maxsize=2)
def _prepared(section: Any, tokens: Any, _file: tuple[float, int] | None) -> PreparedText:
    return prepare_text(section, tokens)


def build_task(
    configuration: Configuration, tokenizer: dict[str, Any] | None = None, *, data_may_be_gone: bool = False
) -> Task:
    """Build the task of a configuration, with the tokenizer of a checkpoint if one is given; raise `UserError`.

    With `data_may_be_gone`, a text that cannot be read any more is done without: enough to draw samples.
    """
    assert isinstance(configuration, LanguageConfiguration | CountingConfiguration)
    section, tokens = configuration.data, configuration.tokenizer
    try:
        if tokenizer is None:
            data = _prepared(section, tokens, _fingerprint(section.dataset))
        else:
            data = prepare_text(section, tokens, tokenizer_from_json(tokenizer))
    except UserError:
        if tokenizer is None or not data_may_be_gone:
            raise
        own = tokenizer_from_json(tokenizer)
        data = prepared_without_corpus(
            own, items=tokenizer.get("kind") == "character" and own.terminator_id is not None
        )
    if isinstance(configuration, CountingConfiguration):
        from engine.training.counting import CountingTask

        return CountingTask(configuration, data)
    if getattr(configuration.model, "carry_state", False):
        from engine.training.recurrent import RecurrentTask

        return RecurrentTask(configuration, data)
    from engine.training.language import LanguageTask

    return LanguageTask(configuration, data)


def _fingerprint(dataset: str) -> tuple[float, int] | None:
    """Tell one state of a file from a later one, so that an edited file is read again."""
    from pathlib import Path

    try:
        stat = Path(dataset).expanduser().stat()
    except (OSError, ValueError):
        return None
    return stat.st_mtime, stat.st_size
