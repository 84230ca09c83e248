"""The process that trains: `python -m torchtty.engine.worker FOLDER`.

It imports torch, says hello in FOLDER, answers requests to prepare a configuration, is handed one run, trains it, and then
keeps the model in memory for a while so that samples answer at once. `torchtty.engine.contract.client.workers` is the other side.
"""

import errno
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psutil

from torchtty.engine.contract.client.workers import WHOLE, Mode, Part, taking_over
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.access import PRIVATE
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import set_umask, write_atomically

INTERRUPTED = 130  # exit code of a run that a signal stopped
OTHERS_DO_NOT_WRITE = 0o022  # umask: whether others may look at a run is said by the mode of its folder


def main(folder: Path) -> int:
    """Wait for a run and see it through; return the exit code."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # losing the terminal is no reason to stop training
    try:
        from torchtty.engine.worker import warm_up

        hello = warm_up.warm_up()
        seconds_to_warm_up = time.time() - psutil.Process().create_time()
        from torchtty.engine.worker.session import seconds_idle

        seconds_idle()
    except (
        Exception
    ) as error:  # whatever a broken installation raises: the last line of the log is what a person is shown
        if not isinstance(error, UserError):
            traceback.print_exc()
        print(_why_it_cannot_start(error), file=sys.stderr)
        return 1
    _reply(folder / "hello.json", hello)
    from torchtty.engine.worker.estimate import prepare, problems_of_fork

    lines = os.fdopen(os.dup(0), "rb")  # of its own: fd 0 leads nowhere from the first hand-over on
    for line in lines:
        try:
            request: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        if request.keys() & {"run", "series"}:
            lines.close()
        if "prepare" in request:
            answer = problems_of_fork(request["prepare"], request["fork"]) if "fork" in request else {}
            if not (answer or request.get("only_fits")):
                answer = prepare(request["prepare"], with_flops=bool(request.get("with_flops")))
                answer["seconds_to_warm_up"] = round(seconds_to_warm_up, 1)
            _reply(folder / Path(str(request["reply"])).name, answer)
        elif "run" in request:
            return _take_over(
                RunDirectory(Path(request["run"])), Mode(request["mode"]), request.get("edits", {}), folder
            )
        elif "series" in request:
            return _take_over_all([RunDirectory(Path(path)) for path in request["series"]], folder)
        elif "parts" in request:
            return _take_parts(lines, folder)
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _why_it_cannot_start(error: Exception) -> str:
    torch = sys.modules.get("torch")
    if torch is not None and not hasattr(torch, "Tensor"):
        return (
            f"{torch.__file__} is imported in place of the installed torch. "
            "Rename it, or take its folder out of PYTHONPATH."
        )
    if isinstance(error, UserError):
        return str(error)
    return f"The worker cannot start: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}."


def _take_over_all(runs: list[RunDirectory], folder: Path) -> int:
    """Train runs one after the other; a failed one does not keep the next from its turn, a signal does."""
    codes = []
    for run in runs:
        codes.append(_take_over(run, Mode.TRAIN, {}, folder, idle_seconds=0.0))
        if codes[-1] == INTERRUPTED:
            break
    return max(codes, default=0)


def _take_parts(lines: Iterable[bytes], folder: Path) -> int:
    """Train the parts of a sweep as its coordinator hands them over, until it has no more or is gone, or a signal ends this."""
    codes = [0]
    for line in lines:
        try:
            about = json.loads(line)
            runs, mode = [RunDirectory(Path(path)) for path in about["runs"]], Mode(about["mode"])
            part, batch = Part(str(about["sweep"]), about["until"], str(about["reply"])), about["batch"]
        except (ValueError, KeyError, TypeError):
            continue
        if batch is not None:
            codes.append(_take_over_group(RunDirectory(Path(batch)), runs, folder, mode, part))
        else:
            codes.append(_take_over(runs[0], mode, {}, folder, 0.0, part))
        try:
            write_atomically(Path(part.reply), json.dumps({"code": codes[-1]}))
        except OSError:  # then the coordinator learns it from this process's end
            break
        if codes[-1] == INTERRUPTED:
            break
    return max(codes)


def _take_over(
    run: RunDirectory,
    mode: Mode,
    edits: dict[str, Any],
    folder: Path,
    idle_seconds: float | None = None,
    part: Part = WHOLE,
) -> int:
    """Become the worker of a run."""

    def session(begun: Callable[[], None]) -> Worker:
        from torchtty.engine.worker.session import Session

        return Session(run, mode, edits, idle_seconds, begun=begun, part=part)

    return _see_through(run, f"{run.name} to {mode.value} it", session, folder)


def _take_over_group(group: RunDirectory, runs: list[RunDirectory], folder: Path, mode: Mode, part: Part) -> int:
    """Become the worker of a group's runs; `group` is the folder of the group itself."""

    def session(begun: Callable[[], None]) -> Worker:
        from torchtty.engine.worker.group import GroupSession

        return GroupSession(group, runs, begun, mode, part)

    return _see_through(group, f"the {len(runs)} runs of {group.name} to train them", session, folder)


class Worker(Protocol):
    """What sees a run, or the runs of a group, through."""

    signalled: bool
    failure: str  # why it failed, if it did

    def work(self) -> int: ...


def _see_through(
    run: RunDirectory, what: str, session_for: Callable[[Callable[[], None]], Worker], folder: Path
) -> int:
    """Work on a run: its log takes what is printed from now on, and stdin is closed.

    What makes that fail stands in the log of `folder` too, which is removed once the run's own files tell of this worker.
    """
    set_umask(OTHERS_DO_NOT_WRITE)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOFOLLOW
        log = os.open(run.log_path, flags, 0o666)
    except OSError as error:
        reason = "It is a link" if error.errno == errno.ELOOP else error.strerror or error
        print(f"The log of {run.name} cannot be written: {reason}.", file=sys.stderr)
        return 1
    with suppress(OSError):
        run.inbox.chmod(PRIVATE)  # an older run has the mode that its owner's umask gave it
    own_log = os.dup(2)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    with suppress(OSError):
        print(time.strftime("%Y-%m-%d %H:%M:%S"), f"{taking_over(os.getpid())} {what}", flush=True)
    session = session_for(lambda: shutil.rmtree(folder, ignore_errors=True))
    try:
        code = session.work()
    except UserError as error:
        session.failure, code = str(error), 1
        with suppress(OSError):
            print(error, file=sys.stderr)
    if session.failure:
        os.write(own_log, f"{session.failure}\n".encode())
    os.close(own_log)
    return INTERRUPTED if session.signalled else code


def _reply(path: Path, answer: dict[str, Any]) -> None:
    try:
        write_atomically(path, json.dumps(answer))
    except OSError:  # whoever asked has gone, and its folder with it
        print(f"no one takes the answer at {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
