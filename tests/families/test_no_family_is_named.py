"""No family stands by name in the app, nor in the engine outside the family's own files."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchtty.engine.contract.settings.families import SHIPPED

ROOT = Path(__file__).parents[2]
OWN = ("engine/contract/settings/models/", "engine/models/")  # one file a family
MEASURED = ("engine/bench/", "tui/bench/")  # these measure this model or that

ALLOWED = {
    "engine/contract/diagnosis/case.py": "the loss of counted pairs",
    "engine/contract/settings/families.py": "the table of those that ship",
    "engine/contract/settings/data.py": "gpt2 is a tokenizer there",
    "engine/contract/settings/fallbacks.py": "gpt2 is a tokenizer there, and what stands in for weights that cannot be had",
    "engine/data/prepared.py": "the loss of counted pairs",
    "engine/data/tokenizers/gpt2.py": "gpt2 is a tokenizer there",
    "engine/lenses/prediction.py": "the loss of counted pairs",
    "engine/training/pretrained.py": "the task of GPT-2",
    "engine/training/recurrent.py": "the task of recurrent networks",
    "engine/worker/warm_up.py": "what a warm worker imports ahead of time",
    "tui/lenses/prediction.py": "the loss of counted pairs",
    "tui/lenses/tokens.py": "gpt2 is a tokenizer there",
}


def files() -> Iterator[Path]:
    for side in ("engine", "tui"):
        for path in sorted((ROOT / side).rglob("*.py")):
            if not path.relative_to(ROOT).as_posix().startswith((*OWN, *MEASURED)):
                yield path


def named(path: Path) -> set[str]:
    """The families that a file names: as a text of its own, or as a module that it imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            places = [node.value] if node.value in SHIPPED or node.value.startswith("torchtty.engine.") else []
        elif isinstance(node, ast.ImportFrom):
            places = [node.module or ""]
        elif isinstance(node, ast.Import):
            places = [alias.name for alias in node.names]
        else:
            continue
        for place in places:
            room, _, last = place.partition(":")[0].rpartition(".")
            if last in SHIPPED and (not room or room.endswith((".settings.models", ".engine.models"))):
                found.add(last)
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_family_is_named(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    assert not named(path) or name in ALLOWED


def test_what_is_allowed_is_still_needed() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in files() if named(path)} == ALLOWED.keys()
