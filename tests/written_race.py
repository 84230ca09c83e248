"""A race as its coordinator and workers leave it, written without them."""

from dataclasses import replace
from math import log
from pathlib import Path

from written_run import WrittenRun

from torchtty.engine.contract.experiments.entrants import Entrant, create_race, every_family
from torchtty.engine.contract.experiments.group import RunGroup
from torchtty.engine.contract.experiments.race import Budget, BudgetKind
from torchtty.engine.contract.run.status import RunState


def entrant(kind: str, **costs: float) -> Entrant:
    """Return a family that takes part in a race on given names."""
    found = next(one for one in every_family("given-names") if one.name == kind)
    return replace(found, **costs)  # type: ignore[arg-type]


def written_race(root: Path) -> RunGroup:
    """Return three models at the end of a race of 100 steps; the tokens of the second are two characters long."""
    racing = [entrant("ngram"), entrant("mlp", flops_per_step=1e6), entrant("gpt", flops_per_step=1e9)]
    group = create_race(racing, Budget(BudgetKind.STEPS, 100), "given-names", root=root)
    for run, bits, steps, length in zip(group.runs(), (3.5, 3.25, 3.0), (1, 100, 100), (1, 2, 1), strict=True):
        writer = WrittenRun(run)
        ready = {"parameters": 10 * steps, "tokens": {"train": 50, "val": 50}, "characters": 100 * length}
        writer.event("ready", **ready, references={"chance": 4 * log(2) * length})
        nats = bits * log(2) * length
        rows = [{"step": steps // 2, "time": steps / 40, "val_loss": nats + log(2) * length}] if steps > 1 else []
        writer.metrics(*rows, {"step": steps, "time": steps / 20, "val_loss": nats})
        writer.status(RunState.FINISHED, step=steps, max_steps=steps, seconds=steps / 20, parameters=10 * steps)
    group.directory.write_status(group.status().model_copy(update={"state": RunState.FINISHED}))
    return group
