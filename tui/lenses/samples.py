"""How the lens samples is shown: the texts of each step below each other, the newest first."""

from typing import Any

from rich.text import Text

from torchtty.engine.contract.printable import printable
from torchtty.tui.format import count
from torchtty.tui.lenses.view import View


def render(result: dict[str, Any], width: int) -> View:  # noqa: ARG001
    """Return the texts, each step's under its number; those of the step nearest to the chart's cursor come first."""
    prompt = f"prompt {printable(result['prompt'])!r}" if result["prompt"] else "no prompt"
    steps = "one step" if len(result["steps"]) == 1 else f"{count(len(result['steps']))} steps"
    told = Text(f"{prompt}, the same seed at {steps}", "bold")
    drawn = list(zip(result["steps"], result["texts"], strict=True))[::-1]
    nearest = None
    if (at := result.get("at")) is not None:
        nearest = min(result["steps"], key=lambda step: abs(step - at))
        drawn.sort(key=lambda one: one[0] != nearest)
        told.append(f" · the chart's cursor is nearest to step {count(nearest)}")
    parts: list[tuple[str, str]] = []
    for step, texts in drawn:
        between = "  " if result["items"] else "\n"
        shown = between.join(printable(text).strip("\n") for text in texts)
        style = "bold reverse" if step == nearest else "bold cyan"
        parts += [(f"step {count(step):>8}", style), ("  " if result["items"] else "\n", ""), (f"{shown}\n", "")]
    return View(told, Text.assemble(*parts))
