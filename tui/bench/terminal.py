"""A terminal to measure the app in: a real pseudo-terminal whose other end reads at once and answers what a terminal answers."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence

import psutil

SIZE = (120, 36)  # columns and rows
LEAVE = b"\x11"  # ctrl+q: what an app is told at its end
LOOK_EVERY = 0.5  # seconds between two looks whether the program has ended
PATIENCE = 5.0  # seconds a program gets to leave by itself, and then to be terminated

# Queries, and what an xterm with synchronised output answers. Others it would ignore, and so does this one.
_ANSWERS = {
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",  # synchronised output: there, and off
    b"\x1b[?2048$p": b"\x1b[?2048;0$y",  # resizes reported in band: unknown
    b"\x1b[6n": b"\x1b[1;1R",  # where the cursor is
    b"\x1b[c": b"\x1b[?62;22c",  # what kind of terminal this is
    b"\x1b[16t": b"\x1b[6;20;10t",  # the size of a cell in pixels
}
_QUERY = re.compile(b"|".join(map(re.escape, _ANSWERS)))
_LONGEST_QUERY = max(map(len, _ANSWERS))
_MOVES = re.compile(r"\x1b\[[0-9;?]*[A-HJKdf]")
_OTHERS = re.compile(r"\x1b(?:\[[0-9;?<=>!$ ]*[@-~]|[P_\]^].*?(?:\x07|\x1b\\)|[()][0-9A-B]|[=>78cDEHMNOZ])", re.DOTALL)


class TimedOut(Exception):
    """What was waited for did not appear."""


def plain_text(output: bytes) -> str:
    """Return what was written without colours; every move of the cursor becomes a new line."""
    return _OTHERS.sub("", _MOVES.sub("\n", output.decode("utf-8", "replace")))


class Terminal(contextlib.AbstractContextManager["Terminal"]):
    """Runs a program in a pseudo-terminal and notes when each byte of its output arrived."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        self._output = bytearray()
        self._arrivals: list[tuple[float, int]] = []  # when, and how long the output was then
        self._arrived = threading.Condition()
        self._ended = False
        self._scanned = 0
        self.spawned = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=follower, stdout=follower, stderr=follower, env=dict(environment), start_new_session=True
        )
        os.close(follower)
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def length(self) -> int:
        """How many bytes were written so far."""
        with self._arrived:
            return len(self._output)

    def send(self, keys: bytes) -> float:
        """Press keys; return when."""
        now = time.perf_counter()
        os.write(self._leader, keys)
        return now

    def wait_for(self, patterns: Sequence[str], since: int = 0, patience: float = 60.0) -> float:
        """Return when the last of several patterns had been written after the first `since` bytes; raise `TimedOut`."""
        wanted = [re.compile(pattern) for pattern in patterns]
        deadline = time.perf_counter() + patience
        seen = -1
        with self._arrived:
            while True:
                if len(self._arrivals) != seen:
                    seen = len(self._arrivals)
                    text = plain_text(bytes(self._output[since:]))
                    missing = [pattern.pattern for pattern in wanted if not pattern.search(text)]
                    if not missing:
                        return self._first_complete(wanted, since)
                if self._ended or time.perf_counter() > deadline:
                    last = " / ".join(plain_text(bytes(self._output[-2000:])).split("\n")[-6:])
                    why = "the program ended" if self._ended else f"in {patience:.0f} s"
                    raise TimedOut(f"{', '.join(missing)} was not on the screen: {why}. The last of it: {last[-300:]}")
                self._arrived.wait(0.05)

    def _first_complete(self, wanted: Sequence[re.Pattern[str]], since: int) -> float:
        """Find the arrival with which the patterns were complete; several may have come since the last look."""
        arrivals = [(at, length) for at, length in self._arrivals if length > since]

        def complete(arrival: tuple[float, int]) -> bool:
            text = plain_text(bytes(self._output[since : arrival[1]]))
            return all(pattern.search(text) for pattern in wanted)

        return arrivals[bisect_left(arrivals, True, hi=len(arrivals) - 1, key=complete)][0]

    def bytes_during(self, seconds: float) -> int:
        """Count what is written in so many seconds."""
        before = self.length
        time.sleep(seconds)
        return self.length - before

    def freeze(self) -> None:
        """Halt the program as if it were not there."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def close(self, keys: bytes = b"") -> None:
        """Press the keys that leave the program, and end it and all that it started if it does not."""
        children = set(self._children())
        if self.process.poll() is None and keys:
            with contextlib.suppress(OSError):
                self.send(keys)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
            children |= set(self._children())
        for kill in (psutil.Process.terminate, psutil.Process.kill):
            alive = [process for process in children if process.is_running()]
            for process in alive:
                with contextlib.suppress(psutil.Error):
                    kill(process)
            psutil.wait_procs(alive, PATIENCE)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._ended = True
        self._reader.join(PATIENCE)
        with contextlib.suppress(OSError):
            os.close(self._leader)

    def _children(self) -> list[psutil.Process]:
        try:
            own = psutil.Process(self.process.pid)
            return [own, *own.children(recursive=True)]
        except psutil.Error:
            return []

    def _read(self) -> None:
        while not self._ended:
            try:
                if not select.select([self._leader], [], [], LOOK_EVERY)[0]:
                    continue
                data = os.read(self._leader, 65536)
            except (OSError, ValueError):  # EIO: the program has gone
                data = b""
            now = time.perf_counter()
            with self._arrived:
                if not data:
                    self._ended = True
                self._output += data
                self._arrivals.append((now, len(self._output)))
                self._arrived.notify_all()
            if data:
                self._answer()

    def _answer(self) -> None:
        """Answer the queries in what has arrived since the last look."""
        last = 0
        for query in _QUERY.finditer(self._output, self._scanned):
            with contextlib.suppress(OSError):
                os.write(self._leader, _ANSWERS[query.group()])
            last = query.end()
        self._scanned = max(last, len(self._output) - _LONGEST_QUERY + 1, self._scanned)
