"""How the lens shapes is shown: a line a layer, with as many columns as there is room for; or a line an operation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.format import MISSING, count, fine_duration, size
from torchtty.tui.lenses.view import View

GAP = 2  # cells between two columns
NARROWEST_NAME = 12
INDENT = "  "


@dataclass(frozen=True)
class _Column:
    """`dropped` says in which order columns give way where there is no room; 0 stays."""

    title: str
    text: Callable[[dict[str, Any]], str]
    dropped: int = 0
    left: bool = False


def _shapes(shapes: Sequence[Sequence[int]]) -> str:
    """Write shapes, only the first one in full: `32×8×64`, `32×8 +1`."""
    if not shapes:
        return MISSING
    first = "×".join(map(str, shapes[0])) or "1"
    return f"{first} +{len(shapes) - 1}" if len(shapes) > 1 else first


_COLUMNS = (
    _Column("type", lambda layer: printable_line(layer["type"]), dropped=2, left=True),
    _Column("input", lambda layer: _shapes(layer["inputs"]), dropped=4),
    _Column("output", lambda layer: _shapes(layer["outputs"])),
    _Column("parameters", lambda layer: count(layer["parameters"] or None)),
    _Column(
        "weights", lambda layer: size(layer["parameter_bytes"]) if layer["parameter_bytes"] else MISSING, dropped=1
    ),
    _Column("memory", lambda layer: size(layer["output_bytes"]), dropped=3),
    _Column("forward", lambda layer: fine_duration(layer["forward_seconds"])),
    _Column("backward", lambda layer: fine_duration(layer["backward_seconds"])),
)


def render(result: dict[str, Any], width: int) -> View:
    """Return the layers, or the operations, as a table of at most `width` cells."""
    if "operations" in result:
        return _step_by_step(result, width)
    layers: list[dict[str, Any]] = result["layers"]
    names = _names(layers)
    columns = list(_COLUMNS)
    cells = {column: [column.title, *map(column.text, layers)] for column in columns}
    widths = {column: max(map(cell_len, texts)) for column, texts in cells.items()}
    name_width = max(map(cell_len, names))
    for column in sorted((column for column in columns if column.dropped), key=lambda column: column.dropped):
        if name_width + sum(GAP + widths[column] for column in columns) <= width:
            break
        columns.remove(column)
    room = width - sum(GAP + widths[column] for column in columns)
    name_width = min(name_width, max(room, NARROWEST_NAME))
    lines = []
    for row, name in enumerate(["layer", *names]):
        line = Text(name, no_wrap=True)
        line.truncate(name_width, overflow="ellipsis", pad=True)
        for column in columns:
            text = Text(cells[column][row], "dim" if column.left and row else "")
            text.align("left" if column.left else "right", widths[column])
            line.append(" " * GAP).append_text(text)
        lines.append(line)
    for line in lines[:2]:
        line.stylize("bold")
    return View(Text("\n").join([*_summary(result, width), lines[0]]), Text("\n", no_wrap=True).join(lines[1:]))


def _step_by_step(result: dict[str, Any], width: int) -> View:
    """Return a line an operation, the layer in which it is done before its first one."""
    operations: list[dict[str, Any]] = result["operations"]
    calls = [printable_line(f"{operation['name']}({operation['arguments']})") for operation in operations]
    before = [" ".join(map(_shape, operation["inputs"])) or MISSING for operation in operations]
    after = [_several(operation["outputs"]) for operation in operations]
    left = min(max(map(cell_len, calls), default=0) + 2, max(20, width // 3))
    right = max(map(cell_len, after), default=0)
    middle = max(8, min(max(map(cell_len, before), default=0), width - left - right - 5))
    lines = []
    around = None
    for operation, call, given, found in zip(operations, calls, before, after, strict=True):
        if operation["layer"] != around:
            around = operation["layer"]
            lines.append(Text(printable_line(around) or "model", "bold", no_wrap=True, overflow="ellipsis"))
        line = Text(f"  {call}", no_wrap=True)
        line.truncate(left, overflow="ellipsis", pad=True)
        shapes = Text(given, "dim")
        shapes.truncate(middle, overflow="ellipsis")
        shapes.align("right", middle)
        line.append(" ").append_text(shapes).append(" → ", "dim").append(found)
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    batch = ", ".join(map(_shape, result["batch"]))
    heading = Text(f"{len(operations)} operations · batch {batch} on {printable_line(result['device'])}")
    return View(heading, Text("\n", no_wrap=True).join(lines))


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "1"


def _several(shapes: Sequence[Sequence[int]]) -> str:
    """Write the shapes of several outputs, equal ones once: `3 of 12×2×6×4`."""
    first = _shape(shapes[0])
    if len(shapes) > 1 and all(shape == shapes[0] for shape in shapes):
        return f"{len(shapes)} of {first}"
    return " ".join(map(_shape, shapes))


def _names(layers: list[dict[str, Any]]) -> list[str]:
    """Name each layer within the one around it, indented below that."""
    names, around = [], [""]
    for layer in layers:
        depth = layer["depth"]
        del around[depth + 1 :]
        prefix = f"{around[depth]}." if around[depth] else ""
        name = layer["name"].removeprefix(prefix) if depth else "model"
        if name.isdecimal():  # a place in a sequence, which alone says nothing
            name = f"{name} {layer['type']}"
        around.append(layer["name"])
        repeated = f" ×{layer['calls']}" if layer["calls"] > 1 else ""
        names.append(f"{INDENT * depth}{printable_line(name)}{repeated}")
    return names


def _summary(result: dict[str, Any], width: int) -> list[Text]:
    """Sum up the model in as few lines as it takes."""
    totals = result["totals"]
    facts = (
        f"{count(totals['parameters'])} parameters, {size(totals['parameter_bytes'])}",
        f"outputs {size(totals['output_bytes'])}",
        f"forward {fine_duration(totals['forward_seconds'])}, backward {fine_duration(totals['backward_seconds'])}",
        f"batch {', '.join(_shapes([shape]) for shape in result['batch'])} on {printable_line(result['device'])}",
    )
    lines = [facts[0]]
    for fact in facts[1:]:
        if cell_len(longer := f"{lines[-1]} · {fact}") <= width:
            lines[-1] = longer
        else:
            lines.append(fact)
    return [Text(line) for line in lines]
