"""How the lens rates is shown: the loss over the learning rate or over its exponent, with the rate that it suggests."""

import math
from typing import Any

from rich.text import Text

from torchtty.engine.contract.settings.fields import show
from torchtty.tui.charts.line_plot import LinePlot
from torchtty.tui.format import loss
from torchtty.tui.lenses.view import Suggestion, View


def render(result: dict[str, Any], width: int) -> View:  # noqa: ARG001
    """Return the sweep as a curve over the rate itself, or over its decimal logarithm."""
    over_rate = result["axis"] == "rate"

    def place(rate: float) -> float:
        return rate if over_rate else math.log10(rate)

    def label(x: float) -> str:
        return (
            show(float(f"{x:.2g}"))
            if over_rate
            else f"{10**x:.0e}".replace("e-0", "e-").replace("e+0", "e").replace("e0", "")
        )

    rates = result["rates"]
    points = tuple((place(rate), y) for rate, y in zip(rates, result["smoothed"], strict=True))
    raw = tuple((place(rate), y) for rate, y in zip(rates, result["losses"], strict=True))

    def read(at: int) -> str:
        rate = f"{show(float(f'{rates[at]:.2g}'))} = 10^{math.log10(rates[at]):.2f}"
        return f"rate {rate}  loss {loss(result['losses'][at])}, smoothed {loss(result['smoothed'][at])}"

    marks = [(place(result["suggested"]), f"suggested {show(result['suggested'])}")]
    if rates[0] <= result["own"] <= rates[-1]:
        marks.insert(0, (place(result["own"]), "own"))
    axis = "learning rate" if over_rate else "learning rate, by its exponent"
    decades = range(math.ceil(math.log10(rates[0]) - 1e-3), math.floor(math.log10(rates[-1]) + 1e-3) + 1)
    ticks = tuple(map(float, decades)) if len(decades) > 1 and not over_rate else ()
    plot = LinePlot(points, raw, tuple(marks), axis, "loss", read, label, ticks)
    told = Text.assemble((f"suggested rate {show(result['suggested'])}", "bold"))
    best = show(float(f"{result['best']:.2g}"))
    told.append(f" · lowest loss at {best} · the run's own is {show(result['own'])}")
    if result["diverged"]:
        told.append(" · then it diverged", "dim")
    return View(told, figure=plot, suggestion=Suggestion("optimizer.learning_rate", result["suggested"]))
