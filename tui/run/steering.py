"""Steering the run on the screen: what its keys ask of the worker, and what becomes of that."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from textual.containers import Vertical
from textual.message import Message

from torchtty.engine.contract.client.fork import ForkPoint, nearest_fork_point
from torchtty.engine.contract.diagnosis.finding import Finding
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Answered, Failed
from torchtty.engine.contract.run.requests import Request
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.run import actions
from torchtty.tui.run.advice import advised
from torchtty.tui.run.curves import Curves
from torchtty.tui.run.resume_dialog import ResumeDialog
from torchtty.tui.run.status_lines import test_report


class SteeredRun(Vertical):
    """A widget with a run that its keys steer. What it shows is up to the class that builds on it."""

    @dataclass
    class NeedsWorker(Message, namespace="run_view"):
        """Requests wait in the inbox of a run that no process serves."""

        run: RunDirectory

    @dataclass
    class ResumeRequested(Message, namespace="run_view"):
        """A run that is over is to be resumed, with `edits` of its settings."""

        run: RunDirectory
        edits: dict[str, Any]

    @dataclass
    class AdviceWanted(Message, namespace="run_view"):
        """The change that a finding proposes is to be tried."""

        snapshot: RunSnapshot
        finding: Finding

    @dataclass
    class ForkWanted(Message, namespace="run_view"):
        """A fork is to be composed that begins at this checkpoint."""

        point: ForkPoint

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.run: RunDirectory | None = None
        self.snapshot: RunSnapshot | None = None
        self.findings: tuple[Finding, ...] = ()
        self._forget_requests()

    def _forget_requests(self) -> None:
        """Begin with another run, of which nothing was asked."""
        self._pending = ""  # what was requested of the run and has not happened yet
        self._saving = ""  # the id of the latest request for a checkpoint
        self._testing = False  # whether an evaluation of the test split was asked for here
        self._asked: RunState | None = None  # that the run pauses or goes on, which it has not done yet
        self._worker_call = actions.WorkerCall()

    def _state_changed(self, state: RunState) -> None:
        """Take note that the run is in another state than before."""
        self._pending = ""
        if state is self._asked or state not in (RunState.RUNNING, RunState.PAUSED):
            self._asked = None

    @property
    @abstractmethod
    def curves(self) -> Curves:
        """The run's charts."""

    @abstractmethod
    def report(self, text: str) -> None:
        """Report something about the run, until its state changes."""

    @abstractmethod
    def expect_news(self) -> None:
        """Poll often for a while."""

    @abstractmethod
    def _show_headline(self) -> None:
        """Show the state, and what was requested and has not happened yet."""

    def send(self, request: Request, pending: str = "") -> bool:
        """Send a request to the run's worker, with a word for the headline until it is done; return whether it was sent."""
        assert self.run is not None
        try:
            self.run.send(request)
        except UserError as error:
            self.report(str(error))
            return False
        self._expect(pending)
        return True

    def _expect(self, pending: str) -> None:
        self._pending = pending
        self._show_headline()
        self.expect_news()

    def _do(self, effect: actions.Effect) -> bool:
        """Return whether what was to be sent was sent."""
        if effect.request is not None and not self.send(effect.request, effect.pending):
            return False
        if effect.sentence:
            self.report(effect.sentence)
        return True

    def action_pause(self) -> None:
        """Pause a run that trains, or continue one that is paused."""
        if self.snapshot is not None:
            effect = actions.pause_or_continue(self.snapshot, self._asked)
            if self._do(effect) and effect.request is not None:
                paused = isinstance(effect.request, requests.Pause)
                self._asked = RunState.PAUSED if paused else RunState.RUNNING
                self.refresh_bindings()

    action_continue = action_explain_no_pause = action_pause

    def action_stop(self) -> None:
        """Stop the run after a checkpoint."""
        if self.snapshot is not None:
            self._do(actions.stop(self.snapshot))

    def action_checkpoint(self) -> None:
        """Save a checkpoint now."""
        if self.snapshot is not None:
            effect = actions.checkpoint(self.snapshot)
            self._saving = effect.request.id if effect.request is not None else ""
            self._do(effect)

    def _show_saved(self, event: Answered | Failed) -> None:
        """Show what became of the checkpoint that was requested here; a failure is among the run's warnings too."""
        if event.id == self._saving:
            self._saving = self._pending = ""
            self._show_headline()
            if isinstance(event, Answered):
                self.notify(
                    f"Saved a checkpoint at step {event.step:,}.", title=self.run.name if self.run else "", markup=False
                )
            else:
                self.notify(event.message, severity="error", markup=False)

    def action_release(self) -> None:
        """Let the model of a finished run go."""
        if self.snapshot is not None:
            self._do(actions.release(self.snapshot))

    def action_resume(self) -> None:
        """Ask up to which step, then have a worker resume the run."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        if refusal := snapshot.refusal(Action.RESUME):
            self.report(refusal)
            return

        def resume(edits: dict[str, Any] | None) -> None:
            if edits is not None and snapshot.run == self.run:
                self.post_message(self.ResumeRequested(snapshot.run, edits))
                self._expect("resuming …")
                self.report("A worker loads the checkpoint; training continues from there.")

        self.app.push_screen(ResumeDialog(snapshot), resume)

    # -- the test split -------------------------------------------------------------------------------------------

    def action_test(self) -> None:
        """Evaluate the test split with the best weights so far."""
        if self.snapshot is None:
            return
        if refusal := self.snapshot.refusal(Action.TEST):
            self.report(refusal)
        elif not (self._testing and self.snapshot.is_served) and self.send(requests.Test()):
            self._testing = True
            self.report("Evaluating the test split …")
            if self._worker_call.is_due(self.snapshot):
                self.post_message(self.NeedsWorker(self.snapshot.run))

    action_explain_no_test = action_test

    def _report_test(self, before: RunSnapshot | None, snapshot: RunSnapshot) -> None:
        """Report what an evaluation of the test split that was asked for here came to, or why it failed."""
        if not self._testing or before is None:
            return
        test, warnings = snapshot.facts.test, snapshot.facts.warnings
        if test is not None and test != before.facts.test:
            self._testing = False
            self.report(test_report(test))
        elif warnings != before.facts.warnings:
            self._testing = False
            self.report(warnings[-1])

    def action_advice(self) -> None:
        """Have the change tried that the diagnosis proposes."""
        if self.snapshot is not None and (finding := advised(self.findings)) is not None:
            self.post_message(self.AdviceWanted(self.snapshot, finding))

    def action_fork(self) -> None:
        """Have a fork composed from the checkpoint nearest to the cursor of the chart, or from the latest."""
        if self.snapshot is not None:
            try:
                self.post_message(self.ForkWanted(nearest_fork_point(self.snapshot, self.curves.cursor)))
            except UserError as error:
                self.notify(str(error), severity="warning", markup=False)

    def action_pin(self) -> None:
        """Pin the checkpoint nearest to the cursor of the chart, or the latest; let it go if it is pinned."""
        if self.snapshot is not None:
            try:
                self.notify(actions.pin_or_let_go(self.snapshot, self.curves.cursor), markup=False)
            except UserError as error:
                self.notify(str(error), severity="warning", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer what the run's state allows."""
        match action:
            case "pause" | "continue" if self._asked is not None:
                return (action == "continue") is (self._asked is RunState.PAUSED)
            case "pause" | "continue" | "stop" | "resume" | "checkpoint" | "test" | "fork" | "pin" | "release":
                return self.snapshot is not None and self.snapshot.offers(Action(action))
            case "explain_no_pause":
                return self.snapshot is not None and not any(map(self.snapshot.offers, (Action.PAUSE, Action.CONTINUE)))
            case "explain_no_test":
                return self.snapshot is not None and not self.snapshot.offers(Action.TEST)
            case "advice":
                return self.snapshot is not None and advised(self.findings) is not None
        return True
