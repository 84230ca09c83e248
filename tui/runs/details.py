"""The details of a run: its results, its settings in force as TOML, and where it comes from."""

import itertools
import time
from contextlib import suppress
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.highlight import highlight
from textual.widgets import Static

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.pins import pinned_steps
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.settings.configuration import difference, to_toml
from torchtty.engine.contract.settings.fields import show
from torchtty.tui.format import duration, loss, size, state_words
from torchtty.tui.runs.rows import RunRow


class Details(VerticalScroll, can_focus=True):
    """Shows a run's results, its settings in force and its provenance."""

    DEFAULT_CSS = """
    Details { height: 1fr; width: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    Details Static { height: auto; width: 100%; }
    Details #details-outcome { margin-top: 1; }
    Details #details-toml { margin-bottom: 1; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: RunSnapshot | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="details-title")
        yield Static(id="details-outcome")
        yield Static(id="details-toml")
        yield Static(id="details-provenance")

    def show(self, row: RunRow) -> None:
        """Show a run's details, or update them; they are in small files, read at once."""
        before, self._shown = self._shown, row.snapshot
        is_another = before is None or before.run != row.run
        if is_another or before is None or before.settings != row.snapshot.settings:
            self._show_settings(row)
        self.query_one("#details-outcome", Static).update(outcome(row.snapshot))
        if is_another:
            self.scroll_to(y=0, animate=False)

    def _show_settings(self, row: RunRow) -> None:
        run = row.run
        if row.snapshot.configuration is not None:
            text = to_toml(row.snapshot.settings)
        else:
            try:
                text = run.config_path.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                text = f"# config.toml cannot be read: {error.strerror or error}"
        problem = (f"\n{printable_line(row.problem)}" if row.problem else "", "$text-error")
        self.query_one("#details-title", Static).update(Content.assemble((printable_line(run.name), "bold"), problem))
        self.query_one("#details-toml", Static).update(highlight(printable(text), language="toml"))
        self.query_one("#details-provenance", Static).update(provenance(run.meta(), run))


def outcome(snapshot: RunSnapshot) -> Content:
    """Write a run's results, one figure a line, losses in nats, and the settings that were edited while it trained."""
    status, family = snapshot.status, snapshot.family
    facts = [("state", state_words(status))]
    if status.message:
        facts.append(("reason", status.message))
    if snapshot.parent is not None:
        changes = snapshot.parent.changes()
        facts.append(("origin", snapshot.parent.title + (f": {changes}" if changes else ", with its settings")))
    if status.max_steps:
        facts.append(("step", f"{status.step:,} of {status.max_steps:,}, in {duration(status.seconds)}"))
    for name in dict.fromkeys(itertools.chain(*family.headline)) if family else ():
        if family is not None and name in status.metrics:
            has_best = name == family.watched and status.best is not None
            best = f", best {loss(status.best)} at step {status.best_step or 0:,}" if has_best else ""
            facts.append((family.metric(name).description or name, loss(status.metrics[name]) + best))
    if status.test and family is not None and family.tested in status.test:
        weights = f", with the weights of step {status.test_step or 0:,}"
        facts.append((family.metric(family.tested).description, loss(status.test[family.tested]) + weights))
    if status.parameters is not None:
        facts.append(("parameters", f"{status.parameters:,}"))
    if status.memory:
        facts.append(("memory", f"{size(status.memory)} at most"))
    if status.serving:
        facts.append(("model", "in memory, so that a prompt is answered at once"))
    facts += [("edited", f"{path} {show(old)} → {show(new)}") for path, (old, new) in _edited(snapshot).items()]
    return listed(facts)


def _edited(snapshot: RunSnapshot) -> dict[str, tuple[Any, Any]]:
    with suppress(UserError):
        if snapshot.configuration is not None:
            return difference(snapshot.run.configuration().tree(), snapshot.settings)
    return {}


def listed(facts: list[tuple[str, str]]) -> Content:
    """Write facts under each other, their names in a column."""
    width = max(len(key) for key, _ in facts) + 2
    parts: list[str | tuple[str, str]] = []
    for key, value in facts:
        parts += [(printable_line(key).ljust(width), "$foreground 60%"), printable_line(value) + "\n"]
    return Content.assemble(*parts)


def provenance(meta: dict[str, Any], run: RunDirectory) -> Content:
    """Write where a run comes from, one fact a line."""
    facts: list[tuple[str, str]] = []
    for key, value in meta.items():
        if key == "parent" or value is None or value in ("", [], {}):
            continue
        if key == "created" and isinstance(value, int | float):
            value = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
        if isinstance(value, list):
            value = " ".join(map(str, value))
        if isinstance(value, dict):
            value = ", ".join(f"{name} {item}" for name, item in value.items())
        facts.append((str(key), str(value)))
    facts.append(("files", str(run.path)))
    pinned = pinned_steps(run)
    steps = [f"{step:,}{' (pinned)' if step in pinned else ''}" for step in run.checkpoints()]
    facts.append(("checkpoints", ", ".join(steps) or "none"))
    return listed(facts)
