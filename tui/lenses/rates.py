"""How the lens rates is shown: the loss over the exponent of the learning rate, with the rate that it suggests."""

import math
from typing import Any

from rich.text import Text

from torchtty.engine.contract.settings.fields import show
from torchtty.tui.charts.line_plot import LinePlot
from torchtty.tui.format import loss
from torchtty.tui.lenses.view import Suggestion, View


def render(result: dict[str, Any], width: int) -> View:  # noqa: ARG001
    """Return the sweep as a curve over the decimal logarithm of the rate."""
    exponents = [math.log10(rate) for rate in result["rates"]]
    points = tuple(zip(exponents, result["smoothed"], strict=True))
    raw = tuple(zip(exponents, result["losses"], strict=True))

    def read(at: int) -> str:
        rate = show(float(f"{result['rates'][at]:.2g}"))
        return f"rate {rate} = 10^{exponents[at]:.2f}  loss {loss(result['losses'][at])}, smoothed {loss(result['smoothed'][at])}"

    marks = [(math.log10(result["suggested"]), f"suggested {show(result['suggested'])}")]
    if exponents[0] <= math.log10(result["own"]) <= exponents[-1]:
        marks.insert(0, (math.log10(result["own"]), "own"))
    plot = LinePlot(
        points, raw, tuple(marks), "learning rate", "loss", read, lambda x: f"{10**x:.0e}".replace("e-0", "e-")
    )
    told = Text.assemble((f"suggested rate {show(result['suggested'])}", "bold"))
    best = show(float(f"{result['best']:.2g}"))
    told.append(f" · lowest loss at {best} · the run's own is {show(result['own'])}")
    if result["diverged"]:
        told.append(" · then it diverged", "dim")
    return View(told, figure=plot, suggestion=Suggestion("optimizer.learning_rate", result["suggested"]))
