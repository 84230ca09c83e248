"""The line that names the tables of a step, with the one that is shown in brackets."""

from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from torchtty.engine.contract.learn.tables import Table


class TableStrip(Widget):
    """The tables of a step on one line; a click goes to one."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "TableStrip { height: 1; width: 1fr; }"

    class Chosen(Message):
        """A table was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self) -> None:
        super().__init__()
        self._tables: tuple[Table, ...] = ()
        self._current = 0
        self._spans: list[tuple[int, int, int]] = []

    def show(self, tables: tuple[Table, ...], current: int) -> None:
        self._tables, self._current = tables, current
        self.refresh()

    def render(self) -> Content:
        """Draw as many names as there is room for, around the current one."""
        names = [table.symbol for table in self._tables]
        first = last = self._current
        room = self.size.width - 4

        def width() -> int:
            return sum(len(names[i]) + 3 for i in range(first, last + 1))

        while names and (first > 0 or last < len(names) - 1):
            before = first, last
            if last < len(names) - 1:
                last += 1
                last -= width() > room
            if first > 0:
                first -= 1
                first += width() > room
            if (first, last) == before:
                break
        parts: list[Content] = [Content("… " if first > 0 else "")]
        at, self._spans = len(parts[0]), []
        for number in range(first, last + 1) if names else ():
            text = f"[{names[number]}]" if number == self._current else f" {names[number]} "
            style = "bold $text-accent" if number == self._current else "$foreground 60%"
            self._spans.append((at, at + len(text), number))
            parts.append(Content.styled(text + " ", style))
            at += len(text) + 1
        parts.append(Content.styled("…" if names and last < len(names) - 1 else "", "$foreground 60%"))
        return Content("").join(parts)

    def on_click(self, event: Click) -> None:
        event.stop()
        for start, end, number in self._spans:
            if start <= event.x < end:
                self.post_message(self.Chosen(number))
