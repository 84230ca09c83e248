"""How often frames are built: as often as is useful, within a budget of processor time and one of bytes to the terminal."""

import os
from collections.abc import Mapping

SHARE = 1 / 30
"""Seconds of one core a second that building the frames of a chart may take on average."""
BURST = 0.1
"""Seconds of building that may be spent at once after a quiet while, so that the first frames come immediately."""
WIRE_RATE = 3500.0
"""Bytes a second that all charts together may send on average; the rest of the app has as much again."""
WIRE_BURST = 30_000.0
"""Bytes that may be sent at once: a few whole frames."""
LONGEST = 2.0
"""Seconds that a frame waits at most, however dear the one before was."""


def frames_per_second(environment: Mapping[str, str] = os.environ) -> float:
    """Return the highest rate: 10, and 4 over SSH, where each frame has to cross the network."""
    return 4.0 if environment.get("SSH_CONNECTION") else 10.0


class Budget:
    """A purse that fills at a steady rate up to `burst`; after a large expense one waits until it is no longer overdrawn."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._counted: float | None = None

    def delay(self, now: float) -> float:
        """Return the seconds until something may be spent again, LONGEST at most."""
        self._fill(now)
        return min(LONGEST, max(0.0, -self._left / self._rate))

    def spend(self, now: float, amount: float) -> None:
        """Take an amount out."""
        self._fill(now)
        self._left = max(self._left - amount, -LONGEST * self._rate)

    def _fill(self, now: float) -> None:
        if self._counted is not None:
            self._left = min(self._burst, self._left + (now - self._counted) * self._rate)
        self._counted = now


WIRE = Budget(WIRE_RATE, WIRE_BURST)
"""One terminal, one budget for every chart on it."""


class Pace:
    """When the next frame of a chart is due."""

    def __init__(self, rate: float, wire: Budget) -> None:
        self.interval = 1 / rate
        self._building = Budget(SHARE, BURST)
        self._wire = wire
        self._due = 0.0

    def delay(self, now: float) -> float:
        """Return the seconds to wait before the next frame; 0 if it is due."""
        return max(0.0, self._due - now, self._building.delay(now), self._wire.delay(now))

    def spend(self, now: float, seconds: float, size: int) -> None:
        """Enter a frame that was begun at `now`, took so much time of a core and was `size` bytes long."""
        self._due = now + self.interval
        self._building.spend(now, seconds)
        self._wire.spend(now, size)
