"""The case that the rules judge: what a run is, what it logged so far, and which changes its settings allow."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any

from torchtty.engine.contract.diagnosis.finding import Change
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.log import Facts
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.run.trends import Trend
from torchtty.engine.contract.settings.configuration import parse, specs, with_value
from torchtty.engine.contract.settings.family import Family, Tree
from torchtty.engine.contract.settings.fields import FieldSpec

RATE = "optimizer.learning_rate"
FEWEST = 20  # logged rows from which the course of a loss is judged
SHARE = 0.05  # of all rows: what counts as recent


@dataclass(frozen=True)
class Case:
    """A run at one moment. Losses are in nats."""

    status: Status
    facts: Facts
    settings: Tree  # in force now
    family: Family
    trends: Mapping[str, Trend]
    tokens_seen: float = 0.0

    # -- what was logged ------------------------------------------------------------------------------------------

    def trend(self, name: str) -> Trend:
        return self.trends.get(name) or Trend()

    @cached_property
    def losses(self) -> tuple[str, ...]:
        """The losses of the steps themselves; the adversaries of a game have two."""
        return tuple(metric.name for metric in self.family.metrics if metric.loss and metric.averaged)

    @cached_property
    def training(self) -> Trend:
        """The loss of the steps; empty where there are several, none of which has to fall."""
        return self.trend(self.losses[0]) if len(self.losses) == 1 else Trend()

    @cached_property
    def validation(self) -> Trend:
        """The loss on data that are not learnt from; empty where there are none."""
        return self.trend(self.family.watched or "")

    @cached_property
    def recent_rows(self) -> int:
        """How many rows of the training loss are judged together."""
        return max(FEWEST // 2, int(SHARE * self.training.count))

    @property
    def is_judged(self) -> bool:
        """Whether enough was logged to judge the course of the training loss."""
        return self.training.count >= FEWEST

    @property
    def begins_untrained(self) -> bool:
        """Whether the log goes back to the first step: a fork's log begins where it left its parent."""
        return self.training.start[0] <= max(1, self.value("training.log_interval") or 1)

    @property
    def sees_context(self) -> bool:
        """Whether the model sees more than the token before, so that it can do better than counting pairs."""
        return not self.family.sees_one_token and (self.value("model.block_size") or 0) > 1

    @property
    def failed(self) -> bool:
        return self.status.state is RunState.FAILED

    # -- what is known --------------------------------------------------------------------------------------------

    @property
    def chance(self) -> float | None:
        """The loss of one who knows nothing."""
        return self.facts.references.get("chance")

    @property
    def unigram(self) -> float | None:
        """The loss of one who only knows how frequent each token is."""
        return self.facts.references.get("unigram")

    @property
    def bigram(self) -> float | None:
        """The loss of one who counts pairs of tokens."""
        return self.facts.references.get("bigram")

    @property
    def tokens(self) -> Mapping[str, int]:
        """How many tokens each split has."""
        return self.facts.ready.tokens if self.facts.ready else {}

    @property
    def parameters(self) -> int:
        return (self.facts.ready.parameters if self.facts.ready else None) or 0

    @property
    def epochs(self) -> float:
        """How often each token was seen; 0 if that is not known."""
        tokens = self.tokens.get("train", 0)
        return self.tokens_seen / tokens if tokens else 0.0

    @property
    def warm_up(self) -> int:
        """The step at which the learning rate has reached its height."""
        peak = self.value("schedule.peak")
        return int(self.value("schedule.warmup_steps") or (peak * self.status.max_steps if peak else 0))

    def edited(self) -> int:
        """The step of the latest live edit; 0 if there was none."""
        return max((edit.step for edit in self.facts.edits if edit.value != edit.old), default=0)

    # -- what may be changed --------------------------------------------------------------------------------------

    @cached_property
    def specs(self) -> dict[str, FieldSpec]:
        return {spec.path: spec for spec in specs(self.family.kind, self.settings)}

    def value(self, path: str) -> Any:
        """Return a setting in force; None where the run has no such setting."""
        section, _, field = path.partition(".")
        return self.settings.get(section, {}).get(field)

    def change(self, path: str, value: Any, reason: str) -> Change | None:
        """Return a change, if the run has the setting, another value of it, and one that is allowed."""
        if path not in self.specs or value == self.value(path):
            return None
        try:
            parse(with_value(self.settings, path, value))
        except UserError:
            return None
        return Change(path, value, reason)

    def stepped(self, path: str, by: int, reason: str) -> Change | None:
        """Return a change of a setting by so many of the steps that its arrow keys take."""
        value = self.value(path)
        if path not in self.specs or value is None:
            return None
        for direction in repeat(1 if by > 0 else -1, abs(by)):
            value = self.specs[path].stepped(value, direction)
        return self.change(path, value, reason)
