"""The Lenses screen: the lenses of a run on the left, and on the right what the chosen one shows of its model."""

from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from torchtty.engine.contract.lenses import LENSES, LensEntry, lens_named
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.tui.lenses.pane import LensPane
from torchtty.tui.lenses.tabs import LensTabs, lens_of_recipe
from torchtty.tui.shell.header import Header
from torchtty.tui.shell.key_bar import KeyBar

ANEW = "Compute the lens for the model as it is now"
AGAIN = 1.0  # seconds until it is looked again what has become of the run
NO_RUN = "There is no run yet. Train one first: lenses look into its model, also while it trains."


class LensesScreen(Screen[None]):
    """Computes lenses for the run that is shown in the Train mode, or else for the latest one."""

    HELP = "Views into a model. The result is that of the run on Train, also while it trains; r computes it anew."
    DEFAULT_CSS = """
    LensesScreen #lenses { height: 1fr; }
    LensesScreen #lenses-choice { width: 28; height: 1fr; padding: 0 1; border-right: vkey $foreground 15%; }
    LensesScreen #lenses-list { height: auto; max-height: 60%; border: none; padding: 0; background: $background; }
    LensesScreen #lenses-reading { height: auto; margin-top: 1; color: $foreground 75%; }
    LensesScreen #lenses-result { width: 1fr; height: 1fr; padding: 0 1; }
    LensesScreen #lenses-run { height: 1; color: $text-accent; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
    LensesScreen.-narrow #lenses-choice { width: 0; padding: 0; border: none; }
    LensesScreen.-wide LensTabs, LensesScreen.-broad LensTabs { height: 0; }
    LensesScreen.-wide LensPane #lens-reading-below, LensesScreen.-broad LensPane #lens-reading-below { display: none; }
    LensesScreen.-wide LensPane #lens-reading, LensesScreen.-broad LensPane #lens-reading { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "compute", "compute anew", id="lenses.compute", tooltip=ANEW),
        Binding("u", "use", "use it", id="lenses.use", tooltip="Put the value that the lens suggests into the form"),
        Binding("escape", "cancel", "cancel", id="lenses.cancel", tooltip="Cancel what is being computed"),
        Binding("left_square_bracket", "step(-1)", show=False, id="lenses.previous", tooltip="The lens before"),
        Binding("right_square_bracket", "step(1)", show=False, id="lenses.next", tooltip="Show the next lens"),
    ]

    @dataclass
    class RunWanted(Message):
        """The screen is shown and wants to know the run on Train; it is given to `look_into`."""

        by: "LensesScreen"

    def __init__(self) -> None:
        super().__init__()
        self._wanted: tuple[LensEntry, RunDirectory] | None = None  # to be opened, instead of the run on Train

    def compose(self) -> ComposeResult:
        yield Header("lenses")
        with Horizontal(id="lenses"):
            with Vertical(id="lenses-choice"):
                yield OptionList(id="lenses-list")
                yield Static(id="lenses-reading")
            with Vertical(id="lenses-result"):
                yield Static(id="lenses-run")
                yield LensPane(computes_with="r")
        yield KeyBar()

    def on_mount(self) -> None:
        self._offer(tuple(LENSES.values()), self.pane.lens)
        self.set_interval(AGAIN, self._look_again)
        self.call_after_refresh(self._focus_choice)

    def on_screen_resume(self) -> None:
        self.post_message(self.RunWanted(self))

    @property
    def pane(self) -> LensPane:
        return self.query_one(LensPane)

    @property
    def run(self) -> RunDirectory | None:
        """The run that is looked into."""
        return self.pane.run

    # -- which run, which lens ------------------------------------------------------------------------------------

    @work(thread=True, group="find", exclusive=True)
    def look_into(self, run: RunDirectory | None) -> None:
        """Show the lenses of a run, or of the latest one; of the one that was wanted by name, where one was."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            run = wanted[1]
        if run is None:
            run = next(iter(list_runs()), None)
        snapshot = RunSnapshot.of(run) if run is not None else None
        first = lens_of_recipe(run) if run is not None else ""
        self.app.call_from_thread(self._found, snapshot, first, wanted[0] if wanted is not None else None)

    def _look_again(self) -> None:
        if self.is_current and self.pane.snapshot is not None:
            self._follow(self.pane.snapshot)

    @work(thread=True, group="follow", exclusive=True)
    def _follow(self, before: RunSnapshot) -> None:
        """Look what has become of the run: it trains, ends, has checkpoints, and its model comes into memory and goes."""
        status, checkpoints = before.run.status(), tuple(before.run.checkpoints())
        if (status.state, status.serving, checkpoints) != (before.state, before.status.serving, before.checkpoints):
            self.app.call_from_thread(self._take, before, RunSnapshot.of(before.run))

    def _take(self, before: RunSnapshot, now: RunSnapshot) -> None:
        if self.pane.snapshot is before:
            self.pane.look_into(now)

    def open_with(self, lens: LensEntry, run: RunDirectory) -> None:
        """Open a lens for a run, when the screen asks next which run to look into."""
        self._wanted = lens, run

    def _found(self, snapshot: RunSnapshot | None, first: str, wanted: LensEntry | None) -> None:
        self.pane.look_into(snapshot, first)
        if wanted is not None and snapshot is not None and wanted not in self.pane.offered:
            self.notify(f"{wanted.title} does not look into {snapshot.name}: another lens is shown.", markup=False)
        elif wanted is not None:
            self.pane.choose(wanted)
        self._offer(self.pane.offered, self.pane.lens)
        if snapshot is None:
            self.pane.show_state(NO_RUN)
        self.refresh_bindings()

    def _offer(self, lenses: tuple[LensEntry, ...], chosen: LensEntry) -> None:
        """List lenses, one of them chosen."""
        listed = self.query_one(OptionList)
        names = [lens.name for lens in lenses]
        with self.prevent(OptionList.OptionHighlighted):  # it was chosen already, and another may be by then
            if names != [option.id for option in listed.options]:
                listed.set_options(Option(lens.title, id=lens.name) for lens in lenses)
            listed.highlighted = names.index(chosen.name) if chosen.name in names else 0
        self.call_after_refresh(listed.scroll_to_highlight)

    @on(OptionList.OptionHighlighted)
    def _lens_changed(self, event: OptionList.OptionHighlighted) -> None:
        self.pane.choose(lens_named(str(event.option_id)))

    def on_resize(self) -> None:
        self.call_after_refresh(self._focus_choice)

    def _focus_choice(self) -> None:
        """Let list or tabs, whichever there is room for, have the focus that the other had: neither is gone, but small."""
        both: list[Widget] = [self.query_one(OptionList), self.query_one(LensTabs)]
        here, there = reversed(both) if self.has_class("-narrow") else both
        here.can_focus = True
        if self.focused in (None, there):
            here.focus()
        there.can_focus = False

    @on(LensPane.Shown)
    def _shown(self, event: LensPane.Shown) -> None:
        if not self.query_one(OptionList).has_focus:  # another way was taken to choose a lens
            self._offer(self.pane.offered, event.lens)
        if event.result is not None:
            self._look_again()  # its model is in memory now
        self.query_one("#lenses-reading", Static).update(Content(event.lens.reading))
        name = printable_line(self.run.name) if self.run else ""
        text = f"{name} · step {event.result.step:,}" if event.result else name
        self.query_one("#lenses-run", Static).update(Content(text))

    # -- computing ------------------------------------------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def action_compute(self) -> None:
        """Ask the run's worker for the chosen lens."""
        self.pane.action_compute()

    def action_cancel(self) -> None:
        self.pane.action_cancel()

    def action_use(self) -> None:
        self.pane.action_use()

    def action_step(self, by: int) -> None:
        """Show the next lens, or the one before."""
        self.pane.action_step(by)
        self._offer(self.pane.offered, self.pane.lens)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("cancel", "compute", "use"):
            return self.pane.check_action(action, parameters)
        return True
