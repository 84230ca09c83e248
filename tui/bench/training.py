"""The app in a terminal: opening it, and training that it watches, that is prompted, or that a plain PyTorch loop competes with."""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Answered, Event, Progress
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import RunLog, is_about
from torchtty.engine.contract.run.requests import Edit, Sample
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.bench.environment import WARM_UP, Environment, end, python, wait_until
from torchtty.tui.bench.measurements import Bar, Figure, span
from torchtty.tui.bench.terminal import PATIENCE, Terminal, TimedOut

FORM = (r"Recipe", r"n_embd\s+\d", r"Train \^t", r"\^q quit")
"""What shows that the form stands with the focus on its button: pickers, a setting with its value, the button, the keys."""
TRAIN, LEAVE = b"\x14", b"\x11"  # ctrl+t, ctrl+q
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

PLAIN = {
    "mlp": ("MLP", 2.0, False),
    "mlp-adamw": ("MLP", 2.0, False),
    "gpt-0.1m": ("GPT", 1.2, False),
    "gpt-0.8m": ("GPT", 1.05, False),
    "gpt-10m": ("GPT", 1.0, True),
    "gpt-10m-auto": ("GPT", 2.0, True),
}
"""What is held against a plain loop: title, the least ratio, and whether it takes too long for a quick measurement."""
QUICK, FULL = ("0.5", "3"), ("1.5", "6")  # seconds for which a loop and a plain one take turns, and how many times
LARGE = ("8", "3")
QUICK_BUSY, BUSY = ("3", "1"), ("10", "3")
OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}


def measure_start(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Open the app several times and import torch in between, so that a busy moment hits both."""
    opened, imported = [], []
    with Environment() as environment:
        # The first of both is not counted: modules are compiled and files read from the disk.
        import_of_torch(environment)
        seconds_until_usable(environment)
        for number in range(2 if quick else 5):
            if number < (1 if quick else 3):
                imported.append(import_of_torch(environment))
            opened.append(seconds_until_usable(environment))
    usable, torch = median(opened), median(imported)
    note = f"import torch takes {torch:.2f} s"
    return [
        Figure("start", "app usable, from command to first paint with focus", usable, "s", Bar(0.7), span(opened)),
        Figure("start", "the same, as a share of `import torch`", usable / torch, "", Bar(1 / 6), note=note),
    ]


def seconds_until_usable(environment: Environment) -> float:
    """Return the seconds from the spawn of the command to the paint that completes the form."""
    with Terminal(python("torchtty.tui.main"), environment.variables) as terminal:
        at = terminal.wait_for(FORM)
        terminal.close(LEAVE)
    return at - terminal.spawned


def import_of_torch(environment: Environment) -> float:
    """Return the seconds that a Python takes to import torch and end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], env=environment.variables, check=True)
    return time.perf_counter() - began


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
        figures.append(Figure("train", what, median(reactions), "s", Bar(0.5), span(reactions), "MLP, CPU"))
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
        Figure("idle", "idle app, resident memory", memory, "MB", Bar(120.0), note="without the worker"),
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
            figures.append(Figure("sample", what, median(waits), "s", Bar(0.3), span(waits), note))
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


def measure_plain_loop(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Train in our loop and in a plain one, on an idle machine and beside a busy program."""
    models = [name for name, (_, _, long) in PLAIN.items() if not (quick and long)]
    if not has_bfloat16():
        models = [name for name in models if not name.endswith("-auto")]
    large = [name for name in models if name.startswith("gpt-10m")]
    small = [name for name in models if name not in large]
    figures = [_against_plain(found) for found in _asked(*(QUICK if quick else FULL), *small)]
    if large:
        figures += [_against_plain(found) for found in _asked(*LARGE, *large)]
    for found in _asked("--busy", *(QUICK_BUSY if quick else BUSY), "gpt-0.8m"):
        figures += _beside_a_neighbour(found)
    return figures


def _asked(*arguments: str) -> list[dict[str, Any]]:
    with Environment() as environment:
        command = python("torchtty.engine.bench", *arguments)
        answer = subprocess.run(command, env=environment.variables, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise TimedOut((answer.stderr.strip().splitlines() or ["torchtty.engine.bench failed"])[-1])
    return [json.loads(line) for line in answer.stdout.splitlines()]


def _against_plain(found: dict[str, Any]) -> Figure:
    loop, plain = found["loop"]["timed"], found["plain"]
    ratios = [ours / theirs for ours, theirs in zip(loop, plain, strict=True)]
    title, bar = _title(found), PLAIN[found["model"]][1]
    threads = f"{_threads(found['threads'])} / {found['plain_threads']}"
    note = f"{_speed(loop)} / {_speed(plain)} steps/s, {threads}, {found['precision']}"
    what = f"training speed headless / plain PyTorch loop with torch's own threads, {title}"
    return Figure("speed", what, median(ratios), "x", Bar(bar, least=True), span(ratios), note)


def _beside_a_neighbour(found: dict[str, Any]) -> list[Figure]:
    speeds = {name: median(each) for name, each in found["loop"].items()}
    ours, plain = speeds.pop("timed"), median(found["plain"])
    best = max(speeds.values())
    each = ", ".join(f"{_threads(int(count))} {_speed([speed])}" for count, speed in speeds.items())
    note = f"steps/s: timed {_speed([ours])}, {each}, plain loop {_speed([plain])}"
    title = f"beside a program that takes a core, {_title(found)}"
    return [
        Figure(
            "speed",
            f"threads by timing / best fixed number, {title}",
            ours / best,
            "x",
            Bar(0.95, least=True),
            note=note,
        ),
        Figure("speed", f"headless / plain PyTorch loop, {title}", ours / plain, "x", Bar(1.0, least=True)),
    ]


def _title(found: dict[str, Any]) -> str:
    auto = ", precision auto" if found["model"].endswith("-auto") else ""
    return (
        f"{PLAIN[found['model']][0]} with {OPTIMIZERS[found['optimizer']]} ({found['parameters']:,} parameters{auto})"
    )


def _threads(count: int) -> str:
    return f"{count} {'thread' if count == 1 else 'threads'}"


def _speed(speeds: list[float]) -> str:
    return f"{median(speeds):,.3g}" if median(speeds) < 100 else f"{median(speeds):,.0f}"


def has_bfloat16() -> bool:
    """Whether this CPU computes products of bfloat16 tiles, as the bar of `auto` supposes."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def measure_seeds(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Run `torchtty.engine.bench.seeds` and read what it prints."""
    command = python("torchtty.engine.bench.seeds", *(QUICK if quick else FULL))
    with Environment() as environment:
        answer = subprocess.run(command, env=environment.variables, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise TimedOut((answer.stderr.strip().splitlines() or ["torchtty.engine.bench.seeds failed"])[-1])
    found = json.loads(answer.stdout)
    ratios = [alone / together for alone, together in zip(found["solo"], found["group"], strict=True)]
    note = (
        f"{median(found['group']):,.0f} steps/s of {found['members']} members, {median(found['solo']):,.0f} of one; "
        f"{found['parameters']:,} parameters, {found['how']}"
    )
    what = "ten MLP seeds at once / one run by itself, time of a training step"
    return [Figure("seeds", what, median(ratios), "x", Bar(1.6), span(ratios), note)]
