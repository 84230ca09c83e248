"""How the lens buildup is shown: the weights of one version, the versions beside each other, and why scores are scaled."""

from typing import Any

from rich.text import Text

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.colours import Scale
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.format import fine_duration, number
from torchtty.tui.lenses.text import about_text, matrix, probability, symbol
from torchtty.tui.lenses.view import View

TITLES = {
    "loop": "1 a loop of averages",
    "matrix": "2 a matrix of weights",
    "softmax": "3 a masked softmax",
    "head": "4 queries, keys, values",
}
SAME_AS = {"": "", "kernel": "torch's kernel"}


def render(result: dict[str, Any], width: int) -> View:
    """Return the version that the options name, with the table of all four and that of the scores' spread."""
    names = tuple(symbol(token) for token in result["tokens"])
    version = next(one for one in result["versions"] if one["name"] == result["version"])

    def read(row: int, column: int, value: float) -> str:
        output = " ".join(number(one) for one in version["output"][row][: 3 if width < 100 else 6])
        return f"y[{names[row]}] takes {probability(value)} of {names[column]}  y = ({output} …)"

    shown = HeatMap(
        matrix(version["weights"]),
        names,
        names,
        Scale(0.0, 1.0, "sqrt"),
        "y of",
        "takes",
        read,
        lambda value: f"{value:.2f}".removeprefix("0") if value else "",
        "weight",
    )
    heading = Text.assemble(
        (f"{TITLES[version['name']]}: {version['formula']}", "bold"),
        f" · layer {result['layer']} of {result['layers']} ({printable_line(result['name'])}), head {result['head']} of "
        f"{result['heads']}",
        *about_text(result),
    )
    return View(heading, Text.assemble(*_versions(result), *_scaling(result)), shown)


def _versions(result: dict[str, Any]) -> list[tuple[str, str]]:
    parts = []
    for version in result["versions"]:
        same = version["same_as"]
        against = SAME_AS.get(same, TITLES.get(same, same)[2:])
        difference = f"at most {_or_none(version['difference'])} from {against}" if same else "to begin with"
        parts.append(
            (
                f"{TITLES[version['name']]:24} {fine_duration(version['seconds']):>8}  {difference}\n",
                "bold" if version["name"] == result["version"] else "",
            )
        )
    return parts


def _scaling(result: dict[str, Any]) -> list[tuple[str, str]]:
    """The table of scores: their variance grows with d_k, and with it softmax turns into picking one position."""
    parts = [
        (
            "\nwhy divided by √d_k   variance of q·k   largest weight   the same / √d_k\n",
            "dim",
        )
    ]
    for row in result["scaling"]:
        about = f"d_k {row['d_k']}, N(0, 1)" if row["drawn"] else f"d_k {row['d_k']}, this head"
        before = f"{_or_none(row['variance']):>15}   {row['largest']:14.2f}"
        after = f"{_or_none(row['scaled_variance'])}, {row['scaled_largest']:.2f}"
        parts.append((f"{about:20}  {before}   {after}\n", "" if row["drawn"] else "bold"))
    return parts


def _or_none(value: float | None) -> str:
    return "–" if value is None else number(value)
