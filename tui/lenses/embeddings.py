"""How the lens embeddings is shown: tokens as points, with the neighbours of the one under the cursor."""

from typing import Any

from rich.text import Text

from torchtty.tui.charts.scatter import Scatter
from torchtty.tui.format import count
from torchtty.tui.lenses.text import symbol
from torchtty.tui.lenses.view import View

VOWELS = frozenset("aeiouyàáâäæèéêëìíîïòóôöøùúûü")


def render(result: dict[str, Any], width: int) -> View:  # noqa: ARG001
    """Return the points as a scatter plot; vowels, other letters and all else have colours of their own."""
    names = tuple(map(symbol, result["symbols"]))
    near = tuple(tuple(which for which, _ in row) for row in result["near"])
    read = tuple("near " + " ".join(f"{names[which]} {cosine:.2f}" for which, cosine in row) for row in result["near"])
    points = tuple((x or 0.0, y or 0.0) for x, y in result["points"])
    ways = tuple(tuple((x or 0.0, y or 0.0) for x, y in way) for way in result.get("way", []))
    groups = tuple(map(_group, result["symbols"]))
    shares = result["shares"]
    axes = [f"component {number} ({share:.0%})" for number, share in enumerate(shares, 1)] or ["first", "second"]
    return View(_heading(result), figure=Scatter(points, names, read, near, ways, axes[0], axes[1], groups))


def _group(token: str) -> int:
    letter = token.strip().lower()[:1]
    return 0 if letter in VOWELS and letter else 1 if letter.isalpha() else 4


def _heading(result: dict[str, Any]) -> Text:
    how = {
        "as it is": "two dimensions, as they are",
        "pca": f"principal components of {count(result['dimensions'])} dimensions",
        "t-sne": f"t-SNE of {count(result['dimensions'])} dimensions",
    }[result["method"]]
    told = Text.assemble((f"{count(len(result['symbols']))} tokens · {how}", "bold"))
    if len(result["symbols"]) < result["vocabulary"]:
        told.append(f" · the commonest of {count(result['vocabulary'])}", "dim")
    if steps := result.get("steps"):
        told.append(f" · the way from step {count(steps[0])} on, of the token under the cursor", "dim")
    return told
