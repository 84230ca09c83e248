"""A run's speed while an app watches it, against its speed while none does, in alternating stretches of one run."""

import time
from statistics import median

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.requests import Edit
from torchtty.tui.bench.figure import Bar, Figure, span
from torchtty.tui.bench.terminal import Terminal

CATCH_UP = 0.8  # seconds an app that was frozen gets to read and draw what it missed
UNDISTURBED = {"training.max_steps": 10**9, "training.eval_interval": 10**9, "sampling.interval": 0}


def watched_speed(model: str, terminal: Terminal, run: RunDirectory, *, quick: bool) -> Figure:
    """Return the median ratio of speeds. The app is frozen where none shall watch: only files connect it with the worker."""
    for path, value in UNDISTURBED.items():  # evaluations and samples would hit one stretch and not the next
        run.send(Edit(path=path, value=value))
    pairs, seconds = (2, 1.0) if quick else (6, 2.0)
    tail, ratios = JsonLinesTail(run.metrics_path), []
    time.sleep(CATCH_UP)
    for _ in range(pairs):
        with_app = speed(tail, seconds)
        terminal.freeze()
        time.sleep(CATCH_UP / 2)
        alone = speed(tail, seconds)
        terminal.thaw()
        time.sleep(CATCH_UP)
        ratios.append(with_app / alone)
    what = f"training speed with the app attached / headless, {model}"
    return Figure(
        "speed", what, median(ratios), "x", Bar(0.97, least=True), span(ratios), f"{alone:,.0f} steps/s headless"
    )


def speed(tail: JsonLinesTail, seconds: float) -> float:
    """Return the steps a second that a run makes in the time to come, by the clock of its own metrics."""
    tail.read()
    time.sleep(seconds)
    rows = [row for row in tail.read() if "train_loss" in row]
    assert len(rows) > 1, "the run trains and logs"
    return float((rows[-1]["step"] - rows[0]["step"]) / (rows[-1]["time"] - rows[0]["time"]))
