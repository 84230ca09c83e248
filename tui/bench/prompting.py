"""A GPT that trains on the CPU: its speed with and without an app, and how soon it answers a prompt in mid-training."""

import time
from statistics import median

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Answered, Event, Progress
from torchtty.engine.contract.run.log import RunLog, is_about
from torchtty.engine.contract.run.requests import Sample
from torchtty.tui.bench.figure import Bar, Figure, span
from torchtty.tui.bench.live import WARM
from torchtty.tui.bench.surroundings import WARM_UP, Surroundings, python, wait_until
from torchtty.tui.bench.terminal import PATIENCE, Terminal
from torchtty.tui.bench.watched import UNDISTURBED, watched_speed

GPT = {
    "model.n_layer": "4",
    "model.n_head": "4",
    "model.n_embd": "128",
    "model.block_size": "64",
    "data.dataset": "python-docs",
    "training.batch_size": "12",
    "training.device": "cpu",
}
"""0.8 million parameters."""


def measure(wanted: frozenset[str], *, quick: bool) -> list[Figure]:
    """Train a GPT in the background, prompt it, and watch it with an app."""
    figures = []
    with Surroundings() as surroundings:
        settings = GPT | {path: str(value) for path, value in UNDISTURBED.items()} | {"training.log_interval": "1"}
        run = surroundings.train("gpt", settings)
        if "sample" in wanted:
            waits = [first_token(run, f"bench-{number}") for number in range(2 if quick else 5)]
            what = "first sampled token after a prompt, mid-training"
            figures.append(
                Figure("sample", what, median(waits), "s", Bar(0.3), span(waits), "GPT, 0.8 M parameters, CPU")
            )
        if "speed" in wanted:
            with Terminal(python("torchtty.tui.bench.app", "names-mlp"), surroundings.environment) as terminal:
                terminal.wait_for((*WARM, run.name), patience=WARM_UP)
                figures.append(watched_speed("GPT", terminal, run, quick=quick))
                terminal.close()
    return figures


def first_token(run: RunDirectory, id: str) -> float:
    """Return the seconds from dropping a prompt into the inbox to the first piece of text in the events."""
    log = RunLog(run, with_metrics=False)
    found: list[Event] = []
    log.read()

    def written() -> bool:
        found.extend(event for event in log.read().events if is_about(event, id))
        return any(isinstance(event, Progress) for event in found)

    began = time.perf_counter()
    run.send(Sample(id=id, prompt="the ", count=1, max_tokens=30))
    wait_until(written, "the first token", 60.0, look_every=0.002)
    took = time.perf_counter() - began
    wait_until(lambda: written() and isinstance(found[-1], Answered), "the sample's end", PATIENCE * 4)
    return took
