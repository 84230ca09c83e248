"""Training speed of the loop against a plain one, measured by `torchtty.engine.bench` in a process of its own."""

import json
import subprocess
from statistics import median
from typing import Any, NamedTuple

from torchtty.tui.bench.figure import Bar, Figure, span
from torchtty.tui.bench.surroundings import Surroundings, python
from torchtty.tui.bench.terminal import TimedOut

MODELS = {"mlp": "MLP", "mlp-adamw": "MLP", "gpt": "GPT"}
OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}


class Stretches(NamedTuple):
    """How long the loops take turns for, in seconds, and how many times."""

    seconds: float
    times: int


QUICK, FULL = Stretches(0.5, 3), Stretches(1.5, 6)


def measure(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Run `torchtty.engine.bench` and read what it prints."""
    stretches = QUICK if quick else FULL
    with Surroundings() as surroundings:
        answer = subprocess.run(
            python("torchtty.engine.bench", str(stretches.seconds), str(stretches.times), *MODELS),
            env=surroundings.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if answer.returncode:
        raise TimedOut((answer.stderr.strip().splitlines() or ["torchtty.engine.bench failed"])[-1])
    return [_figure(json.loads(line)) for line in answer.stdout.splitlines()]


def _figure(found: dict[str, Any]) -> Figure:
    loop, plain, threads = found["loop"], found["plain"], found["threads"]
    ratios = [ours / theirs for ours, theirs in zip(loop, plain, strict=True)]
    which = f"{MODELS[found['model']]} with {OPTIMIZERS[found['optimizer']]}"
    note = (
        f"{median(loop):,.0f} / {median(plain):,.0f} steps/s, {threads} {'thread' if threads == 1 else 'threads'} each, "
        f"{found['parameters']:,} parameters"
    )
    what = f"training speed headless / plain PyTorch loop, {which}"
    return Figure("speed", what, median(ratios), "x", Bar(1.2, least=True), span(ratios), note)
