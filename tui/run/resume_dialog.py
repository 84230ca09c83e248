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
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings import configuration as configurations
from torchtty.engine.contract.settings.family import Configuration

MAX_STEPS = "training.max_steps"


def can_take_steps(configuration: Configuration | None) -> bool:
    """Whether a model trains by steps at all: one that counts does not."""
    return configuration is not None and "max_steps" in configuration.tree().get("training", {})


class ResumeDialog(ModalScreen[int | None]):
    """Returns the number of steps the run shall have in all, or None if it is left as it is."""

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

    def __init__(self, name: str, configuration: Configuration, status: Status) -> None:
        super().__init__()
        self._run_name = name
        self._status = status
        self._spec = next(
            spec for spec in configurations.specs(configuration.kind, configuration.tree()) if spec.path == MAX_STEPS
        )
        steps = status.max_steps or int(configuration.tree()["training"]["max_steps"])
        over = status.state is RunState.FINISHED or status.step >= steps
        self._proposal = max(2 * steps, status.step + 1) if over else steps

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(f"Resume {self._run_name} at step {self._status.step:,}"), id="resume-title")
            with Horizontal(id="resume-row"):
                yield Label("train until step")
                yield Input(str(self._proposal), compact=True, id="resume-steps", max_length=20)
            yield Static(
                Content("It goes on from its latest checkpoint, exactly as if it had never stopped."), id="resume-help"
            )
            with Horizontal(id="resume-buttons"):
                yield Button("Resume", variant="primary", id="resume-yes", compact=True)
                yield Button("Cancel", id="resume-no", compact=True)

    @on(Input.Submitted)
    @on(Button.Pressed, "#resume-yes")
    def _resume(self) -> None:
        help = self.query_one("#resume-help", Static)
        try:
            steps = self._spec.parse(self.query_one(Input).value)
            if steps <= self._status.step:
                raise UserError(f"The run has done {self._status.step:,} steps already: choose a larger number.")
        except UserError as error:
            help.update(Content(str(error)))
            help.add_class("-problem")
            self.query_one(Input).focus()
        else:
            self.dismiss(int(steps))

    @on(Button.Pressed, "#resume-no")
    def action_cancel(self) -> None:
        """Leave the run as it is."""
        self.dismiss(None)
