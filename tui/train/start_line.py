"""The line under the form: what the settings amount to, as the warm worker tells, and the button that starts them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Button, Static
from textual.worker import get_current_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from torchtty.engine.contract.settings.family import Configuration
    from torchtty.tui.form.draft import Draft
    from torchtty.tui.workers import WorkerPool

ASK_AFTER = 0.25  # seconds without a change before the worker is asked for an estimate
WARMING_UP = "warming up torch…"
PATIENCE = 1.5  # seconds that an earlier estimate stays while the worker thinks


class StartLine(Horizontal):
    """Asks what a draft amounts to, some time after its last change, and shows the answer."""

    @dataclass
    class Reported(Message):
        """The worker has looked at a draft, and found problems or none."""

        draft: "Draft"
        problems: dict[str, str]

    def __init__(self, pool: "Callable[[], WorkerPool]") -> None:
        super().__init__(id="start-line")
        self._pool = pool
        self._timer: Timer | None = None
        self._patience: Timer | None = None
        self._draft: Draft | None = None  # the one that the line is about

    def compose(self) -> ComposeResult:
        yield Static("", id="estimate")
        yield Button("Train ^t", id="start", variant="primary", compact=True)

    def ask_soon(self, draft: "Draft", fallback: str) -> None:
        """Ask about a draft unless it changes again at once; a fallback is what its recipe has without a network, or nothing."""
        self.query_one("#start", Button).label = "Fork ^t" if draft.fork is not None else "Train ^t"
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(ASK_AFTER, lambda: self.ask(draft, fallback))

    def ask(self, draft: "Draft", fallback: str) -> None:
        """Ask about a draft now."""
        self._draft = draft
        if wrong := len(draft.problems()):
            self._say_wrong(wrong)
        else:
            if self._patience is not None:
                self._patience.stop()
            self._patience = self.set_timer(PATIENCE, self._ask_for_patience)
            self._ask(draft, draft.configuration(), fallback)

    def _ask_for_patience(self) -> None:
        if self._patience is None:  # something was said while this was on its way
            return
        self.say("estimating…" if self._pool().is_warm else WARMING_UP)

    @work(thread=True, group="estimate", exclusive=True)
    def _ask(self, draft: "Draft", configuration: "Configuration", fallback: str) -> None:
        from torchtty.engine.contract.errors import UserError

        worker = get_current_worker()
        try:
            fork = ((draft.fork.run, draft.fork.step),) if draft.fork is not None else ()
            answer = self._pool().prepare(configuration.tree(), lambda: worker.is_cancelled, *fork)
        except UserError as error:
            if not worker.is_cancelled:
                self.app.call_from_thread(self.say, "no estimate", wrong=True)
                self.app.call_from_thread(self.notify, str(error), severity="error", markup=False)
            return
        if answer is not None and not worker.is_cancelled:
            if not answer.get("unreachable"):
                fallback = ""
            self.app.call_from_thread(self._show, draft, configuration, answer, fallback)

    def _show(self, draft: "Draft", configuration: "Configuration", answer: dict[str, Any], fallback: str) -> None:
        problems = {} if fallback else {str(path): str(message) for path, message in answer.get("problems", [])}
        if draft is self._draft:
            if problems:
                self._say_wrong(len(problems))
            elif fallback:
                self.say(f"cannot be fetched here: train takes {fallback}")
            else:
                steps, seconds = (getattr(configuration.training, name, None) for name in ("max_steps", "max_seconds"))  # type: ignore[attr-defined]
                done = draft.fork.step if draft.fork is not None else 0
                self.say(estimate_line(answer, steps and steps - done, seconds))
        self.post_message(self.Reported(draft, problems))

    def _say_wrong(self, number: int) -> None:
        what = "1 invalid setting (F8 goes to it)" if number == 1 else f"{number} invalid settings (F8: first)"
        self.say(what, wrong=True)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show something else than an estimate."""
        if self._patience is not None:
            self._patience.stop()
            self._patience = None
        line = self.query_one("#estimate", Static)
        line.set_class(wrong, "-wrong")
        line.update(Content(text))


def estimate_line(answer: Mapping[str, Any], max_steps: int | None, max_seconds: float | None = None) -> str:
    """Write the warm worker's estimate: `48,637 params · 1 MB · ≈ 12 s`, `124 M params · 13 GB, fits cuda:1`."""
    from torchtty.tui.format import parameter_count, rough_duration, size  # late: it brings pydantic

    parts = []
    if parameters := answer.get("parameters"):
        parts.append(f"{parameter_count(parameters)} params")
    elif tokens := answer.get("tokens"):  # a model that counts has no parameters before it has counted
        parts.append(f"{tokens['train']:,} tokens to count")
    if memory := answer.get("memory"):
        parts.append(size(max(1e6, round(memory, -6))) + _fit(answer))  # in whole megabytes: it is an estimate
    if (step := answer.get("seconds_per_step")) is not None and max_steps:
        parts.append(f"≈ {rough_duration(min(step * max_steps, max_seconds or math.inf))}")
    return " · ".join(parts)


def _fit(answer: Mapping[str, Any]) -> str:
    """Judge the memory: `, fits cuda:1`, `, tight: 8.1 GB are free`; nothing where it fits into that of the machine."""
    from torchtty.tui.format import size

    fit, device = answer.get("fit"), str(answer.get("device", "cpu"))
    where = "" if device == "cpu" else f" {device}"
    if fit in (None, "fits"):
        return f", fits{where}" if fit and where else ""
    return f", {fit}{where}: {size(answer['memory_free'])} are free"
