"""How the lens nearest is shown: each drawn picture with the nearest ones learnt from, and how far real ones lie apart."""

from statistics import median
from typing import Any

from rich.text import Text

from torchtty.tui.format import count
from torchtty.tui.lenses.picture_rows import PictureRows, pictures_in
from torchtty.tui.lenses.view import View


def render(result: dict[str, Any], width: int) -> View:  # noqa: ARG001
    """Return a row for each drawn picture: itself first, then its neighbours."""
    distances, places, real = result["distances"], result["places"], result["real"]
    usual = median(real)

    def read(row: int, column: int) -> str:
        if not column:
            return f"drawn {row + 1}"
        away = distances[row][column - 1]
        which = f"picture {places[row][column - 1]:,} of those learnt from"
        return f"{which}, {away:.1f} grey levels away ({away / usual:.2f} of usual)"

    nearest = median(row[0] for row in distances)
    copied = sum(row[0] < real[0] for row in distances)
    heading = Text.assemble(
        (f"nearest of {count(result['learnt_from'])} pictures, {nearest:.1f} grey levels away", "bold"),
        f" · a real picture's nearest other one: {usual:.1f} ({real[0]:.1f} to {real[-1]:.1f})"
        f" · {copied} of {result['count']} nearer than any real two",
    )
    caption = "the first of each row is drawn, the others are the nearest ones learnt from"
    return View(heading, "", PictureRows(pictures_in(result["pictures"]), result["columns"], read, caption))
