"""The panel of pictures in a run's view: it follows, goes back, and asks for more."""

from collections.abc import Callable
from pathlib import Path

import pytest
from on_screen import until
from PIL import Image
from textual.app import App, ComposeResult
from written_run import WrittenRun

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Images, read_event
from torchtty.engine.contract.run.requests import Sample, collect
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.charts.chart import Chart
from torchtty.tui.images.panel import History, ImagePanel, grid_file
from torchtty.tui.images.picture import Picture
from torchtty.tui.run.view import RunView

COLOURS = {0: "red", 10: "lime", 20: "blue"}


class Host(App[None]):
    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self.shown = run

    def compose(self) -> ComposeResult:
        yield RunView()

    def on_mount(self) -> None:
        self.query_one(RunView).show(self.shown)


def draw(written: WrittenRun, step: int, colour: str, source: str = "fixed", name: str = "") -> None:
    name = name or f"fixed-{step:06d}.png"
    Image.new("RGB", (16, 16), colour).save(written.run.media / name)
    written.event("images", step, path=f"media/{name}", title=f"step {step}", source=source)


@pytest.fixture
def digits(write_run: Callable[..., WrittenRun], monkeypatch: pytest.MonkeyPatch) -> WrittenRun:
    """A run with three grids of the same noise and one of real pictures, in a terminal with all colours."""
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")
    written = write_run("digits", kind="dcgan")
    written.status(RunState.RUNNING, step=20)
    written.metrics(*({"step": step, "time": step, "tokens": step, "loss_d": 1.0, "loss_g": 2.0} for step in range(21)))
    draw(written, 0, "white", "real", "real.png")
    for step, colour in COLOURS.items():
        draw(written, step, colour)
    return written


def colour_of(picture: Picture) -> str | None:
    """The colour that a picture shows in its middle."""
    strip = picture.render_line(0)
    coloured = [
        segment for segment in strip if segment.style and segment.style.bgcolor and segment.text.strip("▀ ") == ""
    ]
    widest = max(coloured, key=lambda segment: segment.cell_length, default=None)
    return widest.style.bgcolor.name if widest and widest.style and widest.style.bgcolor else None


SHOWN = {"red": "#f80000", "lime": "#00f800", "blue": "#0000f8", "white": "#f8f8f8"}


async def test_it_shows_the_newest_and_follows(digits: WrittenRun) -> None:
    app = Host(digits.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.query(Picture))
        panel = app.query_one(ImagePanel)
        drawn = panel.query_one("#drawn", Picture)
        await until(pilot, lambda: colour_of(drawn) == SHOWN["blue"])
        await until(pilot, lambda: colour_of(panel.query_one("#real", Picture)) == SHOWN["white"])
        draw(digits, 30, "red")
        await until(pilot, lambda: colour_of(drawn) == SHOWN["red"])
        assert not app.query_one("#samples").is_on_screen


async def test_keys_go_back_in_the_history_and_hold_there(digits: WrittenRun) -> None:
    app = Host(digits.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.query(Picture) and len(app.query_one(ImagePanel).history) == 3)
        panel = app.query_one(ImagePanel)
        panel.focus()
        steps = []
        for key in ("left", "left", "left", "right", "home"):
            await pilot.press(key)
            assert panel.shown is not None
            steps.append(panel.shown.step)
        assert steps == [10, 0, 0, 10, 0]
        draw(digits, 30, "lime")
        await until(pilot, lambda: len(panel.history) == 4)
        assert panel.shown.step == 0
        await pilot.press("end")
        assert panel.shown.step == 30
        await until(pilot, lambda: colour_of(panel.query_one("#drawn", Picture)) == SHOWN["lime"])


async def test_the_chart_s_cursor_chooses_the_pictures(digits: WrittenRun) -> None:
    app = Host(digits.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.query(Picture) and len(app.query_one(ImagePanel).history) == 3)
        panel, chart = app.query_one(ImagePanel), app.query_one("#chart-game", Chart)
        await until(pilot, lambda: chart.frame.area)
        chart.focus()
        await pilot.press("home")
        await until(pilot, lambda: panel.shown and panel.shown.step == 0)
        await pilot.press("escape")
        await until(pilot, lambda: panel.shown and panel.shown.step == 20)


async def test_the_scrubber_takes_the_mouse(digits: WrittenRun) -> None:
    app = Host(digits.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.query(Picture) and len(app.query_one(ImagePanel).history) == 3)
        await pilot.pause()
        await pilot.click("#images-scrubber", offset=(0, 0))
        panel = app.query_one(ImagePanel)
        await until(pilot, lambda: panel.shown and panel.shown.step == 0)


async def test_the_sample_key_asks_for_fresh_noise_and_shows_what_came(digits: WrittenRun) -> None:
    app = Host(digits.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.query(Picture) and len(app.query_one(ImagePanel).history) == 3)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any(digits.run.inbox.iterdir()))
        (command,) = collect(digits.run.inbox)
        assert isinstance(command, Sample)
        draw(digits, 20, "lime", "fresh", "fresh.png")
        panel = app.query_one(ImagePanel)
        await until(pilot, lambda: colour_of(panel.query_one("#drawn", Picture)) == SHOWN["lime"])
        await pilot.press("end")
        assert panel.shown is not None
        assert panel.shown.source == "fixed"


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60), (50, 12)])
async def test_it_fits_every_terminal(digits: WrittenRun, size: tuple[int, int]) -> None:
    app = Host(digits.run)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.query(Picture) and len(app.query_one(ImagePanel).history) == 3)
        await pilot.pause()
        panel = app.query_one(ImagePanel)
        drawn, real = panel.query_one("#drawn", Picture), panel.query_one("#real", Picture)
        assert drawn.size.height >= 2
        assert bool(real.size) == (size[0] >= 80)


async def test_a_broken_picture_is_said_and_the_next_one_shown(digits: WrittenRun) -> None:
    (digits.run.media / "fixed-000020.png").write_bytes(b"\x89PNG torn")
    app = Host(digits.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.query(Picture))
        drawn = app.query_one("#drawn", Picture)
        await until(
            pilot, lambda: "cannot be read" in "".join(drawn.render_line(y).text for y in range(drawn.size.height))
        )
        draw(digits, 30, "lime")
        await until(pilot, lambda: colour_of(drawn) == SHOWN["lime"])


async def test_without_colours_pictures_are_shades(digits: WrittenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    draw(digits, 20, "white")
    app = Host(digits.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.query(Picture))
        drawn = app.query_one("#drawn", Picture)
        await until(pilot, lambda: "█" in drawn.render_line(0).text)


def test_events_that_lead_elsewhere_are_passed_over(tmp_path: Path) -> None:
    for path in (
        "../secret.png",
        "media/../secret.png",
        "media/a/b.png",
        "/etc/passwd.png",
        "media/a.txt",
        "media/.a.png",
        7,
    ):
        assert read_event({"event": "images", "path": path, "step": 1}) is None
    media = tmp_path / "media"
    media.mkdir()
    (tmp_path / "secret.png").write_bytes(b"")
    (media / "link.png").symlink_to(tmp_path / "secret.png")
    assert grid_file(media, Images(path="media/link.png", step=1)) is None
    assert grid_file(media, Images(path="media/own.png", step=1)) == media / "own.png"


def test_a_grid_written_anew_replaces_the_one_of_its_step() -> None:
    history = History()
    history.take(Images(step=step, path="media/a.png", time=1.0) for step in (20, 0, 10))
    history.take([Images(step=10, path="media/b.png", time=2.0)])
    assert history.steps == [0, 10, 20]
    assert history.at(1).path == "media/b.png"
    assert history.nearest(14) == 1


async def test_runs_on_text_have_no_pictures(write_run: Callable[..., WrittenRun]) -> None:
    written = write_run("names", kind="mlp")
    written.status(RunState.RUNNING, step=1)
    app = Host(written.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.query_one(RunView).snapshot)
        assert not app.query(ImagePanel)
