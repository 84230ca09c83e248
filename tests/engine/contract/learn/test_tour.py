"""The tour: its stops hold together, runs are held against the numbers to beat, and progress is kept."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from written_run import write_run

from torchtty.engine.contract.learn.tour import (
    Attempt,
    Beat,
    Progress,
    Stop,
    attempt_of,
    best_attempt,
    keep_progress,
    read_progress,
    stops,
)
from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.contract.paths import state_folder
from torchtty.engine.contract.settings.recipes import shipped_recipes

__all__ = ["write_run"]


def stop_named(key: str) -> Stop:
    return next(stop for stop in stops() if stop.key == key)


def test_the_stops_are_those_of_the_course_and_each_names_a_recipe_that_ships() -> None:
    order = ["count", "embed", "normalise", "fuse", "recur", "attend", "generate", "draw"]
    assert [stop.key for stop in stops()] == order
    for stop in stops():
        recipe = shipped_recipes()[stop.recipe]
        assert len(re.split(r"[.?] ", stop.about)) == 2, "two sentences"
        assert stop.lens == recipe.lens in LENSES
        beat, data = stop.beat, recipe.tree["data"]["dataset"]
        offline = recipe.fallback.dataset if recipe.fallback else data
        assert beat.reference in ("chance", "unigram", "bigram") or None not in (
            beat.limit(data, {}),
            beat.limit(offline, {}),
        ), "a number to beat, with a network and without one"
        for number in (beat.number, *beat.numbers.values()):
            assert number is None or f"{number:g}" in beat.text, "the text says the number"


def finished(write_run: Any, name: str, dataset: str = "given-names", *rows: dict[str, float]) -> Any:
    written = write_run(name, data__dataset=dataset)
    written.event("ready", references={"chance": 3.3, "unigram": 2.9, "bigram": 2.5})
    written.metrics(*rows)
    return written.run


def test_a_run_is_held_against_its_own_reference_lines(write_run: Any) -> None:
    embed = stop_named("embed")
    good = finished(write_run, "good", "given-names", {"step": 0, "val_loss": 3.3}, {"step": 100, "val_loss": 2.4})
    bad = finished(write_run, "bad", "given-names", {"step": 0, "val_loss": 2.6})
    assert attempt_of(embed, good) == Attempt("good", "given-names", 2.4, 2.5, beaten=True)
    assert attempt_of(embed, bad) == Attempt("bad", "given-names", 2.6, 2.5)
    assert best_attempt(embed, [bad, good]) == Attempt("good", "given-names", 2.4, 2.5, beaten=True)
    assert best_attempt(embed, []) is None


def test_a_first_loss_counts_at_its_step_and_a_number_for_its_own_data(write_run: Any) -> None:
    normalise, fuse, draw = stop_named("normalise"), stop_named("fuse"), stop_named("draw")
    late = finished(
        write_run, "late", "given-names", {"step": 0, "train_eval_loss": 25}, {"step": 9, "train_eval_loss": 2}
    )
    attempt = attempt_of(normalise, late)
    assert (attempt.value, attempt.limit, attempt.beaten) == (25, pytest.approx(3.4), False)
    offline = finished(write_run, "offline", "given-names", {"step": 9, "val_loss": 2.2})
    assert attempt_of(fuse, offline) == Attempt("offline", "given-names", 2.2, 2.271, beaten=True)
    there = finished(write_run, "there", "nomi-italiani", {"step": 9, "val_loss": 1.7})
    assert attempt_of(fuse, there) == Attempt("there", "nomi-italiani", 1.7, 1.755, beaten=True)
    assert best_attempt(fuse, [there, offline]) == attempt_of(fuse, offline), "further past its own number"
    elsewhere = finished(write_run, "elsewhere", "python-docs", {"step": 9, "val_loss": 1.0})
    assert attempt_of(fuse, elsewhere) == Attempt("elsewhere", "python-docs", 1.0, None)
    begun = finished(write_run, "begun", "given-names")
    assert attempt_of(fuse, begun) == Attempt("begun", "given-names", None, 2.271)
    assert best_attempt(fuse, [elsewhere, begun]) == attempt_of(fuse, elsewhere), "the newest"
    assert best_attempt(fuse, [begun, there]) == attempt_of(fuse, there), "the one that can be compared"
    drawn = finished(write_run, "drawn", "given-names", {"step": 1, "d_fake": 0.6}, {"step": 2000, "d_fake": 0.4})
    assert attempt_of(draw, drawn) == Attempt("drawn", "given-names", 0.4, draw.beat.number, beaten=True)
    assert Beat("", "val_loss", reference="bigram").limit("given-names", {}) is None


def test_progress_is_kept_and_a_broken_file_is_a_new_beginning() -> None:
    assert read_progress() == Progress()
    keep_progress(Progress(frozenset({"count", "draw"}), "draw"))
    assert read_progress() == Progress(frozenset({"count", "draw"}), "draw")
    path: Path = state_folder() / "tour.json"
    path.write_text(json.dumps({"passed": ["count", "gone", 3], "at": "gone"}))
    assert read_progress() == Progress(frozenset({"count"}), "")
    for broken in ("{", "[]", '{"passed": 1}'):
        path.write_text(broken)
        assert read_progress() == Progress()
