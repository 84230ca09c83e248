"""An app of the Runs screen alone, which keeps what it told the person."""

from pathlib import Path
from typing import Any

from textual.app import App

from torchtty import tui
from torchtty.tui.runs.screen import RunsScreen
from torchtty.tui.runs.table import RunsTable


class Host(App[None]):
    """Shows the Runs screen as the app's modes do."""

    CSS_PATH = Path(tui.__file__).parent / "app.tcss"
    MODES = {"runs": RunsScreen}
    DEFAULT_MODE = "runs"

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []  # a toast is gone after some seconds

    def notify(self, message: str, **options: Any) -> None:
        self.told.append(message)
        super().notify(message, **options)

    @property
    def table(self) -> RunsTable:
        return self.screen_stack[0].query_one(RunsTable)

    @property
    def listed(self) -> list[str]:
        """The keys of the rows, from the top."""
        return list(self.table.shown)
