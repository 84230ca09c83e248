"""The line of progress in a real pseudo-terminal that is made wider and narrower while a run trains."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import suppress

from command_line import COMMAND, PATIENCE, Shell

COLOUR, MOVE = re.compile(r"\x1b\[[0-9;]*m"), re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
NAME = "a-run-of-many-words"


class Terminal:
    """A command in a pseudo-terminal."""

    def __init__(self, shell: Shell, *arguments: str) -> None:
        self.main, end = pty.openpty()
        self._resize(end, 80)
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=end,
            stdout=end,
            stderr=end,
            env=shell.environment,
            cwd=shell.folder,
            start_new_session=True,
        )
        os.close(end)

    @staticmethod
    def _resize(terminal: int, width: int) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))

    def resize(self, width: int) -> None:
        self._resize(self.main, width)

    def lines(self, seconds: float) -> list[str]:
        """Return the lines drawn within some seconds."""
        text, until = b"", time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.main], [], [], left)[0]:
                text += os.read(self.main, 65536)
        drawn = MOVE.sub("\r", COLOUR.sub("", text.decode(errors="replace")))
        return [line.rstrip() for line in re.split(r"[\r\n]+", drawn) if line.strip()]

    def line(self, wanted: str) -> str:
        """Return the first whole line that matches."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for line in self.lines(0.5)[:-1]:
                if re.fullmatch(wanted, line):
                    return line
        raise AssertionError(f"never saw {wanted}")


def test_name_speed_and_time_left_stand_in_one_line_at_every_width(shell: Shell) -> None:
    small = [
        "--model.n_hidden",
        "16",
        "--training.batch_size",
        "2048",  # slow enough for its steps to have few digits
        "--sampling.interval",
        "0",
        "--training.device",
        "cpu",
    ]
    terminal = Terminal(shell, "train", "mlp", *small, "--training.max_steps", "100000", "--name", NAME)
    try:
        after = r".*[\d.k]+ it/s  ETA [\d:dh ]+"
        terminal.line(NAME + after)
        for width, begins in ((40, NAME[:8]), (60, NAME), (80, NAME), (120, NAME), (200, NAME)):
            terminal.resize(width)
            terminal.lines(0.5)  # of the width before
            line = terminal.line(begins + after)
            assert len(line) <= width
            assert ("val " in line) == (width >= 60)
    finally:
        terminal.process.send_signal(signal.SIGINT)
        until = time.monotonic() + PATIENCE
        with suppress(OSError):  # once nobody has the other end
            while terminal.process.poll() is None and time.monotonic() < until:
                terminal.lines(0.2)
        terminal.process.kill()
        os.close(terminal.main)
    assert terminal.process.wait() == 130
