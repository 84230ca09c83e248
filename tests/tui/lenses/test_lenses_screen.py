"""The Lenses mode: it looks into the run on Train with the help of a real worker."""

import re
import sys
from types import ModuleType
from typing import Any

import pytest
from on_screen import screen_text, shows, until
from rich.text import Text
from textual.widgets import OptionList
from written_run import WrittenRun

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.lenses import LENSES, LensEntry, lenses_for
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.recipes import recipe_named
from torchtty.tui.lenses import screen
from torchtty.tui.lenses.tabs import LensTabs
from torchtty.tui.lenses.view import View
from torchtty.tui.workers import WorkerPool


def new_run(**flags: str) -> RunDirectory:
    settings = {
        "model.n_hidden": "16",
        "training.device": "cpu",
        "training.eval_batches": "1",
        "sampling.interval": "0",
    }
    return create(with_flags(starting_tree("mlp"), settings | {n.replace("__", "."): v for n, v in flags.items()}))


class LentPool(WorkerPool):
    """A pool that hands runs to the workers of the tests."""

    def __init__(self, workers: Any) -> None:
        super().__init__()
        self._workers = workers
        self.handed: list[Mode] = []

    def ensure(self) -> Any:
        return None

    def prepare(self, tree: Any, given_up: Any) -> None:
        return None

    def hand_over(self, run: RunDirectory, mode: Mode, edits: Any = None) -> None:
        self.handed.append(mode)
        self._workers.start(run, mode, **(edits or {}))


async def choose_shapes(app: Any, pilot: Any) -> None:
    """Choose the lens that lists the layers, once the run's lenses are listed."""
    await until(pilot, shows(app, "Shapes"))
    await until(pilot, lambda: app.screen.run is not None)
    listed = app.screen.query_one(OptionList)
    listed.highlighted = listed.get_option_index("shapes")


async def test_without_a_run_it_says_what_to_do(torchtty: Any) -> None:
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, shows(app, "Train one first"))
        await until(pilot, shows(app, next(iter(LENSES.values())).reading[:16]))


async def test_a_run_without_a_checkpoint_is_refused_in_a_sentence(torchtty: Any) -> None:
    new_run().write_status(Status(state=RunState.FAILED, message="It broke."))
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, shows(app, "has no checkpoint"))
        await until(pilot, shows(app, "r compute anew"))
        await pilot.press("r")
        await pilot.pause(0.3)
        assert "has no checkpoint" in screen_text(app)


async def test_a_live_run_is_looked_into_at_once_and_anew(torchtty: Any, workers: Any, release: Any) -> None:
    run = new_run(training__max_steps="1000000000")
    workers.start(run)
    async with torchtty(size=(160, 48), pool=LentPool(workers)) as (app, pilot):
        await until(pilot, lambda: run.status().state is RunState.RUNNING and run.status().step > 5, 60)
        await pilot.press("f4")
        await choose_shapes(app, pilot)
        columns = ("layer", "type", "input", "output", "parameters", "weights", "memory", "forward", "backward")
        await until(pilot, lambda: all(column in screen_text(app) for column in columns))
        await until(pilot, lambda: bool(re.search(rf"{run.name} · step [\d,]+", screen_text(app))))
        text = screen_text(app)
        assert re.search(r"hidden +Linear +64×30 +64×16 +496 ", text)
        first = re.search(r"step ([\d,]+)", text).group(1)  # type: ignore[union-attr]
        await until(pilot, lambda: run.status().step > int(first.replace(",", "")) + 5)
        await pilot.press("r")
        await until(pilot, lambda: f"step {first}\n" not in screen_text(app))
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.2)
        narrow = screen_text(app)
        assert re.search(r"hidden +64×30 +64×16 +496 ", narrow)
        assert "backward" in narrow
    run.send(requests.Stop())
    release(run)


async def test_a_finished_run_is_loaded_and_computing_is_cancelled_by_escape(
    torchtty: Any, workers: Any, wait_until: Any, release: Any
) -> None:
    run = new_run(training__max_steps="10")
    workers.start(run)
    wait_until(lambda: run.status().serving, 60, "the end of training")
    release(run)
    wait_until(lambda: not run.status().serving, 20, "the model's release")
    pool = LentPool(workers)
    async with torchtty(size=(120, 36), pool=pool) as (app, pilot):
        await pilot.press("f4")
        await choose_shapes(app, pilot)
        await until(pilot, shows(app, "r loads its latest checkpoint"))
        await pilot.press("r")
        await until(pilot, lambda: pool.handed == [Mode.SERVE])
        await pilot.press("escape")
        await until(pilot, shows(app, "Cancelled"))
        await pilot.press("r")
        await until(pilot, lambda: "step 10" in screen_text(app) and "496" in screen_text(app), 60)
    release(run)


@pytest.fixture
def another_lens(monkeypatch: pytest.MonkeyPatch) -> LensEntry:
    """A lens that is nothing but a line of the table and a module that shows its result."""
    lens = LensEntry("tally", "Tally", "It is read at a glance.", live=False)
    module = ModuleType("torchtty.tui.lenses.tally")
    module.render = lambda result, width: View(Text(f"in {width} cells"), Text(f"counted {result['count']}"))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(LENSES, lens.name, lens)
    return lens


async def test_another_lens_is_offered_asked_for_and_shown(
    torchtty: Any, live_run: Any, another_lens: LensEntry
) -> None:
    run = live_run()

    def write(event: str, **fields: Any) -> None:
        with run.events_path.open("ab") as file:
            file.write(json_line({"event": event, "step": 7, "id": request.id, "request": "lens"} | fields))

    async with torchtty(size=(120, 36)) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, lambda: len(list(run.inbox.iterdir())) == 1)
        assert all(lens.title in screen_text(app) for lens in lenses_for(FAMILIES["gpt"]))
        await pilot.press("end")
        await until(pilot, shows(app, another_lens.reading))
        await until(pilot, lambda: len(list(run.inbox.iterdir())) == 3)
        written = requests.collect(run.inbox)  # two threads write what is cancelled and what is asked next
        cancel, first, request = sorted(written, key=lambda one: isinstance(one, requests.Lens))
        assert isinstance(first, requests.Lens)
        assert isinstance(cancel, requests.Cancel)
        assert isinstance(request, requests.Lens)
        assert (first.name, cancel.request, request.name) == (recipe_named("names-gpt").lens, first.id, "tally")
        write("progress", done=2, total=5)
        await until(pilot, shows(app, "Computing … 2 of 5"))
        write("answered", result={"count": 41})
        await until(pilot, shows(app, "counted 41"))
        assert "step 7" in screen_text(app)

        await pilot.press("r")
        await until(pilot, lambda: any(run.inbox.iterdir()))
        (request,) = requests.collect(run.inbox)
        assert isinstance(request, requests.Lens)
        write("failed", message="It is too large a number.")
        await until(pilot, shows(app, "It is too large a number."))
        assert "counted 41" in screen_text(app), "the latest result stays"


async def test_list_and_tabs_give_way_to_each_other_with_the_focus(torchtty: Any, live_run: Any) -> None:
    live_run()
    async with torchtty(size=(120, 36)) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, lambda: app.screen.run is not None)
        listed, tabs = app.screen.query_one(OptionList), app.screen.query_one(LensTabs)
        assert app.focused is listed
        before = app.screen.pane.lens
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: app.focused is tabs)
        await pilot.press("right")
        await until(pilot, lambda: app.screen.pane.lens != before)
        chosen = app.screen.pane.lens
        assert chosen.title in screen_text(app)
        await pilot.resize_terminal(120, 36)
        await until(pilot, lambda: app.focused is listed)
        assert listed.highlighted_option.id == chosen.name
        await pilot.press("up")
        await until(pilot, lambda: app.screen.pane.lens == before)


async def test_brackets_go_through_the_lenses_from_the_list_too(torchtty: Any, live_run: Any) -> None:
    run = live_run()
    async with torchtty(size=(120, 36)) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, lambda: app.screen.run == run)
        listed = app.screen.query_one(OptionList)
        await until(pilot, lambda: listed.has_focus)
        offered, first = app.screen.pane.offered, app.screen.pane.lens
        await pilot.press("right_square_bracket", "right_square_bracket")
        chosen = offered[(offered.index(first) + 2) % len(offered)]
        await until(pilot, lambda: app.screen.pane.lens == chosen)
        await until(pilot, lambda: listed.highlighted_option.id == chosen.name)
        await pilot.press("left_square_bracket", "left_square_bracket")
        await until(pilot, lambda: app.screen.pane.lens == first)


async def test_what_becomes_of_the_run_is_followed(
    torchtty: Any, live_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "AGAIN", 0.1)
    run = live_run()
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, lambda: app.screen.run == run)
        WrittenRun(run).status(RunState.PAUSED, step=12, max_steps=3000)
        await until(pilot, lambda: app.screen.pane.snapshot.state is RunState.PAUSED)
