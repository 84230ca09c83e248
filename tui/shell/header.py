"""The line at the top: the name, the modes with the active one marked, and the machine's gauges."""

from dataclasses import dataclass

from textual.app import ComposeResult, RenderResult
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from torchtty.tui.modes import MODES, AppMode
from torchtty.tui.shell.gauges import Reading


class ModeTab(Static):
    """A mode's name, which switches to it when clicked."""

    @dataclass
    class Chosen(Message):
        """The mode was clicked."""

        mode: str

    def __init__(self, mode: AppMode, active: bool) -> None:
        # The active mode is in brackets, so that it shows without colours; the others show their key.
        super().__init__(Content(f"[{mode.title}]" if active else f" {mode.key} {mode.title} "))
        self.set_class(active, "-active")
        self.mode = mode

    def on_click(self, event: Click) -> None:
        event.stop()
        self.post_message(self.Chosen(self.mode.name))


class GaugeLine(Widget):
    """As much of a reading of the machine as there is room for."""

    reading: reactive[Reading | None] = reactive(None)

    def render(self) -> RenderResult:
        return Content(self.reading.text(self.size.width)) if self.reading is not None else ""


class Header(Widget):
    """The top line of every mode's screen."""

    def __init__(self, active: str) -> None:
        super().__init__()
        self._active = active

    def compose(self) -> ComposeResult:
        yield Static("torchtty", id="title")
        for mode in MODES:
            yield ModeTab(mode, mode.name == self._active)
        yield GaugeLine(id="gauges")

    def show_reading(self, reading: Reading) -> None:
        """Update the gauges in place."""
        self.query_one(GaugeLine).reading = reading
