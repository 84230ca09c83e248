"""The guide in the help of the app, and on the command line."""

import re
import subprocess
import sys
from typing import Any

import pytest
from textual.widgets import Static

from torchtty.tui.cli.console import UsageError
from torchtty.tui.cli.program import run
from torchtty.tui.guide import PAGES, read_page
from torchtty.tui.shell.help import KeysHelp


async def test_the_help_opens_every_page_of_the_guide_at_80x24(torchtty: Any) -> None:
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f1")
        await pilot.pause()
        for name in PAGES:
            await pilot.press("right")
            await pilot.pause()
            lines = [strip.text for strip in app.screen._compositor.render_strips()]
            title = read_page(name).partition("\n")[0].removeprefix("# ")
            assert any(title in line for line in lines[4:8]), "\n".join(lines)
            assert any("esc closes" in line for line in lines)
        await pilot.press("1")
        await pilot.pause()
        assert "Start training with these settings" in str(
            app.screen.query_one("#keys-help VerticalScroll Static", Static).content
        )
        await pilot.press("escape")
        assert not isinstance(app.screen, KeysHelp)


async def test_a_page_is_chosen_with_the_mouse_and_scrolled(torchtty: Any) -> None:
    async with torchtty(size=(80, 24)) as (app, pilot):
        await pilot.press("f1")
        await pilot.pause()
        row, line = next(
            (row, strip.text)
            for row, strip in enumerate(app.screen._compositor.render_strips())
            if re.search(r"\d Experiments", strip.text)
        )
        await pilot.click(offset=(line.index("Experiments") + 1, row))
        await pilot.pause()
        before = [strip.text for strip in app.screen._compositor.render_strips()]
        assert any("two university courses" in line for line in before)
        await pilot.press("pagedown")
        await pilot.pause()
        assert not any("two university courses" in strip.text for strip in app.screen._compositor.render_strips())


def test_no_figure_of_a_table_is_cut_in_a_narrow_help() -> None:
    code = (
        "from rich.console import Console; from torchtty.tui.guide import read_page; from torchtty.tui.markdown import Page;"
        "Console(width=68).print(Page(read_page('experiments')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith(" ") and "torchtty" not in line]
    assert len(rows) > 50
    assert not any("…" in row for row in rows)


def test_the_command_guide_lists_the_pages_and_prints_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["guide"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(PAGES)
    assert run(["guide", "lenses"]) == 0
    assert capsys.readouterr().out == read_page("lenses")
    with pytest.raises(UsageError, match="no page called 'lens'"):
        run(["guide", "lens"])
