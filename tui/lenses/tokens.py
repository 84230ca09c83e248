"""How the lens tokens is shown: the text as each tokenizer cuts it, with what each piece costs."""

from typing import Any

from rich.text import Text

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.colours import RGB, cell_style, ink_on
from torchtty.tui.format import MISSING, count
from torchtty.tui.lenses.text import symbol
from torchtty.tui.lenses.view import View

COLOURS: tuple[RGB, ...] = ((38, 70, 110), (96, 62, 26), (28, 88, 66), (98, 44, 88), (84, 82, 22), (66, 56, 124))
TITLES = {
    "byte-pair": "byte pairs",
    "character": "characters",
    "word": "words",
    "gpt2": "GPT-2",
    "wordpiece": "WordPiece",
}


def render(result: dict[str, Any], width: int) -> View:  # noqa: ARG001
    """Return every tokenizer's cut, one below the other; a token has a colour by its id, and a bar stands between two."""
    body = Text()
    for found in result["tokenizers"]:
        own = "  this run's own" if found["own"] else ""
        body.append(f"{TITLES.get(found['name'], printable_line(found['name']))}{own}", "bold")
        body.append(f"  vocabulary {count(found['vocab_size'])}\n", "dim")
        for place, (token, id) in enumerate(zip(found["tokens"], found["ids"], strict=True)):
            colour = COLOURS[id % len(COLOURS)]
            body.append("|" if place else "", "dim").append(symbol(token), cell_style(ink_on(colour), colour))
        body.append(f"\n{' '.join(map(str, found['ids']))}\n", "dim")
        body.append(f"{_facts(found)}\n\n")
    for name, why in result["missing"].items():
        body.append(f"{TITLES.get(name, name)}: {printable_line(why)}\n", "dim")
    body.rstrip()
    return View(
        Text(f"{count(len(result['text']))} characters under {len(result['tokenizers'])} tokenizers", "bold"), body
    )


def _facts(found: dict[str, Any]) -> str:
    each = MISSING if found["characters_per_token"] is None else f"{found['characters_per_token']:.2f}"
    facts = [
        f"{count(len(found['ids']))} token{'s' * (len(found['ids']) != 1)}",
        f"{each} characters each",
        f"{found['fixed_bits']:,.0f} bits if all tokens cost the same",
    ]
    if found["bits"] is not None:
        facts.append(f"{found['bits']:,.0f} by how often each occurs")
    if not found["back"]:
        facts.append("the text does not come back whole")
    if found["unknown"]:
        facts.append(f"unknown: {' '.join(map(symbol, found['unknown'][:8]))}")
    return " · ".join(facts)
