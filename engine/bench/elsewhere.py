"""The plain loop in a process of its own, where OpenMP is as torch sets it up and not as the engine does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

# OpenMP reads its settings when torch is imported, and the engine's own, made when its package is imported, come too late then.
_PROGRAM = "import torch; from torchtty.engine.bench.tutorial import main; main()"


class Elsewhere:
    """A plain loop in another process, which trains for a stretch when it is told to."""

    def __init__(self) -> None:
        environment = {
            name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM], stdin=PIPE, stdout=PIPE, text=True, env=environment
        )

    def __enter__(self) -> "Elsewhere":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.wait()

    def prepare(self, configuration_path: Path) -> int:
        """Have it build the model of a configuration file; return on how many threads it will train."""
        return int(self._ask({"configuration": str(configuration_path)})["threads"])

    def run(self, seconds: float) -> float:
        """Have it train for so long; return its steps a second."""
        return float(self._ask({"seconds": seconds})["speed"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        assert answer, "the plain loop has ended; its reason stands above"
        return answer
