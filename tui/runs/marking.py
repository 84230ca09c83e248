"""Asks for the tags and the note of a run."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.run.marks import LONGEST_NOTE, check_note, check_tags, split_tags
from torchtty.tui.shell.dialog import Dialog
from torchtty.tui.shell.inputs import OrderedInput

HELP = "enter keeps them, tab goes to the other, escape leaves them. Find them again with / tag:… or note:…"


Words = tuple[tuple[str, ...], str]  # tags and a note


class MarksDialog(Dialog[Words]):
    """Asks for tags, words with spaces between them, and a note; returns them, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="marks.cancel", tooltip="Leave tags and note as they are")
    ]
    DEFAULT_CSS = """
    MarksDialog .label { color: $foreground 65%; }
    MarksDialog Input { margin-bottom: 1; }
    MarksDialog .help { margin-top: 0; }
    """

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self._entry = entry

    def compose(self) -> ComposeResult:
        marks = self._entry.marks
        with Vertical():
            yield Static(Content(f"Tags and note of {self._entry.key}"), classes="title")
            yield Static("tags, separated by spaces", classes="label")
            yield OrderedInput(
                " ".join(marks.tags), compact=True, id="marks-tags", placeholder="such as: good baseline"
            )
            yield Static("note", classes="label")
            yield OrderedInput(marks.note, compact=True, id="marks-note", max_length=LONGEST_NOTE)
            yield Static(HELP, classes="help")

    @on(Input.Submitted)
    def _store(self, event: Input.Submitted) -> None:
        event.stop()
        written, note = (self.query_one(f"#marks-{name}", Input).value for name in ("tags", "note"))
        try:
            self.dismiss((check_tags(split_tags(written)), check_note(note)))
        except UserError as error:
            self.say(str(error), problem=True)
