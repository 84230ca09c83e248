"""A text, and configurations of small models that learn from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_models import FAMILY, SMALL

from torchtty.engine.contract.settings.configuration import starting_tree, with_flags


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog\n" * 40, encoding="utf-8")
    return path


@pytest.fixture
def configured(text: Path) -> Callable[..., Any]:
    def configured(name: str, **flags: str) -> Any:
        settings = SMALL.get(name, {}) | {path.replace("__", "."): value for path, value in flags.items()}
        if name != "dcgan":
            settings = {"data.dataset": str(text), "data.unit": "text"} | settings
        if name != "ngram":
            settings = {"training.device": "cpu"} | settings
        return with_flags(starting_tree(FAMILY.get(name, name)), settings)

    return configured
