"""A line of the form that draws its value itself, and mounts the editor only when a person enters it.

Most settings are looked at and never touched, and an editor costs many times what a line of text does: with one for every
setting the first screen would take twice as long.
"""

from abc import abstractmethod

from textual.binding import Binding
from textual.content import Content
from textual.events import Focus, Key, MouseDown, Paste
from textual.widget import Widget
from textual.widgets import Select

from torchtty.tui.form.toggle import Toggle

CHARACTERS = {"enter": "\r", "space": " "}
OPENING = ("enter", "space", "up", "down")  # what opens a list, throws a switch and steps a number
ARROW_WIDTH = 3  # a list's arrow, with a space on either side


class EditedLine(Widget, can_focus=True):
    """Takes the focus in its editor's place until that is there."""

    EDITOR_AT = 0  # the column where the editor begins
    # A key that was typed while the focus was still on its way is looked up here, where no editor has been mounted yet.
    BINDINGS = [Binding(key, f"type_again('{key}')", show=False) for key in OPENING]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._is_entering = False  # the editor has just been mounted, and what was meant for it still arrives here

    @abstractmethod
    def make_editor(self) -> Widget:
        """Return an editor with the value that is shown now."""

    @property
    def editor(self) -> Widget | None:
        """The editor, once the line has been entered."""
        return self.children[0] if self.children else None

    def focus_editor(self) -> None:
        """Enter the line."""
        (self.editor or self).focus()

    async def on_focus(self, event: Focus) -> None:
        event.stop()
        if self.editor is None:
            await self.mount(self.make_editor())
            self.refresh()
        assert self.editor is not None
        self._is_entering = True
        if self.screen.focused is self:
            self.screen.set_focus(self.editor)
        self.can_focus = False  # the editor is now what tab finds
        self.call_later(self._entered)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return self.editor is None if action == "type_again" else True

    def action_type_again(self, key: str) -> None:
        """Have a key typed once the editor is there."""
        self.call_later(self._hand_on, Key(key, CHARACTERS.get(key)))

    def _entered(self) -> None:
        self._is_entering = False

    def on_mouse_down(self, event: MouseDown) -> None:
        """Open a list or throw a switch with the click that enters the line, and enter it by a click on its name."""
        editor = self.editor
        if self._is_entering and event.x >= self.EDITOR_AT:
            if isinstance(editor, Select):
                editor.action_show_overlay()
            elif isinstance(editor, Toggle):
                editor.action_flip()
        elif editor is not None and not editor.region.contains_point(event.screen_offset):
            editor.focus()

    def on_key(self, event: Key) -> None:
        """Hand on what was typed while the editor was being mounted."""
        if self._is_entering and self.editor is not None:
            event.stop()
            event.prevent_default()
            self._hand_on(Key(event.key, event.character))

    def _hand_on(self, event: Key) -> None:
        """Give the editor a key; what it does not take goes on to the bindings, which it would not as this line's own message."""
        assert self.editor is not None
        self.editor._forward_event(event.set_sender(self.app))

    def on_paste(self, event: Paste) -> None:
        """Hand on what was pasted while the editor was being mounted."""
        if self._is_entering and self.editor is not None:
            event.stop()
            event.prevent_default()
            self.editor._forward_event(Paste(event.text))


def face_of_text(text: str, placeholder: str, width: int, style: str = "") -> Content:
    """Draw what an input of this width shows, in cells."""
    shown = Content.styled(text, style) if text else Content.styled(placeholder, "$foreground 40%")
    return _boxed(shown, width - 2)


def face_of_choice(text: str, width: int) -> Content:
    """Draw what a closed list of this width shows, in cells."""
    label = Content(text).truncate(width - 1 - ARROW_WIDTH, ellipsis=True, pad=True)
    return Content.assemble(" ", label, (" ▼ ", "$foreground 50%")).stylize("on $surface")


def face_of_switch(is_on: bool, width: int) -> Content:
    """Draw what a switch of this width shows, in cells."""
    return _boxed(Content(Toggle.face(is_on)), width - 2)


def _boxed(content: Content, width: int) -> Content:
    return Content.assemble(" ", content.truncate(width, pad=True), " ").stylize("on $surface")
