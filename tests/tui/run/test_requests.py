"""A run's states in words, the keys that steer it, and the requests for samples."""

import pytest
from on_screen import screen_text, shows, until
from textual.widgets import Input
from viewed_run import Host, viewing

from torchtty.engine.contract.run.requests import Cancel, Sample, collect
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.run.resume_dialog import MAX_STEPS, ResumeDialog
from torchtty.tui.run.samples import SampleLog, SamplesPanel


async def test_a_killed_worker_is_shown_as_lost_and_how_to_go_on(write_run):
    written = write_run()
    written.curve(300)
    written.checkpoint(200)
    written.status(RunState.RUNNING, step=300, pid=2**22 + 1)
    app = Host(written.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, shows(app, "? lost"), 5)
        await until(pilot, shows(app, "r resumes from step 200"))
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
    async with viewing(written.run, "● running") as (app, pilot):
        await pilot.press("space")
        await until(pilot, shows(app, "pausing"))
        written.status(RunState.PAUSED, step=5)
        await until(pilot, shows(app, "‖ paused"))
        await pilot.press("space", "ctrl+x")
        await until(pilot, shows(app, "r resumes from there"))
    assert [request.type for request in collect(written.run.inbox)] == ["pause", "continue", "stop"]


async def test_ctrl_r_releases_a_model_that_is_in_memory_and_is_offered_only_then(write_run):
    written = write_run()
    written.status(RunState.FINISHED, step=1000, device="cpu", serving=True)
    async with viewing(written.run, "cpu · in memory") as (app, pilot):
        await pilot.press("ctrl+r")
        await until(pilot, shows(app, "The model is released from memory; a prompt loads it again."))
        written.status(RunState.FINISHED, step=1000, device="cpu", serving=False)
        await until(pilot, lambda: "in memory" not in screen_text(app).splitlines()[0])
        assert not [active for active in app.screen.active_bindings.values() if active.binding.action == "release"]
        await pilot.press("ctrl+r")
    assert [request.type for request in collect(written.run.inbox)] == ["release"]


async def test_a_finished_run_is_resumed_with_twice_the_steps_unless_told_otherwise(write_run):
    written = write_run()
    written.checkpoint(1000)
    written.status(RunState.FINISHED, step=1000)
    async with viewing(written.run, "finished") as (app, pilot):
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
    async with viewing(written.run, "stopped") as (app, pilot):
        await pilot.press("r", "enter")
        await until(pilot, lambda: app.resumed == [{}])


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


async def test_a_sample_grows_on_the_screen_token_by_token(write_run):
    written = write_run()
    written.status()
    app = Host(written.run)
    async with app.run_test(size=(100, 30)) as pilot:
        written.event("sample_start", 3, id="a", prompt="The", count=1, settings={"temperature": 0.8}, unknown=["é"])
        written.event("sample_text", 3, id="a", index=0, text="The lo")
        await until(pilot, shows(app, "Ignored (not in the vocabulary): é"))
        written.event("sample_text", 3, id="a", index=0, text="op goes on")
        await until(pilot, shows(app, "The loop goes on"))
        written.sample("b", "the newest", step=4)
        await until(pilot, shows(app, "the newest"))
        text = screen_text(app)
        assert text.index("the newest") < text.index("The loop goes on"), "newest first"


async def test_what_was_asked_for_stays_on_top_of_what_a_fast_run_draws_by_itself(write_run):
    written = write_run()
    written.status(step=5)
    async with viewing(written.run, "tokens 200") as (app, pilot):
        await pilot.press("ctrl+s", "q", "enter")
        await until(pilot, shows(app, "drawing"))
        [asked] = collect(written.run.inbox)
        written.sample(asked.id, "the answer", step=5)
        for number in range(30):
            written.sample(f"step-{number}", f"unasked {number}", step=6 + number)
        await until(pilot, shows(app, "unasked 29"))
        text = screen_text(app)
        assert text.index("the answer") < text.index("unasked 29")


async def test_escape_leaves_the_prompt_while_the_run_draws_a_sample_of_its_own(write_run):
    written = write_run()
    written.status(step=5)
    async with viewing(written.run, "tokens 200") as (app, pilot):
        written.event("sample_start", 5, id="step-5", prompt="", count=1, settings={}, automatic=True)
        await until(pilot, lambda: app.query_one(SamplesPanel).is_drawing)
        await pilot.press("ctrl+s", "escape")
        await pilot.pause()
        assert app.focused is app.query_one(SampleLog)
    assert list(collect(written.run.inbox)) == [], "and breaks off nothing that nobody asked for"


async def test_a_prompt_becomes_a_sample_request_with_the_fields_beside_it(write_run):
    written = write_run()
    written.status(step=5)
    async with viewing(written.run, "tokens 200") as (app, pilot):
        await pilot.press("ctrl+s", *"k a [r]")
        app.query_one("#sampling-top_k", Input).value = "5"
        app.query_one("#sampling-seed", Input).value = "7"
        await pilot.press("enter")
        await until(pilot, shows(app, "drawing"))
        await pilot.press("escape")  # leaves the prompt: what was asked for is still drawn
        await pilot.pause()
        assert app.focused is app.query_one(SampleLog)
        assert app.query_one(SamplesPanel).is_sampling
        await pilot.press("escape")
        await pilot.pause()
    sample, cancel = collect(written.run.inbox)
    assert (sample.prompt, sample.top_k, sample.top_p, sample.seed, sample.count) == ("k a [r]", 5, 1.0, 7, None)
    assert isinstance(cancel, Cancel)
    assert app.asked_for_worker == []


async def test_a_wrong_field_is_marked_and_nothing_is_sent(write_run):
    written = write_run()
    written.status(step=5)
    async with viewing(written.run, "tokens 200") as (app, pilot):
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
    async with viewing(written.run, "finished") as (app, pilot):
        await pilot.press("ctrl+s", "a", "enter")
        await until(pilot, shows(app, "loading the model"))
        await pilot.press("b", "enter")
        await pilot.pause()
        assert app.asked_for_worker == [written.run]
        written.status(RunState.FINISHED, step=1000, serving=True)
        asked = [request for request in collect(written.run.inbox) if isinstance(request, Sample)]
        assert [request.prompt for request in asked] == ["a", "ab"]
        for request in asked:
            written.sample(request.id, "answer")
        await until(pilot, lambda: not app.query_one(SamplesPanel).is_sampling)
        assert "loading" not in screen_text(app)


async def test_a_run_without_checkpoints_says_that_it_cannot_be_asked(write_run):
    written = write_run()
    written.status(RunState.FAILED, message="No data.")
    async with viewing(written.run, "No data.") as (app, pilot):
        await pilot.press("ctrl+s", "a", "enter")
        await until(pilot, shows(app, "no checkpoint"))
        assert app.asked_for_worker == []


async def test_a_sample_that_was_left_half_is_shown_as_interrupted(write_run):
    written = write_run()
    written.event("sample_start", 3, id="a", prompt="", count=1, settings={}, unknown=[])
    written.event("sample_text", 3, id="a", index=0, text="half a")
    written.status(RunState.RUNNING, pid=2**22 + 1)
    async with viewing(written.run, "interrupted"):
        pass


async def test_reading_on_is_not_disturbed_by_a_new_sample_above(write_run):
    written = write_run()
    for number in range(20):
        written.sample(f"s{number}", f"text number {number}", step=number)
    written.status()
    async with viewing(written.run, "text number 19") as (app, pilot):
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
    async with viewing(written.run, "sec") as (app, pilot):
        await pilot.press("ctrl+y", "w")
        await pilot.pause()
        assert app.copied == "sec␛ond"
    text = (written.run.path / "samples.txt").read_text()
    assert text.index("first") < text.index("sec␛ond")
