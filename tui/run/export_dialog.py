"""Asks what of a run is to be exported and where to, writes it, and says in place what was wrong."""

import os
from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.exports.kinds import KINDS, ExportKind, default_target, refused
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.tui.run.export import ChartView, Written, write, write_by_command
from torchtty.tui.shell.dialog import Dialog
from torchtty.tui.shell.inputs import OrderedInput

BY_COMMAND = ("tensorboard", "transformers")  # a worker is needed, or a package whose import would hold the screen up
HELP = "↑↓ choose · tab: the path · enter writes · nothing is overwritten"


class ExportDialog(Dialog[Written]):
    """Returns what was written, or None. What the run cannot give is listed too, and says why when it is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="export.cancel", tooltip="Export nothing")
    ]
    DEFAULT_CSS = """
    ExportDialog > Vertical { max-height: 100%; padding: 0 2; }
    ExportDialog .title { margin-bottom: 0; text-wrap: nowrap; text-overflow: ellipsis; }
    ExportDialog OptionList { height: auto; max-height: 9; margin: 1 0; padding: 0; border: none; background: $surface; }
    ExportDialog Label { width: 100%; color: $foreground 65%; text-wrap: nowrap; text-overflow: ellipsis; }
    ExportDialog .help { min-height: 2; }
    """

    def __init__(self, run: RunDirectory, view: ChartView) -> None:
        super().__init__()
        self._run, self._view = run, view
        self._snapshot = RunSnapshot.of(run)
        self._proposed = ""
        self._busy = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(f"Export {printable_line(self._run.name)}"), classes="title")
            options = OptionList(*map(self._option, KINDS.values()), compact=True, id="export-kinds")
            first = next((at for at, kind in enumerate(KINDS.values()) if not refused(self._snapshot, kind)), 0)
            options.highlighted = first
            yield options
            yield Label()
            yield OrderedInput(compact=True, id="export-target")
            yield Static(HELP, classes="help")

    def _option(self, kind: ExportKind) -> Option:
        if refused(self._snapshot, kind):
            return Option(Content.assemble((f"{kind.name:14} {kind.about}", "$foreground 40%")), id=kind.name)
        return Option(Content.assemble((f"{kind.name:14} ", "bold"), kind.about), id=kind.name)

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    @property
    def _kind(self) -> ExportKind:
        options = self.query_one(OptionList)
        return KINDS[str(options.get_option_at_index(options.highlighted or 0).id)]

    @on(OptionList.OptionHighlighted)
    def _propose(self) -> None:
        """Propose a target for the kind, unless the person wrote one."""
        target, kind = self.query_one(Input), self._kind
        if target.value == self._proposed:
            target.value = self._proposed = default_target(self._snapshot, kind)
        where = f"to the {'folder' if kind.folder else 'file'}, in {printable_line(os.getcwd())} unless it says another place"
        self.query_one(Label).update(Content(where))
        self.say(refused(self._snapshot, kind) or HELP, problem=bool(refused(self._snapshot, kind)))

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def _write(self) -> None:
        """Write in a thread, for a whole run may take a while."""
        if self._busy:
            return
        kind, target = self._kind, self.query_one(Input).value.strip()
        if not target:
            self.say("Name a file or folder to write to.", problem=True)
            self.query_one(Input).focus()
            return
        self._busy = True
        self.say("writing …")

        def work() -> None:
            snapshot = RunSnapshot.of(self._run)  # it may have gone on meanwhile
            try:
                if refusal := refused(snapshot, kind):
                    raise UserError(refusal)
                if kind.name in BY_COMMAND:
                    written = write_by_command(snapshot.run, kind, target)
                else:
                    written = write(snapshot, kind, target, view=self._view)
            except UserError as error:
                self._back(lambda reason=str(error): self._failed(reason))  # type: ignore[misc]
            else:
                self._back(lambda: self._done(written))

        self.run_worker(work, thread=True, group="export", exit_on_error=False)

    def _back(self, report: Callable[[], None]) -> None:
        if self.is_attached:  # the person may have left meanwhile
            self.app.call_from_thread(report)

    def _failed(self, reason: str) -> None:
        self._busy = False
        self.say(reason, problem=True)

    def _done(self, written: Written) -> None:
        self.app.notify(written.sentence, markup=False)
        self.dismiss(written)
