"""How quick earlier runs were on this machine: what is known of a sweep's time that nobody can time beforehand."""

from collections.abc import Iterator, Mapping
from itertools import islice
from socket import gethostname
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import list_groups
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.log import RunLog

BATCHED, IN_TURN = "batched", "one by one"
LOOKED_AT = 30  # runs or groups, the newest first


def share_of_batches(kind: str) -> float | None:
    """Return the time of a batched step as a share of the members' own steps one after the other.

    It is what the last sweep of the family timed here before it chose between the two; None if there was none.
    """
    for group in islice(list_groups(), LOOKED_AT):
        if (group.tree() or {}).get("model", {}).get(
            "kind"
        ) != kind or group.directory.written_status().host != gethostname():
            continue
        for run in group.runs()[:1]:
            log = RunLog(run)
            log.read()
            backend = log.facts.backend
            if backend is not None and {BATCHED, IN_TURN} <= set(backend.timings) and backend.timings[IN_TURN] > 0:
                return backend.timings[BATCHED] / backend.timings[IN_TURN]
    return None


def last_seconds_per_step(tree: Mapping[str, Any], device: str) -> float | None:
    """Return the seconds of a step of the newest run by itself, here, of this model and batch on such a device (cpu, cuda:0)."""
    for run, used in _runs_here():
        if used.partition(":")[0] != device.partition(":")[0]:
            continue
        try:
            before = run.configuration().tree()
        except UserError:
            continue
        if before["model"] == tree["model"] and _batch(before) == _batch(tree) and not run.meta().get("group"):
            status = run.written_status()
            return status.seconds / status.step
    return None


def _batch(tree: Mapping[str, Any]) -> tuple[Any, ...]:
    return tree["training"].get("batch_size"), tree["training"].get("precision"), tree.get("tokenizer")


def _runs_here() -> Iterator[tuple[RunDirectory, str]]:
    for run in islice(list_runs(), LOOKED_AT):
        status = run.written_status()
        if status.host == gethostname() and status.device and status.step and status.seconds:
            yield run, status.device
