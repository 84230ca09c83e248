"""How the lens attention is shown: the weights of one head as a heat map, and all heads summed up below it."""

from typing import Any

from rich.text import Text

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.colours import Scale
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.lenses.text import about_text, matrix, probability, symbol
from torchtty.tui.lenses.view import View


def render(result: dict[str, Any], width: int) -> View:
    """Return the head that the options name, with a table of all heads."""
    names = tuple(symbol(token) for token in result["tokens"])
    layer = result["layers"][result["layer"] - 1]
    shown = HeatMap(
        matrix(result["weights"][result["head"] - 1]),
        names,
        names,
        Scale(0.0, 1.0, "sqrt"),
        "looks",
        "at",
        lambda row, column, value: (
            f"{names[row]} (place {row + 1}) looks at {names[column]} ({column + 1})  {probability(value)}"
        ),
        lambda value: f"{value:.2f}".removeprefix("0") if value else "",
        "weight",
    )
    heading = Text.assemble(
        (f"layer {result['layer']} of {len(result['layers'])}, head {result['head']} of {layer['n_head']}", "bold"),
        f" · {printable_line(layer['name'])} · d_k {layer['d_k']} · {'masked' if layer['causal'] else 'no mask'}",
        *about_text(result),
    )
    return View(heading, _heads(result, width), shown)


def _heads(result: dict[str, Any], width: int) -> Text:
    """Sum up every head, the one shown in bold; as many beside each other as there is room for."""
    cells = [
        (
            f"{number}.{place} entropy {head['entropy']:.2f} itself {probability(head['itself'])} "
            f"before {probability(head['before'])} first {probability(head['first'])}",
            (number, place) == (result["layer"], result["head"]),
        )
        for number, layer in enumerate(result["layers"], 1)
        for place, head in enumerate(layer["heads"], 1)
    ]
    wide = max(len(cell) for cell, _ in cells)
    beside = max(1, (width + 2) // (wide + 2))
    text = Text("layer.head, entropy in bits, mean weight on itself, on the token before, on the first\n", "dim")
    for at, (cell, chosen) in enumerate(cells):
        last = at % beside == beside - 1
        text.append(cell if last else cell.ljust(wide), "bold" if chosen else "")
        text.append("\n" if last else "  ")
    return text
