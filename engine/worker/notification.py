"""Running the command of `TORCHTTY_NOTIFY` when a run ends, fails or diverges, beside everything else and without harm to it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from torchtty.engine.contract.client.notification import (
    DIVERGING,
    TIMEOUT,
    VARIABLE,
    facts_of,
    notify_command,
)
from torchtty.engine.contract.diagnosis.diagnosis import Diagnosis
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Family

LOOK_INTERVAL = 10.0  # seconds between two looks whether the run diverges
ENDS = (RunState.FINISHED, RunState.STOPPED, RunState.FAILED)


class Notifier:
    """Notifies of one run. Nothing that goes wrong here reaches the run: it becomes a warning."""

    def __init__(self, run: RunDirectory, warn: Callable[[str], None], timeout: float = TIMEOUT) -> None:
        self.run, self._warn, self.timeout = run, warn, timeout
        self._commands: list[threading.Thread] = []
        self._ended = threading.Event()

    def watch(self) -> None:
        """Look now and then whether the run diverges, in a thread that reads the run's files as anybody would."""
        if os.environ.get(VARIABLE):
            threading.Thread(target=self._look, name="notifier", daemon=True).start()

    def ended(self, status: Status) -> None:
        """Notify that the run has come to its end, whatever the end."""
        self._ended.set()
        if status.state in ENDS:
            self._start(status, status.state.value)

    def wait(self) -> None:
        """Wait until every command that was started is done or was ended."""
        self._ended.set()
        for thread in self._commands:
            thread.join()

    def _look(self) -> None:
        log = RunLog(self.run)
        diagnosis = Diagnosis(log)
        while not self._ended.wait(LOOK_INTERVAL):
            try:
                log.read()
                status = self.run.written_status()
                found = [finding for finding in diagnosis.findings(status) if finding.name == "diverges"]
            except UserError:  # a configuration that cannot be read any more
                return
            if found and status.state is RunState.RUNNING:
                self._start(status, DIVERGING, found[0].sentence)
                return

    def _start(self, status: Status, state: str, message: str = "") -> None:
        try:
            command = notify_command()
        except UserError as error:
            self._warn(str(error))
            return
        if command:
            facts = facts_of(self.run, status, _family(self.run), state, message)
            self._commands.append(threading.Thread(target=self._run, args=(command, facts), name="notify", daemon=True))
            self._commands[-1].start()

    def _run(self, command: list[str], facts: dict[str, str]) -> None:
        """Run the command in a session of its own; what it prints goes to the worker's log."""
        try:
            process = subprocess.Popen(
                command,
                env=os.environ | facts,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # a name or a value that holds a NUL is a ValueError
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._warn(f"The command of {VARIABLE} could not be started: {command[0]}: {reason}.")
            return
        try:
            code = process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._warn(f"The command of {VARIABLE} took more than {self.timeout:g} s and was ended.")
            return
        if code:
            how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
            self._warn(f"The command of {VARIABLE} {how}; worker.log holds what it printed.")


def _family(run: RunDirectory) -> Family | None:
    try:
        return family_of(run.configuration().kind)
    except UserError:
        return None
