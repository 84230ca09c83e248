"""A view and a real worker, connected by nothing but the run directory."""

import os
import signal
from functools import partial

import on_screen
from textual.app import App

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run import directory as run_directory
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings import configuration
from torchtty.tui.run.curves import Curves
from torchtty.tui.run.samples import SamplesPanel
from torchtty.tui.run.view import RunView

until = partial(on_screen.until, seconds=60.0)  # a worker imports torch first


class Host(App[None]):
    """Holds a view and gives its run to a worker when it is asked to."""

    def __init__(self, run, workers):
        super().__init__()
        self.trained, self.real_workers = run, workers

    def compose(self):
        yield RunView()

    def on_mount(self):
        self.query_one(RunView).show(self.trained)
        self.query_one(RunView).focus_curves()

    def on_run_view_needs_worker(self, event):
        self.real_workers.start(event.run, Mode.SERVE)

    def on_run_view_resume_requested(self, event):
        self.real_workers.start(event.run, Mode.RESUME, **event.edits)


async def test_train_prompt_kill_prompt_and_resume(workers, release):
    flags = {"training.max_steps": "100000", "training.checkpoint_interval": "50", "sampling.interval": "100"}
    run = run_directory.create(configuration.with_flags(configuration.starting_tree("mlp"), flags))
    worker = workers.start(run)
    app = Host(run, workers)
    async with app.run_test(size=(120, 36)) as pilot:
        view = app.query_one(RunView)
        panel = app.query_one(SamplesPanel)

        def answers():
            return [record for record in panel.history.records if record.done and not record.automatic]

        def curve():
            return app.query_one(Curves).chart("loss").spec.series[0]

        await until(pilot, lambda: view.snapshot and view.snapshot.state is RunState.RUNNING and len(curve()) > 3)
        await pilot.press("ctrl+s", *"mar", "enter")
        await until(pilot, lambda: len(answers()) == 1)
        assert len(answers()[0].known) == 10
        assert view.snapshot.state is RunState.RUNNING, "it trains on"
        await pilot.press("escape", "space")
        await until(pilot, lambda: view.snapshot.state is RunState.PAUSED)
        paused_at = view.snapshot.status.step
        await until(pilot, lambda: bool(run.checkpoints()))

        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
        await until(pilot, lambda: view.snapshot.state is RunState.LOST, seconds=5)

        await pilot.press("ctrl+s", "i", "enter")  # the prompt that is still there is selected, so typing replaces it
        await until(pilot, lambda: len(answers()) == 2)
        assert answers()[0].prompt == "i"
        release(run)
        await until(pilot, lambda: not view.snapshot.status.serving)

        await pilot.press("escape", "r", "enter")
        await until(pilot, lambda: view.snapshot.state is RunState.RUNNING and view.snapshot.status.step > paused_at)
        steps = [curve().x(index) for index in range(len(curve()))]
        assert steps == sorted(set(steps)), "the curve goes on where the checkpoint was, with no step twice"
        await pilot.press("ctrl+x")
        await until(pilot, lambda: view.snapshot.state is RunState.STOPPED)
        release(run)
