"""The help: the keys of where a person is, made from the bindings that are active there, and the pages of the guide."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.scroll_view import ScrollView
from textual.widgets import Input, Static

from torchtty.tui.guide import PAGES, read_page
from torchtty.tui.shell.preferences import keys_path

MOVING = "In lists and texts"
PLAIN = {"Focus Next": "Next field", "Focus Previous": "Previous field", "Press button": "Activate"}
"""Plain words for what Textual calls its own keys."""


def keys_here(screen: Screen[object]) -> list[tuple[str, list[tuple[str, str]]]]:
    """List the keys that work in a screen, by what they belong to, as (title, [(keys, what they do)]).

    Keys that move in lists and edit text come last: they are the same everywhere.
    """
    places: dict[str, dict[str, list[str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        text = binding.tooltip or binding.description
        if binding.system or not text or not active.enabled or binding.key.startswith(("super+", "alt+")):
            continue
        key = screen.app.get_key_display(Binding(binding.key, ""))
        places.setdefault(_place(active), {}).setdefault(PLAIN.get(text, text), []).append(key)
    ordered = sorted(places.items(), key=lambda place: place[0] == MOVING)
    return [(title, [(" ".join(keys), text) for text, keys in actions.items()]) for title, actions in ordered]


def _place(active: ActiveBinding) -> str:
    if isinstance(active.node, Input | ScrollView) and active.binding.id is None:
        return MOVING
    return active.node.BINDING_GROUP_TITLE or "Here"


class KeysHelp(ModalScreen[None]):
    """Shows the keys over the screen they belong to; further pages are those of the guide."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,question_mark,q,enter", "dismiss", "close", key_display="esc", id="help.close"),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
        Binding("pagedown,space", "scroll(15)", "further down", show=False),
        Binding("pageup", "scroll(-15)", "further up", show=False),
        Binding("right", "turn(1)", "next page", show=False),
        Binding("left", "turn(-1)", "previous page", show=False),
        *(Binding(str(number), f"show({number - 1})", show=False) for number in range(1, len(PAGES) + 2)),
    ]

    def __init__(self, about: str, places: list[tuple[str, list[tuple[str, str]]]]) -> None:
        super().__init__()
        self._about = about
        self._places = places
        self._page = 0  # the keys; the pages of the guide follow

    def compose(self) -> ComposeResult:
        with Vertical(id="keys-help"):
            yield Static(self._pages(), id="keys-help-pages")
            with VerticalScroll(can_focus=False):
                yield Static(self._table())
            yield Static(f"←→ pages · esc closes · change keys in {keys_path()}", id="keys-help-foot", markup=False)

    def _pages(self) -> Content:
        titles = []
        for index, title in enumerate(["Keys", *PAGES.values()]):
            style = "bold $text-primary" if index == self._page else f"@click=screen.show({index})"
            titles.append(Content.assemble((f"{index + 1} ", "$foreground 60%"), (title, style)))
        lines = [Content("   ").join(titles[start : start + 5]) for start in range(0, len(titles), 5)]
        return Content("\n").join(lines)

    def _table(self) -> Content:
        width = max((len(keys) for _, actions in self._places for keys, _ in actions), default=0)
        lines: list[Content] = []
        if self._about:
            lines += [Content(self._about), Content("")]
        for title, actions in self._places:
            lines.append(Content.styled(title, "bold $text-primary"))
            lines += [Content.assemble((f"  {keys:>{width}}", "$text-accent"), f"  {text}") for keys, text in actions]
            lines.append(Content(""))
        return Content("\n").join(lines[:-1])

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)

    def action_turn(self, direction: int) -> None:
        self.action_show((self._page + direction) % (len(PAGES) + 1))

    def action_show(self, page: int) -> None:
        """Show the keys (0) or a page of the guide."""
        self._page = page
        self.set_class(page > 0, "-guide")
        self.query_one("#keys-help-pages", Static).update(self._pages())
        scroll = self.query_one(VerticalScroll)
        body = scroll.query_one(Static)
        if page:
            from torchtty.tui.markdown import Page  # takes 0.2 s

            body.update(Page(read_page(list(PAGES)[page - 1])))
        else:
            body.update(self._table())
        scroll.scroll_home(animate=False)
