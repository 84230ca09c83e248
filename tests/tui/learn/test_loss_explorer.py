"""The loss explorer on the screen."""

from typing import Any

from on_screen import screen_text, shows, until


async def test_a_number_is_stepped_and_value_gradient_and_curve_follow(torchtty: Any) -> None:
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f6", "3")
        await until(pilot, shows(app, "loss      0.3750"))
        await until(pilot, shows(app, "slope −0.2500"))  # beside the dot of the curve
        await pilot.press("e", "up", "up")
        await until(pilot, shows(app, "0.7 1.5; 2.0 -1.0"))
        await until(pilot, shows(app, "loss      0.3350"))
        await until(pilot, shows(app, "slope −0.1500"))
        await pilot.press("end")
        await until(pilot, shows(app, "slope −0.5000"))
        await pilot.press("x")
        await until(pilot, shows(app, "'-1.0x' is not a number"))
        await pilot.press("backspace", "escape")
        await until(pilot, shows(app, "loss      0.3350"))


async def test_pitfalls_are_tried_out(torchtty: Any) -> None:
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f6", "3")
        await until(pilot, shows(app, "loss      0.3750"))
        await pilot.press("down", "down", "t")
        await until(pilot, shows(app, "expected scalar type Long but found Float"))
        await pilot.press("t")
        await until(pilot, lambda: "NaN" in screen_text(app) and "∞" in screen_text(app))
        await pilot.press("down", "down", "t")
        await until(pilot, shows(app, "stops at 100"))
        await pilot.press("t")
        await until(pilot, shows(app, "all elements of input"))
        await pilot.press("down")
        await until(pilot, shows(app, "log(1 + e^−|z|)"))
