"""How the lens walk is shown: a row of pictures for each walk from one noise to the next."""

from typing import Any

from rich.text import Text

from torchtty.tui.lenses.picture_rows import PictureRows, pictures_in
from torchtty.tui.lenses.view import View


def render(result: dict[str, Any], width: int) -> View:  # noqa: ARG001
    """Return the walks as rows of pictures."""
    rows, frames, changes = result["rows"], result["frames"], result["changes"]

    def read(row: int, column: int) -> str:
        way = f"walk {row + 1}, {column / (frames - 1):.0%} of the way over {result['angles'][row]:.0f}°"
        return f"{way}: {changes[row][column - 1]:.1f} grey levels from the one before" if column else way

    steps = [change for row in changes for change in row]
    even, largest = sum(steps) / len(steps), max(steps)
    apart = sum(result["apart"]) / rows
    heading = Text.assemble(
        (f"{rows} walk{'s' * (rows > 1)} of {frames} pictures", "bold"),
        f" · neighbours differ by {even:.1f} grey levels of 255 on average, {largest:.1f} at most; ends by {apart:.1f}",
    )
    caption = "each row from one noise to the next, which the row below begins with"
    return View(heading, "", PictureRows(pictures_in(result["pictures"]), frames, read, caption))
