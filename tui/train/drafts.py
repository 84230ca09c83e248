"""Drafts for the form from what was trained before: a run, a sweep, a checkpoint."""

from collections.abc import Mapping
from typing import Any

from torchtty.engine.contract.client.fork import ForkPoint
from torchtty.engine.contract.experiments.group import RunGroup
from torchtty.engine.contract.experiments.lifecycle import sweep_of
from torchtty.engine.contract.experiments.sweep import texts_of
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.settings.configuration import with_value
from torchtty.engine.contract.settings.recipes import Recipe
from torchtty.tui.form.draft import Draft


def draft_like(run: RunSnapshot, recipes: Mapping[str, Recipe], changes: Mapping[str, Any]) -> Draft:
    """Return a run's settings, marked where they differ from its recipe or the defaults; `changes` stand instead of some."""
    return _changed(Draft.like(run.settings, _recipe_of(run.run, recipes)), changes)


def draft_of_fork(point: ForkPoint, recipes: Mapping[str, Recipe], changes: Mapping[str, Any]) -> Draft:
    """Return a fork with the settings that a run had at a checkpoint; `changes` stand instead of some."""
    return _changed(Draft.from_checkpoint(point, _recipe_of(point.run, recipes)), changes)


def draft_of_sweep(group: RunGroup, recipes: Mapping[str, Recipe]) -> Draft:
    """Return the settings of a sweep, several values where its runs differ."""
    sweep = sweep_of(group)
    draft = Draft.like(sweep.tree, recipes.get(sweep.recipe or ""))
    for path, text in texts_of(sweep).items():
        spec = next((spec for spec in draft.specs() if spec.path == path), None)
        if spec is not None:
            draft.enter(spec, text)
    return draft


def _recipe_of(run: RunDirectory, recipes: Mapping[str, Recipe]) -> Recipe | None:
    return recipes.get(str(run.meta().get("recipe")))


def _changed(draft: Draft, changes: Mapping[str, Any]) -> Draft:
    for path, value in changes.items():
        draft.tree = with_value(draft.tree, path, value)
    return draft
