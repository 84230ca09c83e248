"""README, CONTRIBUTING and the guide: their links hold, and what they list is what there is."""

import re
from pathlib import Path
from typing import get_args

import pytest

from torchtty.engine.contract.run.events import Event
from torchtty.engine.contract.run.requests import Request
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.tui.cli.program import app
from torchtty.tui.guide import PAGES, read_page
from torchtty.tui.modes import MODES

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "assets" / "guide"
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "checkpoints" / "README.md",
    *sorted(GUIDE.glob("*.md")),
]
RUN_FORMAT = (ROOT / "checkpoints" / "README.md").read_text()


def links(document: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", document.read_text())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    missing = [link for link in links(document) if not (document.parent / link.partition("#")[0]).exists()]
    assert missing == []


def test_every_file_that_contributing_names_exists() -> None:
    named = re.findall(
        r"`((?:tui|engine|assets|tests|checkpoints|\.package|\.ci)/[\w./-]+)`", (ROOT / "CONTRIBUTING.md").read_text()
    )
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_is_short_and_links_to_every_page_of_the_guide() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 160
    pages = {
        Path(link).stem
        for link in links(ROOT / "README.md")
        if link.startswith("assets/guide/") and link.endswith(".md")
    }
    assert pages == set(PAGES) == {path.stem for path in GUIDE.glob("*.md")}


def test_the_picture_loads_nothing_from_elsewhere() -> None:
    picture = (GUIDE / "torchtty.svg").read_text()
    assert len(picture) < 150_000
    assert "url(http" not in picture
    assert "@font-face" not in picture
    assert set(re.findall(r'https?://[^"\s]+', picture)) <= {"http://www.w3.org/2000/svg"}


def test_the_format_of_a_run_names_every_event_and_request_with_its_fields() -> None:
    for part in (*get_args(Event), *get_args(Request)):
        name = (part.model_fields.get("event") or part.model_fields["type"]).default
        rows = [line for line in RUN_FORMAT.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1]]
        assert rows, f"{name} has no row"
        fields = set(part.model_fields) - {"event", "type", "time", "step", "id", "request"}
        assert [field for field in fields if not any(f"`{field}`" in row for row in rows)] == [], name


def test_the_format_of_a_run_names_every_state_and_field_of_the_status() -> None:
    assert [state.value for state in RunState if f"`{state.value}`" not in RUN_FORMAT] == []
    assert [field for field in Status.model_fields if f"`{field}`" not in RUN_FORMAT] == []


def sources() -> str:
    return "\n".join(path.read_text() for room in ("tui", "engine") for path in (ROOT / room).rglob("*.py"))


def test_the_guide_lists_every_environment_variable_and_only_those() -> None:
    used = set(re.findall(r"TORCHTTY_[A-Z]+", sources()))
    assert used == set(re.findall(r"TORCHTTY_[A-Z]+", read_page("settings-and-variables")))


def test_the_keys_that_the_guide_says_can_be_changed_are_actions_of_the_app() -> None:
    table = [line for line in read_page("settings-and-variables").splitlines() if line.startswith("| `")]
    named = {name for line in table for name in re.findall(r"`([a-z]+\.[a-z_]+)`", line)} - {"keys.toml"}
    known = set(re.findall(r'\bid="([a-z]+\.[a-z_]+)"', sources())) | {f"mode.{mode.name}" for mode in MODES}
    assert len(named) > 15
    assert named - known == set()


def test_the_guide_lists_every_command() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    listed = "\n".join(line for line in read_page("command-line").splitlines() if line.startswith("| `torchtty"))
    assert {name for name in commands if not re.search(rf"`(torchtty )?{name}\b", listed)} == set()
