"""A finding: what is wrong with a run in plain words, where its curves show it, and one change of its settings to try."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torchtty.engine.contract.settings.fields import show


@dataclass(frozen=True)
class Change:
    """One setting to try another value of, and why that may help."""

    path: str
    value: bool | int | float | str | None
    reason: str

    @property
    def text(self) -> str:
        """The change in a few words: `dropout 0.2`."""
        return f"{self.path.rpartition('.')[2]} {show(self.value)}"

    @property
    def flags(self) -> tuple[str, str]:
        """The change as the command line takes it: `--model.dropout 0.2`."""
        return f"--{self.path}", show(self.value)


@dataclass(frozen=True)
class Evidence:
    """Where the curves show it: a metric, the steps between which it does, and the values there that were compared."""

    metric: str
    first: int
    last: int
    values: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a run. `name` is short and stays the same, `what` says it in a few words.

    `fork_at` is the last step up to which nothing was wrong, from whose checkpoint the change may be tried; None where it is to
    be tried from the start. Nothing in it comes from a file as it is: it can be shown.
    """

    name: str
    what: str
    sentence: str
    evidence: Evidence
    change: Change | None = None
    fork_at: int | None = None

    def checkpoint(self, steps: Iterable[int]) -> int | None:
        """Return which of the checkpoints to try the change from: the latest one before the trouble; None for the start."""
        return max((step for step in steps if self.fork_at is not None and 0 < step <= self.fork_at), default=None)

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON values; losses in nats."""
        return {
            "name": self.name,
            "what": self.what,
            "sentence": self.sentence,
            "metric": self.evidence.metric,
            "first_step": self.evidence.first,
            "last_step": self.evidence.last,
            "values": dict(self.evidence.values),
            "change": None
            if self.change is None
            else {"path": self.change.path, "value": self.change.value, "reason": self.change.reason},
        }
