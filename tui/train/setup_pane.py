"""What is left of the run: the form with the settings of the next one, what they amount to, and what fills them in.

It is on the screen before pydantic is imported, so what brings that is imported where it is used.
"""

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer

from torchtty.tui.train.start_line import WARMING_UP, StartLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torchtty.engine.contract.client.fork import ForkPoint
    from torchtty.engine.contract.diagnosis.finding import Finding
    from torchtty.engine.contract.experiments.group import RunGroup
    from torchtty.engine.contract.experiments.values import Value
    from torchtty.engine.contract.run.snapshot import RunSnapshot
    from torchtty.engine.contract.settings.recipes import Recipe
    from torchtty.tui.form.draft import Draft
    from torchtty.tui.form.form import Form
    from torchtty.tui.form.pickers import Pickers
    from torchtty.tui.workers import WorkerPool

REMEMBER_AFTER = 0.5  # seconds without a change


class SetupPane(Vertical):
    """The form and the line under it.

    `pool` returns the app's pool of workers; `reveal` has the pane shown where it is hidden, before something in it is
    focused.
    """

    def __init__(self, pool: "Callable[[], WorkerPool]", reveal: "Callable[[], object]") -> None:
        super().__init__(id="setup")
        self._pool = pool
        self._reveal = reveal
        self._to_remember: Draft | None = None
        self._remembering: Timer | None = None
        self._before_fork: Draft | None = None  # what the form held
        self._grid_offered = False  # whether the key for all runs of a grid is shown

    def compose(self) -> ComposeResult:
        yield StartLine(self._pool)

    async def build_form(self) -> None:
        """Mount the form with the default recipe: the others take longer to read."""
        from torchtty.engine.contract.settings.recipes import DEFAULT, read_shipped
        from torchtty.tui.form.form import Form

        await self.mount(Form({DEFAULT: read_shipped(DEFAULT)}, DEFAULT), before="#start-line")
        self.start_line.say(WARMING_UP)

    def recall(self) -> None:
        """Offer all recipes, and show the draft of the last time unless something was changed meanwhile."""
        from torchtty.tui.form.memory import recall
        from torchtty.tui.train.own_recipes import offer_recipes

        untouched = self.form.draft
        offer_recipes(self.form, lambda error: self.complain(str(error)))
        if not untouched.was_edited and (draft := recall(self.form.recipes)) is not None:
            self.form.start_from(draft)

    def estimate(self) -> None:
        """Ask the worker now what the draft amounts to."""
        self.start_line.ask(self.form.draft, self._recipe)

    @property
    def form(self) -> "Form":
        from torchtty.tui.form.form import Form

        return self.query_one(Form)

    @property
    def start_line(self) -> StartLine:
        return self.query_one(StartLine)

    @property
    def _recipe(self) -> "Recipe | None":
        """The recipe of the form's draft."""
        return self.form.recipes.get(self.form.draft.recipe or "")

    @property
    def grid(self) -> "Mapping[str, tuple[Value, ...]]":
        """The grid of the draft's recipe; empty where it has none, and for a fork."""
        recipe = self._recipe
        return recipe.grid if recipe is not None and self.form.draft.fork is None else {}

    def complain(self, message: str) -> None:
        self.notify(message, severity="error", markup=False)

    # What is to be used.

    def valid_draft(self) -> "Draft | None":
        """Return the next run's settings if they can be used; else go to the first that cannot, say why, and return None."""
        from torchtty.tui.form.draft import sentence

        self.form.show_next()
        problem = self.go_to_problem()
        if problem is not None:
            self.complain(sentence(*problem))
            return None
        return self.form.draft

    def go_to_problem(self) -> "tuple[str, str] | None":
        """Go to the first invalid setting, if there is one, and return its path and what is wrong."""
        if self.form.shown.problems():
            self._reveal()
        return self.form.first_problem()

    def copy_command(self) -> None:
        """Put the command that starts the form's settings on the clipboard, and show it."""
        from torchtty.tui.form.command import command_of
        from torchtty.tui.form.dialogs import CommandDialog

        if (draft := self.valid_draft()) is not None:
            command = command_of(draft, self.form.recipes)
            self.app.copy_to_clipboard(command)
            self.app.push_screen(CommandDialog(command))

    def save_recipe(self) -> None:
        """Save the form's settings as a recipe, and go on from it."""
        from torchtty.tui.train.own_recipes import save_recipe

        if self.valid_draft() is not None:
            save_recipe(self.form)

    def on_pickers_deletion_wanted(self, event: "Pickers.DeletionWanted") -> None:
        from torchtty.tui.train.own_recipes import forget_recipe

        forget_recipe(self.form, event.recipe)

    # What fills the form.

    def choose(self, what: str) -> None:
        """Open the list of models, recipes or data at the top of the form."""
        from torchtty.tui.form.pickers import Picker

        self._reveal()
        self.edit_next()
        self.call_later(self.form.pickers.query_one(f"#{what}", Picker).open)

    def fill_with_recipe(self, name: str) -> None:
        """Fill the form with a recipe, ready to be started."""
        if name in self.form.recipes:
            self._reveal()
            self.form.show_next()
            self.form.choose_recipe(name)
            self.form.explain_recipe()
            self.query_one("#start").focus()
            self.refresh_bindings()

    def fill_like(self, run: "RunSnapshot", changes: "Mapping[str, Any] | None" = None) -> None:
        """Fill the form with the settings of an earlier run, with `changes` instead of some of them."""
        from torchtty.tui.train.drafts import draft_like

        if run.configuration is None:
            return
        self._fill(draft_like(run, self.form.recipes, changes or {}))
        self.form.listed_rows()[0].focus_editor()
        if not changes:
            self.notify(f"These are the settings of {run.name}: ctrl+t starts a run with them.", markup=False)

    def fill_with_sweep(self, group: "RunGroup") -> None:
        """Fill the form with the settings of a sweep, several values where its runs differ."""
        from torchtty.tui.train.drafts import draft_of_sweep

        self._fill(draft_of_sweep(group, self.form.recipes))
        self.form.listed_rows()[0].focus_editor()
        self.notify(f"These are the settings of {group.name}: ctrl+t starts the sweep with them anew.", markup=False)

    def fill_with_fork(self, point: "ForkPoint", changes: "Mapping[str, Any] | None" = None) -> None:
        """Fill the form with the settings that a run had at a checkpoint, for a fork that begins there, with `changes`."""
        from torchtty.tui.train.drafts import draft_of_fork

        if self.form.draft.fork is None:
            self._before_fork = self.form.draft
        self._fill(draft_of_fork(point, self.form.recipes, changes or {}))
        # Once its rows have their places, so that they can be scrolled to.
        self.call_after_refresh(self._enter_fork, next(iter(changes or ()), None))

    def _enter_fork(self, path: str | None) -> None:
        """Go to a setting, or else to the one that a fork is most often made for; or to what is wrong."""
        rows = self.form.listed_rows()
        if self.form.first_problem() is None:
            wanted = [row for row in rows if row.spec.path == path] or [row for row in rows if row.spec.live] or rows
            wanted[0].focus_editor()

    def drop_fork(self) -> None:
        """Put back what the form held before the fork."""
        if self._before_fork is not None and self.form.draft.fork is not None:
            self.query_one("#start").focus()
            self.form.start_from(self._before_fork)
            self.refresh_bindings()

    def apply_advice(self, run: "RunSnapshot", finding: "Finding") -> None:
        """Offer a change that a diagnosis proposes: a fork from before the trouble, or where that cannot be, a new run."""
        from torchtty.engine.contract.client.fork import fork_point
        from torchtty.engine.contract.run.snapshot import Action
        from torchtty.engine.contract.settings.fields import show

        if (change := finding.change) is None:
            return
        step = finding.checkpoint(run.checkpoints)
        if step is not None and run.offers(Action.FORK):
            self.fill_with_fork(fork_point(run.run, step), {change.path: change.value})
        else:
            self.fill_like(run, {change.path: change.value})
            self.form.row(change.path).focus_editor()
        what = f"{run.name} with {change.path} {show(change.value)}"
        self.notify(f"{what}: {change.reason}. ctrl+t starts it.", markup=False)

    def _fill(self, draft: "Draft") -> None:
        self._reveal()
        self.form.start_from(draft)
        self.refresh_bindings()

    # The settings of the run that trains, in place of the next one's.

    def edit_live(self, run: "RunSnapshot") -> None:
        """Show the settings of a run that can change while it trains. What is changed arrives as `Form.LiveEdit`."""
        from torchtty.tui.form.draft import Draft

        self._reveal()
        self.form.show_live(run.name, Draft(run.settings))
        self.form.listed_rows()[0].focus_editor()
        self.refresh_bindings()

    def edit_next(self) -> None:
        """Show the settings of the next run again."""
        self.form.show_next()
        self.refresh_bindings()

    # What follows on a change.

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
        if self._grid_offered != bool(self.grid):
            self._grid_offered = bool(self.grid)
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
