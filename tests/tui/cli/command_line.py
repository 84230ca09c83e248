"""Running the real command in a process of its own, with folders of its own."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = [sys.executable, "-P", "-m", "torchtty"]
PATIENCE = 100.0  # seconds; a busy machine with two cores imports torch slowly


@dataclass(frozen=True)
class Answer:
    """What a command wrote and how it ended."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        assert "Traceback" not in self.out + self.err, self.err


@dataclass
class Shell:
    """Commands with their runs, data and state in a temporary folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.environment = kept | {
            "TORCHTTY_RUNS": str(self.folder / "runs"),
            "TORCHTTY_STATE": str(self.folder / "state"),
            "TORCHTTY_DATA": str(self.folder / "data"),
            "TORCHTTY_CONFIG": str(self.folder / "config"),
            "TORCHTTY_IDLE_SECONDS": "120",
            "OMP_NUM_THREADS": "1",
            "TERM": "xterm-256color",
        }

    def __call__(self, *arguments: str, **extra: str) -> Answer:
        done = subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            env=self.environment | extra,
            cwd=self.folder,
            timeout=PATIENCE,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command without waiting for it."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=self.environment,
            cwd=self.folder,
        )


def interrupted(process: "subprocess.Popen[str]") -> Answer:
    """Press ctrl+c in a command and return how it ends."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    return Answer(process.returncode, out, err)
