"""How often frames are built: as often as is useful, and never for more than a small share of a core."""

import os
from collections.abc import Mapping

SHARE = 1 / 30
"""The share of one core that building frames may take on average."""
BURST = 0.1
"""Seconds of building that may be spent at once after a quiet while, so that the first frames come immediately."""
LONGEST = 2.0
"""Seconds that a frame waits at most, however dear the one before was."""


def frames_per_second(environment: Mapping[str, str] = os.environ) -> float:
    """Return the highest rate: 10, and 4 over SSH, where each frame has to cross the network."""
    return 4.0 if environment.get("SSH_CONNECTION") else 10.0


class Pace:
    """An account of building time: it fills with SHARE of the clock up to BURST; a frame is due when it is not overdrawn."""

    def __init__(self, rate: float, now: float) -> None:
        self.interval = 1 / rate
        self._credit = BURST
        self._counted = now
        self._started = now - self.interval

    def delay(self, now: float) -> float:
        """Return the seconds to wait before the next frame; 0 if it is due."""
        self._fill(now)
        return max(0.0, self._started + self.interval - now, min(LONGEST, -self._credit / SHARE))

    def spend(self, now: float, seconds: float) -> None:
        """Enter a frame that was begun at `now` and took so much time of a core."""
        self._fill(now)
        self._started = now
        self._credit = max(self._credit - seconds, -LONGEST * SHARE)

    def _fill(self, now: float) -> None:
        self._credit = min(BURST, self._credit + (now - self._counted) * SHARE)
        self._counted = now
