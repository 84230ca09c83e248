"""What the Experiments screen asks: which of several runs to open, and a name or a file."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.results import At, Member
from torchtty.engine.contract.experiments.tables import written
from torchtty.engine.contract.printable import printable_line
from torchtty.tui.shell.dialog import Dialog
from torchtty.tui.shell.inputs import OrderedInput


class RunPicker(Dialog[str]):
    """Lists runs with their results, and returns the name of the one that is picked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "back", id="picker.back", tooltip="Back to the experiment")
    ]
    DEFAULT_CSS = """
    RunPicker > Vertical { max-height: 80%; }
    RunPicker OptionList { height: auto; max-height: 100%; border: none; background: $surface; padding: 0; }
    """

    def __init__(self, members: Sequence[Member], metric: str, at: At) -> None:
        super().__init__()
        self._members, self._metric, self._at = members, metric, at

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(f"Open one of {len(self._members)} runs", classes="title")
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


class LineDialog(Dialog[str]):
    """Asks for a line, such as a name, does something with it, and says in place what was wrong; returns what came of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="line.cancel", tooltip="Leave everything as it is")
    ]

    def __init__(self, title: str, value: str, help: str, work: Callable[[str], str]) -> None:
        super().__init__()
        self._title, self._value, self._help, self._work = title, value, help, work

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(printable_line(self._title)), classes="title")
            yield OrderedInput(self._value, compact=True, id="line-value", select_on_focus=False)
            yield Static(Content(self._help), classes="help")

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
        self.say(reason, problem=True)
