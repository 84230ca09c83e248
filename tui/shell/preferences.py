"""Preferences: the theme chosen last, in the state folder, and keys that a person changed, in the configuration folder."""

import json
import tomllib
from contextlib import suppress
from pathlib import Path

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import config_folder, state_folder
from torchtty.engine.contract.run.files import write_atomically

KEYS_FILE = "keys.toml"
_THEME_FILE = "app.json"


def remembered_theme() -> str | None:
    """Return the theme chosen last, None if there is none or it cannot be read."""
    try:
        found = json.loads((state_folder() / _THEME_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    theme = found.get("theme") if isinstance(found, dict) else None
    return theme if isinstance(theme, str) else None


def remember_theme(name: str) -> None:
    """Store a theme for the next start; a state folder that cannot be written to is ignored."""
    folder = state_folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _THEME_FILE, json.dumps({"theme": name}))


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
