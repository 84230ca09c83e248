"""Figures as the screens and the commands write them."""

from pathlib import Path

import pytest

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.engine.contract.settings.families import family_of
from torchtty.tui.cli.follow import figures_so_far, speed
from torchtty.tui.format import rate
from torchtty.tui.run.status_lines import progress


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
