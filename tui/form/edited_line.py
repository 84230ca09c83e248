"""A line of the form that draws its value itself and mounts the editor only when the line gets the focus.

Most settings are read and never edited, and an editor costs many times what a line of text does: with an editor for every
setting the first screen would take twice as long.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click, Focus, Key, MouseDown, Paste
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Select

CHARACTERS = {"enter": "\r", "space": " "}
OPENING_KEYS = ("enter", "space", "up", "down")  # open a list, flip a switch and step a number
FLIP = "Switch between yes and no"
ARROW_WIDTH = 3  # a list's arrow, with a space on either side


class Toggle(Widget, can_focus=True):
    """A yes or a no on one line, in words so that it reads without colours too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter,up,down", "flip", "yes/no", id="form.toggle", key_display="space", tooltip=FLIP)
    ]

    on: reactive[bool] = reactive(False)

    @dataclass
    class Changed(Message):
        """The switch was flipped."""

        on: bool

    def __init__(self, on: bool) -> None:
        super().__init__()
        self.set_reactive(Toggle.on, on)

    @staticmethod
    def face(is_on: bool) -> str:
        return "● yes" if is_on else "○ no"

    def render(self) -> RenderResult:
        return self.face(self.on)

    def watch_on(self, on: bool) -> None:
        self.post_message(self.Changed(on))

    def action_flip(self) -> None:
        self.on = not self.on

    def on_click(self, event: Click) -> None:
        event.stop()
        self.action_flip()


class EditedLine(Widget, can_focus=True):
    """A focusable line that passes the focus on to its editor once that is mounted."""

    EDITOR_AT = 0  # the column where the editor begins
    # A key pressed before the focus event has arrived is looked up here, where no editor has been mounted yet.
    BINDINGS = [Binding(key, f"type_again('{key}')", show=False) for key in OPENING_KEYS]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._is_entering = False  # the editor has just been mounted, and its first keys still arrive here

    @abstractmethod
    def make_editor(self) -> Widget:
        """Return an editor with the value that is shown now."""

    @property
    def editor(self) -> Widget | None:
        """The editor, once the line has been entered."""
        return self.children[-1] if self.children else None

    async def exchange_editor(self) -> None:
        """Put another editor in the place of the one that is there, as what is shown now is for another kind of it."""
        before = self.editor
        if before is None:
            return
        after = self.make_editor()
        with self.app.batch_update():
            await self.mount(after)
            if before.has_focus or before.has_focus_within:
                self.screen.set_focus(after)
            await before.remove()
        self.refresh()

    def focus_editor(self) -> None:
        (self.editor or self).focus()

    async def open(self) -> None:
        """Focus the editor, and open it where it is a list."""
        if self.editor is None:
            await self._mount_editor()
            self.can_focus = False
        self.focus_editor()
        if isinstance(self.editor, Select):
            self.editor.action_show_overlay()

    async def _mount_editor(self) -> None:
        await self.mount(self.make_editor())
        self.refresh()

    async def on_focus(self, event: Focus) -> None:
        event.stop()
        if self.editor is None:
            await self._mount_editor()
        assert self.editor is not None
        self._is_entering = True
        if self.screen.focused is self:
            self.screen.set_focus(self.editor)
        self.can_focus = False  # tab finds the editor from now on
        self.call_later(self._entered)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return self.editor is None if action == "type_again" else True

    def action_type_again(self, key: str) -> None:
        """Repeat a key once the editor is mounted."""
        self.call_later(self._forward, Key(key, CHARACTERS.get(key)))

    def _entered(self) -> None:
        self._is_entering = False

    def on_mouse_down(self, event: MouseDown) -> None:
        """Open a list or flip a switch with the click that focuses the line; a click on the name focuses the editor."""
        editor = self.editor
        if self._is_entering and event.x >= self.EDITOR_AT:
            if isinstance(editor, Select):
                editor.action_show_overlay()
            elif isinstance(editor, Toggle):
                editor.action_flip()
        elif editor is not None and not editor.region.contains_point(event.screen_offset):
            editor.focus()

    def on_key(self, event: Key) -> None:
        """Forward keys pressed while the editor was being mounted."""
        if self._is_entering and self.editor is not None:
            event.stop()
            event.prevent_default()
            self._forward(Key(event.key, event.character))

    def _forward(self, event: Key) -> None:
        """Forward a key to the editor. It bubbles to the bindings if unhandled, which a message of this line's own would not."""
        assert self.editor is not None
        self.editor._forward_event(event.set_sender(self.app))

    def on_paste(self, event: Paste) -> None:
        """Forward text pasted while the editor was being mounted."""
        if self._is_entering and self.editor is not None:
            event.stop()
            event.prevent_default()
            self.editor._forward_event(Paste(event.text))


def face_of_text(text: str, placeholder: str, width: int, style: str = "") -> Content:
    """Draw an input that is not mounted, `width` cells wide."""
    shown = Content.styled(text, style) if text else Content.styled(placeholder, "$foreground 40%")
    return _boxed(shown, width - 2)


def face_of_choice(text: str, width: int) -> Content:
    """Draw a closed list that is not mounted, `width` cells wide."""
    label = Content(text).truncate(width - 1 - ARROW_WIDTH, ellipsis=True, pad=True)
    return Content.assemble(" ", label, (" ▼ ", "$foreground 50%")).stylize("on $surface")


def face_of_switch(is_on: bool, width: int) -> Content:
    """Draw a switch that is not mounted, `width` cells wide."""
    return _boxed(Content(Toggle.face(is_on)), width - 2)


def _boxed(content: Content, width: int) -> Content:
    return Content.assemble(" ", content.truncate(width, pad=True), " ").stylize("on $surface")
