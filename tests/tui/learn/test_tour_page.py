"""The tour on the screen: from a stop into Train and back, and what runs have reached."""

from typing import Any

import pytest
from on_screen import screen_text, shows, until

from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.recipes import recipe_named
from torchtty.tui.app import TorchttyApp
from torchtty.tui.learn import tour
from torchtty.tui.train.screen import TrainScreen


class OpenedInLearn(TorchttyApp):
    """The app as `torchtty learn` opens it."""

    DEFAULT_MODE = "learn"


async def test_a_stop_opens_its_recipe_in_train_also_where_learn_was_opened_first(cold_pool: Any) -> None:
    app = OpenedInLearn(cold_pool)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "1 of 8  Count"))
        await pilot.press("down", "down")
        await until(pilot, shows(app, "3 of 8  Normalise"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.is_furnished)
        await until(pilot, shows(app, "First weights, and what"))
        assert app.screen.form.draft.recipe == "b3-initialisation"
        await pilot.press("ctrl+t")
        await until(pilot, lambda: len(cold_pool.handed) == 1)
        assert cold_pool.handed[0][0].meta()["recipe"] == "b3-initialisation"
        await pilot.press("f6")
        await until(pilot, shows(app, "3 of 8  Normalise"))


async def test_what_a_run_has_reached_is_shown_and_passes_the_stop_for_good(torchtty: Any) -> None:
    run = create(parse(recipe_named("a4-transformer").tree), recipe="a4-transformer", name="mine")
    run.metrics_path.write_bytes(json_line({"step": 10, "train_eval_loss": 1.03}))
    async with torchtty(size=(120, 36)) as (app, pilot):
        await pilot.press("f6", *["down"] * 5)
        await until(pilot, shows(app, "1.030 in mine, to beat 1.500: beaten"))
        assert "✓ 6 Attend" in screen_text(app)
        await pilot.press("h")
        await until(pilot, shows(app, "1 of 13"))
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f6")
        await until(pilot, shows(app, "6 of 8  Attend"))  # where the tour was left
        await until(pilot, shows(app, "Attend  1 passed"))
        await pilot.press("up", "x")
        await until(pilot, shows(app, "Recur  2 passed"))


async def test_a_stop_opens_the_lens_that_shows_why_for_the_newest_run_of_its_recipe(
    torchtty: Any, live_run: Any
) -> None:
    counted, named = live_run("names-bigram"), live_run("names-gpt")  # the second one stands on Train
    async with torchtty(size=(120, 36)) as (app, pilot):
        await pilot.press("f6")
        await until(pilot, shows(app, f"l opens it for {counted.name}"))
        await pilot.press("l")
        await until(pilot, lambda: app.current_mode == "lenses" and app.screen.run == counted)
        assert app.screen.pane.lens.name == "counts"
        await pilot.press("f6", *["down"] * 6)
        await until(pilot, shows(app, f"l opens it for {named.name}"))
        await pilot.press("l")
        await until(pilot, lambda: app.current_mode == "lenses" and app.screen.run == named)
        assert app.screen.pane.lens.name == "prediction"
        await pilot.press("f6", *["up"] * 4)
        await until(pilot, shows(app, "3 of 8  Normalise"))
        await pilot.press("l")
        await until(pilot, lambda: any("No run of b3-initialisation yet" in told for told in app.told))


async def test_a_run_that_trains_is_looked_at_again(
    torchtty: Any, live_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tour, "AGAIN", 0.1)
    run = live_run("a4-transformer")
    async with torchtty(size=(120, 36)) as (app, pilot):
        await pilot.press("f6", *["down"] * 5)
        await until(pilot, shows(app, "6 of 8  Attend"))
        run.metrics_path.write_bytes(json_line({"step": 0, "train_eval_loss": 2.9}))
        await until(pilot, shows(app, "2.900 in a4-transformer-1, to beat 1.500: not yet"))
        run.metrics_path.write_bytes(json_line({"step": 0, "train_eval_loss": 1.4}))
        await until(pilot, shows(app, "1.400 in a4-transformer-1, to beat 1.500: beaten"))
