"""The Train mode: the form on the left, the run on the right, and what connects them."""

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Button

from torchtty.tui.run.actions import RUN_ACTIONS, STEERING
from torchtty.tui.shell.header import Header
from torchtty.tui.shell.key_bar import KeyBar
from torchtty.tui.train.launcher import Launcher
from torchtty.tui.train.setup_pane import SetupPane

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.widget import Widget

    from torchtty.engine.contract.run.directory import RunDirectory
    from torchtty.engine.contract.run.status import RunState
    from torchtty.tui.form.form import Form
    from torchtty.tui.run.view import RunView
    from torchtty.tui.train.start_line import StartLine
    from torchtty.tui.workers import WorkerPool

COPY = "Copy the settings as a command"
WARM_CHARTS_AFTER = 1.0  # seconds after the first screen, which is to be there first


class TrainScreen(Screen[None]):
    """Compose a run, start it, watch it, prompt it. `pool` returns the app's pool of workers."""

    BINDING_GROUP_TITLE = "Train"
    HELP = "Choose a recipe, change what you like, start with ctrl+t. The curve and the samples appear as it trains."
    AUTO_FOCUS = "#start"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "start", "train", id="train.start", tooltip="Start training with these settings"),
        Binding("ctrl+g", "start_grid", "all runs", id="train.grid", tooltip="Train all runs of the recipe's grid"),
        Binding("f8", "invalid", "invalid", id="train.invalid", show=False, tooltip="Go to the first invalid setting"),
        *STEERING,
        Binding("e", "edit_live", "edit", id="train.edit", tooltip="Change settings of the run while it trains"),
        Binding("e", "edit_next", "next run", id="train.next", tooltip="Back to the settings of the next run"),
        Binding("e", "explain_no_edit", show=False),
        Binding("ctrl+y", "copy_command", "command", id="train.copy_command", show=False, tooltip=COPY),
        Binding("ctrl+n", "save_recipe", "save", id="train.save_recipe", tooltip="Save the settings as a recipe"),
        Binding("ctrl+o", "settings", "form", id="train.settings", tooltip="Show or hide the settings"),
        Binding("escape", "leave_field", "run", id="train.leave", tooltip="Go to the run"),
        Binding("escape", "drop_fork", "drop fork", id="train.drop_fork", tooltip="Drop the fork: compose a new run"),
    ]

    def __init__(self, pool: "Callable[[], WorkerPool]") -> None:
        super().__init__()
        self._pool = pool
        self._launcher = Launcher(self, pool)
        self.is_furnished = False
        self._begun = False  # whether the form is being built
        self._left: Widget | None = None  # what had the focus when the form was hidden
        self._left_in_run: Widget | None = None  # what of the run had it when the form was shown
        self._afterwards: list[Callable[[], object]] = []  # what waits for it
        self._start_requested = False
        self._shown_state: RunState | None = None

    def compose(self) -> ComposeResult:
        yield Header("train")
        with Horizontal(id="train"):
            yield SetupPane(self._pool, self._show_form)
        yield KeyBar()

    async def furnish(self) -> None:
        """Build the form once something is on the screen: its modules import pydantic, 0.15 s."""
        if self._begun:
            return
        self._begun = True
        await self.setup.build_form()
        self.call_after_refresh(self._furnish_run)

    async def _furnish_run(self) -> None:
        """Read the other recipes and build the run's view once the form is on the screen."""
        from torchtty.tui.run.view import RunView

        self.setup.recall()
        await self.query_one("#train").mount(RunView(how_to_start="ctrl+t starts a new run with the settings shown."))
        self.is_furnished = True
        self.refresh_bindings()
        self.set_timer(WARM_CHARTS_AFTER, self._warm_charts)
        self.setup.estimate()
        if self._afterwards:
            for action in self._afterwards:
                action()
            self._afterwards.clear()
        elif self._start_requested:
            self.action_start()
        else:
            self._attach_to_latest()

    def when_furnished(self, action: "Callable[[], object]") -> None:
        """Do something now, or once the form and the run's view are there."""
        if self.is_furnished:
            action()
        else:
            self._afterwards.append(action)

    @work(thread=True, group="charts")
    def _warm_charts(self) -> None:
        """Import plotext before it is needed: the first frame would take 0.4 s longer."""
        from torchtty.tui.charts.canvas import Canvas

        Canvas(2, 2)

    @property
    def setup(self) -> SetupPane:
        return self.query_one(SetupPane)

    @property
    def form(self) -> "Form":
        return self.setup.form

    @property
    def start_line(self) -> "StartLine":
        return self.setup.start_line

    @property
    def key_texts(self) -> dict[str, str]:
        """What keys are called now: starting, by what it does."""
        return {"train.start": self.start_line.word.lower()}

    @property
    def view(self) -> "RunView":
        from torchtty.tui.run.view import RunView

        return self.query_one(RunView)

    # Starting and attaching.

    def action_start(self) -> None:
        """Start a run with the form's settings, or report which of them is wrong."""
        if not self.is_furnished:
            self._start_requested = True  # pressed before the form was there: it counts
            return
        if not self._launcher.is_busy and (draft := self.setup.valid_draft()) is not None:
            self._launcher.start(draft)

    def action_start_grid(self) -> None:
        """Start all runs of the recipe's grid, with what was changed in the form, and with its settings of several values."""
        if self.is_furnished and not self._launcher.is_busy and (draft := self.setup.valid_draft()) is not None:
            self._launcher.start_sweep(draft.sweep(self.setup.grid))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "start":
            self.action_start()

    def on_launcher_created(self, event: Launcher.Created) -> None:
        self.show_run(event.run)

    def on_launcher_failed(self, event: Launcher.Failed) -> None:
        self.setup.complain(event.error)

    def show_run(self, run: "RunDirectory") -> None:
        """Show a run, and hide the form where there is no room for both."""
        self.view.show(run)
        self.add_class("-form-aside")
        if self.form.live is not None:
            self.form.show_next()
        if self.has_class("-narrow") or self.focused is None or self.focused.id == "start":
            self.view.focus_curves()
        self.refresh_bindings()

    @work(thread=True, group="attach")
    def _attach_to_latest(self) -> None:
        """Show the newest run that still trains; where none does, the newest run, beside the form."""
        from torchtty.engine.contract.run.directory import list_runs
        from torchtty.engine.contract.run.status import RunState
        from torchtty.tui.shell.quit import live_runs

        if live := [(run, run.status().state) for run in live_runs()]:
            run, state = next(
                (one for one in live if one[1] is RunState.RUNNING), live[0]
            )  # of a sweep, most only wait
            self.app.call_from_thread(self.show_run, run)
            what = "still training" if state is RunState.RUNNING else state.value
            sweep = run.meta().get("group")
            more = f" f5 shows its sweep {sweep}." if isinstance(sweep, str) else ""
            self.app.call_from_thread(self.notify, f"Attached to {run.name}, {what}.{more}", markup=False)
        elif runs := list_runs():
            self.app.call_from_thread(self._show_last, runs[0])

    def _show_last(self, run: "RunDirectory") -> None:
        """Show a run that is over, unless one was started meanwhile: the form stays, since the next run is made there."""
        if self.view.run is None and not self._launcher.is_busy:
            self.view.show(run)

    def on_run_view_full_screen(self, event: "RunView.FullScreen") -> None:
        self.set_class(event.is_full, "-full")

    def on_run_view_changed(self) -> None:
        snapshot = self.view.snapshot
        if self.form.live is not None and not (snapshot is not None and snapshot.is_live):
            self.form.show_next()
        state = snapshot.state if snapshot else None
        if state is not self._shown_state:  # a status comes ten times a second, and each refresh redraws the keys
            self._shown_state = state
            self.refresh_bindings()
            if snapshot is not None and snapshot.status.unreachable:
                self._fall_back(snapshot.run)

    def _fall_back(self, run: "RunDirectory") -> None:
        """Start what a recipe names instead of a run that was started here and cannot fetch what it needs."""
        fallback = self._launcher.fallback_for(run, self.form.recipes)
        if fallback is not None:
            self.notify(fallback.sentence, severity="warning", timeout=30, markup=False)
            self.view.show(None)  # the new run may have the name of this one, and must be read from its start
            self._launcher.start_fallback(run, fallback)

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in RUN_ACTIONS:
            return self.is_furnished and self.view.check_action(action, parameters)
        if action == "start_grid":
            return self.is_furnished and bool(self.setup.grid)
        if action in ("edit_live", "edit_next", "explain_no_edit", "leave_field", "drop_fork"):
            return self.is_furnished and self._check_form_action(action)
        return True

    def _check_form_action(self, action: str) -> bool:
        from torchtty.engine.contract.run.snapshot import Action

        view, editing = self.view, self.form.live is not None
        if action in ("leave_field", "drop_fork"):
            in_form = self.focused is not None and view not in self.focused.ancestors_with_self
            forks = self.form.draft.fork is not None and not editing
            return in_form and (forks if action == "drop_fork" else not forks and (editing or view.run is not None))
        if action == "edit_next":
            return editing
        can = view.snapshot is not None and view.snapshot.offers(Action.EDIT)
        return not editing and view.snapshot is not None and can is (action == "edit_live")

    # The keys of the run work from the form too.

    def action_pause(self) -> None:
        self.view.action_pause()

    action_continue = action_explain_no_pause = action_pause

    def action_stop(self) -> None:
        self.view.action_stop()

    def action_resume(self) -> None:
        self.view.action_resume()

    def action_checkpoint(self) -> None:
        self.view.action_checkpoint()

    def action_advice(self) -> None:
        self.view.action_advice()

    def action_fork(self) -> None:
        self.view.action_fork()

    def action_pin(self) -> None:
        self.view.action_pin()

    def action_release(self) -> None:
        self.view.action_release()

    def action_export(self) -> None:
        self.view.action_export()

    def action_prompt(self) -> None:
        self.view.action_prompt()

    def action_explain_no_prompt(self) -> None:
        self.view.action_explain_no_prompt()

    def action_draw(self) -> None:
        self.view.action_draw()

    def action_settings(self) -> None:
        """Hide the form, or show it with the focus where that was."""
        setup = self.query_one("#setup")
        if setup.display:
            self._left = self.focused
            self.add_class("-form-shut")
            if self._left is None or setup in self._left.ancestors_with_self:
                left, self._left_in_run = self._left_in_run, None
                if left is not None and _is_shown(left):
                    left.focus()
                else:
                    self.view.focus_curves()
        else:
            left, self._left, self._left_in_run = self._left, None, self.focused
            self._show_form()
            (left if left is not None and _is_shown(left) else self.query_one("#start")).focus()

    def _show_form(self) -> None:
        if self.is_furnished:
            self.view.fill_screen(False)
        self.remove_class("-form-shut", "-form-aside")

    def action_leave_field(self) -> None:
        if self.form.live is not None:
            self.action_edit_next()
        self.add_class("-form-aside")
        self.view.focus_curves()

    # The keys of the form.

    def action_invalid(self) -> None:
        """Go to the first invalid setting of the form, if there is one."""
        if self.is_furnished:
            self.setup.go_to_problem()

    def action_copy_command(self) -> None:
        self.setup.copy_command()

    def action_save_recipe(self) -> None:
        self.setup.save_recipe()

    def action_drop_fork(self) -> None:
        self.setup.drop_fork()

    def action_edit_live(self) -> None:
        if (snapshot := self.view.snapshot) is not None:
            self.setup.edit_live(snapshot)

    def action_explain_no_edit(self) -> None:
        from torchtty.engine.contract.run.snapshot import Action

        if (snapshot := self.view.snapshot) is not None:
            self.view.report(snapshot.refusal(Action.EDIT))

    def action_edit_next(self) -> None:
        self.setup.edit_next()

    def on_form_live_edit(self, event: "Form.LiveEdit") -> None:
        from torchtty.engine.contract.run.requests import Edit

        if self.view.run is not None:
            self.view.send(Edit(path=event.path, value=event.value))


def _is_shown(widget: "Widget") -> bool:
    return widget.is_attached and all(node.display for node in widget.ancestors_with_self)
