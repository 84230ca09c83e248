"""The line of keys at the bottom: those that work where the focus is, as many as there is room for.

It is one widget that is drawn anew, where Textual's own footer builds a widget a key at every change of focus.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from textual.app import RenderResult
from textual.binding import ActiveBinding
from textual.content import Content
from textual.dom import DOMNode
from textual.events import Click
from textual.screen import Screen
from textual.widget import Widget

# What a key belongs to, by the first word of its binding's id, in the order in which they are named. Keys of other
# places come between the first and the last group, in the order of the focus.
FIRST = ("form", "run", "runs", "train")
LAST = ("app",)
ALWAYS = ("mode.train", "mode.runs", "app.help", "app.palette")  # stand at the right end, whatever else there is

GAP = 2  # cells between two keys


@dataclass(frozen=True)
class Entry:
    """A key in the line: what it is called, what it does, and how to do it."""

    keys: str
    text: str
    node: DOMNode
    action: str

    @property
    def width(self) -> int:
        return Content(f"{self.keys} {self.text}").cell_length


def entries(screen: Screen[object]) -> tuple[list[Entry], list[Entry]]:
    """Return the keys that work in a screen, the most wanted first, and those that always stand at the right."""
    found: dict[tuple[DOMNode, str], tuple[ActiveBinding, list[str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or not active.enabled or not (binding.show or binding.id in ALWAYS):
            continue
        group = binding.group.description if binding.group else binding.action
        key = screen.app.get_key_display(binding)
        shown = found.setdefault((active.node, group), (active, []))[1]
        if binding.group or not shown:  # of several keys for one action the first is enough
            shown.append(key)
    ordered = sorted(found.values(), key=lambda item: _rank(item[0].binding.id))
    line = [_entry(active, keys) for active, keys in ordered if active.binding.id not in ALWAYS]
    right = [_entry(active, keys) for active, keys in ordered if active.binding.id in ALWAYS]
    return line, right


def _entry(active: ActiveBinding, keys: Iterable[str]) -> Entry:
    binding = active.binding
    text = binding.group.description if binding.group else binding.description
    return Entry("".join(keys), text, active.node, binding.action)


def _rank(id: str | None) -> int:
    place = (id or "").partition(".")[0]
    if id in ALWAYS:
        return ALWAYS.index(id)
    if place in FIRST:
        return FIRST.index(place)
    return len(FIRST) + (1 if place in LAST else 0)


class KeyBar(Widget):
    """The keys of where a person is; a click does what the key does."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._spans: list[tuple[int, int, Entry]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> RenderResult:
        if not self.screen.is_active:
            return ""
        line, right = entries(self.screen)
        right_at = self.size.width - sum(entry.width + GAP for entry in right)
        self._spans = []
        at = 1
        parts = [(" ", "")]
        for entry in line:
            if at + entry.width + GAP > right_at:
                break
            parts += self._part(entry, at)
            at += entry.width + GAP
        parts.append((" " * max(0, right_at - at), ""))
        for entry in right:
            parts += self._part(entry, max(at, right_at))
            right_at += entry.width + GAP
        return Content.assemble(*parts)

    def _part(self, entry: Entry, at: int) -> list[tuple[str, str]]:
        self._spans.append((at, at + entry.width, entry))
        return [(entry.keys, "bold $text-accent"), (f" {entry.text}{' ' * GAP}", "$foreground 65%")]

    async def on_click(self, event: Click) -> None:
        event.stop()
        for start, end, entry in self._spans:
            if start <= event.x < end:
                await self.app.run_action(entry.action, entry.node)
