"""A run as TensorBoard shows it: its metrics, samples, grids of pictures and settings in one event file."""

from contextlib import suppress
from pathlib import Path

from torchtty.engine.contract.exports.event_file import EventFile
from torchtty.engine.contract.exports.kinds import new_folder
from torchtty.engine.contract.exports.metrics import FIRST, metric_rows
from torchtty.engine.contract.printable import printable
from torchtty.engine.contract.run.files import read_small
from torchtty.engine.contract.run.log import LARGEST_RESULT, RunLog
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.settings.configuration import to_toml


def write_event_files(snapshot: RunSnapshot, target: Path) -> list[str]:
    """Write a run's event file into a new folder; return the files' names. Raises `UserError`.

    The wall time of a step is when the run was created, and the seconds of training until then.
    """
    rows, log = metric_rows(snapshot.run), RunLog(snapshot.run, with_metrics=False)
    log.read()
    created = snapshot.run.meta().get("created")
    begun = float(created) if isinstance(created, int | float) else 0.0
    seconds = {int(row["step"]): row.get("time", 0.0) for row in rows}
    with new_folder(target) as folder:
        events = EventFile(folder, begun)
        try:
            events.text(0, begun, "settings", _as_code(to_toml(snapshot.settings)))
            for row in rows:
                values = {name: value for name, value in row.items() if name not in FIRST}
                events.scalars(int(row["step"]), begun + row.get("time", 0.0), values)
            for sample in log.samples.values():
                if sample.texts:
                    at = begun + seconds.get(sample.step, 0.0)
                    events.text(sample.step, at, "samples", _as_code("\n".join(map(printable, sample.texts))))
            for grid in snapshot.facts.images:
                with suppress(OSError):
                    content = read_small(snapshot.run.path / grid.path, LARGEST_RESULT)
                    events.picture(grid.step, begun + seconds.get(grid.step, 0.0), f"pictures/{grid.source}", content)
        finally:
            events.close()
        return sorted(path.name for path in folder.iterdir())


def _as_code(text: str) -> str:
    """Write a text so that Markdown shows it as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())
