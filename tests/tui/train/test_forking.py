"""Forking in the app: from the cursor of a chart and from the list, through the form, to a run that is handed to a worker."""

from typing import Any

import pytest
from on_screen import screen_text, shows, until
from textual.widgets import Button

from torchtty.engine.contract.client.fork import create_fork, fork_point
from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.lineage import parent_of
from torchtty.engine.contract.run.pins import pinned_steps
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import with_flags
from torchtty.tui.run.watcher import RunFollower
from torchtty.tui.runs.details import Details
from torchtty.tui.runs.table import RunsTable
from torchtty.tui.shell.key_bar import KeyBar
from torchtty.tui.train.screen import TrainScreen

SIZES = [(80, 24), (160, 48)]


@pytest.fixture
def written(write_run: Any) -> Any:
    """A run of 1,000 steps that still trains, with checkpoints at 200 and 400 and an edit between them."""
    run = write_run("parent", training__max_steps="1000", optimizer__learning_rate="0.1")
    run.status(step=450)
    run.curve(450)
    for step in (200, 400):
        run.checkpoint(step)
        for name in ("model.safetensors", "training.pt", "checkpoint.json"):
            (run.run.checkpoint_path(step) / name).write_text(name)
    run.event("edit", 300, path="optimizer.learning_rate", value=0.05, old=0.1)
    return run


def bar(app: Any) -> str:
    return str(app.screen.query_one(KeyBar).render())


async def attached(app: Any, pilot: Any) -> None:
    """Wait for the run and put the focus on its chart."""
    await until(pilot, lambda: app.screen.view.snapshot is not None and not app.screen.view.curves.is_empty)
    app.screen.view.focus_curves()
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_b_at_the_cursor_composes_a_fork_that_ctrl_t_starts(
    torchtty: Any, cold_pool: Any, written: Any, size: tuple[int, int]
) -> None:
    async with torchtty(size, cold_pool) as (app, pilot):
        await attached(app, pilot)
        train = app.screen
        before = train.form.draft
        await pilot.press("home", "b")  # the checkpoint nearest to step 0 is that of 200
        await until(pilot, shows(app, "fork of parent at step 200"))
        draft = train.form.draft
        assert draft.value("optimizer.learning_rate") == 0.1, "the setting of then, which was edited later"
        await until(pilot, lambda: train.form.row("optimizer.learning_rate").has_focus_within)
        assert train.form.row("optimizer.learning_rate").region.bottom <= size[1], "scrolled to"
        assert not any(draft.is_modified(spec.path) for spec in draft.specs())
        await until(pilot, lambda: "esc drop fork" in bar(app))
        await pilot.press("0", ".", "0", "2", "ctrl+t")
        await until(pilot, lambda: cold_pool.handed)
        [(run, mode)] = cold_pool.handed
        assert (run.name, mode) == ("parent-fork-1", Mode.FORK)
        assert run.checkpoints() == [200]
        found = parent_of(run.meta())
        assert found is not None
        assert (found.title, found.changes()) == ("fork of parent at step 200", "learning_rate 0.1 → 0.02")
        await until(pilot, lambda: train.view.run == run)
        await until(pilot, lambda: str(train.query_one("#start", Button).label) == "Fork ^t")
        assert train.form.draft.fork is not None, "the form is ready for another fork from there"
        await pilot.press("ctrl+o", "ctrl+o") if size[0] > 110 else await pilot.press("ctrl+o")
        await until(pilot, lambda: "esc drop fork" in bar(app))
        await pilot.press("escape")
        await until(pilot, lambda: train.form.draft is before)
        await until(pilot, lambda: "fork of parent" not in screen_text(app))
        await until(pilot, lambda: str(train.query_one("#start", Button).label) == "Train ^t")


async def test_without_a_cursor_the_latest_checkpoint_is_forked_with_the_settings_of_then(
    torchtty: Any, written: Any
) -> None:
    async with torchtty((120, 40)) as (app, pilot):
        await attached(app, pilot)
        await pilot.press("b")
        await until(pilot, shows(app, "fork of parent at step 400"))
        assert app.screen.form.draft.value("optimizer.learning_rate") == 0.05
        app.screen.form.draft.set("training.max_steps", 400)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: any("must be above 400" in told for told in app.told))
        app.screen.form.choose_recipe("names-gpt")
        await until(pilot, lambda: "fork of parent" not in screen_text(app))
        assert app.screen.form.draft.fork is None


async def test_p_pins_the_nearest_checkpoint_and_lets_it_go_again(torchtty: Any, written: Any) -> None:
    async with torchtty((120, 40)) as (app, pilot):
        await attached(app, pilot)
        await pilot.press("home", "p")
        await until(pilot, lambda: any("step 200 is pinned" in told for told in app.told))
        assert pinned_steps(written.run) == {200}
        await pilot.press("p", "escape", "p")
        await until(pilot, lambda: any("step 400 is pinned" in told for told in app.told))
        assert pinned_steps(written.run) == {400}


async def test_the_keys_are_offered_once_there_is_a_checkpoint(torchtty: Any, write_run: Any) -> None:
    run = write_run("young")
    run.status(step=5)
    run.curve(5, 1)
    async with torchtty((200, 60)) as (app, pilot):
        await attached(app, pilot)
        assert "b fork" not in bar(app)
        await pilot.press("b", "p")
        assert not app.told or not any("young" in told and "fork" in told for told in app.told)
        run.checkpoint(5)
        run.event("checkpoint", 5, path="steps/000005")
        await until(pilot, lambda: "b fork" in bar(app) and "p pin" in bar(app))


@pytest.mark.parametrize("size", SIZES)
async def test_b_in_the_list_forks_the_run_under_the_cursor(torchtty: Any, written: Any, size: tuple[int, int]) -> None:
    written.status(RunState.STOPPED, step=450)
    async with torchtty(size) as (app, pilot):
        await pilot.press("f3")
        await until(pilot, lambda: app.screen.query(RunsTable) and app.screen.query_one(RunsTable).shown)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await until(pilot, shows(app, "fork of parent at step 400"))


async def test_a_run_without_a_checkpoint_says_in_the_list_why_it_cannot_be_forked(
    torchtty: Any, write_run: Any
) -> None:
    write_run("young").status(RunState.STOPPED)
    async with torchtty((120, 40)) as (app, pilot):
        await pilot.press("f3")
        await until(pilot, lambda: app.screen.query(RunsTable) and app.screen.query_one(RunsTable).shown)
        await pilot.press("b")
        await until(pilot, lambda: "young has no checkpoint to fork from yet." in app.told)
        assert app.current_mode == "runs"


def forked(written: Any, step: int = 400, **flags: str) -> Any:
    point = fork_point(written.run, step)
    changed = {path.replace("__", "."): text for path, text in flags.items()}
    return create_fork(point, with_flags(point.settings, changed))


async def test_forks_stand_below_their_parent_and_say_where_they_began(
    torchtty: Any, written: Any, write_run: Any
) -> None:
    first = forked(written)
    write_run("between").status(RunState.FINISHED, step=1)
    second = forked(written, optimizer__learning_rate="0.01")
    async with torchtty((200, 48)) as (app, pilot):
        await pilot.press("f3")
        await until(pilot, lambda: app.screen.query(RunsTable) and len(app.screen.query_one(RunsTable).shown) == 4)
        table = app.screen.query_one(RunsTable)
        assert list(table.shown) == ["parent", second.name, first.name, "between"]
        await until(pilot, shows(app, f"└ {second.name}"))
        await pilot.press("down", "d")
        await until(pilot, shows(app, "fork of parent at step 400: learning_rate 0.05 → 0.01"))
        assert app.screen.query_one(Details).display
        await pilot.press("escape", "slash", *"fork-1")
        await until(pilot, lambda: list(table.shown) == [first.name])
        await until(pilot, lambda: f"└ {first.name}" not in screen_text(app))


def test_the_chart_of_a_fork_begins_with_its_parents_curve_and_an_overlay_where_it_left_it(written: Any) -> None:
    fork = forked(written, 200)
    with fork.metrics_path.open("w") as file:
        file.write('{"step": 210, "time": 2.1, "tokens": 1680, "train_loss": 1.5}\n')
    steps = []
    for from_ancestors in (True, False):
        follower = RunFollower(fork, ("train_loss",), from_ancestors=from_ancestors)
        follower.poll()
        series = follower.series["train_loss"]
        steps.append([series.x(number) for number in range(len(series))])
        assert follower.take().snapshot.parent.step == 200  # type: ignore[union-attr]
        fork.metrics_path.write_bytes(fork.metrics_path.read_bytes())
    assert steps == [[*range(0, 210, 10), 210], [210]]
    follower = RunFollower(fork, ("train_loss",), from_ancestors=True)
    follower.poll()
    replaced = fork.metrics_path.with_name("other")
    replaced.write_text('{"step": 220, "time": 2.2, "tokens": 1760, "train_loss": 1.4}\n')
    replaced.rename(fork.metrics_path)
    follower.take()
    follower.poll()
    series = follower.series["train_loss"]
    assert [series.x(number) for number in range(len(series))] == [*range(0, 210, 10), 220]


async def test_the_chart_marks_where_a_fork_began(torchtty: Any, written: Any) -> None:
    fork = forked(written, 200)
    async with torchtty((120, 40)) as (app, pilot):
        await attached(app, pilot)
        app.open_run(fork)
        await until(pilot, lambda: app.screen.view.run == fork)
        await attached(app, pilot)
        await until(pilot, shows(app, "┊fork\u00a0of\u00a0parent"))
        assert [mark.step for mark in app.screen.view.curves.chart("loss").spec.marks] == [200]
