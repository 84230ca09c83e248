"""What a person does with the list of runs: sort, group, filter, mark, look at the preview, delete and bring back."""

import json
import re

import pytest
from on_screen import screen_text, shows, until
from PIL import Image
from runs_host import Host
from textual.widgets import Input, Static

from torchtty.engine.contract.client.trash import TRASH
from torchtty.engine.contract.listing.arrangement import Grouping, Sort
from torchtty.engine.contract.run import marks
from torchtty.engine.contract.run.directory import list_runs
from torchtty.engine.contract.run.marks import Marks, read_marks
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.images.picture import Picture
from torchtty.tui.runs.marking import MarksDialog
from torchtty.tui.runs.sorting import SortDialog
from torchtty.tui.shell.dialog import DeleteDialog
from torchtty.tui.shell.preferences import remember_order, remember_theme, remembered_theme

WIDTH = "width"  # the group


@pytest.fixture
def some(write_run):
    """Two runs of a group that differ in their learning rate, a GPT, and a fork of that; the fork is the newest."""
    found = {}
    for name, kind, rate, best in (
        ("a", "mlp", "0.1", 2.6),
        ("b", "mlp", "0.2", 2.5),
        ("gpt", "gpt", "1e-3", 2.4),
        ("fork", "gpt", "0.0123456789", 2.7),
    ):
        run = found[name] = write_run(name, kind, optimizer__learning_rate=rate)
        run.curve(100)
        run.status(RunState.FINISHED, step=100, max_steps=100, metrics={"val_loss": best}, best=best, best_step=100)
        created = 1000.0 + len(found)
        about = {"created": created}
        if kind == "mlp":
            about["group"] = WIDTH
        if name == "fork":
            changed = {"optimizer.learning_rate": [1e-3, 0.0123456789]}
            about["parent"] = {
                "run": "gpt",
                "step": 100,
                "created": created - 1,
                "changed": changed | {"optimizer.beta1": [0.9, 0.5]},
            }
        meta = json.loads(run.run.meta_path.read_text())
        run.run.meta_path.write_text(json.dumps(meta | about))
    return {name: written.run for name, written in found.items()}


async def open_list(pilot, app):
    await until(pilot, lambda: app.listed and app.focused is app.table)


def put_cursor(app, key):
    app.table.move_cursor(row=app.listed.index(key))


async def test_s_sorts_by_what_is_chosen_and_the_same_again_turns_the_order_round(some):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        await pilot.press("g", "g", "g")  # no groups: a ranking
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, SortDialog))
        await until(pilot, shows(app, "the best loss"))
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: app.listed == ["gpt", "b", "a", "fork"])
        await until(pilot, shows(app, "best▴"))
        await pilot.press("s", "enter")
        await until(pilot, lambda: app.listed == ["fork", "a", "b", "gpt"])
        await pilot.press("s", "escape")
        await pilot.pause()
        assert app.listed == ["fork", "a", "b", "gpt"], "escape leaves the order"
        await pilot.press("s", "end", "enter")  # the last setting in which they differ has a column then
        await until(pilot, lambda: "best" not in app.screen.runs_list.sort.subject)
        subject = app.screen.runs_list.sort.subject
        await until(pilot, shows(app, subject))


async def test_the_next_start_orders_the_list_as_it_was_left(some):
    for keys, expected in (
        (("g", "g", "g", "s", "down", "down", "enter"), ["gpt", "b", "a", "fork"]),
        ((), ["gpt", "b", "a", "fork"]),
        (("s", "enter"), ["fork", "a", "b", "gpt"]),
        ((), ["fork", "a", "b", "gpt"]),
    ):
        app = Host()
        async with app.run_test(size=(120, 36)) as pilot:
            await open_list(pilot, app)
            await pilot.press(*keys)
            await until(pilot, lambda app=app, expected=expected: app.listed == expected)
    remember_theme("nord")
    remember_order("a-setting-of-old", True, "nothing")
    assert remembered_theme() == "nord"
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        assert (app.screen.runs_list.sort, app.screen.runs_list.grouping) == (Sort(), Grouping.GROUP)


async def test_a_click_on_a_title_sorts(some):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        [line] = [line for line in screen_text(app).splitlines() if " name " in line and " best " in line]
        row = screen_text(app).splitlines().index(line)
        for expected in (["gpt", "fork", f"group:{WIDTH}"], [f"group:{WIDTH}", "gpt", "fork"]):
            await pilot.click(offset=(line.index("best"), row))
            await until(pilot, lambda expected=expected: sorted(app.listed) == sorted(expected))
        assert app.screen.runs_list.sort.subject == "best"


async def test_groups_are_folded_and_unfolded_and_a_fork_stands_below_its_parent(some):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        assert app.listed == ["gpt", "fork", f"group:{WIDTH}"]
        for text in ("└ fork", f"▸ {WIDTH}  2 runs", "2.500"):
            assert text in screen_text(app)
        await pilot.press("end")
        await until(pilot, shows(app, "they differ in learning_rate"))  # in the preview
        await pilot.press("right")
        await until(pilot, lambda: app.listed == ["gpt", "fork", f"group:{WIDTH}", "b", "a"])
        await until(pilot, shows(app, "lr 0.2"))
        await pilot.press("down", "left")
        await until(pilot, lambda: app.listed == ["gpt", "fork", f"group:{WIDTH}"])
        assert app.table.current_row.key == f"group:{WIDTH}", "the cursor is on the group of the run that it was on"
        await pilot.press("g", "g")
        await until(pilot, lambda: len(app.listed) == 6)
        assert "▾ GPT  2 runs" in screen_text(app)
        await pilot.press("g")
        await until(pilot, lambda: app.listed == ["gpt", "fork", "b", "a"])


async def test_keys_for_one_run_say_so_on_a_group(some):
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_list(pilot, app)
        put_cursor(app, f"group:{WIDTH}")
        for key in ("d", "delete", "asterisk", "t", "m", "b", "n", "E"):
            await pilot.press(key)
            await until(pilot, lambda: app.told)
            assert "put the cursor on one" in app.told.pop(), key
        assert app.screen.pane is None
        assert len(list_runs()) == 4


async def test_star_tags_and_note_are_kept_and_found_and_shown_as_they_are(some):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        put_cursor(app, "gpt")
        await pilot.press("asterisk")
        await until(pilot, shows(app, "★"))
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, MarksDialog))
        marks.star(some["gpt"], starred=False)  # somebody else, meanwhile
        await pilot.press(*"good base", "tab")
        app.screen.query_one("#marks-note", Input).insert("[red]x[/] \x1b[2J of Tuesday", 0)
        await pilot.press("enter")
        await until(pilot, lambda: read_marks(some["gpt"]).tags)
        assert read_marks(some["gpt"]) == Marks(False, ("good", "base"), "[red]x[/] ␛[2J of Tuesday")
        await until(pilot, shows(app, "#good #base [red]x[/] ␛[2J of Tuesday"))
        assert "\x1b" not in screen_text(app)
        await pilot.press("slash", *"tag:good", "enter")
        await until(pilot, lambda: app.listed == ["gpt"])
        await pilot.press("d")
        await until(pilot, shows(app, "[red]x[/] ␛[2J"))


async def test_what_is_no_tag_is_refused_in_the_dialog_which_stays(some):
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_list(pilot, app)
        put_cursor(app, "gpt")
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, MarksDialog))
        app.screen.query_one("#marks-tags", Input).insert("fine [b]bold[/] a\x1b[2J", 0)
        await pilot.press("enter")
        await until(pilot, shows(app, "A tag cannot be '[b]bold[/]'"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, MarksDialog))
        assert read_marks(some["gpt"]) == Marks()


async def test_a_mark_on_a_run_that_is_gone_by_now_is_an_error_in_words(some):
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_list(pilot, app)
        put_cursor(app, "gpt")
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, MarksDialog))
        some["gpt"].path.rename(some["gpt"].path.with_name(".elsewhere"))
        await pilot.press(*"good", "enter")
        await until(pilot, lambda: any("marks of gpt cannot be written" in told for told in app.told))
        assert not some["gpt"].path.exists()


async def test_a_wrong_filter_says_what_is_wrong_and_the_last_right_one_stays(some):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        await pilot.press("slash", *"best<2.45")
        await until(pilot, lambda: app.listed == ["gpt"])
        await pilot.press("x", "enter")
        await until(pilot, shows(app, "'best<2.45x' cannot be read: '2.45x' is not a number such as"))
        assert app.listed == ["gpt"]
        assert isinstance(app.focused, Input), "it can be mended"
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: app.focused is app.table)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.listed) == 3)


async def test_right_completes_what_is_written_in_the_filter(some):
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_list(pilot, app)
        await pilot.press("slash", *"mod")
        await pilot.pause(0.1)
        await pilot.press("right", *":gp", "right", "enter")
        await until(pilot, lambda: app.listed == ["gpt", "fork"])


async def test_the_preview_follows_the_cursor_and_says_what_differs(some):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        put_cursor(app, "fork")
        differs = app.screen.query_one("#preview-differs", Static)
        await until(pilot, lambda: str(differs.render()).startswith("vs fork of gpt at step 100: learning_rate 1e-3 →"))
        chart = app.screen.query_one("#preview-chart")
        await until(pilot, lambda: chart.spec.series)
        put_cursor(app, f"group:{WIDTH}")
        await until(pilot, shows(app, "best: b  2.500"))
        assert not chart.display
        await pilot.press("slash", *"nothing-fits")
        await until(pilot, lambda: "best: b" not in screen_text(app) and not app.listed)
        await pilot.press("escape")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: not app.screen.query_one("#runs-preview").display)
        assert app.table.virtual_size.width <= app.table.size.width


async def test_the_preview_shows_the_pictures_and_the_sample_that_were_drawn_last(some, write_run):
    gan = write_run("gan", "dcgan")
    gan.curve(1000)
    gan.status(RunState.FINISHED, step=1000)
    for name, source in (("a.png", "fixed"), ("b.png", "fixed"), ("c.png", "real")):
        Image.new("RGB", (16, 16), "red").save(gan.run.media / name)
        gan.event("images", 5, path=f"media/{name}", source=source)
    names = write_run("names", "mlp")
    names.curve(100)
    names.sample("x", "karina")
    names.sample("y", "[red]anna[/]\x1b[2J", step=200)
    names.status(RunState.FINISHED, step=100)
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        put_cursor(app, "gan")
        await until(pilot, lambda: app.screen.query(Picture) and app.screen.query_one(Picture).path)
        assert app.screen.query_one(Picture).path == gan.run.media / "b.png", "the newest that is not of the data"
        assert app.screen.query_one("#preview-picture").display
        put_cursor(app, "names")
        await until(pilot, shows(app, "step 200  [red]anna[/]␛[2J"))
        assert not app.screen.query_one("#preview-picture").display
        await until(pilot, lambda: app.screen.query_one("#preview-chart").spec.is_over)  # its axis ends where it does


async def test_a_cell_that_is_cut_ends_in_an_ellipsis(some):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        [line] = [line for line in screen_text(app).splitlines() if "└ fork" in line]
        assert re.search(r"lr [0-9.,]+…", line), "cut where it can be seen"


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_names_that_begin_alike_are_cut_in_the_middle(write_run, size):
    ends = [f"lr-{rate}-seed-{seed}" for rate in ("0.001", "0.01") for seed in (1, 2)]
    for end in ends:
        write_run(f"grid-of-rates-and-seeds-of-the-names-of-all-the-villages-{end}").status(RunState.FINISHED, step=3)
    app = Host()
    async with app.run_test(size=size) as pilot:
        await open_list(pilot, app)
        lines = screen_text(app).splitlines()
        shown = [line.split("grid-")[1].split()[0] for line in lines if "grid-" in line]
        assert len({name for name in shown if "…" in name}) == 4, "which is which can be read"


async def test_a_list_that_scrolls_needs_no_scrollbar_below(write_run):
    for number in range(40):
        write_run(f"a-run-with-a-very-long-name-{number}").status(RunState.FINISHED, step=3)
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        await pilot.press("s", "down", "down", "down", "down", "down", "enter")
        await until(pilot, shows(app, "smoothed▴"))
        assert app.table.show_vertical_scrollbar
        assert not app.table.show_horizontal_scrollbar


async def test_a_failed_run_says_why_below_the_list_where_there_is_no_preview(write_run):
    write_run("bad").status(RunState.FAILED, message="Out of memory [red]x[/]: a smaller batch may fit.")
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_list(pilot, app)
        await until(
            pilot, lambda: "Out of memory [red]x[/]" in str(app.screen.query_one("#runs-summary", Static).render())
        )


async def test_deleted_runs_come_back_the_last_one_first_and_under_another_name_where_theirs_is_taken(some, write_run):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await open_list(pilot, app)
        await pilot.press("U")
        await until(pilot, lambda: "Nothing was deleted that could be brought back." in app.told)
        for name in ("gpt", "fork"):
            put_cursor(app, name)
            await pilot.press("D")
            await until(pilot, lambda: isinstance(app.screen, DeleteDialog))
            await pilot.press("y")
            await until(pilot, lambda name=name: name not in app.listed)
        write_run("fork")
        await pilot.press("U")
        await until(pilot, lambda: "fork-2" in app.listed)
        await pilot.press("U")
        await until(pilot, lambda: "gpt" in app.listed)
        assert "└ fork-2" in screen_text(app), "it knows its parent all the same"


async def test_leaving_removes_what_was_deleted(some, torchtty):
    trash = some["gpt"].path.parent / TRASH
    async with torchtty((120, 36)) as (app, pilot):
        await pilot.press("f3")
        await until(pilot, shows(app, "└ fork"))
        await pilot.press("D", "y")
        await until(pilot, lambda: len(list_runs()) == 3)
        assert list(trash.iterdir())
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app.return_value is not None)
    assert not trash.exists()
