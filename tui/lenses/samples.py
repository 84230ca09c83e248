"""How the lens samples is shown: the texts of each step below each other, the newest first."""

from typing import Any

from rich.text import Text

from torchtty.engine.contract.printable import printable
from torchtty.tui.format import count
from torchtty.tui.lenses.view import View


def render(result: dict[str, Any], width: int) -> View:  # noqa: ARG001
    """Return the texts, each step's under its number."""
    prompt = f"prompt {printable(result['prompt'])!r}" if result["prompt"] else "no prompt"
    told = Text(f"{prompt}, the same seed at {count(len(result['steps']))} steps", "bold")
    parts: list[tuple[str, str]] = []
    for step, texts in reversed(list(zip(result["steps"], result["texts"], strict=True))):
        between = "  " if result["items"] else "\n"
        shown = between.join(printable(text).strip("\n") for text in texts)
        parts += [(f"step {count(step):>8}  ", "bold cyan"), ("" if result["items"] else "\n", ""), (f"{shown}\n", "")]
    return View(told, Text.assemble(*parts))
