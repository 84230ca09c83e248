"""The line of keys at the bottom: those that work where the focus is, as many as there is room for.

It is one widget that is redrawn, while Textual's own footer builds a widget a key at every change of focus.
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

from torchtty.tui.modes import MODES

# What a key belongs to, by the first word of its binding's id, in the order in which they are named. Keys of other
# places come between the first and the last group, in the order of the focus.
FIRST = ("form", "run", "runs", "train", "table", "numbers", "hand", "losses", "walk", "tour")
LAST = ("app",)
RIGHT = (*(f"mode.{mode.name}" for mode in MODES), "app.quit", "app.help", "app.palette")  # stand at the right end
# Where the line is too short for all, keys are taken in this order; those that are not named come after these.
MOST_WANTED = (
    "form.more",
    "form.less",
    "form.reset",
    "run.pause",
    "run.continue",
    "run.resume",
    "runs.open",
    "runs.back",
    "run.leave",
    "run.cancel",
    "lens.cancel",
    "lenses.cancel",
    "hand.next",
    "hand.follow",
    "hand.back",
    "hand.slip",
    "numbers.up",
    "losses.edit",
    "losses.trial",
    "losses.leave",
    "tour.open",
    "tour.lens",
    "tour.page",
    "walk.step",
    "walk.go",
    "walk.surface",
    "walk.faster",
    "train.start",
    "train.drop_fork",
    "app.help",
    "run.prompt",
    "run.draw",
    "run.stop",
    "train.settings",
    "app.quit",
    "train.edit",
    "run.inside",
    "chart.full_screen",
    "chart.whole",
    "hand.edit",
    "experiments.stop",
    "experiments.resume",
    "experiments.view",
    "experiments.moment",
    "experiments.open",
    "experiments.use",
    "experiments.metric",
    "experiments.rows",
    "experiments.columns",
    "experiments.log",
    "experiments.new_like",
    "experiments.export",
    "experiments.delete",
    "lens.use",
    "lenses.use",
    "figure.left",
    "lenses.compute",
    "runs.mark",
    "runs.filter",
    "runs.sort",
    "runs.new_like",
    "runs.overlay",
    "runs.details",
    "runs.star",
    "runs.group",
    *(f"mode.{mode.name}" for mode in MODES),
    "train.next",
    "run.fork",
    "runs.fork",
    "lens_tabs.previous",
    "lens.next",
    "option.next",
    "run.next_chart",
    "run.test",
    "app.palette",
)
GAP = 2  # cells between two keys


@dataclass(frozen=True)
class Entry:
    """A key in the line: what it is called, what it does, and how to do it."""

    id: str
    keys: str
    text: str
    node: DOMNode
    action: str

    @property
    def width(self) -> int:
        return Content(f"{self.keys} {self.text}").cell_length


def entries(screen: Screen[object]) -> tuple[list[Entry], list[Entry]]:
    """Return the keys that work in a screen, in the order in which they stand, and those that stand at the right end."""
    found: dict[tuple[DOMNode, str], tuple[ActiveBinding, list[str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or not active.enabled or not (binding.show or binding.id in RIGHT):
            continue
        group = binding.group.description if binding.group else binding.action
        key = screen.app.get_key_display(binding)
        shown = found.setdefault((active.node, group), (active, []))[1]
        if binding.group or not shown:  # of several keys for one action the first is enough
            shown.append(key)
    ordered = sorted(found.values(), key=lambda item: _place(item[0].binding.id))
    line = [_entry(active, keys) for active, keys in ordered if active.binding.id not in RIGHT]
    right = [_entry(active, keys) for active, keys in ordered if active.binding.id in RIGHT]
    return line, right


def fitting(entries: Iterable[Entry], width: int) -> list[Entry]:
    """Return the keys that fit into a width, the most wanted first chosen, in the order in which they came."""
    offered = list(entries)
    left = width + GAP  # none follows the last
    chosen = set()
    for entry in sorted(offered, key=lambda entry: _wanted(entry.id)):
        if entry.width + GAP <= left:
            left -= entry.width + GAP
            chosen.add(entry)
    return [entry for entry in offered if entry in chosen]


def _entry(active: ActiveBinding, keys: Iterable[str]) -> Entry:
    """Return a key as it is named now: its screen or widget may have `key_texts`, other words by the ids of bindings."""
    binding = active.binding
    text = binding.group.description if binding.group else binding.description
    text = getattr(active.node, "key_texts", {}).get(binding.id, text)
    return Entry(binding.id or "", "".join(keys), text, active.node, binding.action)


def _place(id: str | None) -> int:
    place = (id or "").partition(".")[0]
    if id in RIGHT:
        return RIGHT.index(id)
    if place in FIRST:
        return FIRST.index(place)
    return len(FIRST) + (1 if place in LAST else 0)


def _wanted(id: str) -> int:
    return MOST_WANTED.index(id) if id in MOST_WANTED else len(MOST_WANTED)


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
        room = self.size.width - 1  # the first cell stays free
        shown = fitting([*line, *right], room)
        free = room + GAP - sum(entry.width + GAP for entry in shown)
        self._spans = []
        parts = [(" ", "")]
        at, pushed = 1, False
        for number, entry in enumerate(shown):
            space = GAP if number else 0
            if entry in right and not pushed:
                space, pushed = space + free, True
            parts += [(" " * space, ""), (entry.keys, "bold $text-accent"), (f" {entry.text}", "$foreground 65%")]
            at += space
            self._spans.append((at, at + entry.width, entry))
            at += entry.width
        return Content.assemble(*parts)

    async def on_click(self, event: Click) -> None:
        event.stop()
        for start, end, entry in self._spans:
            if start <= event.x < end:
                await self.app.run_action(entry.action, entry.node)
