"""The offline fallback: what is trained instead of a run of a recipe that cannot download what it needs."""

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torchtty.engine.contract.client.deletion import delete
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import ConfigurationError, difference, parse, with_value
from torchtty.engine.contract.settings.fallbacks import fetches
from torchtty.engine.contract.settings.family import Configuration, Tree
from torchtty.engine.contract.settings.recipes import Recipe

PATIENCE = 5.0  # seconds for the worker of a run that failed to exit


@dataclass(frozen=True)
class OfflineFallback:
    """What is trained instead of a run, and the sentence that reports it."""

    configuration: Configuration
    recipe: str  # whose run it is
    missing: Recipe  # whose download failed
    reason: str  # why the run failed
    left_out: tuple[str, ...] = ()  # settings that a person chose and that do not exist for it

    @property
    def sentence(self) -> str:
        """Say what could not be downloaded, what is trained instead, and what that means for the figures."""
        what = in_brief(self.reason)
        if self.recipe == self.missing.name:
            dataset = self.configuration.tree()["data"]["dataset"]
            text = f"{what}, so {self.recipe} is trained on {dataset} instead, to which its figures do not apply."
        else:
            text = (
                f"{what}, so {self.recipe} is trained instead of {self.missing.name}, whose figures do not apply to it."
            )
        return text + (f" It has no {', '.join(self.left_out)}: left out." if self.left_out else "")


def in_brief(reason: str) -> str:
    """Return what happened, without the setting in front of it and the advice behind it."""
    return re.sub(r"^[a-z]+\.[a-z_]+: ", "", reason).partition(". ")[0].rstrip(".")


def fallback_for(
    run: RunDirectory, recipes: Mapping[str, Recipe], chosen: Collection[str] = ()
) -> OfflineFallback | None:
    """Return what to train instead of a run of a recipe that failed because a download cannot be had; else None.

    None too where a person replaced what the recipe downloads by something of their own: they want that and nothing else.
    What they changed otherwise, and the settings `chosen`, apply to the fallback as well, as far as it has them.
    """
    status = run.written_status()
    missing = recipes.get(str(run.meta().get("recipe")))
    if status.state is not RunState.FAILED or not status.unreachable or missing is None or missing.fallback is None:
        return None
    tree, needed = run.configuration().tree(), fetches(missing.tree)
    if fetches(tree) != needed:
        return None
    if missing.fallback.dataset is not None:
        configuration = parse(with_value(tree, "data.dataset", missing.fallback.dataset))
        return OfflineFallback(configuration, missing.name, missing, status.message)
    other = recipes[missing.fallback.name]
    changed = {path for path in (*difference(missing.tree, tree), *chosen) if path not in needed and _has(tree, path)}
    configuration, left_out = _with_changes(other.tree, tree, sorted(changed))
    return OfflineFallback(configuration, other.name, missing, status.message, left_out)


def create_fallback(run: RunDirectory, fallback: OfflineFallback, name: str | None = None) -> RunDirectory:
    """Replace a run that could not begin by one of its fallback; it is deleted, as it holds nothing but the reason.

    The reason is stored as `instead_of` in the new run's provenance. Raises `UserError`. Blocks until the old worker has exited.
    """
    until = time.monotonic() + PATIENCE
    while run.written_status().process_is_alive() and time.monotonic() < until:
        time.sleep(0.05)
    delete(run)
    instead_of = {"recipe": fallback.missing.name, "reason": fallback.reason}
    return create(fallback.configuration, name=name, recipe=fallback.recipe, instead_of=instead_of)


def _has(tree: Mapping[str, Any], path: str) -> bool:
    section, _, name = path.partition(".")
    return name in tree.get(section, {})


def _with_changes(tree: Tree, source: Tree, paths: Collection[str]) -> tuple[Configuration, tuple[str, ...]]:
    """Take settings over from another tree, one by one; return those too that the result would not have."""
    configuration, left_out = parse(tree), []
    for path in sorted(paths, key=lambda path: not path.endswith(".kind")):  # a kind brings the settings of its section
        section, _, name = path.partition(".")
        now = configuration.tree()
        if path.endswith(".kind") and now.get(section, {}).get("kind") == source[section]["kind"]:
            continue
        try:
            configuration = parse(with_value(now, path, source[section][name]))
        except ConfigurationError:
            left_out.append(path)
    return configuration, tuple(left_out)
