"""`torchtty bench`: speed, memory and traffic, measured on this machine and compared with their targets."""

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.files import write_atomically
from torchtty.tui.bench.environment import described, machine
from torchtty.tui.bench.measurements import NAMES, Failure, Figure, measured
from torchtty.tui.cli.console import Exit, UsageError, messages, notify, output


def bench(only: Sequence[str], file: str | None, *, quick: bool) -> int:
    """Measure and print; return 1 if something could not be measured. A missed bar is a result, not a failure."""
    unknown = [name for name in only if name not in NAMES]
    if unknown:
        raise UsageError(f"There is no measurement called '{unknown[0]}'. There are {', '.join(NAMES)}.")
    here, began = machine(), time.monotonic()
    notify(f"measuring on {described(here)}; about {'two minutes' if quick else 'six minutes'}")
    for name in ("SIGTERM", "SIGHUP"):  # ended from outside: what was started here is ended too
        signal.signal(getattr(signal, name), signal.default_int_handler)
    console = messages()
    with console.status("") as status:
        doing = status.update if console.is_terminal else notify
        found = list(measured(only or NAMES, quick=quick, doing=doing))
    figures = [item for name in NAMES for item in found if isinstance(item, Figure) and item.name == name]
    failures = [item for item in found if isinstance(item, Failure)]
    seconds = round(time.monotonic() - began, 1)
    output().print(table(figures))
    output().print(Text(f"{described(here)}; measured in {seconds:.0f} s" + (", quickly" if quick else ""), "dim"))
    for failure in failures:
        notify(f"not measured: {failure.name}: {printable_line(failure.reason)}")
    if file:
        content = {
            "seconds": seconds,
            "quick": quick,
            "machine": here,
            "figures": [figure.to_json() for figure in figures],
            "failures": [asdict(failure) for failure in failures],
        }
        try:
            write_atomically(Path(file), json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise UserError(f"The figures could not be written to {file}: {error.strerror or error}.") from None
    return Exit.FAILED if failures else Exit.DONE


def table(figures: Sequence[Figure]) -> Table:
    """Lay the figures out beside their bars."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("what", "measured", "bar", "", "repetitions", ""):
        made.add_column(heading, justify="right" if heading == "measured" else "left", overflow="fold")
    for figure in figures:
        met = {True: Text("met", "green"), False: Text("missed", "bold red"), None: Text("")}[figure.met]
        made.add_row(
            Text(figure.what),
            _shown(figure.value, figure.unit),
            f"{'≥' if bar.least else '≤'} {bar.limit:.3g} {figure.unit}".strip() if (bar := figure.bar) else "",
            met,
            f"{_shown(figure.spread[0], '')} – {_shown(figure.spread[1], '')}" if figure.spread else "",
            Text(figure.note, "dim"),
        )
    return made


def _shown(value: float, unit: str) -> str:
    number = f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{number} {unit}".strip()
