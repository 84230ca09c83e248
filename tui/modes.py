"""The modes of the app: each a screen with one job. A mode is added by a line of this table."""

from collections.abc import Callable
from dataclasses import dataclass

from textual.screen import Screen

from torchtty.tui.shell.header import Tab


@dataclass(frozen=True)
class Mode:
    """A mode's name, title, key, and how its screen is made (its module is imported only then)."""

    name: str
    title: str
    key: str
    screen: Callable[[], Screen[None]]

    @property
    def tab(self) -> Tab:
        return Tab(self.name, self.title, self.key)


def _train() -> Screen[None]:
    from torchtty.tui.train.screen import TrainScreen

    return TrainScreen()


def _runs() -> Screen[None]:
    from torchtty.tui.runs.screen import RunsScreen

    return RunsScreen()


MODES = (
    Mode("train", "Train", "f2", _train),
    Mode("runs", "Runs", "f3", _runs),
)
TABS = tuple(mode.tab for mode in MODES)
