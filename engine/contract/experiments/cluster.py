"""A cluster on which a sweep's runs are trained by jobs, through submitit: Slurm, or jobs on this machine to try it.

<group>/jobs/      what submitit keeps of each job: what it runs, what it printed. Pickles lie there, so only their owner may enter.

The run directories on a shared disk are all that the submitting machine and the nodes exchange.
"""

import getpass
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from socket import gethostname
from typing import Any, Literal, get_args

import psutil

from torchtty.engine.contract.client.workers import Mode, Part
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.cluster_job import TrainPart, waits
from torchtty.engine.contract.run.access import PRIVATE
from torchtty.engine.contract.run.directory import RunDirectory

Kind = Literal["slurm", "local"]
MISSING = "A sweep on a cluster needs the package submitit: pip install 'torchtty[cluster]'."
AT_ONCE = 64  # jobs of a sweep that are submitted at a time, where nobody says how many
LOOK = 3.0  # seconds between two questions to the scheduler
ANSWER = 10.0  # seconds in which the scheduler answers a question, or does not
UNSEEN = 20.0  # seconds that a job may be missing from the queue after it was submitted
RESTARTS = 10_000  # of a job whose time is over


@dataclass(frozen=True)
class Cluster:
    """Where the jobs of a sweep run, and what each is given."""

    kind: Kind = "slurm"
    partition: str = ""
    account: str = ""
    minutes: int = 60
    cpus: int = 2
    memory: float = 8.0  # GB
    gpus: int = 0

    @classmethod
    def read(cls, kind: str, texts: Sequence[str]) -> "Cluster":
        """Return the cluster of `slurm` or `local` and texts such as `cpus=4`; raise `UserError` that lists what there is."""
        if kind not in get_args(Kind):
            raise UserError(f"There is no cluster '{kind}': --cluster takes {' or '.join(get_args(Kind))}.")
        given: dict[str, Any] = {"kind": kind}
        types = {"partition": str, "account": str, "minutes": int, "cpus": int, "memory": float, "gpus": int}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in types:
                raise UserError(f"--job takes {', '.join(f'{one}=…' for one in types)}, not '{text}'.")
            try:
                given[name] = types[name](value)
            except ValueError:
                raise UserError(f"--job {name} is a number, not '{value}'.") from None
            least = 0 if name == "gpus" else 1e-3
            if not value or (types[name] is not str and not given[name] >= least):
                raise UserError(f"--job {name} cannot be '{value}'.")
        return cls(**given)

    def check(self) -> None:
        """Raise `UserError` where nothing can be submitted from here."""
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise UserError(MISSING) from None
        if self.kind == "slurm" and not shutil.which("sbatch"):
            raise UserError("There is no sbatch here: start the sweep on a machine that can submit to Slurm.")

    def as_json(self) -> dict[str, Any]:
        """Return it as `group.json` holds it."""
        return asdict(self)

    @classmethod
    def of(cls, found: object) -> "Cluster | None":
        """Read what `group.json` holds; None for a sweep of this machine."""
        if not isinstance(found, Mapping):
            return None
        known = {name: found[name] for name in cls.__dataclass_fields__ if name in found}
        return cls(**known) if known.get("kind") in get_args(Kind) else None


class Jobs:
    """The jobs of a sweep: submits them, and knows which of them the scheduler still has."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self._asked = 0.0
        self._known: set[str] | None = set()  # none: the scheduler did not answer when it was asked last
        self._silent_since: float | None = None
        folder.mkdir(exist_ok=True)
        folder.chmod(PRIVATE)
        self._executor = _executor(cluster, folder)
        process = psutil.Process()
        self.waiting = {"pid": process.pid, "process_started": process.create_time(), "host": gethostname()}

    def submit(self, part: TrainPart, name: str) -> Any:
        """Submit a part as a job called so, and return submitit's handle; raise `UserError` with what the scheduler says."""
        if self.cluster.kind == "slurm":
            self._executor.update_parameters(slurm_job_name=name)
        try:
            return self._executor.submit(part)
        except Exception as error:  # whatever submitit makes of a refusal
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise UserError(f"The job {name} could not be submitted: {last}") from None

    def has(self, job: Any) -> bool | None:
        """Whether a job waits or runs, and may be started again by the scheduler; None where that does not answer."""
        if self.cluster.kind == "local":
            return not job.done()
        if (began := time.monotonic()) - self._asked > LOOK:
            self._known = _queue()
            self._asked = time.monotonic()  # afterwards, so that there is a pause after an answer that took long too
            self._silent_since = None if self._known is not None else self._silent_since or began
        return None if self._known is None else str(job.job_id) in self._known

    @property
    def silent_for(self) -> float:
        """For how many seconds the scheduler has not answered."""
        return 0.0 if self._silent_since is None else time.monotonic() - self._silent_since

    def cancel_waiting(self, numbers: Sequence[str]) -> None:
        """Take jobs out of Slurm's queue, unless they run."""
        if numbers and self.cluster.kind == "slurm":
            _asked(["scancel", "--quiet", "--state=PENDING", *numbers])

    def forget_waiting(self) -> None:
        """Cancel what an earlier coordinator has submitted and no node has begun."""
        self.cancel_waiting([path.name.partition("_")[0] for path in self.folder.glob("*_submitted.pkl")])


def _executor(cluster: Cluster, folder: Path) -> Any:
    import submitit

    executor = submitit.AutoExecutor(folder=folder, cluster=cluster.kind, slurm_max_num_timeout=RESTARTS)
    executor.update_parameters(
        timeout_min=cluster.minutes, cpus_per_task=cluster.cpus, mem_gb=cluster.memory, gpus_per_node=cluster.gpus
    )
    if cluster.kind == "slurm":
        own = {"slurm_partition": cluster.partition, "slurm_account": cluster.account}
        executor.update_parameters(**{name: value for name, value in own.items() if value})
    return executor


def _queue() -> set[str] | None:
    """Return the numbers of this user's jobs that Slurm has; None where it does not answer."""
    found = _asked(["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i"])
    return None if found is None else set(found.split())


def _asked(command: Sequence[str]) -> str | None:
    """Return what a command of Slurm's prints; None where its controller refuses or does not answer."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


class JobWorker:
    """What a coordinator hands parts to, as to a `WarmWorker`: each becomes a job."""

    def __init__(self, jobs: Jobs, name: str) -> None:
        self._jobs, self._name = jobs, name
        self.folder = jobs.folder / "part"  # the replies lie beside it
        self._job: Any = None
        self._submitted = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether its job is still to end; it can be given another part after that."""
        if self._job is None or time.monotonic() - self._submitted < (
            UNSEEN if self._jobs.cluster.kind == "slurm" else 0
        ):
            return True
        return (
            self._jobs.has(self._job) is not False
        )  # where the scheduler does not answer, nothing is known, and nothing done

    def hand_over_part(
        self, runs: Sequence[RunDirectory], mode: Mode, part: Part, batch: RunDirectory | None = None
    ) -> None:
        """Submit a part. Its runs wait in the coordinator's name until a node begins."""
        about = {"runs": [str(run.path) for run in runs], "batch": str(batch.path) if batch else None}
        self._job = None
        self._job = self._jobs.submit(
            TrainPart(about | {"mode": mode.value, **vars(part)}, self._jobs.waiting), self._name
        )
        self._submitted = time.monotonic()
        for run in runs:
            if run.written_status().pid in (0, self._jobs.waiting["pid"]) or not run.status().state.is_live:
                waits(run, self._jobs.waiting, f"Waits for job {self._job.job_id} to begin.")

    def taken_back(self) -> str | None:
        """Return the number of its job, which is not waited for any longer than the scheduler has it; None without a job."""
        self._submitted = 0.0
        return None if self._job is None else str(self._job.job_id)

    def no_more_parts(self) -> None:
        """Leave it at what it was given: its job needs nobody."""
        self._job = None
