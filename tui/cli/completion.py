"""What a shell completes: models, recipes, runs, groups, settings and their values. Typer speaks with bash, zsh and fish.

`torchtty --install-completion` sets it up. Everything here is imported when it is asked for, and whatever goes wrong completes
nothing. Names that a shell could read as more than a name are left out.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperCommand

VARIABLE = "_TORCHTTY_COMPLETE"
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")  # which no shell expands


def answer(command: Any) -> int:
    """Write what could stand where the shell says in its variables; return the exit code."""
    try:
        command.main([], prog_name="torchtty", complete_var=VARIABLE)
    except SystemExit as end:
        return int(end.code or 0)
    except Exception:  # a traceback in the middle of a line that somebody types helps nobody
        return 1
    return 0


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete) and _NAME.fullmatch(name))


def runs(incomplete: str) -> list[str]:
    """Complete a run, or a group, which most commands take too."""
    return _beginning([*_folders("config.toml"), *_folders("group.json"), "latest"], incomplete)


def groups(incomplete: str) -> list[str]:
    """Complete a group."""
    return _beginning([*_folders("group.json"), "latest"], incomplete)


def _folders(holding: str) -> list[str]:
    from torchtty.engine.contract.paths import runs_folder

    with suppress(OSError):
        folder = runs_folder()
        return [entry.name for entry in os.scandir(folder) if os.path.isfile(folder / entry.name / holding)]
    return []


def models_and_recipes(incomplete: str) -> list[str]:
    """Complete a model or a recipe."""
    return _beginning([*_models(), *_recipes()], incomplete)


def recipes(incomplete: str) -> list[str]:
    """Complete a recipe."""
    return _beginning(_recipes(), incomplete)


def _models() -> list[str]:
    from torchtty.engine.contract.settings.families import FAMILIES

    return list(FAMILIES)


def _recipes() -> list[str]:
    from torchtty.engine.contract.client.own_recipes import all_recipes

    return list(all_recipes(on_error=lambda _: None))


def datasets(incomplete: str) -> list[str]:
    """Complete a dataset of the catalogue; files are completed by the shell itself."""
    from torchtty.engine.contract.settings.catalogue import catalogue

    return _beginning(catalogue(), incomplete)


def lenses_and_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the lens, and then the run."""
    from torchtty.engine.contract.lenses import LENSES

    return runs(incomplete) if ctx.params.get("arguments") else _beginning(LENSES, incomplete)


def pages(incomplete: str) -> list[str]:
    """Complete a page of the guide."""
    from torchtty.tui.guide import PAGES

    return _beginning(PAGES, incomplete)


def plans(incomplete: str) -> list[str]:
    """Complete a plan of a sweep."""
    from torchtty.engine.contract.experiments.plan import Kind

    return _beginning(map(str, Kind), incomplete)


def columns(incomplete: str) -> list[str]:
    """Complete the last of several columns of the list of runs."""
    from torchtty.engine.contract.listing.subjects import known_names
    from torchtty.tui.cli.run_columns import COLUMN_NAMES

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _beginning({*COLUMN_NAMES, *known_names()}, last)]


def orders(incomplete: str) -> list[str]:
    """Complete what runs are sorted by."""
    from torchtty.engine.contract.listing.subjects import SMOOTHED, known_names

    return _beginning([SMOOTHED, *known_names()], incomplete)


def tags(incomplete: str) -> list[str]:
    """Complete a tag that some run has."""
    from torchtty.engine.contract.run.directory import list_runs
    from torchtty.engine.contract.run.marks import read_marks

    return _beginning({tag for run in list_runs() for tag in read_marks(run).tags}, incomplete)


# Settings.


def start_and_values(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a model or recipe to start from, and the values of settings after it."""
    return _word_or_value(ctx, incomplete, models_and_recipes)


def run_and_values(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a run, and the values of settings after it."""
    return _word_or_value(ctx, incomplete, runs)


def _word_or_value(ctx: typer.Context, incomplete: str, words: Callable[[str], list[str]]) -> list[str]:
    given = list(ctx.params.get("arguments") or [])
    if given and given[-1].startswith("--"):
        return _values(ctx, given, incomplete)
    return [] if given else words(incomplete)


def _values(ctx: typer.Context, given: Sequence[str], incomplete: str) -> list[str]:
    """Return the values of the setting that was named last: choices, kinds, and datasets; after a comma the next of several."""
    from torchtty.engine.contract.settings.abbreviations import written_out
    from torchtty.engine.contract.settings.configuration import kinds

    wanted = written_out(given[-1].removeprefix("--").replace("-", "_"))
    fields = _fields(ctx, given[:-1])
    path = next((path for path in fields if wanted in (path, path.partition(".")[2])), "")
    before, comma, last = incomplete.rpartition(",")
    section, _, name = wanted.partition(".")
    offered: Sequence[str] = ()
    if name == "kind" and fields:
        offered = kinds(str(_tree(ctx, given)["model"]["kind"]), section)
    elif path == "data.dataset":
        offered = datasets("")
    elif path:
        offered = ("yes", "no") if fields[path].type is bool else fields[path].choices
    return [f"{before}{comma}{value}" for value in _beginning(offered, last)]


def _tree(ctx: typer.Context, given: Sequence[str]) -> Mapping[str, Any]:
    """Return the settings that the words before name: of a run, a group, a model or a recipe."""
    from torchtty.engine.contract.experiments.group import find_group
    from torchtty.engine.contract.run.directory import find_run
    from torchtty.tui.cli.arguments import preset_named

    word = next((word for word in given if not word.startswith("-")), "")
    if ctx.info_name not in OF_RUNS:
        return preset_named(word).tree
    group = find_group(word)
    return (group.tree() if group else None) or find_run(word).configuration().tree()


def _fields(ctx: typer.Context, given: Sequence[str]) -> Mapping[str, Any]:
    """Return the settings that there are, by their paths, once the kinds that were chosen are in the tree; none after nonsense."""
    from torchtty.engine.contract.errors import UserError
    from torchtty.tui.cli.arguments import parse_argv, settings_by_path
    from torchtty.tui.cli.console import UsageError

    try:
        tree = _tree(ctx, given)
        return settings_by_path(str(tree["model"]["kind"]), tree, parse_argv(given).settings)
    except (UserError, UsageError, OSError, ValueError, KeyError):
        return {}


class TakesSettings(TyperCommand):
    """A command that takes settings as options: `--training.seed`, or `--seed` where no path begins so."""

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        own = super().shell_complete(ctx, incomplete)
        item = type(super().shell_complete(ctx, "-")[0])  # Typer brings its own copy of Click from some version on
        given = list(ctx.params.get("arguments") or [])
        paths = [f"--{path}" for path in _fields(ctx, given)]
        found = [path for path in paths if path.startswith(incomplete)]
        found = found or [f"--{path.partition('.')[2]}" for path in paths]
        return [*own, *(item(path) for path in dict.fromkeys(found) if path.startswith(incomplete))]


OF_RUNS = ("resume", "fork")  # commands whose settings are those of a run
