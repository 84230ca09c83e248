"""Timing ways to compute a step against each other, on the run's own steps, and saying what takes a while."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import TypeVar

ROUNDS = 3  # in which every way is timed once
TIMED_FOR = 0.02  # seconds of steps that one timing takes at least
SLOW_STEP = 0.3  # seconds of a step above which a trial is short: one round less, and no step to get going
HOPELESS = 1.5  # times the quickest, above which a way is not timed again

Way = TypeVar("Way", int, str)


def timed_in_turn(
    ways: Sequence[Way], use: Callable[[Way], object], rehearse: Callable[[], object], *, in_force: Way | None = None
) -> dict[Way, float]:
    """Return the median seconds of a step each way, timed in turn so that a busy moment meets all of them.

    `use` has the steps that follow computed one way, and `rehearse` computes one and leaves everything as it was. With the way
    `in_force`, which is warm, each is timed once: a glance, that costs three or four steps.
    """
    seconds: dict[Way, list[float]] = {way: [] for way in ways}
    rounds = ROUNDS if in_force is None else 1
    for number in range(ROUNDS):
        if number == rounds:
            break
        best = min((min(each) for each in seconds.values() if each), default=float("inf"))
        for way in ways if in_force is None else sorted(ways, key=lambda way: way != in_force):
            if seconds[way] and min(seconds[way]) > HOPELESS * best:
                continue
            use(way)
            is_new = not seconds[way] and in_force is None
            if way != in_force and (best < SLOW_STEP or is_new):
                woken = _seconds(rehearse)  # wakes the threads, and makes what a first step needs
                if in_force is not None and woken > 2 * HOPELESS * best:
                    seconds[way].append(woken)  # beside another program a step may take ten times as long
                    continue
            took = _mean_seconds(rehearse)
            seconds[way].append(took)
            best = min(best, took)
        if best > SLOW_STEP:
            rounds = min(rounds, ROUNDS - 1)
    return {way: median(each) for way, each in seconds.items()}


def _seconds(rehearse: Callable[[], object]) -> float:
    began = time.perf_counter()
    rehearse()
    return time.perf_counter() - began


def _mean_seconds(rehearse: Callable[[], object]) -> float:
    """Return the seconds of a step, averaged over as many as take a moment."""
    began, steps = time.perf_counter(), 0
    while True:
        rehearse()
        steps += 1
        passed = time.perf_counter() - began
        if passed >= TIMED_FOR:
            return passed / steps


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return seconds to three digits, as they are recorded."""
    return {name: float(f"{each:.3g}") for name, each in seconds.items()}


@contextmanager
def said_each_second(say: Callable[[str], object], what: str) -> Iterator[None]:
    """Say what is being done and for how long so far, each second from another thread, and an empty text at the end."""
    began, done = time.monotonic(), threading.Event()

    def tick() -> None:
        while not done.wait(1.0):
            say(f"{what}: {time.monotonic() - began:.0f} s so far.")

    say(f"{what}.")
    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        say("")
