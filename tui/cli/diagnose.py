"""`torchtty diagnose`: what is wrong with a run, what shows it, and the command that tries a change."""

import shlex
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from torchtty.engine.contract.diagnosis.diagnosis import Diagnosis
from torchtty.engine.contract.diagnosis.finding import Finding
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import Status
from torchtty.tui.cli.console import Exit, grid, output, print_json
from torchtty.tui.format import count, loss

NOTHING = "Nothing is wrong that the log could tell."


def diagnose(name: str, *, as_json: bool) -> int:
    """Print what is wrong with a run; return the exit code."""
    run = find_run(name)
    log = RunLog(run)
    diagnosis = Diagnosis(log)
    status = run.status()
    log.read()
    findings = diagnosis.findings(status)
    if as_json:
        print_json({"run": run.name, "step": status.step, "findings": as_values(run, findings)})
        return Exit.DONE
    console = output()
    console.print(Text(f"{printable_line(run.name)}  {status.state.value} at step {count(status.step)}", "bold"))
    if not findings:
        console.print(NOTHING)
    print_findings(console, run, findings)
    return Exit.DONE


def findings_of(diagnosis: Diagnosis, status: Status) -> tuple[Finding, ...]:
    """Return what is wrong with a run whose log was read; nothing where its settings cannot be read."""
    try:
        return diagnosis.findings(status)
    except UserError:
        return ()


def print_findings(console: Console, run: RunDirectory, findings: Sequence[Finding]) -> None:
    """Print findings with their evidence and the command that tries the change."""
    for finding in findings:
        console.print()
        console.print(Text(f"⚠ {finding.what}", "bold yellow"))
        table = grid()
        table.add_row("why", Text(printable(finding.sentence)))
        table.add_row("evidence", Text(_evidence(finding)))
        if finding.change is not None:
            table.add_row("try", Text(f"{finding.change.text}: {finding.change.reason}"))
            table.add_row("command", Text(command(run, finding), overflow="fold"))
        console.print(table)


def command(run: RunDirectory, finding: Finding) -> str:
    """Return the command that tries a finding's change: a fork from before the trouble, else the whole run once more."""
    assert finding.change is not None
    step = finding.checkpoint(run.checkpoints())
    if step is None:
        words = ["torchtty", "train", str(run.config_path), *finding.change.flags]
    else:
        words = ["torchtty", "fork", run.name, "--step", str(step), *finding.change.flags]
    return printable_line(shlex.join(words))


def as_values(run: RunDirectory, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON values, each with its command."""
    return [
        finding.as_json() | {"command": command(run, finding) if finding.change is not None else None}
        for finding in findings
    ]


def _evidence(finding: Finding) -> str:
    evidence = finding.evidence
    steps = f"step {count(evidence.first)}"
    if evidence.last > evidence.first:
        steps = f"steps {count(evidence.first)} to {count(evidence.last)}"
    values = (f"{name} {loss(value, 4)}" for name, value in evidence.values)
    return printable_line(" · ".join(filter(None, (evidence.metric, steps, *values))))
