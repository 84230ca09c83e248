"""What the Experiments screen asks: which of several runs to open, a name or a file, and whether a group is to be deleted."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.results import At, Member
from torchtty.engine.contract.experiments.tables import written
from torchtty.engine.contract.printable import printable_line


class RunPicker(ModalScreen[str | None]):
    """Lists runs with their results, and returns the name of the one that is picked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="picker.back", tooltip="Back to the experiment")
    ]
    DEFAULT_CSS = """
    RunPicker { align: center middle; }
    RunPicker > Vertical {
        width: 72; max-width: 95%; height: auto; max-height: 80%; padding: 1 2; background: $surface; border: round $primary;
    }
    RunPicker Static { width: 100%; margin-bottom: 1; text-style: bold; }
    RunPicker OptionList { height: auto; max-height: 100%; border: none; background: $surface; padding: 0; }
    """

    def __init__(self, members: Sequence[Member], metric: str, at: At) -> None:
        super().__init__()
        self._members, self._metric, self._at = members, metric, at

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(f"Open one of {len(self._members)} runs")
            yield OptionList(
                *(
                    Option(
                        Content.assemble(
                            written(member.value(self._metric, self._at)).rjust(9),
                            f"  {printable_line(member.name)}",
                            (f"  {member.state}", "$foreground 60%"),
                        )
                    )
                    for member in self._members
                )
            )

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self._members[event.option_index].name)


class LineDialog(ModalScreen[str | None]):
    """Asks for a line, such as a name, does something with it, and says in place what was wrong; returns what came of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "cancel", id="line.cancel", tooltip="Leave everything as it is")
    ]
    DEFAULT_CSS = """
    LineDialog { align: center middle; }
    LineDialog > Vertical {
        width: 72; max-width: 95%; height: auto; padding: 1 2; background: $surface; border: round $primary;
    }
    LineDialog #line-title { text-style: bold; margin-bottom: 1; width: 100%; }
    LineDialog Input { width: 100%; background: $boost; }
    LineDialog #line-help { color: $foreground 65%; height: auto; width: 100%; margin-top: 1; }
    LineDialog #line-help.-problem { color: $text-error; }
    """

    def __init__(self, title: str, value: str, help: str, work: Callable[[str], str]) -> None:
        super().__init__()
        self._title, self._value, self._help, self._work = title, value, help, work

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(printable_line(self._title)), id="line-title")
            yield Input(self._value, compact=True, id="line-value", select_on_focus=False)
            yield Static(Content(self._help), id="line-help")

    @on(Input.Submitted)
    def _do(self, event: Input.Submitted) -> None:
        event.stop()

        def work() -> None:
            try:
                done = self._work(event.value.strip())
            except UserError as error:
                self.app.call_from_thread(self._failed, str(error))
            else:
                self.app.call_from_thread(self.dismiss, done)

        self.run_worker(work, thread=True, exclusive=True, group="line", exit_on_error=False)

    def _failed(self, reason: str) -> None:
        help = self.query_one("#line-help", Static)
        help.update(Content(printable_line(reason)))
        help.add_class("-problem")


class DeleteGroupDialog(ModalScreen[bool]):
    """Asks whether a group is to be deleted; the safe answer has the focus."""

    AUTO_FOCUS = "#delete-group-no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "keep", id="delete_group.keep", tooltip="Keep the group"),
        Binding("y", "answer(True)", "delete", id="delete_group.delete", tooltip="Delete the group and its runs"),
    ]
    DEFAULT_CSS = """
    DeleteGroupDialog { align: center middle; }
    DeleteGroupDialog > Vertical {
        width: 60; max-width: 95%; height: auto; padding: 1 2; background: $surface; border: round $error;
    }
    DeleteGroupDialog Static { width: 100%; height: auto; margin-bottom: 1; }
    DeleteGroupDialog #delete-group-title { text-style: bold; }
    DeleteGroupDialog Horizontal { height: auto; align-horizontal: right; }
    DeleteGroupDialog Button { margin-left: 2; }
    """

    def __init__(self, name: str, count: int) -> None:
        super().__init__()
        self._group, self._count = name, count

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(
                Content(f"Delete {printable_line(self._group)} and its {self._count} runs?"), id="delete-group-title"
            )
            yield Static("Curves, samples and checkpoints are removed from the disk and cannot be brought back.")
            with Horizontal():
                yield Button("Keep (n)", id="delete-group-no", action="screen.answer(False)", compact=True)
                yield Button("Delete (y)", variant="error", action="screen.answer(True)", compact=True)

    def action_answer(self, delete: bool) -> None:
        self.dismiss(delete)
