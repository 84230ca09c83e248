"""The command learn: the app, opened in the mode Learn."""

import os
import sys

from torchtty.engine.contract.errors import UserError

WITHOUT_TERMINAL = (
    "Learn is a part of the app and needs a terminal, and input or output here is a pipe or a file. "
    "'torchtty guide learn' prints what it offers."
)


def learn() -> int:
    """Open the app in Learn."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        raise UserError(WITHOUT_TERMINAL)
    from torchtty.tui.app import run_app

    return run_app("learn")
