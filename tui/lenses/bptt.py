"""How the lens bptt is shown: one gradient number by number, all of them against autograd's, and how it fades back in time."""

from typing import Any

from rich.text import Text

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.colours import scale_for
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.format import MISSING, number
from torchtty.tui.lenses.text import about_text, probability, symbol
from torchtty.tui.lenses.view import View

BAR = 24  # cells of the longest bar
ENOUGH = 1e-6  # up to which two gradients are the same


def render(result: dict[str, Any], width: int) -> View:
    """Return the gradient that the options name as a heat map, with the table of all and that of the positions below."""
    gradient = result["gradient"]
    by_hand, automatic = ([row if isinstance(row, list) else [row] for row in gradient[way]] for way in WAYS)
    rows = tuple(symbol(name) for name in gradient["rows"])
    columns = tuple(symbol(name) for name in gradient["columns"])

    def read(row: int, column: int, value: float) -> str:
        other = automatic[row][column]
        place = f"{rows[row]}, {columns[column]}" if len(columns) > 1 else rows[row]
        return f"{place}  by hand {value:.9f}  autograd {other:.9f}  apart {abs(value - other):.1e}"

    shown = HeatMap(
        tuple(map(tuple, by_hand)),
        rows,
        columns,
        scale_for(by_hand, diverging=True),
        "row",
        "column",
        read,
        measure="gradient",
    )
    worst = max(parameter["difference"] for parameter in result["parameters"])
    equal = "equal to" if worst <= ENOUGH else "NOT equal to"
    heading = Text.assemble(
        (f"gradient of {printable_line(gradient['name'])}", "bold"),
        f" · loss {result['loss']['by_hand']:.9f} by hand, {result['loss']['by_autograd']:.9f} by torch · all gradients {equal} "
        f"autograd's, apart by at most {worst:.1e}",
        *about_text(result),
    )
    return View(heading, Text.assemble(*_parameters(result), *_steps(result, width)), shown)


WAYS = ("by_hand", "by_autograd")


def _parameters(result: dict[str, Any]) -> list[tuple[str, str]]:
    parts = [(f"{'norm of the gradient':26}      by hand   by autograd       apart\n", "dim")]
    for parameter in result["parameters"]:
        name = printable_line(parameter["name"])
        line = f"{name:26} {parameter['by_hand']:12.8f}  {parameter['by_autograd']:12.8f}  {parameter['difference']:10.1e}\n"
        parts.append((line, "bold" if parameter["name"] == result["gradient"]["name"] else ""))
    return parts


def _steps(result: dict[str, Any], width: int) -> list[tuple[str, str]]:
    """A line a position: what it predicts, the norms on the way back, and as a bar how much of the last loss arrives."""
    parts = [("\n read→true  probability   loss |dlogits|     |dh|     |dz|   of the last loss\n", "dim")]
    largest = max(result["fading"]) or 1.0
    for step, arriving in zip(result["steps"], result["fading"], strict=True):
        pair = f"{symbol(step['token'])}→{symbol(step['target'])}"
        own = MISSING if step["probability"] is None else probability(step["probability"])
        numbers = "".join(f"{_short(step[name]):>9}" for name in ("loss", "d_logits", "dh", "dz"))
        bar = "▇" * round(arriving / largest * BAR) if width >= 90 else ""
        parts.append((f" {pair:9} {own:>12} {numbers}   {_short(arriving)} {bar}\n", ""))
    return parts


def _short(value: float | None) -> str:
    return MISSING if value is None else number(value)
