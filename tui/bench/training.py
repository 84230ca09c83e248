"""The app in a terminal, and training that it watches or that is prompted."""

import time
from statistics import median

import psutil

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Answered, Event, Progress
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import RunLog, is_about
from torchtty.engine.contract.run.requests import Edit, Sample
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.bench.environment import WARM_UP, Environment, end, python, wait_until
from torchtty.tui.bench.measurements import Bar, Figure, span
from torchtty.tui.bench.terminal import LEAVE, PATIENCE, Terminal

TRAIN = b"\x14"  # ctrl+t
WARM = (r"[\d,]+ params",)  # the estimate stands in the form: the worker has imported torch and answered
FIRST_POINT = (r"── (train|val)\s+\d+\.\d",)
"""A value in the chart's legend, painted with the frame that has the first point."""
LONG_ENOUGH = 200_000  # steps: the recipe's are over within ten seconds
SETTLE = 4.0  # seconds of training before bytes are counted
CATCH_UP = 0.8  # seconds for an app that was frozen to read and draw what it missed
UNDISTURBED = {"training.max_steps": 10**9, "training.eval_interval": 10**9, "sampling.interval": 0}

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


def watched_speed(model: str, terminal: Terminal, run: RunDirectory, *, quick: bool) -> Figure:
    """Return the median ratio of a run's speeds with and without an app, in alternating stretches.

    For the stretches without, the app is frozen: only files connect it with the worker.
    """
    for path, value in UNDISTURBED.items():  # evaluations and samples would slow one stretch and not the next
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
    what, note = f"training speed with the app attached / headless, {model}", f"{alone:,.0f} steps/s headless"
    return Figure("speed", what, median(ratios), "x", Bar(0.97, least=True), span(ratios), note)


def speed(tail: JsonLinesTail, seconds: float) -> float:
    """Return the steps a second of a run over the next seconds, by the times in its metrics."""
    tail.read()
    time.sleep(seconds)
    rows = [row for row in tail.read() if "train_loss" in row]
    assert len(rows) > 1, "the run trains and logs"
    return float((rows[-1]["step"] - rows[0]["step"]) / (rows[-1]["time"] - rows[0]["time"]))


def measure_app(wanted: frozenset[str], *, quick: bool) -> list[Figure]:
    """Open the app, let it idle, press "train", count the bytes it writes, and compare the run's speed with and without it."""
    figures: list[Figure] = []
    reactions: list[float] = []
    with Environment() as environment:
        sessions = 3 if "train" in wanted and not quick else 1
        for number in range(sessions):
            with Terminal(python("torchtty.tui.bench.app", "names-mlp"), environment.variables) as terminal:
                terminal.wait_for(WARM, patience=WARM_UP)
                if number == 0 and "idle" in wanted:
                    figures += idle(terminal, 3.0 if quick else 10.0)
                if wanted & {"train", "bytes", "speed"}:
                    reactions.append(reaction(terminal))
                    if number == sessions - 1:
                        figures += steady(terminal, environment, wanted, quick=quick)
                    end(environment.latest())
                terminal.close(LEAVE)
    if "train" in wanted:
        what = '"train" pressed to first point on the chart, worker warm'
        figures.append(Figure("train", what, median(reactions), "s", Bar(0.3), span(reactions), "MLP, CPU"))
    return figures


def reaction(terminal: Terminal) -> float:
    """Return the seconds from the key to the chart's first point."""
    before = terminal.length
    pressed = terminal.send(TRAIN)
    return terminal.wait_for(FIRST_POINT, since=before) - pressed


def steady(terminal: Terminal, environment: Environment, wanted: frozenset[str], *, quick: bool) -> list[Figure]:
    """Measure bytes and speed while the run trains."""
    figures, run = [], environment.latest()
    run.send(Edit(path="training.max_steps", value=LONG_ENOUGH))
    if "bytes" in wanted:
        time.sleep(SETTLE)
        rates: list[float] = []
        while len(rates) < (3 if quick else 12) and run.status().state is RunState.RUNNING:
            began = time.perf_counter()
            rates.append(terminal.bytes_during(1.0) / (time.perf_counter() - began) / 1000)
        note = f"120x36, names-mlp with {LONG_ENOUGH:,} steps, {len(rates)} s"
        what = "bytes to the terminal in steady training"
        figures.append(Figure("bytes", what, sum(rates) / len(rates), "KB/s", Bar(5.0), span(rates), note))
    if "speed" in wanted:
        figures.append(watched_speed("MLP", terminal, run, quick=quick))
    return figures


def idle(terminal: Terminal, seconds: float) -> list[Figure]:
    """Return the share of a core and the memory that the app takes while nothing happens, without its worker's."""
    process = psutil.Process(terminal.process.pid)
    time.sleep(1.0)
    before, began = process.cpu_times(), time.perf_counter()
    time.sleep(seconds)
    after, passed = process.cpu_times(), time.perf_counter() - began
    share = 100 * (after.user + after.system - before.user - before.system) / passed
    memory = process.memory_info().rss / 1e6
    return [
        Figure("idle", "idle app, share of a core", share, "%", Bar(1.0), note=f"over {passed:.0f} s"),
        Figure("idle", "idle app, resident memory", memory, "MB", Bar(80.0), note="without the worker"),
    ]


def measure_prompts(wanted: frozenset[str], *, quick: bool) -> list[Figure]:
    """Train a GPT in the background, prompt it, and watch it with an app."""
    figures = []
    with Environment() as environment:
        settings = GPT | {path: str(value) for path, value in UNDISTURBED.items()} | {"training.log_interval": "1"}
        run = environment.train("gpt", settings)
        if "sample" in wanted:
            waits = [first_token(run, f"bench-{number}") for number in range(2 if quick else 5)]
            what, note = "first sampled token after a prompt, mid-training", "GPT, 0.8 M parameters, CPU"
            figures.append(Figure("sample", what, median(waits), "s", Bar(0.1), span(waits), note))
        if "speed" in wanted:
            with Terminal(python("torchtty.tui.bench.app", "names-mlp"), environment.variables) as terminal:
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
