"""What a worker does for each kind of request: a generator that yields progress and returns the answer.

A generator that can be broken off catches `Interrupted` and returns what it has.
"""

import itertools
import json
import secrets
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LensEntry, lens_named
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.events import Answered, Images, Progress, SampleDrawn, SampleStart, Started
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.settings.family import Feature
from torchtty.engine.devices import out_of_memory_means, random_state_kept
from torchtty.engine.lenses.subject import Moment, at_checkpoint, refuse_diverged, set_apart
from torchtty.engine.sampling.grid import grid_png
from torchtty.engine.sampling.text import SampleRequest, SampleResult
from torchtty.engine.training.held_out import evaluated
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.run_writer import RunWriter
from torchtty.engine.training.task import (
    CarriesArchitecture,
    DrawsPictures,
    ExposesModel,
    WritesText,
)

REAL = "real.png"
LARGEST_LINE = 16 * 1024  # bytes of a result that stands in the event itself
_ARTIFACTS = itertools.count(1)


class Interrupted(Exception):
    """Raised inside the work on a request that is broken off."""


@dataclass(frozen=True)
class Answer:
    """What a request came to: a sample, or a result as JSON values, which goes to a `file` of the run's media if one is named."""

    sample: SampleDrawn | None = None
    result: dict[str, Any] | None = None
    file: str = ""

    def event(self, writer: RunWriter, id: str, kind: str, seconds: float) -> Answered:
        """Return the event that announces the answer; a large result is written to a file of the run first."""
        answered = Answered(sample=self.sample, result=self.result, seconds=round(seconds, 3))
        if self.result is None or (len(text := json.dumps(self.result)) <= LARGEST_LINE and not self.file):
            return answered
        file = self.file or f"{kind}-{writer.status.step:06d}-{next(_ARTIFACTS)}-{id[:12]}.json"
        path = writer.run.media / file
        try:
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, text)
        except OSError as error:
            raise UserError(f"The result could not be written: {error.strerror or error}.") from None
        return answered.model_copy(update={"result": None, "artifact": f"media/{file}"})


Work = Generator[Started | Progress | None, None, Answer | None]
"""Yields what is to be reported; None where there is nothing to report, and the work can be broken off."""
Compute = Callable[..., Generator[Progress, None, dict[str, Any]]]


def _sample(loop: Loop, request: requests.Sample) -> Work:
    if isinstance(loop.task, DrawsPictures):
        return _draw_fresh(loop, loop.task, request)
    if not isinstance(loop.task, WritesText):
        raise UserError("This model draws no samples.")
    own = loop.task.automatic_sample()
    wanted = SampleRequest(
        prompt=own.prompt if request.prompt is None else request.prompt,
        count=request.count or own.count,
        max_tokens=request.max_tokens or own.max_tokens,
        temperature=own.temperature if request.temperature is None else request.temperature,
        top_k=own.top_k if request.top_k is None else request.top_k or None,
        top_p=own.top_p if request.top_p is None else request.top_p,
        seed=request.seed,
    )
    return _write_text(loop.task, wanted, automatic=False)


def draw_automatically(loop: Loop) -> Work:
    """Draw what a run draws by itself: text, or the grid of the noise that stays the same and once one of real pictures."""
    if isinstance(loop.task, WritesText):
        return _write_text(loop.task, loop.task.automatic_sample(), automatic=True)
    return _draw_fixed(loop)


def _write_text(task: WritesText, wanted: SampleRequest, *, automatic: bool) -> Work:
    result = SampleResult(texts=[""] * wanted.count)
    pieces = task.sample(wanted, result)
    settings = {name: getattr(wanted, name) for name in ("temperature", "top_k", "top_p", "max_tokens", "seed")}
    start = SampleStart(prompt=wanted.prompt, count=wanted.count, settings=settings, automatic=automatic)
    try:
        first = next(pieces, None)  # only then is it known what of the prompt the vocabulary lacks
        yield Started(sample=start.model_copy(update={"unknown": tuple(result.unknown)}))
        for piece in itertools.chain([first] if first else [], pieces):
            yield Progress(index=piece.index, text=piece.text)
    except Interrupted:
        pass
    finally:
        pieces.close()
    known = tuple(result.known) if result.known is not None else None
    return Answer(SampleDrawn(prompt=wanted.prompt, texts=tuple(result.texts), known=known, automatic=automatic))


def _draw_fixed(loop: Loop) -> Work:
    task, writer = loop.task, loop.writer
    if isinstance(task, DrawsPictures):
        if not (writer.run.media / REAL).exists() and (real := task.real_pictures()) is not None:
            _store_grid(writer, real, Images(path=f"media/{REAL}", title="real pictures", source="real"))
        title = f"step {loop.step:,}"
        _store_grid(
            writer, task.fixed_pictures(), Images(path=f"media/fixed-{loop.step:06d}.png", title=title, source="fixed")
        )
    return None
    yield  # a grid is drawn at once: there is no progress


def _draw_fresh(loop: Loop, task: DrawsPictures, request: requests.Sample) -> Work:
    """Draw a grid of fresh noise; the text of its sample is the path of its file."""
    seed = secrets.randbelow(2**31) if request.seed is None else request.seed
    count = request.count or task.grid_size
    yield Started(sample=SampleStart(count=count, settings={"seed": seed}))
    path = f"media/fresh-{loop.step:06d}-{count}-{seed}.png"
    about = Images(path=path, title=f"fresh noise, seed {seed}", source="fresh", id=request.id)
    if problem := _store_grid(loop.writer, task.fresh_pictures(count, seed), about):
        raise UserError(problem)
    return Answer(SampleDrawn(texts=(str(loop.writer.run.path / path),)))


def _store_grid(writer: RunWriter, pictures: Any, about: Images) -> str:
    """Write a grid and announce it; return why that failed, if it did: training goes on without."""
    path = writer.run.path / about.path
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, grid_png(pictures))
    except OSError as error:
        problem = f"The pictures {path.name} could not be written: {error.strerror or error}."
        writer.warn(problem)
        return problem
    writer.event(about)
    return ""


def _export(loop: Loop, request: requests.Export) -> Work:
    if not isinstance(loop.task, CarriesArchitecture):
        raise UserError("This model cannot be exported: no other program reads its form.")
    yield Started()
    files = loop.task.export(Path(request.path))
    return Answer(result={"path": request.path, "files": files})


def _edit(loop: Loop, request: requests.Edit) -> Work:
    old = loop.edit(request.path, request.value)
    return Answer(result={"path": request.path, "value": request.value, "old": old})
    yield  # done at once


def _checkpoint(loop: Loop, request: requests.Checkpoint) -> Work:  # noqa: ARG001
    loop.checkpoint()
    if loop.step not in loop.run.checkpoints():
        raise UserError(f"The checkpoint of step {loop.step:,} could not be written. Training goes on.")
    return Answer(result={"step": loop.step})
    yield  # done at once


def _test(loop: Loop, request: requests.Test) -> Work:  # noqa: ARG001
    yield Started()
    loop.writer.note(step=loop.step)  # which events are stamped with
    try:
        tested = yield from evaluated(loop)
    except Interrupted:
        return None
    loop.writer.change(test=tested.metrics, test_step=tested.weights_step)
    loop.writer.event(tested)
    return Answer(result=tested.model_dump(include={"metrics", "weights", "weights_step"}))


def _lens(loop: Loop, request: requests.Lens) -> Work:
    lens = lens_named(request.name)
    if refusal := lens.refusal(loop.family, loop.configuration.model):
        raise UserError(refusal)
    if Feature.NETWORK in lens.needs and not isinstance(loop.task, ExposesModel):
        raise UserError(f"The lens {lens.name} looks into a network, and this model has none.")
    options = lens.complete(request.options)
    if not request.live:
        yield Started()
    loop.writer.note(step=loop.step)  # which events are stamped with
    try:
        with (
            random_state_kept(),
            out_of_memory_means(f"There is not enough memory for the lens {lens.name} beside the model."),
        ):
            steps = _computed(loop, lens, options)
            result = yield from _unreported(steps) if request.live else steps
    except Interrupted:
        return None
    except UserError:
        raise
    except Exception as error:  # a lens runs parts of a model in ways it was not made for: that must never end a run
        traceback.print_exc()
        problem = f"{type(error).__name__}: {error}"
        raise UserError(f"The lens {lens.name} fails on this model: {problem}. See worker.log.") from None
    return Answer(result=result, file=f"lens-{lens.name}.json" if request.live else "")


def _unreported(steps: Generator[Progress, None, dict[str, Any]]) -> Generator[None, None, dict[str, Any]]:
    """Go through the work on something without its progress: a run that is looked at for hours would tell of nothing else."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: dict[str, Any] = end.value
            return result
        yield


def _computed(loop: Loop, lens: LensEntry, options: dict[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Compute a lens on a copy of the model, so that training goes on as if nobody had looked."""
    compute: Compute = import_module(f"torchtty.engine.lenses.{lens.name}").compute
    if lens.reads_checkpoints:
        if lens.reads_weights and options.get("step") is None:
            refuse_diverged(loop.task)
        return (yield from compute(set_apart(loop.task), options, Moment(loop.run, loop.step)))
    step = options.pop("step")
    task = set_apart(loop.task) if step is None else at_checkpoint(loop.task, loop.run, step)
    if lens.reads_weights:
        refuse_diverged(task)
    result = yield from compute(task, options)
    return result if step is None else result | {"checkpoint": step}


ANSWERS: dict[type[Any], Callable[[Loop, Any], Work]] = {
    requests.Sample: _sample,
    requests.Export: _export,
    requests.Edit: _edit,
    requests.Checkpoint: _checkpoint,
    requests.Lens: _lens,
    requests.Test: _test,
}
