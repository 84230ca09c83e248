"""Asks up to which step a run is to be resumed."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import specs

MAX_STEPS = "training.max_steps"


class ResumeDialog(ModalScreen[int | None]):
    """Returns up to which step the run is to train, or None if it is not to be resumed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="resume.cancel", tooltip="Leave the run as it is")
    ]
    DEFAULT_CSS = """
    ResumeDialog { align: center middle; }
    ResumeDialog > Vertical {
        width: 58; max-width: 95%; height: auto; padding: 1 2; background: $surface; border: round $primary;
    }
    ResumeDialog #resume-title { text-style: bold; margin-bottom: 1; width: 100%; }
    ResumeDialog #resume-row { height: 1; }
    ResumeDialog #resume-row Label { margin-right: 2; }
    ResumeDialog Input { width: 16; background: $boost; }
    ResumeDialog #resume-help { color: $foreground 65%; height: auto; width: 100%; margin: 1 0; }
    ResumeDialog #resume-help.-problem { color: $text-error; }
    ResumeDialog #resume-buttons { height: auto; align-horizontal: right; }
    ResumeDialog Button { margin-left: 2; }
    """

    def __init__(self, snapshot: RunSnapshot) -> None:
        super().__init__()
        self._snapshot = snapshot
        status, settings = snapshot.status, snapshot.settings
        self._spec = next(spec for spec in specs(settings["model"]["kind"], settings) if spec.path == MAX_STEPS)
        steps = status.max_steps or int(settings["training"]["max_steps"])
        is_over = status.state is RunState.FINISHED or status.step >= steps
        self._proposal = max(2 * steps, status.step + 1) if is_over else steps

    def compose(self) -> ComposeResult:
        start = self._snapshot.checkpoints[-1]
        with Vertical():
            yield Static(Content(f"Resume {self._snapshot.name} from step {start:,}"), id="resume-title")
            with Horizontal(id="resume-row"):
                yield Label("train until step")
                yield Input(str(self._proposal), compact=True, id="resume-steps", max_length=20)
            yield Static(
                "Training continues from the latest checkpoint, exactly as if it had not been interrupted.",
                id="resume-help",
            )
            with Horizontal(id="resume-buttons"):
                yield Button("Resume", variant="primary", id="resume-yes", compact=True)
                yield Button("Cancel", id="resume-no", compact=True)

    @on(Input.Submitted)
    @on(Button.Pressed, "#resume-yes")
    def _resume(self) -> None:
        help, done = self.query_one("#resume-help", Static), self._snapshot.status.step
        try:
            steps = self._spec.parse(self.query_one(Input).value)
            if steps <= done:
                raise UserError(f"The run has done {done:,} steps already: choose a larger number.")
        except UserError as error:
            help.update(Content(str(error)))
            help.add_class("-problem")
            self.query_one(Input).focus()
        else:
            self.dismiss(int(steps))

    @on(Button.Pressed, "#resume-no")
    def action_cancel(self) -> None:
        self.dismiss(None)
