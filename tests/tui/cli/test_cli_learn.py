"""The command learn."""

import os
import sys

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.tui.bench.terminal import Terminal
from torchtty.tui.cli.program import run


def test_learn_opens_the_app_in_learn() -> None:
    environment = dict(os.environ) | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with Terminal([sys.executable, "-P", "-m", "torchtty", "learn"], environment) as terminal:
        terminal.wait_for(["Tour", "1 of 8", "Count"])
        terminal.close(b"\x11")


def test_without_a_terminal_it_says_what_to_read_instead() -> None:
    with pytest.raises(UserError, match="torchtty guide learn"):
        run(["learn"])
