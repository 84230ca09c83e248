"""What dialogs have in common: a box over the screen, with a title, what is asked, and help in whose place a problem is said."""

from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from torchtty.engine.contract.printable import printable, printable_line

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A box in the middle of the screen. A subclass composes one `Vertical` of `.title`, fields and `.help`."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical {
        width: 72; max-width: 95%; height: auto; padding: 1 2; background: $surface; border: round $primary;
    }
    Dialog .title { text-style: bold; margin-bottom: 1; width: 100%; height: auto; }
    Dialog Input { width: 100%; background: $boost; }
    Dialog .help { color: $foreground 65%; height: auto; width: 100%; margin-top: 1; }
    Dialog .help.-problem { color: $text-error; }
    Dialog .buttons { height: auto; align-horizontal: right; }
    Dialog Button { margin-left: 2; }
    """

    def say(self, text: str, *, problem: bool = False) -> None:
        """Put a sentence, or what is wrong, in the place of the help."""
        help = self.query_one(".help", Static)
        help.update(Content(printable(text)))
        help.set_class(problem, "-problem")

    def action_cancel(self) -> None:
        """Leave everything as it is."""
        self.dismiss(None)


class DeleteDialog(Dialog[bool]):
    """Asks whether something is to be deleted; the safe answer has the focus."""

    AUTO_FOCUS = "#delete-no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "keep", id="delete.keep", tooltip="Delete nothing"),
        Binding("y", "answer(True)", "delete", id="delete.delete", tooltip="Delete it"),
    ]
    DEFAULT_CSS = """
    DeleteDialog > Vertical { width: 60; border: round $error; }
    DeleteDialog #consequence { width: 100%; height: auto; margin-bottom: 1; }
    """

    def __init__(self, question: str, consequence: str) -> None:
        super().__init__()
        self._question, self._consequence = question, consequence

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(printable_line(self._question)), classes="title")
            yield Static(Content(self._consequence), id="consequence")
            with Horizontal(classes="buttons"):
                yield Button("Keep (n)", id="delete-no", action="screen.answer(False)", compact=True)
                yield Button("Delete (y)", variant="error", id="delete-yes", action="screen.answer(True)", compact=True)

    def action_answer(self, delete: bool) -> None:
        self.dismiss(delete)
