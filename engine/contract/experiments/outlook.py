"""What a sweep amounts to before it is started: how many runs, how long they take, how much memory and disk."""

import heapq
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchtty.engine.contract.experiments.members import cut
from torchtty.engine.contract.experiments.plan import Kind, rungs
from torchtty.engine.contract.experiments.speed import last_seconds_per_step, share_of_batches
from torchtty.engine.contract.experiments.sweep import Sweep
from torchtty.engine.contract.experiments.variation import common
from torchtty.engine.contract.gpus import visible_gpus
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.optimizer import OptimizerBase

KEPT = 3  # checkpoints of a run: the best and the latest two
BESIDE_WEIGHTS = 22_000  # bytes of a checkpoint's other files, about: generators, tokenizer, configuration
LOGGED = 110  # bytes of a logged step in metrics.jsonl, about
FOLDER = 60_000  # bytes of the other files of a run, about: mostly events


@dataclass(frozen=True)
class Outlook:
    """What a sweep amounts to. Seconds and bytes are None where nothing was measured yet."""

    runs: int
    steps: int  # of all runs together
    models: int  # to train: runs that train as one batched model are one
    at_once: int  # how many of these train side by side
    seconds: float | None = None
    is_bound: bool = (
        False  # whether `seconds` is what it takes at most: batched runs are quicker than one after the other
    )
    memory: int | None = None  # bytes, of what trains at once
    disk: int | None = None  # bytes, of all runs in the end

    @property
    def how(self) -> str:
        """How the runs are trained, in words."""
        if self.models == 1:
            return "one batched model"
        batched = "batched " if self.models < self.runs else ""
        some = f", {self.at_once:,}" if self.at_once < self.models else ""
        return f"{self.models:,} {batched}models{some} at once"


def outlook(sweep: Sweep, estimate: Mapping[str, Any] | None = None, workers: int | None = None) -> Outlook:
    """Return what a sweep amounts to, given what a worker answered to `prepare` for one of its runs.

    The worker has timed real steps of that one run here; where it cannot, on a GPU, the last run of this model counts. All
    others are taken to be like it, which is a guess where shapes differ; evaluations come on top. What a batch saves is what the
    last sweep of the family timed, and a sweep's workers are warm as soon as this one was. `workers` limits how many train side
    by side. Raises what `Sweep.check` does.
    """
    estimate = estimate or {}
    if workers is None:
        workers = side_by_side(_devices(sweep))
    steps, batches = _steps(sweep), _batches(sweep, workers)
    is_batched = any(size > 1 for size, _ in batches)
    share = share_of_batches(str(sweep.tree["model"]["kind"])) if is_batched else None
    at_once = min(workers, len(batches))
    per_step, memory = estimate.get("seconds_per_step"), estimate.get("memory")
    if per_step is None and "device" in estimate:
        per_step = last_seconds_per_step(sweep.first().tree(), str(estimate["device"]))
    largest = sum(sorted((size for size, _ in batches), reverse=True)[:at_once])
    seconds = None
    if per_step:
        lengths = [each * max(share or 1, 1 / size) for size, each in batches]  # a batch is no quicker than one alone
        seconds = estimate.get("seconds_to_warm_up", 0.0) + per_step * (_last_end(lengths, at_once) or steps / at_once)
    return Outlook(
        sweep.runs,
        steps,
        len(batches),
        at_once,
        seconds,
        is_batched and share is None,
        int(memory) * largest if memory else None,
        _disk(sweep, estimate.get("parameters")),
    )


def side_by_side(devices: Iterable[str]) -> int:
    """Return how many runs with these values of `training.device` may train at once: one a GPU, or one a core."""
    wanted = set(devices)
    if wanted - {"cpu"} and (gpus := visible_gpus()):
        return len(gpus) if "auto" in wanted or "cuda" in wanted else max(1, len(wanted))
    return cores()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _devices(sweep: Sweep) -> set[str]:
    return {str(sweep.tree["training"].get("device", "auto"))}


def _steps(sweep: Sweep) -> int:
    """Return the steps of all runs together; a model that counts has one."""
    training = sweep.tree["training"]
    most = sweep.variation.values.get("training.max_steps", (training.get("max_steps", 1),))
    mean = sum(int(steps) for steps in most if isinstance(steps, int)) / len(most)
    before, steps = 0, 0
    for left, until in rungs(sweep.plan, sweep.runs, round(mean)):
        steps, before = steps + left * (until - before), until
    return steps


def _batches(sweep: Sweep, hands: int) -> list[tuple[int, int]]:
    """Return of every model that is to be trained how many runs it holds, and the steps of them together."""
    trees = _trees(sweep)
    if not trees:  # a search makes its runs as it goes
        return [(1, 0)] * sweep.runs
    keys = [common(tree) for tree in trees]
    if not family_of(sweep.tree["model"]["kind"]).trains_by_steps:
        keys = [str(number) for number in range(len(trees))]
    sizes, steps = Counter(keys), Counter[str]()
    if sweep.plan.kind is Kind.GRID:
        for key, tree in zip(keys, trees, strict=True):
            steps[key] += int(tree["training"].get("max_steps", 1))
    pieces = zip(sizes.items(), cut(list(sizes.values()), hands), strict=True)
    return [(part, steps[key] * part // size) for (key, size), parts in pieces for part in parts]


def _trees(sweep: Sweep) -> list[Tree]:
    settings = sweep.plan.settings(sweep.variation)
    return [sweep.variation.configuration(sweep.tree, one).tree() for one in settings]


def _last_end(lengths: Sequence[float], at_once: int) -> float:
    """Return when the last of some pieces of work is done, if each of `at_once` hands takes the next one when it is free."""
    hands = [0.0] * at_once
    for length in lengths:
        heapq.heapreplace(hands, hands[0] + length)
    return max(hands, default=0.0)


def _disk(sweep: Sweep, parameters: int | None) -> int | None:
    """Return about how many bytes the runs take in the end: checkpoints with what the optimizer remembers, and their logs."""
    if parameters is None:
        return None
    training, optimizer = sweep.tree["training"], parse(sweep.tree).sections().get("optimizer")
    remembered = optimizer.numbers_per_weight if isinstance(optimizer, OptimizerBase) else 0
    steps = _steps(sweep) / sweep.runs
    saved = min(KEPT, math.ceil(steps / training.get("checkpoint_interval", 1)))
    logged = steps / training.get("log_interval", 1)
    return int(sweep.runs * (saved * (parameters * 4 * (1 + remembered) + BESIDE_WEIGHTS) + logged * LOGGED + FOLDER))
