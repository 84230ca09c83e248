"""What ended a run or a group, in words for a person: what happened, and what to do."""

from collections.abc import Callable
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.configuration import ConfigurationError
from torchtty.engine.devices import is_lack_of_memory, lack_of_memory

HALVED = (("training.batch_size", 2), ("model.block_size", 16), ("model.n_embd", 16))  # settings and their least values


def is_expected(error: Exception) -> bool:
    """Whether an error is of the person's or the machine's making, so that its words say all; others have a traceback."""
    return isinstance(error, UserError | OSError) or is_lack_of_memory(error)


def in_words(error: Exception, for_less_memory: Callable[[], str]) -> str:
    """Put an expected error into words; `for_less_memory` says what to do where memory ran out."""
    if isinstance(error, ConfigurationError):
        return "The configuration cannot run: " + "; ".join(str(problem) for problem in error.problems) + "."
    if isinstance(error, UserError):
        return str(error)
    if is_lack_of_memory(error):
        return f"{lack_of_memory(error)} {for_less_memory()}"
    return f"The system refused: {error}."


def what_to_halve(tree: dict[str, dict[str, Any]]) -> str:
    """Name the setting of a run whose half takes most off a step's memory, and what else does."""
    known = {f"{section}.{field}": value for section, fields in tree.items() for field, value in fields.items()}
    for path, least in HALVED:
        value = known.get(path)
        if isinstance(value, int) and value >= 2 * least:
            return f"Halve {path}, which is {value:,}, or take a smaller model."
    return "Take a smaller model."
