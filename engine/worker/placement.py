"""On which devices a worker computes: chosen once, locked while it trains, shared with other processes where a run asks for it."""

import time
from collections.abc import Callable, Sequence

import torch

from torchtty.engine.contract.client.workers import Torchrun
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.training import LanguageTraining, TrainingBase
from torchtty.engine.devices import choose_device, gpu_uuid, open_device
from torchtty.engine.training.run_writer import RunWriter
from torchtty.engine.training.sharing import PARK, UNPARK, RankLost, SharesItsSteps, refuse_unshared
from torchtty.engine.training.task import Task
from torchtty.engine.worker.device_queue import JointLock, free_device
from torchtty.engine.worker.ranks import Crew, devices_of_torchrun
from torchtty.engine.worker.requests import Dispatcher

POLL = 0.05  # seconds between two looks at the queue


class Placement:
    """The devices of one worker's run."""

    def __init__(self, writer: RunWriter, sweep: str, torchrun: Torchrun | None) -> None:
        """`sweep` is the folder of the group that the run is part of, "" for none; `torchrun` tells of the processes that
        torchrun has started with this one, if it has.
        """
        self._writer, self._sweep, self._torchrun = writer, sweep, torchrun
        self.device = torch.device("cpu")
        self._shared_by: tuple[str, ...] = ()  # the devices of this machine that share each batch, if several do
        self._lock: JointLock | None = None
        self._crew: Crew | None = None  # the processes on them

    def choose(self, configuration: Configuration, *, trains: bool) -> Configuration:
        """Choose the device, for as long as this worker works on the run; return the configuration that names it.

        Where the run `trains`, it is one that is free, if any is, and may be several. Raises `UserError`.
        """
        training = configuration.sections()["training"]
        if isinstance(training, TrainingBase):
            if trains and self._torchrun is not None:
                self._shared_by = devices_of_torchrun(training.device, self._torchrun)
            elif trains and isinstance(training, LanguageTraining):
                self._shared_by = training.shared_by
            if self._shared_by:
                self.device, *_ = (choose_device(each) for each in self._shared_by)
            else:
                self.device = free_device(training.device) if trains else choose_device(training.device)
            configuration = placed_on(configuration, self.device)
        self._writer.note(device=str(self.device), gpu=gpu_uuid(self.device))
        return configuration

    def take(self, requests: Dispatcher) -> bool:
        """Take the devices for training, in the queue if another run holds them. Returns False if told to stop meanwhile."""
        devices = self._shared_by or (str(self.device),)
        self._lock = JointLock([(each, gpu_uuid(torch.device(each))) for each in devices], self._sweep)
        requests.advance = self._lock.advance
        return self.acquire(requests)

    def open(self) -> None:
        """Make the device the current one, and start those that share each batch. Raises `UserError`."""
        open_device(self.device)
        if self._torchrun is not None:
            self._crew = Crew.of_torchrun(self._torchrun)
        elif self._shared_by:
            self._crew = Crew.started(self._shared_by)

    def share(self, task: Task) -> tuple[str, ...]:
        """Wait for the processes that share a task's steps, if there are any; return notes on them. Raises `UserError`."""
        if self._crew is None:
            return ()
        refuse_unshared(task, self._crew.size)
        assert isinstance(task, SharesItsSteps)
        task.share_with(self._crew.join(self.device))
        return (self._crew.in_words(),)

    def acquire(self, requests: Dispatcher) -> bool:
        """Take the devices again after `release`. Returns False if told to stop meanwhile."""
        assert self._lock is not None
        name, obey = self._writer.run.name, requests.obey_all
        if not take_turn(self._lock, name, [self._writer], obey, lambda: requests.stop_requested):
            return False
        if self._crew is not None:
            self._crew.order(UNPARK)
        return True

    def release(self) -> None:
        """Leave the devices to others."""
        if self._crew is not None:
            self._crew.order(PARK)
        if self._lock is not None:
            self._lock.release()

    def why_lost(self, error: RankLost) -> str:
        """Say which of the processes that share each batch has gone, and why."""
        assert self._crew is not None
        return self._crew.why_lost(error)

    def dismiss(self, *, lost: bool = False) -> None:
        """Let the other processes go; end them where one is `lost` or this one fails."""
        crew, self._crew = self._crew, None
        if crew is not None:
            crew.close(lost=lost)

    def close(self) -> None:
        """Let go of everything, whatever happened."""
        self.dismiss(lost=True)
        if self._lock is not None:
            self._lock.release()


def take_turn(
    lock: JointLock,
    name: str,
    writers: Sequence[RunWriter],
    obey: Callable[[], None],
    told_to_stop: Callable[[], bool],
) -> bool:
    """Take a device for `name`; while another run holds it, stand in the queue, say so, and `obey` what is asked.

    Returns False if told to stop meanwhile.
    """
    queued = acquired = False
    while not lock.try_acquire(name):
        holder, place = str(lock.holder() or ""), lock.place()
        for writer in writers:
            status = writer.status
            if not queued or (holder and holder != status.waiting_for):
                writer.note(waiting_for=holder, place=place)
                writer.state(RunState.QUEUED, f"Waiting for {holder or 'another run'}, which uses {status.device}.")
            elif place != status.place:
                writer.change(place=place)
        queued = True
        obey()
        if told_to_stop():
            lock.leave_queue()
            break
        time.sleep(POLL)
    else:
        acquired = True
    for writer in writers:
        writer.note(waiting_for="", place=0)
    return acquired


def placed_on(configuration: Configuration, device: torch.device) -> Configuration:
    """Return the configuration with the device that was chosen for it."""
    training = configuration.sections()["training"].model_copy(update={"device": str(device)})
    return configuration.model_copy(update={"training": training})
