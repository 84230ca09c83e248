"""The pictures of a run: the newest grid drawn from fixed noise, the grids before it, and real pictures beside it."""

import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.events import Images
from torchtty.engine.contract.run.requests import Sample
from torchtty.tui.charts.style import as_ascii, terminal_shows_unicode
from torchtty.tui.images.picture import Picture

BESIDE, BESIDE_ROWS = 60, 10  # cells and rows from which real pictures stand beside the drawn ones
BENEATH = 22  # rows from which they stand beneath them


class History:
    """The grids that a run has drawn: the newest of every step from fixed noise, the real pictures and the latest fresh ones."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.real: Images | None = None
        self.fresh: Images | None = None
        self._fixed: dict[int, Images] = {}

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, grids: Iterable[Images]) -> None:
        """Add grids; one of a step that is there replaces it."""
        for grid in grids:
            if grid.source == "real":
                self.real = grid
            elif grid.source == "fresh":
                self.fresh = grid
            else:
                self._fixed[grid.step] = grid
        self.steps = sorted(self._fixed)

    def at(self, index: int) -> Images:
        return self._fixed[self.steps[index]]

    def nearest(self, step: float) -> int:
        """Return the place of the grid drawn nearest to a step."""
        return min(range(len(self.steps)), key=lambda index: abs(self.steps[index] - step))


def grid_file(media: Path, grid: Images) -> Path | None:
    """Return the file of a grid in a run's `media/`, or None if it leads out of that folder."""
    path = media / grid.path.removeprefix("media/")
    try:
        return path if path.resolve().is_relative_to(media.resolve()) else None
    except OSError:
        return None


class Scrubber(Widget):
    """`━━━━━━●────` over `count` places; a click or a drag moves to the nearest."""

    COMPONENT_CLASSES = {"scrubber--past", "scrubber--knob", "scrubber--rest"}
    DEFAULT_CSS = """
    Scrubber { height: 1; width: 1fr; min-width: 4; }
    Scrubber > .scrubber--past { color: $accent; }
    Scrubber > .scrubber--knob { color: $text-accent; text-style: bold; }
    Scrubber > .scrubber--rest { color: $foreground 30%; }
    """

    @dataclass
    class Moved(Message):
        """Another place was chosen."""

        index: int

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._count, self._index = 0, 0

    def show(self, index: int, count: int) -> None:
        """Show the place `index` of `count`."""
        if (index, count) != (self._index, self._count):
            self._index, self._count = index, count
            self.refresh()

    def index_at(self, column: int) -> int:
        """Return the place nearest to a column."""
        fraction = min(max(column, 0), self.size.width - 1) / max(1, self.size.width - 1)
        return round(fraction * (self._count - 1))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y or self._count < 2 or width < 2:
            return Strip.blank(width, self.rich_style)
        knob = round(self._index / (self._count - 1) * (width - 1))
        parts = [("━" * knob, "past"), ("●", "knob"), ("─" * (width - 1 - knob), "rest")]
        shown = str if terminal_shows_unicode() else as_ascii
        styles = {part: self.get_component_rich_style(f"scrubber--{part}") for _, part in parts}
        return Strip([Segment(shown(text), styles[part]) for text, part in parts if text], width)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._move(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is self:
            self._move(event.x)

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def _move(self, column: int) -> None:
        if self._count > 1 and (index := self.index_at(column)) != self._index:
            self.post_message(self.Moved(index))


class ImagePanel(Vertical, can_focus=True):
    """Shows the grids of a run: the newest, or an earlier one that was chosen."""

    DEFAULT_CSS = """
    ImagePanel { height: 1fr; width: 1fr; }
    ImagePanel .images-line { height: 1; }
    ImagePanel #images-name { width: auto; margin-right: 2; color: $foreground 80%; }
    ImagePanel:focus #images-name { color: $text-accent; text-style: bold; }
    ImagePanel #images-body { layout: horizontal; height: 1fr; }
    ImagePanel .images-side { width: 1fr; height: 1fr; display: none; }
    ImagePanel #images-left { display: block; width: 2fr; }
    ImagePanel .images-title { height: 1; color: $foreground 65%; text-align: center; width: 1fr; }
    ImagePanel.-beside .images-side { display: block; }
    ImagePanel.-beside #images-left { margin-right: 2; }
    ImagePanel.-beneath #images-body { layout: vertical; }
    ImagePanel.-beneath .images-side { display: block; width: 1fr; }
    ImagePanel.-swapped #images-left { display: none; }
    ImagePanel.-swapped #images-right { display: block; }
    ImagePanel.-empty #images-right, ImagePanel.-empty .images-line, ImagePanel.-empty .images-title { display: none; }
    """

    BINDING_GROUP_TITLE = "Pictures"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "earlier", id="images.earlier", tooltip="Show the grid drawn before this one"),
        Binding("right", "move(1)", "later", id="images.later", tooltip="Show the grid drawn after this one"),
        Binding("home", "first", "first", show=False, id="images.first", tooltip="Show the first grid"),
        Binding("end", "newest", "newest", id="images.newest", tooltip="Show the newest grid, and follow"),
        Binding("v", "swap", "real", id="images.real", tooltip="Show real pictures in place of drawn ones, or back"),
        Binding(
            "n", "draw", "new noise", id="images.draw", tooltip="Draw a grid of fresh noise from the model as it is now"
        ),
    ]

    @dataclass
    class Asked(Message):
        """A grid of fresh noise was requested."""

        request: Sample

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self._media: Path | None = None
        self._place: int | None = None  # None follows the newest
        self._fresh: Images | None = None
        self._answered = ""
        self._placeholder = ""
        self._ready = False  # whether the panel is mounted

    def compose(self) -> ComposeResult:
        with Container(id="images-body"):
            with Vertical(id="images-left", classes="images-side"):
                yield Static(Content("drawn"), id="drawn-title", classes="images-title")
                yield Picture(id="drawn")
            with Vertical(id="images-right", classes="images-side"):
                yield Static(Content("real"), id="real-title", classes="images-title")
                yield Picture(id="real")
        with Horizontal(classes="images-line"):
            yield Static(id="images-name")
            yield Scrubber(id="images-scrubber")

    def attach(self, media: Path | None) -> None:
        """Show the grids of another run's `media/`, or none."""
        self._media = media
        self.history = History()
        self._place = self._fresh = None
        self._show()

    def explain(self, placeholder: str) -> None:
        """Say why there are no pictures yet."""
        self._placeholder = placeholder
        if self._ready:
            self.query_one("#drawn", Picture).explain(placeholder)

    def take(self, grids: Iterable[Images]) -> None:
        """Add grids; known ones may be among them."""
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
    def shown(self) -> Images | None:
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
        self.set_class(grid is None and self.history.real is None, "-empty")
        self._put("#drawn", grid)
        self._put("#real", self.history.real)
        count = len(self.history)
        self.query_one(Scrubber).show(max(0, self._index), count)
        name = "pictures"
        if grid is not None:
            following = self._place is None and self._fresh is None
            name = printable_line(grid.title) + (" · newest" if following else "")
        self.query_one("#images-name", Static).update(Content(name))

    def _put(self, which: str, grid: Images | None) -> None:
        path = grid_file(self._media, grid) if grid is not None and self._media is not None else None
        self.query_one(which, Picture).show(path, grid.time if grid is not None else 0.0)

    def on_picture_laid(self, event: Picture.Laid) -> None:
        """Say how many pictures of a grid there is room for."""
        event.stop()
        side = str(event.picture.id)
        number = f" · {event.counted}" if event.counted is not None and event.counted.total > 1 else ""
        self.query_one(f"#{side}-title", Static).update(Content(side + number))

    def on_mount(self) -> None:
        self._ready = True
        self.explain(self._placeholder)
        self._show()

    def on_resize(self, event: events.Resize) -> None:
        """Show real pictures beside or beneath the drawn ones where there is room."""
        width, height = event.size
        beside = width >= BESIDE and height >= BESIDE_ROWS and width > height * 1.6
        self.set_class(beside, "-beside")
        self.set_class(not beside and height >= BENEATH, "-beneath")
        if beside or height >= BENEATH:
            self.remove_class("-swapped")

    def action_move(self, by: int) -> None:
        """Go back or on in the history; from the newest there is no later one."""
        self._go(self._index + by)

    def action_first(self) -> None:
        self._go(0)

    def action_newest(self) -> None:
        self.show_step(None)

    def _go(self, index: int) -> None:
        if len(self.history):
            self._fresh = None
            self._place = None if index >= len(self.history) - 1 else max(0, index)
            self._show()

    def action_swap(self) -> None:
        """Show real pictures in place of drawn ones where both have no room."""
        if not (self.has_class("-beside") or self.has_class("-beneath")):
            self.toggle_class("-swapped")

    def action_draw(self) -> None:
        self._answered = uuid.uuid4().hex[:12]
        self.post_message(self.Asked(Sample(id=self._answered, seed=secrets.randbelow(1000))))

    @on(Scrubber.Moved)
    def _scrubbed(self, event: Scrubber.Moved) -> None:
        event.stop()
        self._go(event.index)
