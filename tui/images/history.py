"""The grids that a run has drawn, in order of their steps."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torchtty.engine.contract.run.events import Images

FIXED, REAL, FRESH = "fixed", "real", "fresh"


@dataclass(frozen=True)
class Grid:
    """A grid that an event has announced. `name` is that of a file in the run's `media/`."""

    step: int
    name: str
    title: str
    source: str  # fixed, real or fresh
    time: float = 0.0  # when it was written: a resumed run writes grids anew

    @classmethod
    def of_event(cls, event: Images) -> "Grid":
        """Take a grid out of the event that announces it, which names a file of `media/` itself."""
        return cls(event.step, event.path.removeprefix("media/"), event.title, event.source, event.time)

    def path(self, media: Path) -> Path | None:
        """Return the file, or None if it leads out of its folder."""
        path = media / self.name
        try:
            return path if path.resolve().is_relative_to(media.resolve()) else None
        except OSError:
            return None


class History:
    """The newest grid of every step, the real pictures and the latest fresh ones."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.real: Grid | None = None
        self.fresh: Grid | None = None
        self._fixed: dict[int, Grid] = {}

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, grids: Iterable[Grid]) -> None:
        """Add grids; one of a step that is there replaces it."""
        for grid in grids:
            if grid.source == REAL:
                self.real = grid
            elif grid.source == FRESH:
                self.fresh = grid
            else:
                if grid.step not in self._fixed:
                    self.steps.insert(bisect_right(self.steps, grid.step), grid.step)
                self._fixed[grid.step] = grid

    def at(self, index: int) -> Grid:
        """Return the grid at a place in the history."""
        return self._fixed[self.steps[index]]

    def nearest(self, step: float) -> int:
        """Return the place of the grid drawn nearest to a step."""
        return min(range(len(self.steps)), key=lambda index: abs(self.steps[index] - step))
