"""The thread that keeps the list of runs up to date while somebody looks at it."""

import threading
from collections.abc import Callable

from torchtty.engine.contract.run.directory import list_runs
from torchtty.tui.runs.row import RowReader, RunRow

INTERVAL = 1.0  # seconds between two looks at the runs folder


class RunsWatcher:
    """Reads the list once a second and tells of it when something in it is another; `tell` is called from the thread."""

    def __init__(self, tell: Callable[[list[RunRow]], object]) -> None:
        self._tell = tell
        self._reader = RowReader()
        self._rows: list[RunRow] | None = None
        self._watching = threading.Event()
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._look, name="listing runs", daemon=True)

    def start(self) -> None:
        """Begin, or go on after a pause."""
        self._watching.set()
        self._wake.set()
        if not self._thread.is_alive() and not self._ended:
            self._thread.start()

    def pause(self) -> None:
        """Rest while nobody looks."""
        self._watching.clear()

    def stop(self) -> None:
        """End the thread."""
        self._ended = True
        self._watching.set()
        self._wake.set()

    def look_now(self) -> None:
        """Look again at once."""
        self._wake.set()

    def _look(self) -> None:
        while not self._ended:
            self._watching.wait()
            if self._ended:
                return
            rows = [self._reader.read(run) for run in list_runs()]
            if rows != self._rows:
                self._rows = rows
                self._tell(rows)
            self._wake.wait(INTERVAL)
            self._wake.clear()
