"""The settings by which a run ends before its last step, and whether edits of them let a run that they ended go on."""

from collections.abc import Mapping
from typing import Any

from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.fields import show

MAX_STEPS = "training.max_steps"
MAX_SECONDS = "training.max_seconds"
PATIENCE = "training.patience"
TARGET_LOSS = "training.target_loss"
TARGET_METRIC = "training.target_metric"

LIFTS = {MAX_SECONDS: "a larger one", PATIENCE: "a larger one", TARGET_LOSS: "a lower one"}
"""The rules by their settings, and what other value than none lets a run go on that one of them ended."""


def ended_by(status: Status) -> str:
    """Return the setting whose rule ended a run before its last step; empty where none did."""
    return status.ended_by if status.state is RunState.FINISHED and status.ended_by in LIFTS else ""


def why_it_would_end(name: str, status: Status, settings: Tree, edits: Mapping[str, Any]) -> str:
    """Say why a run called `name` would end at once if it was resumed with these edits; empty if it goes on."""
    steps = edits.get(MAX_STEPS, status.max_steps)
    if steps <= status.step:
        more = 2 * max(1, status.step)
        return f"{name} has done {status.step:,} steps already: add --{MAX_STEPS} with more, such as {more}."
    rule = ended_by(status)
    if not rule or _is_lifted(rule, status, settings, edits):
        return ""
    value = show(settings["training"][rule.partition(".")[2]])
    return (
        f"{name} was ended by {rule} {value} at step {status.step:,}: to continue, add --{rule} none or {LIFTS[rule]}."
    )


def _is_lifted(rule: str, status: Status, settings: Tree, edits: Mapping[str, Any]) -> bool:
    old = settings["training"].get(rule.partition(".")[2])
    new = edits.get(rule, old)
    if new is None or old is None:
        return True
    match rule:
        case "training.max_seconds":
            return bool(new > status.seconds)
        case "training.target_loss":
            return bool(new < old)
    return bool(new > old)
