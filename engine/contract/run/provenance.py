"""Where a run comes from, as its `meta.json` records it from the start; its worker adds what only it knows."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

FORMAT = 1  # of the run directory


def provenance(
    recipe: str | None, parent: Mapping[str, Any] | None, instead_of: Mapping[str, str] | None
) -> dict[str, Any]:
    """Return what is known of a run when it is made: the command, the folder and its commit, and what it was made from."""
    return {
        "format": FORMAT,
        "created": time.time(),
        "argv": sys.argv,
        "folder": os.getcwd(),
        "commit": _commit(),
        "recipe": recipe,
        "parent": dict(parent) if parent else None,
        "instead_of": dict(instead_of) if instead_of else None,
    }


def _commit() -> str | None:
    """Return the commit of the folder the person works in, if it is a git checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=2,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None
