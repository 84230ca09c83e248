"""How often a run is followed where training needs every core: the app's own processor time is measured, and bounded."""

import time

import psutil

from torchtty.tui.charts.painting import TokenBucket

BUSY = 85.0  # per cent of all cores in use, from which the app is frugal
LOOK_EVERY = 2.0  # seconds between two looks at how much is in use
SHARE = 0.01  # seconds of processor time a second that the app may then take on average
BURST = 0.25  # seconds of it that may be taken at once, so that a run begins to move as fast as it can be read
QUICKEST, SLOWEST = 0.5, 1.0  # seconds between two polls within that allowance, and beyond it


class Frugality:
    """Leaves the cores to training where it uses all of them.

    Threads that share a training step wait for the slowest of them, so that the app's time on one core is lost on all.
    To be used by one thread.
    """

    def __init__(self) -> None:
        self._allowance = TokenBucket(SHARE, BURST)
        self._used = time.process_time()
        self._busy = False
        self._looked = time.monotonic()
        psutil.cpu_percent()  # the first call in a thread only sets the mark that the next one measures from

    def delay(self) -> float:
        """Return the least number of seconds until the next poll: 0 while some cores are free."""
        now, used = time.monotonic(), time.process_time()
        if now - self._looked >= LOOK_EVERY:
            self._looked, self._busy = now, psutil.cpu_percent() >= BUSY
        spent, self._used = used - self._used, used
        if not self._busy:
            return 0.0
        self._allowance.spend(now, spent)
        return max(QUICKEST, min(SLOWEST, self._allowance.delay(now)))
