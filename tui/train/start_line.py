"""The line under the form: what the settings amount to, as the warm worker tells, and the button that starts them."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Button, Static
from textual.worker import get_current_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from torchtty.engine.contract.experiments.outlook import Outlook
    from torchtty.engine.contract.experiments.sweep import Sweep
    from torchtty.engine.contract.settings.family import Configuration
    from torchtty.engine.contract.settings.recipes import Recipe
    from torchtty.tui.form.draft import Draft
    from torchtty.tui.workers import WorkerPool

ASK_AFTER = 0.25  # seconds without a change before the worker is asked for an estimate
WARMING_UP = "warming up torch…"
PATIENCE = 1.5  # seconds that an earlier estimate stays while the worker thinks


@dataclass(frozen=True)
class Wanted:
    """What the line is asked about: a draft, its first configuration, and the sweeps that could be started with it."""

    draft: "Draft"
    configuration: "Configuration"
    typed: "Sweep | None"  # of the settings with several values
    whole: "Sweep | None"  # with the recipe's grid
    fallback: str  # what the recipe has without a network, or nothing


class StartLine(Vertical):
    """Asks what a draft amounts to, some time after its last change, and shows the answer."""

    @dataclass
    class Reported(Message):
        """The worker has looked at a draft, and found problems or none."""

        draft: "Draft"
        problems: dict[str, str]
        answer: "Mapping[str, Any]"

    def __init__(self, pool: "Callable[[], WorkerPool]") -> None:
        super().__init__(id="start-line")
        self._pool = pool
        self._timer: Timer | None = None
        self._patience: Timer | None = None
        self._draft: Draft | None = None  # the one that the line is about
        self._runs = ""  # how many, where it is a sweep
        self.word = "Train"  # for what starting does now

    def compose(self) -> ComposeResult:
        yield Static("", id="sweep-line")
        with Horizontal():
            yield Static("", id="estimate")
            yield Button("Train ^t", id="start", variant="primary", compact=True)

    def ask_soon(self, draft: "Draft", recipe: "Recipe | None") -> None:
        """Ask about a draft of a recipe unless it changes again at once."""
        word = "Fork" if draft.fork is not None else "Sweep" if draft.several else "Train"
        if word != self.word:
            self.word = word
            self.query_one("#start", Button).label = f"{word} ^t"
            self.screen.refresh_bindings()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(ASK_AFTER, lambda: self.ask(draft, recipe))

    def wait(self) -> None:
        """Ask about nothing while a path is being typed: a folder on the way to a file may be the whole disk."""
        if self._timer is not None:
            self._timer.stop()
        self._draft = None
        self.say("")
        self._say_of_sweep("")

    def ask(self, draft: "Draft", recipe: "Recipe | None") -> None:
        """Ask about a draft now."""
        self._draft = draft
        if wrong := len(draft.problems()):
            self._say_wrong(wrong)
            self._say_of_sweep("")
            return
        grid = recipe.grid if recipe is not None and draft.fork is None else {}
        whole, typed = draft.sweep(grid) if grid else None, draft.sweep() if draft.several else None
        self._runs = f"{typed.runs:,} runs · " if typed is not None else ""
        if typed is None:
            self._say_of_sweep(f"1 of {whole.runs:,} runs · ^g trains all" if whole is not None else "")
        if self._patience is not None:
            self._patience.stop()
        self._patience = self.set_timer(PATIENCE, self._ask_for_patience)
        fallback = recipe.fallback.name if recipe is not None and recipe.fallback is not None else ""
        self._ask(Wanted(draft, draft.configuration(), typed, whole, fallback))

    def _ask_for_patience(self) -> None:
        if self._patience is None:  # something was said while this was on its way
            return
        self.say(self._runs + ("estimating…" if self._pool().is_warm else WARMING_UP))

    @work(thread=True, group="estimate", exclusive=True)
    def _ask(self, wanted: Wanted) -> None:
        from torchtty.engine.contract.errors import UserError
        from torchtty.engine.contract.experiments.outlook import outlook

        worker, draft = get_current_worker(), wanted.draft
        try:
            fork = ((draft.fork.run, draft.fork.step),) if draft.fork is not None else ()
            answer = self._pool().prepare(wanted.configuration.tree(), lambda: worker.is_cancelled, *fork)
            typed = outlook(wanted.typed, answer) if wanted.typed is not None else None
        except UserError as error:
            if not worker.is_cancelled:
                self.app.call_from_thread(self.say, "no estimate", wrong=True)
                self.app.call_from_thread(self.notify, str(error), severity="error", markup=False)
            return
        whole = None
        if wanted.whole is not None:
            with suppress(UserError):  # it is told when it is started
                whole = outlook(wanted.whole, answer)
        if answer is not None and not worker.is_cancelled:
            self.app.call_from_thread(self._show, wanted, answer, typed, whole)

    def _show(self, wanted: Wanted, answer: dict[str, Any], typed: "Outlook | None", whole: "Outlook | None") -> None:
        draft, fallback = wanted.draft, wanted.fallback if answer.get("unreachable") and typed is None else ""
        problems = {} if fallback else {str(path): str(message) for path, message in answer.get("problems", [])}
        if draft is self._draft:
            if problems:
                self._say_wrong(len(problems))
            elif fallback:
                self.say(f"cannot be fetched here: train takes {fallback}")
            elif typed is not None:
                self.say(outlook_line(typed))
                self._say_of_sweep(f"^g with the recipe's grid: {whole.runs:,} runs" if whole else how_trained(typed))
            else:
                training = wanted.configuration.sections()["training"]
                steps, seconds = (getattr(training, name, None) for name in ("max_steps", "max_seconds"))
                done = draft.fork.step if draft.fork is not None else 0
                self.say(estimate_line(answer, steps and steps - done, seconds))
                self._say_of_sweep(grid_line(whole) if whole else "")
        self.post_message(self.Reported(draft, problems, answer))

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

    def _say_of_sweep(self, text: str) -> None:
        line = self.query_one("#sweep-line", Static)
        line.display = bool(text)
        line.update(Content(text))


def outlook_line(outlook: "Outlook") -> str:
    """Write what a sweep amounts to: `18 runs · ≈ 3 min · 40 MB memory`, `10 runs · ≤ 2 min · 4 MB memory`."""
    from torchtty.tui.format import size

    parts = [f"{outlook.runs:,} runs", _time_of(outlook)]
    if outlook.memory is not None:
        parts.append(f"{size(max(1e6, round(outlook.memory, -6)))} memory")
    return " · ".join(parts)


def how_trained(outlook: "Outlook") -> str:
    """Write how the runs of a sweep are trained, and what stays of them: `2 batched models at once · 4 MB on disk`."""
    from torchtty.tui.format import size

    disk = f" · {size(max(1e6, round(outlook.disk, -6)))} on disk" if outlook.disk is not None else ""
    return f"{outlook.how}{disk}"


def grid_line(outlook: "Outlook") -> str:
    """Write that a recipe is of several runs, and how they are trained: `1 of 18 runs · ^g trains all: ≈ 3 min`."""
    return f"1 of {outlook.runs:,} runs · ^g trains all: {_time_of(outlook)}"


def _time_of(outlook: "Outlook") -> str:
    from torchtty.tui.format import rough_duration

    if outlook.seconds is None:
        return "time not known yet"
    return f"{'≤' if outlook.is_bound else '≈'} {rough_duration(outlook.seconds)}"


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
