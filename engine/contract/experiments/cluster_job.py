"""What runs on a node of a cluster: a worker that trains a part of a sweep, and goes on with it once the job is started again.

Of the machine that submitted it the job knows the run directories alone: they lie on a disk that both see.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.run.status import RunState, Status

WAITS_AGAIN = "Was preempted: waits for its job to be started again, and goes on from its checkpoint."
LOOK = 0.2  # seconds between two looks at the worker
LAST_WORDS = 10.0  # seconds until a process that was killed is gone
GRACE = 60.0  # seconds that a worker has to save before it is killed: submitit asks 90 s before a job's time is over


@dataclass
class TrainPart:
    """A part of a sweep as a job. It is pickled by submitit, so it holds plain values.

    `about` is the line that a coordinator hands a worker; `waiting` names the coordinator's process, in whose name a run waits.
    When the scheduler warns it, submitit calls `checkpoint` and starts the job again, in which unfinished runs are resumed.
    """

    about: dict[str, Any]
    waiting: dict[str, Any]
    _process: Any = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {"about": self.about, "waiting": self.waiting, "_process": None}

    def __call__(self) -> int:
        """Train the part; return the worker's exit code. Its reply is written once nothing of it is left to do."""
        lines = [self.about] if not self._begun() else [self._alone(run) for run in self._unfinished()]
        with tempfile.TemporaryDirectory(prefix="torchtty-job-") as folder:
            codes = [0]
            for number, line in enumerate(lines):
                reply = Path(folder) / f"reply-{number}.json"
                self._work(line | {"reply": str(reply)}, Path(folder) / f"worker-{number}")
                codes.append(json.loads(reply.read_text())["code"] if reply.is_file() else 1)
            if codes[-1] == 130:  # a signal stopped it, which is the scheduler's: it is not done
                self._wait_again()
                return 130
        with suppress(OSError):
            write_atomically(Path(self.about["reply"]), json.dumps({"code": max(codes)}))
        return max(codes)

    def checkpoint(self) -> Any:
        """Have the worker save and leave; return what submitit is to start when the job begins again."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, LAST_WORDS)):
                until = time.monotonic() + patience
                if not _has_ended(self._process.pid):
                    os.kill(self._process.pid, number)
                while not _has_ended(self._process.pid) and time.monotonic() < until:
                    time.sleep(LOOK)
        self._wait_again()
        return DelayedSubmission(TrainPart(self.about, self.waiting))

    # -- its runs ---------------------------------------------------------------------------------------------------

    def _runs(self) -> list[RunDirectory]:
        return [RunDirectory(Path(path)) for path in self.about["runs"]]

    def _begun(self) -> bool:
        """Whether an earlier start of this job has done some of it."""
        resumes = self.about["mode"] == Mode.RESUME.value
        return not resumes and any(run.checkpoints() for run in self._runs())

    def _unfinished(self) -> list[RunDirectory]:
        over = (RunState.FINISHED, RunState.FAILED)
        return [run for run in self._runs() if run.written_status().state not in over]

    def _alone(self, run: RunDirectory) -> dict[str, Any]:
        """Return how a run of the part goes on by itself."""
        mode = Mode.RESUME if run.checkpoints() else Mode.TRAIN
        return self.about | {"runs": [str(run.path)], "batch": None, "mode": mode.value}

    def _wait_again(self) -> None:
        for run in self._unfinished():
            waits(run, self.waiting, WAITS_AGAIN)

    # -- the worker -------------------------------------------------------------------------------------------------

    def _work(self, line: dict[str, Any], folder: Path) -> None:
        folder.mkdir()
        cores = os.environ.get("SLURM_CPUS_PER_TASK")
        variables = {"TORCHTTY_THREADS": cores} if cores and "TORCHTTY_THREADS" not in os.environ else {}
        with (folder / "worker.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "torchtty.engine.worker", str(folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | variables,
                preexec_fn=_ignore_warnings,
            )
        request = json.dumps({"parts": True}) + "\n" + json.dumps(line) + "\n"
        with suppress(OSError):
            self._process.stdin.write(request.encode())
            self._process.stdin.close()
        while self._process.poll() is None:  # not `wait`, whose lock `checkpoint` would find taken
            time.sleep(LOOK)
        with suppress(OSError):
            sys.stdout.write((folder / "worker.log").read_text(errors="replace")[-4000:])


def _has_ended(pid: int) -> bool:
    """Whether a process is over, be it waited for or not: asked by a signal handler, which must not take the locks of `Popen`."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _ignore_warnings() -> None:
    """Leave the scheduler's warning, which reaches every process of a job, to submitit: a worker would die of it."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def waits(run: RunDirectory, waiting: dict[str, Any], message: str) -> None:
    """Say of a run that it waits in the name of a coordinator, keeping what is known of it."""
    fresh = {"state": RunState.QUEUED, "message": message, "heartbeat": time.time()}
    with suppress(OSError):
        known = run.written_status().model_dump()
        run.write_status(Status(**(known | fresh | waiting)))
