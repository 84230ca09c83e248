"""Figures as the screens and the commands write them."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.engine.contract.settings.families import family_of
from torchtty.tui.cli import follow
from torchtty.tui.cli.follow import figures_so_far, speed
from torchtty.tui.format import rate
from torchtty.tui.run.status_lines import headline, progress


@pytest.mark.parametrize(
    ("speed", "text"),
    [
        (None, "–"),
        (0.254, "0.25 it/s"),
        (4.06, "4.1 it/s"),
        (41.3, "41 it/s"),
        (1234.5, "1,234 it/s"),
        (12_345, "12.3k it/s"),
    ],
)
def test_a_speed_has_the_digits_that_matter(speed, text):
    assert rate(speed) == text


def test_the_app_and_the_commands_word_a_speed_alike():
    status = Status(state=RunState.RUNNING, step=5, max_steps=10, steps_per_second=41.3)
    assert "41 it/s" in progress(RunSnapshot(RunDirectory(Path("run")), status), 120).plain
    assert speed(status) == "41 it/s"


def test_a_run_of_two_models_shows_both_losses_as_it_goes():
    status = Status(state=RunState.RUNNING, step=5, max_steps=10, metrics={"loss_d": 1.25, "loss_g": 0.75})
    snapshot = RunSnapshot(RunDirectory(Path("run")), status, parse(starting_tree("dcgan")))
    assert "D 1.25 G 0.75" in progress(snapshot, 120).plain
    assert figures_so_far(status, family_of("dcgan")) == ["D 1.25 G 0.75"]


def test_a_headline_has_the_facts_that_fit_whole():
    status = Status(state=RunState.RUNNING, parameters=48_637, device="cpu", serving=True)
    snapshot = RunSnapshot(RunDirectory(Path("a-run")), status, parse(starting_tree("mlp")))
    whole = headline(snapshot, "", 200).plain
    assert whole.endswith("48,637 parameters · cpu · in memory")
    assert headline(snapshot, "", len(whole)).plain == whole
    assert headline(snapshot, "", len(whole) - 1).plain == whole.removesuffix(" · in memory")
    assert headline(snapshot, "", 10).plain.startswith("● running  a-run  ")


def test_a_line_of_progress_is_not_said_again_before_it_says_something_else(monkeypatch):
    monkeypatch.setattr(follow, "PLAIN_INTERVAL", 0.0)
    said = io.StringIO()
    shown = follow.Plain(Console(file=said), family_of("mlp"))
    for step in (0, 0, 5, 5):
        shown.show(Status(state=RunState.RUNNING, step=step, max_steps=10), ["4 runs"])
    assert said.getvalue().splitlines() == ["running  4 runs", "running  step 5 of 10  4 runs"]
