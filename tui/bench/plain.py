"""Training speed of the loop against a plain one, measured by `engine.bench` in a process of its own."""

import json
import subprocess
from statistics import median
from typing import Any

from tui.bench.figure import Bar, Figure, span
from tui.bench.surroundings import Surroundings, python
from tui.bench.terminal import TimedOut

MODELS = {"mlp": "MLP", "mlp-adamw": "MLP", "gpt": "GPT"}
OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}


def measure(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Run `engine.bench` and read what it prints."""
    seconds, count = (0.5, 2) if quick else (1.5, 6)
    with Surroundings() as surroundings:
        answer = subprocess.run(
            python("engine.bench", str(seconds), str(count), *MODELS),
            env=surroundings.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if answer.returncode:
        raise TimedOut((answer.stderr.strip().splitlines() or ["engine.bench failed"])[-1])
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
