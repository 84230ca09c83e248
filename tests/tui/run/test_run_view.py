"""One run on the screen: what is shown, and what the keys do, at small and large sizes."""

import unicodedata

import pytest
from textual.app import App
from textual.widgets import Input, Static

from engine.contract import commands
from engine.contract.commands import collect
from engine.contract.events import EventKind
from engine.contract.run_directory import RunDirectory
from engine.contract.status import RunState
from tui.run.curves import Curves
from tui.run.resume_dialog import MAX_STEPS, ResumeDialog
from tui.run.sample_log import SampleLog
from tui.run.samples import SamplesPanel
from tui.run.view import RunView

SIZES = [(80, 24), (120, 36), (160, 48), (200, 60)]


class Host(App[None]):
    """Holds a view as the Train screen does and keeps what it posts."""

    def __init__(self, run: RunDirectory | None) -> None:
        super().__init__()
        self._first = run
        self.asked_for_worker: list[RunDirectory] = []
        self.resumed: list[dict[str, object]] = []
        self.statuses: list[RunState | None] = []
        self.copied = ""

    def compose(self):
        yield RunView()

    def on_mount(self):
        self.view.show(self._first)
        self.view.focus_curves()

    @property
    def view(self) -> RunView:
        return self.query_one(RunView)

    def on_run_view_needs_worker(self, event: RunView.NeedsWorker) -> None:
        self.asked_for_worker.append(event.run)

    def on_run_view_resume_requested(self, event: RunView.ResumeRequested) -> None:
        self.resumed.append(event.edits)

    def on_run_view_status_changed(self, event: RunView.StatusChanged) -> None:
        self.statuses.append(event.status.state if event.status else None)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied = text


async def until(pilot, condition, seconds=8.0):
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        await pilot.pause(0.05)
    raise AssertionError(f"it did not come about in {seconds} s; the screen shows:\n{screen_text(pilot.app)}")


def screen_text(app):
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def shows(app, text):
    return lambda: text in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_curve_samples_and_progress_are_on_the_screen_at_once(write_run, size):
    written = write_run("gpt-1", kind="gpt")
    written.event(EventKind.READY, references={"chance": 3.3}, parameters=48_637, vocab_size=27, notes=["12 names"])
    written.curve(600)
    written.sample("s", "karina", "anna", known=[False, True], automatic=True)
    written.status(
        step=600,
        parameters=48_637,
        device="cpu",
        steps_per_second=100.0,
        val_loss=2.5,
        best_val_loss=2.4,
        best_step=500,
    )
    app = Host(written.run)
    async with app.run_test(size=size) as pilot:
        for text in (
            "● running",
            "48,637 parameters",
            "chance",
            "● karina",
            "○ anna",
            "seen in training",
            "prompt",
            "seed any",
        ):
            await until(pilot, shows(app, text))
        for text in ("600/1,000", "100 it/s", "ETA 0:04", "12 names"):
            assert text in screen_text(app)
        assert all(len(line) <= size[0] for line in screen_text(app).splitlines())


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (80, 24)])
async def test_no_size_is_too_small_to_live_through(write_run, size):
    written = write_run()
    written.curve(100)
    written.sample("s", "karina " * 20)
    written.status(step=100)
    app = Host(written.run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, shows(app, "karina"))
        await pilot.resize_terminal(*size)
        await pilot.pause(0.3)
        assert "running" in screen_text(app)
        await pilot.resize_terminal(200, 60)
        await until(pilot, shows(app, "karina"))


async def test_without_a_run_it_says_what_will_appear_and_which_key_starts():
    app = Host(None)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "ctrl+t starts one"))
        await until(pilot, shows(app, "The loss appears here."))
        assert "What the model writes appears here" in screen_text(app)


async def test_a_sample_grows_on_the_screen_token_by_token(write_run):
    written = write_run()
    written.status()
    app = Host(written.run)
    async with app.run_test(size=(100, 30)) as pilot:
        written.event(
            EventKind.SAMPLE_START, 3, id="a", prompt="The", count=1, settings={"temperature": 0.8}, unknown=["é"]
        )
        written.event(EventKind.SAMPLE_TEXT, 3, id="a", index=0, text="The lo")
        await until(pilot, shows(app, "The lo"))
        assert "not in the vocabulary, left out: “é”" in screen_text(app)
        written.event(EventKind.SAMPLE_TEXT, 3, id="a", index=0, text="op goes on")
        await until(pilot, shows(app, "The loop goes on"))
        written.sample("b", "the newest", step=4)
        await until(pilot, shows(app, "the newest"))
        text = screen_text(app)
        assert text.index("the newest") < text.index("The loop goes on"), "newest first"


async def test_what_a_model_writes_is_neither_markup_nor_control(write_run):
    written = write_run()
    evil = "[bold red]loud[/] \x1b[31mred\x1b]52;c;AAAA\x07 \x9b2J [@click=app.quit]x[/] \u202eabc"
    written.sample("a", evil)
    written.event(EventKind.WARNING, message="[/] \x1b[2J beware")
    written.status(message="[/nonsense] \x1b[2J")
    app = Host(written.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, shows(app, "[bold red]loud[/] ␛[31mred␛]52;c;AAAA␇"))
        await until(pilot, shows(app, "[/nonsense] ␛[2J"))
        assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in screen_text(app).replace("\n", ""))


async def test_a_killed_worker_is_shown_as_lost_and_how_to_go_on(write_run):
    written = write_run()
    written.curve(300)
    written.checkpoint(200)
    written.status(RunState.RUNNING, step=300, pid=2**22 + 1)
    app = Host(written.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, shows(app, "? lost"), 5)
        await until(pilot, shows(app, "r resumes it from its latest"))
        assert app.statuses[-1] is RunState.LOST


@pytest.mark.parametrize(
    ("state", "fields", "words"),
    [
        (RunState.QUEUED, {"waiting_for": "gpt-7"}, "◷ queued behind gpt-7"),
        (RunState.FAILED, {"message": "The loss became NaN at step 3"}, "The loss became NaN at step 3."),
        (RunState.STOPPED, {}, "■ stopped"),
        (RunState.FINISHED, {}, "✓ finished"),
    ],
)
async def test_each_state_is_told_in_words(write_run, state, fields, words):
    written = write_run()
    written.status(state, **fields)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, words))


async def test_space_pauses_and_goes_on_and_ctrl_x_stops(write_run):
    written = write_run()
    written.status(step=5)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "● running"))
        await pilot.press("space")
        await until(pilot, shows(app, "pausing"))
        written.status(RunState.PAUSED, step=5)
        await until(pilot, shows(app, "‖ paused"))
        await pilot.press("space", "ctrl+x")
        await until(pilot, shows(app, "r resumes it from there"))
    assert list(collect(written.run.inbox)) == [commands.Pause(), commands.Resume(), commands.Stop()]


async def test_a_prompt_becomes_a_sample_command_with_the_fields_beside_it(write_run):
    written = write_run()
    written.status(step=5)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "tokens 200"))
        await pilot.press("ctrl+s", *"k a [r]")
        app.query_one("#sampling-top_k", Input).value = "5"
        app.query_one("#sampling-seed", Input).value = "7"
        await pilot.press("enter")
        await until(pilot, shows(app, "drawing"))
        await pilot.press("escape")
        await pilot.pause()
    sample, cancel = collect(written.run.inbox)
    assert (sample.prompt, sample.top_k, sample.top_p, sample.seed, sample.count) == ("k a [r]", 5, 1.0, 7, None)
    assert cancel == commands.CancelSample()
    assert app.asked_for_worker == []


async def test_a_wrong_field_is_marked_and_nothing_is_sent(write_run):
    written = write_run()
    written.status(step=5)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "tokens 200"))
        field = app.query_one("#sampling-temperature", Input)
        field.value = "hot"
        await pilot.press("ctrl+s", "enter")
        await until(pilot, shows(app, "T takes a number from 0 to 10"))
        assert app.focused is field
        field.value = "1"
        await pilot.pause()
        assert "T takes" not in screen_text(app), "the complaint goes as soon as it is mended"
    assert list(collect(written.run.inbox)) == []


async def test_prompting_an_old_run_asks_for_one_worker(write_run):
    written = write_run()
    written.checkpoint(900)
    written.status(RunState.FINISHED, step=1000)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "finished"))
        await pilot.press("ctrl+s", "a", "enter")
        await until(pilot, shows(app, "loading the model"))
        await pilot.press("b", "enter")
        await pilot.pause()
        assert app.asked_for_worker == [written.run]
        written.status(RunState.FINISHED, step=1000, serving=True)
        asked = [command for command in collect(written.run.inbox) if isinstance(command, commands.Sample)]
        assert [command.prompt for command in asked] == ["a", "ab"]
        for command in asked:
            written.sample(command.id, "answer")
        await until(pilot, lambda: not app.query_one(SamplesPanel).is_sampling)
        assert "loading" not in screen_text(app)


async def test_a_run_without_checkpoints_says_that_it_cannot_be_asked(write_run):
    written = write_run()
    written.status(RunState.FAILED, message="No data.")
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "No data."))
        await pilot.press("ctrl+s", "a", "enter")
        await until(pilot, shows(app, "no checkpoint"))
        assert app.asked_for_worker == []


async def test_a_sample_that_was_left_half_is_said_to_be_broken_off(write_run):
    written = write_run()
    written.event(EventKind.SAMPLE_START, 3, id="a", prompt="", count=1, settings={}, unknown=[])
    written.event(EventKind.SAMPLE_TEXT, 3, id="a", index=0, text="half a")
    written.status(RunState.RUNNING, pid=2**22 + 1)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "broken off"))


async def test_a_finished_run_is_resumed_with_twice_the_steps_unless_told_otherwise(write_run):
    written = write_run()
    written.checkpoint(1000)
    written.status(RunState.FINISHED, step=1000)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "finished"))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ResumeDialog))
        steps = app.screen.query_one(Input)
        assert steps.value == "2000"
        steps.value = "500"
        await pilot.press("enter")
        await until(pilot, shows(app, "1,000 steps already"))
        steps.value = "3,000"
        await pilot.press("enter")
        await until(pilot, lambda: app.resumed == [{MAX_STEPS: 3000}])


async def test_a_stopped_run_is_resumed_as_it_was(write_run):
    written = write_run()
    written.checkpoint(400)
    written.status(RunState.STOPPED, step=400)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "stopped"))
        await pilot.press("r", "enter")
        await until(pilot, lambda: app.resumed == [{}])


async def test_c_and_a_click_change_the_chart(write_run):
    written = write_run()
    written.curve(100)
    written.status()
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        curves = app.query_one(Curves)
        await until(pilot, lambda: len(curves.chart("loss").picture.series) == 2)
        await pilot.press("c", "c")
        assert curves.current.id == "gradient"
        await until(pilot, lambda: len(curves.chart("gradient").picture.series[0]) == 10)
        await pilot.click("#tab-loss")
        assert curves.current.id == "loss"


async def test_another_run_takes_the_place_of_the_first_one_whole(write_run):
    first, second = write_run("first"), write_run("second", kind="gpt")
    first.sample("a", "from the first")
    first.curve(100)
    first.status(step=90)
    second.status(RunState.PAUSED, step=7)
    app = Host(first.run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, shows(app, "from the first"))
        app.view.show(second.run)
        await until(pilot, shows(app, "‖ paused"))
        assert "first" not in screen_text(app)
        assert all(len(series) == 0 for series in app.query_one(Curves).chart("loss").picture.series)
        app.view.show(None)
        await until(pilot, shows(app, "no run yet"))
        await until(pilot, lambda: app.statuses[-1] is None)


async def test_reading_on_is_not_disturbed_by_a_new_sample_above(write_run):
    written = write_run()
    for number in range(20):
        written.sample(f"s{number}", f"text number {number}", step=number)
    written.status()
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "text number 19"))
        log = app.query_one(SampleLog)
        log.scroll_to(y=10, animate=False, immediate=True)
        await pilot.pause(0.1)
        before = [log.render_line(y).text for y in range(3)]
        written.sample("new", "the very newest", step=99)
        await until(pilot, lambda: any("newest" in text for record in log.records for text in record.texts))
        await pilot.pause(0.1)
        assert [log.render_line(y).text for y in range(3)] == before


async def test_the_latest_sample_is_copied_and_all_are_written_to_the_runs_folder(write_run):
    written = write_run()
    written.sample("a", "first")
    written.sample("b", "sec\x1bond")
    written.status()
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "sec"))
        await pilot.press("ctrl+y", "w")
        await pilot.pause()
        assert app.copied == "sec␛ond"
    text = (written.run.path / "samples.txt").read_text()
    assert text.index("first") < text.index("sec␛ond")


async def test_an_unreadable_configuration_is_told_in_the_view(write_run):
    written = write_run()
    written.run.config_path.write_text("[bold")
    written.status()
    app = Host(written.run)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "TOML" in str(app.query_one("#run-notice", Static).content))


async def test_two_apps_on_one_run_see_the_same(write_run):
    written = write_run()
    written.status(step=5)
    first, second = Host(written.run), Host(written.run)
    async with first.run_test(size=(80, 24)) as one, second.run_test(size=(120, 36)) as other:
        await until(one, shows(first, "running"))
        await one.press("space")
        written.status(RunState.PAUSED, step=6)
        await until(other, shows(second, "‖ paused"))
        await until(one, shows(first, "‖ paused"))
