"""`torchtty show`, and the summary of a run that was followed: metrics, a chart, samples, settings, what to do next."""

import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, zip_longest
from math import isfinite
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.diagnosis.diagnosis import Diagnosis
from torchtty.engine.contract.experiments.group import find_group
from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.events import Edited, SampleDrawn
from torchtty.engine.contract.run.lineage import Parent, curves_before, parent_of
from torchtty.engine.contract.run.log import RunLog, SampleRecord
from torchtty.engine.contract.run.marks import Marks, read_marks
from torchtty.engine.contract.run.pins import pinned_steps
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import difference, starting_tree
from torchtty.engine.contract.settings.families import metric_named
from torchtty.engine.contract.settings.family import Family
from torchtty.engine.contract.settings.fields import show as shown_value
from torchtty.tui.charts.frame import FrameBuilder
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.spec import ChartSpec, Mark
from torchtty.tui.charts.style import TRAIN, VALID, ChartStyle
from torchtty.tui.cli.console import Exit, grid, output, print_json, speaks_unicode
from torchtty.tui.cli.diagnose import as_values, findings_of, print_findings
from torchtty.tui.cli.group import show_group
from torchtty.tui.format import STATE_LOOKS, ago, count, duration, edit_texts, loss, number, rate, size, state_words

SUMMARY_LINES, SHOWN_LINES = 5, 10  # of samples
SMOOTHING = 0.01  # of the training loss: the time constant as a share of the x axis
STATUS_FIELDS = ("message", "step", "max_steps", "seconds", "steps_per_second", "device", "parameters")  # as JSON
ROLE_COLOURS = {"train": TRAIN, "val": VALID}


def show(name: str, *, as_json: bool) -> int:
    """Show a run, or the runs of a group; return the exit code."""
    if (group := find_group(name)) is not None:
        return show_group(group, as_json=as_json)
    run = find_run(name)
    log, status = RunLog(run), run.status()
    diagnosis = Diagnosis(log)
    log.read()
    findings = findings_of(diagnosis, status)
    if as_json:
        print_json(_everything(log, status) | {"findings": as_values(run, findings)})
        return Exit.DONE
    console = output()
    snapshot = _print_results(console, log, status, other_lines=12, sample_lines=SHOWN_LINES)
    print_findings(console, run, findings)
    _print_settings(console, snapshot)
    _print_provenance(console, run)
    return Exit.DONE


def print_summary(console: Console, log: RunLog, status: Status) -> None:
    """Print the results of a run that was followed, and the commands that continue from here."""
    snapshot = _print_results(console, log, status, other_lines=16, sample_lines=SUMMARY_LINES)
    console.print()
    table = grid()
    table.columns[1].no_wrap = True
    name = printable_line(log.run.name)
    table.add_row("stored in", Text(printable_line(str(log.run.path))))
    if snapshot.offers(Action.SAMPLE):
        table.add_row("sample", Text(f"torchtty sample {name}"))
    if snapshot.ended_by and snapshot.can_resume:
        table.add_row("continue", Text(f"torchtty resume {name} --{snapshot.ended_by} none"))
    elif status.state is RunState.FINISHED and snapshot.can_resume:
        table.add_row("continue", Text(f"torchtty resume {name} --training.max_steps {2 * status.max_steps}"))
    elif snapshot.can_resume:
        table.add_row("continue", Text(f"torchtty resume {name}"))
    table.add_row("show", Text(f"torchtty show {name}"))
    console.print(table)


def _print_results(console: Console, log: RunLog, status: Status, other_lines: int, sample_lines: int) -> RunSnapshot:
    """Print headline, metrics, chart and samples of a run; the chart fills what `other_lines` leave of the terminal."""
    snapshot = RunSnapshot.from_log(log, status)
    _print_headline(console, snapshot)
    console.print()
    console.print(_figures(snapshot))
    _print_chart(console, log, snapshot.family, height=max(8, min(16, console.height - other_lines)))
    _print_samples(console, log.latest_sample, sample_lines)
    return snapshot


def _print_headline(console: Console, snapshot: RunSnapshot) -> None:
    """Print the run's name, its state and how far it came."""
    status = snapshot.status
    look = STATE_LOOKS[status.state]
    parts = [Text(printable_line(snapshot.name), "bold"), Text(state_words(status), look.style)]
    if status.max_steps > 1:
        parts.append(Text(f"{count(status.step)} of {count(status.max_steps)} steps"))
    if status.seconds:
        parts.append(Text(f"in {duration(status.seconds)}"))
    if status.steps_per_second:
        parts.append(Text(rate(status.steps_per_second)))
    console.print(Text("  ").join(parts))
    if snapshot.parent is not None:
        changes = snapshot.parent.changes()
        about = f"F{snapshot.parent.title[1:]}" + (f": {changes}" if changes else ", with its settings")
        console.print(Text(printable_line(about), "dim"))
    if status.message:
        console.print(Text(printable(status.message), "red" if status.state is RunState.FAILED else ""))
    marks = read_marks(snapshot.run)
    if words := " ".join(["★"] * marks.starred + [f"#{tag}" for tag in marks.tags] + [marks.note] * bool(marks.note)):
        console.print(Text(words, "yellow"))
    if snapshot.state in (RunState.STOPPED, RunState.LOST) and snapshot.can_resume:
        how = f"'torchtty resume {printable_line(snapshot.name)}' resumes from step {count(snapshot.checkpoints[-1])}"
        console.print(Text(f"{snapshot.state.value.capitalize()} · {how}", "dim"))


def _figures(snapshot: RunSnapshot) -> Table:
    """Return metrics, size and device as a table."""
    status, family, facts = snapshot.status, snapshot.family, snapshot.facts
    table = grid()
    names = _headline_names(family, status)
    for name in names:
        text = Text(loss(status.metrics.get(name), 4), "bold" if name == names[0] else "")
        if family and name == family.watched and status.best is not None and status.max_steps > 1:
            text.append(f"  best {loss(status.best, 4)} at step {count(status.best_step)}")
        metric = family.metric(name) if family else None
        table.add_row(Text(printable_line(metric.description or metric.title if metric else name)), text)
    if status.test:
        table.add_row(*tested(status))
    for name, value in (facts.summary.metrics if facts.summary else {}).items():
        if name not in {*names, "train_eval_loss"}:
            table.add_row(Text(printable_line(name).replace("_", " ")), number(value))
    if facts.references:
        compared = [f"{printable_line(name)} {loss(value, 4)}" for name, value in facts.references.items()]
        table.add_row("to compare with", Text(" · ".join(compared)))
    device = f" on {printable_line(status.device)}" if status.device else ""
    table.add_row("parameters", Text(f"{count(status.parameters)}{device}{', in memory' if status.serving else ''}"))
    if status.memory:
        table.add_row("memory", Text(f"{size(status.memory)} at most"))
    for title, chosen, what in (
        ("steps computed", facts.backend, facts.backend.backend if facts.backend else ""),
        ("threads", facts.threads, str(facts.threads.threads) if facts.threads else ""),
        ("precision", facts.precision, facts.precision.precision if facts.precision else ""),
    ):
        if chosen:
            timed = ", ".join(f"{printable_line(name)} {1e3 * s:.3g} ms" for name, s in chosen.timings.items())
            table.add_row(title, Text(printable_line(what) + (f"  ({timed})" if timed else "")))
    return table


def tested(status: Status) -> tuple[Text, Text]:
    """Return what the latest evaluation of the test split is called and what it came to, with what was evaluated beside it."""
    (metric, value), *others = ((metric_named(name), value) for name, value in status.test.items())
    beside = "".join(f" · {printable_line(other.label or other.title)} {loss(at, 4)}" for other, at in others)
    about = (f"  with the weights of step {count(status.test_step)}{beside}", "dim")
    return Text(printable_line(metric.description or metric.title)), Text.assemble(loss(value, 4), about)


def _headline_names(family: Family | None, status: Status) -> list[str]:
    """Return the metrics that sum a run up: those that are known, and the one that decides which checkpoint is best."""
    if family is None:
        return list(status.metrics)
    return [name for name in dict.fromkeys(chain(*family.headline)) if name in status.metrics or name == family.watched]


def _print_chart(console: Console, log: RunLog, family: Family | None, height: int) -> None:
    """Print the family's first chart over the steps, if there are two steps or more to draw."""
    if family is None or console.width < 30:
        return
    chart, curves = family.charts[0], []
    before = curves_before(log.run)
    steps: set[float] = set()
    for metric in map(family.metric, chart.metrics):
        points = before.points(metric.name) + log.metrics.points(metric.name)
        steps.update(step for step, value in points if isfinite(value))
        curve = Series(metric.name, metric.title, ROLE_COLOURS.get(metric.role), smooth=metric.smoothed)
        curve.extend([step for step, _ in points], [value for _, value in points])
        curves.append(curve)
    if len(steps) < 2:
        return
    units = {family.metric(name).unit for name in chart.metrics} - {""}
    title = f"{chart.title} in {units.pop()}" if len(units) == 1 else chart.title
    style = ChartStyle(colour=console.color_system is not None, unicode=speaks_unicode(sys.stdout))
    parent = parent_of(log.run.meta())
    marks = tuple(Mark(edit.step, *edit_texts(edit)) for edit in log.facts.edits if edit.value != edit.old)
    marks += (Mark(parent.step, "fork"),) if parent is not None else ()
    spec = ChartSpec(min(console.width, 120), height, title, tuple(curves), marks=marks, x_max=max(steps), style=style)
    console.print()
    console.print(FrameBuilder().build(replace(spec, smoothing=spec.time_constant(SMOOTHING))), end="")


def _print_samples(console: Console, sample: SampleRecord | None, most: int) -> None:
    """Print texts as far as `most` lines go, marking items as new or seen."""
    if sample is None:
        return
    console.print()
    console.print(Text(f"samples at step {count(sample.step)}", "dim"))
    if len(sample.texts) > 1 and all("\n" not in text for text in sample.texts):
        for text, known in with_marks(sample)[:most]:
            console.print(Text("  ") + marked(text, known), soft_wrap=True)
        return
    lines = [line for text in sample.texts for line in printable(text).splitlines() if line.strip()]
    for line in lines[:most]:
        console.print(Text(f"  {line}"), no_wrap=True, overflow="ellipsis")


def with_marks(sample: SampleRecord | SampleDrawn) -> list[tuple[str, bool | None]]:
    """Return a sample's texts, and of items whether each stands in the training split."""
    return list(zip_longest(sample.texts, (sample.known or ())[: len(sample.texts)]))


def samples_as_json(sample: SampleRecord | SampleDrawn) -> list[dict[str, Any]]:
    return [{"text": text, "known": known} for text, known in with_marks(sample)]


def marked(text: str, known: bool | None) -> Text:
    """Return a text with a mark whether it stands in the training split."""
    mark = {None: "", True: "  seen", False: "  new"}[known]
    return Text.assemble(printable(text), (mark, "green" if known is False else "dim"))


# Settings.


def _print_settings(console: Console, snapshot: RunSnapshot) -> None:
    """Print the settings in force, with what they were before they were changed."""
    console.print()
    if snapshot.problem:
        console.print(Text(printable(snapshot.problem), "red"))
        return
    tree = snapshot.settings
    differing = difference(starting_tree(str(tree["model"]["kind"])), tree)
    histories = _histories(snapshot.facts.edits)
    explained = "bold: differs from the model's default" + ("; → changed at that step" if histories else "")
    console.print(Text.assemble("settings", (f"  ({explained})", "dim")))
    table = grid()
    for section, fields in tree.items():
        parts = []
        for name, value in fields.items():
            path = f"{section}.{name}"
            style = "bold" if path in differing else ""
            parts.append(Text.assemble((f"{name} ", "dim"), (histories.get(path, _written(value)), style)))
        table.add_row(section, Text("  ").join(parts))
    console.print(table)


def _histories(edits: Iterable[Edited]) -> dict[str, str]:
    """Return what each setting that was changed was and became: `1e-3 → 8e-3 at 470`."""
    found: dict[str, str] = {}
    for edit in edits:
        if edit.value != edit.old:
            before = found.get(edit.path, _written(edit.old))
            found[edit.path] = f"{before} → {_written(edit.value)} at {edit.step:,}"
    return found


def edits_as_json(edits: Iterable[Edited]) -> list[dict[str, Any]]:
    """Return the changes of settings while a run trained, oldest first."""
    fields = ("step", "path", "old", "value")
    return [{name: getattr(edit, name) for name in fields} for edit in edits if edit.value != edit.old]


def _written(value: Any) -> str:
    return printable_line(shown_value(value)) if value != "" else "''"


# Provenance.


def _print_provenance(console: Console, run: RunDirectory) -> None:
    meta = run.meta()
    created, argv, missing = (meta.get(key) for key in ("created", "argv", "instead_of"))
    rows: dict[str, Any] = {
        "stored in": str(run.path),
        "started": ago(created) if isinstance(created, int | float) else None,
        "command": shlex.join(map(str, argv)) if isinstance(argv, list) else None,
        "recipe": meta.get("recipe"),
        "commit": meta.get("commit"),
        "fork of": _fork_of(parent_of(meta)),
        "replay of": _replay_of(meta.get("replay")),
        "instead of": f"{missing.get('recipe')}: {missing.get('reason')}" if isinstance(missing, dict) else None,
        "checkpoints": _checkpoints(run),
    }
    elsewhere = {"format", "created", "argv", "folder", "recipe", "commit", "parent", "instead_of"}
    rows |= {key: value for key, value in meta.items() if isinstance(value, str | int | float) and key not in elsewhere}
    shown = {name: value for name, value in rows.items() if value not in (None, "")}
    console.print()
    console.print(grid((Text(printable_line(name)), Text(printable_line(str(value)))) for name, value in shown.items()))


def _replay_of(replay: Any) -> str | None:
    if not isinstance(replay, dict) or not isinstance(to := replay.get("to"), int):
        return None
    return f"{replay.get('run')} up to step {count(to)}"


def _fork_of(parent: Parent | None) -> str | None:
    return f"{parent.run} at step {count(parent.step)}" if parent is not None else None


def parent_as_json(parent: Parent | None) -> dict[str, Any] | None:
    """Return where a fork began, as JSON values."""
    if parent is None:
        return None
    changed = {path: {"old": old, "value": new} for path, (old, new) in parent.changed.items()}
    return {"run": parent.run, "step": parent.step, "changed": changed}


def _checkpoints(run: RunDirectory) -> str:
    best, pinned = run.best_step(), pinned_steps(run)
    steps = []
    for step in run.checkpoints():
        marks = [mark for mark, has in (("best", step == best), ("pinned", step in pinned)) if has]
        steps.append(count(step) + (f" ({', '.join(marks)})" if marks else ""))
    return "steps " + ", ".join(steps) if steps else "none"


# JSON.


def numbers(log: RunLog) -> dict[str, Any]:
    """Return a run's results as JSON values. Losses are in nats, times in seconds."""
    run, status, sample = log.run, log.run.status(), log.latest_sample
    return {
        "run": run.name,
        "path": str(run.path),
        "state": status.state.value,
        "ended_by": status.ended_by,
        **{name: getattr(status, name) for name in STATUS_FIELDS},
        **latest_metrics(status, RunSnapshot.from_log(log, status).family),
        "test": test_as_json(status),
        "references": log.facts.references,
        "backend": log.facts.backend.model_dump(mode="json") if log.facts.backend else None,
        "threads": log.facts.threads.model_dump(mode="json") if log.facts.threads else None,
        "precision": log.facts.precision.model_dump(mode="json") if log.facts.precision else None,
        "metrics": log.facts.summary.metrics if log.facts.summary else {},
        "samples": samples_as_json(sample) if sample else [],
        "parent": parent_as_json(parent_of(run.meta())),
    }


def latest_metrics(status: Status, family: Family | None) -> dict[str, float | int | None]:
    """Return the metrics that sum a run up, by name; None for one that is not known yet."""
    if family is None:
        return dict(status.metrics)
    found: dict[str, float | int | None] = {name: status.metrics.get(name) for name in chain(*family.headline)}
    if family.watched:
        found |= {f"best_{family.watched}": status.best, "best_step": status.best_step}
    return found


def marks_as_json(marks: Marks) -> dict[str, Any]:
    """Return star, tags and note as JSON values."""
    return {"starred": marks.starred, "tags": list(marks.tags), "note": marks.note}


def test_as_json(status: Status) -> dict[str, Any] | None:
    """Return the latest evaluation of the test split; None where there was none."""
    return {"step": status.test_step, **status.test} if status.test else None


def _everything(log: RunLog, status: Status) -> dict[str, Any]:
    run, snapshot = log.run, RunSnapshot.from_log(log, status)
    shown = [name for chart in snapshot.family.charts for name in chart.metrics] if snapshot.family else []
    return numbers(log) | {
        "serving": status.serving,
        "configuration": None if snapshot.problem else run.configuration().tree(),
        "edited": snapshot.settings,
        "edits": edits_as_json(snapshot.facts.edits),
        "provenance": run.meta(),
        "checkpoints": snapshot.checkpoints,
        "best_checkpoint": run.best_step(),
        "pinned": sorted(pinned_steps(run)),
        **marks_as_json(read_marks(run)),
        "curves": {name: log.metrics.points(name) for name in shown},
    }
