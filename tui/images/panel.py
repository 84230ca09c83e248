"""The pictures of a run: the newest grid of the noise that stays the same, its history, and real pictures beside it."""

import secrets
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.requests import Sample
from torchtty.tui.images.history import Grid, History
from torchtty.tui.images.picture import Picture
from torchtty.tui.images.scrubber import Scrubber

BESIDE, BESIDE_ROWS = 60, 10  # cells and rows from which real pictures stand beside the drawn ones
BENEATH = 22  # rows from which they stand beneath them


class ImagePanel(Vertical, can_focus=True):
    """Shows the grids that a run announces. It follows the newest until one goes back in its history."""

    DEFAULT_CSS = """
    ImagePanel { height: 2fr; width: 1fr; }
    ImagePanel .images-line { height: 1; }
    ImagePanel #images-name { width: auto; margin-right: 2; color: $foreground 80%; }
    ImagePanel:focus #images-name { color: $text-accent; text-style: bold; }
    ImagePanel #images-body { layout: horizontal; height: 1fr; }
    ImagePanel .images-side { width: 1fr; height: 1fr; display: none; }
    ImagePanel #images-left { display: block; }
    ImagePanel .images-title { height: 1; color: $foreground 65%; text-align: center; width: 1fr; }
    ImagePanel.-beside .images-side { display: block; }
    ImagePanel.-beside #images-left { margin-right: 2; }
    ImagePanel.-beneath #images-body { layout: vertical; }
    ImagePanel.-beneath .images-side { display: block; }
    ImagePanel.-swapped #images-left { display: none; }
    ImagePanel.-swapped #images-right { display: block; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Earlier", id="images.earlier", tooltip="Show the grid drawn before this one"),
        Binding("right", "move(1)", "Later", id="images.later", tooltip="Show the grid drawn after this one"),
        Binding("home", "first", "First", show=False, id="images.first", tooltip="Show the first grid"),
        Binding("end", "newest", "Newest", id="images.newest", tooltip="Show the newest grid, and follow"),
        Binding("v", "swap", "Real", id="images.real", tooltip="Show real pictures in place of drawn ones, or back"),
        Binding(
            "n", "draw", "New noise", id="images.draw", tooltip="Draw a grid of fresh noise from the model as it is now"
        ),
    ]

    class Asked(Message):
        """A person asks for a grid of fresh noise."""

        def __init__(self, request: Sample) -> None:
            super().__init__()
            self.request = request

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.history = History()
        self._media: Path | None = None
        self._place: int | None = None  # None follows the newest
        self._fresh: Grid | None = None
        self._answered = ""
        self._ready = False  # whether there is something to show it in

    def compose(self) -> ComposeResult:
        with Container(id="images-body"):
            with Vertical(id="images-left", classes="images-side"):
                yield Static(Content("drawn"), id="drawn-title", classes="images-title")
                yield Picture("The model's pictures appear here.", id="drawn")
            with Vertical(id="images-right", classes="images-side"):
                yield Static(Content("real"), id="real-title", classes="images-title")
                yield Picture("There are no real pictures to show.", id="real")
        with Horizontal(classes="images-line"):
            yield Static(id="images-name")
            yield Scrubber(id="images-scrubber")

    # -- what the panel is told -----------------------------------------------------------------------------------

    def attach(self, media: Path | None) -> None:
        """Show the grids of another run's `media/`, or none."""
        self._media = media
        self.history = History()
        self._place = self._fresh = None
        self._show()

    def take(self, grids: Iterable[Grid]) -> None:
        """Take announced grids; the ones known already may be among them."""
        before = self.history.fresh
        self.history.take(grids)
        if self.history.fresh != before and self._answered:
            self._fresh, self._answered = self.history.fresh, ""
        self._show()

    def show_step(self, step: float | None) -> None:
        """Show the grid drawn nearest to a step; None follows the newest."""
        self._fresh = None
        self._place = self.history.nearest(step) if step is not None and len(self.history) else None
        self._show()

    @property
    def shown(self) -> Grid | None:
        """The grid in view among the drawn ones."""
        if self._fresh is not None:
            return self._fresh
        return self.history.at(self._index) if len(self.history) else None

    @property
    def _index(self) -> int:
        last = len(self.history) - 1
        return last if self._place is None else min(self._place, last)

    def _show(self) -> None:
        if not self._ready:
            return
        grid = self.shown
        self._put("#drawn", grid)
        self._put("#real", self.history.real)
        count = len(self.history)
        self.query_one(Scrubber).show(max(0, self._index), count)
        name = "pictures"
        if grid is not None:
            following = self._place is None and self._fresh is None
            name = printable_line(grid.title) + (" · newest" if following else "")
        self.query_one("#images-name", Static).update(Content(name))

    def _put(self, which: str, grid: Grid | None) -> None:
        path = grid.path(self._media) if grid is not None and self._media is not None else None
        self.query_one(which, Picture).show(path, grid.time if grid is not None else 0.0)

    # -- layout ---------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self._ready = True
        self._show()

    def on_resize(self, event: events.Resize) -> None:
        """Show real pictures beside or beneath the drawn ones where there is room."""
        width, height = event.size
        beside = width >= BESIDE and height >= BESIDE_ROWS and width > height * 1.6
        self.set_class(beside, "-beside")
        self.set_class(not beside and height >= BENEATH, "-beneath")
        if beside or height >= BENEATH:
            self.remove_class("-swapped")

    # -- what a person does ---------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Go back or on in the history; from the newest there is no later one."""
        if len(self.history):
            self._fresh = None
            self._go(self._index + by)

    def action_first(self) -> None:
        """Go to the first grid."""
        if len(self.history):
            self._fresh = None
            self._go(0)

    def action_newest(self) -> None:
        """Follow the newest grid again."""
        self.show_step(None)

    def _go(self, index: int) -> None:
        last = len(self.history) - 1
        self._place = None if index >= last else max(0, index)
        self._show()

    def action_swap(self) -> None:
        """Show real pictures in place of drawn ones where both have no room."""
        if not (self.has_class("-beside") or self.has_class("-beneath")):
            self.toggle_class("-swapped")

    def action_draw(self) -> None:
        """Ask for a grid of fresh noise."""
        self._answered = uuid.uuid4().hex[:12]
        self.post_message(self.Asked(Sample(id=self._answered, seed=secrets.randbelow(1000))))

    @on(Scrubber.Moved)
    def _scrubbed(self, event: Scrubber.Moved) -> None:
        event.stop()
        self._fresh = None
        self._go(event.index)
