"""Answering what a configuration amounts to, before it is run."""

import time
from typing import Any

import torch

from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.contract.settings.configuration import ConfigurationError, parse
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.mirrors import refuse_missing_mirror
from torchtty.engine.contract.settings.optimizer import OptimizerBase
from torchtty.engine.devices import out_of_memory_means, synchronise
from torchtty.engine.training.task import ExposesModel, Facts, PreviewsDownload, Task, task_class

TIMING = 0.15  # seconds spent on measuring a step


def prepare(tree: dict[str, Any]) -> dict[str, Any]:
    """Return parameters, memory, vocabulary, notes and the seconds a step takes, or the problems that forbid a run.

    `unreachable` beside a problem says that it is something that cannot be fetched from here.
    """
    try:
        return _estimate(parse(tree))
    except ConfigurationError as error:
        return {"problems": [[problem.path, problem.message] for problem in error.problems]}
    except UserError as error:
        problems = [[_path_in(str(error), tree), str(error)]]
        return {"problems": problems} | ({"unreachable": True} if isinstance(error, UnreachableError) else {})
    except (RuntimeError, MemoryError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return {"problems": [["model", f"The model cannot be built here: {reason}"]]}


def _estimate(configuration: Configuration) -> dict[str, Any]:
    refuse_missing_mirror(configuration)
    trained = task_class(configuration)
    facts = trained.preview(configuration) if isinstance(trained, PreviewsDownload) else None
    if facts is not None:
        return _described(facts, configuration)
    task, scale = trained.for_timing(configuration)
    answer = _described(task.facts, configuration)
    if isinstance(task, ExposesModel):
        advice = "training.batch_size is too large: a step does not fit into memory. Halve it, or take a smaller model."
        with out_of_memory_means(advice):
            answer["seconds_per_step"] = _seconds_per_step(task, task.device) * scale
    return answer


def _described(facts: Facts, configuration: Configuration) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "parameters": facts.parameters,
        "vocab_size": facts.vocab_size,
        "tokens": facts.tokens,
        "references": facts.references,
        "notes": list(facts.notes),
    }
    optimizer = configuration.sections().get("optimizer")
    if isinstance(optimizer, OptimizerBase):
        # a weight, its gradient, and what the optimizer remembers of it, four bytes each
        answer["memory"] = facts.parameters * 4 * (2 + optimizer.numbers_per_weight)
    return answer


def _seconds_per_step(task: Task, device: torch.device) -> float:
    """Time a few real steps on a throw-away model; the first is left out, as it pays for what later ones find ready."""
    task.train_step(0)
    synchronise(device)
    steps, began = 0, time.perf_counter()
    while steps == 0 or time.perf_counter() - began < TIMING:
        task.train_step(steps + 1)
        steps += 1
        if steps % 10 == 0 or device.type == "cpu":
            synchronise(device)
    synchronise(device)
    return (time.perf_counter() - began) / steps


def _path_in(message: str, tree: dict[str, Any]) -> str:
    """Find the setting that a message begins with or speaks of, else the dataset."""
    for section, fields in tree.items():
        for field in fields:
            if f"{section}.{field}" in message:
                return f"{section}.{field}"
    return "data.dataset"
