"""Obeying a record: the dispatcher of a run that replays another one."""

from collections import deque
from collections.abc import Callable

from torchtty.engine.contract.client.replay import Replay, ReplayedEdit
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.requests import Request
from torchtty.engine.training.loop import Loop, steps_of
from torchtty.engine.training.run_writer import RunWriter
from torchtty.engine.worker.requests import Dispatcher


class Replayer(Dispatcher):
    """Makes the edits of a record after the steps at which they were made, and stops after its last step.

    What else the inbox asks for is obeyed, but for edits. Nothing is drawn by itself: that changes nothing in training.
    """

    def __init__(
        self,
        writer: RunWriter,
        acquire_device: Callable[[], bool],
        release_device: Callable[[], None],
        replay: Replay,
        made: int = 0,
    ) -> None:
        """Follow `replay`, of whose edits `made` are in force already."""
        super().__init__(writer, acquire_device, release_device)
        self._replay = replay
        self._edits: deque[ReplayedEdit] = deque(replay.edits[made:])

    @property
    def until(self) -> int:
        """The step after which the next edit was made, or the record ends."""
        return min(self._replay.to, self._edits[0].step) if self._edits else self._replay.to

    def look(self) -> None:
        loop = self._attached()
        self._follow(loop)
        if loop.step >= self._replay.to:
            self.stop_requested = True
        super().look()

    def draw_automatically(self) -> None:
        """Make the edits of this step: after the last one, the record may tell of further steps."""
        self._follow(self._attached())
        self.obey_all()

    def _follow(self, loop: Loop) -> None:
        """Make the edits that are due, and have training end where it ended, whatever ended it."""
        while self._edits and self._edits[0].step <= loop.step:
            edit = self._edits.popleft()
            with loop.aside():
                loop.edit(edit.path, edit.value)
        if loop.step < self._replay.to:  # beyond its last step lies no end: it is stopped there
            ends = (step for step in self._replay.ends if step > loop.step)
            loop.max_steps = min(steps_of(loop.configuration), next(ends, self._replay.to + 1))

    def _attached(self) -> Loop:
        assert self._loop is not None, "training looks for requests, and it has a loop"
        return self._loop

    def _obey(self, request: Request) -> None:
        if isinstance(request, requests.Edit):
            run = self._replay.run
            self._fail(request, f"{request.path} stays as it is: this run replays {run} and follows its record.")
        else:
            super()._obey(request)
