"""`torchtty models`, and the help of `train` and `resume`: models, recipes and their settings, from their declaration."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import chain
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.client.own_recipes import delete_recipe
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.configuration import kinds, specs, starting_tree, variant
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.fields import FieldSpec, describe, show
from torchtty.tui.cli.arguments import Preset, preset_named, recipes
from torchtty.tui.cli.console import Exit, grid, notify, output, print_json

USAGE = (
    "torchtty train MODEL|RECIPE|FILE.toml [--section.field VALUE …] [--name NAME] [--no-fallback] [--detach] [--json]"
)
OPTIONS = (
    ("--name NAME", "The run's name; otherwise it is named after its recipe or model, with a number."),
    ("--no-fallback", "Fail if a recipe's download fails, instead of training its offline fallback."),
    ("--detach", "Return once the run trains or is queued, and print its name; it continues in the background."),
    ("--json", "Print the result as one JSON object, and nothing else, on stdout."),
    ("--help", "Show this message."),
)
NAME = "bold cyan"  # the style of what a person types


def models(name: str | None, *, as_json: bool) -> int:
    """List the families and recipes, or the settings of one; return the exit code."""
    if as_json:
        print_json(_described(name) if name else [_described(kind) for kind in FAMILIES])
    elif name:
        print_settings(output(), preset_named(name))
    else:
        console = output()
        console.print(_everything())
        console.print()
        console.print(Text("The settings of one:  torchtty models NAME", "dim"))
    return Exit.DONE


def _described(name: str) -> dict[str, Any]:
    preset = preset_named(name)
    settings = [
        asdict(spec)
        | {"type": spec.type.__name__, "value": preset.tree.get(spec.section, {}).get(spec.name, spec.default)}
        for spec in specs(preset.kind, preset.tree)
    ]
    return {"name": name, "kind": preset.kind, "title": preset.title, "about": preset.about, "settings": settings}


def _print(console: Console, usage: str, *parts: RenderableType) -> None:
    """Print the usage on one line, and below it the parts, a blank line before each."""
    console.print(Text.assemble(("Usage: ", "bold"), usage), soft_wrap=True)
    for part in parts:
        console.print()
        console.print(part)


def _titled(title: str, *parts: RenderableType) -> Group:
    return Group(Text(title, "bold"), *parts)


def _everything() -> Group:
    """Return the tables of all models and recipes."""
    families = grid(((family.kind, Text(family.summary)) for family in FAMILIES.values()), NAME, 16)
    return Group(_titled("Models", families), Text(), recipe_tables())


def recipe_tables() -> Group:
    """Return the table of the recipes that ship, and that of one's own if there are any."""
    found = recipes().values()
    parts: list[RenderableType] = []
    for title, own in (("Recipes", False), ("Your recipes", True)):
        of_kind = [recipe for recipe in found if recipe.is_own is own]
        rows = ((recipe.name, Text(f"{recipe.title} ({FAMILIES[recipe.family].title})")) for recipe in of_kind)
        if of_kind:
            parts += [*([Text()] if parts else []), _titled(title, grid(rows, NAME, 16))]
    return Group(*parts)


def list_recipes(*, delete: str | None, as_json: bool) -> int:
    """List the recipes, or delete one of one's own; return the exit code."""
    if delete is not None:
        notify(f"Deleted {printable_line(str(delete_recipe(delete)))}.")
    elif as_json:
        fields = ("name", "title", "about", "family", "is_own")
        print_json([{field: getattr(recipe, field) for field in fields} for recipe in recipes().values()])
    else:
        output().print(recipe_tables())
    return Exit.DONE


def print_train_help(console: Console) -> None:
    """Print how to train, and what can be trained."""
    about = Text(
        "Train a model in a process of its own and follow it. ctrl+c stops the run with a checkpoint; closing the "
        "terminal leaves it running."
    )
    more = Text("Every setting of a model or recipe:  torchtty train NAME --help", "dim")
    _print(console, USAGE, about, _everything(), _titled("Options", grid(OPTIONS, NAME, 16)), more)


def print_settings(console: Console, preset: Preset) -> None:
    """Print every setting of a preset with its value, what it may be and what it does."""
    _print(
        console,
        f"torchtty train {preset.name} [--section.field VALUE …] [options]",
        Text.assemble((preset.title, "bold"), "  ", preset.about),
        *(_section(preset.kind, preset.tree, section) for section in preset.tree),
        _titled("Options", grid(OPTIONS, NAME, 16)),
        Text(
            "The section may be left out where only one has such a field: --max_steps 500.\n"
            "* can change while the run trains and when it is resumed.",
            "dim",
        ),
    )


def _section(kind: str, tree: Mapping[str, Any], section: str) -> RenderableType:
    variants = kinds(kind, section) if section != "model" else ()  # such as the optimizers
    if not variants:
        return _titled(section, _fields([spec for spec in specs(kind, tree) if spec.section == section], tree))
    chosen = str(tree[section]["kind"])
    kind_row = _settings_table()
    kind_row.add_row(Text(f"--{section}.kind", NAME), Text(chosen), Text("one of " + ", ".join(variants), "dim"))
    parts: list[RenderableType] = [kind_row]
    for name in variants:
        if fields := describe(section, variant(kind, section, name)):
            parts.append(Padding(Text(f"with --{section}.kind {name}", "dim italic"), (0, 0, 0, 2)))
            parts.append(_fields(fields, tree if name == chosen else {}))
    return _titled(section, *parts)


def _fields(fields: Iterable[FieldSpec], tree: Mapping[str, Any]) -> Table:
    table = _settings_table()
    for spec in fields:
        value = tree.get(spec.section, {}).get(spec.name, spec.default)
        shown = show(value) if value != "" else "''"
        unit = f", in {spec.unit}" if spec.unit else ""
        meaning = Text.assemble(spec.help, " ", (f"({spec.allowed()}{unit})", "dim"))
        name = Text.assemble((f"--{spec.path}", NAME), ("*" if spec.live else "", "dim"))
        table.add_row(name, Text(shown), meaning)
    return table


def _settings_table() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.pad_edge = True
    table.add_column(min_width=34, no_wrap=True)
    table.add_column(min_width=11, no_wrap=True)
    table.add_column()
    return table


def print_fork_help(console: Console) -> None:
    """Print how to fork a run."""
    about = Text(
        "Begin a new run at a checkpoint of another, the latest or that of --step, with changed settings. Steps are counted on "
        "from there; with nothing changed the fork repeats what its parent did next. Every setting of the run can be changed "
        "as long as the weights fit: 'torchtty models MODEL' lists them. RUN is a name, the beginning of one, or latest."
    )
    options = "[--step N] [--name NAME] [--section.field VALUE …] [--detach] [--json]"
    _print(console, f"torchtty fork RUN {options}", about)


def print_resume_help(console: Console) -> None:
    """Print how to resume a run, and which settings can change then."""
    about = Text(
        "Continue a run that is paused, stopped, failed or lost exactly where it was; a finished one needs a larger "
        "--training.max_steps, or without the rule that ended it: --training.patience none. RUN is a name, the beginning of "
        "one, or latest."
    )
    live: dict[str, FieldSpec] = {}
    for spec in chain.from_iterable(specs(kind, starting_tree(kind)) for kind in FAMILIES):
        if spec.live:
            live.setdefault(spec.path, spec)
    settings = _titled("Settings that can change", _fields(live.values(), {}))
    _print(console, "torchtty resume RUN [--section.field VALUE …] [--detach] [--json]", about, settings)
