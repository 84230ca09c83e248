"""What is in the file or folder that is to be learnt from, beside the field for its path, before anything is trained."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from textual import work
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.worker import get_current_worker

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import expanded, written_path
from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.settings.data import DATASET, TextData
from torchtty.tui.form.completion import Completion, complete
from torchtty.tui.form.dataset_facts import facts, naming_settings
from torchtty.tui.form.draft import Draft
from torchtty.tui.form.pickers import HelpLine
from torchtty.tui.format import count

LOOK_AFTER = 0.3  # seconds without a change
LOOKING = "looking …"
MOST_LISTED = 8  # candidates
FIRST_LINES = 4
_SPLITS = {"train": "to train", "val": "to validate", "test": "to test"}
DIM = "$foreground 60%"
KEYS = "tab completes, enter goes on"
HOW = f"Text in any encoding, JSON lines, a table, or a folder of them: {KEYS}."


class DataPreview(HelpLine):
    """Lists what a path can become while it is typed, and then shows what is there: looked at in another process."""

    @dataclass
    class Refused(Message):
        """A draft's data were looked at and cannot be learnt from; `path` is the setting to change."""

        draft: Draft
        path: str
        problem: str

    def __init__(self) -> None:
        super().__init__()
        self.add_class("-whole")
        self._timer: Timer | None = None
        self._section: dict[str, Any] = {}  # what is shown, or looked at
        self._state: tuple[int, int] | None = None  # when its file was written, and its size
        self._listed = Completion("")
        self._complaint = ""
        self._draft: Draft | None = None
        self._found: Mapping[str, Any] | None = None
        self._counted: tuple[dict[str, Any], str] = {}, ""  # the tokens of a `data` section

    def look_soon(self, draft: Draft) -> None:
        """Look into a draft's data unless its path changes again at once."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(LOOK_AFTER, lambda: self.look(draft))

    def look(self, draft: Draft) -> None:
        """Look into a draft's data now, unless that has been done."""
        tree = draft.portable()
        section = tree["data"] | {"dataset": written_path(str(tree["data"]["dataset"]))}
        state = _state(section["dataset"])
        if (section, state) == (self._section, self._state) and self._found is not None:
            return
        self._section, self._state, self._found, self._draft = section, state, None, draft
        self._look(str(draft.value("data.dataset")), section, draft.reads_text)

    @work(thread=True, group="data-look", exclusive=True)
    def _look(self, typed: str, section: dict[str, Any], reads_text: bool) -> None:
        from torchtty.engine.contract.client.dataset_look import look

        worker = get_current_worker()
        path = expanded(section["dataset"])
        there = os.path.exists(path) and bool(typed.strip())
        listed = complete(typed, folders_only=not reads_text) if not there or typed.endswith("/") else Completion("")
        found: Mapping[str, Any] | None = None
        complaint = ""
        if there and reads_text:
            self._tell(worker, section, listed, None, LOOKING)
            try:
                found = look(section, lambda: worker.is_cancelled)
            except UserError as error:
                complaint = str(error)
        elif not there and typed.strip() and not listed.candidates:
            complaint = f"There is nothing at {printable_line(typed)}. Check the path: tab completes it."
        self._tell(worker, section, listed, found, complaint)

    def _tell(self, worker: Any, section: dict[str, Any], listed: Completion, found: Any, complaint: str) -> None:
        if not worker.is_cancelled:
            self.app.call_from_thread(self._show_found, section, listed, found, complaint)

    def _show_found(
        self, section: dict[str, Any], listed: Completion, found: Mapping[str, Any] | None, complaint: str
    ) -> None:
        if section != self._section:  # of a path that was changed meanwhile
            return
        self._found, self._listed, self._complaint = found, listed, complaint
        self._draw()
        if complaint and complaint != LOOKING and self._draft is not None:
            named = re.search(r"\bdata\.(field|encoding|format)\b", complaint)
            self.post_message(self.Refused(self._draft, named.group() if named else DATASET, complaint))

    def report_tokens(self, draft: Draft, answer: Mapping[str, Any]) -> None:
        """Show how many tokens the training worker counted in a draft's data."""
        tokens = answer.get("tokens") or {}
        if tokens:
            parts = [f"{count(tokens[split])} {words}" for split, words in _SPLITS.items() if tokens.get(split)]
            words = f"{', '.join(parts)}; {count(answer.get('vocab_size') or 0)} different"
            self._counted = draft.portable()["data"], words
            if self._found is not None:
                self._draw()

    def _draw(self) -> None:
        lines: list[Content] = []
        if self._found is not None:
            lines += self._facts(self._found)
        elif self._complaint:
            worded = naming_settings(self._complaint, rf"\1 (below, in {TextData.heading})")
            lines.append(Content.styled(printable(worded), DIM))
        if self._listed.candidates:
            lines += [_candidates(self._listed), Content.styled(KEYS, DIM)]
        self.content = Content("\n").join(lines or [Content.styled(HOW, DIM)])
        self._top = 0
        self.refresh(layout=True)

    def _facts(self, found: Mapping[str, Any]) -> list[Content]:
        rows = dict(facts(found))
        about = [rows.pop(name) for name in ("size", "encoding") if name in rows]
        lines = [Content.assemble((printable_line(PurePath(found["source"]).name), "bold"), f"  {' · '.join(about)}")]
        is_items = "items" in rows
        lines.append(Content(f"items: {rows['items']}" if is_items else f"running text of {_lines(found['lines'])}"))
        tokens = self._counted[1] if self._counted[0] == self._section else ""
        wanted = {"tokens": tokens, "characters": rows["characters"], "symbols": rows["symbols"]}
        lines += [Content.assemble((f"{name} ", DIM), printable_line(value)) for name, value in wanted.items() if value]
        lines += [Content.styled(printable_line(note), "$text-warning") for note in found["notes"]]
        width = max(10, self.size.width - 2)
        for line in found["first"][:FIRST_LINES]:
            lines.append(Content.styled(f"│ {printable_line(line)}", DIM).truncate(width, ellipsis=True))
        return lines


def _lines(number: int) -> str:
    return f"{count(number)} line{'s' * (number != 1)}"


def _state(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(expanded(path))
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _candidates(listed: Completion) -> Content:
    names = [printable_line(PurePath(path).name + ("/" if path.endswith("/") else "")) for path in listed.candidates]
    more = [f"… and {len(names) - MOST_LISTED:,} more"] if len(names) > MOST_LISTED else []
    return Content.styled("  ".join([*names[:MOST_LISTED], *more]), "$text-accent")
