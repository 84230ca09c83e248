"""A switch on one line that says yes or no in words, so that it reads without colours too."""

from typing import ClassVar

from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class Toggle(Widget, can_focus=True):
    """A yes or a no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter,up,down", "flip", "yes/no", id="form.toggle", key_display="space", tooltip="Switch over")
    ]

    on: reactive[bool] = reactive(False)

    class Changed(Message):
        """The switch was thrown."""

        def __init__(self, toggle: "Toggle", on: bool) -> None:
            super().__init__()
            self.toggle = toggle
            self.on = on

        @property
        def control(self) -> "Toggle":
            return self.toggle

    def __init__(self, on: bool) -> None:
        super().__init__()
        self.set_reactive(Toggle.on, on)

    @staticmethod
    def face(is_on: bool) -> str:
        """Return how a switch reads."""
        return "● yes" if is_on else "○ no"

    def render(self) -> RenderResult:
        return self.face(self.on)

    def watch_on(self, on: bool) -> None:
        self.post_message(self.Changed(self, on))

    def action_flip(self) -> None:
        self.on = not self.on

    def on_click(self, event: Click) -> None:
        event.stop()
        self.action_flip()
