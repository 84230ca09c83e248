"""A follower reads what a run writes, whatever state its files are in."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.run.watcher import EAGER, LOCAL, OVER, PAUSED, STEADY, RunFollower, RunWatcher

WANTED = ("train_loss", "val_loss")


def look(follower):
    follower.poll()
    return follower.take()


def points(follower, name="train_loss"):
    series = follower.series[name]
    return [(series.x(i), series.value(i)) for i in range(len(series))]


def test_new_points_arrive_once_and_in_order(write_run):
    written = write_run()
    written.status()
    follower = RunFollower(written.run, WANTED)
    written.metrics(
        {"step": 0, "time": 0.0, "tokens": 0, "train_loss": 3.0},
        {"step": 10, "time": 0.1, "tokens": 80, "train_loss": 2.5},
    )
    assert look(follower).metrics
    written.metrics(
        {"step": 20, "time": 0.2, "tokens": 160, "val_loss": 2.75},
        {"step": 20, "time": 0.2, "tokens": 160, "train_loss": 2.0},
    )
    look(follower)
    assert points(follower) == [(0, 3.0), (10, 2.5), (20, 2.0)]
    assert points(follower, "val_loss") == [(20, 2.75)]
    assert follower.series["train_loss"].x(1, "seconds") == 0.1


def test_a_run_that_was_just_created_is_known_to_be_starting(write_run):
    assert look(RunFollower(write_run().run)).snapshot.status.state is RunState.STARTING


def test_nothing_new_is_no_news(write_run):
    written = write_run()
    written.status()
    written.curve(100)
    follower = RunFollower(written.run, WANTED)
    assert look(follower)
    assert not follower.poll()
    written.status(heartbeat=time.time() + 1)
    assert not follower.poll(), "a heartbeat alone cannot be seen"
    written.status(step=7)
    assert not follower.poll(), "progress alone is shown four times a second"
    time.sleep(STEADY)
    assert look(follower).snapshot.status.step == 7
    written.status(step=8)
    assert not follower.poll()
    written.status(RunState.PAUSED, step=8)
    assert look(follower).snapshot.status.step == 8, "another state is shown at once"


def test_metrics_that_nobody_looks_at_are_drawn_when_somebody_does(write_run):
    written = write_run()
    written.status()
    written.curve(50)
    follower = RunFollower(written.run, WANTED)
    look(follower)
    assert "grad_norm" not in follower.series
    follower.want(["grad_norm"])
    assert look(follower).metrics
    assert len(points(follower, "grad_norm")) == 5


def test_values_that_are_no_numbers_are_passed_over(write_run):
    written = write_run()
    written.status()
    with written.run.metrics_path.open("wb") as file:
        file.write(
            b'{"step":0,"train_loss":3}\n{"step":1,"train_loss":"[bold]"}\n\xff\xfe nonsense\n[1,2]\n{"step":"x","train_loss":1}\n'
            b'{"step":2,"train_loss":NaN}\n{"step":3,"train_loss":1e999}\n{"step":4,"train_loss":null}\n{"step":5,"train_loss":2}\n'
        )
    follower = RunFollower(written.run, WANTED)
    look(follower)
    assert [step for step, _ in points(follower)] == [0, 2, 3, 5]
    assert points(follower)[1][1] != points(follower)[1][1], "NaN is kept: it is a gap in the curve"


def test_a_file_cut_back_by_a_resume_is_read_anew(write_run):
    written = write_run()
    written.status()
    written.curve(100)
    follower = RunFollower(written.run, WANTED)
    look(follower)
    kept = written.run.metrics_path.read_bytes().splitlines(keepends=True)[:3]
    copy = written.run.path / "copy"
    copy.write_bytes(b"".join(kept) + json_line({"step": 30, "train_loss": 9.0}))
    os.replace(copy, written.run.metrics_path)
    look(follower)
    assert [step for step, _ in points(follower)] == [0, 10, 20, 30]
    assert points(follower)[-1] == (30, 9.0)


def test_a_vanished_folder_is_told_and_its_curves_stay(write_run):
    written = write_run()
    written.status()
    written.curve(100)
    follower = RunFollower(written.run, WANTED)
    look(follower)
    shutil.rmtree(written.run.path)
    status = look(follower).snapshot.status
    assert status.state is RunState.LOST
    assert "folder is gone" in status.message
    assert len(points(follower)) == 10


def test_a_process_that_is_gone_is_noticed_without_a_change_of_the_file(write_run):
    written = write_run()
    written.status(RunState.RUNNING, pid=2**22 + 1)  # no process has this number
    follower = RunFollower(written.run)
    assert look(follower).snapshot.status.state is RunState.LOST


def test_an_unreadable_configuration_is_a_problem_not_a_crash(write_run):
    written = write_run()
    written.status()
    written.run.config_path.write_text("model = [bold]")
    assert "TOML" in look(RunFollower(written.run)).snapshot.problem


def test_samples_are_assembled_as_they_stream(write_run):
    written = write_run()
    written.status()
    follower = RunFollower(written.run)
    written.event("sample_start", 5, id="a", prompt="k", count=2, settings={"temperature": 0.5}, unknown=["é"])
    written.event("sample_text", 5, id="a", index=0, text="kar")
    written.event("sample_text", 5, id="a", index=1, text="ki")
    [record] = look(follower).samples
    assert (record.texts, record.done, record.unknown) == (("kar", "ki"), False, ("é",))
    written.event("sample_text", 5, id="a", index=0, text="la")
    [record] = look(follower).samples
    assert record.texts == ("karla", "ki")
    written.event("sample_end", 5, id="a", prompt="k", texts=["karla", "kim"], known=[True, False], cancelled=False)
    [record] = look(follower).samples
    assert (record.texts, record.known, record.done) == (("karla", "kim"), (True, False), True)


def test_the_same_id_again_is_another_sample(write_run):
    written = write_run()
    written.status()
    written.sample("sample-1", "anna")
    written.sample("sample-1", "berta")
    samples = look(RunFollower(written.run)).samples
    assert [record.texts for record in samples] == [("anna",), ("berta",)]


def test_edits_warnings_and_references_are_facts(write_run):
    written = write_run()
    written.status()
    written.event("ready", references={"chance": 3.3, "bad": "x"}, notes=["a note"], parameters=7, vocab_size=27)
    written.event("edit", 40, path="optimizer.learning_rate", value=0.01, old=0.1)
    written.event("warning", 41, message="slow")
    facts = look(RunFollower(written.run)).snapshot.facts
    assert facts.references == {"chance": 3.3}
    assert (facts.edits[0].step, facts.edits[0].value, facts.warnings) == (40, 0.01, ("slow",))


LINES = st.lists(
    st.one_of(
        st.fixed_dictionaries({"step": st.integers(0, 500), "train_loss": st.floats(allow_nan=True)}),
        st.fixed_dictionaries({"step": st.integers(0, 500), "val_loss": st.floats(0, 5), "time": st.floats(0, 9)}),
        st.dictionaries(st.sampled_from(["step", "train_loss", "x"]), st.one_of(st.none(), st.text(), st.integers())),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(LINES, st.lists(st.integers(1, 60), max_size=30), st.booleans())
def test_however_a_file_is_torn_the_curve_is_the_same_in_the_end(rows, cuts, spoiled):
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        if spoiled:
            data = b'{"step": 1, "train_l\n' + data
        torn, whole = RunFollower(run, WANTED), RunFollower(run, WANTED)
        with run.metrics_path.open("wb", buffering=0) as file:
            for cut in cuts:
                file.write(data[:cut])
                data = data[cut:]
                torn.poll()
                torn.take()
            file.write(data)
        torn.poll()
        whole.poll()
        for name in WANTED:
            # A step that goes back takes the curve with it, so only strictly rising steps compare point by point.
            steps = [row["step"] for row in rows if name in row and type(row.get("step")) is int]
            if steps == sorted(set(steps)):
                assert repr(points(torn, name)) == repr(points(whole, name))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_bytes_make_a_follower_fail(metrics, events):
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        run.metrics_path.write_bytes(metrics)
        run.events_path.write_bytes(events + b"\n")
        run.status_path.write_bytes(events)
        look(RunFollower(run, WANTED))


def test_a_run_of_50000_steps_with_20_metrics_opens_quickly(write_run):
    written = write_run()
    written.status(RunState.FINISHED)
    columns = ("train_loss", "val_loss", "learning_rate", "grad_norm", *(f"extra_{i}" for i in range(14)))
    with written.run.metrics_path.open("wb") as file:
        for step in range(50_000):
            row = {"step": step, "time": step / 100, "tokens": step * 8}
            file.write(json_line(row | dict.fromkeys(columns, 3.0 - step / 50000)))
    follower = RunFollower(written.run, WANTED)
    began = time.process_time()
    look(follower)
    spent = time.process_time() - began
    assert len(follower.series["train_loss"]) == 50_000
    assert spent < 1.5, "the bar is 0.5 s on an idle machine; this one may be busy"


class Listener:
    def __init__(self) -> None:
        self.notified = 0

    def __call__(self, watcher: RunWatcher) -> None:
        self.notified += 1


def test_the_thread_tells_of_news_only_and_waits_until_they_are_taken(write_run, wait_until):
    written = write_run()
    written.status()
    listener = Listener()
    watcher = RunWatcher(written.run, listener, WANTED)
    watcher.start()
    try:
        wait_until(lambda: listener.notified == 1, 5)
        for step in range(5):
            written.metrics({"step": step, "train_loss": 1.0})
            time.sleep(0.12)
        assert listener.notified == 1, "nobody took the first news, so there is no second message"
        watcher.follower.take()
        wait_until(lambda: listener.notified == 2, 5)
        watcher.follower.take()
        time.sleep(0.4)
        assert listener.notified == 2, "nothing changed, so nothing is notified"
    finally:
        watcher.stop()
        watcher._thread.join(2.0)


@pytest.mark.parametrize(
    ("state", "seconds"), [(RunState.RUNNING, LOCAL), (RunState.PAUSED, PAUSED), (RunState.FINISHED, OVER)]
)
def test_the_less_happens_the_less_is_looked(write_run, monkeypatch, state, seconds):
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    written = write_run()
    written.status(state)
    watcher = RunWatcher(written.run, Listener())
    watcher.follower.poll()
    assert watcher.interval() == seconds


def test_the_first_point_is_waited_for_eagerly_and_not_for_ever(write_run, monkeypatch):
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    written = write_run()
    written.status(RunState.STARTING)
    watcher = RunWatcher(written.run, Listener(), ["train_loss"])
    watcher.follower.poll()
    watcher._eager_until = time.monotonic() + 60
    assert watcher.interval() == EAGER
    watcher._eager_until = time.monotonic()
    assert watcher.interval() == LOCAL
    watcher._eager_until += 60
    written.metrics({"step": 1, "time": 0.1, "train_loss": 2.0})
    watcher.follower.take()
    watcher.follower.poll()
    assert watcher.interval() == LOCAL


def test_over_ssh_it_looks_four_times_a_second(write_run, monkeypatch):
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 22 10.0.0.2 22")
    written = write_run()
    written.status()
    watcher = RunWatcher(written.run, Listener())
    watcher.follower.poll()
    assert watcher.interval() == 0.25
