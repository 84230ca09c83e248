"""The form: pickers, the settings of the chosen model in sections, and a line of help.

Each setting's row is built once and then shown and hidden, since composing a new form takes 150 ms.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.data import FIELD
from torchtty.engine.contract.settings.fields import FieldSpec
from torchtty.engine.contract.settings.recipes import Recipe
from torchtty.tui.form.data_preview import DataPreview
from torchtty.tui.form.draft import Draft
from torchtty.tui.form.path_row import PathInput
from torchtty.tui.form.pickers import A_FILE, OWN_DEFAULTS, HelpLine, Picker, Pickers
from torchtty.tui.form.row import FieldRow
from torchtty.tui.form.section import FormSection, Heading

ESSENTIALS = ""
NEXT, PREVIOUS = "To the next section", "To the previous section"


def _section_of(spec: FieldSpec) -> str:
    """Name the section of the form that a setting stands in: all essential ones share the first."""
    return ESSENTIALS if spec.essential else spec.section


class Form(Vertical):
    """The settings of the next run, or those of a running run that can change while it trains."""

    BINDING_GROUP_TITLE = "Settings"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "section(1)", "next section", False, id="form.next_section", tooltip=NEXT),
        Binding("pageup", "section(-1)", "previous section", False, id="form.previous_section", tooltip=PREVIOUS),
        # At once, before a key typed after it is passed on: that one is for the field where the focus goes.
        Binding("tab", "move_focus(1)", show=False, priority=True),
        Binding("shift+tab", "move_focus(-1)", show=False, priority=True),
    ]

    @dataclass
    class Changed(Message):
        """A value of the next run changed."""

        draft: Draft

    @dataclass
    class LiveEdit(Message):
        """Enter was pressed on a changed setting of the running run."""

        path: str
        value: bool | int | float | str | None

    def __init__(self, recipes: Mapping[str, Recipe], first: str) -> None:
        super().__init__()
        self.recipes = recipes
        self.draft = Draft.from_recipe(recipes[first])
        self._drafts: dict[str, Draft] = {first: self.draft}  # a draft stays when another recipe is chosen
        self.live: Draft | None = None
        self.rows: dict[FieldSpec, FieldRow] = {}
        self._sections: dict[str, FormSection] = {}
        for name, specs in groupby(self._wanted(), _section_of):
            self._make_section(name, specs)

    def compose(self) -> ComposeResult:
        yield Pickers(self.recipes, self.draft)
        yield Static(id="fork-title")
        yield Static(id="live-title")
        yield VerticalScroll(*self._sections.values(), can_focus=False)
        yield HelpLine()
        yield DataPreview()

    def on_mount(self) -> None:
        self._arrange()
        self.explain_recipe()
        self.call_after_refresh(self._fill)

    @property
    def shown(self) -> Draft:
        """The draft on the screen: that of the next run, or the live one."""
        return self.live or self.draft

    @property
    def preview(self) -> DataPreview:
        return self.query_one(DataPreview)

    @property
    def pickers(self) -> Pickers:
        return self.query_one(Pickers)

    def offer(self, recipes: Mapping[str, Recipe]) -> None:
        """Replace the recipes to choose from; the draft stays."""
        self.recipes = recipes
        self.pickers.offer(recipes)

    def listed_rows(self) -> list[FieldRow]:
        """Return the rows of the draft on the screen in their order, those of a folded section too."""
        return [self.rows[spec] for spec in self._wanted()]

    def row(self, path: str) -> FieldRow:
        """Return the row of a setting."""
        if path == "data.dataset":
            return self.pickers.file_row
        self._fill()
        return next(row for row in self.listed_rows() if row.path == path)

    def show_live(self, title: str, draft: Draft) -> None:
        """Show the settings of a running run that can change while it trains."""
        self.live = draft
        draft.is_live = True
        self.query_one("#live-title", Static).update(Content(f"{title}: settings that can change while it trains"))
        self._arrange()

    def show_next(self) -> None:
        was_live, self.live = self.live is not None, None
        self._arrange()
        if was_live:
            self.explain_recipe()

    def start_from(self, draft: Draft) -> None:
        """Replace the draft, such as by the settings of an earlier run."""
        self.draft = draft
        self.show_next()
        self.explain_recipe()
        self.post_message(self.Changed(draft))

    def explain_recipe(self) -> None:
        """Show what the recipe is about, below the settings."""
        self.query_one(HelpLine).explain_picker(self.pickers.query_one("#recipe", Picker), self.pickers)

    def choose_model(self, family: str) -> None:
        """Show the draft of a model with its defaults, or as it was left."""
        self._show_draft(f"model {family}", lambda: Draft.from_family(family, self.draft))

    def choose_recipe(self, name: str, *, afresh: bool = False) -> None:
        """Show the draft of a recipe, as it was left if not `afresh`."""
        if afresh:
            self._drafts.pop(name, None)
        self._show_draft(name, lambda: Draft.from_recipe(self.recipes[name]))

    def forget_recipe(self, name: str) -> None:
        """Have the draft of a recipe that was deleted go on as one of its model."""
        self._drafts.pop(name, None)
        if self.draft.recipe == name:
            self.start_from(Draft.like(self.draft.tree, None))

    def first_problem(self) -> tuple[str, str] | None:
        """Mark all problems, focus the first one's field, and return its path and message."""
        problems = self.mark()
        if not problems:
            return None
        path, message = next(iter(problems.items()))
        if path == "data.dataset" and not self.pickers.file_row.display:
            self.pickers.query_one("#data", Picker).focus_editor()
        else:
            self.row(path).focus_editor()
        return path, message

    def mark(self, *, but_what_is_typed: bool = False) -> dict[str, str]:
        """Mark every row that is modified or has a problem, a path that is being typed too if not told. Returns the problems."""
        draft, problems, several = self.shown, self.shown.problems(), self.shown.several
        if but_what_is_typed and self.pickers.file_row.is_being_typed:
            problems.pop("data.dataset", None)
        for row in self.listed_rows():
            count = len(several.get(row.path, ()))
            row.mark(modified=draft.is_modified(row.path), problem=problems.get(row.path, ""), several=count)
        self._sum_up()
        if self.live is None:
            self.pickers.mark(problems.get("data.dataset", ""))
        return problems

    # Input.

    def on_field_row_entered(self, event: FieldRow.Entered) -> None:
        event.stop()
        self._enter(event.row, event.text)

    def on_field_row_stepped(self, event: FieldRow.Stepped) -> None:
        event.stop()
        row, draft = event.row, self.shown
        if row.path in draft.several:
            return  # a step from which of them?
        draft.set(row.path, row.spec.stepped(draft.value(row.path), event.direction))
        row.show_text(draft.text(row.path))
        self._changed()

    def on_field_row_several_wanted(self, event: FieldRow.SeveralWanted) -> None:
        """Give a list all of its values, the chosen one first: what is not wanted is taken out of the text."""
        event.stop()
        row, draft = event.row, self.shown
        chosen = draft.text(row.path)
        others = [choice for choice in row.spec.choices or ("yes", "no") if choice != chosen]
        text = ",".join([chosen, *others])
        draft.enter(row.spec, text)
        row.show_text(text)
        if row.spec.name == "kind":
            self._arrange()
        self._changed()
        self._explain(row.spec)

    def on_field_row_reset(self, event: FieldRow.Reset) -> None:
        event.stop()
        self.shown.reset(event.row.path)
        if event.row.spec.name == "kind":
            self._arrange()
        event.row.show_text(self.shown.text(event.row.path))
        self._changed()

    def on_field_row_submitted(self, event: FieldRow.Submitted) -> None:
        event.stop()
        if self.live is None:
            self.screen.focus_next()
            return
        path = event.row.path
        if path not in self.mark() and self.live.is_modified(path):
            value = self.live.value(path)
            section, _, name = path.partition(".")
            self.live.base[section][name] = value
            self.mark()
            self.post_message(self.LiveEdit(path, value))

    def on_field_row_focused(self, event: FieldRow.Focused) -> None:
        event.stop()
        if event.left:
            self.mark()
            if event.row is self.pickers.file_row:
                self.preview.look(self.draft)
                self._report_change()  # what was typed is whole now
        elif event.row is self.pickers.file_row:
            self._preview()
        else:
            self._explain(event.row.spec)

    def on_data_preview_refused(self, event: DataPreview.Refused) -> None:
        event.stop()
        if event.path == FIELD and event.draft.drop_former_field():
            if event.draft is self.draft:
                self._show_dropped_field()
            return
        event.draft.report_one(event.path, event.problem)
        if event.draft is self.shown:
            self.mark(but_what_is_typed=True)

    def _show_dropped_field(self) -> None:
        """Show that the field which was chosen for other data is gone, and look into these without it."""
        self.row(FIELD).show_text("")
        self._changed()
        self.preview.look(self.draft)

    def on_heading_focused(self, event: Heading.Focused) -> None:
        event.stop()
        self._preview(wanted=False)
        name = next(name for name, section in self._sections.items() if section is event.section)
        within = [row.spec for row in self.listed_rows() if _section_of(row.spec) == name]
        self.query_one(HelpLine).remove_class("-whole")
        self.query_one(HelpLine).explain_section(event.section.title, [spec.name for spec in within])

    def on_picker_focused(self, event: Picker.Focused) -> None:
        event.stop()
        self._preview(wanted=self.pickers.is_about_a_file)
        self.query_one(HelpLine).explain_picker(event.picker, self.pickers)
        self.query_one(HelpLine).add_class("-whole")

    def on_picker_picked(self, event: Picker.Picked) -> None:
        event.stop()
        if event.picker.id == "data":
            if event.value == A_FILE:
                self.pickers.ask_for_a_file()
                self._report_change()  # without marking: nothing has been typed yet
                return
            self.draft.set("data.dataset", event.value)
            self.pickers.show(self.draft)
            if self.draft.drop_former_field():  # what the catalogue lists has none
                self.row(FIELD).show_text("")
            self._changed()
        elif event.picker.id == "model" or event.value == OWN_DEFAULTS:
            self.choose_model(self.draft.family if event.value == OWN_DEFAULTS else event.value)
        else:
            self.choose_recipe(event.value)
        self.query_one(HelpLine).explain_picker(event.picker, self.pickers)
        self._preview(wanted=self.pickers.is_about_a_file)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        completes = action == "move_focus" and parameters == (1,) and isinstance(self.screen.focused, PathInput)
        return not completes

    def action_move_focus(self, direction: int) -> None:
        if direction > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    def action_section(self, direction: int) -> None:
        """Scroll a long description while a picker has the focus, else go to the next or the previous section."""
        text = self.preview if self.preview.display else self.query_one(HelpLine)
        if self.pickers.has_focus_within and text.scroll_page(direction):
            return
        shown = [section for section in self._sections.values() if section.display]
        here = [index for index, section in enumerate(shown) if section.has_focus_within]
        index = here[0] + direction if here else (0 if direction > 0 else -1)
        if -len(shown) <= index < len(shown):
            if shown[index].folds:
                shown[index].heading.focus()
            else:
                next(row for row in self.listed_rows() if row in shown[index].body.children).focus_editor()

    # Drafts and rows.

    def _preview(self, *, wanted: bool = True) -> None:
        """Show what is in a person's own data in place of the help, or the help again."""
        self.preview.display = wanted
        self.query_one(HelpLine).display = not wanted
        if wanted:
            self.preview.look(self.draft)

    def _enter(self, row: FieldRow, text: str) -> None:
        draft = self.shown
        kind, count = draft.kind_of(row.spec.section), len(draft.several.get(row.path, ()))
        draft.enter(row.spec, text)
        if row is self.pickers.file_row:
            self.preview.look_soon(self.draft)
        if draft.kind_of(row.spec.section) != kind:
            self._arrange()
            self._explain(row.spec)
        elif len(draft.several.get(row.path, ())) != count:
            self._explain(row.spec)
        if text in row.spec.choices:
            self._changed()
            return
        # While a person types no field is marked as invalid, but marks that no longer apply are removed at once.
        problems, several = self.shown.problems(), self.shown.several
        for other in {row, *(other for other in self.listed_rows() if other.problem)}:
            modified = other is not self.pickers.file_row and self.shown.is_modified(other.path)
            problem = problems.get(other.path, "") if other.problem else ""
            other.mark(modified=modified, problem=problem, several=len(several.get(other.path, ())))
        self._sum_up()
        self._report_change()

    def _changed(self) -> None:
        self.mark()
        self._report_change()

    def _report_change(self) -> None:
        if self.live is None:
            self.post_message(self.Changed(self.draft))

    def _show_draft(self, name: str, make: Callable[[], Draft]) -> None:
        self.draft = self._drafts[name] if name in self._drafts else self._drafts.setdefault(name, make())
        self._arrange()
        self.query_one(VerticalScroll).scroll_home(animate=False)  # other settings: what they begin with is seen first
        self._changed()

    def _wanted(self) -> list[FieldSpec]:
        draft = self.shown
        return [spec for spec in draft.specs() if (spec.live if self.live is not None else spec.path != "data.dataset")]

    def _arrange(self) -> None:
        """Build missing rows, show those of the draft and hide the others."""
        draft, wanted = self.shown, self._wanted()
        with self.app.batch_update():
            for name, specs in groupby(wanted, _section_of):
                self._build(name, specs)
            for spec, row in self.rows.items():
                row.display = spec in wanted
            firsts = {name: next(specs) for name, specs in groupby(wanted, _section_of)}
            for name, box in self._sections.items():
                box.display = name in firsts
                if name in firsts:
                    box.set_folds(firsts[name].folds and self.live is None)
                    box.heading.display = bool(name) and not self.rows[firsts[name]].is_heading
            for spec in wanted:
                self.rows[spec].show_text(draft.text(spec.path))
            self.pickers.display = self.live is None
            self.query_one("#live-title").display = self.live is not None
            self._title_fork()
            if self.live is None and self.pickers.is_mounted and self.pickers.children:
                self.pickers.show(self.draft)
            self.mark()

    def _title_fork(self) -> None:
        fork = self.draft.fork if self.live is None else None
        title = self.query_one("#fork-title", Static)
        title.display = fork is not None
        if fork is not None:
            title.update(Content(printable_line(fork.title)))

    def _build(self, name: str, specs: Iterable[FieldSpec]) -> None:
        box = self._sections.get(name)
        if box is None:
            self.query_one(VerticalScroll).mount(self._make_section(name, specs))
            return
        wanted = list(specs)
        if all(spec in self.rows for spec in wanted):
            return
        box.fill()
        before: FieldRow | None = None
        for spec in wanted:
            if spec not in self.rows:
                self.rows[spec] = FieldRow(spec, self.shown.text(spec.path))
                if before is None:
                    box.body.mount(self.rows[spec], before=0 if box.body.children else None)
                else:
                    box.body.mount(self.rows[spec], after=before)
            before = self.rows[spec]

    def _fill(self) -> None:
        for section in self._sections.values():
            section.fill()

    def _make_section(self, name: str, specs: Iterable[FieldSpec]) -> FormSection:
        rows = {spec: FieldRow(spec, self.shown.text(spec.path)) for spec in specs}
        self.rows |= rows
        first = next(iter(rows))
        self._sections[name] = FormSection(first.heading, rows.values(), folds=first.folds)
        return self._sections[name]

    def _sum_up(self) -> None:
        """Say at each folded section how many of its settings are changed or wrong."""
        for name, section in self._sections.items():
            rows = [row for row in self.listed_rows() if _section_of(row.spec) == name] if section.folds else []
            wrong, changed = sum(bool(row.problem) for row in rows), sum(row.modified for row in rows)
            kind = next((row.text for row in rows if row.spec.name == "kind"), "")
            counts = f"{wrong} invalid" if wrong else f"{changed} changed" if changed else ""
            section.heading.sum_up(" · ".join(filter(None, (kind, counts))), wrong=bool(wrong))

    def _explain(self, spec: FieldSpec) -> None:
        self._preview(wanted=False)
        self.query_one(HelpLine).remove_class("-whole")
        self.query_one(HelpLine).explain(self.shown, spec)
