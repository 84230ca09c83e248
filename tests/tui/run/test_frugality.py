"""How seldom a run is followed where training needs every core."""

import time

import pytest

from torchtty.tui.run import frugality
from torchtty.tui.run.frugality import BURST, QUICKEST, SLOWEST, Frugality


@pytest.fixture
def on_a_busy_machine(monkeypatch):
    monkeypatch.setattr(frugality, "BUSY", -1.0)  # any machine is as busy as that
    monkeypatch.setattr(frugality, "LOOK_EVERY", 0.0)


def work(seconds: float) -> None:
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass


def test_free_cores_are_used_as_before(monkeypatch):
    monkeypatch.setattr(frugality, "BUSY", 101.0)
    monkeypatch.setattr(frugality, "LOOK_EVERY", 0.0)
    frugal = Frugality()
    work(BURST + 0.05)
    assert frugal.delay() == 0


def test_where_training_needs_all_cores_a_run_is_read_twice_a_second_and_then_once(on_a_busy_machine):
    frugal = Frugality()
    assert frugal.delay() == QUICKEST, "there is an allowance to begin with"
    work(BURST + 0.05)
    assert frugal.delay() == SLOWEST, "which is used up"


def test_what_the_app_saves_it_may_use_later(on_a_busy_machine, monkeypatch):
    monkeypatch.setattr(frugality, "SHARE", 1.0)
    frugal = Frugality()
    work(BURST + 0.05)
    frugal.delay()
    time.sleep(0.3)
    assert frugal.delay() == QUICKEST
