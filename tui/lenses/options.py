"""The controls of a lens's options: a choice that the arrow keys step through, and a field for text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from torchtty.engine.contract.lenses import STEP, LensEntry
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.fields import FieldSpec, show
from torchtty.tui.shell.inputs import OrderedInput

NOW = "now"  # no checkpoint, but the model as it is


@dataclass
class Changed(Message):
    """An option has another value."""

    name: str
    value: Any


class Choice(Widget, can_focus=True):
    """An option with values to step through: `show ‹probabilities›`."""

    DEFAULT_CSS = """
    Choice { width: auto; height: 1; margin-right: 3; color: $foreground 75%; }
    Choice:focus { background: $boost; text-style: bold; color: $text-accent; }
    """
    BINDING_GROUP_TITLE = "Option"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "step(1)", "next value", id="option.next", tooltip="The option's next value"),
        Binding("left", "step(-1)", "value before", show=False, id="option.previous", tooltip="The one before"),
    ]

    def __init__(self, spec: FieldSpec, value: Any, offered: Sequence[Any]) -> None:
        super().__init__()
        self.spec, self.value, self.offered = spec, value, tuple(offered)
        self.tooltip = spec.help

    def render(self) -> Content:
        shown = NOW if self.spec.name == STEP.name and self.value is None else show(self.value)
        return Content(f"{self.spec.name} ‹{printable_line(shown) or '…'}›")

    def offer(self, value: Any, offered: Sequence[Any]) -> None:
        """Show a value, and step through others from now on."""
        if (value, tuple(offered)) != (self.value, self.offered):
            self.value, self.offered = value, tuple(offered)
            self.refresh(layout=True)

    def action_step(self, by: int) -> None:
        if self.offered:
            at = self.offered.index(self.value) if self.value in self.offered else -1 if by > 0 else 0
            self.value = self.offered[(at + by) % len(self.offered)]
        else:
            self.value = self.spec.stepped(self.value, by)
        self.refresh(layout=True)
        self.post_message(Changed(self.spec.name, self.value))

    def on_click(self, event: Click) -> None:
        event.stop()
        self.action_step(1)


class TextOption(Horizontal):
    """An option that is a text: typed, and taken over with enter."""

    DEFAULT_CSS = """
    TextOption { width: auto; height: 1; margin-right: 3; }
    TextOption Static { width: auto; color: $foreground 75%; padding-right: 1; }
    TextOption Input { width: 20; height: 1; border: none; padding: 0 1; background: $surface; &:focus { background: $panel; } }
    """

    def __init__(self, spec: FieldSpec, value: str) -> None:
        super().__init__()
        self.spec, self._value = spec, value

    def compose(self) -> ComposeResult:
        yield Static(Content(self.spec.name))
        field = OrderedInput(self._value, compact=True, select_on_focus=False)
        field.tooltip = self.spec.help
        yield field

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(Changed(self.spec.name, event.value))


class OptionsLine(Horizontal):
    """The controls of one lens's options. Nothing is shown for a lens without any."""

    DEFAULT_CSS = """
    OptionsLine { height: 1; width: 1fr; overflow-x: auto; overflow-y: hidden; scrollbar-size-horizontal: 0; }
    """

    async def show(self, lens: LensEntry, values: Mapping[str, Any], offered: Mapping[str, Sequence[Any]]) -> None:
        """Show the controls of a lens with the values they have, and the values that its latest result offers."""
        controls: list[Widget] = []
        for spec in lens.options:
            value, choices = values.get(spec.name, spec.default), offered.get(spec.name, spec.choices)
            if spec.name == STEP.name and len(choices) < 2:
                continue  # there is no checkpoint to look back at
            if spec.type is str and not choices:
                controls.append(TextOption(spec, str(value)))
            else:
                controls.append(Choice(spec, value, choices))
        await self.remove_children()
        await self.mount(*controls)
        self.display = bool(controls)

    def offer(self, values: Mapping[str, Any], offered: Mapping[str, Sequence[Any]]) -> bool:
        """Give controls that are there new values to step through; return whether all could be: else they are to be shown anew."""
        controls = {control.spec.name: control for control in self.query(Choice)}
        if any(name not in controls for name in offered if len(offered[name]) > 1):
            return False
        for name, control in controls.items():
            control.offer(values.get(name, control.spec.default), offered.get(name, control.spec.choices))
        return True
