"""Shows a figure that is drawn on the thread of the charts, since plotext draws parts of it, or a sentence instead."""

import asyncio
from textwrap import wrap
from typing import ClassVar

from textual import events, work
from textual.binding import Binding, BindingType
from textual.message import Message

from torchtty.tui.charts.figure import Cursor, Drawing, Figure, FigureView, fitted
from torchtty.tui.charts.frame import Frame
from torchtty.tui.charts.painting import RENDER_THREAD
from torchtty.tui.charts.style import ChartStyle, Line


class ResultView(FigureView):
    """A figure of results with its cursor. Only cells that differ are painted anew."""

    BINDING_GROUP_TITLE = "Results"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open runs", id="experiments.open", tooltip="Open the runs under the cursor"),
    ]

    class Opened(Message):
        """The runs under the cursor are to be opened."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._sentence = ""

    def say(self, sentence: str) -> None:
        """Show a sentence instead of a figure."""
        self._sentence = sentence
        self.show(None)

    def show(self, figure: Figure | None) -> None:
        if figure is not None:
            self._sentence = ""
        super().show(figure)

    def action_open(self) -> None:
        self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        if event.chain == 2:
            self.action_open()

    def _draw(self) -> None:
        if self.is_attached and self.size:
            self._draw_apart()

    @work(exclusive=True, group="figure")
    async def _draw_apart(self) -> None:
        figure, cursor, size = self.figure, self.cursor, self.size
        style = self._style()
        loop = asyncio.get_running_loop()
        drawing = await loop.run_in_executor(
            RENDER_THREAD, _drawn, figure, self._sentence, size.width, size.height, cursor, style
        )
        if size != self.size or figure is not self.figure or cursor != self.cursor:
            return  # something else is drawn by now
        lines = tuple(fitted(line, size.width) for line in drawing.lines[: size.height])
        lines += (fitted((), size.width),) * (size.height - len(lines))
        self._drawing = drawing
        regions, _ = self._painting.replace(Frame(size.width, lines))
        if regions is None:
            self.refresh()
        elif regions:
            self.refresh(*regions)


def _drawn(
    figure: Figure | None, sentence: str, width: int, height: int, cursor: Cursor | None, style: ChartStyle
) -> Drawing:
    if figure is not None:
        return figure.draw(width, height, cursor, style)
    words = wrap(sentence, max(20, min(72, width - 4)))
    blank: Line = (("", style.label),)
    above = [blank] * max(0, (height - len(words)) // 2)
    return Drawing((*above, *(((line.center(width), style.label),) for line in words)))
