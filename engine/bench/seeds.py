"""`python -m torchtty.engine.bench.seeds SECONDS COUNT`: ten seeds, trained as a sweep trains them, against one run by itself.

All go through the real loop, headless: the seeds with a share of them on each core, as one batched model in a process of its own,
in turns with the run, so that noise cancels. Prints one JSON line.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from subprocess import PIPE
from typing import Any

from torchtty.engine.contract.experiments.members import cut
from torchtty.engine.contract.experiments.outlook import cores

MEMBERS = 10


@dataclass(frozen=True)
class Seeds:
    """Steps a second of the seeds and of the run by itself, stretch by stretch."""

    model: str
    members: int
    shares: list[int]  # how many members each process has
    parameters: int
    how: str  # the steps of the first share are done
    group: list[float]
    solo: list[float]


def seeds(model: str, seconds: float, count: int) -> Seeds:
    """Train a model of `MODELS` both ways, `count` stretches of so many seconds each after one that warms up."""
    [sizes] = cut([MEMBERS], cores())
    with ExitStack() as stack:
        solo = stack.enter_context(_Share(model, [0], {}))
        threads = {"TORCHTTY_THREADS": str(max(1, cores() // len(sizes)))} if len(sizes) > 1 else {}
        numbers = iter(range(1, MEMBERS + 1))
        shares = [stack.enter_context(_Share(model, [next(numbers) for _ in range(size)], threads)) for size in sizes]
        together, alone, facts = list[float](), list[float](), dict[str, Any]()
        for _ in range(count + 1):
            solo.begin(seconds)
            alone.append(float(solo.end()["speed"]))
            for share in shares:
                share.begin(seconds)
            answers = [share.end() for share in shares]
            together.append(min(float(answer["speed"]) for answer in answers))  # all are done when the last one is
            facts = answers[0]
    return Seeds(model, MEMBERS, sizes, int(facts["parameters"]), str(facts["how"]), together[1:], alone[1:])


class _Share:
    """Runs with these seeds in a process of their own, which trains them for a stretch when it is told to."""

    def __init__(self, model: str, numbers: Sequence[int], variables: dict[str, str]) -> None:
        command = [sys.executable, "-P", "-m", "torchtty.engine.bench.share", model, *map(str, numbers)]
        self._process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=os.environ | variables)

    def __enter__(self) -> "_Share":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.wait()

    def begin(self, seconds: float) -> None:
        assert self._process.stdin is not None
        print(seconds, file=self._process.stdin, flush=True)

    def end(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        assert answer, "training has ended; its reason stands above"
        return answer


if __name__ == "__main__":
    print(json.dumps(asdict(seeds("mlp", float(sys.argv[1]), int(sys.argv[2])))))
