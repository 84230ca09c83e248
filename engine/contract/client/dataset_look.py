"""What is in a dataset or a file of a person's: asked of the engine, in a process of its own that needs no torch."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.data import TextData
from torchtty.engine.contract.settings.family import Configuration

PATIENCE = 60.0  # seconds; a network folder that hangs never answers
ENOUGH = 20.0  # seconds to look for what is wrong before a run; the worker finds what takes longer
_LOOK_EVERY = 0.05


def look(section: Mapping[str, Any], given_up: Callable[[], bool] = lambda: False) -> dict[str, Any] | None:
    """Return the statistics of what a `data` section names, or None where the asker has given up; raise `UserError`.

    Of large files only a beginning is read: `read` says how many of `size` bytes then, and is None otherwise.
    """
    command = [sys.executable, "-P", "-m", "torchtty.engine.data.look", json.dumps(dict(section))]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:  # a path of a megabyte, or with a NUL in it
        raise UserError(f"The data cannot be looked into: {getattr(error, 'strerror', None) or error}.") from None
    began, answer, complaint = time.monotonic(), b"", b""
    while True:
        try:
            answer, complaint = process.communicate(timeout=_LOOK_EVERY)
            break
        except subprocess.TimeoutExpired:
            late = time.monotonic() - began > PATIENCE
            if late or given_up():
                process.kill()
                process.communicate()
                if not late:
                    return None
                raise UserError(
                    f"The data could not be read within {PATIENCE:.0f} s. Check the disk or network they are on."
                ) from None
    if process.returncode:
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        raise UserError(lines[-1] if lines else f"{section.get('dataset')} cannot be read.")
    found: dict[str, Any] = json.loads(answer)
    return found


def refuse_unreadable(configuration: Configuration) -> None:
    """Raise `UserError` where a person's own text cannot be read as the configuration says, before a run is made of it.

    What the catalogue names is read by the worker, which may have to download it, unless it is to have a field.
    """
    section = configuration.sections().get("data")
    if not isinstance(section, TextData):
        return
    entry = catalogue().get(section.dataset)
    if entry is None or (entry.embedded and section.field):
        until = time.monotonic() + ENOUGH
        look(section.model_dump(), lambda: time.monotonic() > until)
