"""The pane of lenses beside the curves: tabs, options, a figure with a cursor, and a result that moves with the model."""

import sys
from types import ModuleType
from typing import Any

import pytest
from on_screen import screen_text, shows, until
from rich.text import Text
from written_run import WrittenRun

from torchtty.engine.contract.lenses import LENSES, LensEntry, option
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.family import Feature
from torchtty.tui.charts.colours import Scale
from torchtty.tui.charts.heat_map import HeatMap
from torchtty.tui.lenses.options import Choice
from torchtty.tui.lenses.pane import LensPane
from torchtty.tui.lenses.tabs import LensTabs
from torchtty.tui.lenses.view import View


@pytest.fixture
def grid_lens(monkeypatch: pytest.MonkeyPatch) -> LensEntry:
    """A lens of a heat map, with two options."""
    options = (option("show", "counts", "What is shown.", choices=("counts", "model")), option("text", "", "A text."))
    lens = LensEntry("grid", "Grid", "A bright cell is a frequent pair.", own_options=options)
    module = ModuleType("torchtty.tui.lenses.grid")

    def render(result: dict[str, Any], _width: int) -> View:
        shown = HeatMap(tuple(map(tuple, result["values"])), ("a", "b"), ("x", "y"), Scale(0, 1))
        return View(Text(f"heading {result['heading']}"), figure=shown)

    module.render = render  # type: ignore[attr-defined]
    pictures = LensEntry("portraits", "Portraits", "Pictures.", needs=(Feature.PICTURES,))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(LENSES, lens.name, lens)
    monkeypatch.setitem(LENSES, pictures.name, pictures)
    return lens


class Worker:
    """Answers the requests of a run as its worker would."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run

    @property
    def asked(self) -> bool:
        return any(self.run.inbox.iterdir())

    def take(self) -> list[Any]:
        return list(requests.collect(self.run.inbox))

    def answer(self, request: Any, step: int, **result: Any) -> None:
        about = {
            "event": "answered",
            "step": step,
            "id": request.id,
            "request": "lens",
            "result": result,
            "seconds": 0.01,
        }
        with self.run.events_path.open("ab") as file:
            file.write(json_line(about))


async def open_grid(app: Any, pilot: Any, worker: Worker) -> Any:
    """Open the view into the model and go to the lens grid; return the request for it."""
    await until(pilot, shows(app, "inside"))
    await pilot.press("i")
    await until(pilot, lambda: worker.asked)
    app.screen.query_one(LensPane).choose(LENSES["grid"])
    found: list[Any] = []

    def is_asked() -> bool:
        found.extend(one for one in worker.take() if isinstance(one, requests.Lens) and one.name == "grid")
        return bool(found)

    await until(pilot, is_asked)
    return found[0]


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (160, 48)])
async def test_it_stands_beside_the_curve_and_reads_every_value(
    torchtty: Any, live_run: Any, grid_lens: LensEntry, size: tuple[int, int]
) -> None:
    worker = Worker(live_run())
    async with torchtty(size=size) as (app, pilot):
        request = await open_grid(app, pilot, worker)
        assert (request.name, request.live, request.options) == ("grid", False, {})
        assert "Portraits" not in screen_text(app), "a lens for pictures is none for a text"
        worker.answer(request, 7, values=[[0, 0.25], [0.5, 1]], heading="one")
        await until(pilot, shows(app, "heading one"))
        await until(pilot, shows(app, "step 7 · took 10.0 ms"))
        assert grid_lens.reading[:20] in screen_text(app)
        pane = app.screen.query_one(LensPane)
        await pilot.press("left")
        await until(pilot, lambda: pane.lens != grid_lens)
        await pilot.press("right")
        await until(pilot, shows(app, "heading one"))
        app.screen.query_one("#lens-figure").focus()
        await pilot.press("left", "down", "right")
        await until(pilot, shows(app, "b, y  1.000"))
        await pilot.press("i")
        await until(pilot, lambda: "heading one" not in screen_text(app))


async def test_it_is_asked_again_only_when_the_model_has_moved(
    torchtty: Any, live_run: Any, grid_lens: LensEntry
) -> None:
    run = live_run()
    worker, written = Worker(run), WrittenRun(run)
    async with torchtty(size=(160, 48)) as (app, pilot):
        request = await open_grid(app, pilot, worker)
        worker.answer(request, 10, values=[[0, 0.25], [0.5, 1]], heading="one")
        await until(pilot, shows(app, "again every 1 s"))
        await pilot.pause(1.6)
        assert not worker.asked, "step 10 is shown already"
        written.status(RunState.RUNNING, step=11, max_steps=3000)
        await until(pilot, lambda: worker.asked)
        (live,) = worker.take()
        assert (live.name, live.live) == ("grid", True)
        worker.answer(live, 11, values=[[1, 0.25], [0.5, 0]], heading="two")
        await until(pilot, shows(app, "heading two"))
        await pilot.press("i")
        written.status(RunState.RUNNING, step=12, max_steps=3000)
        await pilot.pause(1.6)
        assert not worker.asked, "nobody looks"


async def test_an_option_is_stepped_through_and_asked_for(torchtty: Any, live_run: Any, grid_lens: LensEntry) -> None:
    worker = Worker(live_run())
    async with torchtty(size=(120, 36)) as (app, pilot):
        request = await open_grid(app, pilot, worker)
        worker.answer(request, 7, values=[[0, 0.25], [0.5, 1]], heading="one")
        await until(pilot, shows(app, "show ‹counts›"))
        await until(pilot, lambda: isinstance(app.focused, LensTabs))  # the focus follows the view after it is painted
        await pilot.press("tab")
        await until(pilot, lambda: isinstance(app.focused, Choice))
        await pilot.press("right")
        await until(pilot, shows(app, "show ‹model›"))
        await until(pilot, lambda: worker.asked)
        (asked,) = worker.take()
        assert asked.options == {"show": "model"}
        worker.answer(asked, 8, values=[[0, 0.25], [0.5, 1]], heading="two")
        await until(pilot, shows(app, "heading two"))
        await pilot.press("tab", *" ab", "enter")
        await until(pilot, lambda: worker.asked)
        (asked,) = worker.take()
        assert asked.options == {"show": "model", "text": " ab"}
        assert (lens := LENSES[grid_lens.name]).complete(asked.options)["text"] == " ab", lens


async def test_a_rate_that_is_suggested_is_put_into_the_form_by_a_key(torchtty: Any, live_run: Any) -> None:
    worker = Worker(live_run())
    sweep = {
        "rates": [1e-4, 1e-3, 1e-2, 1e-1], "losses": [3.3, 3.1, 2.2, 2.9], "smoothed": [3.3, 3.2, 2.6, 2.8], "suggested": 0.004,
        "best": 0.01, "own": 0.002, "diverged": True, "begin": "first weights", "axis": "exponent",
    }  # fmt: skip
    async with torchtty(size=(160, 48)) as (app, pilot):
        await until(pilot, shows(app, "inside"))
        await pilot.press("i")
        await until(pilot, lambda: worker.asked)
        pane = app.screen.query_one(LensPane)
        pane.choose(LENSES["rates"])
        found: list[Any] = []

        def is_asked() -> bool:
            found.extend(one for one in worker.take() if isinstance(one, requests.Lens) and one.name == "rates")
            return bool(found)

        await until(pilot, is_asked)
        worker.answer(found[0], 10, **sweep)
        await until(pilot, shows(app, "suggested rate 4e-3"))
        await until(pilot, shows(app, "u use it"))
        await pilot.press("u")
        await until(pilot, lambda: app.screen.form.draft.tree["optimizer"]["learning_rate"] == 0.004)
        assert "optimizer.learning_rate 4e-3" in app.told[-1]


async def test_a_figure_has_the_lines_it_fills_and_the_text_below_it_the_others(
    torchtty: Any, live_run: Any, grid_lens: LensEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(result: dict[str, Any], _width: int) -> View:
        names = tuple(f"r{row}" for row in range(len(result["values"])))
        shown = HeatMap(tuple(map(tuple, result["values"])), names, ("x", "y"), Scale(0, 1))
        return View(Text("heading"), "\n".join(f"line {number}" for number in range(12)), shown)

    monkeypatch.setattr(sys.modules["torchtty.tui.lenses.grid"], "render", render)
    worker = Worker(live_run())
    async with torchtty(size=(160, 48)) as (app, pilot):
        request = await open_grid(app, pilot, worker)
        worker.answer(request, 7, values=[[0, 0.25]] * 6)
        await until(pilot, shows(app, "line 11"))
        figure, scroll = app.screen.query_one("#lens-figure"), app.screen.query_one("#lens-scroll")
        assert figure.size.height == 6 + 3, "a line a row, the reading, the columns' names and the scale"
        assert scroll.size.height >= 12
        assert grid_lens.reading in screen_text(app)
        await pilot.resize_terminal(80, 18)
        await until(pilot, lambda: figure.size.height < 9)
        await pilot.pause(0.3)  # it is looked again whether all stands as it did
        await pilot.resize_terminal(160, 48)
        await until(pilot, lambda: figure.size.height == 9)


async def test_a_page_without_a_result_says_why_where_the_result_will_stand(torchtty: Any, write_run: Any) -> None:
    write_run("over").status(RunState.FINISHED, step=3)
    async with torchtty(size=(120, 36)) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, shows(app, "so there is no model to load"))
        lines = screen_text(app).splitlines()
        assert next(y for y, line in enumerate(lines) if "there is no model to load" in line) < 12
