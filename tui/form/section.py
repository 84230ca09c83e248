"""The sections of the form: rows below a heading, which folds them away where they are no essential ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalGroup
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

SUMMARY_AT = 22  # the column where the values of the rows begin
FOLD = "Show or hide the settings of this section"


class Heading(Widget):
    """The name of a section; of one that folds it has the focus in its turn, and says what is changed below it."""

    BINDING_GROUP_TITLE = "Section"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "fold", "fold", id="form.fold", key_display="enter", tooltip=FOLD),
        Binding("right", "fold(True)", "open", False, id="form.unfold"),
        Binding("left", "fold(False)", "shut", False, id="form.fold_up"),
    ]

    @dataclass
    class Focused(Message):
        """The heading got the focus."""

        section: "FormSection"

    def __init__(self, section: "FormSection") -> None:
        super().__init__(classes="section-name")
        self.section = section
        self.summary = ""
        self.is_wrong = False

    def sum_up(self, summary: str, *, wrong: bool) -> None:
        """Say what is below: how many settings are changed, or wrong."""
        if (summary, wrong) != (self.summary, self.is_wrong):
            self.summary, self.is_wrong = summary, wrong
            self.refresh()

    def render(self) -> RenderResult:
        section = self.section
        if not section.folds:
            return Content.styled(f"  {section.title}", "$text-primary")
        arrow = "▾" if section.is_open else "▸"
        name = f"{arrow} {section.title}".ljust(SUMMARY_AT)
        style = "$text-error" if self.is_wrong else "$text-accent"
        return Content.assemble((name, "$text-primary"), (f" {self.summary}", style))

    def on_focus(self) -> None:
        self.post_message(self.Focused(self.section))

    def on_click(self, event: Click) -> None:
        event.stop()
        self.action_fold()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return self.section.folds or action != "fold"

    def action_fold(self, unfold: bool | None = None) -> None:
        if self.section.folds:
            self.section.is_open = not self.section.is_open if unfold is None else unfold


class FormSection(VerticalGroup):
    """Rows under their heading. Those of one that folds are mounted by `fill`: the form is on the screen sooner without them."""

    def __init__(self, title: str, rows: Iterable[Widget], *, folds: bool) -> None:
        self.title = title
        self.folds = folds
        self.heading = Heading(self)
        self.heading.can_focus = folds
        self._unmounted = tuple(rows) if folds else ()
        self.body = VerticalGroup(*(() if folds else rows))
        self._is_open = not folds
        super().__init__(self.heading, self.body)
        self.body.display = self._is_open
        self.set_class(folds, "-folds")

    def fill(self) -> None:
        """Mount the rows, if that has been put off."""
        rows, self._unmounted = self._unmounted, ()
        if rows:
            self.body.mount(*rows)

    @property
    def is_open(self) -> bool:
        return self._is_open

    @is_open.setter
    def is_open(self, is_open: bool) -> None:
        self.fill()
        self._is_open = self.body.display = is_open
        self.heading.refresh()

    def set_folds(self, folds: bool) -> None:
        """Fold the rows away or not; one that folds is shut until it is opened."""
        if folds != self.folds:
            self.folds = self.heading.can_focus = folds
            self.set_class(folds, "-folds")
            self.is_open = not folds


def unfold(row: Widget) -> None:
    """Open the section that a row is in."""
    for ancestor in row.ancestors:
        if isinstance(ancestor, FormSection) and not ancestor.is_open:
            ancestor.is_open = True
