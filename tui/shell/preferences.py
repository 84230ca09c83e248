"""Preferences: theme and order of Runs, in the state folder, and keys that a person changed, in the configuration folder."""

import json
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import config_folder, state_folder
from torchtty.engine.contract.run.files import write_atomically

KEYS_FILE = "keys.toml"
_APP_FILE = "app.json"


def remembered_theme() -> str | None:
    """Return the theme chosen last, None if there is none or it cannot be read."""
    theme = _remembered().get("theme")
    return theme if isinstance(theme, str) else None


def remember_theme(name: str) -> None:
    """Store a theme for the next start."""
    _remember({"theme": name})


def remembered_order() -> tuple[str, bool, str] | None:
    """Return how the list of runs was ordered last: by what, whether the largest came first, what brought runs together."""
    found = _remembered().get("runs")
    if not isinstance(found, dict):
        return None
    subject, descending, grouping = (found.get(name) for name in ("sort", "descending", "group"))
    known = isinstance(subject, str) and isinstance(descending, bool) and isinstance(grouping, str)
    return (subject, descending, grouping) if known else None  # type: ignore[return-value]


def remember_order(subject: str, descending: bool, grouping: str) -> None:
    """Store how the list of runs is ordered, for the next start."""
    _remember({"runs": {"sort": subject, "descending": descending, "group": grouping}})


def _remembered() -> dict[str, Any]:
    try:
        found = json.loads((state_folder() / _APP_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(choices: dict[str, Any]) -> None:
    """Store choices beside the others; a state folder that cannot be written to is ignored."""
    folder = state_folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _APP_FILE, json.dumps(_remembered() | choices))


def keys_path() -> Path:
    """Return the file of changed keys: the one in the state folder, where earlier versions had it, only if it is the only one."""
    path, earlier = config_folder() / KEYS_FILE, state_folder() / KEYS_FILE
    return earlier if earlier.is_file() and not path.exists() else path


def changed_keys() -> dict[str, str]:
    """Return the keys a person changed, {binding id: keys}, from `keys.toml`; raise `UserError` if it is broken.

    The file is a table of ids and keys: `"train.start" = "ctrl+t,f5"`.
    """
    path = keys_path()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"The keys in {path} cannot be read: {error}. The default keys are used.") from None
    if not all(isinstance(keys, str) for keys in found.values()):
        raise UserError(f'The keys in {path} are not understood: each line is "id" = "key". The default keys are used.')
    return found
