"""The place of the view into a run's model, beside its curves; empty until it is first opened."""

from typing import TYPE_CHECKING

from textual.containers import Container

from torchtty.engine.contract.run.snapshot import RunSnapshot

if TYPE_CHECKING:
    from torchtty.tui.lenses.pane import LensPane


class Inside(Container):
    """Holds the pane of lenses, made when it is first opened: most runs are watched without one."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = False
        self._pane: LensPane | None = None
        self._snapshot: RunSnapshot | None = None

    def open(self, snapshot: RunSnapshot) -> None:
        """Look into a run, at first with the lens that its recipe names."""
        from torchtty.tui.lenses.pane import LensPane

        self.is_open, self._snapshot = True, snapshot
        if self._pane is None:
            self._pane = LensPane()
            self.mount(self._pane)
            self.call_after_refresh(self._look)
        else:
            self._look()
        self.call_after_refresh(self.focus_tabs)

    def focus_tabs(self) -> None:
        """Focus the tabs of the lenses, from where all keys of lenses work, unless they were closed meanwhile."""
        from torchtty.tui.lenses.tabs import LensTabs

        if self.is_open:
            for tabs in self.query(LensTabs):
                tabs.focus()

    def close(self) -> None:
        """Compute nothing any more, until it is opened again."""
        self.is_open, self._snapshot = False, None

    def take(self, snapshot: RunSnapshot) -> None:
        """Take what has become of the run; look into another run where that is shown now."""
        if not self.is_open:
            return
        before, self._snapshot = self._snapshot, snapshot
        if before is None or _shown_of(before) != _shown_of(snapshot):
            self._look()

    def show_step(self, step: float | None) -> None:
        """Show what the lens has of the step at which the cursor of the chart stands."""
        if self.is_open and self._pane is not None and self._pane.is_mounted:
            self._pane.show_step(step)

    def _look(self) -> None:
        from torchtty.tui.lenses.tabs import lens_of_recipe

        if self._pane is not None and self._pane.is_mounted and self._snapshot is not None:
            is_new = self._pane.run != self._snapshot.run
            self._pane.look_into(self._snapshot, lens_of_recipe(self._snapshot.run) if is_new else "")


def _shown_of(snapshot: RunSnapshot) -> tuple[object, ...]:
    """What of a run the pane goes by: a status comes ten times a second."""
    return snapshot.run, snapshot.state, snapshot.is_served, snapshot.checkpoints, snapshot.family
