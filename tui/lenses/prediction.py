"""How the lens prediction is shown: surprise as colour, of the model and of counting, and every distribution at the cursor."""

import math
from typing import Any

from rich.style import Style
from rich.text import Text

from torchtty.tui.charts.colours import Scale, cell_style, ink_on
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.format import MISSING, number
from torchtty.tui.lenses.text import about_text, probability, symbol
from torchtty.tui.lenses.view import View

ROWS = {"model": "model", "bigram": "pairs", "unigram": "single tokens"}
WHO = {"model": "model", "bigram": "pairs counted", "unigram": "single tokens counted", "chance": "chance"}
TABLE = 84  # cells from which the means stand as a table


def render(result: dict[str, Any], width: int) -> View:
    """Return the surprises in bits as a heat map, a row for each way to predict, with totals above and the text below."""
    positions, totals = result["positions"], result["totals"]
    scale = Scale(0.0, 1.5 * totals["chance"]["bits"])
    tokens = tuple(symbol(position["token"]) for position in positions)
    kinds = [kind for kind in ROWS if kind in totals]
    bits = {kind: [_bits(position, kind) for position in positions] for kind in kinds}

    def read(row: int, column: int, value: float) -> str:
        position = positions[column]
        if kinds[row] != "model":
            return f"{tokens[column]} {_bit_text(value)} bits by counting {ROWS[kinds[row]]}"
        likeliest = " ".join(f"{symbol(token)} {probability(share or 0.0)}" for token, share in position["likeliest"])
        own = probability(position["probability"] or 0.0)
        return f"{tokens[column]} {_bit_text(value)} bits, p {own}, rank {position['rank']} · likeliest {likeliest}"

    shown = HeatMap(
        tuple(tuple(bits[kind]) for kind in kinds),
        tuple(ROWS[kind] for kind in kinds),
        tokens,
        scale,
        "by",
        "token",
        read,
        lambda value: f"{value:.1f}" if math.isfinite(value) else "",
        "bits of surprise",
    )
    text = Text(symbol(result["given"]), "dim")
    for position, token in zip(positions, tokens, strict=True):
        text.append(token, _surprise(scale, _bits(position, "model")))
    return View(_heading(result, width), text, shown)


def _heading(result: dict[str, Any], width: int) -> Text:
    """Return the means of all ways to predict as a table, or where that would not fit in two lines."""
    totals = {title: result["totals"][kind] for kind, title in WHO.items() if kind in result["totals"]}
    if width < TABLE:
        model, *others = totals.items()
        nats, of_token, of_character = _means(model[1])
        first = f"{model[0]} {nats} nats, {of_token} bits a token, {of_character} a character"
        rest = " · ".join(f"{title} {_means(total)[1]}" for title, total in others)
        return Text.assemble((first, "bold"), f"\n{rest} bits a token", *about_text(result))
    lines = []
    for title, total in totals.items():
        nats, of_token, of_character = _means(total)
        lines.append(f"{title:21} {nats:>7} nats {of_token:>7} bits a token {of_character:>7} bits a character")
    return Text.assemble((lines[0], "bold"), "\n", "\n".join(lines[1:]), *about_text(result))


def _means(total: dict[str, float | None]) -> list[str]:
    values = [total[name] for name in ("nats", "bits", "bits_per_character")]
    return [MISSING if value is None else f"{value:.3f}" for value in values]


def _bits(position: dict[str, Any], kind: str) -> float:
    value = position["bits" if kind == "model" else kind]
    return math.inf if value is None else float(value)


def _bit_text(value: float) -> str:
    return number(value) if math.isfinite(value) else "infinitely many"


def _surprise(scale: Scale, bits: float) -> Style:
    """The colour of a surprise; bold, too, from half of the scale on, for terminals without colour."""
    colour = scale.colour(bits if math.isfinite(bits) else scale.high)
    return cell_style(ink_on(colour), colour, bold=bits > scale.high / 2)
