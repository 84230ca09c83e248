"""The list of keys of where a person is, made from the bindings that are active there."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui.preferences import keys_path


def keys_here(screen: Screen[object]) -> list[tuple[str, list[tuple[str, str]]]]:
    """List the keys that work in a screen, by what they belong to, the nearest to the focus first.

    Each entry is (title, [(keys, what they do)]).
    """
    places: dict[object, dict[tuple[str, str], list[str]]] = {}
    for key, active in screen.active_bindings.items():
        binding = active.binding
        if binding.system or not binding.description or not active.enabled or key.startswith(("super+", "alt+")):
            continue
        text = binding.tooltip or binding.description
        places.setdefault(active.node, {}).setdefault((binding.action, text), []).append(_shown(screen, active))
    return [
        (_place(node), [(" ".join(dict.fromkeys(keys)), text) for (_, text), keys in actions.items()])
        for node, actions in places.items()
    ]


def _shown(screen: Screen[object], active: ActiveBinding) -> str:
    return screen.app.get_key_display(Binding(active.binding.key, "", key_display=None))


def _place(node: object) -> str:
    title = getattr(node, "BINDING_GROUP_TITLE", None)
    return title or type(node).__name__


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
