"""The Train mode: the form on the left, the run on the right, and what connects them."""

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Button

from torchtty.tui.modes import TABS
from torchtty.tui.run.bindings import STEERING
from torchtty.tui.shell.header import Header
from torchtty.tui.shell.key_bar import KeyBar
from torchtty.tui.train.start_line import WARMING_UP, StartLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from torchtty.engine.contract.run.directory import RunDirectory
    from torchtty.engine.contract.run.requests import Request
    from torchtty.engine.contract.run.status import RunState
    from torchtty.engine.contract.settings.family import Tree
    from torchtty.tui.app import TorchttyApp
    from torchtty.tui.form.draft import Draft
    from torchtty.tui.form.form import Form
    from torchtty.tui.run.view import RunView

WARM_CHARTS_AFTER = 1.0  # seconds after the first screen, which is to be there first


class TrainScreen(Screen[None]):
    """Compose a run, start it, watch it, prompt it."""

    BINDING_GROUP_TITLE = "Train"
    HELP = "Choose a recipe, change what you like, start with ctrl+t. The curve and the samples appear as it trains."
    AUTO_FOCUS = "#start"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "start", "train", id="train.start", tooltip="Start training with these settings"),
        Binding("f8", "invalid", "invalid", id="train.invalid", show=False, tooltip="Go to the first invalid setting"),
        *STEERING,
        Binding("e", "edit_live", "edit live", id="train.edit", tooltip="Change settings of the run while it trains"),
        Binding("e", "edit_next", "next run", id="train.next", tooltip="Back to the settings of the next run"),
        Binding("ctrl+s", "sample", "sample", id="run.prompt", tooltip="Write a prompt for the model"),
        Binding("ctrl+o", "settings", "settings", id="train.settings", tooltip="Show or hide the settings"),
        Binding("escape", "leave_field", "run", id="train.leave", tooltip="Leave the settings for the run"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._starting = False
        self.is_furnished = False
        self._is_wanted_at_once = False
        self._shown_state: RunState | None = None
        self._started: RunDirectory | None = None  # the latest run that was started here

    def compose(self) -> ComposeResult:
        yield Header(TABS, "train")
        with Horizontal(id="train"), Vertical(id="setup"):
            yield StartLine()
        yield KeyBar()

    async def furnish(self) -> None:
        """Build the form once something is on the screen: its modules bring pydantic, 0.15 s."""
        from torchtty.engine.contract.settings.recipes import DEFAULT, read_shipped
        from torchtty.tui.form.form import Form

        await self.query_one("#setup").mount(Form({DEFAULT: read_shipped(DEFAULT)}, DEFAULT), before="#start-line")
        self.start_line.say(WARMING_UP)
        self.call_after_refresh(self._furnish_run)

    async def _furnish_run(self) -> None:
        """Read the other recipes and build the place of the run once the form is on the screen."""
        from torchtty.engine.contract.settings.recipes import load_recipes
        from torchtty.tui.run.view import RunView

        self.form.offer(load_recipes(on_error=lambda error: self._complain(str(error))))
        await self.query_one("#train").mount(RunView())
        self.is_furnished = True
        self.refresh_bindings()
        self.set_timer(WARM_CHARTS_AFTER, self._warm_charts)
        self.start_line.ask(self.form.draft, self._fallback_of(self.form.draft))
        if self._is_wanted_at_once:
            self.action_start()
        else:
            self._find_live_run()

    @work(thread=True, group="charts")
    def _warm_charts(self) -> None:
        """Import plotext while nobody waits for it: the first frame would take 0.4 s longer."""
        from torchtty.tui.charts.canvas import Canvas

        Canvas(2, 2)

    @property
    def torchtty(self) -> "TorchttyApp":
        return cast("TorchttyApp", self.app)

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
        """Start a run with the form's settings, or say which of them is wrong."""
        if not self.is_furnished:
            self._is_wanted_at_once = True  # pressed in the first blink of an eye: it counts
            return
        if self._starting:
            return
        from torchtty.tui.form.draft import sentence

        form = self.form
        form.show_next()
        if (problem := form.first_problem()) is not None:
            path, message = problem
            self.set_class(False, "-drawer-shut")
            self._complain(sentence(path, message))
            return
        from torchtty.engine.contract.run.directory import create

        self._starting = True
        self._launch(partial(create, form.draft.configuration(), recipe=form.draft.recipe))

    def action_invalid(self) -> None:
        """Go to the first invalid setting of the form, if there is one."""
        if self.is_furnished and self.form.first_problem() is not None:
            self.remove_class("-drawer-shut")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "start":
            self.action_start()

    @work(thread=True, group="start")
    def _launch(self, create: "Callable[[], RunDirectory]") -> None:
        from torchtty.engine.contract.client.workers import Mode
        from torchtty.engine.contract.errors import UserError
        from torchtty.engine.contract.run.status import RunState, Status

        run = None
        try:
            run = self._started = create()
            self.torchtty.hand_over_now(run, Mode.TRAIN)
        except UserError as error:
            if run is not None:
                run.write_status(Status(state=RunState.FAILED, message=str(error)))
            self.app.call_from_thread(self._complain, str(error))
        finally:
            self.app.call_from_thread(self._launched)
            if run is not None:  # it trains already: drawing its place takes a tenth of a second
                self.app.call_from_thread(self.show_run, run)

    def _launched(self) -> None:
        self._starting = False

    def show_run(self, run: "RunDirectory") -> None:
        """Show a run, and put the form away where there is no room for both."""
        self.view.show(run)
        self.add_class("-drawer-shut")
        if self.form.live is not None:
            self.form.show_next()
        if self.has_class("-narrow") or self.focused is None or self.focused.id == "start":
            self._focus_run()
        self.refresh_bindings()

    @work(thread=True, group="attach")
    def _find_live_run(self) -> None:
        from torchtty.tui.shell.leaving import live_runs

        runs = live_runs()
        if runs:
            self.app.call_from_thread(self.show_run, runs[0])
            self.app.call_from_thread(self.notify, f"Attached to {runs[0].name}, still training.", markup=False)

    def compose_like(self, name: str, tree: "Tree", recipe: str) -> None:
        """Put the settings of an earlier run into the form, marked where they differ from its recipe, or the defaults."""
        from torchtty.tui.form.draft import Draft

        if self.is_furnished:
            family, origin = str(tree["model"]["kind"]), self.form.recipes.get(recipe)
            if origin is not None and origin.tree["model"]["kind"] == family:
                draft = Draft.from_recipe(origin)
            else:
                draft = Draft.from_family(family)
            draft.tree = deepcopy(tree)
            self.remove_class("-drawer-shut")
            self.form.start_from(draft)
            self.form.visible_rows()[0].focus_editor()
            self.refresh_bindings()
            self.notify(f"These are the settings of {name}: ctrl+t starts a run with them.", markup=False)

    # The run.

    def on_run_view_status_changed(self) -> None:
        if self.form.live is not None and not self._is_live:
            self.form.show_next()
        state = self.view.status.state if self.view.status else None
        if state is not self._shown_state:  # a status comes ten times a second, and keys are drawn anew each time
            self._shown_state = state
            self.refresh_bindings()
            if self.view.status is not None and self.view.status.unreachable and self.view.run == self._started:
                self._fall_back()

    def _fall_back(self) -> None:
        """Start what a recipe names in the place of the run that was started here and cannot fetch what it needs."""
        from torchtty.engine.contract.client.offline_fallback import create_fallback, fallback_for

        run, self._started = self._started, None
        fallback = fallback_for(run, self.form.recipes) if run is not None else None
        if run is not None and fallback is not None:
            self.notify(fallback.sentence, severity="warning", timeout=30, markup=False)
            self._starting = True
            self.view.show(None)  # the new run may bear the name of this one, and is to be read anew
            self._launch(partial(create_fallback, run, fallback))

    @property
    def _is_live(self) -> bool:
        view = self.view if self.is_furnished else None
        return view is not None and view.run is not None and view.status is not None and view.status.state.is_live

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action in ("pause", "continue", "stop", "resume", "sample", "edit_live", "edit_next", "leave_field"):
            return self.is_furnished and self._check_run_action(action)
        return True

    def _check_run_action(self, action: str) -> bool:
        from torchtty.engine.contract.run.snapshot import Action

        view, editing = self.view, self.form.live is not None
        if action == "leave_field":
            return self.focused is not None and view not in self.focused.ancestors_with_self
        if action == "edit_next":
            return editing
        if view.snapshot is None:
            return action == "sample" and view.run is not None
        if action == "edit_live":
            return not editing and view.snapshot.offers(Action.EDIT)
        return view.snapshot.offers(Action(action))

    def action_pause(self) -> None:
        self.view.pause_or_continue()

    def action_continue(self) -> None:
        self.view.pause_or_continue()

    def action_resume(self) -> None:
        self.view.resume_run()

    def action_stop(self) -> None:
        self.view.stop_run()

    def action_sample(self) -> None:
        self.view.focus_prompt()

    def action_settings(self) -> None:
        self.toggle_class("-drawer-shut")
        if self.has_class("-drawer-shut") and self.is_furnished:
            self._focus_run()
        else:
            self.query_one("#start").focus()

    def action_leave_field(self) -> None:
        if self.form.live is not None:
            self.action_edit_next()
        self._focus_run()

    def _focus_run(self) -> None:
        """Focus something of the run in which keys are no text, so that space pauses it."""
        self.view.focus_curves()

    # Live edits.

    def action_edit_live(self) -> None:
        run = self.view.run
        if run is not None:
            self._read_live(run)

    @work(thread=True, group="live", exclusive=True)
    def _read_live(self, run: "RunDirectory") -> None:
        from torchtty.engine.contract.errors import UserError
        from torchtty.engine.contract.run.log import settings_in_force
        from torchtty.tui.form.draft import Draft

        try:
            draft = Draft(settings_in_force(run))
        except UserError as error:
            self.app.call_from_thread(self._complain, str(error))
        else:
            self.app.call_from_thread(self._show_live, run, draft)

    def _show_live(self, run: "RunDirectory", draft: "Draft") -> None:
        if self.view.run == run and self._is_live:
            self.remove_class("-drawer-shut")
            self.form.show_live(run.name, draft)
            self.form.visible_rows()[0].focus_editor()
            self.refresh_bindings()

    def action_edit_next(self) -> None:
        self.form.show_next()
        self.refresh_bindings()

    def on_form_live_edit(self, event: "Form.LiveEdit") -> None:
        from torchtty.engine.contract.run.requests import Edit

        if (run := self.view.run) is not None:
            self._send(run, Edit(path=event.path, value=event.value))

    @work(thread=True, group="send")
    def _send(self, run: "RunDirectory", request: "Request") -> None:
        from torchtty.engine.contract.errors import UserError

        try:
            run.send(request)
        except UserError as error:
            self.app.call_from_thread(self._complain, str(error))

    # Estimates.

    def on_form_changed(self) -> None:
        self.start_line.ask_soon(self.form.draft, self._fallback_of(self.form.draft))

    def on_start_line_reported(self, event: StartLine.Reported) -> None:
        event.draft.report(event.problems)
        if event.draft is self.form.draft and self.form.live is None:
            self.form.mark()

    def _fallback_of(self, draft: "Draft") -> str:
        """Name what a draft's recipe has for someone without a network; nothing if it has none."""
        recipe = self.form.recipes.get(draft.recipe or "")
        return recipe.fallback.name if recipe is not None and recipe.fallback is not None else ""

    def _complain(self, message: str) -> None:
        self.notify(message, severity="error", markup=False)
