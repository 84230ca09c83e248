"""Trains a family in the app under a pilot and prints what the screen shows as JSON. Run with `TORCHTTY_FAMILIES` set."""

import asyncio
import json
import sys
import time

from textual.widgets import Select

from torchtty.tui.app import TorchttyApp
from torchtty.tui.run.curves import Curves
from torchtty.tui.train.screen import TrainScreen


def screen_text(app):
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(app, pilot, condition, what, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come about; the screen shows:\n{screen_text(app)}")
        await pilot.pause(0.05)


async def story(kind):
    seen = {}
    app = TorchttyApp()
    async with app.run_test(size=(160, 48)) as pilot:
        await until(app, pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.is_furnished, "the form")
        screen = app.screen
        await pilot.press("shift+tab")
        picker = screen.query_one("#model")
        picker.focus()
        await pilot.pause()
        await until(app, pilot, lambda: list(picker.query(Select)), "the list of models")
        picker.query_one(Select).value = kind
        await until(app, pilot, lambda: screen.form.draft.family == kind, "the family's settings")
        await pilot.pause(0.2)
        seen["form"] = screen_text(app)
        await pilot.press("ctrl+t")
        await until(app, pilot, lambda: screen.view.run is not None, "the run")
        run = screen.view.run
        await until(app, pilot, lambda: run.status().serving, "the end of training", 150)
        await until(app, pilot, lambda: "finished" in screen_text(app), "the run's end on the screen")
        curves = screen.view.query_one(Curves)
        drawn = {series.name: series for series in curves.chart("error").spec.series}
        await until(app, pilot, lambda: len(drawn["error"]) > 3, "a curve")
        await until(app, pilot, lambda: "step 200" in screen_text(app), "the newest pictures")
        seen["run"] = screen_text(app)
        seen["series"] = [drawn[name].title for name in ("error", "val_error")]
        await pilot.press("f3")
        await until(app, pilot, lambda: run.name in screen_text(app), "the table of runs")
        await until(app, pilot, lambda: "PSNR" in screen_text(app), "the preview with the run's own metric")
        seen["runs"] = screen_text(app)
        await pilot.press("f4")
        await until(app, pilot, lambda: "encoder" in screen_text(app), "the layers")
        seen["lens"] = screen_text(app)
        from torchtty.engine.contract.run.requests import Release

        run.send(Release())
    return seen


print(json.dumps(asyncio.run(story(sys.argv[1]))))
