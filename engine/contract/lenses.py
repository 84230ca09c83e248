"""The table of lenses: views into a model, each with one sentence on how to read it.

A lens `NAME` is a line here, `engine/lenses/NAME.py` with `compute(task, options)`, which yields progress and returns a JSON
object, and `tui/lenses/NAME.py` with `render(result, width)`, which returns a `View` (see `tui/lenses/view.py`).
"""

from dataclasses import dataclass

from torchtty.engine.contract.errors import UserError


@dataclass(frozen=True)
class LensEntry:
    """A lens: its name, its title, and how its result is read."""

    name: str
    title: str
    reading: str


_ENTRIES = (
    LensEntry(
        "shapes",
        "Shapes",
        "Each line is a layer, in the order of the forward pass on one batch: the shapes of its input and output, its "
        "parameters, the size of its weights, the memory of its output, and the time it takes alone. A layer includes those "
        "indented below it.",
    ),
)
LENSES: dict[str, LensEntry] = {lens.name: lens for lens in _ENTRIES}


def lens_named(name: str) -> LensEntry:
    """Return the lens of that name; raise `UserError` that lists the names there are."""
    if name not in LENSES:
        raise UserError(f"There is no lens called '{name}'. The lenses are {', '.join(LENSES)}.")
    return LENSES[name]
