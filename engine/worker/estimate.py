"""Answering what a configuration amounts to, before it is run."""

import time
from typing import Any

from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.contract.settings.configuration import ConfigurationError, parse
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.models.gpt2 import GPT2Model
from torchtty.engine.devices import synchronise
from torchtty.engine.training.factory import build_task_for_timing

TIMING = 0.15  # seconds spent on measuring a step


def prepare(tree: dict[str, Any]) -> dict[str, Any]:
    """Return parameters, memory, vocabulary, notes and the seconds a step takes, or the problems that forbid a run.

    `unreachable` beside a problem says that it is something that cannot be fetched from here.
    """
    try:
        configuration = parse(tree)
        if (later := _downloaded_later(configuration)) is not None:
            return later
        task, scale = build_task_for_timing(configuration)
    except ConfigurationError as error:
        return {"problems": [[problem.path, problem.message] for problem in error.problems]}
    except UserError as error:
        problems = [[_path_in(str(error), tree), str(error)]]
        return {"problems": problems} | ({"unreachable": True} if isinstance(error, UnreachableError) else {})
    except (RuntimeError, MemoryError) as error:
        return {"problems": [["model", f"The model cannot be built here: {str(error).splitlines()[0]}"]]}
    facts = task.facts
    answer: dict[str, Any] = {
        "parameters": facts.parameters,
        "vocab_size": facts.vocab_size,
        "tokens": facts.tokens,
        "references": facts.references,
        "notes": list(facts.notes),
    }
    if hasattr(task, "optimizer") or hasattr(task, "optimizers"):
        # weights, gradients, and the two running means that Adam-like optimizers keep, four bytes each
        answer["memory"] = facts.parameters * 4 * (4 if "adam" in tree.get("optimizer", {}).get("kind", "") else 2)
        answer["seconds_per_step"] = _seconds_per_step(task) * scale
    return answer


def _downloaded_later(configuration: Configuration) -> dict[str, Any] | None:
    """Answer for weights that are still to be downloaded, which choosing a model must not set off."""
    if not isinstance(configuration.sections()["model"], GPT2Model):
        return None
    from torchtty.engine.models.gpt2_hub import PUBLISHED, VOCABULARY, waits_for_download

    weights: str = configuration.sections()["model"].weights  # type: ignore[attr-defined]
    if not waits_for_download(weights):
        return None
    parameters = PUBLISHED[weights].parameters
    megabytes = round(parameters * 4 / 1e6)
    return {
        "parameters": parameters,
        "vocab_size": VOCABULARY,
        "tokens": {},
        "references": {},
        "notes": [f"The weights of {weights}, {megabytes:,} MB, are downloaded when training begins."],
        "memory": parameters * 4 * 4,
    }


def _seconds_per_step(task: Any) -> float:
    """Time a few real steps on a throw-away model; the first is left out, as it pays for what later ones find ready."""
    task.train_step(0)
    synchronise(task.device)
    steps, began = 0, time.perf_counter()
    while steps == 0 or time.perf_counter() - began < TIMING:
        task.train_step(steps + 1)
        steps += 1
        if steps % 10 == 0 or task.device.type == "cpu":
            synchronise(task.device)
    synchronise(task.device)
    return (time.perf_counter() - began) / steps


def _path_in(message: str, tree: dict[str, Any]) -> str:
    """Find the setting that a message begins with or speaks of, else the dataset."""
    for section, fields in tree.items():
        for field in fields:
            if f"{section}.{field}" in message:
                return f"{section}.{field}"
    return "data.dataset"
