"""All samples of a run in a file in its folder."""

from collections.abc import Iterable

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.run.log import SampleRecord
from torchtty.tui.run.sample_lines import plain_text

NAME = "samples.txt"


def write_samples(run: RunDirectory, newest_first: Iterable[SampleRecord]) -> str:
    """Write the samples that have a text, the oldest first; return a sentence on what came of it, nothing if there are none."""
    records = [record for record in newest_first if record.texts]
    if not records:
        return ""
    text = "\n\n".join(f"step {record.step}\n{plain_text(record)}" for record in reversed(records))
    try:
        write_atomically(run.path / NAME, text + "\n")
    except OSError as error:
        return f"The samples could not be written: {error.strerror or error}."
    return f"Wrote {len(records)} samples to {run.path / NAME}."
