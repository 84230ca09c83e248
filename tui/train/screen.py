"""The Train mode: the form on the left, the run on the right, and what connects them."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Button

from torchtty.tui.run.actions import RUN_ACTIONS, STEERING
from torchtty.tui.shell.header import Header
from torchtty.tui.shell.key_bar import KeyBar
from torchtty.tui.train.start_line import WARMING_UP, StartLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torchtty.engine.contract.client.fork import ForkPoint
    from torchtty.engine.contract.diagnosis.finding import Finding
    from torchtty.engine.contract.experiments.group import RunGroup
    from torchtty.engine.contract.experiments.sweep import Sweep
    from torchtty.engine.contract.experiments.values import Value
    from torchtty.engine.contract.run.directory import RunDirectory
    from torchtty.engine.contract.run.snapshot import RunSnapshot
    from torchtty.engine.contract.run.status import RunState
    from torchtty.engine.contract.settings.recipes import Recipe
    from torchtty.tui.form.draft import Draft
    from torchtty.tui.form.form import Form
    from torchtty.tui.form.pickers import Pickers
    from torchtty.tui.run.view import RunView
    from torchtty.tui.workers import WorkerPool

COPY = "Copy the settings as a command"
REMEMBER_AFTER = 0.5  # seconds without a change
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
        Binding("ctrl+y", "copy_command", "command", id="train.copy_command", show=False, tooltip=COPY),
        Binding("ctrl+n", "save_recipe", "save", id="train.save_recipe", tooltip="Save the settings as a recipe"),
        Binding("ctrl+o", "settings", "form", id="train.settings", tooltip="Show or hide the settings"),
        Binding("escape", "leave_field", "run", id="train.leave", tooltip="Go to the run"),
        Binding("escape", "drop_fork", "drop fork", id="train.drop_fork", tooltip="Drop the fork: compose a new run"),
    ]

    @dataclass
    class SweepStarted(Message):
        """A sweep was started with the settings of the form."""

        group: "RunGroup"

    def __init__(self, pool: "Callable[[], WorkerPool]") -> None:
        super().__init__()
        self._pool = pool
        self._starting = False
        self.is_furnished = False
        self._start_requested = False
        self._to_remember: Draft | None = None
        self._remembering: Timer | None = None
        self._begun = False  # whether the form is being built
        self._afterwards: list[Callable[[], object]] = []  # what waits for it
        self._shown_state: RunState | None = None
        self._grid_offered = False  # whether the key for all runs of a grid is shown
        self._started: RunDirectory | None = None  # the latest run that was started here
        self._before_fork: Draft | None = None  # what the form held

    def compose(self) -> ComposeResult:
        yield Header("train")
        with Horizontal(id="train"), Vertical(id="setup"):
            yield StartLine(self._pool)
        yield KeyBar()

    async def furnish(self) -> None:
        """Build the form once something is on the screen: its modules import pydantic, 0.15 s."""
        if self._begun:
            return
        self._begun = True
        from torchtty.engine.contract.settings.recipes import DEFAULT, read_shipped
        from torchtty.tui.form.form import Form

        await self.query_one("#setup").mount(Form({DEFAULT: read_shipped(DEFAULT)}, DEFAULT), before="#start-line")
        self.start_line.say(WARMING_UP)
        self.call_after_refresh(self._furnish_run)

    async def _furnish_run(self) -> None:
        """Read the other recipes and build the run's view once the form is on the screen."""
        from torchtty.engine.contract.client.own_recipes import all_recipes
        from torchtty.tui.form.memory import recall
        from torchtty.tui.run.view import RunView

        untouched = self.form.draft
        self.form.offer(all_recipes(on_error=lambda error: self._complain(str(error))))
        if not untouched.was_edited and (draft := recall(self.form.recipes)) is not None:
            self.form.start_from(draft)
        await self.query_one("#train").mount(RunView(how_to_start="ctrl+t starts a new run with the settings shown."))
        self.is_furnished = True
        self.refresh_bindings()
        self.set_timer(WARM_CHARTS_AFTER, self._warm_charts)
        self.start_line.ask(self.form.draft, self._recipe)
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
    def form(self) -> "Form":
        from torchtty.tui.form.form import Form

        return self.query_one(Form)

    @property
    def start_line(self) -> StartLine:
        return self.query_one(StartLine)

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
        if self._starting:
            return
        from torchtty.engine.contract.client.fork import create_fork
        from torchtty.engine.contract.run.directory import create

        self.form.show_next()
        if not self._all_right():
            return
        draft = self.form.draft
        if draft.several:
            self._start_sweep(draft.sweep())
            return
        self._starting = True
        if draft.fork is not None:
            self._launch(partial(create_fork, draft.fork, draft.configuration()), is_fork=True)
        else:
            self._launch(partial(create, draft.configuration(), recipe=draft.recipe))

    def action_start_grid(self) -> None:
        """Start all runs of the recipe's grid, with what was changed in the form, and with its settings of several values."""
        if not self.is_furnished or self._starting:
            return
        self.form.show_next()
        if self._all_right():
            self._start_sweep(self.form.draft.sweep(self._grid))

    def _start_sweep(self, sweep: "Sweep") -> None:
        self._starting = True
        self._launch_sweep(sweep)

    @work(thread=True, group="start")
    def _launch_sweep(self, sweep: "Sweep") -> None:
        from torchtty.engine.contract.errors import UserError
        from torchtty.engine.contract.experiments.lifecycle import start_sweep

        try:
            group = start_sweep(sweep)
        except UserError as error:
            self.app.call_from_thread(self._complain, str(error))
        else:
            self.post_message(self.SweepStarted(group))
        finally:
            self.app.call_from_thread(self._launched)

    def _all_right(self) -> bool:
        """Whether the settings can be used; else go to the first that cannot, and say why."""
        from torchtty.tui.form.draft import sentence

        problem = self._go_to_problem()
        if problem is not None:
            self._complain(sentence(*problem))
        return problem is None

    def action_invalid(self) -> None:
        """Go to the first invalid setting of the form, if there is one."""
        if self.is_furnished:
            self._go_to_problem()

    def _go_to_problem(self) -> "tuple[str, str] | None":
        if self.form.shown.problems():
            self._show_form()
        return self.form.first_problem()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "start":
            self.action_start()

    @work(thread=True, group="start")
    def _launch(self, create: "Callable[[], RunDirectory]", *, is_fork: bool = False) -> None:
        from torchtty.engine.contract.client.workers import Mode
        from torchtty.engine.contract.errors import UserError
        from torchtty.engine.contract.run.status import RunState, Status

        run = None
        try:
            run = create()
            self._started = None if is_fork else run  # what a fork goes on from has no fallback
            self._pool().hand_over(run, Mode.FORK if is_fork else Mode.TRAIN)
        except UserError as error:
            if run is not None:
                run.write_status(Status(state=RunState.FAILED, message=str(error)))
            self.app.call_from_thread(self._complain, str(error))
        finally:
            self.app.call_from_thread(self._launched)
            if run is not None:  # it trains already: its view takes a tenth of a second to draw
                self.app.call_from_thread(self.show_run, run)

    def _launched(self) -> None:
        self._starting = False

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
        if self.view.run is None and not self._starting:
            self.view.show(run)

    def on_run_view_full_screen(self, event: "RunView.FullScreen") -> None:
        self.set_class(event.is_full, "-full")

    def apply_advice(self, run: "RunSnapshot", finding: "Finding") -> None:
        """Offer a change that a diagnosis proposes: a fork from before the trouble, or where that cannot be, a new run."""
        from torchtty.engine.contract.client.fork import fork_point
        from torchtty.engine.contract.run.snapshot import Action
        from torchtty.engine.contract.settings.fields import show

        change = finding.change
        if change is not None and self.is_furnished:
            step = finding.checkpoint(run.checkpoints)
            if step is not None and run.offers(Action.FORK):
                self.compose_fork(fork_point(run.run, step), {change.path: change.value})
            else:
                self.compose_like(run, {change.path: change.value})
                self.form.row(change.path).focus_editor()
            self.notify(
                f"{run.name} with {change.path} {show(change.value)}: {change.reason}. ctrl+t starts it.", markup=False
            )

    def compose_recipe(self, name: str) -> None:
        """Fill the form with a recipe, ready to be started."""
        if name in self.form.recipes:
            self._show_form()
            self.form.show_next()
            self.form.choose_recipe(name)
            self.form.explain_recipe()
            self.query_one("#start").focus()
            self.refresh_bindings()

    def compose_like(self, run: "RunSnapshot", changes: "Mapping[str, Any] | None" = None) -> None:
        """Fill the form with the settings of an earlier run, marked where they differ from its recipe or the defaults.

        `changes` are settings that the new run is to have instead.
        """
        from torchtty.engine.contract.settings.configuration import with_value
        from torchtty.tui.form.draft import Draft

        if not self.is_furnished or run.configuration is None:
            return
        draft = Draft.like(run.settings, self._recipe_of(run.run))
        for path, value in (changes or {}).items():
            draft.tree = with_value(draft.tree, path, value)
        self._show_form()
        self.form.start_from(draft)
        self.form.listed_rows()[0].focus_editor()
        self.refresh_bindings()
        if not changes:
            self.notify(f"These are the settings of {run.name}: ctrl+t starts a run with them.", markup=False)

    def compose_sweep(self, group: "RunGroup") -> None:
        """Fill the form with the settings of a sweep, several values where its runs differ."""
        from torchtty.engine.contract.experiments.lifecycle import sweep_of
        from torchtty.engine.contract.experiments.sweep import texts_of
        from torchtty.tui.form.draft import Draft

        if not self.is_furnished:
            return
        sweep = sweep_of(group)
        draft = Draft.like(sweep.tree, self.form.recipes.get(sweep.recipe or ""))
        for path, text in texts_of(sweep).items():
            spec = next((spec for spec in draft.specs() if spec.path == path), None)
            if spec is not None:
                draft.enter(spec, text)
        self._show_form()
        self.form.start_from(draft)
        self.form.listed_rows()[0].focus_editor()
        self.refresh_bindings()
        self.notify(f"These are the settings of {group.name}: ctrl+t starts the sweep with them anew.", markup=False)

    def compose_fork(self, point: "ForkPoint", changes: "Mapping[str, Any] | None" = None) -> None:
        """Fill the form with the settings that a run had at a checkpoint, for a fork that begins there, with `changes`."""
        from torchtty.engine.contract.settings.configuration import with_value
        from torchtty.tui.form.draft import Draft

        if not self.is_furnished:
            return
        if self.form.draft.fork is None:
            self._before_fork = self.form.draft
        draft = Draft.from_checkpoint(point, self._recipe_of(point.run))
        for path, value in (changes or {}).items():
            draft.tree = with_value(draft.tree, path, value)
        self._show_form()
        self.form.start_from(draft)
        self.refresh_bindings()
        # Once its rows have their places, so that they can be scrolled to.
        self.call_after_refresh(self._enter_fork, next(iter(changes or ()), None))

    def _recipe_of(self, run: "RunDirectory") -> "Recipe | None":
        return self.form.recipes.get(str(run.meta().get("recipe")))

    def _enter_fork(self, path: str | None) -> None:
        """Go to a setting, or else to the one that a fork is most often made for; or to what is wrong."""
        rows = self.form.listed_rows()
        if self.form.first_problem() is None:
            wanted = [row for row in rows if row.spec.path == path] or [row for row in rows if row.spec.live] or rows
            wanted[0].focus_editor()

    def action_drop_fork(self) -> None:
        """Put back what the form held before the fork."""
        if self._before_fork is not None and self.form.draft.fork is not None:
            self.query_one("#start").focus()
            self.form.start_from(self._before_fork)
            self.refresh_bindings()

    def on_run_view_changed(self) -> None:
        snapshot = self.view.snapshot
        if self.form.live is not None and not (snapshot is not None and snapshot.is_live):
            self.form.show_next()
        state = snapshot.state if snapshot else None
        if state is not self._shown_state:  # a status comes ten times a second, and each refresh redraws the keys
            self._shown_state = state
            self.refresh_bindings()
            if snapshot is not None and snapshot.status.unreachable and snapshot.run == self._started:
                self._fall_back()

    def _fall_back(self) -> None:
        """Start what a recipe names instead of the run that was started here and cannot fetch what it needs."""
        from torchtty.engine.contract.client.offline_fallback import create_fallback, fallback_for

        run, self._started = self._started, None
        fallback = fallback_for(run, self.form.recipes) if run is not None else None
        if run is not None and fallback is not None:
            self.notify(fallback.sentence, severity="warning", timeout=30, markup=False)
            self._starting = True
            self.view.show(None)  # the new run may have the name of this one, and must be read from its start
            self._launch(partial(create_fallback, run, fallback))

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in RUN_ACTIONS:
            return self.is_furnished and self.view.check_action(action, parameters)
        if action == "start_grid":
            return self.is_furnished and bool(self._grid)
        if action in ("edit_live", "edit_next", "leave_field", "drop_fork"):
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
        return not editing and view.snapshot is not None and view.snapshot.offers(Action.EDIT)

    # The keys of the run work from the form too.

    def action_pause(self) -> None:
        self.view.action_pause()

    action_continue = action_pause

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
        if self.query_one("#setup").display:
            self.add_class("-form-shut")
            self.view.focus_curves()
        else:
            self._show_form()
            self.query_one("#start").focus()

    def _show_form(self) -> None:
        if self.is_furnished:
            self.view.fill_screen(False)
        self.remove_class("-form-shut", "-form-aside")

    def action_leave_field(self) -> None:
        if self.form.live is not None:
            self.action_edit_next()
        self.add_class("-form-aside")
        self.view.focus_curves()

    # What the settings become besides a run.

    def action_copy_command(self) -> None:
        """Put the command that starts the form's settings on the clipboard, and show it."""
        from torchtty.tui.form.command import command_of
        from torchtty.tui.form.dialogs import CommandDialog

        self.form.show_next()
        if self._all_right():
            command = command_of(self.form.draft, self.form.recipes)
            self.app.copy_to_clipboard(command)
            self.app.push_screen(CommandDialog(command))

    def action_save_recipe(self) -> None:
        """Save the form's settings as a recipe, and go on from it."""
        from torchtty.tui.form.dialogs import SaveRecipeDialog

        self.form.show_next()
        if self._all_right():
            draft, recipe = self.form.draft, self._recipe
            if kinds := [path for path in draft.several if path.endswith(".kind")]:
                what = kinds[0].partition(".")[0]
                self._complain(f"A recipe has one kind of {what}, and there are several here: choose one to save it.")
                return
            about = recipe.about if recipe is not None else "A recipe of your own."
            dialog = SaveRecipeDialog(draft.portable(), about, self.form.recipes, draft.several)
            self.app.push_screen(dialog, self._recipe_saved)

    def _recipe_saved(self, recipe: "Recipe | None") -> None:
        if recipe is not None:
            self._offer_recipes()
            self.form.choose_recipe(recipe.name, afresh=True)
            self.form.explain_recipe()
            said = f"Saved. 'torchtty {'sweep' if recipe.grid else 'train'} {recipe.name}' trains it too."
            if recipe.grid:
                said += f" Its {len(recipe.runs())} runs are its grid: the form shows the first, and ctrl+g trains all."
            self.notify(said, markup=False)

    def on_pickers_deletion_wanted(self, event: "Pickers.DeletionWanted") -> None:
        """Delete a recipe of the person's own; its settings stay in the form."""
        from torchtty.engine.contract.client.own_recipes import delete_recipe
        from torchtty.engine.contract.errors import UserError

        try:
            delete_recipe(event.recipe)
        except UserError as error:
            self._complain(str(error))
            return
        self.form.forget_recipe(event.recipe)
        self._offer_recipes()
        self.notify(
            f"Deleted {event.recipe}. Its settings are still in the form: ctrl+n saves them again.", markup=False
        )

    def _offer_recipes(self) -> None:
        from torchtty.engine.contract.client.own_recipes import all_recipes

        self.form.offer(all_recipes(on_error=lambda _: None))  # told at the start

    # Live edits.

    def action_edit_live(self) -> None:
        from torchtty.tui.form.draft import Draft

        if (snapshot := self.view.snapshot) is not None:
            self._show_form()
            self.form.show_live(snapshot.name, Draft(snapshot.settings))
            self.form.listed_rows()[0].focus_editor()
            self.refresh_bindings()

    def action_edit_next(self) -> None:
        self.form.show_next()
        self.refresh_bindings()

    def on_form_live_edit(self, event: "Form.LiveEdit") -> None:
        from torchtty.engine.contract.run.requests import Edit

        if self.view.run is not None:
            self.view.send(Edit(path=event.path, value=event.value))

    # Estimates.

    def on_form_changed(self) -> None:
        if self._remembering is not None:
            self._remembering.stop()
        if self.form.draft.fork is None:  # one of a fork is of no use without it
            self._to_remember = self.form.draft
        self._remembering = self.set_timer(REMEMBER_AFTER, self._remember)
        if self.form.pickers.file_row.is_being_typed:
            self.start_line.wait()
        else:
            self.start_line.ask_soon(self.form.draft, self._recipe)
        if self._grid_offered != bool(self._grid):
            self._grid_offered = bool(self._grid)
            self.refresh_bindings()

    def _remember(self) -> None:
        """Store the form's settings for the next start."""
        from torchtty.tui.form.memory import remember

        self._remembering = None
        if self._to_remember is not None:
            remember(self._to_remember)

    def on_unmount(self) -> None:
        if self._remembering is not None:
            self._remember()

    def on_start_line_reported(self, event: StartLine.Reported) -> None:
        event.draft.report(event.problems)
        if event.draft is self.form.draft and self.form.live is None:
            self.form.mark(but_what_is_typed=True)
            self.form.preview.report_tokens(event.draft, event.answer)

    @property
    def _recipe(self) -> "Recipe | None":
        """The recipe of the form's draft."""
        return self.form.recipes.get(self.form.draft.recipe or "")

    @property
    def _grid(self) -> "Mapping[str, tuple[Value, ...]]":
        """The grid of the draft's recipe; empty where it has none, and for a fork."""
        recipe = self._recipe
        return recipe.grid if recipe is not None and self.form.draft.fork is None else {}

    def _complain(self, message: str) -> None:
        self.notify(message, severity="error", markup=False)
