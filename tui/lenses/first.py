"""Which lens a run is first looked at with: the one that its recipe names."""

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.settings.recipes import read_shipped


def lens_of_recipe(run: RunDirectory) -> str:
    """Return the name of the lens that the recipe of a run names; empty where it names none, or there is no such recipe."""
    name = run.meta().get("recipe")
    try:
        return read_shipped(name).lens if isinstance(name, str) and name.replace("-", "").isalnum() else ""
    except UserError:
        return ""
