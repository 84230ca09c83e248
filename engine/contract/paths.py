"""The folders of runs, downloads, the state that workers on one machine share, a person's settings, and exports."""

import contextlib
import os
import shlex
import stat
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from torchtty.engine.contract.errors import UserError

LONGEST_NAME = 255  # bytes of a file's name, on all common file systems
SHARED = (Path("/run/lock"), Path("/var/lock"), Path("/tmp"))
SOURCE_ROOT = Path(__file__).resolve().parents[2]


def expanded(text: str) -> Path:
    """Return the path that a person wrote, `~` expanded where it names a home.

    Ask `os.path` whether it exists: `Path.exists` raises for a name that is too long.
    """
    return Path(os.path.expanduser(text))


def written_path(text: str) -> str:
    """Return the path that was typed, pasted or dragged in, as it is where something has that name.

    Else quotes around it, a shell's backslashes and the form of a `file://` address are taken off.
    """
    path = text.strip()
    if not path or os.path.lexists(expanded(text)):
        return text
    with contextlib.suppress(ValueError):  # such as an apostrophe, which is no quote
        words = shlex.split(path)
        path = words[0] if len(words) == 1 else path
    if path.startswith("file://"):
        path = unquote(urlsplit(path).path)
    return path


def _chosen(variable: str) -> Path | None:
    text = os.environ.get(variable)
    return expanded(text).absolute() if text else None


def _users(kind: Literal["data", "cache", "state", "config"]) -> Path:
    import platformdirs

    return getattr(platformdirs, f"user_{kind}_path")("torchtty")


def runs_folder() -> Path:
    """Return the folder of the runs: `TORCHTTY_RUNS`, or `checkpoints/` of a source checkout, or the user's data folder."""
    checkout = SOURCE_ROOT / "checkpoints"
    in_checkout = (checkout / "README.md").is_file()
    return _chosen("TORCHTTY_RUNS") or (checkout if in_checkout else _users("data") / "checkpoints")


def data_folder() -> Path:
    """Return the folder of downloaded datasets: `TORCHTTY_DATA` or the user's cache."""
    return _chosen("TORCHTTY_DATA") or _users("cache") / "data"


def state_folder() -> Path:
    """Return the folder of this user's locks and of what the app remembers: `TORCHTTY_STATE` or the user's state folder."""
    return _chosen("TORCHTTY_STATE") or _users("state")


def locks_folder() -> Path:
    """Return the folder of the GPUs' locks, which all users of a machine share: `TORCHTTY_LOCKS` or one for such files."""
    return _chosen("TORCHTTY_LOCKS") or next(filter(_is_everyones, SHARED), SHARED[-1]) / "torchtty"


def _is_everyones(folder: Path) -> bool:
    """Whether all may write to a folder and none may remove what is another's."""
    try:
        return stat.S_IMODE(folder.stat().st_mode) & 0o1007 == 0o1007
    except OSError:
        return False


def config_folder() -> Path:
    """Return the folder of the settings that a person writes: `TORCHTTY_CONFIG` or the user's configuration folder."""
    return _chosen("TORCHTTY_CONFIG") or _users("config")


def export_target(folder: str | Path) -> Path:
    """Return the absolute path of a folder to export a model into: new or empty, in one that exists. Raises `UserError`."""
    target = expanded(str(folder)).absolute()
    if len(os.fsencode(target.name)) > LONGEST_NAME:
        raise UserError(f"The name {target.name[:20]}… is too long for a folder.")
    if os.path.islink(target) or (os.path.exists(target) and not (os.path.isdir(target) and not os.listdir(target))):
        raise UserError(f"{target} is there already, and nothing is overwritten. Name a new or an empty folder.")
    if not os.path.isdir(target.parent):
        raise UserError(f"There is no folder {target.parent} to put {target.name} in. Make it first.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise UserError(f"{target} cannot be written: {target.parent} does not allow it. Name a folder elsewhere.")
    return target
