"""A look into a dataset without torch: `python -m torchtty.engine.data.look SECTION` prints its statistics as one JSON object.

SECTION is a `data` section as JSON, of which `dataset` suffices.
"""

import json
import sys
from collections import Counter
from typing import Any

from pydantic import ValidationError

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.data import TextData
from torchtty.engine.data.catalogue import corpus_of
from torchtty.engine.data.text import Corpus

FIRST = 5  # items or lines shown as an example
EXAMPLE_LENGTH = 100
MOST_BYTES = 2**23  # of a person's own files: reading these and counting takes a second


def statistics(corpus: Corpus) -> dict[str, Any]:
    """Return counts of a corpus; `frequent` lists its commonest symbols with their shares.

    `read` is how many of `size` bytes were looked at, null where all were: the counts are those of a beginning then.
    """
    symbols = Counter(corpus.text if corpus.unit == "text" else "".join(corpus.items))
    total = symbols.total()
    found: dict[str, Any] = {
        "name": corpus.name,
        "unit": corpus.unit,
        "source": corpus.source,
        "size": corpus.size or None,
        "read": corpus.read,
        "files": corpus.files or None,
        "encoding": corpus.encoding or None,
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


def main(section: str) -> int:
    """Print the statistics of what a `data` section names, or on stderr why there are none; return the exit code."""
    try:
        found = statistics(corpus_of(TextData.model_validate_json(section), most=MOST_BYTES))
    except ValidationError as error:
        first = error.errors()[0]
        print(f"data.{first['loc'][0] if first['loc'] else ''}: {first['msg']}.", file=sys.stderr)
        return 1
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
