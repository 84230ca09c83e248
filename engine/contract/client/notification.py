"""The command that a person wants run when a run ends: what `TORCHTTY_NOTIFY` holds, and what the command is told of the run."""

import os
import shlex
import shutil
from collections.abc import Mapping

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line, shortened
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import Status
from torchtty.engine.contract.settings.family import Family

VARIABLE = "TORCHTTY_NOTIFY"
TIMEOUT = 10.0  # seconds that the command may take
DIVERGING = "diverging"  # what a run is called that trains on while its loss leaves what was learnt
LONGEST_MESSAGE = 1000  # characters


def notify_command(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the words of the command; none where nothing is wanted. Raises `UserError`.

    No shell reads it: a pipe or a variable in it is a word like any other.
    """
    try:
        return shlex.split(environment.get(VARIABLE, ""))
    except ValueError as error:
        raise UserError(f"{VARIABLE} cannot be read: {str(error).lower().rstrip('.')}.") from None


def is_found(command: list[str]) -> bool:
    """Whether there is a program of the command's name."""
    return shutil.which(command[0]) is not None


def facts_of(run: RunDirectory, status: Status, family: Family | None, state: str, message: str = "") -> dict[str, str]:
    """Return what the command finds in its environment; the loss is the one that the run's family sums a run up by."""
    summarised = family.summarised(status.metrics) if family else ()
    return {
        "TORCHTTY_RUN": printable_line(run.name),
        "TORCHTTY_RUN_STATE": state,
        "TORCHTTY_RUN_STEP": str(status.step),
        "TORCHTTY_RUN_LOSS": f"{summarised[0][1]:.6g}" if summarised else "",
        "TORCHTTY_RUN_MESSAGE": printable_line(shortened(message or status.message, LONGEST_MESSAGE)),
        "TORCHTTY_RUN_FOLDER": str(run.path),
    }
