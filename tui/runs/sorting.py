"""Asks by what the list of runs is to be sorted."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from torchtty.engine.contract.listing.arrangement import Sort
from torchtty.engine.contract.listing.subjects import NEWEST, SMOOTHED, SUBJECTS, subject_named
from torchtty.tui.shell.dialog import Dialog

USUAL = (
    NEWEST,
    "name",
    "best",
    "val",
    "train",
    SMOOTHED,
    "test",
    "lr",
    "star",
    "state",
    "model",
    "data",
    "step",
    "params",
)
ABOUT = {SMOOTHED: "training loss, mean of its last tenth"}
DIFFERING = "a setting in which runs differ"


class SortDialog(Dialog[Sort]):
    """Lists by what runs can be sorted; choosing the same again turns the order round."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="sort.cancel", tooltip="Leave the order as it is")
    ]
    DEFAULT_CSS = """
    SortDialog > Vertical { max-height: 90%; }
    SortDialog OptionList { height: auto; max-height: 20; background: $surface; padding: 0; }
    SortDialog OptionList, SortDialog OptionList:focus { border: none; }
    """

    def __init__(self, sort: Sort, settings: Sequence[str]) -> None:
        """Begin with the order as it is; `settings` are those in which the runs that are shown differ."""
        super().__init__()
        self._sort = sort
        rest = [name for name in SUBJECTS if name not in USUAL and name != "age"]
        self._names = [*USUAL, *rest, *(path for path in settings if path != "optimizer.learning_rate")]

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("Sort by", classes="title")
            yield OptionList(
                *(Option(self._written(name), id=f"sort-{number}") for number, name in enumerate(self._names))
            )

    def _written(self, name: str) -> Content:
        about = ABOUT.get(name) or (DIFFERING if "." in name else subject_named(name).about)
        arrow = ("▾" if self._sort.descending else "▴") if name == self._sort.subject else " "
        width = max(map(len, self._names))
        return Content.assemble(
            (f"{arrow} {name:<{width}}  ", "bold" if arrow != " " else ""), (about, "$foreground 60%")
        )

    def on_mount(self) -> None:
        if self._sort.subject in self._names:
            self.query_one(OptionList).highlighted = self._names.index(self._sort.subject)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        name = self._names[event.option_index]
        self.dismiss(self._sort.reversed if name == self._sort.subject else Sort.by(name))
