"""A Slurm of one node on this machine: its own munge, controller and node in a folder, on ports of their own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
PATIENCE = 60.0

CONFIGURATION = """
ClusterName=torchtty
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0,requeue_delay=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=10
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def missing() -> list[str]:
    """Return the programs of Slurm that are not installed."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [name for name in NEEDED if shutil.which(name, path=path) is None]


class OneNode:
    """Slurm's daemons, from `start` to `stop`. `environment` is what a command needs to speak with them."""

    def __init__(self, folder: Path, cpus: int = 1) -> None:
        self.folder, self.cpus = folder, cpus
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
        }

    def start(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        host = socket.gethostname().partition(".")[0]
        ports = _free_ports(2)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=host,
                controller_port=ports[0],
                node_port=ports[1],
                folder=self.folder,
                cpus=self.cpus,
                memory=2000,
            )
        )
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        own = [f"--key-file={key}", f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munged.pid"]
        own += [f"--seed-file={self.folder}/munged.seed", f"--log-file={self.folder}/munged.log", "--force"]
        self._daemon("munged", "--foreground", *own)
        self._wait(lambda: (self.folder / "munge.socket").exists(), "munge")
        self._daemon("slurmctld", "-D")
        self._daemon("slurmd", "-D", "-N", host)
        self._wait(lambda: "idle" in self("sinfo", "--noheader", "--format", "%t", check=False), "the node")

    def __call__(self, *command: str, check: bool = True) -> str:
        """Run one of Slurm's commands and return what it prints."""
        environment = os.environ | self.environment
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE, check=check)
        return done.stdout

    def stop(self) -> None:
        """End jobs and daemons."""
        self("scancel", "--user", "root", check=False)
        until = time.monotonic() + PATIENCE
        while self("squeue", "--noheader", check=False).strip() and time.monotonic() < until:
            time.sleep(0.5)
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def freeze(self, *, freeze: bool = True) -> None:
        """Let the controller hang, so that it answers nobody, or go on."""
        for daemon in self._daemons:
            if "slurmctld" in str(daemon.args):
                daemon.send_signal(signal.SIGSTOP if freeze else signal.SIGCONT)

    def _daemon(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("wb") as log:
            environment = os.environ | self.environment
            self._daemons.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment))

    def _wait(self, reached: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < until, f"{what} did not start: {self._logs()}"
            time.sleep(0.2)

    def _logs(self) -> str:
        return "\n".join(
            path.read_text(errors="replace")[-1500:]
            for path in sorted(self.folder.glob("*.log")) + sorted(self.folder.glob("*.out"))
        )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
