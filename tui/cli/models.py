"""`torchtty models`: the model families, and the settings of one."""

from dataclasses import asdict
from typing import Any

from rich.text import Text

from torchtty.engine.contract.settings.configuration import specs, starting_tree
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.tui.cli.choices import chosen
from torchtty.tui.cli.console import Exit, output, print_json
from torchtty.tui.cli.settings import families_table, print_settings, recipes_table


def models(name: str | None, *, as_json: bool) -> int:
    """List the families and recipes, or the settings of one; return the exit code."""
    if as_json:
        print_json(_described(name) if name else [_described(kind) for kind in FAMILIES])
    elif name:
        print_settings(output(), chosen(name))
    else:
        console = output()
        console.print(Text("Models", "bold"))
        console.print(families_table())
        console.print()
        console.print(Text("Recipes", "bold"))
        console.print(recipes_table())
        console.print()
        console.print(Text("Their settings:  torchtty models gpt", "dim"))
    return Exit.DONE


def _described(name: str) -> dict[str, Any]:
    choice = chosen(name)
    tree = starting_tree(choice.kind) if choice.recipe is None else choice.tree
    settings = [
        asdict(spec) | {"type": spec.type.__name__, "value": tree.get(spec.section, {}).get(spec.name, spec.default)}
        for spec in specs(choice.kind, tree)
    ]
    return {"name": name, "kind": choice.kind, "title": choice.title, "about": choice.about, "settings": settings}
