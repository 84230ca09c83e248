"""The row of one setting: a mark, its name, its value and its unit, and its problem below."""

import textwrap
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Key
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Select

from torchtty.engine.contract.experiments.values import may_vary
from torchtty.engine.contract.settings.fields import FieldSpec
from torchtty.tui.form.dataset_facts import naming_settings
from torchtty.tui.form.edited_line import EditedLine, Toggle, face_of_choice, face_of_switch, face_of_text
from torchtty.tui.form.section import unfold
from torchtty.tui.shell.inputs import UncutInput

NAME_AT = 2  # the column where the name stands, after the mark
EDITOR_AT = 22
EDITOR_WIDTH, WIDE_EDITOR_WIDTH = 13, 20
SEVERAL_EDITOR_WIDTH = 18  # of one that holds several values; their number stands in the place of the unit
UNIT_AT = EDITOR_AT + EDITOR_WIDTH + 1
WIDTH = UNIT_AT + 6

STEP = Binding.Group("step", compact=True)
CHANGED = "•"
WRONG = "×"
SEVERAL = "≡"
TAKE_SEVERAL = "Take several of the values: a run for each"


class FieldInput(UncutInput, inherit_bindings=False):
    """An input without the scrolling keys, so that up, down and the page keys reach the row and the form.

    It obeys its own keys itself. The app would do so once a key has bubbled up to it, and for the field that has the focus
    then: a key typed ahead would work on the field after this one.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(Input.BINDINGS)

    ACTIONS: ClassVar[dict[str, str]] = {each.key: each.action for each in Binding.make_bindings(Input.BINDINGS)}

    async def on_key(self, event: Key) -> None:
        action = self.ACTIONS.get(event.key)
        if action is not None and await self.app.run_action(action, self):
            event.stop()
            event.prevent_default()


class FieldRow(EditedLine):
    """A setting's line in the form."""

    EDITOR_AT = EDITOR_AT

    BINDING_GROUP_TITLE = "Setting"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(1)", "more", id="form.more", group=STEP, tooltip="Step up"),
        Binding("down", "step(-1)", "less", id="form.less", group=STEP, tooltip="Step down"),
        Binding("ctrl+z", "reset", "reset", id="form.reset", tooltip="Reset to the value of the recipe", priority=True),
        Binding("comma", "several", "several", id="form.several", key_display=",", tooltip=TAKE_SEVERAL),
    ]

    @dataclass
    class Entered(Message):
        """The text of the field was changed."""

        row: "FieldRow"
        text: str

    @dataclass
    class Stepped(Message):
        """The key for the next value up (1) or down (-1) was pressed."""

        row: "FieldRow"
        direction: int

    @dataclass
    class Reset(Message):
        """The key for the initial value was pressed."""

        row: "FieldRow"

    @dataclass
    class SeveralWanted(Message):
        """The key for several of a list's values, or for yes and no, was pressed."""

        row: "FieldRow"

    @dataclass
    class Submitted(Message):
        """Enter was pressed in the field."""

        row: "FieldRow"

    @dataclass
    class Focused(Message):
        """The field got the focus, or lost it if `left`."""

        row: "FieldRow"
        left: bool = False

    def __init__(self, spec: FieldSpec, text: str, label: str | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.is_heading = spec.name == "kind" and not spec.folds
        self.label = label or (spec.section if self.is_heading else spec.name)
        self.modified = False
        self.problem = ""
        self.several = 0  # how many values, where there are several
        self.text = text
        self._placeholder = "none" if spec.optional else ""
        self._is_wide = spec.type is str and not spec.pattern

    @property
    def _editor_width(self) -> int:
        return SEVERAL_EDITOR_WIDTH if self.several else WIDE_EDITOR_WIDTH if self._is_wide else EDITOR_WIDTH

    @property
    def _is_switch(self) -> bool:
        return self.spec.type is bool and self.text in ("yes", "no")

    @property
    def _is_list(self) -> bool:
        """Whether one of the choices is chosen; several of them are a text."""
        return self.text in self.spec.choices

    def make_editor(self) -> Widget:
        if self._is_switch:
            return Toggle(self.text == "yes")
        if self._is_list:
            choices = [(choice, choice) for choice in self.spec.choices]
            return Select(choices, value=self.text, allow_blank=False, compact=True)
        wide = "wide" if self._is_wide else ""
        return FieldInput(self.text, placeholder=self._placeholder, compact=True, select_on_focus=True, classes=wide)

    def focus_editor(self) -> None:
        unfold(self)
        super().focus_editor()

    @property
    def path(self) -> str:
        return self.spec.path

    def show_text(self, text: str) -> None:
        """Show a text without posting `Entered`."""
        if text == self.text:
            return
        self.text = text
        editor = self.editor
        with self.prevent(Input.Changed, Select.Changed, Toggle.Changed):
            if editor is None:
                self.refresh()
            elif not self._is_for_this(editor):
                self.call_later(self.exchange_editor)
            elif isinstance(editor, Input):
                editor.value = text
                editor.cursor_position = len(text)
            elif isinstance(editor, Select):
                editor.value = text
            elif isinstance(editor, Toggle):
                editor.on = text == "yes"

    def _is_for_this(self, editor: Widget) -> bool:
        """Whether an editor is one for the text; what has several values goes on as a text until it is left."""
        return isinstance(editor, Input) or (self._is_switch if isinstance(editor, Toggle) else self._is_list)

    def mark(self, *, modified: bool, problem: str, several: int = 0) -> None:
        """Show whether the value differs from the initial one, its problem, if any, and how many values there are."""
        if (modified, problem, several) == (self.modified, self.problem, self.several):
            return
        self.modified, self.problem, self.several = modified, problem, several
        self.set_class(bool(problem), "-wrong")
        self.set_class(bool(several), "-several")
        self.styles.height = 1 + len(self._problem_lines())
        self.refresh()

    def _problem_lines(self) -> list[str]:
        return textwrap.wrap(naming_settings(self.problem, r"\1"), WIDTH - NAME_AT) if self.problem else []

    def render(self) -> RenderResult:
        mark, style = (WRONG, "$text-error bold") if self.problem else (CHANGED, "$text-accent bold")
        if self.several and not self.problem:
            mark, style = SEVERAL, "$text-warning bold"
        parts: list[Content | tuple[str, str]] = [
            (mark if self.problem or self.modified else " ", style),
            (f" {self.label}".ljust(EDITOR_AT - 1), self._label_style),
            self._face() if self.editor is None else Content(" " * self._editor_width),
            Content(" "),
        ]
        if self.several:
            parts.append((f"×{self.several}", "$text-warning"))
        elif self.spec.unit:
            parts.append((self.spec.unit, "$foreground 60%"))
        for line in self._problem_lines():
            parts.append((f"\n  {line}", "$text-error"))
        return Content.assemble(*parts)

    def _face(self) -> Content:
        if self._is_switch:
            return face_of_switch(self.text == "yes", EDITOR_WIDTH)
        if self._is_list:
            return face_of_choice(self.text, EDITOR_WIDTH)
        style = "$text-error" if self.problem else "$text-warning" if self.several else ""
        return face_of_text(self.text, self._placeholder, self._editor_width, style)

    @property
    def _label_style(self) -> str:
        if self.problem:
            return "$text-error"
        return "$text-primary" if self.is_heading else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action == "several":
            return (self._is_switch or self._is_list) and may_vary(self.spec)
        return action != "step" or (self.spec.type in (int, float) and not self.several)

    def action_step(self, direction: int) -> None:
        self.post_message(self.Stepped(self, direction))

    def action_several(self) -> None:
        self.post_message(self.SeveralWanted(self))

    def action_reset(self) -> None:
        self.post_message(self.Reset(self))

    @on(Input.Changed)
    @on(Select.Changed)
    @on(Toggle.Changed)
    def _take(self, event: Input.Changed | Select.Changed | Toggle.Changed) -> None:
        event.stop()
        text = ("yes" if event.on else "no") if isinstance(event, Toggle.Changed) else str(event.value)
        if text != self.text:  # an editor also reports its initial value
            self.text = text
            self.post_message(self.Entered(self, text))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Submitted(self))

    def on_descendant_focus(self) -> None:
        self.post_message(self.Focused(self))

    async def on_descendant_blur(self) -> None:
        if isinstance(self.editor, Input) and (self._is_switch or self._is_list):  # it is one value again
            await self.exchange_editor()
        self.post_message(self.Focused(self, left=True))
