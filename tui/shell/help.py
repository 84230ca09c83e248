"""The list of keys of where a person is, made from the bindings that are active there."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.scroll_view import ScrollView
from textual.widgets import Input, Static

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
    """Shows the keys over the screen they belong to."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,question_mark,q,enter", "dismiss", "close", key_display="esc", id="help.close"),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, about: str, places: list[tuple[str, list[tuple[str, str]]]]) -> None:
        super().__init__()
        self._about = about
        self._places = places

    def compose(self) -> ComposeResult:
        with Vertical(id="keys-help"):
            with VerticalScroll(can_focus=False):
                yield Static(self._table())
            yield Static(f"esc closes · change keys in {keys_path()}", id="keys-help-foot", markup=False)

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

    def action_scroll(self, direction: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=direction, animate=False)
