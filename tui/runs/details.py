"""The details of a run: its results, its settings in sections, what was changed of them, and where it comes from."""

import itertools
import time
from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from torchtty.engine.contract.listing.differences import Changes, origin_of
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Edited
from torchtty.engine.contract.run.log import edits_of
from torchtty.engine.contract.run.pins import pinned_steps
from torchtty.engine.contract.settings.fields import show
from torchtty.tui.format import duration, loss, size, state_words

COLUMN = 50  # cells that a column of sections takes at least
MOST_COLUMNS = 4
CHANGED, EDITED = "bold $text-accent", "bold $text-warning"

Lines = list[Content]


class Details(VerticalScroll, can_focus=True):
    """Shows a run's results, its settings in force and its provenance, side by side where there is room."""

    DEFAULT_CSS = """
    Details { height: 1fr; width: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    Details Static { height: auto; width: 1fr; }
    Details #details-title { width: 100%; margin-bottom: 1; }
    Details Horizontal { height: auto; }
    Details #details-columns Static { padding-right: 2; display: none; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._entry: Entry | None = None
        self._shown: object = None
        self._sections: list[Lines] = []

    def compose(self) -> ComposeResult:
        yield Static(id="details-title")
        with Horizontal(id="details-columns"):
            for number in range(MOST_COLUMNS):
                yield Static(id=f"details-{number}")

    def show(self, entry: Entry) -> None:
        """Show a run's details, or update them; they are in small files, read at once."""
        before, self._entry = self._entry, entry
        shown = (
            entry.run,
            entry.status.model_copy(update={"heartbeat": 0.0}),
            entry.settings,
            entry.marks,
            entry.problem,
        )
        if shown == self._shown:
            return
        self._shown = shown
        problem = (f"\n{printable_line(entry.problem)}" if entry.problem else "", "$text-error")
        star = ("★ ", "$text-warning") if entry.marks.starred else ("", "")
        title = Content.assemble(star, (printable_line(entry.key), "bold"), problem)
        self.query_one("#details-title", Static).update(title)
        self._sections = sections(entry)
        self._lay_out()
        if before is None or before.run != entry.run:
            self.scroll_to(y=0, animate=False)

    def on_resize(self, _: Resize) -> None:
        """Put the sections into as many columns as there is room for."""
        self._lay_out()

    def _lay_out(self) -> None:
        if not self._sections:
            return
        count = max(1, min(MOST_COLUMNS, self.size.width // COLUMN))
        for number, lines in enumerate(balanced(self._sections, count)):
            widget = self.query_one(f"#details-{number}", Static)
            widget.display = bool(lines)
            widget.update(Content("\n").join(lines))
        for number in range(count, MOST_COLUMNS):
            self.query_one(f"#details-{number}", Static).display = False


def balanced(sections: Sequence[Lines], count: int) -> list[Lines]:
    """Divide sections over columns in their order, so that the longest column is as short as possible; a line between two."""
    heights = [len(lines) + 1 for lines in sections]
    least, most = max(heights), sum(heights)
    while least < most:  # the smallest height into which they go
        middle = (least + most) // 2
        if _columns_needed(heights, middle) <= count:
            most = middle
        else:
            least = middle + 1
    columns: list[Lines] = [[]]
    for lines in sections:
        if columns[-1] and len(columns[-1]) + 1 + len(lines) + 1 > most and len(columns) < count:
            columns.append([])
        columns[-1] += ([Content("")] if columns[-1] else []) + lines
    return columns + [[] for _ in range(count - len(columns))]


def _columns_needed(heights: Sequence[int], most: int) -> int:
    count, height = 1, 0
    for one in heights:
        if height and height + one > most:
            count, height = count + 1, 0
        height += one
    return count


def sections(entry: Entry) -> list[Lines]:
    """Write a run's sections: results, settings one section each, where it comes from."""
    found = [_titled("results", listed(outcome(entry)))]
    if entry.settings:
        found += _settings(entry)
    else:
        found.append(_titled("config.toml", [Content(printable(line)) for line in _file(entry.run).splitlines()]))
    found.append(_titled("origin", listed(provenance(entry.run.meta(), entry.run))))
    return found


def _file(run: RunDirectory) -> str:
    try:
        return run.config_path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"# config.toml cannot be read: {error.strerror or error}"


def _titled(title: str, lines: Lines) -> Lines:
    return [Content.styled(f"── {title} ──", "bold $text-primary"), *lines]


def _settings(entry: Entry) -> list[Lines]:
    """Write the settings, a section each: those that were edited while it trained, and those that its origin has otherwise."""
    origin = origin_of(entry)
    changes = origin.changes if origin is not None else {}
    edits: dict[str, list[Edited]] = {}
    for edit in edits_of(entry.run):
        edits.setdefault(edit.path, []).append(edit)
    found = []
    for section, fields in entry.settings.items():
        width = max((len(name) for name in fields), default=0) + 2
        lines = []
        for name, value in fields.items():
            path = f"{section}.{name}"
            lines.append(_setting(name.ljust(width), path, value, edits.get(path, []), changes))
        found.append(_titled(section, lines))
    if changes and origin is not None:
        found[0].insert(1, Content.styled(f"bold: not as in {printable_line(origin.title)}", "$foreground 60%"))
    return found


def _setting(name: str, path: str, value: Any, edits: Sequence[Edited], changes: Changes) -> Content:
    label = (name, "$foreground 60%")
    moved = [edit for edit in edits if edit.old != edit.value]
    if moved:
        steps = "".join(f" → {show(edit.value)} at {edit.step:,}" for edit in moved)
        return Content.assemble(label, (printable_line(f"{show(moved[0].old)}{steps}"), EDITED))
    text = printable_line(show(value))
    if path in changes:
        was = changes[path][0]
        return Content.assemble(label, (text, CHANGED), (f"  was {printable_line(show(was))}", "$foreground 60%"))
    return Content.assemble(label, text)


def outcome(entry: Entry) -> list[tuple[str, str]]:
    """Return a run's results, one figure a line, losses in nats."""
    status, family, parent = entry.status, entry.family, entry.snapshot.parent
    facts = [("state", state_words(status))]
    if status.message:
        facts.append(("reason", status.message))
    if entry.marks.note:
        facts.append(("note", entry.marks.note))
    if entry.marks.tags:
        facts.append(("tags", " ".join(entry.marks.tags)))
    if parent is not None:
        changes = parent.changes()
        facts.append(("origin", parent.title + (f": {changes}" if changes else ", with its settings")))
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
    return facts


def listed(facts: Sequence[tuple[str, str]]) -> Lines:
    """Write facts under each other, their names in a column."""
    width = max(len(key) for key, _ in facts) + 2
    return [
        Content.assemble((printable_line(key).ljust(width), "$foreground 60%"), printable_line(value))
        for key, value in facts
    ]


def provenance(meta: dict[str, Any], run: RunDirectory) -> list[tuple[str, str]]:
    """Return where a run comes from, one fact a line."""
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
    return facts
