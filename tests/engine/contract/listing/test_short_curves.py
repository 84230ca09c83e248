"""Curves in short, read from real files."""

import pytest

from torchtty.engine.contract.listing import curves
from torchtty.engine.contract.listing.curves import POINTS, metric_in_short, short_curve
from torchtty.engine.contract.listing.entry import EntryReader
from torchtty.engine.contract.run.status import RunState


def test_a_curve_in_short_has_means_over_equal_parts_and_its_level_at_the_end(write_run):
    written = write_run("one")
    written.status(RunState.FINISHED)
    assert short_curve(written.run, "train_loss").values == ()
    written.metrics(*({"step": step, "train_loss": 10.0 - step / 100} for step in range(1000)), {"step": 5})
    with written.run.metrics_path.open("ab") as file:
        file.write(b'{"step": 1000, "train_lo')
    curve = short_curve(written.run, metric_in_short(EntryReader().read(written.run)))
    assert (curve.metric, len(curve.values)) == ("train_loss", POINTS)
    assert list(curve.values) == sorted(curve.values, reverse=True)
    assert curve.smoothed == pytest.approx(10 - (899.1 + 999) / 2 / 100, abs=0.01)


def test_a_long_file_is_read_in_pieces_and_says_about_the_same(write_run, monkeypatch):
    written = write_run("long")
    written.metrics(*({"step": step, "time": step / 7, "train_loss": 10.0 - step / 10_000} for step in range(30_000)))
    size = written.run.metrics_path.stat().st_size
    assert size > 2 * curves.WHOLE
    assert len(curves._read(written.run)) < size / 2
    pieces = short_curve(written.run, "train_loss")
    monkeypatch.setattr(curves, "WHOLE", 10**9)
    whole = short_curve(written.run, "train_loss")
    assert pieces.values == pytest.approx(whole.values, abs=0.06)
    assert pieces.smoothed == pytest.approx(whole.smoothed, abs=0.1)
