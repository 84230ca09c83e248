"""Rows of pictures as a figure: what a lens draws in place of a grid in a file, with a cursor that reads each."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw
from rich.cells import cell_len, set_cell_size
from rich.style import Style

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.heat_map import MARKED
from torchtty.tui.charts.style import ChartStyle, Line
from torchtty.tui.images.sheet import ENLARGED, SMALL, half_blocks, shades

TIGHT = 10  # pixels at which small pictures can just be made out, where two rows of them would not fit otherwise
LEAST = 24  # pixels to which small maps and filters are enlarged at least, where there is room
HEAD = 1  # lines above the pictures: what is read


@dataclass(frozen=True)
class PictureRows:
    """Pictures in rows of `columns`. `read` words the picture at a row and column; `caption` stands there without a cursor.

    Every pixel is a cell wide and half a line high. Where there is no room for all, the cursor scrolls.
    """

    pictures: tuple[Image.Image, ...]
    columns: int
    read: Callable[[int, int], str]
    caption: str = ""

    @property
    def _rows(self) -> int:
        return -(-len(self.pictures) // self.columns)

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:
        if not self.pictures:
            return None
        row, column = (cursor[0] + down, cursor[1] + right) if cursor is not None else (0, 0)
        row = min(max(row, 0), self._rows - 1)
        last = min(self.columns, len(self.pictures) - row * self.columns) - 1
        return row, min(max(column, 0), last)

    def reading(self, cursor: Cursor) -> str:
        return self.read(*cursor)

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        if not self.pictures:
            return Drawing((((("nothing to show"), style.label),),))
        room = None if height is None else max(4, 2 * (height - HEAD))  # pixels
        size = self._size(width, room)
        shown_columns = max(1, min(self.columns, (width - 1) // (size + 1)))
        shown_rows = self._rows if room is None else max(1, min(self._rows, (room - 1) // (size + 1)))
        row, column = cursor or (0, 0)
        top = min(max(0, row - shown_rows // 2), self._rows - shown_rows)
        left = min(max(0, column - shown_columns // 2), self.columns - shown_columns)
        sheet = Image.new("RGB", (shown_columns * (size + 1) + 1, shown_rows * (size + 1) + 1))
        pen = ImageDraw.Draw(sheet)
        for down in range(shown_rows):
            for across in range(shown_columns):
                place = (top + down) * self.columns + left + across
                if place >= len(self.pictures):
                    continue
                x, y = across * (size + 1) + 1, down * (size + 1) + 1
                sheet.paste(_resized(self.pictures[place], size), (x, y))
                if cursor == (top + down, left + across):
                    pen.rectangle((x - 1, y - 1, x + size, y + size), outline=MARKED)
        lines = half_blocks(sheet) if style.colour and style.unicode else shades(sheet, ascii_only=not style.unicode)
        drawn = tuple(tuple((text, look or Style.null()) for text, look, _ in line) for line in lines)

        def at(x: int, y: int) -> Cursor | None:
            across, down = (x - 1) // (size + 1), (2 * (y - HEAD)) // (size + 1)
            inside = 0 <= across < shown_columns and 0 <= down < shown_rows and y >= HEAD
            found = top + down, left + across
            return found if inside and found[0] * self.columns + found[1] < len(self.pictures) else None

        return Drawing((self._head(width, cursor, style, (top, shown_rows, left, shown_columns)), *drawn), at)

    def _size(self, width: int, room: int | None) -> int:
        """Return the pixels of a picture: as large as there is room for all, and no smaller than can be made out."""
        native = max(self.pictures[0].size)
        largest = max(native * ENLARGED, LEAST) if room is not None else max(native, LEAST)
        fits = (width - 1) // self.columns - 1
        if room is not None:
            fits = min(fits, (room - 1) // self._rows - 1)
        least = SMALL
        if room is not None and self._rows > 1 and (room - 1) // (SMALL + 1) < 2 and (room - 1) // 2 - 1 >= TIGHT:
            least = (room - 1) // 2 - 1
        return max(min(least, width - 2), min(largest, fits, width - 2))

    def _head(self, width: int, cursor: Cursor | None, style: ChartStyle, seen: tuple[int, int, int, int]) -> Line:
        text, look = (self.reading(cursor), style.cursor) if cursor is not None else (self.caption, style.axis)
        top, rows, left, columns = seen
        parts = []
        if rows < self._rows:
            parts.append(f"rows {top + 1}-{top + rows} of {self._rows}")
        if columns < self.columns:
            parts.append(f"columns {left + 1}-{left + columns} of {self.columns}")
        about = "  ".join(parts)
        text = printable_line(text)
        room = width - cell_len(about) - 2 if about else width
        if cell_len(text) > room:
            if cursor is not None:
                text, about = set_cell_size(text, min(cell_len(text), width)), ""
            else:  # what is out of sight is more than the caption
                text = f"{set_cell_size(text, max(0, room - 1))}{'…' if style.unicode else '.'}"
        return ((text, look), (f"  {about}" if about else "", style.axis))


def pictures_in(packed: dict[str, Any]) -> tuple[Image.Image, ...]:
    """Return the pictures of a result, as `engine/lenses/pictures.py` packs them."""
    count, height, width, channels = packed["shape"]
    pixels, each = base64.b64decode(packed["pixels"]), height * width * channels
    return tuple(
        Image.frombytes("L" if channels == 1 else "RGB", (width, height), pixels[at * each : (at + 1) * each]).convert(
            "RGB"
        )
        for at in range(count)
    )


def _resized(picture: Image.Image, size: int) -> Image.Image:
    """Fit a picture into a square: one that is enlarged keeps its pixels apart."""
    largest = max(picture.size)
    wide, high = (max(1, round(side * size / largest)) for side in picture.size)
    method = Image.Resampling.NEAREST if size >= largest else Image.Resampling.LANCZOS
    return picture.resize((wide, high), method)
