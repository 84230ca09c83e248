"""The transformer by hand on the screen: numbers, where they come from, slips, and a person's own sentence."""

import subprocess
import sys
from typing import Any

from on_screen import screen_text, shows, until
from textual.widgets import Input

from torchtty.tui.learn.screen import PAGES


async def test_numbers_are_followed_to_those_they_come_from_at_80x24(torchtty: Any) -> None:
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f6", "2")
        await until(pilot, shows(app, "1 of 13"))
        await pilot.press(*["pagedown"] * 6, "n", "down", "right")
        await until(pilot, shows(app, "1.8625  Q[the, 2]"))
        text = screen_text(app)
        assert "2  0.1700  0.8500   0.1445" in text
        assert "sum   1.8625" in text
        assert "n next" in text
        await pilot.press("o")  # the weights
        await until(pilot, shows(app, "0.4500  W_Q[1, 2]"))
        await pilot.press("backspace", "enter")
        await until(pilot, shows(app, "1.2200  X[the, 1]"))
        await pilot.press("enter")  # the embedding it is the sum of
        await until(pilot, shows(app, "0.3785  E[ids][the, 1]"))
        await pilot.press("backspace", "backspace")
        await until(pilot, shows(app, "1.8625  Q[the, 2]"))
        assert "backspace" not in screen_text(app)


def test_the_pages_need_neither_torch_nor_numpy_and_plotext_only_to_draw() -> None:
    modules = ", ".join(page.widget.partition(":")[0] for page in PAGES)
    code = f"import sys, {modules}; print(*sorted({{'torch', 'numpy', 'plotext'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


async def test_a_slip_is_made_on_purpose_and_put_right(torchtty: Any) -> None:
    async with torchtty(size=(120, 36)) as (app, pilot):
        await pilot.press("f6", "2")
        await until(pilot, shows(app, "1 of 13"))
        await pilot.press(*["pagedown"] * 4, "n", "down", "right")
        await until(pilot, shows(app, "0.5403  PE["))
        assert "A common slip" in screen_text(app)
        await pilot.press("m")
        await until(pilot, shows(app, "0.0464  PE["))
        await pilot.press("pagedown")
        await until(pilot, shows(app, "Made on purpose in other steps: a sine in every"))
        await pilot.press("pageup", "n", "m")
        await pilot.click("#table", offset=(20, 2))  # the second number of the second row
        await until(pilot, shows(app, "0.5403  PE[1 the, 2]"))


async def test_a_person_s_own_sentence_and_sizes_are_computed(torchtty: Any) -> None:
    async with torchtty(size=(120, 36)) as (app, pilot):
        await pilot.press("f6", "2")
        await until(pilot, shows(app, "1 of 13"))
        await pilot.press("e")
        await pilot.pause()
        app.screen.query_one("#sentence", Input).value = "Grüße, [red]Welt[/red]!"
        app.screen.query_one("#d_model", Input).value = "7"
        await pilot.press("enter")
        await until(pilot, shows(app, "d_model must be even"))
        app.screen.query_one("#d_model", Input).value = "4"
        app.screen.query_one("#n_head", Input).value = "2"
        await pilot.press("enter")
        await until(pilot, shows(app, "sentence 4"))
        await pilot.press(*["pagedown"] * 6)
        await until(pilot, shows(app, "W_Q1"))
        await pilot.press("n")
        await until(pilot, lambda: all(word in screen_text(app) for word in ("grüße", "red", "welt")))
        await pilot.click("TableStrip", offset=(14, 0))
        await until(pilot, shows(app, "[W_K1]"))


async def test_a_table_is_seen_in_colours_and_positions_as_a_picture(torchtty: Any) -> None:
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f6", "2")
        await until(pilot, shows(app, "1 of 13"))
        await pilot.press("v")  # words have no colours
        await pilot.press(*["pagedown"] * 4, "n", "v")
        await until(pilot, shows(app, "hands of many"))
        await pilot.press("right", "right", "down")
        await until(pilot, shows(app, "1, 1  0.540"))  # cos 1
        await pilot.press("s")
        await until(pilot, shows(app, "tell near from far"))
        await pilot.press("escape", *["pagedown"] * 2, *["n"] * 8, "v")
        await until(pilot, shows(app, "Attention. Each row is shares"))
        assert "0.01" in screen_text(app)
        await pilot.press("v")
        await until(pilot, shows(app, "7 of 13"))
