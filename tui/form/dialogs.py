"""What the form's settings become besides a run: a command to copy, and a recipe of one's own."""

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from torchtty.engine.contract.client.own_recipes import recipe_name, save_recipe
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.values import Value
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.recipes import Recipe
from torchtty.tui.shell.dialog import Dialog
from torchtty.tui.shell.inputs import OrderedInput


class CommandDialog(Dialog[None]):
    """Shows a command, which is on the clipboard already where the terminal lets programs write to it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "dismiss", "close", id="command.close", tooltip="Close the command")
    ]
    DEFAULT_CSS = "CommandDialog > Vertical { width: 80; max-height: 90%; }"

    def __init__(self, command: str) -> None:
        super().__init__()
        self.command = command

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("The command that starts this", classes="title")
            yield Static(Content(printable_line(self.command)), id="command")
            yield Static(
                "It is on the clipboard, if your terminal allows programs to write to it (OSC 52); else select it here "
                "with the mouse. enter closes.",
                classes="help",
            )


class SaveRecipeDialog(Dialog[Recipe]):
    """Saves settings as a recipe and returns it, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="recipe.cancel", tooltip="Save no recipe")
    ]
    DEFAULT_CSS = "SaveRecipeDialog > Vertical { width: 80; }"

    def __init__(
        self,
        tree: Tree,
        about: str,
        recipes: Mapping[str, Recipe],
        grid: Mapping[str, tuple[Value, ...]] | None = None,
    ) -> None:
        """`grid` holds the settings with several values."""
        super().__init__()
        self._tree = tree
        self._grid = grid or {}
        self._about = about
        self._recipes = recipes

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("Save these settings as a recipe", classes="title")
            yield OrderedInput(placeholder="its title, such as: a wider GPT on my poems", compact=True, max_length=60)
            yield Static(classes="help")

    def on_mount(self) -> None:
        self._explain()

    @on(Input.Changed)
    def _explain(self, event: Input.Changed | None = None) -> None:
        name = recipe_name(event.value) if event is not None else ""
        verb = "sweep" if self._grid else "train"
        text = f"enter saves it, escape leaves it. It will train with 'torchtty {verb} {name or 'NAME'}' too."
        known = self._recipes.get(name)
        if known is not None and known.is_own:
            text = f"enter saves it in place of your recipe {name}, escape leaves it."
        self.say(text)

    @on(Input.Submitted)
    def _save(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            recipe = save_recipe(event.value, self._tree, self._recipes, self._about, self._grid)
        except UserError as error:
            self.say(str(error), problem=True)
        else:
            self.dismiss(recipe)
