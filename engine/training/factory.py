"""From a configuration to the task of its family, ready to train."""

from typing import Any, cast

from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.models.families import resolve
from torchtty.engine.training.task import Task, TaskClass, TaskSource


def task_class(configuration: Configuration) -> TaskClass:
    """Return the class of the task that trains a configuration's family."""
    return cast(TaskClass, resolve(family_of(configuration.kind).task))


def build_task(
    configuration: Configuration,
    tokenizer: dict[str, Any] | None = None,
    architecture: dict[str, Any] | None = None,
    *,
    data_may_be_gone: bool = False,
) -> Task:
    """Build the task of a configuration, with the tokenizer and architecture of a checkpoint if given; raise `UserError`.

    With `data_may_be_gone`, data that cannot be read any more are done without: enough to draw samples.
    """
    return task_class(configuration).build(configuration, TaskSource(tokenizer, architecture, data_may_be_gone))
