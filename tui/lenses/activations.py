"""How the lens activations is shown: a table of the layers with histograms, and the map or course asked for."""

from typing import Any

from rich.text import Text

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.colours import Scale, scale_for
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.format import count, number
from torchtty.tui.lenses.text import bars, matrix, table
from torchtty.tui.lenses.view import View

MEASURES = {"saturated": "share of numbers saturated", "dead": "share of units dead", "spread": "spread"}


def render(result: dict[str, Any], width: int) -> View:
    """Return the layers as a table, and as a figure what the option `show` names."""
    layers = _layers(result, width)
    match result["show"]:
        case "map":
            return View(_heading_of_map(result), layers, _map(result))
        case "time":
            over = result["over"]
            steps = "one step" if len(over["steps"]) == 1 else f"{count(len(over['steps']))} steps"
            title = f"{MEASURES[result['measure']]} at {steps}"
            return View(Text(title, "bold"), layers, _over(over, result["measure"]))
        case "fan-in":
            return View(Text("inputs of spread 1 through every linear layer", "bold"), _fan_in(result, width))
    places = "one place" if len(result["layers"]) == 1 else f"{count(len(result['layers']))} places"
    return View(Text(f"what one batch gives in {places}", "bold"), layers)


def _heading_of_map(result: dict[str, Any]) -> Text:
    layer = next(layer for layer in result["layers"] if layer["name"] == result["layer"])
    told = [f"{printable_line(result['layer'])}: units down, examples across, bright is far from 0"]
    if "saturated" in layer:
        told.append(f"{layer['saturated']:.1%} saturated")
    if "dead" in layer:
        told.append(f"{layer['dead']:.1%} of the units dead")
    return Text(" · ".join(told), "bold")


def _map(result: dict[str, Any]) -> HeatMap:
    rows = matrix(result["map"])
    away = [[abs(value) for value in row] for row in rows]
    bounded = any(layer["name"] == result["layer"] and "saturated" in layer for layer in result["layers"])
    scale = Scale(0.0, 1.0) if bounded else scale_for(away)

    def read(row: int, column: int, _value: float) -> str:
        return f"unit {row}, example {column}  {rows[row][column]:+.3f}"

    units = tuple(str(place) for place in range(len(rows)))
    examples = tuple(str(place) for place in range(len(rows[0]) if rows else 0))
    return HeatMap(tuple(map(tuple, away)), units, examples, scale, "unit", "example", read, measure="away from 0")


def _over(over: dict[str, Any], measure: str) -> HeatMap:
    rows = matrix(over["values"])
    names = tuple(map(printable_line, over["names"]))
    steps = tuple(f"{step:,}" for step in over["steps"])
    return HeatMap(
        rows,
        names,
        steps,
        Scale(0, 1) if measure != "spread" else scale_for(rows),
        "layer",
        "step",
        measure=MEASURES[measure],
    )


def _layers(result: dict[str, Any], width: int) -> Text:
    rows: list[list[str | Text]] = []
    for layer in result["layers"]:
        chosen = layer["name"] == result["layer"] and result["show"] == "map"
        saturated, dead = layer.get("saturated"), layer.get("dead")
        rows.append(
            [
                Text(printable_line(layer["name"]), "bold" if chosen else ""),
                f"{bars(layer['histogram'])} ±{number(layer['reach'])}",
                number(layer["spread"]),
                _share(saturated),
                _share(dead),
                number(layer["mean"]),
                Text(printable_line(layer["type"]), "dim"),
            ]
        )
    return table(("layer", "histogram", "spread", "saturated", "dead", "mean", "type"), rows, width)


def _share(share: float | None) -> Text | str:
    if share is None:
        return ""
    return Text(f"{share:.1%}", "red" if share > 0.3 else "yellow" if share > 0.1 else "")


def _fan_in(result: dict[str, Any], width: int) -> Text:
    rows = [
        [
            printable_line(row["name"]),
            count(row["fan_in"]),
            *(number(row[key]) for key in ("root", "normal", "scaled", "own")),
        ]
        for row in result["fan_in"]
    ]
    titles = ("layer", "fan-in", "its root", "N(0, 1)", "divided by it", "own weights")
    told = "\n\nWeights of N(0, 1) multiply the spread by the root of the fan-in; divided by it they keep the spread."
    return table(titles, rows, width).append(told)
