"""How the lens samples is shown, alone and beside a chart whose cursor stands somewhere."""

from typing import Any

from rich.text import Text

from torchtty.engine.contract.lenses import LENSES
from torchtty.tui.lenses.view import rendered

RESULT: dict[str, Any] = {
    "steps": [10, 20, 30],
    "texts": [["old\x1b"], ["middle"], ["new"]],
    "prompt": "",
    "items": True,
}


def body_of(**changes: Any) -> str:
    view = rendered(LENSES["samples"], RESULT | changes, 80)
    assert isinstance(view.body, Text)
    return view.body.plain


def test_the_newest_stands_first_and_nothing_acts_on_the_terminal() -> None:
    body = body_of()
    assert body.index("new") < body.index("middle") < body.index("old")
    assert "\x1b" not in body


def test_the_step_nearest_to_the_cursor_comes_to_the_top() -> None:
    body = body_of(at=12.0)
    assert body.startswith("step       10  old")
    assert body.index("old") < body.index("new") < body.index("middle")
