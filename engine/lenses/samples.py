"""The lens samples: the same prompt and seed at every checkpoint, so that only what was learnt meanwhile makes the difference."""

from collections.abc import Generator, Mapping
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.memory import is_remembered, remember, rows
from torchtty.engine.lenses.subject import Moment, apart_over, thinned
from torchtty.engine.lenses.text import text_task
from torchtty.engine.sampling.text import SampleRequest, SampleResult

CHECKPOINTS, SHOWN = 12, 24
LONGEST = 2000  # characters of a text that are kept


def compute(task: Any, options: Mapping[str, Any], moment: Moment) -> Generator[Progress, None, dict[str, Any]]:
    """Return `steps` (S) and `texts` (S lists of texts), of the checkpoints there are, of the moments that were looked at,
    and of the model as it is now, the last.
    """
    task = text_task(task)
    own = task.automatic_sample()
    request = SampleRequest(
        prompt=options["prompt"] or own.prompt,
        count=options["count"],
        max_tokens=options["tokens"],
        temperature=options["temperature"],
        top_k=own.top_k,
        top_p=own.top_p,
        seed=options["seed"],
    )
    about = f"samples {request}"
    steps = [step for step in thinned(moment.run.checkpoints(), CHECKPOINTS) if step != moment.step]
    steps = [step for step in steps if not is_remembered(moment.run.path, about, step)]
    for done, (step, then) in enumerate(apart_over(task, moment.run, steps)):
        texts = yield from _drawn(then, request, done, len(steps) + 1)
        remember(moment.run.path, about, step, {"texts": texts})
    texts = yield from _drawn(task, request, len(steps), len(steps) + 1)
    remember(moment.run.path, about, moment.step, {"texts": texts})
    known = rows(moment.run.path, about)
    shown = thinned(list(known), SHOWN)
    return {
        "steps": shown,
        "texts": [known[step]["texts"] for step in shown],
        "prompt": request.prompt,
        "items": task.data.terminator is not None,
    }


def _drawn(task: Any, request: SampleRequest, done: int, total: int) -> Generator[Progress, None, list[str]]:
    """Draw the texts of one checkpoint, yielding now and then so that they can be cancelled."""
    result = SampleResult()
    for number, _ in enumerate(task.sample(request, result)):
        if number % 20 == 0:
            yield Progress(done=done, total=total)
    if not result.texts:
        raise UserError("The model drew no text.")
    return [text[:LONGEST] for text in result.texts]
