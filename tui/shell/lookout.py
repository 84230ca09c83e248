"""A thread that looks at the disk again and again, for as long as somebody sees what it finds."""

import threading
from abc import ABC, abstractmethod


class Lookout(ABC):
    """Looks at once when it is started or asked to, and then now and then; what it finds it says from its thread."""

    def __init__(self, name: str) -> None:
        """`name` is that of the thread."""
        self._watching, self._wake = threading.Event(), threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)

    @abstractmethod
    def look(self) -> float:
        """Look once, and return the seconds until the next time. Called from the thread."""

    def start(self) -> None:
        """Start, or continue after a pause."""
        self._watching.set()
        self._wake.set()
        if not self._thread.is_alive() and not self._ended:
            self._thread.start()

    def pause(self) -> None:
        """Stop looking while nobody sees it."""
        self._watching.clear()

    def look_now(self) -> None:
        """Look at once."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread."""
        self._ended = True
        self._watching.set()
        self._wake.set()

    def _watch(self) -> None:
        while not self._ended:
            self._watching.wait()
            if self._ended:
                return
            self._wake.clear()
            self._wake.wait(self.look())
