"""The app: modes, keys, palette, theme, and leaving. Each mode's work is in its own screen."""

import asyncio
import gc
from collections.abc import Iterable, Mapping
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

from torchtty.tui.modes import MODES, AppMode
from torchtty.tui.shell.gauges import Gauges, Reading
from torchtty.tui.shell.header import Header, ModeTab
from torchtty.tui.shell.theme import LANTERN
from torchtty.tui.shell.too_small import TooSmall, fits

if TYPE_CHECKING:
    from torchtty.engine.contract.client import workers
    from torchtty.engine.contract.run.directory import RunDirectory
    from torchtty.tui.lenses.screen import LensesScreen
    from torchtty.tui.run.view import RunView
    from torchtty.tui.runs.screen import RunsScreen
    from torchtty.tui.workers import WorkerPool


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

    class Gauged(Message):
        """The machine was sampled."""

        def __init__(self, reading: Reading) -> None:
            super().__init__()
            self.reading = reading

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, TorchttyApp.Gauged)

    def __init__(self, pool: "WorkerPool | None" = None) -> None:
        super().__init__()
        for mode in MODES:
            self.add_mode(mode.name, partial(self._screen_of, mode))
        self.register_theme(LANTERN)
        self.set_reactive(App.theme, LANTERN.name)  # without a signal: a change would have all styles parsed again
        self._pool = pool
        self._gauges = Gauges(lambda reading: self.post_message(self.Gauged(reading)))
        self._leaving = False

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
        return screen

    def on_ready(self) -> None:
        # Textual lays the first screen out while it still holds back all painting, and then paints only what changes.
        self.screen.refresh()
        self.screen.call_after_refresh(self._settle)

    def _settle(self) -> None:
        """Do what can wait until something is on the screen."""
        from torchtty.engine.contract.errors import UserError
        from torchtty.tui.shell.preferences import changed_keys, remembered_theme

        theme = remembered_theme()
        if theme in self.available_themes:
            self.theme = theme
        self.theme_changed_signal.subscribe(self, lambda theme: self._remember(theme.name))
        try:
            self.set_keymap(changed_keys())
        except UserError as error:
            self.notify(str(error), title="Keys", severity="warning", markup=False)
        self._gauges.start()
        self.set_timer(STARTED_AFTER, collect_garbage)
        from torchtty.tui.train.screen import TrainScreen

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

    def on_resize(self, event: Resize) -> None:
        if not fits(event.size.width, event.size.height) and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())

    def _remember(self, theme: str) -> None:
        from torchtty.tui.shell.preferences import remember_theme

        remember_theme(theme)

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

    def open_run(self, run: "RunDirectory") -> None:
        """Show a run in the Train mode."""
        from torchtty.tui.train.screen import TrainScreen

        self.action_mode("train")
        screen = self.screen
        assert isinstance(screen, TrainScreen)
        screen.show_run(run)

    def on_runs_screen_new_run_wanted(self, event: "RunsScreen.NewRunWanted") -> None:
        from torchtty.tui.train.screen import TrainScreen

        self.action_mode("train")
        if isinstance(self.screen, TrainScreen):
            self.screen.compose_like(event.like)

    def on_runs_screen_renamed(self, event: "RunsScreen.Renamed") -> None:
        from torchtty.tui.train.screen import TrainScreen

        for screen in self.get_screen_stack("train"):
            if isinstance(screen, TrainScreen) and screen.is_furnished and screen.view.run == event.before:
                screen.view.show(event.now)

    def on_lenses_screen_run_wanted(self, event: "LensesScreen.RunWanted") -> None:
        from torchtty.tui.train.screen import TrainScreen

        trained = [screen for screen in self.get_screen_stack("train") if isinstance(screen, TrainScreen)]
        event.by.look_into(next((screen.view.run for screen in trained if screen.is_furnished), None))

    def on_run_view_needs_worker(self, event: "RunView.NeedsWorker") -> None:
        from torchtty.engine.contract.client.workers import Mode

        self._hand_over(event.run, Mode.SERVE)

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

    # Help, palette, leaving.

    def action_help(self) -> None:
        from torchtty.tui.shell.help import KeysHelp, keys_here

        if not self.screen.is_modal:
            self.push_screen(KeysHelp(self.screen.HELP or "", keys_here(self.screen)))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """List what the keys of this place do, then the theme, a screenshot and the runs."""
        seen = set()
        for active in screen.active_bindings.values():
            binding = active.binding
            text = binding.tooltip or binding.description
            if binding.id is None or not active.enabled or text in seen or binding.id == "app.palette":
                continue
            seen.add(text)
            keys = f"{self.get_key_display(binding)}  {binding.description}"
            yield SystemCommand(text, keys, partial(self.run_action, binding.action, active.node))
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        yield SystemCommand("Screenshot", "Save the screen as SVG in the current folder", self.action_screenshot)
        for run in _runs_to_open():
            yield SystemCommand(f"Open run {run.name}", "Show it in the Train mode", partial(self.open_run, run))

    async def action_quit(self) -> None:
        if self._leaving:
            return
        self._leaving = True
        self.run_worker(self._leave(), exclusive=True, group="leave")

    async def _leave(self) -> None:
        from torchtty.tui.shell.quit import Leaving, QuitDialog, live_runs, stop_all

        try:
            runs = await asyncio.to_thread(live_runs)
            if runs:
                choice: Leaving | None = await self.push_screen_wait(QuitDialog([run.name for run in runs]))
                if choice in (None, Leaving.CANCEL):
                    return
                if choice is Leaving.STOP:
                    await asyncio.to_thread(stop_all, runs)
            self.exit(0)
        finally:
            self._leaving = False


def _runs_to_open() -> "list[RunDirectory]":
    from torchtty.engine.contract.run.directory import list_runs

    return list_runs()[:20]


def run_app() -> int:
    """Run the app until it is left; return the exit code."""
    return TorchttyApp().run() or 0
