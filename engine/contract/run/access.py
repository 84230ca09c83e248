"""Who may look into a run: its modes, whatever the umask. Nobody but the owner steers it."""

import os
from pathlib import Path

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import shortened

PRIVATE, SHARED = 0o700, 0o755  # modes of folders: for the owner alone, or for others to look into
READABLE = 0o644  # the mode of a run's files: whoever may enter its folder reads them, the owner alone writes them


def access_to_new_runs() -> int:
    """Return the mode of a new run's folder, as `TORCHTTY_SHARE` says; raise `UserError` for what that cannot mean."""
    text = os.environ.get("TORCHTTY_SHARE", "")
    if text not in ("", "read"):
        raise UserError(f"TORCHTTY_SHARE is '{shortened(text)}', and takes read, or nothing to keep new runs private.")
    return SHARED if text else PRIVATE


def is_of_another_user(path: Path) -> bool:
    """Whether somebody else owns a file or folder."""
    try:
        return os.stat(path).st_uid != os.geteuid()
    except OSError:
        return False
