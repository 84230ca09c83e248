"""How the lens filters is shown: the maps of a layer as pictures, its filters, or one map number by number."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.colours import scale_for
from torchtty.tui.charts.figure import Figure
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.format import count, number
from torchtty.tui.lenses.picture_rows import PictureRows, pictures_in
from torchtty.tui.lenses.text import matrix, table
from torchtty.tui.lenses.view import View

CELL = 14  # cells for a map: as many stand beside each other as there is room for


def render(result: dict[str, Any], width: int) -> View:
    """Return what the option `show` names of the chosen layer, with the list of all layers below it."""
    layer = next(one for one in result["layers"] if one["name"] == result["layer"])
    heading = Text.assemble(
        (f"{result['show']} of {printable_line(layer['name'])}", "bold"),
        f" · {_channels(layer)} channels, maps {_sides(layer['size'])} · example {result['example'] + 1} of {result['examples']}",
    )
    return View(heading, _layers(result, width), _figure(result, width))


def _figure(result: dict[str, Any], width: int) -> Figure:
    if result["show"] == "numbers":
        values = matrix(result["map"])
        rows, columns = len(values), len(values[0])
        return HeatMap(
            values,
            tuple(map(str, range(rows))),
            tuple(map(str, range(columns))),
            scale_for(values, diverging=True),
            f"map {result['number']}: row",
            "column",
            lambda row, column, value: f"map {result['number']} at row {row}, column {column}: {number(value)}",
        )
    pictures = pictures_in(result[result["show"]])
    real = pictures_in(result["picture"]) if result["show"] == "maps" and result["picture"] else ()
    beside = max(2, min(16, (width - 1) // CELL))

    def read(row: int, column: int) -> str:
        place = row * beside + column - len(real)
        if place < 0:
            return "the picture that the discriminator reads"
        if result["show"] == "maps":
            return f"map {place + 1}: mean absolute value {number(result['strengths'][place])}"
        return f"filter {place + 1}"

    grey = "grey is 0" if result["show"] == "filters" and result["signed"] else "black to white: least to greatest"
    return PictureRows((*real, *pictures), beside, read, grey)


def _layers(result: dict[str, Any], width: int) -> Text:
    rows: list[list[str | Text]] = [
        [
            Text(printable_line(layer["name"]), "bold" if layer["name"] == result["layer"] else ""),
            _channels(layer),
            _sides(layer["kernel"]),
            _sides(layer["size"]),
            Text(printable_line(layer["type"]), "dim"),
        ]
        for layer in result["layers"]
    ]
    return table(("layer", "channels", "filters", "maps", "type"), rows, width)


def _channels(layer: dict[str, Any]) -> str:
    return f"{count(layer['takes'])} → {count(layer['gives'])}"


def _sides(size: Sequence[int]) -> str:
    return "×".join(map(str, size))
