"""How the lens windows is shown: a line a prediction, context → target with their ids, and the vocabulary below."""

from typing import Any

from rich.text import Text

from torchtty.tui.format import count
from torchtty.tui.lenses.text import symbol, table
from torchtty.tui.lenses.view import View

WIDEST_CONTEXT = 40  # cells; of a longer context the end is shown


def render(result: dict[str, Any], width: int) -> View:
    """Return the predictions as lines and the vocabulary as a table of columns."""
    kind = (
        "every position of a window is predicted"
        if result["every_position"]
        else "a window predicts the token that follows"
    )
    tokens = "one token" if result["block_size"] == 1 else f"{result['block_size']} tokens"
    title = f"{count(result['windows'])} windows of {tokens} in {result['split']}; {kind}"
    rows: list[list[str | Text]] = []
    for row in result["rows"]:
        context = [symbol(token) for token in row["context"]]
        joined = "".join(context) if all(len(token) == 1 for token in context) else "|".join(context)
        ids = " ".join(map(str, row["ids"]))
        most = max(12, width - WIDEST_CONTEXT - 20)
        rows.append(
            [
                Text(_end(joined, WIDEST_CONTEXT), justify="right"),
                Text("→", "dim"),
                Text(symbol(row["target"]), "bold"),
                Text(_end(ids, most), "dim"),
                Text("→", "dim"),
                Text(str(row["id"]), "dim"),
            ]
        )
    windows = table(("context", "", "next", "ids", "", "id"), rows, width)
    return View(Text(title, "bold"), windows.append("\n\n").append_text(_vocabulary(result, width)))


def _end(text: str, most: int) -> str:
    return text if len(text) <= most else "…" + text[len(text) - most + 1 :]


def _vocabulary(result: dict[str, Any], width: int) -> Text:
    told = [f"{token} {symbol(name)} {count(times)}" for token, name, times in result["vocabulary"]]
    cell = max(map(len, told)) + 3
    across = max(1, width // cell)
    down = -(-len(told) // across)
    lines = ["".join(entry.ljust(cell) for entry in told[row::down]).rstrip() for row in range(down)]
    head = f"vocabulary of {count(result['size'])}: id, symbol, how often"
    return Text.assemble((head, "bold"), "\n", "\n".join(lines))
