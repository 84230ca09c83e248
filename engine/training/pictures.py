"""Drawing grids of pictures into a run's `media/`, and saying so in its events."""

import itertools
import secrets
from typing import Any

from torchtty.engine.contract.run.events import EventKind
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.run.requests import Command, Sample
from torchtty.engine.sampling.grid import grid_png
from torchtty.engine.training.run_writer import Record
from torchtty.engine.training.sampler import Listen
from torchtty.engine.training.task import DrawsPictures

REAL = "real.png"


class PictureSampler:
    """Does for pictures what `Sampler` does for text."""

    def __init__(self, task: DrawsPictures, record: Record) -> None:
        self.task, self.record = task, record
        self._numbers = itertools.count(1)

    def automatic(self, step: int, listen: Listen) -> list[Command]:  # noqa: ARG002 - a grid is drawn in no time
        """Draw the grid of the noise that stays the same, and once a grid of real pictures; nothing is left to be obeyed."""
        if not (self.record.run.media / REAL).exists() and (real := self.task.real_pictures()) is not None:
            self._keep(real, REAL, "real pictures", source="real")
        self._keep(self.task.fixed_pictures(), f"fixed-{step:06d}.png", f"step {step:,}", source="fixed")
        return []

    def answer(self, command: Sample, listen: Listen) -> list[Command]:  # noqa: ARG002
        """Draw a grid of fresh noise; `texts` of the answer is the path of its file."""
        seed = secrets.randbelow(2**31) if command.seed is None else command.seed
        count = command.count or self._count()
        name = command.id or f"sample-{next(self._numbers)}"
        about = {"id": name, "prompt": ""}
        self.record.event(
            EventKind.SAMPLE_START, **about, count=count, settings={"seed": seed}, unknown=[], automatic=False
        )
        file = f"fresh-{self.record.status.step:06d}-{count}-{seed}.png"
        pictures = self.task.fresh_pictures(count, seed)
        if problem := self._keep(pictures, file, f"fresh noise, seed {seed}", source="fresh", id=name):
            self.record.event(EventKind.SAMPLE_FAILED, id=name, message=problem)
        else:
            texts = [str(self.record.run.media / file)]
            self.record.event(EventKind.SAMPLE_END, **about, texts=texts, known=None, cancelled=False, automatic=False)
        return []

    def _count(self) -> int:
        configuration: Any = self.task.configuration  # type: ignore[attr-defined]
        return int(configuration.sampling.count)

    def _keep(self, pictures: Any, file: str, title: str, **fields: str) -> str:
        """Write a grid and announce it; return why that failed, if it did: training goes on without."""
        path = self.record.run.media / file
        try:
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, grid_png(pictures))
        except OSError as error:
            problem = f"The pictures {file} could not be written: {error.strerror or error}."
            self.record.warn(problem)
            return problem
        self.record.event(EventKind.IMAGES, path=f"media/{file}", title=title, **fields)
        return ""
