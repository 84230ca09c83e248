"""Where a model can be exported to."""

import os
from pathlib import Path

from torchtty.engine.contract.errors import UserError


def export_target(folder: str | Path) -> Path:
    """Return the absolute path of a folder that may be written: new or empty, in one that is there. Raises `UserError`."""
    target = Path(folder).expanduser().absolute()
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not os.listdir(target))):
        raise UserError(f"{target} is there already, and nothing is overwritten. Name a new or an empty folder.")
    if not target.parent.is_dir():
        raise UserError(f"There is no folder {target.parent} to put {target.name} in. Make it first.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise UserError(f"{target} cannot be written: {target.parent} does not allow it. Name a folder elsewhere.")
    return target
