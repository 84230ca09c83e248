"""The Experiments screen: the groups of runs on the left, and on the right what one of them has come to, while it trains too."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.comparison import ranked
from torchtty.engine.contract.experiments.group import RunGroup
from torchtty.engine.contract.experiments.lifecycle import delete_group, rename_group, resume_sweep
from torchtty.engine.contract.experiments.results import BEST, LAST, Member, Results, short_name
from torchtty.engine.contract.experiments.summaries import moment, title_of, unit
from torchtty.engine.contract.experiments.tables import write_tables, written
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.experiments.choices import VIEWS, Choices
from torchtty.tui.experiments.dialogs import LineDialog, RunPicker
from torchtty.tui.experiments.figure_view import ResultView
from torchtty.tui.experiments.matrix import Matrix
from torchtty.tui.experiments.result_tables import tables_for
from torchtty.tui.experiments.settings_scatter import SettingScatter
from torchtty.tui.experiments.watcher import GroupWatcher, Listed, Look
from torchtty.tui.format import STATE_LOOKS
from torchtty.tui.shell.dialog import DeleteDialog
from torchtty.tui.shell.header import Header
from torchtty.tui.shell.key_bar import KeyBar

EMPTY = (
    "There is no group of runs yet. Give a setting several values, and there is a run for each of them: write 1..10 as the seed in"
    " the form (f2), or type: torchtty train a1-next-word --training.seed 1..10"
)
NAMES = 29  # cells of a group in the list, without its state
EXPORT_HELP = "The ending says how: .md for Markdown, .csv, .tex for LaTeX, .json."
RENAME_HELP = "Its runs that are called after it are renamed too. Letters, digits, dots, dashes and underscores."
NEW_LIKE = "Fill the form with the settings of this sweep, to train it anew with others"
BEST_TO_FORM = "Fill the form with the settings of the best run of the best setting"


class ViewTabs(Widget):
    """The views, the present one in brackets, each with its key; a click goes there."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "ViewTabs { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.current = VIEWS[0].id
        self._spans: list[tuple[int, int, str]] = []

    def show(self, current: str) -> None:
        """Mark another view as the present one."""
        if current != self.current:
            self.current = current
            self.refresh()

    def render(self) -> Content:
        at, parts = 0, []
        self._spans = []
        for number, view in enumerate(VIEWS, start=1):
            active = view.id == self.current
            text = f"[{view.title}]" if active else f" {number} {view.title} "
            self._spans.append((at, at + len(text), view.id))
            parts.append(Content.styled(text, "bold $text-accent" if active else "$foreground 60%"))
            at += len(text)
        return Content("").join(parts)

    async def on_click(self, event: Click) -> None:
        event.stop()
        for start, end, name in self._spans:
            if start <= event.x < end:
                await self.run_action(f"screen.view('{name}')")


class ExperimentsScreen(Screen[None]):
    """Compares the runs of a group, and stops, deletes and opens them."""

    BINDING_GROUP_TITLE = "Experiments"
    HELP = "Groups of runs, the newest first: which setting is better, and by more than the seeds scatter? 1 to 6 are the views."
    DEFAULT_CSS = """
    ExperimentsScreen #experiments { height: 1fr; }
    ExperimentsScreen #groups { width: 34; height: 1fr; border: none; border-right: vkey $foreground 15%; padding: 0 1;
        background: $background; }
    ExperimentsScreen OptionList:focus { background-tint: $foreground 0%; }
    ExperimentsScreen #experiment { width: 1fr; height: 1fr; padding: 0 1; }
    ExperimentsScreen #experiment-head { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    ExperimentsScreen #experiment-words { height: auto; max-height: 4; color: $foreground 80%; }
    ExperimentsScreen ResultView { height: 1fr; margin-top: 1; }
    ExperimentsScreen.-low ResultView { margin-top: 0; }
    ExperimentsScreen.-low #experiment-words { max-height: 4; }
    ExperimentsScreen.-narrow #experiments { layout: vertical; }
    ExperimentsScreen.-narrow #groups { width: 1fr; height: auto; max-height: 3; border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                str(number),
                f"view('{view.id}')",
                view.title.lower(),
                show=False,
                id=f"experiments.{view.id}",
                tooltip=view.about,
            )
            for number, view in enumerate(VIEWS, start=1)
        ),
        Binding("v", "next_view", "view", id="experiments.view", tooltip="The next view; 1 to 6 go to one"),
        Binding("m", "choose('next_metric')", "metric", id="experiments.metric", tooltip="Compare another metric"),
        Binding(
            "t",
            "choose('next_moment')",
            "when",
            id="experiments.moment",
            tooltip="Compare at the end, at the best, or at a step of the recipe's figures",
        ),
        Binding(
            "r",
            "choose('next_rows')",
            "rows",
            id="experiments.rows",
            tooltip="Another setting as the rows, or along the axis of the scatter",
        ),
        Binding(
            "c", "choose('next_columns')", "columns", id="experiments.columns", tooltip="Another setting as the columns"
        ),
        Binding(
            "x",
            "choose('next_axis')",
            "axis",
            id="experiments.axis",
            tooltip="Of a race: what was spent along the x axis, seconds, steps or FLOPs",
        ),
        Binding("l", "log", "log y", id="experiments.log", tooltip="A logarithmic y axis, or a linear one"),
        Binding("u", "use", "use best", id="experiments.use", tooltip=BEST_TO_FORM),
        Binding("n", "new_like", "new like this", id="experiments.new_like", tooltip=NEW_LIKE),
        Binding("s", "stop", "stop", id="experiments.stop", tooltip="Stop every run of the group with a checkpoint"),
        Binding("R", "resume", "resume", id="experiments.resume", tooltip="Go on with the runs that are still open"),
        Binding(
            "E", "export", "export", id="experiments.export", tooltip="Write the tables as Markdown, CSV, LaTeX or JSON"
        ),
        Binding("M", "rename", "rename", id="experiments.rename", tooltip="Give the group and its runs another name"),
        Binding(
            "delete,D",
            "delete",
            "delete",
            key_display="del",
            id="experiments.delete",
            tooltip="Delete the group with its runs, after asking",
        ),
    ]

    @dataclass
    class RunWanted(Message):
        """A run is to be opened."""

        run: RunDirectory

    @dataclass
    class SweepWanted(Message):
        """A new sweep is to be composed, starting with the settings of this one."""

        group: RunGroup

    @dataclass
    class SettingWanted(Message):
        """A new run is to be composed, starting with the settings of this one."""

        like: RunSnapshot

    @dataclass
    class Looked(Message, bubble=False):
        """The thread has read a group."""

        look: Look

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, ExperimentsScreen.Looked)

    def __init__(self) -> None:
        super().__init__()
        self._watcher = GroupWatcher(lambda look: self.post_message(self.Looked(look)))
        self.choices = Choices()
        self.results: Results | None = None
        self._listed: tuple[Listed, ...] = ()
        self._looked_at = ""  # of the group that is looked at

    def compose(self) -> ComposeResult:
        yield Header("experiments")
        with Horizontal(id="experiments"):
            yield OptionList(id="groups")
            with Vertical(id="experiment"):
                yield Static(id="experiment-head")
                yield ViewTabs()
                yield ResultView()
                yield Static(id="experiment-words")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#groups").focus()

    def on_screen_resume(self) -> None:
        self._watcher.start()

    def on_screen_suspend(self) -> None:
        self._watcher.pause()

    def on_unmount(self) -> None:
        self._watcher.stop()

    @property
    def view(self) -> ResultView:
        return self.query_one(ResultView)

    @property
    def group(self) -> RunGroup | None:
        """The group that is looked at."""
        return next((entry.group for entry in self._listed if self.results and entry.name == self.results.name), None)

    # -- showing --------------------------------------------------------------------------------------------------

    def on_experiments_screen_looked(self, event: Looked) -> None:
        """Show what the thread has read, unless something else was asked for meanwhile."""
        look = event.look
        self._list(look.groups)
        if look.results is None:
            self.results = None
            self.query_one("#experiment-head", Static).update("")
            self.query_one("#experiment-words", Static).update("")
            self.view.say(EMPTY)
            self.refresh_bindings()
            return
        if self._looked_at and look.results.name != self._looked_at:
            return
        changed = (
            self.results is None or self.results.name != look.results.name or look.choices.view != self.choices.view
        )
        self.results, self.choices, self._looked_at = look.results, look.choices, look.results.name
        if changed:
            self.view.forget_cursor()
        self.query_one(ViewTabs).show(look.choices.view)
        self.query_one("#experiment-head", Static).update(self._head(look))
        self.query_one("#experiment-words", Static).update(Content("\n".join(map(printable_line, look.words))))
        if isinstance(look.figure, str):
            self.view.say(printable_line(look.figure))
        else:
            self.view.show(look.figure)
        self.refresh_bindings()

    def _head(self, look: Look) -> Content:
        results, choices = look.results, look.choices
        assert results is not None
        state = STATE_LOOKS[results.status.state]
        over = sum(not member.status.state.is_live for member in results.members)
        count = len(results.members)
        runs = f"{over} of {count} runs over" if 0 < over < count else f"{count} run{'s' * (count != 1)}"
        parts = [
            (printable_line(results.name), "bold"),
            (f"  {state.sign} {state.word}", state.colour),
            (f"  {runs}", "$foreground 75%"),
        ]
        if results.metrics:
            parts.append((f"  {title_of(results, choices.metric)}, {self._when(results, choices)}", "$text-accent"))
        if choices.view in ("matrix", "panels", "scatter") and choices.rows:
            columns = f" against {short_name(choices.columns)}" if choices.columns and choices.view != "scatter" else ""
            parts.append((f"  {short_name(choices.rows)}{columns}", "$foreground 75%"))
        return Content.assemble(*parts)

    def _when(self, results: Results, choices: Choices) -> str:
        if each := choices.columns_of_moments(results):
            return f"{unit(results)}s {', '.join(written(moment(results, step)) for step in each)}"
        if isinstance(choices.at, str):
            last = "so far" if results.status.state.is_live else "at the end"
            return {LAST: last, BEST: "at its lowest"}[choices.at]
        return f"{unit(results)} {written(moment(results, choices.at))}"

    def _list(self, groups: Sequence[Listed]) -> None:
        """List the groups, with the cursor on the one that is looked at."""
        if tuple(groups) == self._listed:
            return
        listed = self.query_one("#groups", OptionList)
        before = [entry.name for entry in self._listed]
        self._listed = tuple(groups)
        contents = [_line(entry) for entry in groups]
        if before == [entry.name for entry in groups]:
            for place, content in enumerate(contents):
                listed.replace_option_prompt_at_index(place, content)
            return
        with self.prevent(OptionList.OptionHighlighted):
            listed.set_options(Option(content, id=f"group-{place}") for place, content in enumerate(contents))
        names = [entry.name for entry in groups]
        if self._looked_at not in names:
            self._looked_at = ""
        listed.highlighted = names.index(self._looked_at) if self._looked_at else 0 if names else None

    # -- choosing -------------------------------------------------------------------------------------------------

    @on(OptionList.OptionHighlighted, "#groups")
    def _chosen(self, event: OptionList.OptionHighlighted) -> None:
        if (
            event.option_index < len(self._listed)
            and (name := self._listed[event.option_index].name) != self._looked_at
        ):
            self._looked_at = name
            self.choices = Choices(self.choices.view)
            self._look()

    @on(OptionList.OptionSelected, "#groups")
    def _into(self) -> None:
        self.view.focus()

    def open_group(self, name: str) -> None:
        """Show a group, such as one that was just started, as its curves."""
        self._looked_at, self.choices = name, Choices()
        self._look()

    def _look(self) -> None:
        self._watcher.look_at(self._looked_at, self.choices)

    def action_view(self, name: str) -> None:
        """Show another view."""
        self.choices = replace(self.choices, view=name)
        self.query_one(ViewTabs).show(name)
        self.view.forget_cursor()
        self._look()

    def action_next_view(self) -> None:
        names = [view.id for view in VIEWS]
        self.action_view(names[(names.index(self.choices.view) + 1) % len(names)])

    def action_choose(self, step: str) -> None:
        """Go to the next metric, moment or setting."""
        if self.results is not None:
            go: Callable[[Results], Choices] = getattr(self.choices, step)
            self.choices = go(self.results)
            self._look()

    def action_log(self) -> None:
        self.choices = replace(self.choices, log=not self.choices.log)
        self._look()

    # -- doing ----------------------------------------------------------------------------------------------------

    @on(ResultView.Opened)
    def _open(self) -> None:
        """Open the runs under the cursor: one at once, of several the one that is picked."""
        figure, cursor = self.view.figure, self.view.cursor
        members: tuple[Member, ...] = ()
        if isinstance(figure, Matrix):
            cell = figure.at(cursor)
            members = cell.members if cell is not None else ()
        elif isinstance(figure, SettingScatter):
            member = figure.at(cursor)
            members = (member,) if member is not None else ()
        elif self.results is not None:
            members = self.results.members
        there = [member for member in members if member.exists]
        if len(there) == 1:
            self._open_run(there[0].name)
        elif there and self.results is not None:
            self.app.push_screen(RunPicker(there, self.choices.metric, self.choices.at), self._open_run)

    def _open_run(self, name: str | None) -> None:
        group = self.group
        if name and group is not None:
            self.post_message(self.RunWanted(RunDirectory(group.path.parent / name)))

    def action_use(self) -> None:
        """Put the settings of the best run of the best setting into the form."""
        group = self.group
        best = next((entry for entry in self._ranked() if entry.spread.n), None)
        if group is None or best is None:
            self.notify("No run of this group has a result yet.")
            return
        metric, at = self.choices.metric, self.choices.at
        values = [(value, member) for member in best.members if (value := member.value(metric, at)) is not None]
        member = min(values, key=lambda pair: pair[0])[1]
        self.post_message(self.SettingWanted(RunSnapshot.of(RunDirectory(group.path.parent / member.name))))

    def action_new_like(self) -> None:
        """Put the settings of the sweep into the form, several values where its runs differ."""
        if (group := self.group) is not None:
            self.post_message(self.SweepWanted(group))

    def _ranked(self) -> list:
        return ranked(self.results, self.choices.metric, self.choices.at) if self.results is not None else []

    def action_stop(self) -> None:
        """Stop the group."""
        group = self.group
        if group is not None:
            self._in_thread(group.stop, f"{group.name} stops after this step; each of its runs can be resumed.")

    def action_export(self) -> None:
        """Ask for a file, and write the tables that the present choices give to it."""
        results, choices = self.results, self.choices
        if results is None:
            return

        def write(target: str) -> str:
            return f"{write_tables(tables_for(results, choices), target)} is written."

        free = (f"{results.name}{number}.md" for number in ("", *(f"-{number}" for number in range(2, 1000))))
        proposed = next((name for name in free if not os.path.lexists(name)), "")
        help = f"{EXPORT_HELP} In {printable_line(os.getcwd())} unless it says another place; nothing is overwritten."
        self.app.push_screen(LineDialog(f"Export the tables of {results.name}", proposed, help, write), self._say)

    def action_rename(self) -> None:
        """Ask for another name of the group."""
        if (group := self.group) is not None:

            def rename(name: str) -> str:
                renamed = rename_group(group, name)
                self._looked_at = renamed.name
                self._look()
                return f"{group.name} is called {renamed.name} now."

            self.app.push_screen(LineDialog(f"Rename {group.name}", group.name, RENAME_HELP, rename), self._say)

    def _say(self, done: str | None) -> None:
        if done:
            self.notify(done, markup=False)

    def action_delete(self) -> None:
        """Ask, then delete the group with its runs."""
        group = self.group
        if group is not None and self.results is not None:
            count = sum(member.exists for member in self.results.members)
            question = f"Delete {group.name} and its {count} runs?"
            consequence = "Curves, samples and checkpoints are removed from the disk and cannot be brought back."
            self.app.push_screen(DeleteDialog(question, consequence), self._delete)

    def _delete(self, confirmed: bool | None) -> None:
        group = self.group
        if not confirmed or group is None:
            return

        self._in_thread(lambda: delete_group(group), f"{group.name} is deleted.")

    def action_resume(self) -> None:
        """Go on with a sweep that was stopped, or whose coordinator is gone."""
        group = self.group
        if group is not None:
            self._in_thread(lambda: resume_sweep(group), f"{group.name} goes on with the runs that are open.")

    def _in_thread(self, work: Callable[[], object], done: str) -> None:
        def run() -> None:
            try:
                work()
            except UserError as error:
                self.app.call_from_thread(self.notify, str(error), severity="error", markup=False)
            else:
                self.app.call_from_thread(self.notify, done, markup=False)
            self._look()

        self.run_worker(run, thread=True, group="groups", exit_on_error=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        results = self.results
        if action in ("view", "next_view", "log", "use", "choose", "stop") and results is None:
            return False
        view = self.choices.view
        if action == "stop":
            return results is not None and results.status.state.is_live
        if action == "resume":
            return results is not None and results.status.state in (RunState.STOPPED, RunState.LOST, RunState.FAILED)
        if action == "export":
            return results is not None and bool(results.metrics)
        if action == "new_like":
            return self.group is not None and self.group.tree() is not None
        if action in ("delete", "rename"):
            return results is not None and not results.status.state.is_live
        if action == "log":
            return view in ("fan", "panels", "scatter")
        if action == "choose" and parameters[0] == "next_axis":
            return results is not None and results.race is not None and view == "fan"
        if action == "choose" and parameters[0] == "next_rows":
            return view in ("matrix", "panels", "scatter")
        if action == "choose" and parameters[0] == "next_columns":
            return view in ("matrix", "panels")
        return True


def _line(entry: Listed) -> Content:
    """Write a group for the list."""
    sign, runs = STATE_LOOKS[entry.state].sign, f" {entry.runs} runs"
    name = printable_line(entry.name)
    room = NAMES - len(runs)
    return Content(f"{sign} {(name if len(name) <= room else name[: room - 1] + '…'):{room}}{runs}")
