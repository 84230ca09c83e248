"""Exporting a run: which of the parts that write it does so, for the app and the command line alike."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.exports.archive import pack
from torchtty.engine.contract.exports.kinds import KINDS, ExportKind, checked_target, new_file, refused
from torchtty.engine.contract.exports.metrics import metric_rows, metrics_csv, metrics_jsonl
from torchtty.engine.contract.exports.tensorboard import write_event_files
from torchtty.engine.contract.exports.weights import checkpoint_of, write_weights_file, write_weights_folder
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.settings.family import MetricChart
from torchtty.tui.charts.pictures import png, svg
from torchtty.tui.charts.plot import Plot, plot
from torchtty.tui.charts.series import STEP
from torchtty.tui.charts.spec import EPOCHS, ChartSpec, Mark, Reference
from torchtty.tui.charts.units import named
from torchtty.tui.format import count, edit_texts
from torchtty.tui.run.curves import ChartView, units_of
from torchtty.tui.run.sample_layout import samples_text
from torchtty.tui.run.watcher import RunFollower

FIRST_CHART = ChartView()


@dataclass(frozen=True)
class Written:
    """What an export has written."""

    path: Path
    files: tuple[str, ...] = ()  # in a folder
    step: int | None = None  # of the checkpoint, for weights

    @property
    def sentence(self) -> str:
        of = f" as of step {count(self.step)}" if self.step is not None else ""
        return f"Written{of}: {self.path}" + (f" ({', '.join(self.files)})" if self.files else "")


def text_of(snapshot: RunSnapshot, kind: ExportKind, view: ChartView) -> str:
    """Return the text of a kind that is one. Raises `UserError`."""
    match kind.name:
        case "metrics-csv":
            return metrics_csv(metric_rows(snapshot.run))
        case "metrics-jsonl":
            return metrics_jsonl(metric_rows(snapshot.run))
        case "chart-svg":
            return svg(chart_plot(snapshot, view))
        case _:
            assert kind.name == "samples"
            log = RunLog(snapshot.run, with_metrics=False)
            log.read()
            return samples_text(log.samples.values())


def write(
    snapshot: RunSnapshot,
    kind: ExportKind,
    target: str,
    *,
    force: bool = False,
    view: ChartView = FIRST_CHART,
    checkpoint: str = "latest",
) -> Written:
    """Write a run to a file or folder; raise `UserError`. All kinds but `transformers`, which a worker writes."""
    if refusal := refused(snapshot, kind):
        raise UserError(refusal)
    path = checked_target(target, kind, force=force)
    run = snapshot.run
    if kind.name == "weights":
        step = checkpoint_of(snapshot, checkpoint)
        if kind.names_file(target):
            write_weights_file(run, step, path, force=force)
            return Written(path, step=step)
        return Written(path, tuple(write_weights_folder(snapshot, step, path)), step)
    if kind.name == "tensorboard":
        return Written(path, tuple(write_event_files(snapshot, path)))
    if kind.name == "archive":
        with new_file(path, force=force) as file:
            pack(run, file, as_zip=path.suffix.lower() == ".zip")
        return Written(path)
    content = png(chart_plot(snapshot, view)) if kind.name == "chart-png" else text_of(snapshot, kind, view).encode()
    with new_file(path, force=force) as file:
        file.write(content)
    return Written(path)


def write_by_command(run: RunDirectory, kind: ExportKind, target: str) -> Written:
    """Write what needs another process, by the command that does it; raise `UserError` with what the command says."""
    path = checked_target(target, kind)
    command = [sys.executable, "-P", "-m", "torchtty", "export", str(run.path), str(path), "--as", kind.name]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )
    if done.returncode:
        raise UserError(done.stderr.strip().removeprefix("error: ") or f"The export ended with {done.returncode}.")
    return Written(path, tuple(sorted(os.listdir(path))))


# The chart.


def chart_named(snapshot: RunSnapshot, id: str) -> MetricChart:
    """Return a chart of the run's family, the first for an empty id; raise `UserError` for one that it has not."""
    charts = snapshot.family.charts if snapshot.family else ()
    if not charts:
        raise UserError(f"The configuration of {snapshot.name} cannot be read: {snapshot.problem}")
    if found := next((chart for chart in charts if id in ("", chart.id)), None):
        return found
    raise UserError(f"{snapshot.name} has no chart '{id[:40]}'. It has {', '.join(chart.id for chart in charts)}.")


def chart_plot(snapshot: RunSnapshot, view: ChartView) -> Plot:
    """Lay out a chart of a run as the app shows it: its curves, the reference losses on the first one, marks of live edits."""
    chart, family = chart_named(snapshot, view.chart), snapshot.family
    assert family is not None
    follower = RunFollower(snapshot.run, chart.metrics)
    follower.poll()
    series = tuple(follower.series[name] for name in chart.metrics if len(follower.series[name]))
    references = snapshot.facts.references.items() if chart == family.charts[0] else ()
    steps = snapshot.status.max_steps if snapshot.is_live else 0
    marks = tuple(Mark(edit.step, *edit_texts(edit)) for edit in snapshot.facts.edits if edit.value != edit.old)
    units, epoch = units_of(snapshot, chart), snapshot.facts.tokens_an_epoch
    spec = ChartSpec(
        0,
        0,
        chart.title,
        series,
        tuple(Reference(title, value) for title, value in references),
        marks,
        coordinate=view.coordinate,
        x_max=float(steps) if steps else None,
        log_x=view.log_x,
        log_y=view.log_y,
        units=units,
        unit=named(view.unit, units),
        epoch=epoch,
    )
    if not all(spec.counted in one.coordinates for one in series) or (spec.coordinate == EPOCHS and not epoch):
        spec = replace(spec, coordinate=STEP)
    spec = replace(spec, smoothing=spec.time_constant(view.smoothing))
    about = f"{printable_line(snapshot.name)} · {family.title} · {printable_line(snapshot.dataset)}"
    return plot(spec, y_title=spec.unit.name, subtitle=about)


__all__ = ["KINDS", "ChartView", "Written", "chart_named", "text_of", "write", "write_by_command"]
