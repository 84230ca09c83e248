"""The diagnosis in the app: a quiet line, the evidence on the chart, the key that tries the advice, and the terminal's bell."""

from typing import Any

import pytest
from on_screen import screen_text, shows, until
from textual.events import AppBlur, AppFocus

from torchtty.engine.contract.run.status import RunState
from torchtty.tui.run import watcher
from torchtty.tui.shell.notification import Way, chosen, sequence

SIZES = [(80, 24), (120, 36)]


def overfitting(write_run: Any, name: str = "one", **flags: str) -> Any:
    """A run whose validation loss rises from step 300 on while the training loss falls."""
    written = write_run(name, kind="gpt", **flags)
    written.event(
        "ready", references={"chance": 3.4, "unigram": 2.9, "bigram": 2.6}, tokens={"train": 9000, "val": 1000}
    )
    for step in range(1, 1000):
        row = {"step": step, "time": step / 100, "tokens": step * 8, "train_loss": 0.5 + 2.9 / (1 + step / 100)}
        written.metrics(row | {"grad_norm": 1.0})
        if step % 50 == 0:
            written.metrics({"step": step, "val_loss": 1.5 + abs(step - 300) / 400})
    written.status(RunState.RUNNING, step=999, metrics={"train_loss": 0.8, "val_loss": 3.1}, max_steps=2000)
    return written


@pytest.mark.parametrize("size", SIZES)
async def test_one_line_says_what_is_wrong_and_a_key_offers_the_change(
    torchtty: Any, write_run: Any, size: Any
) -> None:
    written = overfitting(write_run)
    async with torchtty(size) as (app, pilot):
        train = app.screen
        await until(pilot, shows(app, "⚠ overfits since step 300 · a: try dropout 0.2"))
        lines = screen_text(app).splitlines()
        assert len(lines) == size[1]
        assert "999/2,000" in screen_text(app)
        assert "prompt" in screen_text(app)
        chart = train.view.curves.chart("loss")
        (band,) = chart.spec.bands
        assert (band.first, band.title) == (300, "overfits")
        await until(pilot, lambda: any("╎overfits" in line for line in screen_text(app).splitlines()))
        assert train.view.curves.chart("speed").spec.bands == ()
        await pilot.press("a")
        await until(pilot, lambda: train.form.draft.value("model.dropout") == 0.2)
        assert train.form.draft.is_modified("model.dropout")
        assert train.form.row("model.dropout") in train.focused.ancestors_with_self
        changed = written.run.configuration().tree()
        changed["model"]["dropout"] = 0.2
        assert train.form.draft.configuration().tree() == changed, "everything else is as it was"
        assert any("learnt by heart" in told for told in app.told)


async def test_the_change_is_tried_from_the_latest_checkpoint_before_the_trouble(torchtty: Any, write_run: Any) -> None:
    written = overfitting(write_run)
    for step in (200, 300, 400):
        written.checkpoint(step)
    async with torchtty((120, 36)) as (app, pilot):
        form = app.screen.form
        await until(pilot, shows(app, "⚠ overfits since step 300"))
        await pilot.press("a")
        await until(pilot, shows(app, "fork of one at step 300"))
        assert form.draft.fork is not None
        assert [spec.path for spec in form.draft.specs() if form.draft.is_modified(spec.path)] == ["model.dropout"]
        await until(pilot, lambda: form.row("model.dropout").has_focus_within)


async def test_another_run_takes_the_diagnosis_away_and_a_healthy_one_has_no_key(torchtty: Any, write_run: Any) -> None:
    written = overfitting(write_run)
    healthy = write_run("healthy")
    healthy.curve(600)
    healthy.status(RunState.PAUSED, step=590)
    async with torchtty((120, 36)) as (app, pilot):
        app.open_run(written.run)
        await until(pilot, shows(app, "overfits"))
        assert app.screen.check_action("advice", ())
        app.open_run(healthy.run)
        await until(pilot, shows(app, "paused"))
        await until(pilot, lambda: "overfits" not in screen_text(app))
        assert not app.screen.view.curves.chart("loss").spec.bands
        assert not app.screen.check_action("advice", ())


async def test_a_live_run_is_diagnosed_every_few_seconds_and_its_end_at_once(
    torchtty: Any, write_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "DIAGNOSE_EVERY", 3600.0)
    written = write_run("one")
    written.status(step=1)
    async with torchtty((120, 36)) as (app, pilot):
        await until(pilot, lambda: app.screen.view.snapshot is not None)
        written.curve(200)
        written.metrics(*({"step": step, "train_loss": 9.0} for step in range(210, 700, 10)))
        written.status(step=700)
        await until(pilot, lambda: app.screen.view.snapshot.status.step == 700)
        assert app.screen.view.findings == ()
        written.status(RunState.STOPPED, step=700)
        await until(pilot, lambda: [finding.name for finding in app.screen.view.findings] == ["diverges"])


# -- the terminal ----------------------------------------------------------------------------------------------------


async def test_the_terminal_is_told_of_an_end_unless_it_is_looked_at(
    torchtty: Any, write_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHTTY_BELL", "osc9")
    monkeypatch.delenv("TMUX", raising=False)
    written = write_run("one")
    written.status(step=1)
    async with torchtty((80, 24)) as (app, pilot):
        sent: list[str] = []
        monkeypatch.setattr(app._driver, "write", sent.append)
        view = app.screen.view

        async def ended(state: RunState, **fields: Any) -> list[str]:
            written.status(step=2)
            await until(pilot, lambda: view.snapshot is not None and view.snapshot.state is RunState.RUNNING)
            sent.clear()
            written.status(state, step=3, **fields)
            await until(pilot, lambda: view.snapshot.state is state)
            await pilot.pause()
            return [text for text in sent if "\x1b]9;" in text]

        assert await ended(RunState.FINISHED, metrics={"val_loss": 2.5}) == ["\x1b]9;one finished: val 2.500\a\a"]
        app.post_message(AppFocus())
        await pilot.pause()
        assert await ended(RunState.FINISHED) == [], "it is looked at"
        app.post_message(AppBlur())
        await pilot.pause()
        (text,) = await ended(RunState.FAILED, message="no\x1b]0;evil\x07 file; x")
        assert text == "\x1b]9;one failed: no␛]0,evil␇ file, x\a\a"
        sent.clear()
        written.curve(200)
        written.metrics(*({"step": step, "train_loss": 9.0} for step in range(210, 700, 10)))
        written.status(step=700)
        await until(pilot, lambda: any("one diverges since step 210" in text for text in sent), 10)


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({"TERM": "xterm-256color"}, Way.OSC_9),
        ({"TERM": "foot"}, Way.OSC_777),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, Way.OSC_777),
        ({"TERM": "linux"}, Way.BELL),
        ({"TERM": "screen-256color"}, Way.BELL),
        ({"TERM": "screen-256color", "TMUX": "/tmp/x"}, Way.OSC_9),
        ({}, Way.BELL),
        ({"TERM": "xterm", "TORCHTTY_BELL": "off"}, Way.OFF),
        ({"TERM": "linux", "TORCHTTY_BELL": "osc777"}, Way.OSC_777),
        ({"TERM": "xterm", "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver"}, Way.OFF),
    ],
)
def test_the_way_to_notify_is_the_terminals(environment: dict[str, str], way: Way) -> None:
    assert chosen(environment) is way


def test_the_bytes_are_those_of_the_terminal_and_tmux_passes_them_on() -> None:
    xterm = {"TERM": "xterm"}
    assert sequence("done", xterm) == "\x1b]9;done\a\a"
    assert sequence("4;1;50", xterm) == "\x1b]9; 4,1,50\a\a", "no progress bar"
    assert sequence("done", {"TERM": "foot"}) == "\x1b]777;notify;torchtty;done\a\a"
    assert sequence("done", {"TERM": "tmux-256color", "TMUX": "x"}) == "\x1bPtmux;\x1b\x1b]9;done\a\x1b\\\a"
    assert sequence("done", {"TERM": "linux"}) == "\a"
    assert sequence("done", xterm | {"TORCHTTY_BELL": "off"}) == ""
    assert len(sequence("x" * 5000, xterm)) < 220
