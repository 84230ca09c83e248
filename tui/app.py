"""The app: modes, keys, palette, theme, and leaving. Each mode's work is in its own screen."""

import asyncio
import gc
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from torchtty.tui.modes import MODES, AppMode
from torchtty.tui.shell.gauges import Gauges, Reading, Watched
from torchtty.tui.shell.header import Header, ModeTab
from torchtty.tui.shell.theme import LANTERN
from torchtty.tui.shell.too_small import TooSmall, fits
from torchtty.tui.train.screen import TrainScreen  # shown first, and light: the rest of it comes later

if TYPE_CHECKING:
    from torchtty.engine.contract.client import workers
    from torchtty.engine.contract.run.directory import RunDirectory
    from torchtty.tui.experiments.screen import ExperimentsScreen
    from torchtty.tui.learn.tour import TourPage
    from torchtty.tui.lenses.pane import LensPane
    from torchtty.tui.lenses.screen import LensesScreen
    from torchtty.tui.run.view import RunView
    from torchtty.tui.runs.actions import RunActions
    from torchtty.tui.shell.notification import Announcements
    from torchtty.tui.train.launcher import Launcher
    from torchtty.tui.workers import WorkerPool


CHOICES = {"model": "Choose a model", "recipe": "Choose a recipe", "data": "Choose the data, or a file of your own"}
GAUGED_AFTER = 1.0  # seconds: the form is there
STARTED_AFTER = 2.0  # seconds: form, run and charts are there


def collect_garbage() -> None:
    """Collect garbage from now on, if that was put off at the start; imported modules are excluded from it."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


class TorchttyApp(App[int]):
    """Train small neural networks in a terminal."""

    TITLE = "torchtty"
    COMMAND_PALETTE_BINDING = "ctrl+p"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    BINDING_GROUP_TITLE = "Everywhere"
    DEFAULT_MODE = MODES[0].name
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide"), (170, "-broad")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-high")]
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(mode.key, f"mode('{mode.name}')", mode.title.lower(), id=f"mode.{mode.name}", tooltip=mode.title)
            for mode in MODES
        ),
        Binding("f1,question_mark", "help", "help", id="app.help", tooltip="The keys of where you are"),
        Binding("ctrl+q", "quit", "quit", id="app.quit", priority=True, tooltip="Leave torchtty"),
        Binding("ctrl+p", "command_palette", "commands", id="app.palette", priority=True, tooltip="All commands"),
    ]

    @dataclass
    class Gauged(Message):
        """The machine was sampled."""

        reading: Reading

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, TorchttyApp.Gauged)

    def __init__(self, pool: "WorkerPool | None" = None) -> None:
        super().__init__()
        for mode in MODES:
            self.add_mode(mode.name, partial(self._screen_of, mode))
        self.register_theme(LANTERN)
        self.set_reactive(App.theme, LANTERN.name)  # without a signal: a change would have all styles parsed again
        self.stylesheet.set_variables(self.get_css_variables())
        self._pool = pool
        self._gauges = Gauges(lambda reading: self.post_message(self.Gauged(reading)))
        self._leaving = False
        self._announcements: Announcements | None = None
        self._tells_focus = False  # whether the terminal says when it is left

    @property
    def pool(self) -> "WorkerPool":
        """The warm worker; made on first use, since it brings the contract and pydantic with it."""
        if self._pool is None:
            from torchtty.tui.workers import WorkerPool

            self._pool = WorkerPool()
        return self._pool

    def _screen_of(self, mode: AppMode) -> Screen[None]:
        """Make the screen of a mode, whose module is imported only now."""
        module, _, name = mode.screen.partition(":")
        make = getattr(import_module(module), name)
        screen: Screen[None] = make(lambda: self.pool) if mode.starts_runs else make()
        # As Textual says that a screen has the theme's colours: else it parses all styles twice again for each new one.
        screen._css_update_count = self._css_update_count
        return screen

    def on_ready(self) -> None:
        # Textual lays the first screen out while it still holds back all painting, and then paints only what changes.
        self.screen.refresh()
        self.screen.call_after_refresh(self._settle)

    def _settle(self) -> None:
        """Do what can wait until something is on the screen."""
        from torchtty.engine.contract.errors import UserError
        from torchtty.tui.shell.preferences import changed_keys, remember_theme, remembered_theme

        theme = remembered_theme()
        if theme in self.available_themes:
            self.theme = theme
        self.theme_changed_signal.subscribe(self, lambda theme: remember_theme(theme.name))
        try:
            self.set_keymap(changed_keys())
        except UserError as error:
            self.notify(str(error), title="Keys", severity="warning", markup=False)
        self.set_timer(GAUGED_AFTER, self._gauges.start)  # it imports psutil, in the way of the form
        self.set_timer(STARTED_AFTER, collect_garbage)
        for screen in self.screen_stack:
            if isinstance(screen, TrainScreen):
                screen.call_later(screen.furnish)

    async def on_unmount(self) -> None:
        self._gauges.stop()
        if self._pool is not None:
            await asyncio.to_thread(self._pool.close)

    def on_torchtty_app_gauged(self, event: Gauged) -> None:
        for screen in self.screen_stack[-1:]:  # empty while the app closes, and readings still arrive then
            for header in screen.query(Header):
                header.show_reading(event.reading)
            if event.reading.gpu is not None:
                self._gauges.watched = _gpu_of_run_on(screen)

    def on_resize(self, event: Resize) -> None:
        if not fits(event.size.width, event.size.height) and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())

    # Modes and runs.

    def on_mode_tab_chosen(self, event: ModeTab.Chosen) -> None:
        self.action_mode(event.mode)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "mode":  # the key of the mode that is on has nothing to do
            return not self.screen_stack or parameters[0] != self.current_mode
        return True

    def action_mode(self, mode: str) -> None:
        if not self.screen.is_modal and mode != self.current_mode:
            self.switch_mode(mode)
            if isinstance(self.screen, TrainScreen):  # where another mode was opened first
                self.screen.call_after_refresh(self.screen.furnish)

    def _in_train(self, action: "Callable[[TrainScreen], object]") -> None:
        """Switch to the Train mode and do something there, once its form is there."""
        self.action_mode("train")
        screen = self.screen
        if isinstance(screen, TrainScreen):
            screen.when_furnished(partial(action, screen))

    def open_run(self, run: "RunDirectory") -> None:
        """Show a run in the Train mode."""
        self._in_train(lambda train: train.show_run(run))

    def choose(self, what: str) -> None:
        """Open the list of models, recipes or data in the form."""
        self._in_train(lambda train: train.setup.choose(what))

    def on_run_actions_new_run_wanted(self, event: "RunActions.NewRunWanted") -> None:
        self._in_train(lambda train: train.setup.fill_like(event.like))

    def on_launcher_sweep_started(self, event: "Launcher.SweepStarted") -> None:
        from torchtty.tui.experiments.screen import ExperimentsScreen

        self.action_mode("experiments")
        if isinstance(self.screen, ExperimentsScreen):
            self.screen.open_group(event.group.name)

    def on_experiments_screen_run_wanted(self, event: "ExperimentsScreen.RunWanted") -> None:
        self.open_run(event.run)

    def on_experiments_screen_setting_wanted(self, event: "ExperimentsScreen.SettingWanted") -> None:
        self._in_train(lambda train: train.setup.fill_like(event.like))

    def on_experiments_screen_sweep_wanted(self, event: "ExperimentsScreen.SweepWanted") -> None:
        self._in_train(lambda train: train.setup.fill_with_sweep(event.group))

    def on_tour_page_recipe_wanted(self, event: "TourPage.RecipeWanted") -> None:
        self._in_train(lambda train: train.setup.fill_with_recipe(event.recipe))

    def on_tour_page_lens_wanted(self, event: "TourPage.LensWanted") -> None:
        from torchtty.engine.contract.lenses import lens_named
        from torchtty.tui.lenses.screen import LensesScreen

        self.action_mode("lenses")
        if isinstance(self.screen, LensesScreen):
            self.screen.open_with(lens_named(event.lens), event.run)

    def on_run_actions_renamed(self, event: "RunActions.Renamed") -> None:
        for screen in self._train_screens():
            if screen.view.run == event.before:
                screen.view.show(event.now)

    def on_run_view_fork_wanted(self, event: "RunView.ForkWanted") -> None:
        self._in_train(lambda train: train.setup.fill_with_fork(event.point))

    def on_run_view_advice_wanted(self, event: "RunView.AdviceWanted") -> None:
        self._in_train(lambda train: train.setup.apply_advice(event.snapshot, event.finding))

    def on_lenses_screen_run_wanted(self, event: "LensesScreen.RunWanted") -> None:
        event.by.look_into(next((screen.view.run for screen in self._train_screens()), None))

    def _train_screens(self) -> list[TrainScreen]:
        """Return the screen of the Train mode, if it was shown and is complete."""
        with suppress(KeyError):  # another mode was opened first
            return [s for s in self.get_screen_stack("train") if isinstance(s, TrainScreen) and s.is_furnished]
        return []

    def on_run_view_needs_worker(self, event: "RunView.NeedsWorker | LensPane.NeedsWorker") -> None:
        from torchtty.engine.contract.client.workers import Mode

        self._hand_over(event.run, Mode.SERVE)

    on_lens_pane_needs_worker = on_run_view_needs_worker

    def on_lens_pane_suggestion_taken(self, event: "LensPane.SuggestionTaken") -> None:
        from torchtty.engine.contract.settings.fields import show

        path, value = event.suggestion.path, event.suggestion.value
        self._in_train(lambda train: train.setup.fill_like(event.run, {path: value}))
        self.notify(
            f"The form has the settings of {event.run.name} with {path} {show(value)}: ctrl+t starts it.", markup=False
        )

    def on_run_view_resume_requested(self, event: "RunView.ResumeRequested") -> None:
        from torchtty.engine.contract.client.workers import Mode

        self._hand_over(event.run, Mode.RESUME, event.edits)

    @work(thread=True, group="hand-over")
    def _hand_over(self, run: "RunDirectory", mode: "workers.Mode", edits: "Mapping[str, Any] | None" = None) -> None:
        """Hand a run to the warm worker."""
        from torchtty.engine.contract.errors import UserError

        try:
            self.pool.hand_over(run, mode, edits)
        except UserError as error:
            self.call_from_thread(self.notify, str(error), severity="error", markup=False)

    @work(thread=True, group="replay")
    def replay(self, run: "RunDirectory") -> None:
        """Train a run again by its record in the background, and report whether it came out the same."""
        from torchtty.engine.contract.errors import UserError
        from torchtty.tui.run.replaying import replayed

        worker = get_current_worker()
        told = partial(self.call_from_thread, partial(self.notify, markup=False))
        try:
            result = replayed(run, self.pool, told, lambda: worker.is_cancelled)
        except UserError as error:
            self.call_from_thread(self.notify, str(error), severity="error", markup=False)
            return
        if result is not None:
            self.call_from_thread(self._show_replayed, run, *result)

    def _show_replayed(self, run: "RunDirectory", sentence: str, equal: bool) -> None:
        from torchtty.tui.run.view import RunView

        self.notify(sentence, severity="information" if equal else "warning", timeout=30, markup=False)
        for view in self.screen.query(RunView):
            if view.run == run:
                view.report(sentence)

    # Notifying whoever has left the terminal.

    def on_app_blur(self) -> None:
        self._tells_focus = True

    def on_app_focus(self) -> None:
        self._tells_focus = True

    def on_run_view_changed(self, event: "RunView.Changed") -> None:
        if event.snapshot is not None:
            self._announce(self.announcements.of_state(event.snapshot))

    def on_run_view_diagnosed(self, event: "RunView.Diagnosed") -> None:
        self._announce(self.announcements.of_findings(event.snapshot, event.findings))

    @property
    def announcements(self) -> "Announcements":
        """What is worth a notification; made on first use, which is not before something is on the screen."""
        if self._announcements is None:
            from torchtty.tui.shell.notification import Announcements

            self._announcements = Announcements()
        return self._announcements

    def _announce(self, text: str) -> None:
        """Have the terminal notify, unless it is known to be looked at."""
        from torchtty.tui.shell.notification import sequence

        looked_at = self._tells_focus and self.app_focus
        if text and not looked_at and self._driver is not None and (written := sequence(text)):
            self._driver.write(written)

    # Help, palette, leaving.

    def action_help(self) -> None:
        from torchtty.tui.shell.help import KeysHelp, keys_here

        if not self.screen.is_modal:
            self.push_screen(KeysHelp(self.screen.HELP or "", keys_here(self.screen)))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """List what the keys of this place do, then what a run begins with, the theme, a screenshot and the runs."""
        seen = set()
        for active in screen.active_bindings.values():
            binding = active.binding
            text = binding.tooltip or binding.description
            if binding.id is None or not active.enabled or text in seen or binding.id == "app.palette":
                continue
            seen.add(text)
            keys = f"{self.get_key_display(binding)}  {binding.description}"
            yield SystemCommand(text, keys, partial(self.run_action, binding.action, active.node))
        for what, wanted in CHOICES.items():
            yield SystemCommand(wanted, "Open its list in the form", partial(self.choose, what))
        if (run := _run_to_replay(screen)) is not None:
            about = "Train it again by its record, and compare the two bit for bit"
            yield SystemCommand(f"Replay {run.name}", about, partial(self.replay, run))
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        yield SystemCommand("Screenshot", "Save the screen as SVG in the current folder", self.action_screenshot)
        from torchtty.engine.contract.run.directory import list_runs

        for run in list_runs()[:20]:
            yield SystemCommand(f"Open run {run.name}", "Show it in the Train mode", partial(self.open_run, run))

    async def action_quit(self) -> None:
        if self._leaving:
            return
        self._leaving = True
        self.run_worker(self._leave(), exclusive=True, group="leave")

    async def _leave(self) -> None:
        from torchtty.engine.contract.client.trash import empty_trash
        from torchtty.tui.shell.quit import AtWork, Leaving, QuitDialog

        try:
            at_work = await asyncio.to_thread(AtWork.now)
            if at_work.names:
                choice: Leaving | None = await self.push_screen_wait(QuitDialog(at_work.names))
                if choice in (None, Leaving.CANCEL):
                    return
                if choice is Leaving.STOP:
                    await asyncio.to_thread(at_work.stop)
            await asyncio.to_thread(empty_trash)
            self.exit(0)
        finally:
            self._leaving = False


def _gpu_of_run_on(screen: Screen[object]) -> Watched | None:
    """Return the GPU of the run that a screen shows, if it is one of this machine and the run still has it."""
    from socket import gethostname

    from torchtty.tui.run.view import RunView

    for view in screen.query(RunView):
        status = view.snapshot.status if view.snapshot is not None and view.snapshot.is_served else None
        if status is not None and status.gpu and status.host == gethostname():
            return Watched(status.device, status.gpu)
    return None


def _run_to_replay(screen: Screen[object]) -> "RunDirectory | None":
    """Return the run that a screen shows, or that is under the cursor of its list, if it can be replayed."""
    from torchtty.engine.contract.run.snapshot import Action
    from torchtty.tui.run.view import RunView
    from torchtty.tui.runs.table import RunsTable

    shown = [view.snapshot for view in screen.query(RunView)]
    listed = [table.current.snapshot for table in screen.query(RunsTable) if table.current is not None]
    snapshot = next((found for found in (*shown, *listed) if found is not None), None)
    return snapshot.run if snapshot is not None and snapshot.offers(Action.REPLAY) else None


def run_app(mode: str = TorchttyApp.DEFAULT_MODE) -> int:
    """Run the app, opened in a mode, until it is left; return the exit code."""

    class Opened(TorchttyApp):
        DEFAULT_MODE = mode

    return Opened().run() or 0
