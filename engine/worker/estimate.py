"""Answering what a configuration amounts to, before it is run."""

import time
from pathlib import Path
from typing import Any

import psutil
import torch

from torchtty.engine.contract.client.fork import ForkPoint, fork_point, refused
from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.contract.gpus import load_of
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.lineage import Parent
from torchtty.engine.contract.settings.configuration import ConfigurationError, Problem, difference, parse
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.mirrors import refuse_missing_mirror
from torchtty.engine.contract.settings.optimizer import OptimizerBase
from torchtty.engine.contract.settings.training import TrainingBase
from torchtty.engine.devices import gpu_uuid, out_of_memory_means, synchronise
from torchtty.engine.training.checkpoint import read_shapes
from torchtty.engine.training.flops import flops_per_step
from torchtty.engine.training.inheritance import about_data, misfits
from torchtty.engine.training.memory import gradient_memory
from torchtty.engine.training.task import ExposesModel, Facts, PreviewsDownload, Task, build_task, task_class
from torchtty.engine.worker.device_queue import DeviceLock, free_device

TIMING = 0.15  # seconds spent on measuring a step
OPEN_GPU = 500 * 2**20  # bytes that CUDA takes of a GPU for a process that uses it
COMFORTABLE = 0.8  # of the free memory: allocators round up, and evaluation and samples need some too


def prepare(tree: dict[str, Any], *, with_flops: bool = False) -> dict[str, Any]:
    """Return parameters, memory, vocabulary, notes and, on a CPU, the seconds a step takes, or the problems that forbid a run.

    `unreachable` beside a problem says that it is something that cannot be fetched from here; `with_flops` adds those of a step.
    """
    try:
        configuration = parse(tree)
        answer = _estimate(configuration)
        return answer | {"flops_per_step": _flops(configuration)} if with_flops else answer
    except ConfigurationError as error:
        return {"problems": [[problem.path, problem.message] for problem in error.problems]}
    except UserError as error:
        problems = [[_path_in(str(error), tree), str(error)]]
        return {"problems": problems} | ({"unreachable": True} if isinstance(error, UnreachableError) else {})
    except (RuntimeError, MemoryError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return {"problems": [["model", f"The model cannot be built here: {reason}"]]}


def problems_of_fork(tree: dict[str, Any], fork: dict[str, Any]) -> dict[str, Any]:
    """Return the problems of a fork with these settings from `step` of the run at `path`; nothing if it fits.

    Only shapes are looked at, on the CPU: no weights are read, and no device is touched.
    """
    try:
        point, configuration = fork_point(RunDirectory(Path(fork["path"])), int(fork["step"])), parse(tree)
        found = refused(point, configuration) or _misfits(point, configuration)
    except ConfigurationError as error:
        found = error.problems
    except UserError as error:
        found = [Problem(_path_in(str(error), tree), str(error))]
    except (RuntimeError, MemoryError, OSError) as error:
        found = [Problem("model", f"The model cannot be built here: {(str(error).splitlines() or [''])[0]}")]
    return {"problems": [[problem.path, problem.message] for problem in found]} if found else {}


def _misfits(point: ForkPoint, configuration: Configuration) -> list[Problem]:
    changed = difference(point.settings, configuration.tree())
    sha256 = str(point.run.meta().get("data_sha256") or "")
    parent = Parent(point.run.name, point.step, changed=changed, data_sha256=sha256)
    tree = configuration.tree()
    on_cpu = parse(tree | {"training": tree["training"] | {"device": "cpu", "precision": "float32"}})
    shapes, tokenizer, architecture = read_shapes(point.run, point.step)
    task = build_task(on_cpu, tokenizer, architecture, data_may_be_gone=True)
    problems = misfits(task, shapes, parent)
    if not problems:
        about_data(task, parent, configuration)
    return problems


def _estimate(configuration: Configuration) -> dict[str, Any]:
    refuse_missing_mirror(configuration)
    trained = task_class(configuration)
    facts = trained.preview(configuration) if isinstance(trained, PreviewsDownload) else None
    if facts is not None:
        return _described(facts, configuration)
    device = _device(configuration)
    on_cpu = _on_cpu(configuration) if device.type == "cuda" else configuration
    task, scale = trained.for_timing(on_cpu)
    answer = _described(task.facts, configuration)
    if isinstance(task, ExposesModel) and family_of(configuration.kind).has_network:  # counting is one step
        advice = "training.batch_size is too large: a step does not fit into memory. Halve it, or take a smaller model."
        with out_of_memory_means(advice):
            if device.type != "cuda":
                answer["seconds_per_step"] = _seconds_per_step(task, task.device) * scale
            if "memory" in answer:
                answer |= _memory(task, scale, answer["memory"], device)
    return answer


def _flops(configuration: Configuration) -> int:
    task, scale = task_class(configuration).for_timing(_on_cpu(configuration))
    return round(flops_per_step(task) * scale)


def _device(configuration: Configuration) -> torch.device:
    training = configuration.sections()["training"]
    return free_device(training.device) if isinstance(training, TrainingBase) else torch.device("cpu")


def _on_cpu(configuration: Configuration) -> Configuration:
    """Return a configuration to look at without its GPU, which nothing opens or uses before a run does."""
    training = configuration.sections()["training"]
    if not isinstance(training, TrainingBase):
        return configuration
    changed = training.model_copy(update={"device": "cpu", "precision": "float32"})
    return configuration.model_copy(update={"training": changed})


def _memory(task: Task, scale: float, weights: int, device: torch.device) -> dict[str, Any]:
    """Return the most bytes that a step takes, where, and whether they fit there: fits, tight or will not.

    `weights` are those of weights, gradients and optimizer. Of the rest, activations and logits grow with the batch.
    """
    gradients = 4 * task.facts.parameters
    beyond = max(0, gradient_memory(task) - gradients) * scale
    needed, free = weights + int(beyond), psutil.virtual_memory().available
    if device.type == "cuda":
        uuid = gpu_uuid(device)
        load = load_of(uuid)
        lock = DeviceLock(str(device), uuid)
        try:  # what a run holds now, it will have let go when this one's turn comes
            free = 0 if load is None else load.memory_free if lock.is_free() else load.memory_total
            free = max(0, free - OPEN_GPU)
        finally:
            lock.close()
    fit = "fits" if needed <= COMFORTABLE * free else "tight" if needed <= free else "will not fit"
    return {"memory": needed, "device": str(device)} | ({"memory_free": free, "fit": fit} if free else {})


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
    """Find the setting that a message names first, else the dataset."""
    paths = [f"{section}.{field}" for section, fields in tree.items() for field in fields]
    named = [path for path in paths if path in message]
    return min(named, key=message.index, default="data.dataset")
