"""What a run in training does when it is told to: commands are read between two steps."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.events import EventKind
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import ConfigurationError, parse, specs, with_value
from torchtty.engine.training.pictures import PictureSampler
from torchtty.engine.training.sampler import Sampler
from torchtty.engine.training.task import CarriesArchitecture, DrawsPictures

if TYPE_CHECKING:
    from torchtty.engine.training.loop import Loop

COMMAND_INTERVAL = 0.05  # seconds between two looks into the inbox


class Steering:
    """Obeys the commands in a run's inbox on behalf of its loop."""

    def __init__(self, loop: "Loop", acquire_device: Callable[[], bool], release_device: Callable[[], None]) -> None:
        self.loop, self.task, self.record = loop, loop.task, loop.record
        self.sampler = (
            PictureSampler(self.task, self.record)
            if isinstance(self.task, DrawsPictures)
            else Sampler(self.task, self.record)
        )
        self.stop_requested = False
        self._acquire_device, self._release_device = acquire_device, release_device
        self._paused = False
        self._looked = 0.0

    def look(self) -> None:
        """Read the inbox if it is time to; return once the run is to go on, or to stop."""
        now = time.perf_counter()
        if now - self._looked < COMMAND_INTERVAL:
            return
        self._looked = now
        self.handle()
        if self._paused and not self.stop_requested:
            self._wait_while_paused()

    def handle(self) -> None:
        """Do what the inbox asks for."""
        for command in commands.collect(self.record.run.inbox):
            if isinstance(command, str):
                self.record.warn(command)
            else:
                self._obey(command)

    def _obey(self, command: commands.Command) -> None:
        match command:
            case commands.Pause():
                self._paused = True
            case commands.Resume():
                self._paused = False
            case commands.Stop():
                self.stop_requested = True
            case commands.Checkpoint():
                self.loop.checkpoint()
            case commands.Edit():
                self.edit(command.path, command.value)
            case commands.Sample():
                self._sample(command)
            case commands.Export():
                self.export(command)
            case commands.CancelSample():
                pass  # it has ended already: one that is being drawn hears of it through `interruptions`
            case commands.Release():
                pass  # only a worker that has finished training lets go of its model

    def _wait_while_paused(self) -> None:
        self.loop.metrics.fetch()
        with self.loop.metrics.aside():
            self.loop.note()
            self._release_device()
            self.record.state(RunState.PAUSED)
            while self._paused and not self.stop_requested:
                time.sleep(COMMAND_INTERVAL)
                self.handle()
            if not self.stop_requested:
                self._acquire_device()
                self._paused = False
                self.record.state(RunState.RUNNING)

    # -- settings -------------------------------------------------------------------------------------------------

    def edit(self, path: str, value: Any) -> None:
        """Change a live setting, or warn why it cannot be."""
        configuration = self.loop.configuration
        tree = configuration.tree()
        live = {spec.path for spec in specs(configuration.kind, tree) if spec.live}
        if path not in live:
            self.record.warn(f"{path} cannot be changed while training runs.")
            return
        section, _, field = path.partition(".")
        old = tree[section][field]
        try:
            changed = parse(with_value(tree, path, value))
        except ConfigurationError as error:
            self.record.warn(f"The change was refused: {error}.")
            return
        self.loop.configure(changed)
        if path == "training.max_steps":
            self.loop.max_steps = max(int(value), self.loop.step)
        self.loop.note()
        self.record.event(EventKind.EDIT, path=path, value=value, old=old)

    # -- samples and exports --------------------------------------------------------------------------------------

    def _sample(self, command: commands.Sample) -> None:
        self.loop.metrics.fetch()
        with self.loop.metrics.aside():
            self.record.flush()
            pending = self.sampler.answer(command, self.interruptions)
        for later in pending:
            self._obey(later)

    def sample_unasked(self) -> None:
        """Draw what is drawn now and then during training."""
        self.loop.metrics.fetch()
        with self.loop.metrics.aside():
            pending = self.sampler.automatic(self.loop.step, self.interruptions)
        for later in pending:
            self._obey(later)

    def interruptions(self) -> list[commands.Command]:
        """Return the commands that came while a sample is being drawn."""
        found = list(commands.collect(self.record.run.inbox))
        for message in found:
            if isinstance(message, str):
                self.record.warn(message)
        return [command for command in found if not isinstance(command, str)]

    def export(self, command: commands.Export) -> None:
        """Write the model as it is now into a new folder that other programs read."""
        with self.loop.metrics.aside():
            try:
                if not isinstance(self.task, CarriesArchitecture):
                    raise UserError("Only GPT-2 can be exported: no other program reads this model's form.")
                files = self.task.export(Path(command.path))
            except UserError as error:
                self.record.event(EventKind.EXPORT_FAILED, id=command.id, message=str(error))
            else:
                self.record.event(EventKind.EXPORTED, id=command.id, path=command.path, files=files)
