"""The pickers at the top of the form: model, recipe and data."""

from collections.abc import Mapping

from rich.console import RenderableType
from rich.text import Text
from textual.app import ComposeResult, RenderResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import DescendantFocus
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Select, Static

from torchtty.engine.contract.settings.catalogue import Dataset, catalogue
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.recipes import Recipe
from torchtty.tui.form.draft import Draft
from torchtty.tui.form.edited_line import EditedLine, face_of_choice
from torchtty.tui.form.row import FieldRow
from torchtty.tui.format import size

NOT_A_NAME = "\N{HORIZONTAL ELLIPSIS}"  # begins a value that is no name of a recipe or dataset
A_FILE = f"{NOT_A_NAME}file"
OWN_DEFAULTS = f"{NOT_A_NAME}defaults"  # no recipe
EDITOR_AT = 10  # the column where the list begins
BEFORE_NAME = "   "  # between an entry's title and its name


class Picker(EditedLine):
    """A label and a drop-down list on one line."""

    EDITOR_AT = EDITOR_AT

    class Picked(Message):
        """Another entry was chosen."""

        def __init__(self, picker: "Picker", value: str) -> None:
            super().__init__()
            self.picker = picker
            self.value = value

    class Focused(Message):
        """The picker was entered."""

        def __init__(self, picker: "Picker") -> None:
            super().__init__()
            self.picker = picker

    def __init__(
        self, label: str, options: list[tuple[str, str]], value: str, id: str, shows_names: bool = False
    ) -> None:
        super().__init__(id=id)
        self.label = label
        self._shows_names = shows_names
        self._options = options
        self._value = value

    @property
    def value(self) -> str:
        return self._value

    def make_editor(self) -> Widget:
        return Select(self._listed(), value=self._value, allow_blank=False, compact=True)

    def render(self) -> RenderResult:
        label = Content.styled(f"  {self.label}".ljust(EDITOR_AT), "bold")
        if self.editor is not None:
            return label
        title = next(title for title, name in self._options if name == self._value)
        return Content.assemble(label, face_of_choice(title, self.size.width - EDITOR_AT))

    def show_value(self, value: str) -> None:
        """Show an entry without posting `Picked`."""
        self._value = value
        self.refresh()
        for select in self.query(Select):
            with select.prevent(Select.Changed):
                select.value = value

    def show_options(self, options: list[tuple[str, str]], value: str) -> None:
        """Replace the entries."""
        self._value = value
        if options == self._options:
            self.show_value(value)
            return
        self._options = options
        for select in self.query(Select):
            with select.prevent(Select.Changed):
                select.set_options(self._listed())
                select.value = value
        self.refresh()

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
        if event.value != self._value:
            self._value = str(event.value)
            self.post_message(self.Picked(self, self._value))

    def on_descendant_focus(self, event: DescendantFocus) -> None:  # noqa: ARG002
        self.post_message(self.Focused(self))


class Pickers(Vertical):
    """Model, recipe and data, and the path of a file where the data is one."""

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
        yield FieldRow(self._dataset_spec, self._draft.text("data.dataset"), label="path of the file")
        yield Static(id="data-problem")

    def on_mount(self) -> None:
        self.show(self._draft)

    @property
    def file_row(self) -> FieldRow:
        return self.query_one(FieldRow)

    def show(self, draft: Draft) -> None:
        """Show the model, recipe and data of a draft."""
        self._draft = draft
        self.query_one("#model", Picker).show_value(draft.family)
        self.query_one("#recipe", Picker).show_value(draft.recipe or OWN_DEFAULTS)
        self.query_one("#data", Picker).show_options(datasets(draft), self._dataset())
        self.file_row.show_text(draft.text("data.dataset"))
        self.file_row.display = self._dataset() == A_FILE

    def offer(self, recipes: Mapping[str, Recipe]) -> None:
        """Replace the recipes to choose from."""
        self.recipes = recipes
        self.query_one("#recipe", Picker).show_options(self._recipes(), self._draft.recipe or OWN_DEFAULTS)

    def _recipes(self) -> list[tuple[str, str]]:
        titles = [(recipe.title, name) for name, recipe in self.recipes.items()]
        return [*titles, ("the model's own defaults", OWN_DEFAULTS)]

    def mark(self, problem: str) -> None:
        """Show the problem of the data, if any."""
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
    file = "a text file…" if draft.reads_text else "a folder of images…"
    return [*((_title(entry), entry.name) for entry in fitting), (file, A_FILE)]


def _title(entry: Dataset) -> str:
    return entry.name if entry.embedded else f"{entry.name}  ↓ {size(entry.download_size)}"
