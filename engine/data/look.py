"""A look into a dataset without torch: `python -m torchtty.engine.data.look NAME|PATH` prints its statistics as one JSON object."""

import json
import sys
from collections import Counter
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.catalogue import load_corpus
from torchtty.engine.data.text import Corpus

FIRST = 5  # items or lines shown as an example
EXAMPLE_LENGTH = 100


def statistics(corpus: Corpus) -> dict[str, Any]:
    """Return counts of a corpus; `frequent` lists its commonest symbols with their shares."""
    symbols = Counter(corpus.text if corpus.unit == "text" else "".join(corpus.items))
    total = symbols.total()
    found: dict[str, Any] = {
        "name": corpus.name,
        "unit": corpus.unit,
        "source": corpus.source,
        "characters": total,
        "symbols": "".join(sorted(symbols)),
        "frequent": [[symbol, count / total] for symbol, count in symbols.most_common(8)],
        "notes": list(corpus.notes),
    }
    if corpus.unit == "items":
        lengths = [len(item) for item in corpus.items]
        found |= {
            "items": len(lengths),
            "distinct": len(set(corpus.items)),
            "mean_length": sum(lengths) / len(lengths),
            "longest": max(corpus.items, key=len)[:EXAMPLE_LENGTH],
        }
    lines = list(corpus.items) if corpus.unit == "items" else [line for line in corpus.text.split("\n") if line.strip()]
    found["lines"] = len(lines)
    found["first"] = [line[:EXAMPLE_LENGTH] for line in lines[:FIRST]]
    return found


def main(dataset: str) -> int:
    """Print the statistics of a dataset, or on stderr why there are none; return the exit code."""
    try:
        found = statistics(load_corpus(dataset))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
