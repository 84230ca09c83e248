"""How the lens initial is shown: the first loss against chance, and the steps from logits to probabilities of one example."""

import math
from typing import Any

from rich.text import Text

from torchtty.tui.charts.colours import Scale
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.format import MISSING, number
from torchtty.tui.lenses.text import probability, symbol, table
from torchtty.tui.lenses.view import View

BAR = 20  # cells of the longest bar
VERDICTS = {
    "confidently wrong": "the first steps only take this confidence back: scale the last layer's weights down",
    "no number": "the first weights are so large that the forward pass overflows",
    "flat": "all tokens are equal, and the gradient has to break that",
    "fine": "the first predictions are nearly even, as they should be for who knows nothing",
}


def render(result: dict[str, Any], width: int) -> View:
    """Return the first probabilities of some examples as a heat map, above the steps of one of them."""
    names = tuple(map(symbol, result["symbols"]))
    rows = tuple(tuple(value or 0.0 for value in row) for row in result["map"])
    examples = tuple(map(symbol, result["examples"]))
    highest = max((value for row in rows for value in row), default=1.0)

    def read(row: int, column: int, value: float) -> str:
        return f"after {examples[row]} comes {names[column]} {probability(value)}, by chance {1 / result['vocabulary']:.3f}"

    figure = HeatMap(rows, examples, names, Scale(0.0, highest), "example", "next", read, measure="probability")
    return View(_heading(result), _steps(result, width), figure)


def _heading(result: dict[str, Any]) -> Text:
    colour = {"fine": "bold green", "flat": "bold yellow"}.get(result["verdict"], "bold red")
    return Text.assemble(
        (f"first loss {_loss(result['loss'])}", "bold"),
        f" against chance {result['chance']:.4f}: ",
        (result["verdict"], colour),
        f" · now {_loss(result['now'])} on the same batch\n",
        (VERDICTS[result["verdict"]], "dim"),
    )


def _loss(value: float | None) -> str:
    return "no number" if value is None else f"{value:.4f}"


def _steps(result: dict[str, Any], width: int) -> Text:
    context = "".join(map(symbol, result["context"]))
    added = f", {number(result['add'])} added to every logit" if result["add"] else ""
    head = Text(f"example {result['example']}: …{context[-24:]} → {symbol(result['target'])}{added}\n", "bold")
    columns = ("logits", "counts", "probabilities", "shifted")
    most = max((value or 0.0 for value in result["shifted"]), default=0.0) or 1.0
    order = sorted(range(len(result["symbols"])), key=lambda at: -(result["shifted"][at] or 0.0))
    rows: list[list[str | Text]] = []
    for at in order:
        logit, count, share, shifted = (result[column][at] for column in columns)
        name = symbol(result["symbols"][at])
        is_target = result["symbols"][at] == result["target"]
        rows.append(
            [
                Text(f"{name} ←" if is_target else name, "bold" if is_target else ""),
                number(logit if logit is not None else math.nan),
                number(count) if count is not None else "∞",
                probability(share) if share is not None else MISSING,
                probability(shifted) if shifted is not None else MISSING,
                ("▇" * round((shifted or 0.0) / most * BAR)).ljust(BAR),
            ]
        )
    told = "\n\ncounts = exp(logits); probabilities = counts / sum; shifted: the largest logit is taken off first, which changes "
    told += "nothing but that no count overflows (exp(89) is beyond float32)."
    return head.append_text(table(("next", "logit", "count", "probability", "shifted", ""), rows, width)).append(
        told, "dim"
    )
