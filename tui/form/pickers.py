"""The pickers at the top of the form, model, recipe and data, and the help line at its foot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Select, Static

from torchtty.engine.contract.experiments.values import may_vary
from torchtty.engine.contract.settings.catalogue import Dataset, catalogue
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.fields import FieldSpec, show
from torchtty.engine.contract.settings.recipes import Recipe
from torchtty.tui.form.draft import Draft
from torchtty.tui.form.edited_line import EditedLine, face_of_choice
from torchtty.tui.form.path_row import PathRow
from torchtty.tui.format import size

NOT_A_NAME = "\N{HORIZONTAL ELLIPSIS}"  # begins a value that is no name of a recipe or dataset
A_FILE = f"{NOT_A_NAME}file"
OWN_DEFAULTS = f"{NOT_A_NAME}defaults"  # no recipe
EDITOR_AT = 10  # the column where the list begins
SHOWN = 8  # of the values of a setting
BEFORE_NAME = "   "  # between an entry's title and its name


class Picker(EditedLine):
    """A label and a drop-down list on one line."""

    EDITOR_AT = EDITOR_AT

    @dataclass
    class Picked(Message):
        """Another entry was chosen."""

        picker: "Picker"
        value: str

    @dataclass
    class Focused(Message):
        """The picker was entered."""

        picker: "Picker"

    def __init__(
        self, label: str, options: list[tuple[str, str]], value: str, id: str, shows_names: bool = False
    ) -> None:
        super().__init__(id=id)
        self.label = label
        self._shows_names = shows_names
        self._options = options
        self.value = value

    def make_editor(self) -> Widget:
        return Select(self._listed(), value=self.value, allow_blank=False, compact=True)

    def render(self) -> RenderResult:
        label = Content.styled(f"  {self.label}".ljust(EDITOR_AT), "bold")
        if self.editor is not None:
            return label
        title = next(title for title, name in self._options if name == self.value)
        return Content.assemble(label, face_of_choice(title, self.size.width - EDITOR_AT))

    def show_value(self, value: str, options: list[tuple[str, str]] | None = None) -> None:
        """Show an entry, also of other options, without posting `Picked`."""
        changed = options is not None and options != self._options
        self._options = options or self._options
        self.value = value
        self.refresh()
        for select in self.query(Select):
            with select.prevent(Select.Changed):
                if changed:
                    select.set_options(self._listed())
                select.value = value

    def _listed(self) -> list[tuple[RenderableType, str]]:
        """Return the entries as Rich texts, in which typing in the list searches: Textual does not search its own Content."""
        if not self._shows_names:
            return [(Text(title), name) for title, name in self._options]
        wide = max(len(title) for title, _ in self._options)
        listed: list[tuple[RenderableType, str]] = []
        for title, name in self._options:
            shown = "" if name.startswith(NOT_A_NAME) else name
            listed.append((Text.assemble(title.ljust(wide), BEFORE_NAME, (shown, "dim")), name))
        return listed

    def on_select_changed(self, event: Select.Changed) -> None:
        event.stop()
        if event.value != self.value:
            self.value = str(event.value)
            self.post_message(self.Picked(self, self.value))

    def on_descendant_focus(self) -> None:
        self.post_message(self.Focused(self))


class Pickers(Vertical):
    """Model, recipe and data, and the path of a file where the data is one."""

    BINDING_GROUP_TITLE = "Recipes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete", "delete_recipe", "delete", id="form.delete_recipe", tooltip="Delete this recipe of yours")
    ]

    @dataclass
    class DeletionWanted(Message):
        """The key that deletes a recipe was pressed on one of the person's own."""

        recipe: str

    def __init__(self, recipes: Mapping[str, Recipe], draft: Draft) -> None:
        super().__init__()
        self.recipes = recipes
        self._draft = draft
        self._dataset_spec = next(spec for spec in draft.specs() if spec.path == "data.dataset")

    def compose(self) -> ComposeResult:
        models = [(family.title, kind) for kind, family in FAMILIES.items()]
        yield Picker("Model", models, self._draft.family, id="model")
        yield Picker("Recipe", self._recipes(), self._draft.recipe or OWN_DEFAULTS, id="recipe", shows_names=True)
        yield Picker("Data", datasets(self._draft), self._dataset(), id="data")
        yield PathRow(self._dataset_spec, self._draft.text("data.dataset"))
        yield Static(id="data-problem")

    def on_mount(self) -> None:
        self.show(self._draft)

    @property
    def file_row(self) -> PathRow:
        return self.query_one(PathRow)

    @property
    def is_about_a_file(self) -> bool:
        """Whether the focus is where a person's own data is chosen."""
        return self._dataset() == A_FILE and (
            self.file_row.has_focus_within or self.query_one("#data", Picker).has_focus_within
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return action != "delete_recipe" or self._own_recipe() is not None

    def _own_recipe(self) -> Recipe | None:
        """Return the recipe whose picker has the focus, if it is one of the person's own."""
        picker = self.query_one("#recipe", Picker)
        recipe = self.recipes.get(picker.value) if picker.has_focus_within else None
        return recipe if recipe is not None and recipe.is_own else None

    def action_delete_recipe(self) -> None:
        if (recipe := self._own_recipe()) is not None:
            self.post_message(self.DeletionWanted(recipe.name))

    def show(self, draft: Draft) -> None:
        self._draft = draft
        self.query_one("#model", Picker).show_value(draft.family)
        self.query_one("#recipe", Picker).show_value(draft.recipe or OWN_DEFAULTS)
        self.query_one("#data", Picker).show_value(self._dataset(), datasets(draft))
        self.file_row.ask_for(reads_text=draft.reads_text)
        self.file_row.show_text(draft.text("data.dataset"))
        self.file_row.display = self._dataset() == A_FILE

    def offer(self, recipes: Mapping[str, Recipe]) -> None:
        self.recipes = recipes
        self.query_one("#recipe", Picker).show_value(self._draft.recipe or OWN_DEFAULTS, self._recipes())

    def _recipes(self) -> list[tuple[str, str]]:
        titles = [(recipe.title, name) for name, recipe in self.recipes.items()]
        return [*titles, ("the model's own defaults", OWN_DEFAULTS)]

    def mark(self, problem: str) -> None:
        is_file = self._dataset() == A_FILE
        self.file_row.mark(modified=False, problem=problem if is_file else "")
        line = self.query_one("#data-problem", Static)
        line.display = bool(problem) and not is_file
        line.update(Content(problem))

    def ask_for_a_file(self) -> None:
        """Show and focus the field for a path."""
        self._draft.set("data.dataset", "")
        self.show(self._draft)
        self.file_row.focus_editor()

    def _dataset(self) -> str:
        name = self._draft.value("data.dataset")
        return name if name in catalogue() else A_FILE


def datasets(draft: Draft) -> list[tuple[str, str]]:
    """List the datasets that suit a draft's model and the one it has, and last the entry for a file."""
    wanted = ("items", "text") if draft.reads_text else ("images",)
    chosen = draft.value("data.dataset")
    fitting = [entry for entry in catalogue().values() if entry.kind in wanted or entry.name == chosen]
    file = "a text of your own…" if draft.reads_text else "a folder of images…"
    return [*((_title(entry), entry.name) for entry in fitting), (file, A_FILE)]


def _how_to_give_several(spec: FieldSpec) -> str:
    """Say how a setting is given several values."""
    if spec.choices or spec.type is bool:
        return "several: press ,"
    if spec.type is str:
        return "several: a.txt,b.txt"
    return "several: 1,2 or 1..10" if spec.type is int else "several: 1,2 or 1e-4..1e-1 log 7"


def _title(entry: Dataset) -> str:
    return entry.name if entry.embedded else f"{entry.name}  ↓ {size(entry.download_size)}"


class HelpLine(Widget):
    """A few lines of text; what does not fit is marked by an ellipsis and can be scrolled to."""

    def __init__(self) -> None:
        super().__init__()
        self.content = Content()
        self._top = 0  # the first line in view

    def explain(self, draft: Draft, spec: FieldSpec) -> None:
        """Show a setting's help, its range, its unit and its initial value, or the values that it stands for."""
        start = draft.base[spec.section].get("kind") if spec.name == "kind" else draft.start(spec.path)
        facts = [spec.allowed(), f"in {spec.unit}" if spec.unit else ""]
        if draft.is_live:
            facts.append("enter applies it")
        elif values := draft.several.get(spec.path):
            facts = [f"{len(values)} values: {', '.join(map(show, values[:SHOWN]))}{', …' * (len(values) > SHOWN)}"]
            facts.append(f"ctrl+z brings back {show(start)}")
        else:
            origin = "parent" if draft.fork else "recipe" if draft.recipe else "default"
            facts.append(f"{origin} {show(start) if start != '' else 'empty'}")
            facts.append("can change while it trains" if spec.live else "")
            facts.append(_how_to_give_several(spec) if draft.takes_several and may_vary(spec) else "")
        name = spec.name if spec.name != "kind" else spec.section
        self._show(name, f"{draft.help(spec)}\n", " · ".join(filter(None, facts)))

    def explain_section(self, title: str, names: list[str]) -> None:
        """Show which settings a folded section holds."""
        self._show(title, ", ".join(names))

    def explain_picker(self, picker: Picker, pickers: Pickers) -> None:
        """Show a description of the entry that is chosen in a picker."""
        if picker.id == "model":
            family = FAMILIES[picker.value]
            name, text = family.title, family.summary
        elif picker.id == "recipe":
            recipe = pickers.recipes.get(picker.value)
            name = recipe.name if recipe else "defaults"
            text = " ".join(recipe.about.split()) if recipe else "The model's own settings, without a recipe."
            assert recipe or picker.value == OWN_DEFAULTS
        else:
            entry = catalogue().get(picker.value)
            name = entry.name if entry else "file"
            text = (
                f"{entry.description} {entry.licence}" if entry else "A text of your own: a file, a table, or a folder."
            )
        self._show(name, text)

    def _show(self, name: str, text: str, facts: str = "") -> None:
        self.content = Content.assemble((name, "bold"), "  ", text, (facts, "$foreground 60%"))
        self._top = 0
        self.refresh(layout=True)

    def scroll_page(self, direction: int) -> bool:
        """Scroll by a page down (1) or up (-1); return whether there was anything to scroll to."""
        return self._scroll(direction * max(1, self.size.height - 1))

    def _scroll(self, lines: int) -> bool:
        last = max(0, len(self.content.wrap(max(1, self.size.width))) - self.size.height)
        top, self._top = self._top, min(max(self._top + lines, 0), last)
        if self._top != top:
            self.refresh()
        return self._top != top

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self._scroll(1)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self._scroll(-1)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return len(self.content.wrap(max(1, width)))

    def render(self) -> RenderResult:
        width, height = self.size
        lines = self.content.wrap(max(1, width))
        shown = lines[self._top : self._top + height]
        if shown and self._top + height < len(lines):
            shown[-1] = Content.assemble(shown[-1].rstrip().truncate(width - 2), " …")
        return Content("\n").join(shown)
