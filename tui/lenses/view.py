"""What a lens shows: the form in which its `render` returns a result, for the app and the command line alike."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rich.console import RenderableType

from torchtty.engine.contract.lenses import LensEntry
from torchtty.tui.charts.figure import Figure


@dataclass(frozen=True)
class Suggestion:
    """A setting and a value for it that a lens suggests for the next run."""

    path: str
    value: float


@dataclass(frozen=True)
class View:
    """A result for a place of some width: the heading stays where it is; a figure takes the room; the body scrolls below.

    An empty body leaves all the room to the figure. Without a figure the body has it.
    """

    heading: RenderableType
    body: RenderableType = ""
    figure: Figure | None = None
    suggestion: Suggestion | None = None


Render = Callable[[dict[str, Any], int], View]
"""From a result and a width to what is shown. In Train a result has `at`, the step of the chart's cursor, while that is shown."""


def rendered(lens: LensEntry, result: dict[str, Any], width: int) -> View:
    """Return a lens's result as it is shown in `width` cells."""
    render: Render = import_module(f"torchtty.tui.lenses.{lens.name}").render
    return render(result, width)
