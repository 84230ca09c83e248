"""Optimizers on a surface, on the screen."""

import re
from typing import Any

from on_screen import screen_text, shows, until
from textual.strip import Strip

from torchtty.engine.contract.learn.surfaces import Walk, surfaces
from torchtty.tui.charts.plane import PlaneView


def backgrounds(app: Any) -> set[str]:
    """The colours behind the plane that is shown."""
    lines: list[Strip] = [app.screen.query_one(PlaneView).render_line(y) for y in range(8)]
    return {str(part.style.bgcolor) for line in lines for part in line if part.style and part.style.bgcolor}


async def test_optimizers_walk_step_by_step_and_a_rate_that_is_too_large_loses_one(torchtty: Any) -> None:
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f6", "4")
        await until(pilot, shows(app, "step 0"))
        await pilot.press(*["space"] * 3)
        await until(pilot, shows(app, "step 3"))
        walk = Walk("sgd", surfaces()[0], 0.09)
        x, y = (f"{value:.4f}".replace("-", "−") for value in walk.at(3).place)
        assert re.search(rf"now at +{x} +{y}", screen_text(app))
        assert f"{walk.at(3).loss:.4f}" in screen_text(app)
        await until(pilot, lambda: screen_text(app).count("●") >= 8, 10)  # six in the list, and those of the plane
        assert len(backgrounds(app)) > 5
        await pilot.press("plus", "plus", "plus", "g")
        await until(pilot, shows(app, "It has left"))
        await pilot.press("g", "r", "s")
        await until(pilot, shows(app, "A bent valley"))
        assert "step 0" in screen_text(app)
        await pilot.press("space", "backspace", "down")
        await until(pilot, shows(app, "v ← 0.9 v + g"))
        assert "step 0" in screen_text(app)
