"""Asks for the tags and the note of a run."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.run.marks import LONGEST_NOTE, check_note, check_tags

HELP = "enter keeps them, tab goes to the other, escape leaves them. Find them again with / tag:… or note:…"


Words = tuple[tuple[str, ...], str]  # tags and a note


class MarksDialog(ModalScreen[Words]):
    """Asks for tags, words with spaces between them, and a note; returns them, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="marks.cancel", tooltip="Leave tags and note as they are")
    ]
    DEFAULT_CSS = """
    MarksDialog { align: center middle; }
    MarksDialog > Vertical {
        width: 72; max-width: 95%; height: auto; padding: 1 2; background: $surface; border: round $primary;
    }
    MarksDialog #marks-title { text-style: bold; margin-bottom: 1; width: 100%; }
    MarksDialog .label { color: $foreground 65%; }
    MarksDialog Input { width: 100%; background: $boost; margin-bottom: 1; }
    MarksDialog #marks-help { color: $foreground 65%; height: auto; width: 100%; }
    MarksDialog #marks-help.-problem { color: $text-error; }
    """

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self._entry = entry

    def compose(self) -> ComposeResult:
        marks = self._entry.marks
        with Vertical():
            yield Static(Content(f"Tags and note of {self._entry.key}"), id="marks-title")
            yield Static("tags", classes="label")
            yield Input(" ".join(marks.tags), compact=True, id="marks-tags", placeholder="good baseline")
            yield Static("note", classes="label")
            yield Input(marks.note, compact=True, id="marks-note", max_length=LONGEST_NOTE)
            yield Static(HELP, id="marks-help")

    @on(Input.Submitted)
    def _store(self, event: Input.Submitted) -> None:
        event.stop()
        written, note = (self.query_one(f"#marks-{name}", Input).value for name in ("tags", "note"))
        try:
            self.dismiss((check_tags(written.replace(",", " ").split()), check_note(note)))
        except UserError as error:
            help = self.query_one("#marks-help", Static)
            help.update(Content(str(error)))
            help.add_class("-problem")

    def action_cancel(self) -> None:
        """Leave the marks as they are."""
        self.dismiss(None)
