"""The field for the path of a file or folder, as wide as the lists above it, completed by tab."""

import os
from typing import ClassVar

from textual import on, work
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import DescendantBlur, Key, Paste
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import get_current_worker

from torchtty.engine.contract.paths import expanded, written_path
from torchtty.engine.contract.settings.fields import FieldSpec
from torchtty.tui.form.completion import Completion, complete
from torchtty.tui.form.edited_line import face_of_text
from torchtty.tui.form.row import WRONG, FieldInput, FieldRow

COMPLETE = "Complete the path; again: the next of several"
LABEL = "Path"
PATH_AT = 10  # as in the lists of models, recipes and data above it
TEXTS, PICTURES = "path of a text file or folder", "path of a folder of pictures"


class PathInput(FieldInput, inherit_bindings=False):
    """An input whose tab completes a path as far as it can, then steps through what it could be, and else goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "complete", id="form.complete", tooltip=COMPLETE),
        *FieldInput.BINDINGS,
    ]

    def __init__(self, text: str, placeholder: str, *, folders_only: bool) -> None:
        super().__init__(text, placeholder=placeholder, compact=True, select_on_focus=True)
        self._folders_only = folders_only
        self._stepped: Completion | None = None  # while tab steps through its candidates; `text` is the one shown

    def action_complete(self) -> None:
        stepped = self._stepped
        if not self.value.strip():
            self.screen.focus_next()
        elif stepped is not None and stepped.text == self.value:
            here = stepped.candidates.index(self.value)
            self._step_to(stepped.candidates, (here + 1) % len(stepped.candidates))
        else:
            self._complete(self.value)

    @work(thread=True, group="complete", exclusive=True)
    def _complete(self, text: str) -> None:
        """Look into the folder off the app's own thread: one in a network may take its time."""
        found = complete(text, folders_only=self._folders_only)
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._completed, text, found)

    def _completed(self, text: str, found: Completion) -> None:
        if self.value != text or not self.has_focus:  # typed on, or left
            return
        if found.text != text:
            self._show(found.text)
        elif len(found.candidates) > 1:
            self._step_to(found.candidates, 0)
        elif found.candidates and not found.is_whole:
            self._show(found.candidates[0])
        else:
            self.screen.focus_next()

    def _step_to(self, candidates: tuple[str, ...], index: int) -> None:
        self._stepped = Completion(candidates[index], candidates)
        self._show(candidates[index])

    def _show(self, text: str) -> None:
        self.value = text
        self.cursor_position = len(text)

    async def _on_key(self, event: Key) -> None:  # Input's own is called after this one, as for every message
        if event.key == "slash" and self.value.endswith("/") and self._stepped is not None:  # into the folder shown
            event.stop()
            event.prevent_default()
            self._stepped = None

    def _on_paste(self, event: Paste) -> None:
        """Take what a terminal makes of a file that is dragged into it: quotes, backslashes or a `file://` address."""
        path = written_path(event.text.strip("\r\n"))
        event.stop()
        event.prevent_default()
        super()._on_paste(Paste(path))


class PathRow(FieldRow):
    """The field on a line of its own; what is wrong with the path stands below."""

    EDITOR_AT = PATH_AT

    def __init__(self, spec: FieldSpec, text: str) -> None:
        super().__init__(spec, text)
        self._reads_text = True

    def ask_for(self, *, reads_text: bool) -> None:
        """Ask for a path of texts, or else of pictures."""
        if reads_text != self._reads_text:
            self._reads_text = reads_text
            if isinstance(self.editor, PathInput):
                self.editor.placeholder, self.editor._folders_only = self._prompt, not reads_text
            self.refresh()

    @property
    def _prompt(self) -> str:
        return TEXTS if self._reads_text else PICTURES

    def make_editor(self) -> Widget:
        return PathInput(self.text, self._prompt, folders_only=not self._reads_text)

    @property
    def is_being_typed(self) -> bool:
        """Whether the field has the focus and names no file yet: a folder may be on the way to one."""
        return self.has_focus_within and not os.path.isfile(expanded(written_path(self.text)))

    def render(self) -> RenderResult:
        mark = WRONG if self.problem else " "
        width = max(4, self.size.width - PATH_AT)
        style = "$text-error" if self.problem else ""
        face = Content("") if self.editor is not None else face_of_text(self.text, self._prompt, width, style)
        parts: list[Content | tuple[str, str]] = [(f"{mark} {LABEL}".ljust(PATH_AT), f"{style} bold"), face]
        parts += [(f"\n  {line}", "$text-error") for line in self._problem_lines()]
        return Content.assemble(*parts)

    @on(DescendantBlur)
    @on(Input.Submitted)
    def _tidy(self) -> None:
        """Take off the quotes of a path that was typed with them, once it is whole."""
        editor = self.editor
        if isinstance(editor, Input) and (path := written_path(editor.value)) != editor.value:
            editor.value = path
