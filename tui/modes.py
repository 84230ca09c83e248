"""The table of the app's modes, each a screen with one job. A mode is added by a line of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AppMode:
    """A mode's name, title, key, and the class of its screen as `module:name`, imported when it is first shown.

    The screen of a mode that `starts_runs` is made with a function that returns the app's pool of workers.
    """

    name: str
    title: str
    key: str
    screen: str
    starts_runs: bool = False


MODES = (
    AppMode("train", "Train", "f2", "torchtty.tui.train.screen:TrainScreen", starts_runs=True),
    AppMode("runs", "Runs", "f3", "torchtty.tui.runs.screen:RunsScreen"),
    AppMode("lenses", "Lenses", "f4", "torchtty.tui.lenses.screen:LensesScreen"),
    AppMode("experiments", "Experiments", "f5", "torchtty.tui.experiments.screen:ExperimentsScreen"),
    AppMode("learn", "Learn", "f6", "torchtty.tui.learn.screen:LearnScreen"),
)
