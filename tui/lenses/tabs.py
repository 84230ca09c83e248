"""Which lens is shown: a line of tabs to choose one, and the lens that a run is first looked at with."""

from dataclasses import dataclass
from typing import ClassVar

from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LensEntry
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.settings.recipes import read_shipped


class LensTabs(Widget, can_focus=True):
    """The titles of the lenses in one line, the chosen one in view. Left and right choose the next."""

    DEFAULT_CSS = """
    LensTabs { height: 1; width: 1fr; color: $foreground 55%; }
    """
    BINDING_GROUP_TITLE = "Lenses"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "lens", id="lens_tabs.previous", tooltip="Show the lens to the left"),
        Binding("right", "step(1)", "next lens", show=False, id="lens_tabs.next", tooltip="Show the lens to the right"),
    ]

    @dataclass
    class Chosen(Message):
        """Another lens was chosen."""

        lens: LensEntry

    def __init__(self) -> None:
        super().__init__()
        self.lenses: tuple[LensEntry, ...] = ()
        self.chosen = ""
        self._spans: list[tuple[int, int, LensEntry]] = []

    def show(self, lenses: tuple[LensEntry, ...], chosen: str) -> None:
        if (lenses, chosen) != (self.lenses, self.chosen):
            self.lenses, self.chosen = lenses, chosen
            self.refresh()

    def render(self) -> RenderResult:
        widths = [len(lens.title) + 2 for lens in self.lenses]
        at = next((place for place, lens in enumerate(self.lenses) if lens.name == self.chosen), 0)
        first = 0
        while first < at and sum(widths[first : at + 1]) > self.size.width - 4:
            first += 1
        parts = [("‹ ", "")] if first else []
        x = 2 if first else 0
        self._spans = []
        for lens, width in zip(self.lenses[first:], widths[first:], strict=True):
            if x + width > self.size.width and lens is not self.lenses[first]:
                parts.append(("›", ""))
                break
            chosen = lens.name == self.chosen
            style = ("bold reverse" if self.has_focus else "bold $text-accent") if chosen else ""
            parts += [(lens.title, style), ("  ", "")]
            self._spans.append((x, x + width, lens))
            x += width
        return Content.assemble(*parts)

    def action_step(self, by: int) -> None:
        """Choose the lens to the right (1) or to the left (-1)."""
        if self.lenses:
            at = next((place for place, lens in enumerate(self.lenses) if lens.name == self.chosen), 0)
            self.post_message(self.Chosen(self.lenses[(at + by) % len(self.lenses)]))

    def on_click(self, event: Click) -> None:
        event.stop()
        for start, end, lens in self._spans:
            if start <= event.x < end:
                self.post_message(self.Chosen(lens))


def lens_of_recipe(run: RunDirectory) -> str:
    """Return the name of the lens that the recipe of a run names; empty where it names none, or there is no such recipe."""
    name = run.meta().get("recipe")
    try:
        return read_shipped(name).lens if isinstance(name, str) and name.replace("-", "").isalnum() else ""
    except UserError:
        return ""
