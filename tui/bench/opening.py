"""Opening the app, held against the least app that Textual can be."""

import subprocess
import sys
import time
from statistics import median

from torchtty.tui.bench.environment import Environment, python
from torchtty.tui.bench.label import TEXT
from torchtty.tui.bench.measurements import Bar, Figure, span
from torchtty.tui.bench.terminal import LEAVE, Terminal

FORM = (r"Recipe", r"n_embd\s+\d", r"Train \^t", r"\^q quit")
"""What shows that the form stands with the focus on its button: pickers, a setting with its value, the button, the keys."""


def measure_start(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Open the app and one with a single label in turn, so that a busy moment hits both."""
    opened, least = [], []
    with Environment() as environment:
        # The first of both is not counted: modules are compiled and files read from the disk.
        seconds_until_label(environment)
        seconds_until_usable(environment)
        for _number in range(2 if quick else 6):
            least.append(seconds_until_label(environment))
            opened.append(seconds_until_usable(environment))
        torch = import_of_torch(environment)
    usable, label = median(opened), median(least)
    ratios = [app / other for app, other in zip(opened, least, strict=True)]
    what, note = "app usable, from command to first paint with focus", f"import torch takes {torch:.2f} s"
    beside = f"the app with one label takes {label:.2f} s"
    return [
        Figure("start", what, usable, "s", Bar(0.7), span(opened), note),
        Figure("start", "the same / a Textual app with one label", median(ratios), "x", Bar(1.8), span(ratios), beside),
    ]


def seconds_until_usable(environment: Environment) -> float:
    """Return the seconds from the spawn of the command to the paint that completes the form."""
    return _seconds_until("torchtty.tui.main", FORM, environment)


def seconds_until_label(environment: Environment) -> float:
    """Return the seconds from the spawn of an app with one label to its paint."""
    return _seconds_until("torchtty.tui.bench.label", (TEXT,), environment)


def _seconds_until(module: str, shown: tuple[str, ...], environment: Environment) -> float:
    with Terminal(python(module), environment.variables) as terminal:
        at = terminal.wait_for(shown)
        terminal.close(LEAVE)
    return at - terminal.spawned


def import_of_torch(environment: Environment) -> float:
    """Return the seconds that a Python takes to import torch and end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], env=environment.variables, check=True)
    return time.perf_counter() - began
