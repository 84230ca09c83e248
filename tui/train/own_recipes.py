"""Recipes of a person's own in the form: offered beside the shipped ones, saved from its settings, deleted."""

from collections.abc import Callable
from functools import partial

from torchtty.engine.contract.client.own_recipes import all_recipes, delete_recipe
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.recipes import Recipe
from torchtty.tui.form.dialogs import SaveRecipeDialog
from torchtty.tui.form.form import Form


def offer_recipes(form: Form, on_error: Callable[[UserError], None] = lambda _: None) -> None:
    """Offer all recipes that can be read. `on_error` gets what is wrong with the others, which is told once, at the start."""
    form.offer(all_recipes(on_error=on_error))


def save_recipe(form: Form) -> None:
    """Ask for a name, save the form's settings, which are valid, as a recipe, and go on from it."""
    draft = form.draft
    if kinds := [path for path in draft.several if path.endswith(".kind")]:
        what = kinds[0].partition(".")[0]
        _complain(form, f"A recipe has one kind of {what}, and there are several here: choose one to save it.")
        return
    origin = form.recipes.get(draft.recipe or "")
    about = origin.about if origin is not None else "A recipe of your own."
    dialog = SaveRecipeDialog(draft.portable(), about, form.recipes, draft.several)
    form.app.push_screen(dialog, partial(_go_on_from, form))


def _go_on_from(form: Form, recipe: Recipe | None) -> None:
    if recipe is None:
        return
    offer_recipes(form)
    form.choose_recipe(recipe.name, afresh=True)
    form.explain_recipe()
    said = f"Saved. 'torchtty {'sweep' if recipe.grid else 'train'} {recipe.name}' trains it too."
    if recipe.grid:
        said += f" Its {len(recipe.runs())} runs are its grid: the form shows the first, and ctrl+g trains all."
    form.notify(said, markup=False)


def forget_recipe(form: Form, name: str) -> None:
    """Delete a recipe of the person's own; its settings stay in the form."""
    try:
        delete_recipe(name)
    except UserError as error:
        _complain(form, str(error))
        return
    form.forget_recipe(name)
    offer_recipes(form)
    form.notify(f"Deleted {name}. Its settings are still in the form: ctrl+n saves them again.", markup=False)


def _complain(form: Form, message: str) -> None:
    form.notify(message, severity="error", markup=False)
