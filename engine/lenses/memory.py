"""What lenses remember of a run over its steps: a row of values a step, of the model as it was looked at and of its checkpoints.

It lives as long as the worker. A run is looked at once a second for hours, so that beyond a number of steps every other is let go.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]

MOST = 64  # steps that are remembered

_ROWS: dict[tuple[Path, str], dict[int, Row]] = defaultdict(dict)


def remember(run: Path, lens: str, step: int, row: Row) -> None:
    """Remember the values of a step by their names."""
    rows = _ROWS[run, lens]
    rows[step] = row
    if len(rows) > MOST:
        for between in sorted(rows)[1:-1:2]:
            del rows[between]


def remembered(run: Path, lens: str) -> dict[str, Any]:
    """Return `steps` (S), `names` (N), and `values` (N rows of S), None where a name has none at a step."""
    rows = _ROWS[run, lens]
    steps = sorted(rows)
    names = list(dict.fromkeys(name for step in steps for name in rows[step]))
    return {"steps": steps, "names": names, "values": [[rows[step].get(name) for step in steps] for name in names]}


def rows(run: Path, lens: str) -> dict[int, Row]:
    """Return what is remembered, by the steps in their order."""
    return dict(sorted(_ROWS[run, lens].items()))


def is_remembered(run: Path, lens: str, step: int) -> bool:
    return step in _ROWS[run, lens]
