"""How the lens gradients is shown: a table of the weights, and the course of updates or gradients over the steps."""

import math
from typing import Any

from rich.text import Text

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.colours import Scale, scale_for
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.format import MISSING, count, number
from torchtty.tui.lenses.text import matrix, table
from torchtty.tui.lenses.view import View

HEALTHY = -3  # the decimal logarithm of a healthy ratio of update to weight
BAND = 0.7  # around it: from 2e-4 to 5e-3


def render(result: dict[str, Any], width: int) -> View:
    """Return the weights as a table, and above it the course that the option `show` names."""
    weights = _weights(result, width)
    if result["show"] == "ratios":
        title = "‖update‖ / ‖weight‖ as a power of ten: dark is healthy, blue hardly moves, orange moves too far"
        return View(Text(title, "bold"), weights, _ratios(result["over"]))
    if result["show"] == "norms":
        return View(Text("norm of the gradient", "bold"), weights, _norms(result["over"]))
    told = Text("one step on a copy, with the optimizer and the rate of the run", "bold")
    if result["remark"]:
        told.append(f"\n{result['remark']}", "dim")
    return View(told, weights)


def _ratios(over: dict[str, Any]) -> HeatMap:
    powers = [[math.log10(value) if value else math.nan for value in row] for row in over["values"]]

    def read(row: int, column: int, value: float) -> str:
        ratio = number(10**value) if math.isfinite(value) else "none"
        return f"{_names(over)[row]}, step {count(over['steps'][column])}  {ratio}  {_judged(value)}"

    scale = Scale(HEALTHY - 2, HEALTHY + 2, diverging=True)
    return HeatMap(
        tuple(map(tuple, powers)), _names(over), _steps(over), scale, "weight", "step", read, measure="power of ten"
    )


def _norms(over: dict[str, Any]) -> HeatMap:
    rows = matrix(over["values"])
    return HeatMap(
        tuple(map(tuple, rows)), _names(over), _steps(over), scale_for(rows, "log"), "weight", "step", measure="norm"
    )


def _names(over: dict[str, Any]) -> tuple[str, ...]:
    """Return the weights' names; they are matrices, so that nearly every one ends in `.weight`."""
    return tuple(printable_line(name).removesuffix(".weight") for name in over["names"])


def _steps(over: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"{step:,}" for step in over["steps"])


def _judged(power: float) -> str:
    """Say whether the logarithm of a ratio is healthy."""
    if not math.isfinite(power):
        return ""
    return "healthy" if abs(power - HEALTHY) <= BAND else "slow" if power < HEALTHY else "fast"


def _weights(result: dict[str, Any], width: int) -> Text:
    rows: list[list[str | Text]] = []
    for weight in result["weights"]:
        ratio = weight["ratio"]
        power = math.log10(ratio) if ratio else math.nan
        judged = _judged(power)
        style = {"fast": "yellow", "slow": "cyan"}.get(judged, "")
        rows.append(
            [
                printable_line(weight["name"]),
                number(ratio) if ratio else MISSING,
                Text(judged, style),
                number(weight["gradient"]) if weight["gradient"] is not None else MISSING,
                number(weight["norm"]),
                number(weight["spread"]) if weight["spread"] is not None else MISSING,
                "×".join(map(str, weight["shape"])) or "1",
            ]
        )
    return table(("weight", "update/weight", "", "gradient", "norm", "spread", "shape"), rows, width)
