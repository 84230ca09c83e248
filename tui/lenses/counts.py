"""How the lens counts is shown: a heat map of the pairs, losses, sorted pairs, and texts drawn from each table."""

from typing import Any

from rich.text import Text

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.colours import scale_for
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.format import count
from torchtty.tui.lenses.text import probability, symbol
from torchtty.tui.lenses.view import View

TITLES = {
    "counts": "counts",
    "probabilities": "counted probabilities",
    "model": "the model's own",
    "uniform": "uniform",
}


def render(result: dict[str, Any], width: int) -> View:  # noqa: ARG001
    """Return the heat map of what the option `show` names, with the rest as text below it."""
    names = [symbol(token) for token in result["symbols"]]
    shares = [
        [value / total if total else 0.0 for value in row]
        for row, total in zip(result["counts"], result["followed"], strict=True)
    ]
    even = 1 / result["vocabulary"]
    tables = {
        "counts": result["counts"],
        "probabilities": shares,
        "model": [[value or 0.0 for value in row] for row in result["model"]],
        "uniform": [[even] * len(names) for _ in names],
    }
    table = tables[result["show"]]

    def read(row: int, column: int, _value: float) -> str:
        counted, model = shares[row][column], tables["model"][row][column]
        times, of = result["counts"][row][column], result["followed"][row]
        pair = f"{names[row]}→{names[column]}"
        return f"{pair} {probability(counted)}  {count(times)} of {count(of)}  model {probability(model)}"

    def write(value: float) -> str:
        return f"{value:.0f}" if result["show"] == "counts" else f"{value:.2f}".removeprefix("0")

    shown = HeatMap(
        tuple(map(tuple, table)),
        tuple(names),
        tuple(names),
        scale_for(table, "sqrt"),
        "first",
        "then",
        read,
        write,
        "pairs" if result["show"] == "counts" else "probability",
    )
    return View(_heading(result), _body(result), shown)


def _heading(result: dict[str, Any]) -> Text:
    nats = result["nats"]
    parts = [(f"{TITLES[result['show']]} of {count(result['total'])} pairs", "bold")]
    losses = [f"{name} {nats[name]:.4f}" for name in ("counts", "model", "uniform") if name in nats]
    parts.append((f" · loss {' · '.join(losses)}", ""))
    if len(result["symbols"]) < result["vocabulary"]:
        parts.append((f" · the {len(result['symbols'])} commonest of {count(result['vocabulary'])} tokens", "dim"))
    return Text.assemble(*parts)


def _body(result: dict[str, Any]) -> Text:
    parts: list[tuple[str, str]] = []
    if result["word"]:
        pairs = [
            f"{symbol(a)}→{symbol(b)} {count(times)} ({probability(share)}, model {probability(own or 0.0)})"
            for a, b, times, share, own in result["word"]
        ]
        parts += [("word      ", "bold"), ("  ".join(pairs) + "\n", "")]
    for name, texts in result["samples"].items():
        drawn = "  ".join(printable_line(text) for text in texts)
        parts += [(f"{name:9} ", "bold"), (f"{drawn}\n", "dim" if name == "uniform" else "")]
    sorted_pairs = "  ".join(f"{symbol(a)}→{symbol(b)} {count(times)}" for a, b, times in result["pairs"])
    parts += [("pairs     ", "bold"), (sorted_pairs, "")]
    return Text.assemble(*parts)
