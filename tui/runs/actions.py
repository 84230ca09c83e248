"""What the keys of the Runs screen do with the run under the cursor."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from textual.message import Message
from textual.screen import Screen

from torchtty.engine.contract.client.fork import nearest_fork_point
from torchtty.engine.contract.client.trash import move_to_trash, restore, trashed
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.marks import annotate, star
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.tui.run import actions
from torchtty.tui.run.curves import ChartView
from torchtty.tui.run.view import RunView
from torchtty.tui.runs.marking import MarksDialog, Words
from torchtty.tui.runs.renaming import RenameDialog
from torchtty.tui.shell.dialog import DeleteDialog


class RunActions(Screen[None]):
    """Steering, marking, renaming, exporting and deleting. Whoever derives from it says which run is meant."""

    @dataclass
    class NewRunWanted(Message):
        """Another run is to be composed, starting with the settings of this one."""

        like: RunSnapshot

    @dataclass
    class Renamed(Message):
        """A run has another name now."""

        before: RunDirectory
        now: RunDirectory

    @property
    def current(self) -> Entry | None:
        """The run that is meant."""
        raise NotImplementedError

    def _meant(self) -> Entry | None:
        """Return the run that is meant, or say that there is none."""
        entry = self.current
        if entry is None:
            self.notify("This is for a single run: put the cursor on one. Enter unfolds a group.", severity="warning")
        return entry

    def look_now(self) -> None:
        """Read the list at once: something has changed."""
        raise NotImplementedError

    def close_run(self, run: RunDirectory) -> None:
        """Show a run no longer."""
        raise NotImplementedError

    def _in_thread(self, work: Callable[[], object]) -> None:
        """Do what waits for the disk, say what goes wrong, and read the list again."""

        def guarded() -> None:
            try:
                work()
            except UserError as error:
                self.app.call_from_thread(partial(self.notify, str(error), severity="error", markup=False))
            self.look_now()

        self.run_worker(guarded, thread=True, group="disk", exit_on_error=False)

    # New runs.

    def action_new_like(self) -> None:
        """Ask for a new run with the settings of the run that is meant."""
        entry = self._meant()
        if entry is not None and entry.snapshot.configuration is not None:
            self.post_message(self.NewRunWanted(entry.snapshot))
        elif entry is not None:
            self.notify(f"The settings of {entry.key} cannot be read.", severity="warning", markup=False)

    def action_fork(self) -> None:
        """Ask for a fork of the run that is meant, from its latest checkpoint."""
        if (entry := self._meant()) is None:
            return
        try:
            snapshot = replace(entry.snapshot, checkpoints=tuple(entry.run.checkpoints()))
            self.post_message(RunView.ForkWanted(nearest_fork_point(snapshot, None)))
        except UserError as error:
            self.notify(str(error), severity="warning", markup=False)

    # Requests.

    def action_release(self) -> None:
        """Let the model of the run go."""
        self._ask(actions.release)

    def action_advance(self) -> None:
        """Let the run go ahead of the others that wait."""
        self._ask(actions.advance)

    def _ask(self, action: Callable[[RunSnapshot], actions.Effect]) -> None:
        if entry := self._meant():
            effect = action(entry.snapshot)
            try:
                if effect.request is not None:
                    entry.run.send(effect.request)
            except UserError as error:
                self.notify(str(error), severity="error", markup=False)
            else:
                self.notify(f"{entry.key}: {effect.sentence}", markup=False)

    # Marks.

    def action_star(self) -> None:
        """Give the run a star, or take it away."""
        if entry := self._meant():
            self._in_thread(partial(star, entry.run, starred=not entry.marks.starred))

    def action_tags_and_note(self) -> None:
        """Ask for the run's tags and its note."""
        if entry := self._meant():
            self.app.push_screen(MarksDialog(entry), partial(self._marked, entry.run))

    def _marked(self, run: RunDirectory, words: Words | None) -> None:
        if words is not None:
            self._in_thread(partial(annotate, run, *words))

    # The run's folder.

    def action_rename(self) -> None:
        """Ask for another name of the run."""
        entry = self._meant()
        if entry is None:
            return
        if refusal := entry.snapshot.refusal(Action.RENAME):
            self.notify(refusal, severity="warning", markup=False)
            return
        self.app.push_screen(RenameDialog(entry.run), partial(self._renamed, entry.run))

    def _renamed(self, run: RunDirectory, renamed: RunDirectory | None) -> None:
        if renamed is None:
            return
        view = self.query_one(RunView)
        if view.run == run:
            view.show(renamed)
        self.post_message(self.Renamed(run, renamed))
        self.notify(f"{run.name} is called {renamed.name} now.", markup=False)
        self.look_now()

    def action_export(self) -> None:
        """Ask what of the run is to be exported; of one that is open, its view asks."""
        from torchtty.tui.run.export_dialog import ExportDialog  # here: it brings what writes files

        if (entry := self._meant()) is not None:
            self.app.push_screen(ExportDialog(entry.run, ChartView()))

    def action_delete(self) -> None:
        """Ask, then put the run into the trash."""
        entry = self._meant()
        if entry is None:
            return
        if refusal := entry.snapshot.refusal(Action.DELETE):
            self.notify(refusal, severity="warning", markup=False)
            return
        dialog = DeleteDialog(
            f"Delete {entry.run.name}?", "U brings it back until torchtty is left. Then it is removed from the disk."
        )
        self.app.push_screen(dialog, partial(self._delete, entry.run))

    def _delete(self, run: RunDirectory, confirmed: bool | None) -> None:
        if not confirmed:
            return
        self.close_run(run)

        def work() -> None:
            move_to_trash(run)
            text = f"{run.name} is deleted. U brings it back, until torchtty is left."
            self.app.call_from_thread(partial(self.notify, text, markup=False))

        self._in_thread(work)

    def action_undo_delete(self) -> None:
        """Bring back the run that was deleted last."""

        def work() -> None:
            gone = trashed()
            if not gone:
                raise UserError("Nothing was deleted that could be brought back.")
            back = restore(gone[0])
            self.app.call_from_thread(partial(self.notify, f"{back.name} is back.", markup=False))

        self._in_thread(work)
