"""What a run came to, its configuration as TOML, and where it comes from."""

import itertools
import time
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content, Span
from textual.widgets import Static

from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import Status
from torchtty.engine.contract.settings.configuration import to_toml
from torchtty.engine.contract.settings.families import metric_named
from torchtty.engine.contract.settings.family import Family
from torchtty.tui.format import duration, loss
from torchtty.tui.runs.row import RunRow


class Details(VerticalScroll, can_focus=True):
    """Shows the settings in force as TOML, with the colours of its syntax, above the run's provenance."""

    DEFAULT_CSS = """
    Details { height: 1fr; width: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    Details Static { height: auto; width: 100%; }
    Details #details-outcome { margin-top: 1; }
    Details #details-toml { margin-bottom: 1; }
    """

    def compose(self) -> ComposeResult:
        yield Static(id="details-title")
        yield Static(id="details-outcome")
        yield Static(id="details-toml")
        yield Static(id="details-provenance")

    def show(self, row: RunRow) -> None:
        """Show a run's details; they are small files, read at once."""
        run, problem = row.run, row.problem
        self.show_outcome(row)
        if row.tree is not None:
            text = printable(to_toml(row.tree))
        else:
            try:
                text = printable(run.config_path.read_text(encoding="utf-8", errors="replace"))
            except OSError as error:
                text = f"# config.toml cannot be read: {error.strerror or error}"
        self.query_one("#details-title", Static).update(
            Content.assemble(
                (printable_line(run.name), "bold"),
                (f"\n{printable_line(problem)}" if problem else "", "$text-error"),
            )
        )
        self.query_one("#details-toml", Static).update(toml(text))
        self.query_one("#details-provenance", Static).update(provenance(run.meta(), run))
        self.scroll_to(y=0, animate=False)

    def show_outcome(self, row: RunRow) -> None:
        """Show how far the run is and what it came to."""
        self.query_one("#details-outcome", Static).update(outcome(row.status, row.family))


def outcome(status: Status, family: Family | None) -> Content:
    """Write what a run came to, one figure a line, losses in nats."""
    facts = [("state", status.state.value)]
    if status.message:
        facts.append(("reason", status.message))
    if status.max_steps:
        facts.append(("step", f"{status.step:,} of {status.max_steps:,}, in {duration(status.seconds)}"))
    for name in dict.fromkeys(itertools.chain(*family.headline)) if family else ():
        if name in status.metrics:
            best = f", best {loss(status.best)} at step {status.best_step or 0:,}" if status.best is not None else ""
            more = best if family is not None and name == family.watched else ""
            facts.append((metric_named(name).description, loss(status.metrics[name]) + more))
    if status.parameters is not None:
        facts.append(("parameters", f"{status.parameters:,}"))
    return listed(facts)


def listed(facts: list[tuple[str, str]]) -> Content:
    """Write facts under each other, their names in a column."""
    width = max(len(key) for key, _ in facts) + 2
    parts: list[str | tuple[str, str]] = []
    for key, value in facts:
        parts += [(printable_line(key).ljust(width), "$foreground 60%"), printable_line(value) + "\n"]
    return Content.assemble(*parts)


def toml(text: str) -> Content:
    """Colour TOML: sections, names, values and comments. Nothing in it is read as markup."""
    spans: list[Span] = []
    start = 0
    for line in text.splitlines(keepends=True):
        end = start + len(line.rstrip("\n"))
        stripped = line.strip()
        if stripped.startswith("#"):
            spans.append(Span(start, end, "$foreground 55%"))
        elif stripped.startswith("["):
            spans.append(Span(start, end, "bold $text-accent"))
        elif "=" in line:
            equals = start + line.index("=")
            spans.append(Span(start, equals, "$text-primary"))
            spans.append(Span(equals, equals + 1, "$foreground 55%"))
            value = line[equals - start + 1 :].strip()
            spans.append(Span(equals + 1, end, "$text-success" if value[:1] in "\"'" else "$text-warning"))
        start += len(line)
    return Content(text, spans)


def provenance(meta: dict[str, Any], run: RunDirectory) -> Content:
    """Write where a run comes from, one fact a line."""
    facts: list[tuple[str, str]] = []
    for key, value in meta.items():
        if value is None or value in ("", [], {}):
            continue
        if key == "created" and isinstance(value, int | float):
            value = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
        if isinstance(value, list):
            value = " ".join(map(str, value))
        if isinstance(value, dict):
            value = ", ".join(f"{name} {item}" for name, item in value.items())
        facts.append((str(key), str(value)))
    facts.append(("files", str(run.path)))
    facts.append(("checkpoints", ", ".join(f"{step:,}" for step in run.checkpoints()) or "none"))
    return listed(facts)
