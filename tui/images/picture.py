"""A widget that shows the grid in one PNG file."""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.segment import Segment
from textual.app import ComposeResult
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.style import terminal_shows_unicode
from torchtty.tui.images.protocol import Protocol, chosen, graphics_widget
from torchtty.tui.images.sheet import Line, Unreadable, half_blocks, shades, sheet, tiles

CELL = (10, 20)  # pixels of a cell where the terminal does not say


@dataclass(frozen=True)
class Rendition:
    """What to draw and how: equal renditions look the same."""

    path: Path
    version: float  # changes when the file is written anew
    width: int  # cells
    height: int
    mode: str  # colour, shades, ascii, or one of the two with " inverted"


@dataclass(frozen=True)
class Counted:
    """How many pictures a grid holds, and how many of them are shown."""

    shown: int
    total: int

    def __str__(self) -> str:
        return f"{self.shown} of {self.total}" if self.shown < self.total else str(self.total)


class Picture(Widget):
    """Shows the newest picture it was given, laid out for its size. Pictures are decoded off the UI thread."""

    DEFAULT_CSS = """
    Picture { width: 1fr; height: 1fr; color: $foreground 65%; }
    Picture > * { width: 1fr; height: 1fr; }
    """

    @dataclass
    class Laid(Message):
        """A grid was laid out for the room there is, or there is none any more (None)."""

        picture: "Picture"
        counted: Counted | None

    def __init__(self, placeholder: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.placeholder = placeholder
        self.protocol = chosen()
        self.path: Path | None = None
        self._version = 0.0
        self._shown: Rendition | None = None
        self._problem = ""
        self._counted: Counted | None = None
        self._strips: list[Strip] = []

    def compose(self) -> ComposeResult:
        if self.protocol in (Protocol.SIXEL, Protocol.KITTY):
            if graphics := graphics_widget(self.protocol):
                yield graphics(id="graphics")
            else:
                self.protocol = Protocol.BLOCKS

    def show(self, path: Path | None, version: float = 0.0) -> None:
        """Show a file, or the placeholder (None); the same file in the same version costs nothing."""
        if (path, version) != (self.path, self._version):
            self.path, self._version = path, version
            self._renew()

    def explain(self, placeholder: str) -> None:
        """Show another text while there is no picture."""
        if placeholder != self.placeholder:
            self.placeholder = placeholder
            self.refresh()

    def on_resize(self) -> None:
        self._renew()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self.is_attached:
            self._renew()

    def _renew(self) -> None:
        """Draw the picture if it would differ from the one on display."""
        if not self.is_attached or not self.size:
            return
        if self.path is None or self.protocol is Protocol.OFF:
            self._take(None, [], f"Pictures are off: see {self.path}" if self.path else "")
            return
        rendition = Rendition(self.path, self._version, self.size.width, self.size.height, self._mode())
        if rendition != self._shown:
            draw: Any = partial(self._draw, rendition)
            self.run_worker(draw, exclusive=True, group=f"picture-{id(self)}", exit_on_error=False)

    def _mode(self) -> str:
        if not self.app.no_color and self.app.console.color_system in ("truecolor", "256"):
            return "colour"
        inverted = "" if self.app.current_theme.dark else " inverted"
        return ("shades" if terminal_shows_unicode() else "ascii") + inverted

    async def _draw(self, rendition: Rendition) -> None:
        try:
            if self.protocol is Protocol.BLOCKS:
                lines, counted = await asyncio.to_thread(drawn, rendition)
                self._take(rendition, [Strip(line) for line in lines], "", counted)
            else:
                image, counted = await asyncio.to_thread(_graphics, rendition)
                graphics: Any = self.query_one("#graphics")
                graphics.image = image
                self._take(rendition, [], "", counted)
        except Unreadable as error:
            self._take(None, [], f"{error}.")

    def _take(
        self, rendition: Rendition | None, strips: list[Strip], problem: str, counted: Counted | None = None
    ) -> None:
        """Display a drawing and repaint the lines that differ."""
        if counted != self._counted:
            self._counted = counted
            self.post_message(self.Laid(self, counted))
        before, self._strips = self._strips, strips
        same = rendition is not None and self._shown is not None and not problem and not self._problem
        self._shown, self._problem = rendition, problem
        if not same or len(before) != len(strips):
            self.refresh()
            return
        left = max(0, (self.size.width - (strips[0].cell_length if strips else 0)) // 2)
        regions = [
            Region(left, y, new.cell_length, 1)
            for y, (old, new) in enumerate(zip(before, strips, strict=True))
            if list(old) != list(new)
        ]
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """Return a line of the picture, in the middle of the widget's width."""
        width = self.size.width
        if y < len(self._strips):
            strip = self._strips[y]
            left = max(0, (width - strip.cell_length) // 2)
            return Strip([Segment(" " * left), *strip]).adjust_cell_length(width).apply_style(self.rich_style)
        text = self._problem or ("" if self.path else self.placeholder)
        if not self._strips and text:
            rows = [text[at : at + width] for at in range(0, len(text), max(1, width))]
            top = max(0, (self.size.height - len(rows)) // 2)
            if 0 <= y - top < len(rows):
                line = printable_line(rows[y - top]).center(width)
                return Strip([Segment(line)]).adjust_cell_length(width).apply_style(self.rich_style)
        return Strip.blank(width, self.rich_style)


def drawn(rendition: Rendition) -> tuple[list[Line], Counted]:
    """Draw a rendition as lines of characters. Raises `Unreadable`."""
    pictures = tiles(rendition.path)
    laid = sheet(pictures, rendition.width, rendition.height * 2)
    counted = Counted(laid.shown, len(pictures))
    if rendition.mode == "colour":
        return half_blocks(laid.image), counted
    inverted = "inverted" in rendition.mode
    return shades(laid.image, ascii_only="ascii" in rendition.mode, inverted=inverted), counted


def _graphics(rendition: Rendition) -> tuple[Any, Counted]:
    """Draw a rendition as a picture of as many pixels as the terminal has in its cells."""
    from PIL import Image
    from textual_image._terminal import get_cell_size

    cell, pictures = get_cell_size(), tiles(rendition.path)
    width, height = rendition.width * (cell.width or CELL[0]), rendition.height * (cell.height or CELL[1])
    laid = sheet(pictures, width, height, scale=4)
    whole = Image.new("RGB", (width, height))  # of the widget's shape, so that nothing is stretched
    whole.paste(laid.image, ((width - laid.image.width) // 2, 0))
    return whole, Counted(laid.shown, len(pictures))
