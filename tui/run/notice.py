"""The line under a run that says the one thing a person should know now."""

from textual.content import Content
from textual.widgets import Static

from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.log import Facts
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.tui.run.states import explanation


class Notice(Static):
    """Says what was just done, else why the run is in its state, else the latest warning, else the run's notes."""

    DEFAULT_CSS = """
    Notice { height: auto; max-height: 3; color: $text-accent; display: none; }
    Notice.-note { color: $foreground 65%; }
    Notice.-warning { color: $text-warning; }
    Notice.-problem { color: $text-error; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown = ("", "told")
        self.clear()

    def clear(self) -> None:
        """Forget everything, as for another run."""
        self._told = ""
        self._problem = ""
        self._state: RunState | None = None
        self._reason = ""
        self._facts = Facts()
        self._choose()

    def tell(self, text: str) -> None:
        """Say what was done, until the run's state changes."""
        self._told = text
        self._choose()

    def take_problem(self, problem: str) -> None:
        """Say why the run's configuration cannot be read."""
        self._problem = problem
        self._choose()

    def take_status(self, status: Status, *, resumable: bool) -> None:
        """Explain the state that the run is in."""
        if status.state is not self._state:
            self._state, self._told = status.state, ""
        self._reason = explanation(status, resumable=resumable)
        self._choose()

    def take_facts(self, facts: Facts) -> None:
        """Take over the run's warnings and notes."""
        self._facts = facts
        self._choose()

    def _choose(self) -> None:
        chosen = self._chosen()
        if chosen == self._shown:
            return
        self._shown = chosen
        text, kind = chosen
        self.set_classes(f"-{kind}")
        self.display = bool(text)
        self.update(Content(printable_line(text)))

    def _chosen(self) -> tuple[str, str]:
        """Return what to say, and what kind of saying it is."""
        if self._told:
            return self._told, "told"
        if self._problem:
            return self._problem, "problem"
        if self._reason:
            return self._reason, "problem" if self._state in (RunState.FAILED, RunState.LOST) else "told"
        if self._facts.warnings:
            return self._facts.warnings[-1], "warning"
        return " ".join(self._facts.notes), "note"
