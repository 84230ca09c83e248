"""Reads the list of runs once a second in a thread of its own."""

import threading
import time
from collections.abc import Callable

from torchtty.engine.contract.listing.entry import Entry, EntryReader
from torchtty.engine.contract.run.directory import list_runs

INTERVAL = 1.0  # seconds between two looks at the runs folder
SHARE, SLOWEST = 0.02, 5.0  # of a core, which looking takes at most: of a folder of thousands it is done less often


class RunsWatcher:
    """Reads the list once a second or so, while it is watched, and calls `notify` from its thread where something has changed."""

    def __init__(self, notify: Callable[[list[Entry]], object]) -> None:
        self._notify = notify
        self._reader = EntryReader()
        self._entries: list[Entry] | None = None
        self._watching = threading.Event()
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._look, name="listing runs", daemon=True)

    def start(self) -> None:
        """Start, or continue after a pause."""
        self._watching.set()
        self._wake.set()
        if not self._thread.is_alive() and not self._ended:
            self._thread.start()

    def pause(self) -> None:
        """Stop reading while the list is not shown."""
        self._watching.clear()

    def stop(self) -> None:
        """End the thread."""
        self._ended = True
        self._watching.set()
        self._wake.set()

    def look_now(self) -> None:
        """Read the list at once."""
        self._wake.set()

    def _look(self) -> None:
        while not self._ended:
            self._watching.wait()
            if self._ended:
                return
            began = time.thread_time()
            entries = [self._reader.read(run) for run in list_runs()]
            if entries != self._entries:
                self._entries = entries
                self._notify(entries)
                self._reader.save()
            spent = time.thread_time() - began
            self._wake.wait(min(SLOWEST, max(INTERVAL, spent / SHARE)))
            self._wake.clear()
