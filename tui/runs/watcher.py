"""Reads the list of runs once a second in a thread of its own."""

import time
from collections.abc import Callable

from torchtty.engine.contract.listing.entry import Entry, EntryReader
from torchtty.engine.contract.run.directory import list_runs
from torchtty.tui.shell.lookout import Lookout

INTERVAL = 1.0  # seconds between two looks at the runs folder
SHARE, SLOWEST = 0.02, 5.0  # of a core, which looking takes at most: of a folder of thousands it is done less often


class RunsWatcher(Lookout):
    """Calls `notify` from its thread where something in the list has changed."""

    def __init__(self, notify: Callable[[list[Entry]], object]) -> None:
        super().__init__("listing runs")
        self._notify = notify
        self._reader = EntryReader()
        self._entries: list[Entry] | None = None

    def look(self) -> float:
        """Read the list."""
        began = time.thread_time()
        entries = [self._reader.read(run) for run in list_runs()]
        if entries != self._entries:
            self._entries = entries
            self._notify(entries)
            self._reader.save()
        return min(SLOWEST, max(INTERVAL, (time.thread_time() - began) / SHARE))
