"""From the command to an app that can be used, beside what importing torch alone takes."""

import subprocess
import sys
import time
from statistics import median

from torchtty.tui.bench.environment import Environment, python
from torchtty.tui.bench.measurements import Bar, Figure, span
from torchtty.tui.bench.terminal import Terminal

FORM = (r"Recipe", r"n_embd\s+\d", r"Train \^t", r"\^q quit")
"""What shows that the form stands with the focus on its button: pickers, a setting with its value, the button, the keys."""
LEAVE = b"\x11"  # ctrl+q


def measure(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Open the app several times and import torch in between, so that a busy moment hits both."""
    opened, imported = [], []
    with Environment() as environment:
        import_of_torch(
            environment
        )  # the first of both is not counted: modules are compiled and files read from the disk
        seconds_until_usable(environment)
        for number in range(2 if quick else 5):
            if number < (1 if quick else 3):
                imported.append(import_of_torch(environment))
            opened.append(seconds_until_usable(environment))
    usable, torch = median(opened), median(imported)
    note = f"import torch takes {torch:.2f} s"
    return [
        Figure("start", "app usable, from command to first paint with focus", usable, "s", Bar(0.7), span(opened)),
        Figure("start", "the same, as a share of `import torch`", usable / torch, "", Bar(1 / 6), note=note),
    ]


def seconds_until_usable(environment: Environment) -> float:
    """Return the seconds from the spawn of the command to the paint that completes the form."""
    with Terminal(python("torchtty.tui.main"), environment.variables) as terminal:
        at = terminal.wait_for(FORM)
        terminal.close(LEAVE)
    return at - terminal.spawned


def import_of_torch(environment: Environment) -> float:
    """Return the seconds that a Python takes to import torch and end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], env=environment.variables, check=True)
    return time.perf_counter() - began
