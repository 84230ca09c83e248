"""From a configuration to the task of its family, ready to train."""

from importlib import import_module
from typing import Any

from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.training.task import Task, TaskClass

_DEFAULT = "torchtty.engine.training.language:LanguageTask"
_TASKS = {
    "ngram": "torchtty.engine.training.counting:CountingTask",
    "rnn": "torchtty.engine.training.recurrent:RecurrentTask",
    "gpt2": "torchtty.engine.training.pretrained:PretrainedTask",
    "dcgan": "torchtty.engine.training.adversarial:AdversarialTask",
}


def task_class(configuration: Configuration) -> TaskClass:
    """Return the class of the task that trains a configuration's family."""
    module, _, name = _TASKS.get(configuration.kind, _DEFAULT).partition(":")
    found: TaskClass = getattr(import_module(module), name)
    return found


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
    return task_class(configuration).build(configuration, tokenizer, architecture, data_may_be_gone=data_may_be_gone)
