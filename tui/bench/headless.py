"""Training without an app: our loop, a plain PyTorch loop beside it, a busy neighbour, and ten seeds at once."""

import json
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

from torchtty.tui.bench.environment import Environment, python
from torchtty.tui.bench.measurements import Bar, Figure, span
from torchtty.tui.bench.terminal import TimedOut

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
    shares = " and ".join(map(str, found["shares"]))
    note = (
        f"{median(found['group']):,.0f} steps/s of {found['members']} members, {median(found['solo']):,.0f} of one; "
        f"{found['parameters']:,} parameters; {shares} members on as many cores, {found['how']}"
    )
    what = "ten MLP seeds at once / one run by itself, time of a training step"
    return [Figure("seeds", what, median(ratios), "x", Bar(1.6), span(ratios), note)]
