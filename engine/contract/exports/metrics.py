"""The metrics of a run as a table: one row a step, as CSV and as strict JSON lines."""

import csv
import io
import json
import math
from collections.abc import Iterable
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.metrics import is_number

FIRST = ("step", "time", "tokens")  # the columns that stand first

Row = dict[str, float]


def metric_rows(run: RunDirectory) -> list[Row]:
    """Return a run's metrics, one row a step, ascending; raise `UserError` where there are none.

    The rows of one step, of training and of its evaluation, are joined. A run that went on from a checkpoint repeats steps:
    what came after the checkpoint before never was. What is no number is left out.
    """
    tail, rows = JsonLinesTail(run.metrics_path), []
    while records := tail.read():
        rows += records
    if not (found := _by_step(rows)):
        raise UserError(f"{run.name} has no metrics to export: {run.metrics_path} holds none.")
    return found


def _by_step(records: Iterable[dict[str, Any]]) -> list[Row]:
    rows: list[Row] = []
    for record in records:
        values = {name: value for name, value in record.items() if is_number(value)}
        if not math.isfinite(step := values.get("step", math.nan)):
            continue
        while rows and rows[-1]["step"] > step:
            rows.pop()
        if rows and rows[-1]["step"] == step:
            rows[-1] |= values
        else:
            rows.append(values)
    return rows


def metrics_csv(rows: list[Row]) -> str:
    """Write rows as CSV with a heading; what a step lacks is empty, and `nan` and `inf` stand for what is no number."""
    names = list(dict.fromkeys((*FIRST, *(name for row in rows for name in row))))
    names = [name for name in names if any(name in row for row in rows)]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(map(printable_line, names))
    table.writerows([row.get(name, "") for name in names] for row in rows)
    return text.getvalue()


def metrics_jsonl(rows: list[Row]) -> str:
    """Write rows as JSON lines that any reader takes: null stands for what JSON has no number for."""
    clean = ({name: value if math.isfinite(value) else None for name, value in row.items()} for row in rows)
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in clean)
