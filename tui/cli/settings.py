"""The settings of a model family as tables, printed from their declaration."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.settings.configuration import specs, starting_tree
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.fields import FieldSpec, show
from torchtty.tui.cli.choices import Choice, recipes
from torchtty.tui.cli.flags import variants_of

USAGE = (
    "torchtty train MODEL|RECIPE|FILE.toml [--section.field VALUE …] [--name NAME] [--no-fallback] [--detach] [--json]"
)


def print_train_help(console: Console) -> None:
    """Say how to train and what."""
    console.print(Text.assemble(("Usage: ", "bold"), USAGE), soft_wrap=True)
    console.print()
    console.print(
        Text(
            "Trains a model in a process of its own and follows it. ctrl+c stops the run and keeps a checkpoint; "
            "closing the terminal leaves it running."
        )
    )
    console.print()
    console.print(Group(_heading("Models"), families_table(), Text(), _heading("Recipes"), recipes_table()))
    console.print()
    console.print(Group(_heading("Options"), _options()))
    console.print()
    console.print(Text("Every setting of a model:  torchtty train gpt --help", "dim"))


def print_settings(console: Console, choice: Choice) -> None:
    """List every setting of a choice with its value at the start, what it takes and what it does."""
    console.print(
        Text.assemble(("Usage: ", "bold"), f"torchtty train {choice.name} [--section.field VALUE …] [options]"),
        soft_wrap=True,
    )
    console.print()
    console.print(Text.assemble((choice.title, "bold"), "  ", choice.about))
    for section in choice.tree:
        console.print()
        console.print(_section(choice.kind, choice.tree, section))
    console.print()
    console.print(Group(_heading("Options"), _options()))
    console.print()
    console.print(Text("A section may be left out where only one has such a field: --max_steps 500.", "dim"))
    console.print(Text("* can change while the run trains, and when it is resumed.", "dim"))


def families_table() -> Table:
    """List the model families."""
    table = _plain_table()
    for family in FAMILIES.values():
        table.add_row(Text(family.kind, "bold cyan"), Text(family.summary))
    return table


def recipes_table() -> Table:
    """List the recipes."""
    table = _plain_table()
    for recipe in recipes().values():
        table.add_row(Text(recipe.name, "bold cyan"), Text(f"{recipe.title} ({FAMILIES[recipe.family].title})"))
    return table


def _options() -> Table:
    table = _plain_table()
    for flag, meaning in (
        ("--name NAME", "Call the run so; otherwise it is named after its recipe or model and numbered."),
        ("--no-fallback", "Fail where a recipe's download cannot be had, instead of training what comes closest."),
        ("--detach", "Return at once with the run's name; it trains on in the background, and never falls back."),
        ("--json", "Print the result as one JSON object, and nothing else, on stdout."),
        ("--help", "Show this message."),
    ):
        table.add_row(Text(flag, "bold cyan"), Text(meaning))
    return table


def _section(kind: str, tree: Mapping[str, Any], section: str) -> RenderableType:
    variants = variants_of(kind, section)
    if not variants:
        return Group(_heading(section), _fields([spec for spec in specs(kind, tree) if spec.section == section], tree))
    chosen = str(tree[section]["kind"])
    parts: list[RenderableType] = [_heading(section)]
    kind_row = _settings_table()
    kind_row.add_row(Text(f"--{section}.kind", "bold cyan"), Text(chosen), Text("one of " + ", ".join(variants), "dim"))
    parts.append(kind_row)
    for name, fields in variants.items():
        if fields:
            parts.append(Padding(Text(f"with --{section}.kind {name}", "dim italic"), (0, 0, 0, 2)))
            parts.append(_fields(fields, tree if name == chosen else {}))
    return Group(*parts)


def _fields(fields: list[FieldSpec], tree: Mapping[str, Any]) -> Table:
    table = _settings_table()
    for spec in fields:
        value = tree.get(spec.section, {}).get(spec.name, spec.default)
        shown = show(value) if value != "" else "''"
        meaning = Text.assemble(
            spec.help, " ", (f"({spec.allowed()}{f', in {spec.unit}' if spec.unit else ''})", "dim")
        )
        name = Text.assemble((f"--{spec.path}", "bold cyan"), ("*" if spec.live else "", "dim"))
        table.add_row(name, Text(shown), meaning)
    return table


def _settings_table() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.pad_edge = True
    table.add_column(min_width=34, no_wrap=True)
    table.add_column(min_width=11, no_wrap=True)
    table.add_column()
    return table


def _plain_table() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=16, no_wrap=True)
    table.add_column()
    return table


def _heading(text: str) -> Text:
    return Text(text, "bold")


def print_resume_help(console: Console) -> None:
    """Say how to resume and which settings can change then."""
    usage = "torchtty resume RUN [--section.field VALUE …] [--detach] [--json]"
    console.print(Text.assemble(("Usage: ", "bold"), usage), soft_wrap=True)
    console.print()
    console.print(
        Text(
            "Goes on with a run that pauses, was stopped or was lost, exactly where it was; a finished one needs a "
            "larger --training.max_steps. RUN is a name, the beginning of one, or latest."
        )
    )
    console.print()
    tree = starting_tree("gpt")
    live = [spec for spec in specs("gpt", tree) if spec.live]
    console.print(Group(_heading("Settings that can change"), _fields(live, {})))
