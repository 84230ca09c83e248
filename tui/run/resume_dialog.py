"""Asks up to which step a run is to be resumed, and what becomes of the rule that ended it, if one did."""

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Label, Static

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.run.stopping import LIFTS, MAX_STEPS
from torchtty.engine.contract.settings.configuration import specs
from torchtty.engine.contract.settings.fields import show
from torchtty.tui.shell.dialog import Dialog
from torchtty.tui.shell.inputs import OrderedInput


class ResumeDialog(Dialog[dict[str, Any]]):
    """Returns the settings that change when the run is resumed, by their paths, or None if it is not to be resumed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="resume.cancel", tooltip="Leave the run as it is")
    ]
    DEFAULT_CSS = """
    ResumeDialog > Vertical { width: 58; }
    ResumeDialog .resume-row { height: 1; }
    ResumeDialog .resume-row Label { width: 18; margin-right: 2; }
    ResumeDialog Input { width: 16; }
    ResumeDialog .help { margin: 1 0; }
    """

    def __init__(self, snapshot: RunSnapshot) -> None:
        super().__init__()
        self._snapshot = snapshot
        status, settings = snapshot.status, snapshot.settings
        declared = {spec.path: spec for spec in specs(settings["model"]["kind"], settings)}
        self._specs = [declared[path] for path in (MAX_STEPS, snapshot.ended_by) if path]
        steps = status.max_steps or int(settings["training"]["max_steps"])
        is_over = (status.state is RunState.FINISHED and not snapshot.ended_by) or status.step >= steps
        self._proposal = max(2 * steps, status.step + 1) if is_over else steps

    def compose(self) -> ComposeResult:
        start = self._snapshot.checkpoints[-1]
        with Vertical():
            yield Static(Content(f"Resume {self._snapshot.name} from step {start:,}"), classes="title")
            with Horizontal(classes="resume-row"):
                yield Label("train until step")
                yield OrderedInput(str(self._proposal), compact=True, id="resume-steps", max_length=20)
            help = "Training continues from the latest checkpoint, exactly as if it had not been interrupted."
            for rule in self._specs[1:]:
                with Horizontal(classes="resume-row"):
                    yield Label(rule.name)
                    yield OrderedInput("none", compact=True, id="resume-rule", max_length=20)
                ended = self._snapshot.settings["training"][rule.name]
                help = f"It was ended by {rule.name} {show(ended)}: none lifts it, and so does {LIFTS[rule.path]}."
            yield Static(help, classes="help")
            with Horizontal(classes="buttons"):
                yield Button("Resume", variant="primary", id="resume-yes", compact=True)
                yield Button("Cancel", id="resume-no", compact=True)

    @on(Input.Submitted)
    @on(Button.Pressed, "#resume-yes")
    def _resume(self) -> None:
        done = self._snapshot.status.step
        try:
            inputs = self.query(Input)
            edits = {spec.path: spec.parse(input.value) for spec, input in zip(self._specs, inputs, strict=True)}
            if edits[MAX_STEPS] <= done:
                raise UserError(f"The run has done {done:,} steps already: choose a larger number.")
            if self._snapshot.why_it_would_end(edits):
                rule = self._specs[-1]
                raise UserError(f"{rule.name} would end it again at once: choose none or {LIFTS[rule.path]}.")
        except UserError as error:
            self.say(str(error), problem=True)
            self.query(Input).first().focus()
        else:
            unchanged = edits[MAX_STEPS] == self._snapshot.status.max_steps
            self.dismiss({path: value for path, value in edits.items() if not (path == MAX_STEPS and unchanged)})

    @on(Button.Pressed, "#resume-no")
    def action_cancel(self) -> None:
        self.dismiss(None)
