"""The draft that was in the form last: written to the state folder while it is edited, and found again at the next start."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from torchtty.engine.contract.paths import state_folder
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.settings.configuration import kinds
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.recipes import Recipe
from torchtty.tui.form.draft import Draft


def _path() -> Path:
    return state_folder() / "draft.json"


def remember(draft: Draft) -> None:
    """Store what differs from where a draft started; a state folder that cannot be written to is ignored."""
    changed = {spec.path: draft.exact_text(spec.path) for spec in draft.specs() if draft.is_modified(spec.path)}
    with suppress(OSError):
        state_folder().mkdir(parents=True, exist_ok=True)
        write_atomically(
            _path(), json.dumps({"family": draft.family, "recipe": draft.recipe, "changed": changed}, indent=1)
        )


def recall(recipes: Mapping[str, Recipe]) -> Draft | None:
    """Return the draft that was stored last; None if there is none, or nothing in it is of use.

    A setting that is there no longer is left out, and a text that is no value any more stays as one to be corrected.
    """
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("changed"), dict):
        return None
    recipe, family, changed = recipes.get(str(found.get("recipe"))), found.get("family"), found["changed"]
    if recipe is not None and recipe.family == family:
        draft = Draft.from_recipe(recipe)
    elif isinstance(family, str) and family in FAMILIES:
        draft = Draft.from_family(family)
    else:
        return None
    texts = {path: text for path, text in changed.items() if isinstance(text, str)}
    for path, text in texts.items():  # first the kinds, which decide on the settings that there are
        section, _, name = path.partition(".")
        chosen = [part.strip() for part in text.split(",")]
        known = kinds(draft.family, section) if section != "model" and section in draft.tree else ()
        if name == "kind" and set(chosen) <= set(known):
            draft.enter(next(spec for spec in draft.specs() if spec.path == path), text)
    fields = {spec.path: spec for spec in draft.specs()}
    for path, text in texts.items():
        if path in fields and not path.endswith(".kind"):
            draft.enter(fields[path], text)
    return draft
