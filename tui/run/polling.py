"""The thread that looks after a run and tells when there is something new."""

import os
import threading
import time
from collections.abc import Callable, Iterable

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.run.follower import RunFollower

LOCAL, REMOTE = 0.1, 0.25  # seconds between two looks while something happens
PAUSED, SERVING, OVER = 0.25, 0.5, 1.0  # and while nothing does
ATTENTION = 10.0  # seconds that a command is expected to bear fruit in


class Polling:
    """Polls a follower in a thread of its own; `tell` is called from it after every look that found something.

    It looks again only after the news were taken, so a screen that lags is told less often, and never of more than the latest.
    """

    def __init__(self, run: RunDirectory, tell: Callable[["Polling"], object], wanted: Iterable[str] = ()) -> None:
        self.follower = RunFollower(run, wanted)
        self._tell = tell
        self._wake = threading.Event()
        self._ended = False
        self._attentive_until = 0.0
        self._fast = REMOTE if "SSH_CONNECTION" in os.environ else LOCAL
        # A daemon: a thread that waits must not keep the shell waiting when the app has ended.
        self._thread = threading.Thread(target=self._look, name=f"following {run.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread soon; nothing is told after this."""
        self._ended = True
        self._wake.set()

    def join(self, timeout: float = 2.0) -> None:
        """Wait for the thread's end."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def pay_attention(self) -> None:
        """Look often for a while: a command was sent and something will happen."""
        self._attentive_until = time.monotonic() + ATTENTION
        self._wake.set()

    def _look(self) -> None:
        while not self._ended:
            if not self.follower.has_waiting_news and self.follower.poll() and not self._ended:
                self._tell(self)
            self._wake.wait(self.interval())
            self._wake.clear()

    def interval(self) -> float:
        """Return the seconds until the next look."""
        if time.monotonic() < self._attentive_until:
            return self._fast
        status = self.follower.status
        if status.state is RunState.PAUSED:
            return PAUSED
        if status.state.is_live:
            return self._fast
        return SERVING if status.serving else OVER
